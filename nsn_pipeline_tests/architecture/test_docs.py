"""What a user can type or set is written down, and what is written down exists."""

import re
from pathlib import Path

import click
import pytest

from nsn_pipeline.cli.main import main
from nsn_pipeline.records.registry import REGISTRY
from nsn_pipeline.settings import VARIABLES

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("variable", VARIABLES)
def test_every_setting_is_in_the_example(variable: str) -> None:
    assert re.search(rf"^{variable}=", EXAMPLE, re.MULTILINE)


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_is_in_the_readme(command: str) -> None:
    assert re.search(rf"(nsn|make)\s+{command}\b", README)


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_and_option_explains_itself(command: str) -> None:
    found = main.commands[command]
    assert found.help
    for parameter in found.params:
        if isinstance(parameter, click.Option) and parameter.name not in {"size", "shape"}:
            assert parameter.help or parameter.show_default, parameter.name


def test_every_record_type_has_a_row_in_the_readmes_table() -> None:
    for record in REGISTRY.values():
        assert f"`{record.header.table}`" in README, record.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target
