"""What a profile needs of both systems: NetSuite tables and columns, ServiceNow tables and columns.

Pure: derived from the record types and the profile, so that a new field is examined without a word
here.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from nsn_pipeline.clients.suiteql import references, tables
from nsn_pipeline.extract.deletions import DELETED
from nsn_pipeline.extract.documents import (
    BOOKS,
    HEADER_STAMPS,
    LINE_STAMPS,
    ORDER_LINKS,
    POSTING_ACCOUNTS,
)
from nsn_pipeline.profiles.model import (
    LINE_SUFFIX,
    Converter,
    Profile,
    Target,
    TargetColumn,
    custom_columns,
)
from nsn_pipeline.records.registry import LOOKUPS, REGISTRY
from nsn_pipeline.records.spec import Source

# Reads the pipeline has a way around: their absence is noted, not an error.
_SPARED = {
    "department", "nexttransactionlinelink", "accountingbook", "subsidiary", "currency",
    "deletedrecord",
}  # fmt: skip
# Without Multi-Book there is no book to choose, and book 1 is taken.
_SPARED_COLUMNS = {("transactionaccountingline", "accountingbook")}
_KEY_LENGTH = 40


@dataclass(slots=True)
class SourceNeed:
    """One NetSuite table, and for each of its columns whether a run fails without it."""

    table: str
    required: bool = False
    columns: dict[str, bool] = field(default_factory=dict[str, bool])


def source_needs(profile: Profile) -> dict[str, SourceNeed]:
    """Every NetSuite table and column the profile's record types read."""
    needs: dict[str, SourceNeed] = {}
    for source in _sources(profile):
        spared = source.table in _SPARED
        _need(needs, source.table, required=not spared)
        for join in source.joins:
            _need(needs, join.table, required=not join.optional)
            _add(needs, source, join.on, required=not join.optional)
        _add(needs, source, source.where, required=not _replaceable(source))
        for column in source.columns:
            _add(
                needs, source, column.sql, required=not column.optional and not _replaceable(source)
            )
    for record_type in _types_of(profile):
        for column in custom_columns(profile, record_type):
            source = REGISTRY[record_type.removesuffix(LINE_SUFFIX)]
            read = source.lines if record_type.endswith(LINE_SUFFIX) else source.header
            if read is not None:
                _add(needs, read, column.sql, required=not column.optional)
    return needs


def _replaceable(source: Source) -> bool:
    return source.table in _SPARED or source is LINE_STAMPS


def _sources(profile: Profile) -> Iterator[Source]:
    yield from LOOKUPS.values()
    if any(target.retire.how != "keep" for target in profile.targets.values()):
        yield DELETED
    for name in profile.targets:
        record = REGISTRY[name]
        yield record.header
        if record.lines is not None:
            yield record.lines
        if record.shape in {"document", "posting"}:
            yield from (HEADER_STAMPS, LINE_STAMPS)
        if name == "vendor_bill":
            yield from (POSTING_ACCOUNTS, ORDER_LINKS, BOOKS)
        if record.shape == "posting":
            yield BOOKS


def _types_of(profile: Profile) -> Iterator[str]:
    for name, target in profile.targets.items():
        yield name
        if target.lines is not None:
            yield f"{name}{LINE_SUFFIX}"


def _need(needs: dict[str, SourceNeed], table: str, *, required: bool) -> SourceNeed:
    need = needs.setdefault(table, SourceNeed(table))
    need.required = need.required or required
    return need


def _add(needs: dict[str, SourceNeed], source: Source, sql: str, *, required: bool) -> None:
    table_of = tables(source)
    for alias, column in references(sql):
        if alias in table_of:
            columns = _need(needs, table_of[alias], required=False).columns
            spared = (table_of[alias], column) in _SPARED_COLUMNS
            columns[column] = columns.get(column, False) or (required and not spared)


@dataclass(frozen=True, slots=True)
class TargetNeed:
    """One use of a ServiceNow column.

    `kind` is a converter's name, "key" for an external key, "read" for a column that is only read,
    "wish" for one that is read when it is there. `length` is the longest text that is written and
    `reference` the table that a reference must point to. A `compared` column must hold values of
    its kind and be readable; nothing is ever written to it.
    """

    column: str
    kind: str
    length: int = 0
    reference: str = ""
    unique: bool = False
    compared: bool = False

    @property
    def is_written(self) -> bool:
        return not self.compared and self.kind not in {"read", "wish"}


@dataclass(slots=True)
class TableNeed:
    """One ServiceNow table: what is done with it, and the external key it is searched by."""

    table: str
    key: str = ""
    creates: bool = False
    uses: list[TargetNeed] = field(default_factory=list[TargetNeed])

    @property
    def columns(self) -> list[str]:
        return list(dict.fromkeys(use.column for use in self.uses if use.kind != "wish"))


def target_needs(profile: Profile) -> dict[str, TableNeed]:
    """Every ServiceNow table and column the profile reads or writes."""
    needs: dict[str, TableNeed] = {}
    for target in profile.targets.values():
        _add_target(needs, profile, target, parent="")
        if target.lines is not None:
            _add_target(needs, profile, target.lines, parent=target.table)
    for reference in profile.references.values():
        need = needs.setdefault(reference.table, TableNeed(reference.table, reference.code))
        need.uses += [TargetNeed(name, "read") for name in (reference.code, reference.name)]
        wished = (reference.active, reference.inactive, reference.valid_from, reference.valid_to)
        need.uses += [TargetNeed(name, "wish") for name in wished if name]
    return needs


def _add_target(
    needs: dict[str, TableNeed], profile: Profile, target: Target, *, parent: str
) -> None:
    need = needs.setdefault(target.table, TableNeed(target.table, target.external_key))
    need.creates = need.creates or target.create
    kind, length = ("key", _KEY_LENGTH) if target.create else ("read", 0)
    need.uses.append(TargetNeed(target.external_key, kind, length, unique=target.create))
    for column in target.columns:
        need.uses.append(_use(profile, column, parent))
        if column.witness:
            need.uses.append(TargetNeed(column.witness, "read"))


def _use(profile: Profile, column: TargetColumn, parent: str) -> TargetNeed:
    converter = column.converter
    length = _longest(converter) if column.is_written else 0
    reference = ""
    if converter.name == "reference":
        reference = (
            parent if converter.argument == "parent" else _table(profile, converter.argument)
        )
    return TargetNeed(
        column.column, converter.name, length, reference, compared=not column.is_written
    )


def _longest(converter: Converter) -> int:
    if converter.name == "text":
        # `cut` texts are shortened to the profile's length, so the column must hold that as well
        return int(converter.argument or "0")
    return max((len(value) for _, value in converter.choices), default=0)


def _table(profile: Profile, name: str) -> str:
    if name in profile.references:
        return profile.references[name].table
    target = profile.target(name)
    return target.table if target else ""


def merged(uses: Iterable[TargetNeed]) -> Mapping[str, list[TargetNeed]]:
    """Uses by column, so that a column is named once."""
    by_column: dict[str, list[TargetNeed]] = {}
    for use in uses:
        by_column.setdefault(use.column, []).append(use)
    return by_column
