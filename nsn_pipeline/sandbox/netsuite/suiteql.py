"""The query engine: statements compiled once, rows rendered as NetSuite renders them."""

import json
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

from nsn_pipeline.sandbox.netsuite import functions
from nsn_pipeline.sandbox.netsuite.coercion import coerce_value
from nsn_pipeline.sandbox.netsuite.errors import bad_parameter, query_error, unsupported
from nsn_pipeline.sandbox.netsuite.formats import render_preference
from nsn_pipeline.sandbox.netsuite.kinds import Kind
from nsn_pipeline.sandbox.netsuite.options import NetSuiteOptions
from nsn_pipeline.sandbox.netsuite.parsing import Lifted, lift
from nsn_pipeline.sandbox.netsuite.scope import Catalogue
from nsn_pipeline.sandbox.netsuite.statements import Compiler, Statement
from nsn_pipeline.sandbox.netsuite.store import Store

MAX_PAGES = 1000
_CACHED_STATEMENTS = 512
_CACHED_COUNTS = 2048
V = TypeVar("V")


class _Recent(Generic[V]):
    """The most recently used values; safe between threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[Hashable, V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._lock:
            self._values[key] = value
            if len(self._values) > self._size:
                self._values.popitem(last=False)
        return value


class _One:
    """The value of a scalar subquery; a second row is an error, as in Oracle."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def step(self, value: Any) -> None:
        self.values.append(value)
        if len(self.values) > 1:
            raise ValueError("single-row subquery returns more than one row")

    def finalize(self) -> Any:
        return self.values[0] if self.values else None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a result; `reachable` is how many rows paging can get at."""

    items: list[dict[str, Any]]
    total: int
    reachable: int


def connection_functions(options: NetSuiteOptions) -> Callable[[sqlite3.Connection], None]:
    """What a Store needs as `configure`, so that its connections understand compiled statements."""
    number_text = partial(_number_text, drop=options.drop_leading_zero)

    def preferred(value: str | None) -> str | None:
        return None if value is None else render_preference(value[:10], options.date_format)

    def configure(connection: sqlite3.Connection) -> None:
        functions.register(connection, ZoneInfo(options.time_zone))
        connection.create_function("ns_num_text", 1, number_text, deterministic=True)
        connection.create_function("ns_pref", 1, preferred, deterministic=True)
        connection.create_aggregate("ns_one", 1, _One)

    return configure


def _number_text(value: str | None, *, drop: bool) -> Any:
    """A decimal in Oracle's spelling: `.5`, `-.5`."""
    if value is None or not drop:
        return value
    if value.startswith("0."):
        return value[1:]
    return "-" + value[2:] if value.startswith("-0.") else value


