"""A ServiceNow that behaves: tables in memory, unique keys, and every way to let a writer down."""

import json
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from nsn_pipeline.clients.encoded_query import Query
from nsn_pipeline.clients.servicenow import BatchItem, BatchReply, Found
from nsn_pipeline.errors import NsnError, OutcomeUnknownError, ThrottledError

Body = dict[str, Any]
Mishap = str
BATCH_LIMIT_S = 30


def refusal(message: str, detail: str) -> Body:
    return {"error": {"message": message, "detail": detail}, "status": "failure"}


_NOT_DONE: dict[Mishap, tuple[int | None, Body | None]] = {
    "unserviced": (None, None),
    "throttled": (429, None),
    "timed_out": (
        500,
        refusal("Transaction cancelled: maximum execution time exceeded", ""),
    ),
    "unauthenticated": (401, refusal("User Not Authenticated", "Required to provide Auth")),
    "accepted": (202, None),  # dropped behind a session
}


class FakeServiceNow:
    """`mishaps` are drawn one per item, in order: see `_serve`. `call_errors` one per batch."""

    def __init__(
        self,
        *,
        mishaps: Iterable[Mishap] = (),
        call_errors: Iterable[NsnError | None] = (),
        unknown_columns: Iterable[str] = (),
        dictionary: dict[str, set[str]] | None = None,
    ) -> None:
        self.tables: dict[str, dict[str, dict[str, str]]] = defaultdict(dict)
        self.writes: list[tuple[str, str, dict[str, str]]] = []
        self.lookups: list[tuple[str, str, tuple[str, ...]]] = []
        self.counts: list[dict[str, str]] = []  # the version that each sys_id was to have
        self.counted_together = 200
        self.tells_counts = True
        self.batches: list[int] = []
        self.mishaps = deque(mishaps)
        self.call_errors = deque(call_errors)
        self.unknown_columns = set(unknown_columns)
        self.dictionary = dictionary
        self.unique_columns: set[str] = set()
        self.converted: dict[str, Decimal] = {}  # money columns and the rate a read applies
        self.reader_currency = ""  # amounts in it are not converted
        self.defaults: dict[str, str] = {}
        self.read_only: set[str] = set()  # shown, and never written by us
        self.computed: dict[str, Callable[[dict[str, str]], str]] = {}  # by a rule, on each write
        self.hidden: set[str] = set()  # sys_ids that may be read and not deleted
        self.unseen: set[str] = set()  # sys_ids that count, and that access rules do not show
        self.lookup_errors: deque[NsnError | None] = deque()  # one per look-up of the load
        self.under_way = 1_000  # calls with the server: never fewer than the lanes say
        self.reference_columns: set[str] = set()
        self.capacity: int | None = None  # items served per batch
        self.record_s = 0.0  # what a record takes; a batch has 30 s
        self.after_batch: Callable[[], None] | None = None
        self.urls: list[str] = []
        self.fields_read: list[tuple[str, ...]] = []
        self.before_batch: Callable[[], None] | None = None
        self._lock = threading.Lock()

    # -- the client's interface

    def columns(self, table: str) -> dict[str, SimpleNamespace] | None:
        if self.dictionary is None:
            return None
        return {
            name: SimpleNamespace(unique=name in self.unique_columns)
            for name in self.dictionary[table]
        }

    def _shown_rows(
        self, table: str, key: str, values: Sequence[str], fields: Sequence[str]
    ) -> dict[str, list[dict[str, str]]]:
        with self._lock:
            self.lookups.append((table, key, tuple(values)))
            self.fields_read.append(tuple(fields))
            asked, found = set(values), defaultdict(list)
            for row in self.tables[table].values():
                if row.get(key, "") in asked and row["sys_id"] not in self.unseen:
                    found[row[key]].append(self._shown(row, fields))
            return dict(found)

    def find(self, table: str, key: str, values: Sequence[str], fields: Sequence[str]) -> Found:
        with self._lock:
            if self.lookup_errors and (error := self.lookup_errors.popleft()):
                raise error
            unseen = {
                value: row
                for row in self.tables[table].values()
                if row["sys_id"] in self.unseen and (value := row.get(key, "")) in values
            }
        rows = self._shown_rows(table, key, values, fields)
        return Found(rows, frozenset(unseen))

    def unchanged(self, table: str, versions: dict[str, str]) -> frozenset[str] | None:
        """Counts rows by lists of ids of one version, as the client does."""
        assert "u_netsuite_id" in self.unique_columns, "no proof where keys may be twice"
        lists: dict[tuple[str, int], list[str]] = defaultdict(list)
        for number, (sys_id, version) in enumerate(versions.items()):
            lists[version, number // self.counted_together].append(sys_id)
        with self._lock:
            self.counts.append(dict(versions))
            if self.lookup_errors and (error := self.lookup_errors.popleft()):
                raise error
            if not self.tells_counts:
                return None
            rows = self.tables[table]
            return frozenset(
                sys_id
                for (version, _), ids in lists.items()
                if sum(one in rows and rows[one]["sys_mod_count"] == version for one in ids)
                == len(ids)
                for sys_id in ids
            )

    def count(self, table: str, query: Query | None = None, *, patient: bool = True) -> int:
        assert not patient, "a load look-up must not sit out a 429 in its lane"
        column = str(query).removesuffix("ISNOTEMPTY")
        return sum(1 for row in self.tables[table].values() if row.get(column))

    def batch(
        self, requests: Sequence[BatchItem], *, on_answer: Callable[[], None]
    ) -> list[BatchReply]:
        replies = self._answer(requests)
        on_answer()
        return replies

    def _answer(self, requests: Sequence[BatchItem]) -> list[BatchReply]:
        with self._lock:
            self.batches.append(len(requests))
            self.urls.extend(item.url for item in requests)
            if self.before_batch:
                self.before_batch()
            error = self.call_errors.popleft() if self.call_errors else None
            if error is not None and not isinstance(error, OutcomeUnknownError):
                raise error
            replies = []
            for number, item in enumerate(requests):
                served = self.capacity is None or number < self.capacity
                served = served and (number + 1) * self.record_s <= BATCH_LIMIT_S
                replies.append(self._serve(item) if served else BatchReply(item.id, None, None))
            took_s = min(len(requests) * self.record_s, BATCH_LIMIT_S)
            replies = [reply._replace(took_s=took_s) for reply in replies]
            if self.after_batch:
                self.after_batch()
            if error is not None:
                raise error
            return replies[::-1]  # order is no promise

    # -- how an item is served

    def _serve(self, item: BatchItem) -> BatchReply:
        mishap = self.mishaps.popleft() if self.mishaps else "ok"
        if mishap.startswith("refused:"):
            return BatchReply(item.id, 403, refusal("Operation Failed", mishap[8:]))
        if mishap.startswith("advised:"):
            error = ThrottledError("slow down", retry_after_s=float(mishap[8:]))
            return BatchReply(item.id, 429, None, error)
        if mishap in _NOT_DONE:
            return BatchReply(item.id, *_NOT_DONE[mishap])
        kept = {key: dict(row) for key, row in self._table_of(item).items()}
        status, body = self._write(item)
        if mishap == "forgotten":  # a success that is not kept
            self._table_of(item).clear()
            self._table_of(item).update(kept)
        if mishap == "lost":  # done, but the answer is cut off
            return BatchReply(item.id, status, None)
        return BatchReply(item.id, status, body)

    def _table_of(self, item: BatchItem) -> dict[str, dict[str, str]]:
        return self.tables[item.url.partition("?")[0].split("/")[4]]

    def _write(self, item: BatchItem) -> tuple[int, Body | None]:
        address = urlsplit(item.url)
        _, _, _, _, table, *rest = address.path.split("/")
        if item.method == "DELETE":
            return self._delete(table, rest[0])
        fields = parse_qs(address.query)["sysparm_fields"][0].split(",")
        sent = json.loads(json.dumps(item.body))
        rows = self.tables[table]
        if item.method == "POST":
            sys_id = sent["sys_id"]
            taken = {row.get("u_netsuite_id") for row in rows.values()} - {"", None}
            if sys_id in rows or sent.get("u_netsuite_id") in taken:
                return 403, refusal("Operation Failed", f"Error during insert of {table} ()")
            row = rows[sys_id] = {**self.defaults, "sys_id": sys_id, "sys_mod_count": "0"}
            status = 201
        else:
            if rest[0] not in rows:
                return 404, refusal("No Record found", "Record doesn't exist or ACL restricts")
            row, status = rows[rest[0]], 200
            row["sys_mod_count"] = str(int(row.get("sys_mod_count", "0")) + 1)
        self.writes.append((item.method, table, dict(sent)))
        dropped = self.unknown_columns | self.read_only | set(self.computed)
        if status == 201:
            dropped |= {name for name in sent if not sent[name]}
        row.update({name: text for name, text in sent.items() if name not in dropped})
        row.update({name: rule(row) for name, rule in self.computed.items()})
        return status, {"result": self._shown(row, fields)}

    def _delete(self, table: str, sys_id: str) -> tuple[int, Body | None]:
        if sys_id not in self.tables[table] or sys_id in self.hidden:
            return 404, refusal("No Record found", "Record doesn't exist or ACL restricts")
        del self.tables[table][sys_id]
        self.writes.append(("DELETE", table, {"sys_id": sys_id}))
        return 204, None

    def _shown(self, row: dict[str, str], fields: Iterable[str]) -> dict[str, Any]:
        shown: dict[str, Any] = {
            name: row.get(name, "") for name in fields if name not in self.unknown_columns
        }
        for name, rate in self.converted.items():
            if shown.get(name):
                currency, _, text = shown[name].rpartition(";")
                same = currency == self.reader_currency != ""
                amount = Decimal(text) * (1 if same else rate)
                places = Decimal("0.0001" if same else "0.01")
                shown[name] = f"{amount.quantize(places, ROUND_HALF_UP).normalize():f}"
        for name in self.reference_columns & shown.keys():
            if shown[name]:
                shown[name] = {"link": f"https://x/{shown[name]}", "value": shown[name]}
        return shown

    # -- for assertions

    def by_key(self, table: str, column: str = "u_netsuite_id") -> dict[str, list[dict[str, str]]]:
        found: dict[str, list[dict[str, str]]] = defaultdict(list)
        for row in self.tables[table].values():
            found[row.get(column, "")].append(row)
        return dict(found)

    def seed(self, table: str, rows: Iterable[dict[str, str]]) -> None:
        for row in rows:
            self.tables[table][row["sys_id"]] = dict(row)
