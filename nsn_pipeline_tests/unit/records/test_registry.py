import re

import pytest

from nsn_pipeline.records.registry import LOOKUPS, REGISTRY
from nsn_pipeline.records.spec import Kind, Source

SOURCES = {
    **{name: record.header for name, record in REGISTRY.items()},
    **{f"{name} lines": record.lines for name, record in REGISTRY.items() if record.lines},
    **LOOKUPS,
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
def test_every_key_expression_is_a_selected_column(source: Source) -> None:
    selected = {column.sql for column in source.columns}

    assert set(source.key) <= selected
    assert len(source.key_names) == len(source.key)


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
def test_aliases_are_lower_case_unique_and_not_reserved(source: Source) -> None:
    assert len(set(source.names)) == len(source.names)
    assert all(re.fullmatch(r"[a-z][a-z_]*", name) for name in source.names)
    assert not any(name.startswith("raw_") for name in source.names)


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
def test_every_column_belongs_to_a_table_of_the_read(source: Source) -> None:
    aliases = {source.alias, *(join.alias for join in source.joins)}

    for column in source.columns:
        assert set(re.findall(r"\b([a-z]+)\.[a-z]", column.sql)) <= aliases


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
def test_dates_and_instants_are_asked_for_as_text(source: Source) -> None:
    for column in source.columns:
        assert column.sql.startswith("TO_CHAR(") == (column.kind in {Kind.DATE, Kind.INSTANT})
        assert ("SYS_EXTRACT_UTC" in column.sql) == (column.kind is Kind.INSTANT)


def test_only_bill_totals_change_their_sign() -> None:
    negated = {name for name, source in SOURCES.items() for c in source.columns if c.negate}

    assert negated == {"vendor_bill"}


def test_models_name_every_column_that_is_read() -> None:
    for record in REGISTRY.values():
        assert set(record.header.names) <= set(record.schema.to_schema().columns)
        if record.lines and record.line_schema:
            assert set(record.lines.names) <= set(record.line_schema.to_schema().columns)


def test_link_needs_the_address_of_the_account() -> None:
    record = REGISTRY["vendor"]

    assert record.url("https://a.test/", "7") == "https://a.test/app/common/entity/vendor.nl?id=7"
    assert record.url("", "7") == ""
