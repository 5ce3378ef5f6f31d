"""The Aggregate API: counts and sums, grouped or not (5)."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from nsn_pipeline.sandbox.servicenow import refusals
from nsn_pipeline.sandbox.servicenow.instance import Instance
from nsn_pipeline.sandbox.servicenow.messages import Call, Reply, json_reply
from nsn_pipeline.sandbox.servicenow.money import plain, to_decimal
from nsn_pipeline.sandbox.servicenow.schema import Table
from nsn_pipeline.sandbox.servicenow.table_api import TableApi
from nsn_pipeline.sandbox.servicenow.table_data import Row

AGGREGATES = ("sum", "avg", "min", "max")
Groups = dict[tuple[str, ...], list[Row]]
COMPARE: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
}


class StatsApi:
    """Read only; callers hold the store's lock."""

    def __init__(self, instance: Instance, tables: TableApi) -> None:
        self.instance = instance
        self.tables = tables

    def handle(self, call: Call, name: str) -> Reply:
        if call.method != "GET":
            raise refusals.wrong_method(call.method)
        table = self.instance.catalog.get(name)
        if table is None:
            raise refusals.invalid_table(name)
        readable = self.tables.check_readable(table)
        text = self.tables.query_text(call, table)
        found = self.instance.search.run(table, text, self.instance.asker(call.session))
        ids = found.page(0, found.total) if readable else []
        rows = [row for row in (self.instance.store.get(name, i) for i in ids) if row is not None]
        fields = _names(call, "sysparm_group_by")
        if not fields:
            return json_reply(200, {"result": {"stats": self._stats(call, table, rows)}})
        entries = [
            self._entry(call, table, fields, key, members)
            for key, members in self._grouped(table, fields, rows).items()
            if self._has(call, table, members)
        ]
        self._order(call, entries)
        return json_reply(200, {"result": entries})

    def _grouped(self, table: Table, fields: list[str], rows: list[Row]) -> Groups:
        reads = [found for path in fields if (found := self.instance.paths.resolve(table, path))]
        groups: Groups = {}
        for row in rows:
            key = tuple(self.instance.paths.raw(column, read(row)) for column, read in reads)
            groups.setdefault(key, []).append(row)
        return groups

    def _entry(
        self, call: Call, table: Table, fields: list[str], key: tuple[str, ...], rows: list[Row]
    ) -> dict[str, Any]:
        known = [path for path in fields if self.instance.paths.resolve(table, path)]
        shown: list[dict[str, str]] = []
        mode = call.params.get("sysparm_display_value", "false").lower()
        for path, value in zip(known, key, strict=True):
            resolved = self.instance.paths.resolve(table, path)
            label = self.instance.paths.display(resolved[0], value) if resolved else value
            cell = {"field": path, "value": label if mode == "true" else value}
            if mode == "all":
                cell["display_value"] = label
            shown.append(cell)
        return {"stats": self._stats(call, table, rows), "groupby_fields": shown}

    def _stats(self, call: Call, table: Table, rows: list[Row]) -> dict[str, Any]:
        stats: dict[str, Any] = {}
        if call.flag("sysparm_count"):
            stats["count"] = str(len(rows))
        for aggregate in AGGREGATES:
            names = _names(call, f"sysparm_{aggregate}_fields")
            values = {n: self._aggregate(table, aggregate, n, rows) for n in names}
            if any(value is not None for value in values.values()):
                stats[aggregate] = {n: value for n, value in values.items() if value is not None}
        return stats

    def _aggregate(self, table: Table, aggregate: str, path: str, rows: list[Row]) -> str | None:
        resolved = self.instance.paths.resolve(table, path)
        if resolved is None:
            return None
        column, read = resolved
        texts = [text for row in rows if (text := read(row))]
        if column.type == "fx":
            return self._fx_sum(texts) if aggregate == "sum" else ""
        if aggregate in {"min", "max"} and column.type in {"date", "datetime", "string"}:
            return (min if aggregate == "min" else max)(texts) if texts else ""
        exchange = self.instance.exchange
        if column.type in {"currency", "price"}:
            numbers = [exchange.amount_in(text, exchange.reference) for text in texts]
        else:
            numbers = [number for text in texts if (number := to_decimal(text)) is not None]
        if not numbers:
            return ""
        total = sum(numbers, Decimal(0))
        result = {
            "sum": total,
            "avg": total / len(numbers),
            "min": min(numbers),
            "max": max(numbers),
        }[aggregate]
        return f"{result:.4f}"

    def _fx_sum(self, ids: list[str]) -> str:
        """`USD;1234.56`; a mixture of currencies gives a lone `;`."""
        instances = [self.instance.store.get("fx_currency2_instance", i) for i in ids]
        held = [row for row in instances if row is not None]
        codes = {row.get("currency", "") for row in held}
        if len(codes) != 1:
            return ";"
        total = sum((to_decimal(row.get("amount", "")) or Decimal(0) for row in held), Decimal(0))
        return f"{codes.pop()};{plain(total)}"

    def _has(self, call: Call, table: Table, rows: list[Row]) -> bool:
        for condition in _names(call, "sysparm_having"):
            aggregate, field, operator, value = (condition.split("^") + [""] * 4)[:4]
            wanted = to_decimal(value)
            if operator not in COMPARE or wanted is None:
                continue
            if aggregate.lower() == "count":
                held = Decimal(len(rows))
            else:
                text = self._aggregate(table, aggregate.lower(), field, rows)
                held = to_decimal(text or "")
            if held is None or not COMPARE[operator](held, wanted):
                return False
        return True

    def _order(self, call: Call, entries: list[dict[str, Any]]) -> None:
        def sort_value(entry: dict[str, Any], parts: list[str]) -> tuple[Decimal, str]:
            if parts[0].lower() == "count":
                return Decimal(entry["stats"].get("count", "0")), ""
            if parts[0].lower() in AGGREGATES and len(parts) > 1:
                text = entry["stats"].get(parts[0].lower(), {}).get(parts[1], "")
                return to_decimal(text) or Decimal(0), ""
            cells = entry["groupby_fields"]
            value = next((c["value"] for c in cells if c["field"] == parts[0]), "")
            return Decimal(0), value

        for item in reversed(_names(call, "sysparm_order_by")):
            parts = item.split("^")
            descending = parts[-1].upper() == "DESC"
            entries.sort(key=lambda entry, p=parts: sort_value(entry, p), reverse=descending)


def _names(call: Call, parameter: str) -> list[str]:
    return [name.strip() for name in call.params.get(parameter, "").split(",") if name.strip()]
