"""Sends one round of changes through the Batch API, and judges every answer.

Knows nothing of look-ups or attempts: what is not proven goes back to the writer, which looks it
up. Only items that ServiceNow says it did not run are sent again at once.
"""

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor, wait
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote

from nsn_pipeline.clients.servicenow import BatchItem
from nsn_pipeline.errors import NsnError, OutcomeUnknownError, TransientError
from nsn_pipeline.load.judge import Answer, Judgement, Verdict, judge
from nsn_pipeline.load.plan import Change
from nsn_pipeline.load.table import Table


class Reply(Answer, Protocol):
    @property
    def id(self) -> str: ...


class BatchClient(Protocol):
    """The writing half of the ServiceNow client."""

    def batch(self, requests: Sequence[BatchItem]) -> Sequence[Reply]: ...


@dataclass(frozen=True, slots=True)
class Pacer:
    """How much is asked of ServiceNow at once.

    Asked before each batch, so that a policy that learns from the answers can take its place. Fifty
    records stay well below the 30 s a batch may take, and more per batch gains nothing
    (docs/facts/runtime.md 3).
    """

    connections: int = 8
    batch_size: int = 50


@dataclass(slots=True)
class Sent:
    """The judgement per key, how many calls it took, and the last failure of a whole call."""

    judgements: dict[str, Judgement] = field(default_factory=dict)
    calls: int = 0
    answered: int = 0
    failure: TransientError | None = None


class Sender:
    """One round over one table; make a new one for each."""

    def __init__(self, client: BatchClient, table: Table, pacer: Pacer, executor: Executor) -> None:
        self._client = client
        self._table = table
        self._pacer = pacer
        self._executor = executor
        self._collection = f"/api/now/table/{quote(table.name)}"
        self._query = (
            f"?sysparm_fields={quote(','.join(table.fields), safe=',')}"
            "&sysparm_exclude_reference_link=true"
        )
        self._waiting: deque[Change] = deque()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._sent = Sent()

    def send(self, changes: Sequence[Change]) -> Sent:
        """Send all changes; raises what no repetition can cure, after the open calls have ended."""
        self._waiting.extend(changes)
        batches = -(-len(changes) // self._pacer.batch_size)
        workers = min(self._pacer.connections, batches)
        futures = [self._executor.submit(self._work) for _ in range(workers)]
        wait(futures)
        for future in futures:
            future.result()
        return self._sent

    def _work(self) -> None:
        while batch := self._take():
            try:
                self._send(batch)
            except Exception:
                self._stopped.set()
                raise

    def _take(self) -> list[Change]:
        with self._lock:
            if self._stopped.is_set():
                return []
            size = min(self._pacer.batch_size, len(self._waiting))
            return [self._waiting.popleft() for _ in range(size)]

    def _send(self, batch: list[Change]) -> None:
        items = [self._item(str(number), change) for number, change in enumerate(batch)]
        try:
            replies = self._client.batch(items)
        except (TransientError, OutcomeUnknownError) as error:
            self._record(dict.fromkeys((change.key for change in batch), _unknown(error)), error)
            return
        by_id = {reply.id: reply for reply in replies}
        judged = {
            change.key: judge(self._table, change, reply)
            if (reply := by_id.get(str(number)))
            else Judgement(Verdict.UNKNOWN, words="the batch answer does not mention it")
            for number, change in enumerate(batch)
        }
        self._record(judged)
        self._resend([c for c in batch if judged[c.key].verdict is Verdict.RESEND], len(batch))

    def _item(self, item_id: str, change: Change) -> BatchItem:
        if change.kind == "create":
            body = {**change.values, "sys_id": change.sys_id}
            return BatchItem(item_id, "POST", f"{self._collection}{self._query}", body)
        if change.deletes:
            return BatchItem(item_id, "DELETE", f"{self._collection}/{change.sys_id}")
        url = f"{self._collection}/{change.sys_id}{self._query}"
        return BatchItem(item_id, "PATCH", url, dict(change.values))

    def _record(self, judged: dict[str, Judgement], failure: NsnError | None = None) -> None:
        with self._lock:
            self._sent.calls += 1
            self._sent.judgements.update(judged)
            if failure is None:
                self._sent.answered += 1
            elif isinstance(failure, TransientError):
                self._sent.failure = failure

    def _resend(self, not_run: list[Change], asked: int) -> None:
        """Items not run go first again, as long as the server gets somewhere at all."""
        with self._lock:
            if len(not_run) < asked:
                self._waiting.extendleft(reversed(not_run))
            else:
                stuck = Judgement(Verdict.UNKNOWN, words="ServiceNow ran nothing of the batch")
                self._sent.judgements.update(dict.fromkeys((c.key for c in not_run), stuck))


def _unknown(error: NsnError) -> Judgement:
    retry_after_s = error.retry_after_s if isinstance(error, TransientError) else None
    return Judgement(Verdict.UNKNOWN, words=str(error), retry_after_s=retry_after_s)
