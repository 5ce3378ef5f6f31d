"""Gathers the open rejections of all days.

Job state says which documents are open and in which partition; the landing files of that partition
say why, for how much and what to do. A day that job state knows nothing of, as Redis was lost, is
listed from its landing files as it was last judged, and named: an empty list must mean that nothing
is open.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import dagster as dg

from nsn_pipeline.audit.rejections import OpenStatus, Rejection
from nsn_pipeline.conform.outcome import REJECTED
from nsn_pipeline.conform.reasons import Problem, Reason
from nsn_pipeline.connections import Connections
from nsn_pipeline.frames import records_of, rows_with
from nsn_pipeline.landing import Landing
from nsn_pipeline.orchestration.assets.conformed import CONFORMED, Conformed
from nsn_pipeline.orchestration.load_problems import load_problems_path
from nsn_pipeline.orchestration.open_documents import open_documents
from nsn_pipeline.orchestration.runs_known import RunsKnown
from nsn_pipeline.state.job_state import DocumentState, Status

_NO_DETAILS = "Its problems are not in the landing files any more: run its day again to see them."
_OPEN: Mapping[Status, OpenStatus] = {Status.REJECTED: "rejected", Status.FAILED: "failed"}


@dataclass(slots=True)
class OpenList:
    """Open rejections, and what a reader must know about the list itself."""

    rejections: list[Rejection] = field(default_factory=list[Rejection])
    unknown_days: list[str] = field(default_factory=list[str])  # read, yet not in job state
    pending: int = 0  # accepted, and their run is under way
    unwritten: int = 0  # accepted by a run that has ended, and never written
    unlinked: int = 0  # loaded, without an order that is itself not loaded

    def notes(self) -> list[str]:
        """Sentences to print with the list."""
        told: list[str] = []
        if self.unknown_days:
            first, last = self.unknown_days[0], self.unknown_days[-1]
            days = "1 day" if len(self.unknown_days) == 1 else f"{len(self.unknown_days)} days"
            told.append(
                f"job state knows nothing of {days} that were read ({first} to {last}), as after "
                "losing Redis: their rejections are listed as they were last judged. Run these "
                f"days again to rebuild it: nsn sync --from {first} --to {last}"
            )
        if self.pending:
            told.append(
                f"{self.pending:,} accepted documents are not written yet: their run is under way"
            )
        if self.unwritten:
            told.append(
                f"{self.unwritten:,} accepted documents were never written: their run ended before "
                "its load. The sensor replay_cured runs their days again; by hand: nsn replay"
            )
        if self.unlinked:
            are = "document is" if self.unlinked == 1 else "documents are"
            told.append(
                f"{self.unlinked:,} {are} loaded without the link to an order that is not loaded; "
                "once it is, a replay links them"
            )
        return told


def open_rejections(
    connections: Connections, instance: dg.DagsterInstance, *, finishing: str = ""
) -> OpenList:
    """Every document that may not be written or could not be, of all record types and days.

    `finishing` is a run whose loads are done: what it left pending is never written.
    """
    now = open_documents(connections.job_state, RunsKnown(instance), finishing=finishing)
    found = OpenList(
        pending=now.under_way, unwritten=len(now.unwritten), unlinked=len(now.unlinked)
    )
    unknown: set[str] = set()
    for names in CONFORMED.values():
        by_day: dict[str, list[DocumentState]] = defaultdict(list)
        for state in now.refused:
            if state.record_type == names.record_type:
                by_day[state.partition].append(state)
        for day in sorted(by_day):
            found.rejections.extend(_described(connections.landing, names, day, by_day[day]))
        lost = list(_not_in_state(connections, names))
        found.rejections.extend(rejection for _, rejections in lost for rejection in rejections)
        unknown.update(day for day, _ in lost if day)
    found.unknown_days = sorted(unknown)
    return found


def _described(
    landing: Landing, names: Conformed, day: str, states: Sequence[DocumentState]
) -> Iterator[Rejection]:
    rejected = {s.document_id for s in states if s.status is Status.REJECTED}
    failed = {s.document_id for s in states if s.status is Status.FAILED}
    told = _problems(landing, names.path("problems"), day, rejected)
    told |= _problems(landing, load_problems_path(names), day, failed)
    for state in states:
        since = state.failing_since or state.updated_at
        rows = told.get(state.document_id, [])
        status = _OPEN[state.status]
        yield (
            _rejection(names.record_type, status, day, since, state.run_id, rows)
            if rows
            else (
                Rejection(
                    record_type=names.record_type,
                    document_id=state.document_id,
                    status=status,
                    day=day,
                    since=since,
                    run_id=state.run_id,
                    problems=tuple(_bare(state)),
                )
            )
        )


def _not_in_state(
    connections: Connections, names: Conformed
) -> Iterator[tuple[str, list[Rejection]]]:
    """Days that were read and judged but of which job state holds no document, the newest first."""
    landing, path = connections.landing, names.path("documents")
    days = [day or "" for day in landing.partitions(path)]
    sizes = connections.job_state.partition_sizes(names.record_type, days)
    seen: set[str] = set()
    for day in sorted((day for day, size in sizes.items() if not size), reverse=True):
        if not landing.rows(path, day or None):
            continue
        documents = records_of(landing.read(path, day or None), ("document_id", "status"))
        ids = {row["document_id"] or "" for row in documents} - seen
        lost = ids - set(connections.job_state.get_many(names.record_type, list(ids)))
        if not lost:
            continue  # all of them have moved on to other days
        seen |= lost
        rejected = {
            row["document_id"] or "" for row in documents if row["status"] == REJECTED
        } & lost
        yield day, list(_as_last_judged(landing, names, day, lost, rejected))


def _as_last_judged(
    landing: Landing, names: Conformed, day: str, lost: set[str], rejected: set[str]
) -> Iterator[Rejection]:
    sources: list[tuple[tuple[str, ...], OpenStatus, set[str]]] = [
        (names.path("problems"), "rejected", rejected),
        (load_problems_path(names), "failed", lost - rejected),
    ]
    for path, status, ids in sources:
        told = _problems(landing, path, day, ids)
        if told:
            run_id = landing.tags(path, day or None).get("run_id", "")
            since = landing.written_at(path, day or None)
            for rows in told.values():
                yield _rejection(names.record_type, status, day, since, run_id, rows)


def _problems(
    landing: Landing, path: Sequence[str], day: str, ids: Iterable[str]
) -> dict[str, list[dict[str, Any]]]:
    """Problem rows of these documents, by document."""
    wanted = {identifier or None for identifier in ids}
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    if wanted and landing.rows(path, day or None):
        frame = landing.read(path, day or None)
        for row in records_of(rows_with(frame, "document_id", wanted)):
            found[row["document_id"] or ""].append(row)
    return found


def _rejection(  # noqa: PLR0917 - what a state knows, then what the files know
    record_type: str,
    status: OpenStatus,
    day: str,
    since: datetime,
    run_id: str,
    rows: Sequence[Mapping[str, Any]],
) -> Rejection:
    first = rows[0]
    return Rejection(
        record_type=record_type,
        document_id=first["document_id"] or "",
        status=status,
        day=day,
        since=since,
        run_id=run_id,
        problems=tuple(
            Problem(
                Reason(row["reason"]),
                row["line_id"],
                row["column"] or "",
                row["value"],
                row["remedy"],
                row["reference"],
            )
            for row in rows
        ),
        tranid=first["tranid"] or "",
        vendor=first["vendor"] or "",
        subsidiary=first["subsidiary"] or "",
        amount=first["amount"],
        currency=first["currency"] or "",
        url=first["url"] or "",
    )


def _bare(state: DocumentState) -> Iterator[Problem]:
    """Problems as far as job state knows them: a reason, and what it waits for if that fits."""
    for reason in state.reasons or (Reason.OUTCOME_UNKNOWN,):
        fitting = [
            reference
            for reference in state.references
            if reason.endswith(f"_{reference.partition(':')[0].upper()}")
        ]
        for reference in fitting or [None]:
            yield Problem(Reason(reason), None, "", None, _NO_DETAILS, reference)
