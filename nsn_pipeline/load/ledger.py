"""The book of one table's load: what became of every key, and what is still open.

Pure: it is told what was planned and what was answered, and says what to do next.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from nsn_pipeline.conform.reasons import Problem
from nsn_pipeline.load import problems
from nsn_pipeline.load.drift import Drift
from nsn_pipeline.load.judge import Judgement, Verdict
from nsn_pipeline.load.plan import Change, Plan, Wanted

Status = Literal["created", "updated", "unchanged", "retired", "skipped", "failed", "planned"]
_WRITTEN: dict[str, Status] = {"create": "created", "update": "updated", "retire": "retired"}


class Permits(Protocol):
    """Whether somebody agreed to a change; a follow-up completes one that was sent before."""

    def __call__(self, change: Change, *, is_follow_up: bool) -> bool: ...


class RecordResult(NamedTuple):
    """The end of one record. `sys_id` is empty unless ServiceNow is known to hold the record.

    `untaken` are columns of ServiceNow's own that it did not take when the record was made.
    """

    key: str
    document_id: str
    status: Status
    sys_id: str
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    untaken: tuple[str, ...] = ()

    @property
    def is_present(self) -> bool:
        return self.sys_id != ""


@dataclass(slots=True)
class LoadResult:
    """One table's load: a result for every key, and the plan it began with.

    `drift` is about compared columns, per key that ServiceNow holds.
    """

    table: str
    records: dict[str, RecordResult] = field(default_factory=dict)
    plan: Plan = field(default_factory=Plan)
    drift: dict[str, Drift] = field(default_factory=dict[str, Drift])  # as last looked up
    calls: int = 0
    duration_s: float = 0.0
    waits_for: dict[str, set[str]] = field(default_factory=dict)  # by document: links left empty
    deferred: dict[str, Change] = field(default_factory=dict[str, Change])  # left for later, by key

    def add(self, part: "LoadResult") -> None:
        """Take over what another part of the same table's load came to."""
        self.records.update(part.records)
        self.plan.changes.extend(part.plan.changes)
        self.plan.problems.update(part.plan.problems)
        self.plan.drift.update(part.plan.drift)
        self.drift.update(part.drift)
        self.deferred.update(part.deferred)
        for document_id, references in part.waits_for.items():
            self.waits_for.setdefault(document_id, set()).update(references)
        self.calls += part.calls

    def fail(self, key: str, document_id: str, found: tuple[Problem, ...]) -> None:
        """Enter a record that is not sent."""
        self.records[key] = RecordResult(key, document_id, "failed", "", found)

    def untaken(self) -> dict[str, set[str]]:
        """Columns of ServiceNow's own that new records are without, and the keys of these."""
        found: dict[str, set[str]] = {}
        for record in self.records.values():
            for column in record.untaken:
                found.setdefault(column, set()).add(record.key)
        return found

    def counts(self) -> dict[str, int]:
        statuses = Counter(record.status for record in self.records.values())
        return {status: statuses[status] for status in _STATUSES}


_STATUSES: tuple[Status, ...] = (
    "created",
    "updated",
    "unchanged",
    "retired",
    "skipped",
    "failed",
    "planned",
)


