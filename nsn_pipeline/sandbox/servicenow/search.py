"""Runs encoded queries: picks an index, filters, orders, and remembers walks over whole tables."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

from nsn_pipeline.sandbox.servicenow import conditions, refusals
from nsn_pipeline.sandbox.servicenow.encoded_query import (
    Clause,
    Condition,
    EncodedQuery,
    Related,
    parse,
)
from nsn_pipeline.sandbox.servicenow.options import ServiceNowOptions
from nsn_pipeline.sandbox.servicenow.paths import Paths
from nsn_pipeline.sandbox.servicenow.schema import Table
from nsn_pipeline.sandbox.servicenow.table_data import Row, TableData

KEPT = 16  # remembered results
Group = tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Asker:
    """On whose behalf a query runs."""

    user_id: str = ""
    user_name: str = ""
    now: float = 0.0


@dataclass(frozen=True, slots=True)
class Matches:
    """Ids in result order, from `start` on."""

    ids: list[str]
    start: int = 0

    @property
    def total(self) -> int:
        return len(self.ids) - self.start

    def page(self, offset: int, limit: int) -> list[str]:
        first = self.start + offset
        return self.ids[first : first + limit]


class Search:
    """Finds records. Callers hold the store's lock."""

    def __init__(self, options: ServiceNowOptions, paths: Paths) -> None:
        self.options = options
        self.paths = paths
        self.store = paths.store
        self._kept: dict[tuple[str, str, str, bool], tuple[object, list[str]]] = {}

    def run(self, table: Table, text: str, asker: Asker) -> Matches:
        query = parse(text)
        if self.options.unknown_field_mode == "forbid":
            self._refuse_unknown(table, query)
        keyset = self._keyset(table, query, text)
        if keyset is not None:
            return keyset
        ids = self._remembered(table, text, lambda: self._ordered(table, query, asker))
        return Matches(ids)

    def matches(self, table: Table, text: str, row: Row, asker: Asker | None = None) -> bool:
        """Whether one record, stored or not, satisfies a query."""
        tests = [self._group_test(table, g, asker or Asker()) for g in parse(text).groups]
        return any(test(row) for test in tests)

    # -- shortcuts -------------------------------------------------------------------------
    def _keyset(self, table: Table, query: EncodedQuery, text: str) -> Matches | None:
        """`...^sys_id>X^ORDERBYsys_id`: one look into a sorted list, however big the table."""
        if query.order != (("sys_id", False),) or len(query.groups) != 1 or table.children:
            return None
        if "javascript:" in text:
            return None
        rest = tuple(c for c in query.groups[0] if not _is_keyset(c))
        keyset = [c[0] for c in query.groups[0] if _is_keyset(c)]
        if any(self._is_indexed(self.store.data(table.name), clause) for clause in rest):
            return None
        if rest:
            base = EncodedQuery((rest,), query.order)
            label = f"keyset:{rest!r}"
            ids = self._remembered(table, label, lambda: self._ordered(table, base, Asker()))
        else:
            ids = self.store.data(table.name).sorted_ids()
        start = 0
        for item in keyset:
            assert isinstance(item, Condition)  # noqa: S101  # _is_keyset lets nothing else through
            find = bisect_right if item.operator == ">" else bisect_left
            start = max(start, find(ids, item.value))
        return Matches(ids, start)

    def _remembered(self, table: Table, text: str, work: Callable[[], list[str]]) -> list[str]:
        if "javascript:" in text:
            return work()
        options = self.options
        key = (table.name, text, options.unknown_field_mode, options.case_sensitive_values)
        if "." in text or "JOIN" in text or "RLQUERY" in text or "ORDERBY" in text:
            version: object = self.store.version  # other tables may matter
        else:
            version = tuple(self.store.data(t.name).version for t in table.family())
        kept = self._kept.get(key)
        if kept is not None and kept[0] == version:
            return kept[1]
        ids = work()
        if len(self._kept) >= KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (version, ids)
        return ids

    # -- the general way -------------------------------------------------------------------
    def _ordered(self, table: Table, query: EncodedQuery, asker: Asker) -> list[str]:
        found: dict[str, Row] = {}
        for member in table.family():
            data = self.store.data(member.name)
            for group in query.groups:
                self._collect(table, data, group, asker, found)
        rows = list(found.values())
        for path, descending in reversed(query.order):
            key = self._sort_key(table, path)
            if key is not None:
                rows.sort(key=key, reverse=descending)
        return [row["sys_id"] for row in rows]

    def _collect(
        self, table: Table, data: TableData, group: Group, asker: Asker, found: dict[str, Row]
    ) -> None:
        test = self._group_test(table, group, asker)
        candidates = self._candidates(data, group, asker)
        rows = (
            data.values()
            if candidates is None
            else (data.rows[sys_id] for sys_id in candidates if sys_id in data.rows)
        )
        for row in rows:
            if test(row):
                found[row["sys_id"]] = row

    def _candidates(self, data: TableData, group: Group, asker: Asker) -> Iterable[str] | None:
        """The ids of the narrowest indexed clause, or None to walk the table."""
        best: tuple[int, list[tuple[str, str]]] | None = None
        for clause in group:
            if not self._is_indexed(data, clause):
                continue
            pairs = [
                (item.field, value)
                for item in clause
                if isinstance(item, Condition)
                for value in self._asked_values(item, asker)
            ]
            size = sum(
                1 if name == "sys_id" else data.indexes[name].size(value) for name, value in pairs
            )
            if best is None or size < best[0]:
                best = (size, pairs)
        if best is None:
            return None
        ids: dict[str, None] = {}
        for name, value in best[1]:
            ids.update(
                dict.fromkeys([value] if name == "sys_id" else data.indexes[name].ids(value))
            )
        return ids

    def _asked_values(self, item: Condition, asker: Asker) -> list[str]:
        value = self._value(item, asker)
        return value.split(",") if item.operator == "IN" else [value]

    def _is_indexed(self, data: TableData, clause: Clause) -> bool:
        return all(
            isinstance(item, Condition)
            and (item.operator == "IN" or (item.operator == "=" and item.value != ""))
            and (item.field in data.indexes or item.field == "sys_id")
            and ("" not in item.value.split(",") if item.operator == "IN" else True)
            for item in clause
        )

    # -- tests -----------------------------------------------------------------------------
    def _group_test(self, table: Table, group: Group, asker: Asker) -> conditions.Test:
        clauses: list[list[conditions.Test]] = []
        for clause in group:
            tests = [self._test(table, item, asker) for item in clause]
            known = [test for test in tests if test is not None]
            if self.options.unknown_field_mode == "ignore":
                if known:  # a term with an unknown field is skipped: the query gets wider
                    clauses.append(known)
            else:  # an unknown field matches nothing, though an alternative to it still may
                clauses.append(known)
        if all(len(clause) == 1 for clause in clauses):
            tests = [clause[0] for clause in clauses]
            if len(tests) == 1:
                return tests[0]
            return lambda row: all(test(row) for test in tests)
        return lambda row: all(any(test(row) for test in clause) for clause in clauses)

    def _test(  # noqa: PLR0911  # a term may be unusable in several ways
        self, table: Table, item: Condition | Related, asker: Asker
    ) -> conditions.Test | None:
        if isinstance(item, Related):
            return self._related_test(item, asker)
        if not item.operator:
            return None
        if item.operator == "INSTANCEOF":
            return lambda row: row.get("sys_class_name", table.name) == item.value
        resolved = self.paths.resolve(table, item.field)
        if resolved is None:
            return None
        column, read = resolved
        how = conditions.Comparison(
            column, self.paths.exchange, case_sensitive=self.options.case_sensitive_values
        )
        if item.operator in {"SAMEAS", "NSAMEAS"}:
            other = self.paths.resolve(table, item.value)
            if other is None:
                return None
            same = item.operator == "SAMEAS"
            return lambda row: (read(row) == other[1](row)) is same
        return conditions.build(item.operator, self._value(item, asker), read, how)

    def _value(self, item: Condition, asker: Asker) -> str:
        if not item.value.startswith("javascript:") and "@javascript:" not in item.value:
            return item.value
        parts = item.value.split("@")
        return "@".join(
            conditions.script_value(
                part, user_id=asker.user_id, user_name=asker.user_name, now=asker.now
            )
            if part.startswith("javascript:")
            else part
            for part in parts
        )

    def _related_test(self, item: Related, asker: Asker) -> conditions.Test | None:
        other = self.paths.catalog.get(item.table)
        if other is None or item.column not in other.columns:
            return None
        counts: dict[str, int] = {}
        for sys_id in self.run(other, item.query, asker).page(0, 10**9):
            row = self.store.get(other.name, sys_id) or {}
            value = row.get(item.column, "")
            counts[value] = counts.get(value, 0) + 1

        def test(row: Row) -> bool:
            number = counts.get(row.get(item.own_field, ""), 0)
            return number >= item.minimum and (item.maximum is None or number <= item.maximum)

        return test

    # -- order and access ------------------------------------------------------------------
    def _sort_key(
        self, table: Table, path: str
    ) -> Callable[[Row], tuple[bool, Decimal | str]] | None:
        resolved = self.paths.resolve(table, path)
        if resolved is None:
            return None
        column, read = resolved
        how = conditions.Comparison(column, self.paths.exchange, case_sensitive=False)
        numeric = column.type in conditions.MONEY | conditions.NUMERIC
        nothing: Decimal | str = Decimal(0) if numeric else ""

        def key(row: Row) -> tuple[bool, Decimal | str]:
            text = read(row)
            if column.is_reference:  # a reference sorts by what people see
                text = self.paths.display(column, text)
            value = how.key(text)
            return (value is not None, nothing if value is None else value)

        return key

    def _refuse_unknown(self, table: Table, query: EncodedQuery) -> None:
        hidden = self.options.hidden_columns.get(table.name, frozenset())
        fields = [path for path, _ in query.order]
        for group in query.groups:
            for clause in group:
                fields += [item.field if isinstance(item, Condition) else "" for item in clause]
        for path in fields:
            if path and (path in hidden or self.paths.resolve(table, path) is None):
                raise refusals.query_forbidden()


def _is_keyset(clause: Clause) -> bool:
    item = clause[0]
    return (
        len(clause) == 1
        and isinstance(item, Condition)
        and item.field == "sys_id"
        and item.operator in {">", ">="}
        and item.value != ""
    )
