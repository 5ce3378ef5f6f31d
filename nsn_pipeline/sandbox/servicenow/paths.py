"""Dotted field names: which column they end at, and what a record holds there."""

from collections.abc import Callable

from nsn_pipeline.sandbox.servicenow.money import Exchange
from nsn_pipeline.sandbox.servicenow.schema import Catalog, Table
from nsn_pipeline.sandbox.servicenow.store import Store
from nsn_pipeline.sandbox.servicenow.table_data import Row
from nsn_pipeline.sandbox.servicenow.table_definitions import Column

Access = Callable[[Row], str]
DEEPEST = 4  # hops; a cycle of references ends somewhere


class Paths:
    """Reads `vendor.name` and display values through references."""

    def __init__(self, catalog: Catalog, store: Store, exchange: Exchange) -> None:
        self.catalog = catalog
        self.store = store
        self.exchange = exchange

    def resolve(self, table: Table, path: str) -> tuple[Column, Access] | None:
        """The final column and how to read it, or None when any part is unknown."""
        head, dot, rest = path.partition(".")
        column = table.columns.get(head)
        if column is None:
            return None
        if not dot:
            name = column.name
            return column, lambda row: row.get(name, "")
        target = self.catalog.get(column.reference) if column.is_reference else None
        inner = self.resolve(target, rest) if target else None
        if inner is None:
            return None
        final, read = inner
        return final, lambda row: self._through(column, row, read)

    def _through(self, column: Column, row: Row, read: Access) -> str:
        target = self.target(column, row.get(column.name, ""))
        return read(target) if target else ""

    def target(self, column: Column, value: str) -> Row | None:
        """The record that a reference points at; None when it is empty or dangling."""
        if not value or column.reference not in self.catalog.tables:
            return None
        if column.reference_key == "sys_id":
            return self.store.get(column.reference, value)
        found = self.store.find(column.reference, column.reference_key, value)
        return found[0] if found else None

    def display_of_record(self, table: Table, row: Row, depth: int = 0) -> str:
        column = table.columns.get(table.display)
        if column is None:
            return row.get("sys_id", "") if table.name != "fx_currency2_instance" else _fx_text(row)
        return self.display(column, row.get(column.name, ""), depth + 1)

    def display(self, column: Column, value: str, depth: int = 0) -> str:
        """What a person would see; a dangling reference shows nothing."""
        if not value:
            return ""
        if column.is_reference:
            target = self.target(column, value)
            if target is None or depth > DEEPEST:
                return ""
            return self.display_of_record(self.catalog.tables[column.reference], target, depth)
        if column.choices:
            return next((label for choice, label in column.choices if choice == value), value)
        if column.type in {"currency", "price"}:
            return self.exchange.displayed(value)
        return value

    def raw(self, column: Column, value: str) -> str:
        return self.exchange.shown(value) if column.type in {"currency", "price"} else value


def _fx_text(row: Row) -> str:
    return f"{row.get('currency', '')};{row.get('amount', '')}"
