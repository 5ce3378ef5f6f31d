"""Reads and writes ServiceNow tables: keyset reads, checked look-ups, batches.

Documented and observed (docs/facts/servicenow.md 2, 3, 9): an unknown column in a query widens it
up to the whole table; the row limit is applied before access rules, so a short or empty page is no
end; all values are text, null is "", a missing key is an unreadable or unknown column.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson
import requests

from nsn_pipeline.clients.batch import BatchItem, BatchReply, decode, encode
from nsn_pipeline.clients.dictionary import ColumnInfo, from_dictionary, from_ui_meta, parent_of
from nsn_pipeline.clients.echoes import secrets_of
from nsn_pipeline.clients.encoded_query import Query, refuse_any_unsafe
from nsn_pipeline.clients.http import Http
from nsn_pipeline.clients.key_lists import KeyList, folded, key_lists, lists_by_version
from nsn_pipeline.clients.logins import Probe
from nsn_pipeline.clients.table_urls import (
    VERSION,
    checked_name,
    count_params,
    read_params,
    table_path,
    table_url,
)
from nsn_pipeline.errors import (
    AuthenticationError,
    ConfigurationError,
    PermanentError,
    PermissionDeniedError,
    RequestRefusedError,
    UnexpectedResponseError,
    Where,
)

__all__ = ["BatchItem", "BatchReply", "ColumnInfo", "Found", "ServiceNowClient"]

Row = dict[str, str]

BATCH_PATH = "/api/now/v1/batch"
# What the checks before a run read first; a 403 and an empty list are answers to a login, too.
LOGIN_PROBE = Probe(
    "GET",
    "/api/now/table/sys_db_object",
    params={"sysparm_fields": "name", "sysparm_limit": "1"},
)
_LONG_QUERIES = 4000  # look-ups longer than this in all travel in batches: see `_looked_up`
_MOST_ITEMS = 50  # of one batch (docs/facts/servicenow.md 3)
_NO_VERSION = "-1"  # it counts upwards from 0
_BATCHED_READS = 10  # each may hold a full page, and a batch has 30 s
_MOST_HIDDEN = 20  # rows of one query that are told apart, each by a dozen calls
_CLASS_FIELDS = ("name", "super_class", "super_class.name")
_DICTIONARY_FIELDS = (
    "name", "element", "column_label", "internal_type", "max_length", "mandatory", "read_only",
    "reference", "unique", "default_value",
)  # fmt: skip


class Found(NamedTuple):
    """Rows per value, and the values of which ServiceNow counts more rows than it shows."""

    rows: dict[str, list[Row]]
    hidden: frozenset[str] = frozenset()


class ServiceNowClient:
    """One instance; safe to share between threads."""

    def __init__(
        self, http: Http, *, page_size: int = 1000, now: Callable[[], float] = time.time
    ) -> None:
        if page_size < 1:
            raise ConfigurationError("a ServiceNow page holds at least one row")
        self._http = http
        self._page_size = page_size
        self._now = now

    def rows(
        self, table: str, *, query: Query | None = None, fields: Sequence[str]
    ) -> Iterator[list[Row]]:
        """Every readable row that matches, page by page in sys_id order; `sys_id` is always read.

        Ends when the rows that remain by ServiceNow's own count are used up, never because a page
        is short: rows hidden by access rules take up places in a page.
        """
        for page, _ in self._pages(table, query or Query(), fields):
            if page:
                yield page

    def _pages(
        self, table: str, base: Query, fields: Sequence[str], *, patient: bool = True
    ) -> Iterator[tuple[list[Row], int]]:
        """Pages, the empty ones too, each with the count of what remained before it."""
        if base.order:
            raise ValueError("rows are read in sys_id order, so the query may not sort")
        seen: set[str] = set()
        last, offset = "", 0
        while True:
            remaining = base.where("sys_id", ">", last) if last else base
            page, total = self._page(table, remaining, fields, offset, patient=patient)
            if total is None:
                total = self.stats(table, remaining, patient=patient)
            if page:
                last = _advance(table, page, seen)
            yield page, total
            if offset + len(page) >= total:
                return
            # A page of hidden rows alone gives no key to go on from: step over it.
            offset = 0 if page else offset + self._page_size
            if offset >= total:
                return

    def lookup(
        self, table: str, key: str, values: Sequence[str], fields: Sequence[str]
    ) -> dict[str, list[Row]]:
        """The rows whose `key` is one of `values`: an entry per value, several rows if ambiguous.

        Raises UnsafeValueError for a value no query can carry, and UnexpectedResponseError when the
        answer holds keys that were not asked for: then the query was widened, and trusting it would
        overwrite strangers.
        """
        return self._find(table, key, values, fields, patient=True)[0]

    def find(self, table: str, key: str, values: Sequence[str], fields: Sequence[str]) -> Found:
        """As `lookup`, for whoever writes on the strength of the answer.

        Says of which values rows are hidden from this user: ServiceNow counts before access rules
        and shows after them (docs/facts/servicenow.md 2.1), and what is hidden is not absent.
        Raises PermissionDeniedError for more of them than can be told apart, and ThrottledError at
        once.
        """
        rows, doubtful = self._find(table, key, values, fields, patient=False)
        hidden = [value for keys in doubtful for value in self._hidden(table, keys)]
        return Found(rows, frozenset(hidden))

    def _find(
        self, table: str, key: str, values: Sequence[str], fields: Sequence[str], *, patient: bool
    ) -> tuple[dict[str, list[Row]], list[KeyList]]:
        """The rows per value, and the queries that count more than they show."""
        found: dict[str, list[Row]] = {value: [] for value in values}
        wanted = list(found)
        refuse_any_unsafe(wanted)
        asked_fields = list(dict.fromkeys(["sys_id", key, *fields]))
        doubtful: list[KeyList] = []
        lists = key_lists(key, wanted, asked_fields)
        for keys, rows, total in self._looked_up(table, lists, asked_fields, patient=patient):
            self._sort(table, key, found, rows)
            if len(rows) < total:
                doubtful.append(keys)
        return found, doubtful

    def _sort(self, table: str, key: str, found: dict[str, list[Row]], rows: Sequence[Row]) -> None:
        alike: set[str] = set()
        for row in rows:
            value = row.get(key)
            if value in found:
                found[value].append(row)
                continue
            alike = alike or {folded(value) for value in found}
            if value is None or folded(value) not in alike:  # else: equal but for case
                raise UnexpectedResponseError(
                    f"a look-up by {table}.{key} returned rows that were not asked for: the column "
                    "is unknown, unreadable or ignored",
                    where=Where(self._http.system, f"GET {table}"),
                )

    def _hidden(self, table: str, keys: KeyList) -> Iterator[str]:
        """Which values have rows that are counted and not shown: halves are asked again."""
        rows, total = self._whole(table, keys, ["sys_id", keys.key], patient=False)
        missing = total - len(rows)
        if missing <= 0:  # a row went away between its being counted and read
            return
        if len(keys.values) == 1:
            yield keys.values[0]
            return
        if missing > _MOST_HIDDEN:
            raise PermissionDeniedError(
                f"{missing} of {total} rows under keys of ours are hidden from this user: grant "
                f"its role read access to all rows of {table}",
                where=Where(self._http.system, f"GET {table}"),
            )
        for half in keys.halves():
            yield from self._hidden(table, half)

    def _whole(
        self, table: str, keys: KeyList, fields: Sequence[str], *, patient: bool
    ) -> tuple[list[Row], int]:
        """All rows of one query, and how many there were by ServiceNow's count."""
        pages = list(self._pages(table, keys.query, fields, patient=patient))
        return [row for page, _ in pages for row in page], pages[0][1]

    def unchanged(self, table: str, versions: Mapping[str, str]) -> frozenset[str] | None:
        """Which of these rows, by sys_id, are there in these versions, as far as counting tells.

        ServiceNow is asked how many rows have one of some sys_ids and a version; as many as ids
        means each of them. Hardly a row is shown, which is most of what a look-up costs. When a
        list of ids counts short, none of it is among the answer. Neither is what one call does not
        hold.

        None when counting tells nothing here: no totals come, or the control is refused or finds
        rows. The control asks for a version that no row has: an unknown column widens a query.
        Raises ThrottledError at once.
        """
        lists = lists_by_version(versions)[: _MOST_ITEMS - 1]
        if not lists:
            return frozenset()
        queries = [ids.query.where(VERSION, "=", version) for version, ids in lists]
        queries.append(lists[0][1].query.where(VERSION, "=", _NO_VERSION))
        items = [
            BatchItem(str(n), "GET", table_url(table, count_params(query)))
            for n, query in enumerate(queries)
        ]
        replies = self.batch(items, patient=False)
        *counts, control = replies
        if isinstance(control.error, PermanentError) or control.total:
            return None
        if any(_shows_rows(reply) and reply.total is None for reply in replies):
            return None
        if not _shows_rows(control):  # busy: another time it may tell
            return frozenset()
        return frozenset(
            sys_id
            for (_, ids), reply in zip(lists, counts, strict=True)
            if _shows_rows(reply) and reply.total == len(ids.values)
            for sys_id in ids.values
        )

    def table_get(self, table: str, sys_id: str, fields: Sequence[str]) -> Row | None:
        """One record, or None when it is absent or hidden (ServiceNow does not tell which)."""
        path = f"{table_path(table)}/{quote(sys_id, safe='')}"
        try:
            response = self._http.request(
                "GET", path, params=read_params(["sys_id", *fields]), idempotent=True
            )
        except RequestRefusedError as error:
            if error.where is not None and error.where.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return _row(_result(response, dict, path))

    def sample(self, table: str, fields: Sequence[str]) -> Row | None:
        """Some one record, to see which columns this user is shown; None when it is shown none."""
        path = table_path(table)
        params = {**read_params(fields), "sysparm_limit": "1"}
        response = self._http.request("GET", path, params=params, idempotent=True)
        return next((_row(row) for row in _result(response, list, path)), None)

    @property
    def under_way(self) -> int:
        """Calls that are with ServiceNow now, over all threads."""
        return self._http.under_way

    def count(self, table: str, query: Query | None = None, *, patient: bool = True) -> int:
        """How many rows match, by the header of the smallest possible read."""
        path = table_path(table)
        params = count_params(query or Query())
        response = self._http.request("GET", path, params=params, idempotent=True, patient=patient)
        total = _total(response)
        return self.stats(table, query, patient=patient) if total is None else total

    def stats(self, table: str, query: Query | None = None, *, patient: bool = True) -> int:
        """How many rows match, by the Aggregate API."""
        path = f"/api/now/stats/{checked_name(table)}"
        params = {"sysparm_query": str(query or ""), "sysparm_count": "true"}
        response = self._http.request("GET", path, params=params, idempotent=True, patient=patient)
        result = _result(response, dict, path)
        try:
            return int(result["stats"]["count"])
        except (KeyError, TypeError, ValueError) as error:
            raise UnexpectedResponseError(
                "no count in the answer", where=Where(self._http.system, f"GET {path}")
            ) from error

    def columns(self, table: str) -> dict[str, ColumnInfo] | None:
        """The table's columns, inherited ones included; None when this user cannot tell.

        Raises MissingTableError for a table that is not there. The dictionary is closed to many
        integration users; the metadata the UI reads is asked next (docs/facts/servicenow.md 8).
        """
        self._http.request(
            "GET",
            table_path(table),
            params={"sysparm_limit": "1", "sysparm_fields": "sys_id"},
            idempotent=True,
        )
        for source in (self._dictionary_columns, self._ui_columns):
            try:
                columns = source(table)
            except (PermissionDeniedError, RequestRefusedError, UnexpectedResponseError):
                continue
            if columns:
                return columns
        return None

    def batch(
        self,
        requests: Sequence[BatchItem],
        *,
        idempotent: bool | None = None,
        patient: bool = True,
        on_answer: Callable[[], None] | None = None,
    ) -> list[BatchReply]:
        """Send one batch; a reply per item, in order. Raises only when the whole call failed.

        `on_answer` is called when the answer is there and before it is taken apart, which takes as
        long as it is: another call may be made meanwhile.

        A batch of reads is repeated like any read. One that writes is not repeated once it may
        have been received: it raises OutcomeUnknownError, for each of its writes. Neither is it
        after a 429, which is decided before any of it is run: the caller sets the pace of writes.
        """
        if not requests:
            return []
        safe = all(item.is_read for item in requests) if idempotent is None else idempotent
        batch_id = uuid.uuid4().hex
        response = self._http.request(
            "POST",
            BATCH_PATH,
            data=encode(batch_id, requests),
            headers={"Content-Type": "application/json"},
            idempotent=safe,
            patient=safe and patient,
        )
        if on_answer is not None:
            on_answer()
        where = Where(self._http.system, f"POST {BATCH_PATH}", response.status_code)
        return decode(
            response.content,
            requests,
            batch_id=batch_id,
            where=where,
            now=self._now(),
            took_s=response.elapsed.total_seconds(),
            secrets=secrets_of(response.request),
        )

    def close(self) -> None:
        self._http.close()

    def _page(
        self, table: str, query: Query, fields: Sequence[str], offset: int, *, patient: bool
    ) -> tuple[list[Row], int | None]:
        path = table_path(table)
        params = self._list_params(query, fields, offset)
        response = self._http.request("GET", path, params=params, idempotent=True, patient=patient)
        return [_row(item) for item in _result(response, list, path)], _total(response)

    def _list_params(self, query: Query, fields: Sequence[str], offset: int) -> dict[str, str]:
        params = read_params(["sys_id", *fields])
        params["sysparm_query"] = str(query.order_by("sys_id"))
        params["sysparm_limit"] = str(self._page_size)
        params["sysparm_suppress_pagination_header"] = "true"  # it would echo the URL four times
        if offset:
            params["sysparm_offset"] = str(offset)
        return params

    def _looked_up(
        self, table: str, lists: Sequence[KeyList], fields: Sequence[str], *, patient: bool
    ) -> Iterator[tuple[KeyList, list[Row], int]]:
        """Long look-ups go as bodies of batches: what is in between may refuse a long URL, and
        taking one apart costs the client more than the answer does.
        """
        alone = list(lists)
        if sum(len(str(keys.query)) for keys in lists) > _LONG_QUERIES:
            alone = []
            for start in range(0, len(lists), _BATCHED_READS):
                some = lists[start : start + _BATCHED_READS]
                yield from self._batched(table, some, fields, alone, patient=patient)
        for keys in alone:
            rows, total = self._whole(table, keys, fields, patient=patient)
            yield keys, rows, total

    def _batched(
        self,
        table: str,
        lists: Sequence[KeyList],
        fields: Sequence[str],
        alone: list[KeyList],
        *,
        patient: bool,
    ) -> Iterator[tuple[KeyList, list[Row], int]]:
        """Rows of several look-ups; those without a complete answer are added to `alone`."""
        items = [
            BatchItem(str(n), "GET", table_url(table, self._list_params(keys.query, fields, 0)))
            for n, keys in enumerate(lists)
        ]
        for keys, reply in zip(lists, self.batch(items, patient=patient), strict=True):
            error = reply.error
            if isinstance(error, PermanentError) and not isinstance(error, AuthenticationError):
                raise error
            if _shows_rows(reply) and reply.total == (count := len(reply.body["result"])):
                yield keys, [_row(item) for item in reply.body["result"]], count
            else:
                alone.append(keys)

    def _dictionary_columns(self, table: str) -> dict[str, ColumnInfo]:
        chain: list[str] = []
        name = table
        while name and name not in chain:
            query = Query().where("name", "=", name)
            found = self._all("sys_db_object", query, _CLASS_FIELDS)
            parent = parent_of(found[0]) if found else None
            if parent is None:
                return {}
            chain.append(name)
            name = parent
        query = Query().where_in("name", chain).where_not_empty("element")
        return from_dictionary(chain, self._all("sys_dictionary", query, _DICTIONARY_FIELDS))

    def _ui_columns(self, table: str) -> dict[str, ColumnInfo]:
        path = f"/api/now/ui/meta/{checked_name(table)}"
        response = self._http.request("GET", path, idempotent=True)
        return from_ui_meta(table, _result(response, dict, path))

    def _all(self, table: str, query: Query, fields: Sequence[str]) -> list[Row]:
        return [row for page in self.rows(table, query=query, fields=fields) for row in page]


