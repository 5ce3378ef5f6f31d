"""What a profile says: where each record type lands in ServiceNow, and how values are written.

Plain data without I/O or checks, so that the core may use it; `loader` reads and checks the YAML.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from nsn_pipeline.records.registry import REGISTRY
from nsn_pipeline.records.spec import Column, Kind, Source
from nsn_pipeline.records.sql import date_text, instant_text

Owner = Literal["netsuite", "servicenow", "compared"]

LINE_SUFFIX = "_line"


@dataclass(frozen=True, slots=True)
class Retirement:
    """What happens to a row whose record is gone from NetSuite.

    `keep` leaves it as it is, `delete` removes it, `set` writes `values` (a status, a flag). What
    `set` writes are columns that NetSuite owns, so that a record that comes back is put right by
    the ordinary comparison.
    """

    how: Literal["keep", "delete", "set"] = "keep"
    values: tuple[tuple[str, str], ...] = ()


KEEP = Retirement()

# What a custom field holds when it is written with this converter; text otherwise.
KIND_OF_CONVERTER: dict[str, Kind] = {
    "date": Kind.DATE,
    "datetime": Kind.INSTANT,
    "money": Kind.MONEY,
    "decimal": Kind.MONEY,
    "quantity": Kind.QUANTITY,
    "integer": Kind.INTEGER,
    "flag": Kind.FLAG,
}


@dataclass(frozen=True, slots=True)
class Converter:
    """How a canonical value becomes Table API text: `text(40)`, `money(currency_code)`, ...

    `argument` is what stands between the parentheses; `choices` the pairs of `choice{...}`.
    """

    name: str
    argument: str = ""
    choices: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        if self.name == "choice":
            return "choice{" + ", ".join(f"{key}: {value}" for key, value in self.choices) + "}"
        return f"{self.name}({self.argument})" if self.argument else self.name


@dataclass(frozen=True, slots=True)
class TargetColumn:
    """One ServiceNow column.

    `source` is a canonical column or a literal ("=true"). `owner` says whose word counts: drift of
    `netsuite` columns is corrected, `servicenow` columns are written on create and then left alone,
    `compared` columns are never written and their differences reported. `witness` is the column
    compared in place of this one when reading back (amounts in currency columns come back converted
    to the reader's currency). Long text is cut only with `cut`; otherwise it rejects the document.
    Values of `private` columns never reach the audit trail.
    """

    column: str
    source: str
    converter: Converter
    required: bool = False
    owner: Owner = "netsuite"
    witness: str | None = None
    cut: bool = False
    private: bool = False

    @property
    def is_written(self) -> bool:
        """Whether a value of ours is ever sent to it."""
        return self.owner != "compared"

    @property
    def literal(self) -> str | None:
        """The fixed value of a "=value" source."""
        return self.source[1:] if self.source.startswith("=") else None


@dataclass(frozen=True, slots=True)
class Target:
    """One ServiceNow table and the record type that lands in it.

    `key_from` is a template over canonical columns ("{document_id}-{line_id}") that gives the value
    of `external_key`. With `create` false, rows that ServiceNow lacks are never made. Rows of one
    set are found by `parent_column` (lines, by the header's sys_id) or by `set_by` (a column of
    ours that holds the NetSuite document's id); those NetSuite no longer has are retired.
    """

    record_type: str
    table: str
    external_key: str
    key_from: str
    create: bool = True
    columns: tuple[TargetColumn, ...] = ()
    lines: "Target | None" = None
    parent_column: str | None = None
    set_by: str | None = None
    retire: Retirement = KEEP
    ended: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def endings(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Columns and values that say of a record that it is void, closed or inactive.

        Unless the profile names others, those that a retired record gets: it looks the same.
        """
        return self.ended or tuple((column, (value,)) for column, value in self.retire.values)

    @property
    def office_column(self) -> str:
        """The column that says which subsidiary a posting belongs to; "" where none does."""
        if self.set_by is None:
            return ""
        named = (c.column for c in self.columns if c.source in {"subsidiary_name", "subsidiary_id"})
        return next(named, "")

    @property
    def key_columns(self) -> tuple[str, ...]:
        """Canonical columns the key is made of."""
        return tuple(re.findall(r"{(\w+)}", self.key_from))

    @property
    def sources(self) -> tuple[str, ...]:
        """Every canonical column this target reads, key and currency columns included."""
        return self._sources(self.columns)

    @property
    def written_sources(self) -> tuple[str, ...]:
        """The same, without what is read for comparison alone."""
        return self._sources([column for column in self.columns if column.is_written])

    def _sources(self, columns: Iterable[TargetColumn]) -> tuple[str, ...]:
        wanted = list(self.key_columns)
        for column in columns:
            if column.literal is None:
                wanted.append(column.source)
            if column.converter.name in {"money", "decimal"} and not _is_number(column.converter):
                wanted.append(column.converter.argument)
        return tuple(dict.fromkeys(wanted))


@dataclass(frozen=True, slots=True)
class ReferenceTable:
    """Where ServiceNow keeps a reference (GL accounts, cost centers) and which columns matter.

    `active` names a column that is "true" while the row may be used, `inactive` one that is "true"
    when it may not; at most one of them is given. A column the instance lacks reads as empty, and
    empty means usable.
    """

    table: str
    code: str
    name: str
    active: str | None = None
    inactive: str | None = None
    valid_from: str | None = None
    valid_to: str | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """Columns to read, sys_id first."""
        named = (self.code, self.name, self.active, self.inactive, self.valid_from, self.valid_to)
        return ("sys_id", *dict.fromkeys(column for column in named if column))


@dataclass(frozen=True, slots=True)
class Profile:
    """A whole mapping, from every record type to its ServiceNow table."""

    name: str
    targets: dict[str, Target]
    references: dict[str, ReferenceTable]
    # The canonical department column that holds the cost center code.
    cost_center_code: str = "external_id"

    def target(self, record_type: str) -> Target | None:
        """The target of a record type, or of its lines ("vendor_bill_line")."""
        if record_type in self.targets:
            return self.targets[record_type]
        header = self.targets.get(record_type.removesuffix(LINE_SUFFIX))
        return header.lines if header and record_type.endswith(LINE_SUFFIX) else None


def source_of(record_type: str) -> Source:
    """The NetSuite read behind a record type, or behind its lines ("vendor_bill_line")."""
    if record_type in REGISTRY:
        return REGISTRY[record_type].header
    source = REGISTRY[record_type.removesuffix(LINE_SUFFIX)].lines
    if source is None:
        raise KeyError(record_type)
    return source


def custom_columns(profile: Profile, record_type: str) -> list[Column]:
    """NetSuite custom fields a target reads, as columns to add to the SELECT.

    The converter says what the field holds, and thereby how it must be asked for.
    """
    target = profile.target(record_type)
    if target is None:
        return []
    alias = source_of(record_type).alias
    columns: dict[str, Column] = {}
    for column in target.columns:
        if is_custom_field(column.source):
            columns.setdefault(column.source, _custom_column(column, alias))
    for name in target.sources:  # a currency code kept in a custom field
        if is_custom_field(name):
            columns.setdefault(name, Column(name, f"{alias}.{name}"))
    return list(columns.values())


def is_custom_field(name: str) -> bool:
    """Whether NetSuite's naming says that this is a custom field (docs/facts/netsuite.md 7)."""
    return name.startswith("cust") and "_" in name


def _custom_column(column: TargetColumn, alias: str) -> Column:
    kind = KIND_OF_CONVERTER.get(column.converter.name, Kind.TEXT)
    sql = f"{alias}.{column.source}"
    if kind is Kind.DATE:
        sql = date_text(sql)
    elif kind is Kind.INSTANT:
        sql = instant_text(sql)
    return Column(column.source, sql, kind)


def _is_number(converter: Converter) -> bool:
    return not converter.argument or converter.argument.isdigit()
