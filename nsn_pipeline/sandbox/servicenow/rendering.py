"""Records as the Table API shows them: fields, display values, reference links (2.3)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from nsn_pipeline.sandbox.servicenow.instance import Instance
from nsn_pipeline.sandbox.servicenow.paths import Access
from nsn_pipeline.sandbox.servicenow.schema import Table
from nsn_pipeline.sandbox.servicenow.table_data import Row
from nsn_pipeline.sandbox.servicenow.table_definitions import Column

DisplayMode = Literal["false", "true", "all"]
Shown = str | dict[str, str]
Show = Callable[[Row], Shown]
SPECIAL = frozenset({"reference", "fx", "currency", "price"})
KEPT = 256


@dataclass(frozen=True, slots=True)
class Shape:
    """Which fields, and in which form; hashable, so that recipes can be kept."""

    fields: tuple[str, ...] = ()
    display: DisplayMode = "false"
    exclude_links: bool = False


class Renderer:
    """Turns rows into result objects. The recipe per table and parameters is worked out once."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self._recipes: dict[tuple[object, ...], list[tuple[str, Show]]] = {}

    def record(self, table: Table, row: Row, base_url: str, params: Shape) -> dict[str, Any]:
        if not params.fields and params.display == "false":
            return self._whole(table, row, base_url, params)
        return {name: show(row) for name, show in self._recipe(table, base_url, params)}

    def records(
        self, table: Table, rows: Iterable[Row], base_url: str, params: Shape
    ) -> list[dict[str, Any]]:
        if not params.fields and params.display == "false":
            return [self._whole(table, row, base_url, params) for row in rows]
        recipe = self._recipe(table, base_url, params)
        return [{name: show(row) for name, show in recipe} for row in rows]

    def _whole(self, table: Table, row: Row, base_url: str, params: Shape) -> dict[str, Any]:
        """All columns, raw: the common answer to a write, so it takes the short way."""
        shown: dict[str, Any] = {**table.blank, **row}
        for name, show in self._recipe(table, base_url, params):
            if name in row:
                shown[name] = show(row)
        for name in self._hidden(table):
            shown.pop(name, None)
        return shown

    def _recipe(self, table: Table, base_url: str, params: Shape) -> list[tuple[str, Show]]:
        hidden = self._hidden(table)
        version = self.instance.catalog.version
        key = (table.name, base_url, params, version, hidden)
        recipe = self._recipes.get(key)
        if recipe is None:
            if len(self._recipes) > KEPT:
                self._recipes.clear()
            recipe = self._recipes[key] = self._write_recipe(table, base_url, params, hidden)
        return recipe

    def _write_recipe(
        self, table: Table, base_url: str, params: Shape, hidden: frozenset[str]
    ) -> list[tuple[str, Show]]:
        if params.fields:
            names = list(params.fields)
        elif params.display == "false":
            names = [name for name, column in table.columns.items() if column.type in SPECIAL]
        else:
            names = list(table.columns)
        recipe: list[tuple[str, Show]] = []
        for name in names:
            resolved = self.instance.paths.resolve(table, name)
            if resolved is not None and name not in hidden:
                recipe.append((name, self._show(*resolved, base_url, params)))
        return recipe

    def _hidden(self, table: Table) -> frozenset[str]:
        return self.instance.options.hidden_columns.get(table.name, frozenset())

    def _show(self, column: Column, read: Access, base_url: str, params: Shape) -> Show:
        if column.is_reference:
            return partial(self._reference, column, read, base_url, params)
        if params.display == "false":
            if column.type in SPECIAL:
                shown = self.instance.exchange.shown
                return lambda row: shown(read(row))
            return read
        paths = self.instance.paths
        if params.display == "true":
            return lambda row: paths.display(column, read(row))
        return lambda row: {
            "display_value": paths.display(column, read(row)),
            "value": paths.raw(column, read(row)),
        }

    def _reference(
        self, column: Column, read: Access, base_url: str, params: Shape, row: Row
    ) -> Shown:
        value = read(row)
        if not value:
            return {"display_value": "", "value": ""} if params.display == "all" else ""
        if params.display == "false":
            if params.exclude_links:
                return value
            return {"link": _link(column, value, base_url), "value": value}
        shown = self.instance.paths.display(column, value)
        if params.display == "true" and params.exclude_links:
            return shown
        cell = {"display_value": shown}
        if not params.exclude_links:
            cell["link"] = _link(column, value, base_url)
        if params.display == "all":
            cell["value"] = value
        return cell


def _link(column: Column, value: str, base_url: str) -> str:
    if column.reference_key != "sys_id":
        value = f"{column.reference_key}={value}"
    return f"{base_url}/api/now/table/{column.reference}/{value}"
