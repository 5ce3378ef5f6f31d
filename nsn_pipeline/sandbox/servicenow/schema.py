"""The catalogue of tables: class chains flattened, columns looked up, columns added."""

import hashlib
from collections.abc import Iterable, Iterator

from nsn_pipeline.sandbox.servicenow.table_definitions import (
    Column,
    TableDefinition,
    label_of,
    parse_columns,
)

AUDIT_COLUMNS = parse_columns(
    """
    sys_id string(32) read_only | Sys ID
    sys_created_on datetime read_only | Created
    sys_created_by string(40) read_only | Created by
    sys_updated_on datetime read_only | Updated
    sys_updated_by string(40) read_only | Updated by
    sys_mod_count integer read_only | Updates
    sys_tags string(255) read_only | Tags
    """
)
CLASS_COLUMN = parse_columns("sys_class_name string(80) read_only | Class")


def derived_id(*parts: str) -> str:
    """A sys_id that is the same on every start: 32 hex digits."""
    return hashlib.md5("|".join(parts).encode(), usedforsecurity=False).hexdigest()


class Table:
    """One table with every column it has, inherited ones included."""

    def __init__(self, definition: TableDefinition, parent: "Table | None") -> None:
        self.definition = definition
        self.name = definition.name
        self.label = definition.label
        self.sys_id = derived_id("sys_db_object", definition.name)
        self.parent = parent
        self.children: list[Table] = []
        self.denied = frozenset(definition.denied) | (parent.denied if parent else frozenset())
        self.own: dict[str, Column] = {}
        self.columns: dict[str, Column] = {}
        self.blank: dict[str, str] = {}
        self.defaults: dict[str, str] = {}
        self.display: str = ""
        inherited = list(parent.columns.values()) if parent else list(AUDIT_COLUMNS)
        for column in inherited:
            self._take(column)
        for column in parse_columns(definition.columns):
            self.add(column)
        if parent is not None:
            parent.children.append(self)
            for table in (parent, self):
                if "sys_class_name" not in table.columns:
                    table.add(CLASS_COLUMN[0])

    def add(self, column: Column) -> None:
        self.own[column.name] = column
        self._take(column)
        for child in self.children:
            child.inherit(column)

    def inherit(self, column: Column) -> None:
        self._take(column)
        for child in self.children:
            child.inherit(column)

    def _take(self, column: Column) -> None:
        self.columns[column.name] = column
        self.blank[column.name] = ""
        if column.default:
            self.defaults[column.name] = column.default
        if column.display:
            self.display = column.name

    @property
    def root(self) -> "Table":
        return self.parent.root if self.parent else self

    def chain(self) -> Iterator["Table"]:
        """This table, then what it extends, up to the root."""
        table: Table | None = self
        while table is not None:
            yield table
            table = table.parent

    def family(self) -> Iterator["Table"]:
        """This table, then every table that extends it."""
        yield self
        for child in self.children:
            yield from child.family()


class Catalog:
    """All tables of the instance by name."""

    def __init__(self, definitions: Iterable[TableDefinition]) -> None:
        self.tables: dict[str, Table] = {}
        self.version = 0
        for definition in definitions:
            self.define(definition)

    def define(self, definition: TableDefinition) -> Table:
        parent = self.tables[definition.extends] if definition.extends else None
        table = Table(definition, parent)
        self.tables[table.name] = table
        self.version += 1
        return table

    def get(self, name: str) -> Table | None:
        return self.tables.get(name)

    def extend(self, table_name: str, column_name: str) -> Column:
        """Add a plain string column, as an administrator would for data nobody foresaw."""
        column = Column(column_name, "string", label_of(column_name), max_length=4000)
        self.tables[table_name].add(column)
        self.version += 1
        return column
