"""Sends one round of changes through the Batch API, judges every answer, and proves creations.

Knows nothing of plans or attempts: what is not proven goes back to the writer, which looks it up.
Two kinds of change are sent again at once, because they certainly were not run: items that
ServiceNow lists as not reached, and all items of a call that was answered 429 as a whole, which is
decided before any work is done (docs/facts/servicenow.md 6). Should that ever be untrue, nothing
comes of it but a clash: a creation carries its own sys_id, and a change sets the same values again.
"""

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import wait
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

from nsn_pipeline.clients.servicenow import BatchItem
from nsn_pipeline.clients.table_urls import VERSION
from nsn_pipeline.errors import (
    ConfigurationError,
    NotSentError,
    NsnError,
    OutcomeUnknownError,
    ThrottledError,
    TransientError,
    Where,
)
from nsn_pipeline.load.judge import (
    Amount,
    Answer,
    Judgement,
    Verdict,
    amounts_shown,
    echoed,
    judge,
    prove,
    proven,
)
from nsn_pipeline.load.lanes import Lane, Lanes
from nsn_pipeline.load.lookups import Found
from nsn_pipeline.load.plan import Change
from nsn_pipeline.load.shares import Course, Share
from nsn_pipeline.load.table import Table

_PROOF_SHARE = 700  # keys read back by one call: as many as its URL holds
_SMALLEST_SHARE = 100
_COUNTED_SHARE = 2_000  # records counted by one call: a whole share, in ten queries
_KEYLESS = 20  # creations without their key, and none with it: the rest need not be tried
_OTHER_AMOUNTS = 20  # written amounts that came back as others, and none as it was


class Reply(Answer, Protocol):
    @property
    def id(self) -> str: ...
    @property
    def took_s(self) -> float: ...


class BatchClient(Protocol):
    """The writing half of the ServiceNow client, and the look-up that proves it."""

    def batch(
        self, requests: Sequence[BatchItem], *, on_answer: Callable[[], None]
    ) -> Sequence[Reply]:
        """`on_answer` is called when the answer is there, and before it is read."""
        ...

    def find(self, table: str, key: str, values: Sequence[str], fields: Sequence[str]) -> Found: ...


class RowCounter(Protocol):
    """Proves rows without reading them, where no two can share a key (docs/decisions/0029)."""

    def unchanged(self, table: str, versions: Mapping[str, str]) -> Collection[str]:
        """Which of these rows, by sys_id, count as being there in these versions. Raises only a
        429.
        """
        ...


@dataclass(slots=True)
class Sent:
    """The judgement per key, how many batches it took, and the last failure of a whole call."""

    judgements: dict[str, Judgement] = field(default_factory=dict)
    calls: int = 0
    failure: TransientError | None = None


