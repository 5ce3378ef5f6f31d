"""What became of a load step's documents: counted per table and day, recorded, and checked."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dagster as dg

from nsn_pipeline.connections import Connections
from nsn_pipeline.load.documents import DocumentResult
from nsn_pipeline.load.whole import DocumentRow
from nsn_pipeline.orchestration.assets.loading import Day
from nsn_pipeline.orchestration.assets.retiring import RetiringResult
from nsn_pipeline.orchestration.moved import Moved
from nsn_pipeline.orchestration.plan_report import ChangeReport
from nsn_pipeline.orchestration.reporting import CheckFigures, Listed
from nsn_pipeline.profiles.model import Target
from nsn_pipeline.state.job_state import DocumentState, Status

WRITTEN_CHECK = "all_written"
LINKS_CHECK = "links_complete"

# A row that vanished from ServiceNow between the gate and the load is left for the next run.
_STATUS = {
    "loaded": Status.LOADED,
    "retired": Status.RETIRED,
    "failed": Status.FAILED,
    "skipped": Status.PENDING,
}


@dataclass(slots=True)
class Tally:
    """Counts per table and day, and for the run as a whole."""

    totals: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    by_day: dict[str | None, dict[str, Counter[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Counter))
    )
    reports: dict[str | None, dict[str, ChangeReport]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(ChangeReport))
    )
    failures: dict[str | None, list[DocumentRow]] = field(default_factory=lambda: defaultdict(list))
    # Per day and table: columns of ServiceNow's own that new records are without
    untaken: dict[str | None, dict[str, Counter[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Counter))
    )
    unlinked: dict[str | None, list[DocumentRow]] = field(default_factory=lambda: defaultdict(list))
    # The same as they landed, for the checks' tables
    failed: dict[str | None, Listed | None] = field(default_factory=dict[str | None, Listed | None])
    links: dict[str | None, Listed | None] = field(default_factory=dict[str | None, Listed | None])
    calls: int = 0
    retiring: RetiringResult = field(default_factory=RetiringResult)


def count(tally: Tally, result: DocumentResult, group: Sequence[Day]) -> None:
    rows = {row.document_id: row for row in result.documents}
    for table_result, of_lines in zip(result.tables, (False, True), strict=False):
        counts = {k: v for k, v in table_result.counts().items() if v}
        tally.totals[table_result.table].update(counts)
        tally.calls += table_result.calls
        untaken = table_result.untaken()
        for day, headers, lines in group:
            frame = lines if of_lines else headers
            assert frame is not None  # noqa: S101 - a second table is there only with lines
            records = table_result.records
            tally.reports[day][table_result.table].add(table_result, frame["_key"])
            tally.by_day[day][table_result.table].update(
                records[key].status for key in frame["_key"] if key in records
            )
            for column, keys in untaken.items():
                here = sum(key in keys for key in frame["_key"])
                tally.untaken[day][table_result.table][column] += here
    for day, headers, _ in group:
        failed = {d for d in headers["_document_id"] if rows[d].status == "failed"}
        tally.failures[day].extend(rows[document_id] for document_id in sorted(failed))
        noted = {d for d in headers["_document_id"] if rows[d].notes} - failed
        tally.unlinked[day].extend(rows[document_id] for document_id in sorted(noted))


def record_documents(
    connections: Connections,
    record_type: str,
    documents: Iterable[DocumentRow],
    day_of: Mapping[str, str | None],
    moved: Moved,
) -> None:
    now = datetime.now(UTC)
    connections.job_state.record(
        DocumentState(
            record_type=record_type,
            document_id=row.document_id,
            status=_STATUS[row.status],
            partition=day_of[row.document_id] or "",
            run_id=connections.run_id,
            updated_at=now,
            reasons=tuple(sorted({str(problem.reason) for problem in row.problems})),
            references=_references(row),
            content_hash=row.content_hash,
            sys_id=row.sys_id,
            as_of=None
            if row.status == "retired"
            else moved.as_of(row.document_id, day_of[row.document_id]),
        )
        for row in documents
    )


def _references(row: DocumentRow) -> tuple[str, ...]:
    """A document that was loaded without a link waits for it, too: replay finds it by that."""
    if not row.problems and not row.waits_for:
        return ()
    return tuple(sorted({*row.waits_for, *(p.reference for p in row.problems if p.reference)}))


def written_check(
    tally: Tally, target: Target, day: str | None, decimals: Mapping[str, int]
) -> CheckFigures:
    """Whether all of a day is in ServiceNow; `decimals` are those of each currency."""
    failed, told = tally.failures.get(day, []), tally.failed.get(day)
    counts = tally.by_day[day][target.table]
    shown = told.shown if told else ""
    return CheckFigures(
        WRITTEN_CHECK,
        passed=not failed,
        description=(
            f"{len(failed)} of {counts.total()} documents could not be written whole{shown}"
        ),
        metadata={
            "failed": len(failed),
            **counts,
            **(told.metadata(decimals) if told else {}),
        },
    )


def links_check(tally: Tally, day: str | None, decimals: Mapping[str, int]) -> CheckFigures:
    """Whether a day's documents have all their links."""
    unlinked, told = tally.unlinked.get(day, []), tally.links.get(day)
    shown = told.shown if told else ""
    return CheckFigures(
        LINKS_CHECK,
        passed=not unlinked,
        description=f"{len(unlinked)} documents have a link that could not be set yet{shown}",
        metadata={"unlinked": len(unlinked), **(told.metadata(decimals) if told else {})},
    )


def figures_of(tally: Tally, asset_key: dg.AssetKey, day: str | None) -> dict[str, int | str]:
    table = asset_key.path[-1]
    gone = {} if day is None else tally.retiring.figures(table, day)
    counts = _counts(tally.by_day[day].get(table, Counter()))
    return {**counts, **gone, **_notes(table, tally.untaken[day][table])}


def totals_of(tally: Tally, asset_key: dg.AssetKey) -> dict[str, int | str]:
    table = asset_key.path[-1]
    untaken = sum((of_day[table] for of_day in tally.untaken.values()), Counter[str]())
    counts = _counts(tally.totals.get(table, Counter()))
    return {**counts, **tally.retiring.figures(table), **_notes(table, untaken)}


def _notes(table: str, untaken: Mapping[str, int]) -> dict[str, str]:
    """No failure, as these columns are ServiceNow's: and nobody would ever look at them again."""
    told = [
        f"{table}.{column} is empty in {number:,} new {'record' if number == 1 else 'records'} "
        "that were given a value: let the role write and read it, or take it out of the profile"
        for column, number in sorted(untaken.items())
        if number
    ]
    return {"notes": "; ".join(told)} if told else {}


def _counts(counts: Counter[str]) -> dict[str, int]:
    names = ("created", "updated", "unchanged", "failed", "skipped")
    return {"dagster/row_count": counts.total(), **{name: counts[name] for name in names}}
