"""Reads NetSuite through SuiteQL: whole result sets by keyset, nothing lost, nothing cut short.

Documented and observed (docs/facts/netsuite.md 4): values are text, nulls are left out, column
names come back lower case, a query yields at most 100,000 rows by offset, `hasMore` may lie past
that. So each page is its own query for the rows beyond the last key, always at offset 0, and a
page is complete or an error.
"""

import json
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from itertools import pairwise
from typing import Any

import orjson
import requests

from nsn_pipeline.clients import degrade
from nsn_pipeline.clients.degrade import Availability
from nsn_pipeline.clients.http import Http
from nsn_pipeline.clients.logins import Probe
from nsn_pipeline.clients.suiteql import (
    MAX_IN,
    Condition,
    Statement,
    all_of,
    in_list,
    probe,
    references,
    select,
    tables,
)
from nsn_pipeline.errors import (
    ConfigurationError,
    MissingColumnError,
    MissingTableError,
    PermanentError,
    RequestRefusedError,
    ServerFaultError,
    UnexpectedResponseError,
    Where,
)
from nsn_pipeline.records.spec import Kind, Source

Row = dict[str, str]

SUITEQL_PATH = "/services/rest/query/v1/suiteql"
LIMITS_PATH = "/services/rest/system/v1/governanceLimits"
MAX_PAGE = 1000
_READ_AHEAD = 2  # chunks that may be done before the one whose turn it is
_HEADERS = {"Content-Type": "application/json", "Prefer": "transient"}
# What every login of ours must be able to do; a table that is hidden is no refused login.
LOGIN_PROBE = Probe(
    "POST",
    SUITEQL_PATH,
    params={"limit": "1", "offset": "0"},
    data=orjson.dumps({"q": probe("transaction")}),
    headers=_HEADERS,
)
_CRASH = "UNEXPECTED_ERROR"
_WHERE = Where("netsuite", f"POST {SUITEQL_PATH}", 200)


@dataclass(frozen=True, slots=True)
class Page:
    """One checked answer of the query service."""

    rows: list[Row]
    more: bool


