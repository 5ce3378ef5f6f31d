"""What the doctor tells people to grant, set or tick is in the guides, under the same name.

And the other way round: a permission that a guide lists for a table is the one the doctor asks for.
"""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import nsn_pipeline
from nsn_pipeline.doctor import (
    netsuite_login,
    servicenow_data,
    servicenow_login,
    servicenow_tables,
)
from nsn_pipeline.doctor.needs import source_needs, target_needs
from nsn_pipeline.doctor.netsuite_data import FEATURES, PERMISSIONS
from nsn_pipeline.profiles.loader import load_profile
from nsn_pipeline.records.spec import Source

DOCS = Path(__file__).resolve().parents[2] / "docs"
NETSUITE = (DOCS / "connect-netsuite.md").read_text(encoding="utf-8")
SERVICENOW = (DOCS / "connect-servicenow.md").read_text(encoding="utf-8")
ALIAS = re.compile(r"\(\*[^*]+\*\)")  # the same permission under its other name
PROPERTY = re.compile(r"\b(?:glide|com)(?:\.[a-z_]+){2,}\b")
ROLE = re.compile(r"\b(?:snc|personalize|procurement)_[a-z_]+\b")


def permissions_of(table: str) -> set[str]:
    """What the doctor asks for: `Lists > Accounts` as the pair the guide writes as well."""
    return {
        f"{part.partition(' > ')[0]}: {name}"
        for part in PERMISSIONS[table].split("; ")
        for name in part.partition(" > ")[2].split(", ")
    }


def guide_rows() -> Iterator[tuple[set[str], set[str]]]:
    """Tables and permissions of each line of the guide's table."""
    block = NETSUITE.partition("### Permissions per table")[2].partition("### The user")[0]
    for line in block.splitlines():
        if line.startswith("| `"):
            tables, granted = line.split("|")[1:3]
            named = {
                f"{part.partition(': ')[0].strip()}: {name}"
                for part in ALIAS.sub("", granted).split(";")
                for name in re.findall(r"\*([^*]+)\*", part)
            }
            yield set(re.findall(r"`(\w+)`", tables)), named


def guide_permissions(table: str) -> set[str]:
    return {name for tables, names in guide_rows() if table in tables for name in names}


@pytest.mark.parametrize("table", sorted(PERMISSIONS))
def test_doctor_and_guide_ask_for_the_same_permissions(table: str) -> None:
    assert permissions_of(table) == guide_permissions(table)


def test_the_guide_lists_no_table_the_doctor_does_not_know() -> None:
    assert {table for tables, _ in guide_rows() for table in tables} == set(PERMISSIONS)


def test_every_table_that_is_read_has_its_permission() -> None:
    assert set(source_needs(load_profile("seed"))) <= set(PERMISSIONS)


def every_source() -> Iterator[tuple[str, Source]]:
    for found in pkgutil.walk_packages(nsn_pipeline.__path__, "nsn_pipeline."):
        if not found.name.startswith(("nsn_pipeline.sandbox", "nsn_pipeline.definitions")):
            for name, value in vars(importlib.import_module(found.name)).items():
                if isinstance(value, Source):
                    yield f"{found.name}.{name}", value


def test_every_source_of_the_package_is_among_the_needs() -> None:
    """A table read by a new module must be examined before a run, too."""
    needs = source_needs(load_profile("seed"))
    sources = dict(every_source())
    assert sources
    assert {name for name, source in sources.items() if source.table not in needs} == set()


def test_features_have_one_name() -> None:
    block = NETSUITE.partition("| feature off |")[2].partition("## 2.")[0]
    named = {
        name.strip()
        for line in block.splitlines()[2:]
        if line.startswith("| ")
        for name in line.split("|")[1].split(",")
    }
    assert named == {feature.name for feature in FEATURES}


def texts_of(*modules: object) -> list[str]:
    """Every text in the modules; parts that stand side by side are one."""
    trees = [ast.parse(Path(str(m.__file__)).read_text("utf-8")) for m in modules]
    return [
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def test_the_login_permissions_are_in_the_guide() -> None:
    quoted = {
        name
        for text in texts_of(netsuite_login)
        for name in re.findall(r"'([A-Z][A-Za-z0-9 .()]+)'", text)
    }
    assert {"REST Web Services", "Log in using OAuth 2.0 Access Tokens", "SuiteAnalytics Workbook",
            "Log in using Access Tokens"} <= quoted  # fmt: skip
    assert {name for name in quoted if name not in NETSUITE} == set()


def test_servicenow_roles_properties_and_boxes_are_in_the_guide() -> None:
    texts = texts_of(servicenow_login, servicenow_data, servicenow_tables)
    named = {m for text in texts for m in (*PROPERTY.findall(text), *ROLE.findall(text))}
    named |= {m for text in texts for m in re.findall(r"'([A-Z][A-Za-z ]{4,})'", text)}
    assert {"snc_platform_rest_api_access", "personalize_dictionary",
            "glide.oauth.inbound.client.credential.grant_type.enabled"} <= named  # fmt: skip
    assert {name for name in named if name not in SERVICENOW} == set()


def test_the_doctor_names_every_property_and_role_of_the_guide_it_can_tell_about() -> None:
    texts = "\n".join(texts_of(servicenow_login, servicenow_data, servicenow_tables))
    block = SERVICENOW.partition("### System properties")[2].partition("## 2.")[0]
    properties = set(re.findall(r"^\| `([a-z_.]+)`", block, re.MULTILINE))
    assert len(properties) == 3
    assert {name for name in properties if name not in texts} == set()
    for role in ("snc_platform_rest_api_access", "personalize_dictionary"):
        assert role in texts


def test_every_servicenow_table_that_is_used_is_in_the_guide() -> None:
    assert {t for t in target_needs(load_profile("seed")) if f"`{t}`" not in SERVICENOW} == set()