class Ledger:
    """Settles keys one by one; a key is open until something proves its end."""

    def __init__(
        self,
        wanted: dict[str, Wanted],
        *,
        notes: dict[str, tuple[str, ...]],
        max_attempts: int,
    ) -> None:
        self.open = dict(wanted)
        self.records: dict[str, RecordResult] = {}
        self._notes = notes
        self._max_attempts = max_attempts
        self._attempts: Counter[str] = Counter()
        self._doubts: dict[str, Judgement] = {}
        self._sent: dict[str, Change] = {}
        self._untaken: dict[str, tuple[str, ...]] = {}

    @property
    def clashed(self) -> list[str]:
        """Open keys whose creation was refused as if the record existed."""
        return [key for key, doubt in self._doubts.items() if doubt.verdict is Verdict.CLASH]

    def sort(self, plan: Plan) -> list[Change]:
        """Settle what the plan settles; the rest is to be sent."""
        for key, problem in plan.problems.items():
            self._settle(key, "failed", "", (problem,))
        outbox: list[Change] = []
        for change in plan.changes:
            if change.kind == "skipped":
                self._settle(change.key, "skipped", "")
            elif change.kind == "unchanged":
                self._settle(change.key, self._proven_status(change.key), change.sys_id)
            elif found := self._why_not(change):
                sys_id = "" if change.kind == "create" else change.sys_id
                self._settle(change.key, "failed", sys_id, found)
            else:
                outbox.append(change)
        return outbox

    def hold_back(self, outbox: Iterable[Change], permits: Permits) -> list[Change]:
        """Settle the changes that nobody agreed to; the rest is to be sent."""
        kept: list[Change] = []
        for change in outbox:
            if permits(change, is_follow_up=change.key in self._sent):
                kept.append(change)
            else:
                sys_id = "" if change.kind == "create" else change.sys_id
                self._settle(change.key, "failed", sys_id, (problems.not_planned(change.kind),))
        return kept

    def defer(self, changes: Iterable[Change]) -> None:
        """Close the book of these records without a result: they are decided later."""
        for change in changes:
            del self.open[change.key]

    def note(self, outbox: Iterable[Change], judgements: dict[str, Judgement]) -> list[Judgement]:
        """Enter the answers; returns the ones worth waiting over before the next round.

        A record that is confirmed and not proven stays open until all of it has been read back:
        ServiceNow is known to confirm what it does not keep, and a default may have filled a column
        that was left empty.
        """
        waiting: list[Judgement] = []
        for change in outbox:
            key, judgement = change.key, judgements[change.key]
            if judgement.untaken:
                self._untaken[key] = judgement.untaken
            if judgement.verdict is Verdict.PROVEN:
                self._settle(key, _WRITTEN[change.kind], judgement.sys_id)
                continue
            if judgement.verdict is Verdict.FAILED:
                sys_id = judgement.sys_id or ("" if change.kind == "create" else change.sys_id)
                self._settle(key, "failed", sys_id, judgement.problems)
                continue
            self._attempts[key] += 1
            self._doubts[key] = judgement
            if judgement.verdict is Verdict.CLASH:
                self._sent.pop(key, None)  # whatever is there, this was not our doing
            else:
                self._sent.setdefault(key, change)
            if judgement.verdict is Verdict.UNKNOWN:
                waiting.append(judgement)
        return waiting

    def attempts(self) -> int:
        """The most that any open key has been sent."""
        return max((self._attempts[key] for key in self.open), default=0)

    def leave_planned(self, outbox: Iterable[Change]) -> None:
        for change in outbox:
            self._settle(change.key, "planned", change.sys_id)

    def _proven_status(self, key: str) -> Status:
        """Found as wanted: by our own write, or because it always was."""
        sent = self._sent.get(key)
        return _WRITTEN[sent.kind] if sent else "unchanged"

    def _why_not(self, change: Change) -> tuple[Problem, ...]:
        """Why a change is not sent (again): a refusal that stands, or too many attempts."""
        doubt = self._doubts.get(change.key)
        if doubt is None:
            return ()
        if doubt.verdict is Verdict.CLASH and change.kind == "create":
            return (problems.refused(doubt.words),)  # refused, and yet nothing is there
        if self._attempts[change.key] < self._max_attempts:
            return ()
        if doubt.verdict is Verdict.CONFIRMED and change.deletes:
            return (problems.not_deleted(change.sys_id),)
        if doubt.verdict is Verdict.CONFIRMED and change.kind in {"update", "retire"}:
            return tuple(
                problems.not_stored(column, value, change.before[column])
                for column, value in change.values.items()
            )
        return (problems.outcome_unknown(doubt.words or "it confirmed, and does not hold it"),)

    def _settle(
        self, key: str, status: Status, sys_id: str, found: tuple[Problem, ...] = ()
    ) -> None:
        record = self.open.pop(key)
        notes, untaken = self._notes.get(key, ()), self._untaken.get(key, ())
        self.records[key] = RecordResult(
            key, record.document_id, status, sys_id, found, notes, untaken
        )