class NetSuiteClient:
    """Reads one account; safe to share between threads."""

    def __init__(self, http: Http, *, page_size: int = MAX_PAGE, concurrency: int = 4) -> None:
        if not 0 < page_size <= MAX_PAGE:
            raise ConfigurationError(f"a NetSuite page holds 1 to {MAX_PAGE} rows")
        self._http = http
        self._page_size = page_size
        self._concurrency = max(concurrency, 1)
        self._availability = Availability()

    @property
    def notes(self) -> list[str]:
        """What was read as empty because the account does not have it, each once."""
        return self._availability.notes

    def note(self, text: str) -> None:
        """Add a remark of a reader who found a way around something missing."""
        self._availability.note(text)

    def pages(
        self,
        source: Source,
        *,
        where: str = "",
        params: Sequence[str] = (),
        columns: Collection[str] | None = None,
    ) -> Iterator[list[Row]]:
        """Every row of `source` that meets `where`, page by page in key order.

        Absent optional columns and joins are left out and noted. Raises MissingTableError when the
        source's own table is absent, RequiredColumnError or RequiredTableError for other needs.
        """
        after: tuple[str, ...] | None = None
        while True:
            page, key = self._page(source, where, params, after, columns)
            if page.rows:
                _check_order(source, key, page.rows, after)
                after = tuple(page.rows[-1][name] for name in key)
                yield page.rows
            if not page.more:
                return

    def rows_in(
        self,
        source: Source,
        column: str,
        values: Sequence[str],
        *,
        where: str = "",
        params: Sequence[str] = (),
        columns: Collection[str] | None = None,
    ) -> Iterator[list[Row]]:
        """Every row whose `column` (a canonical name or an expression) is among `values`.

        Long lists are cut into several reads that run side by side; pages come in the order of
        `values`' chunks whatever finishes first, and only a few chunks are read ahead.
        """
        named = next((c for c in source.columns if column in {c.name, c.sql}), None)
        expression = named.sql if named else column
        text = named is not None and named.kind is Kind.TEXT
        unique = list(dict.fromkeys(values))
        chunks = [unique[i : i + MAX_IN] for i in range(0, len(unique), MAX_IN)]

        def read(chunk: list[str]) -> list[list[Row]]:
            condition = all_of(
                [Condition(where, tuple(params)), in_list(expression, chunk, text=text)]
            )
            read_pages = self.pages(
                source, where=condition.where, params=condition.params, columns=columns
            )
            return list(read_pages)

        if len(chunks) <= 1 or self._concurrency == 1:
            for chunk in chunks:
                yield from read(chunk)
            return
        # One more than may be in flight: while an answer is decoded, its place is another's.
        threads = self._concurrency + 1
        with ThreadPoolExecutor(threads, thread_name_prefix="suiteql") as pool:
            running: deque[Future[list[list[Row]]]] = deque()
            waiting = iter(chunks)
            try:
                for chunk in waiting:
                    running.append(pool.submit(read, chunk))
                    if len(running) > threads + _READ_AHEAD:
                        yield from running.popleft().result()
                while running:
                    yield from running.popleft().result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def query(self, text: str, params: Sequence[str] = ()) -> list[Row]:
        """Rows of a statement that fits one page, such as control totals; more is an error."""
        try:
            page = self._post(Statement(text, tuple(params), {}, ()), MAX_PAGE)
        except RequestRefusedError as error:
            raise degrade.refined(error) from error
        if page.more:
            raise UnexpectedResponseError(
                f"more than {MAX_PAGE} rows for a query that must fit one page", where=_WHERE
            )
        return page.rows

    def can_read(self, table: str) -> bool:
        """Whether the role sees this table at all."""
        return self._exists(table, "")

    def concurrency_limit(self) -> int | None:
        """Requests the account allows in flight; only administrators are told, others get None."""
        try:
            response = self._http.request("GET", LIMITS_PATH, idempotent=True)
        except PermanentError:
            return None  # not an administrator
        facts = response.json()
        for name in ("integrationConcurrencyLimit", "accountConcurrencyLimit"):
            try:
                return int(facts[name])
            except (KeyError, TypeError, ValueError):
                continue
        return None

    def close(self) -> None:
        self._http.close()

    def _page(
        self,
        source: Source,
        where: str,
        params: Sequence[str],
        after: tuple[str, ...] | None,
        columns: Collection[str] | None,
    ) -> tuple[Page, tuple[str, ...]]:
        """One page, asked for again with less while the account refuses optional parts."""
        while True:
            present = self._availability.cut(source)
            wanted = columns
            if columns is not None:
                names = {column.name for column in present.columns}
                unknown = set(columns) - set(source.names)
                wanted = (set(columns) & names) | unknown  # `select` refuses the unknown
            statement = select(present, where=where, params=params, after=after, columns=wanted)
            try:
                return self._post(statement, self._page_size), statement.key
            except RequestRefusedError as error:
                if not self._learn(present, error):
                    raise
            except ServerFaultError as error:
                if _CRASH not in str(error) or not self._find_crashing(present):
                    raise

    def _learn(self, source: Source, error: RequestRefusedError) -> bool:
        """Remember what a refusal says is missing; True when the query can do without it."""
        missing = degrade.read_refusal(error.detail)
        if missing is None:
            return False
        if not missing.column:
            self._lose_table(source, missing.table, error)
            return True
        column = missing.column.rpartition(".")[2]
        suspects = degrade.suspects(source, missing)
        if len(suspects) > 1:  # the same name in several tables: ask each for it
            suspects = [table for table in suspects if not self._exists(table, column)]
        if not degrade.spares(source, suspects, column):
            table = suspects[0] if suspects else missing.table or source.table
            raise degrade.required_column(table, column, error.where) from error
        for table in suspects:
            self._availability.add(table, column)
        return True

    def _lose_table(self, source: Source, table: str, error: RequestRefusedError) -> None:
        optional = any(join.table == table and join.optional for join in source.joins)
        if table == source.table or not optional:
            raise degrade.missing_table(source, table, error.where) from error
        self._availability.add(table)

    def _exists(self, table: str, column: str) -> bool:
        try:
            self.query(probe(table, column))
        except (MissingTableError, MissingColumnError):
            return False
        return True

    def _find_crashing(self, source: Source) -> bool:
        """Remember optional columns whose very mention fails; True when there are any.

        Some unavailable columns are answered with a plain 500 (docs/facts/netsuite.md 4.6). A
        server that fails without them as well has another trouble.
        """
        table_of = tables(source)
        used = {
            (table_of[alias], identifier)
            for column in source.columns
            if column.optional
            for alias, identifier in references(column.sql)
            if alias in table_of
        }
        if not used or self._crashes(source.table, ""):
            return False
        crashing = [
            (table, column) for table, column in sorted(used) if self._crashes(table, column)
        ]
        for table, column in crashing:
            self._availability.add(table, column)
        return bool(crashing)

    def _crashes(self, table: str, column: str) -> bool:
        """Whether the server fails twice running: once may be chance."""
        body = orjson.dumps({"q": probe(table, column)})
        failures = (
            self._http.request(
                "POST",
                SUITEQL_PATH,
                data=body,
                headers=_HEADERS,
                idempotent=True,
                returned=(HTTPStatus.BAD_REQUEST, HTTPStatus.INTERNAL_SERVER_ERROR),
            ).status_code
            == HTTPStatus.INTERNAL_SERVER_ERROR
            for _ in range(2)
        )
        return all(failures)

    def _post(self, statement: Statement, limit: int) -> Page:
        body: dict[str, object] = {"q": statement.text}
        if statement.params:
            body["params"] = list(statement.params)
        response = self._http.request(
            "POST",
            SUITEQL_PATH,
            params={"limit": str(limit), "offset": "0"},
            data=orjson.dumps(body),
            headers=_HEADERS,
            idempotent=True,  # a POST, but it only reads
        )
        return _read_page(response, statement.names, limit)