def _shows_rows(reply: BatchReply) -> bool:
    """Whether an item of a batch was answered with a list, if perhaps an empty one."""
    if reply.status != HTTPStatus.OK or reply.error is not None:
        return False
    return isinstance(reply.body, dict) and isinstance(reply.body.get("result"), list)


def _advance(table: str, page: Sequence[Row], seen: set[str]) -> str:
    """The key to go on from; a page that brings known rows again would loop or hide others."""
    where = Where("servicenow", f"GET {table}")
    ids = [row.get("sys_id", "") for row in page]
    if not all(ids) or len(set(ids)) != len(ids) or ids[-1] in seen or ids[0] in seen:
        raise UnexpectedResponseError(
            "a page without sys_id, or one that does not advance", where=where
        )
    seen.update((ids[0], ids[-1]))
    return ids[-1]


def _row(item: Any) -> Row:
    """Plain text values, also when an instance sends references as objects all the same."""
    if not isinstance(item, dict):
        raise UnexpectedResponseError("a record that is not an object")
    if all(type(value) is str for value in item.values()):  # as documented, and the usual case
        return item
    return {name: _text(value) for name, value in item.items()}


def _text(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("value")
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _result(response: requests.Response, kind: type, path: str) -> Any:
    data = orjson.loads(response.content)
    result = data.get("result") if isinstance(data, dict) else None
    if not isinstance(result, kind):
        where = Where("servicenow", f"GET {path}", response.status_code)
        raise UnexpectedResponseError(
            "the answer holds no result of the expected kind", where=where
        )
    return result


def _total(response: requests.Response) -> int | None:
    text = response.headers.get("X-Total-Count", "")
    return int(text) if text.isdecimal() else None
