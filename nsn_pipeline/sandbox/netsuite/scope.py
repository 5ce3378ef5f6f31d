"""What names mean while a statement is compiled: tables in view, their columns, and the bound
values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nsn_pipeline.sandbox.netsuite.errors import (
    NetSuiteError,
    hidden_table,
    not_exposed,
    unexpected,
    unknown_identifier,
    unknown_table,
    unsupported,
)
from nsn_pipeline.sandbox.netsuite.kinds import Kind
from nsn_pipeline.sandbox.netsuite.options import NetSuiteOptions
from nsn_pipeline.sandbox.netsuite.tables import FEATURE_COLUMNS, FEATURE_TABLES, Column, Table


@dataclass(frozen=True, slots=True)
class Expression:
    """Compiled SQL and what it yields; `literal` is a text literal, `param` the index of a `?`."""

    sql: str
    kind: Kind
    literal: str | None = None
    param: int | None = None
    column: Column | None = None
    alias: str | None = None  # the source alias of a plain column, for display texts
    table: str | None = None
    notnull: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """One column of a result: the key it gets and how it is rendered."""

    name: str
    kind: Kind


class Catalogue:
    """Tables and columns as this role in this account sees them."""

    def __init__(self, options: NetSuiteOptions, tables: Mapping[str, Table]) -> None:
        self.options = options
        self.tables = tables
        self._gone = frozenset[str]().union(
            *(FEATURE_COLUMNS[feature] for feature in options.disabled_features)
        )

    def table(self, name: str) -> Table:
        """A table that may be queried; the refusals differ for unknown and for hidden ones."""
        lowered = name.lower()
        found = self.tables.get(lowered)
        if found is None:
            raise unknown_table(name)
        if (
            lowered in self.options.hidden_tables
            or FEATURE_TABLES.get(lowered) in self.options.disabled_features
        ):
            raise hidden_table(lowered)
        return found

    def has(self, table: Table, column: str) -> bool:
        """Whether the account has this column at all."""
        return column in table.columns and column not in self._gone

    def visible(self, table: Table) -> list[Column]:
        """The columns that may be selected."""
        hidden = self.options.hidden_columns
        return [
            column
            for name, column in table.columns.items()
            if name not in self._gone and f"{table.name}.{name}" not in hidden
        ]

    def check(self, table: Table, column: str) -> None:
        """Refuse a column that is there but not for us."""
        full = f"{table.name}.{column}"
        if full in self.options.hidden_columns:
            raise not_exposed(column, table.name)
        if full in self.options.crashing_columns:
            raise unexpected("nsn0000000000000000")


@dataclass(slots=True)
class Source:
    """A table, or a subquery, in FROM."""

    alias: str
    table: Table | None = None
    derived: dict[str, Kind] = field(default_factory=dict[str, Kind])
    nullable: bool = False  # the outer side of a join

    @property
    def label(self) -> str:
        """What error texts call it."""
        return self.table.name if self.table else "subquery"


@dataclass(slots=True)
class Scope:
    """The names in view of one SELECT; `clause` decides how `status` compares."""

    catalogue: Catalogue
    parent: "Scope | None" = None
    sources: dict[str, Source] = field(default_factory=dict[str, Source])
    clause: str = "select"
    # ROWNUM is given out before ORDER BY and GROUP BY: such a statement is staged, that is, its
    # rows are cut in an inner SELECT whose columns are collected here (inner SQL by outer name).
    staged: dict[str, str] | None = None
    grouped: frozenset[str] | None = None
    in_aggregate: bool = False
    saw_aggregate: bool = False

    def resolve(self, name: str, qualifier: str | None) -> tuple["Scope", Source]:
        """The scope and source a column belongs to."""
        scope: Scope | None = self
        while scope is not None:
            found = scope.find(name, qualifier)
            if found is not None:
                return scope, found
            scope = scope.parent
        if qualifier is not None and not self.knows_alias(qualifier):
            raise self.unknown(qualifier)
        raise self.unknown(name)

    def find(self, name: str, qualifier: str | None) -> Source | None:
        if qualifier is not None:
            source = self.sources.get(qualifier)
            return source if source is not None and self._has(source, name) else None
        found = [source for source in self.sources.values() if self._has(source, name)]
        if len(found) > 1:  # a column that is not exposed makes no name ambiguous
            found = [source for source in found if self._exposed(source, name)] or found
        if len(found) > 1:
            raise unsupported(f"column {name!r} is ambiguous")
        return found[0] if found else None

    def _exposed(self, source: Source, name: str) -> bool:
        hidden = self.catalogue.options.hidden_columns
        return source.table is None or f"{source.table.name}.{name}" not in hidden

    def _has(self, source: Source, name: str) -> bool:
        if source.table is None:
            return name in source.derived
        return self.catalogue.has(source.table, name)

    def knows_alias(self, alias: str) -> bool:
        return alias in self.sources or (self.parent is not None and self.parent.knows_alias(alias))

    def unknown(self, name: str) -> NetSuiteError:
        return unknown_identifier(
            name, {source.alias: source.label for source in self.sources.values()}
        )

    def column(self, name: str, qualifier: str | None) -> Expression:
        """A column reference, as SQL that is right in this place."""
        scope, source = self.resolve(name, qualifier)
        sql = f'"{source.alias}"."{name}"'
        if source.table is None:
            return Expression(scope.placed(sql), source.derived[name], alias=source.alias)
        self.catalogue.check(source.table, name)
        column = source.table.columns[name]
        return Expression(
            scope.placed(sql),
            column.kind,
            column=column,
            alias=source.alias,
            table=source.table.name,
            notnull=column.key and not source.nullable and scope.staged is None,
        )

    def sibling(self, alias: str, name: str) -> str:
        """Another column of the row that `alias` stands for, whatever the role may see of it."""
        scope: Scope | None = self
        while scope is not None and alias not in scope.sources:
            scope = scope.parent
        return (scope or self).placed(f'"{alias}"."{name}"')

    def placed(self, sql: str) -> str:
        """`sql` itself, or its name outside the inner SELECT of a staged statement."""
        if self.staged is None:
            return sql
        name = "c_" + sql.replace('"."', "__").strip('"')
        self.staged[name] = sql
        return f'ns_rows."{name}"'


@dataclass(slots=True)
class Bindings:
    """Named SQL parameters of a statement and where their values come from."""

    slots: dict[str, tuple[int, Kind]] = field(default_factory=dict[str, tuple[int, Kind]])
    lists: dict[str, tuple[int, Kind]] = field(default_factory=dict[str, tuple[int, Kind]])

    def slot(self, index: int, kind: Kind) -> str:
        """The SQL name under which parameter `index` is bound as `kind`."""
        name = f"p{index}_{kind.value}"
        self.slots[name] = (index, kind)
        return f":{name}"

    def list_slot(self, index: int, kind: Kind) -> str:
        """The SQL name of a lifted value list."""
        name = f"l{index}_{kind.value}"
        self.lists[name] = (index, kind)
        return f":{name}"