def _read_page(response: requests.Response, names: dict[str, str], limit: int) -> Page:
    """Check a page against what it says about itself: fewer rows than promised is not an end."""
    data = orjson.loads(response.content)
    answer = data if isinstance(data, dict) else {}
    items, count, total = answer.get("items"), answer.get("count"), answer.get("totalResults")
    if not isinstance(items, list) or not isinstance(count, int) or not isinstance(total, int):
        raise UnexpectedResponseError("not a SuiteQL page: items, count or total", where=_WHERE)
    if count != len(items):
        raise UnexpectedResponseError(
            f"the page says {count} rows and holds {len(items)}", where=_WHERE
        )
    if len(items) < min(limit, total) or (answer.get("hasMore") and not items):
        raise UnexpectedResponseError(
            f"a page of {len(items)} rows where {total} remain and {limit} were asked for: "
            "rows would be lost",
            where=_WHERE,
        )
    # Either sign of more rows counts: past its cap NetSuite says hasMore=false with rows left.
    more = total > len(items) or bool(answer.get("hasMore"))
    return Page(_rows(items, response.content, names), more)


def _rows(items: list[Any], content: bytes, names: dict[str, str]) -> list[Row]:
    try:
        return [_row(item, names) for item in items]
    except TypeError:
        # Values are documented to be text. Should a number come, its own digits are kept: a float
        # on the way would change amounts.
        exact = json.loads(content, parse_float=str, parse_int=str)["items"]
    try:
        return [_row(item, names) for item in exact]
    except TypeError as error:
        raise UnexpectedResponseError("a column value that is not text", where=_WHERE) from error


def _row(item: dict[str, Any], names: dict[str, str]) -> Row:
    row: Row = {}
    for column, value in item.items():
        if value is None or column == "links":
            continue
        name = column.lower()
        if value is True or value is False:
            row[names.get(name, name)] = "T" if value else "F"
        elif isinstance(value, str):
            row[names.get(name, name)] = value
        else:
            raise TypeError(name)
    return row


def _check_order(
    source: Source, key: tuple[str, ...], rows: list[Row], after: tuple[str, ...] | None
) -> None:
    """Refuse a page that repeats or does not advance: the next one would skip or loop."""
    try:
        keys = [tuple(row[name] for name in key) for row in rows]
    except KeyError as error:
        raise UnexpectedResponseError(
            f"{source.table}: a row without its key column {error}", where=_WHERE
        ) from None
    sequence = keys if after is None else [after, *keys]
    # A row that comes twice in a row is passed on, to be judged with its document; what must not
    # happen is a key that falls, or a page that ends where it began.
    try:
        numbers = [tuple(int(part) for part in parts) for parts in sequence]
    except ValueError:  # text keys sort by NetSuite's own collation: only repeats can be seen
        advancing = len(set(keys)) == len(keys) and keys[-1] != after
    else:
        advancing = all(a <= b for a, b in pairwise(numbers)) and keys[-1] != after
    if not advancing:
        raise UnexpectedResponseError(
            f"{source.table}: keys ({', '.join(key)}) repeat or do not rise, so paging by them "
            "would lose rows",
            where=_WHERE,
        )