class Engine:
    """Runs SuiteQL against a store, for one account and role."""

    def __init__(self, store: Store, options: NetSuiteOptions) -> None:
        self.store = store
        self.options = options
        self._statements: _Recent[Statement] = _Recent(_CACHED_STATEMENTS)
        self._counts: _Recent[int] = _Recent(_CACHED_COUNTS)
        self._filled: _Recent[frozenset[str]] = _Recent(256)
        zone = ZoneInfo(options.time_zone)
        local, _ = functions.zone_functions(zone)
        date_format = options.date_format
        self._renderers: dict[Kind, Callable[[Any], str]] = {
            Kind.INT: str,
            Kind.NUM: partial(_number_text, drop=options.drop_leading_zero),
            Kind.TEXT: str,
            Kind.FLAG: str,
            Kind.NULL: str,
            Kind.DATE: lambda value: render_preference(value[:10], date_format),
            Kind.INSTANT: lambda value: render_preference(local(value)[:10], date_format),
        }
        self._zone = zone

    def page(self, text: str, params: Sequence[str], limit: int, offset: int) -> Page:
        """Rows `offset` to `offset + limit` of a query, and how many it has in all."""
        lifted = lift(text)
        if lifted.params != len(params):
            raise query_error(
                f"Search error occurred: Expected {lifted.params} parameters, got {len(params)}."
            )
        version = self.store.data_version
        statement = self._statement(lifted, version)
        bound = self._bind(statement, lifted, params)
        reachable_pages = min(self.options.row_cap, limit * MAX_PAGES)
        if offset >= reachable_pages:
            raise bad_parameter(
                "offset", f"Invalid offset {offset}: the result cannot be paged so far."
            )
        connection = self.store.connection()
        key = (lifted.text, tuple(params), lifted.lists, version, bound.get("now"))
        try:
            total = self._counts.get(
                key, lambda: int(connection.execute(statement.query.count_sql, bound).fetchone()[0])
            )
            rows = self._rows(
                connection, statement, bound, min(limit, reachable_pages - offset), offset
            )
        except (sqlite3.OperationalError, sqlite3.DataError, OverflowError) as error:
            raise unsupported(str(error)) from error
        return Page(self._render(statement, rows), total, min(total, reachable_pages))

    def _statement(self, lifted: Lifted, version: int) -> Statement:
        tables = self.store.tables()
        # The catalogue object changes with the schema; id() alone could be reused after collection.
        catalogue = Catalogue(self.options, tables)
        columns = sum(len(table.columns) for table in tables.values())
        key = (lifted.text, len(tables), columns)

        def compile_now() -> Statement:
            return Compiler(catalogue, lambda name: self._filled_columns(name, version)).statement(
                lifted.text
            )

        found = self._statements.get(key, compile_now)
        if found.data_dependent:
            return self._statements.get((*key, version), compile_now)
        return found

    def _filled_columns(self, table: str, version: int) -> frozenset[str]:
        def look() -> frozenset[str]:
            columns = self.store.table(table).columns
            tests = ", ".join(f'MAX("{name}" IS NOT NULL)' for name in columns)
            row = self.store.connection().execute(f'SELECT {tests} FROM "{table}"').fetchone()
            return frozenset(name for name, found in zip(columns, row, strict=True) if found)

        return self._filled.get((table, version), look)

    def _bind(
        self, statement: Statement, lifted: Lifted, params: Sequence[str]
    ) -> dict[str, str | int | None]:
        bound: dict[str, str | int | None] = {}
        try:
            for name, (index, kind) in statement.bindings.slots.items():
                bound[name] = coerce_value(params[index], kind, self.options)
            for name, (index, kind) in statement.bindings.lists.items():
                values = [coerce_value(value, kind, self.options) for value in lifted.lists[index]]
                # Oracle: `x NOT IN (..., NULL)` is never true; json_each keeps the null.
                bound[name] = json.dumps(values)
        except ValueError as error:
            raise unsupported(str(error)) from error
        if ":now" in statement.query.sql:
            now = datetime.fromtimestamp(int(self.store.clock()), UTC).astimezone(self._zone)
            bound["now"] = now.strftime("%Y-%m-%d %H:%M:%S")
        return bound

    @staticmethod
    def _rows(
        connection: sqlite3.Connection,
        statement: Statement,
        bound: dict[str, str | int | None],
        limit: int,
        offset: int,
    ) -> list[tuple[Any, ...]]:
        sql = statement.query.sql
        if statement.query.limited:
            sql = f"SELECT * FROM ({sql})"
        return connection.execute(f"{sql} LIMIT {limit} OFFSET {offset}", bound).fetchall()

    def _render(self, statement: Statement, rows: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
        columns = [
            (index, output.name, self._renderers[output.kind])
            for index, output in enumerate(statement.query.outputs)
        ]
        items: list[dict[str, Any]] = []
        for row in rows:
            item: dict[str, Any] = {"links": []}
            for index, name, render in columns:
                value = row[index]
                if value is not None:
                    item[name] = render(value)
            items.append(item)
        return items