class Sender:
    """One round over one table; make a new one for each.

    As long as others of the load follow this `share`, neither batches nor read-backs are cut small
    to end together. Once its course is halted, nothing new is begun; what is left has then no
    judgement.
    """

    def __init__(
        self,
        client: BatchClient,
        table: Table,
        lanes: Lanes,
        *,
        share: Share[Any] | None = None,
        counter: RowCounter | None = None,
    ) -> None:
        self._client = client
        self._table = table
        self._lanes = lanes
        self._collection = f"/api/now/table/{quote(table.name)}"
        self._query = (
            f"?sysparm_fields={quote(','.join((*table.fields, VERSION)), safe=',')}"
            "&sysparm_exclude_reference_link=true"
        )
        self._created_at = f"{self._collection}{self._query}"
        self._waiting: deque[Change] = deque()
        self._unproven: deque[str] = deque()
        self._made_as: dict[str, str] = {}  # the sys_id each creation was given
        self._working = 0
        self._lock = threading.Lock()
        self._share = share or Share[Any]((), follows=0, course=Course())
        self._course = self._share.course
        self._follows = self._share.follows
        self._counter = counter
        self._sent = Sent()
        self._keyless = 0

    def send(self, changes: Sequence[Change]) -> Sent:
        """Send all changes; raises what no repetition can cure, after the open calls have ended."""
        self._waiting.extend(changes)
        self._made_as.update((one.key, one.sys_id) for one in changes if one.kind == "create")
        self._working = min(self._lanes.workers, len(changes))
        futures = [self._lanes.executor.submit(self._work) for _ in range(self._working)]
        try:
            wait(futures)
        except BaseException:  # an interrupt: the open calls end, and no other is begun
            self._course.halt()
            raise
        for future in futures:
            future.result()
        if self._course.is_alone and self._keyless and not self._course.keeps_keys:
            raise self._loses_keys()
        return self._sent

    def _work(self) -> None:
        try:
            while self._step():
                pass
        except BaseException:
            self._course.halt()
            raise

    def _step(self) -> bool:
        """Make one call; False when nothing is left to do."""
        rest_s = None
        with self._lanes.lane() as lane:
            if batch := self._take():
                rest_s = self._send(lane, batch)
            elif keys := self._take_unproven():
                rest_s = self._prove(lane, keys)
            else:
                return False
        self._lanes.rest(rest_s)
        return True

    def _take(self) -> list[Change]:
        with self._lock:
            waiting = len(self._waiting)
            if not waiting or self._course.is_halted:
                return []
            size = self._lanes.batch_size(self._table.name, waiting + self._follows)
            batch = [self._waiting.popleft() for _ in range(min(size, waiting))]
            if not self._waiting:
                self._share.to_send.pass_on()
            return batch

    def _take_unproven(self) -> list[str]:
        """Some of the confirmed records; whoever leaves last takes what is left.

        To be counted, all of a share go together; to be read, evenly cut.
        """
        with self._lock:
            if self._course.is_halted:
                return []
            held = len(self._unproven)
            if self._counter is not None:
                smallest = largest = _COUNTED_SHARE
            else:
                even = -(-held // self._lanes.connections)
                smallest = _PROOF_SHARE if self._follows else _SMALLEST_SHARE
                largest = min(max(even, smallest), _PROOF_SHARE)
            share = min(largest, held)
            if self._working > 1 and held < smallest:
                share = 0
            if not share:
                self._working -= 1
            return [self._unproven.popleft() for _ in range(share)]

    def _send(self, lane: Lane, batch: list[Change]) -> float | None:
        """Send a batch; the seconds to rest afterwards."""
        items = [self._item(str(number), change) for number, change in enumerate(batch)]
        started = self._lanes.clock()
        try:
            replies = self._client.batch(items, on_answer=lane.give_up)
        except ThrottledError as error:
            return self._throttled(batch, error)
        except NotSentError as error:  # nothing to learn from: it is the queue for a lease
            self._record(dict.fromkeys((change.key for change in batch), _unknown(error)), error)
            return None
        except (TransientError, OutcomeUnknownError) as error:
            lane.give_up()
            seconds = self._lanes.clock() - started
            self._lanes.answered(lane, self._table.name, len(batch), 0, seconds)
            self._record(dict.fromkeys((change.key for change in batch), _unknown(error)), error)
            return None
        lane.give_up()
        took_s = next((reply.took_s for reply in replies), 0.0) or self._lanes.clock() - started
        by_id = {reply.id: reply for reply in replies}
        judged = {
            change.key: judge(self._table, change, reply)
            if (reply := by_id.get(str(number)))
            else Judgement(Verdict.UNKNOWN, words="the batch answer does not mention it")
            for number, change in enumerate(batch)
        }
        not_run = [change for change in batch if judged[change.key].verdict is Verdict.RESEND]
        self._lanes.answered(lane, self._table.name, len(batch), len(batch) - len(not_run), took_s)
        self._record(judged)
        self._watch_keys(judged[change.key] for change in batch if change.kind == "create")
        self._watch_amounts(batch, by_id)
        self._resend(not_run, len(batch))
        return None

    def _item(self, item_id: str, change: Change) -> BatchItem:
        if change.kind == "create":
            body = {**change.values, "sys_id": change.sys_id}
            return BatchItem(item_id, "POST", self._created_at, body)
        if change.deletes:
            return BatchItem(item_id, "DELETE", f"{self._collection}/{change.sys_id}")
        url = f"{self._collection}/{change.sys_id}{self._query}"
        return BatchItem(item_id, "PATCH", url, dict(change.values))

    def _record(self, judged: dict[str, Judgement], failure: NsnError | None = None) -> None:
        with self._lock:
            self._sent.calls += 1
            self._sent.judgements.update(judged)
            self._unproven.extend(key for key, found in judged.items() if found.version)
            if failure is None:
                self._course.answered()
            elif isinstance(failure, TransientError):
                self._sent.failure = failure

    def _watch_keys(self, created: Iterable[Judgement]) -> None:
        with self._lock:
            for found in created:
                self._keyless += found.lost_key
                if found.sys_id and not found.lost_key:
                    self._course.kept_key()
            if self._keyless >= _KEYLESS and not self._course.keeps_keys:
                raise self._loses_keys()

    def _loses_keys(self) -> ConfigurationError:
        """One record may lose its key to a rule; when all do, the column does not work."""
        table = self._table
        return ConfigurationError(
            f"{table.name}.{table.external_key} does not keep the keys it is given: create the "
            "column as a unique text column that the role may read and write",
            where=Where("ServiceNow", f"POST {table.name}"),
        )

    def _watch_amounts(self, batch: Sequence[Change], replies: Mapping[str, Reply]) -> None:
        """Until one amount came back as it was written: then the reader's currency is right."""
        if not self._table.reader_currency or self._course.shows_amounts:
            return
        found = [
            amount
            for number, change in enumerate(batch)
            if (reply := replies.get(str(number)))
            for amount in amounts_shown(self._table, change.values, echoed(reply))
        ]
        if any(amount.agrees for amount in found):
            self._course.showed_amount()
            return
        for amount in found:
            if self._course.showed_another() >= _OTHER_AMOUNTS:
                raise self._reads_otherwise(amount)

    def _reads_otherwise(self, amount: Amount) -> ConfigurationError:
        """A rule may change one amount; when all come back changed, they are converted."""
        table = self._table
        return ConfigurationError(
            f"the first {_OTHER_AMOUNTS} amounts in {table.reader_currency} written to "
            f"{table.name} came back as others, and none as it was ({amount.column}: "
            f"{amount.ours!r} as {amount.shown!r}): set SERVICENOW_CURRENCY to the currency that "
            "our user is shown amounts in (that of the user's locale), or leave it empty so that "
            f"amounts are judged by their own columns alone. If {table.reader_currency} is right, "
            "a business rule changes the amounts: it must spare our user",
            where=Where("ServiceNow", f"write {table.name}"),
        )

    def _throttled(self, batch: list[Change], error: ThrottledError) -> float | None:
        """None of it was run: it goes first again, without a look-up."""
        rest_s = self._lanes.refused(self._table.name, len(batch), error)
        with self._lock:
            self._sent.calls += 1
            self._waiting.extendleft(reversed(batch))
        return rest_s

    def _resend(self, not_run: list[Change], asked: int) -> None:
        """Items not run go first again, as long as the server gets somewhere at all."""
        with self._lock:
            if len(not_run) < asked:
                self._waiting.extendleft(reversed(not_run))
            else:
                stuck = Judgement(Verdict.UNKNOWN, words="ServiceNow ran nothing of the batch")
                self._sent.judgements.update(dict.fromkeys((c.key for c in not_run), stuck))

    def _prove(self, lane: Lane, keys: list[str]) -> float | None:
        """Confirmed creations are there once, in the version that was echoed: counted where keys
        are unique, and read back otherwise, or where the count does not say so.
        """
        name, key_column = self._table.name, self._table.external_key
        fields = ("sys_id", key_column, VERSION)
        judgements = self._sent.judgements
        started = self._lanes.clock()
        try:
            counted = self._counted(keys)
            judgements.update((key, proven(judgements[key])) for key in counted)
            keys = [key for key in keys if key not in counted]
            found = self._client.find(name, key_column, keys, fields) if keys else None
        except ThrottledError as error:
            rest_s = self._lanes.refused(name, 0, error)
            with self._lock:
                self._unproven.extendleft(reversed(keys))
            return rest_s
        lane.give_up()
        self._lanes.answered(lane, name, 0, 0, self._lanes.clock() - started)
        if found is None:
            return None
        for key in keys:
            if key not in found.hidden:  # else: the next look-up says so
                judgements[key] = prove(judgements[key], found.rows.get(key, ()))
        return None

    def _counted(self, keys: Sequence[str]) -> Collection[str]:
        """Only of records made under the sys_ids we chose: two could be echoed as one row."""
        if self._counter is None:
            return ()
        judged = {key: self._sent.judgements[key] for key in keys}
        ours = {key: one for key, one in judged.items() if one.sys_id == self._made_as[key]}
        versions = {one.sys_id: one.version for one in ours.values()}
        found = self._counter.unchanged(self._table.name, versions)
        return {key for key, one in ours.items() if one.sys_id in found}


def _unknown(error: NsnError) -> Judgement:
    retry_after_s = error.retry_after_s if isinstance(error, TransientError) else None
    return Judgement(Verdict.UNKNOWN, words=str(error), retry_after_s=retry_after_s)
