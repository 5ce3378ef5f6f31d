"""Load assets: what was accepted, written to ServiceNow and proven there.

Order: suppliers, purchase orders with lines, invoices with lines, GL postings; the dimensions on
their own. Days are loaded in groups, so that a long range fills its batches and still holds only a
few thousand documents in memory.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pandas as pd

from nsn_pipeline.connections import Connections
from nsn_pipeline.frames import records_of, rows_with
from nsn_pipeline.load.documents import DocumentResult, DocumentRow, load_documents
from nsn_pipeline.load.resolver import Resolver
from nsn_pipeline.orchestration.assets import conformed, deletions, netsuite
from nsn_pipeline.orchestration.assets.conformed import CONFORMED, Conformed
from nsn_pipeline.orchestration.assets.retiring import (
    DESCRIPTION,
    RETIRED_CHECK,
    Retiring,
    RetiringResult,
    allowed,
    retired_check,
)
from nsn_pipeline.orchestration.load_problems import land_load_problems
from nsn_pipeline.orchestration.moved import Moved
from nsn_pipeline.orchestration.plan_report import (
    AGREE_CHECK,
    AGREE_DESCRIPTION,
    ChangeReport,
    agree_check,
    compares,
)
from nsn_pipeline.orchestration.planning import approved_changes
from nsn_pipeline.orchestration.rare_collections import rare_collections
from nsn_pipeline.orchestration.reporting import (
    TABLE_ROWS,
    CheckFigures,
    report_checks,
    report_partition,
    report_totals,
    target_columns,
)
from nsn_pipeline.orchestration.resources import OWNERS, SystemsResource
from nsn_pipeline.orchestration.trail import TRAIL_METADATA, end_note, record_load
from nsn_pipeline.profiles.model import Profile, Target
from nsn_pipeline.state.job_state import DocumentState, Status

GROUP = "servicenow_load"
GROUP_DOCUMENTS = 4_000  # documents loaded together; bounds memory, and is far above a batch
WRITTEN_CHECK = "all_written"
LINKS_CHECK = "links_complete"
AFTER = {
    "purchase_order": ("vendor",),
    "vendor_bill": ("vendor", "purchase_order"),
    "gl_posting": ("vendor", "vendor_bill"),
}


def table_key(table: str) -> dg.AssetKey:
    """The asset key of a ServiceNow table."""
    return dg.AssetKey(["servicenow", table])


def load_keys(target: Target) -> list[dg.AssetKey]:
    """The assets a target's documents land in: its table, and its lines' table."""
    lines = [table_key(target.lines.table)] if target.lines else []
    return [table_key(target.table), *lines]


def loaded_by_day(profile: Profile) -> list[dg.AssetKey]:
    """The partitioned tables of headers: a day is through when all of them are."""
    return [
        table_key(profile.targets[names.record_type].table)
        for names in CONFORMED.values()
        if not names.unpartitioned
    ]


def servicenow_assets(
    daily: dg.DailyPartitionsDefinition, profile: Profile
) -> list[dg.AssetsDefinition]:
    """One load per record type of the profile."""
    return [_load(daily, profile, names) for names in CONFORMED.values()]


Day = tuple[str | None, pd.DataFrame, pd.DataFrame | None]  # accepted headers and lines

# A row that vanished from ServiceNow between the gate and the load is left for the next run.
_STATUS = {
    "loaded": Status.LOADED,
    "retired": Status.RETIRED,
    "failed": Status.FAILED,
    "skipped": Status.PENDING,
}


@dataclass(slots=True)
class _Tally:
    """Counts per table and day, and for the run as a whole."""

    totals: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    by_day: dict[str | None, dict[str, Counter[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Counter))
    )
    reports: dict[str | None, dict[str, ChangeReport]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(ChangeReport))
    )
    failures: dict[str | None, list[DocumentRow]] = field(default_factory=lambda: defaultdict(list))
    unlinked: dict[str | None, list[DocumentRow]] = field(default_factory=lambda: defaultdict(list))
    calls: int = 0
    retiring: RetiringResult = field(default_factory=RetiringResult)


def _load(
    daily: dg.DailyPartitionsDefinition, profile: Profile, names: Conformed
) -> dg.AssetsDefinition:
    target = profile.targets[names.record_type]
    keys = load_keys(target)
    partitions = None if names.unpartitioned else daily
    deps = [
        conformed.key(names.asset),
        *(
            table_key(profile.targets[earlier].table)
            for earlier in AFTER.get(names.record_type, ())
        ),
        *_deletions(names),
    ]

    @dg.multi_asset(
        name=f"servicenow_{names.asset}",
        specs=[
            dg.AssetSpec(
                asset_key,
                deps=deps,
                group_name=GROUP,
                kinds={"servicenow"},
                owners=OWNERS,
                description=_description(target, asset_key),
                metadata={"dagster/column_schema": target_columns(_part(target, asset_key))},
            )
            for asset_key in keys
        ],
        check_specs=[
            dg.AssetCheckSpec(
                WRITTEN_CHECK,
                asset=keys[0],
                partitions_def=partitions,
                description="Every accepted document is in ServiceNow, whole, or says why not.",
            ),
            dg.AssetCheckSpec(
                LINKS_CHECK,
                asset=keys[0],
                partitions_def=partitions,
                description=(
                    "No optional link was left empty because its record is not in ServiceNow yet "
                    "(a bill's order, say). Sensor `replay_cured` replays the day once it is."
                ),
            ),
            *(
                [
                    dg.AssetCheckSpec(
                        AGREE_CHECK,
                        asset=keys[0],
                        partitions_def=partitions,
                        description=AGREE_DESCRIPTION,
                    )
                ]
                if compares(target)
                else []
            ),
            *_retired_spec(keys[0], partitions),
        ],
        partitions_def=partitions,
    )
    def load(
        context: dg.AssetExecutionContext, systems: SystemsResource
    ) -> Iterator[dg.MaterializeResult[Any] | dg.Output[None]]:
        days: Sequence[str | None] = [None] if names.unpartitioned else context.partition_keys
        with systems.opened_to_write(context) as connections, rare_collections():
            home = connections.settings.project.home
            connections.loader.limit_to(approved_changes(context.run, home))
            retiring = None
            if not names.unpartitioned:
                retiring = Retiring(connections, target, names, allowed=allowed(context))
            moved = retiring.moved if retiring else Moved(connections, names)
            tally = _load_days(connections, target, names, days, moved=moved, retiring=retiring)
            trail_end = end_note(connections.trail)
        for day in days:
            for asset_key in keys:
                told = tally.reports[day][asset_key.path[-1]].metadata()
                figures = _figures(tally, asset_key, day)
                left = {} if day is None else {"superseded": len(moved.by_day[day])}
                metadata = {**figures, **left, **told, TRAIL_METADATA: trail_end}
                report_partition(context, asset_key, day, metadata)
        for asset_key in keys:
            totals = _totals(tally, asset_key)
            report_totals(context, asset_key, {**totals, "batch_calls": tally.calls})
        yield from (dg.MaterializeResult(asset_key=asset_key) for asset_key in keys)
        checks = {
            day: [
                _written_check(tally, target, day),
                _links_check(tally, day),
                *([agree_check(tally.reports[day].values())] if compares(target) else []),
                *([] if day is None else [retired_check(tally.retiring, day)]),
            ]
            for day in days
        }
        yield from report_checks(context, keys[0], checks)

    return load


def _load_days(
    connections: Connections,
    target: Target,
    names: Conformed,
    days: Sequence[str | None],
    *,
    moved: Moved,
    retiring: Retiring | None,
) -> _Tally:
    tally = _Tally()
    resolver = connections.resolver()
    for group, result in loaded_groups(
        connections, target, names, days, resolver=resolver, moved=moved
    ):
        headers = pd.concat([headers for _, headers, _ in group])
        day_of = days_of_documents(headers)
        waiting = retiring.waiting(result, day_of) if retiring else set[str]()
        _count(tally, result, group)
        for day, _, _ in group:
            land_load_problems(connections, names, day, tally.failures[day])
        ended = [row for row in result.documents if row.document_id not in waiting]
        record_load(connections, names.record_type, ended, day_of)
        _record(connections, names.record_type, ended, day_of, moved)
    if retiring is not None:
        _retire(connections, names, retiring, days, tally)
    for day in days:
        if day not in tally.by_day:  # nothing to load: nothing of it can fail any more
            land_load_problems(connections, names, day, tally.failures[day])
    return tally


def loaded_groups(
    connections: Connections,
    target: Target,
    names: Conformed,
    days: Sequence[str | None],
    *,
    resolver: Resolver,
    moved: Moved,
    plan_only: bool = False,
) -> Iterator[tuple[list[Day], DocumentResult]]:
    """Load (or plan) days in groups; gives each group with what became of it.

    Documents that changed in NetSuite since they were read are left out: `moved` counts them.
    """
    for read in _groups(connections, names, days):
        group = _without_moved(read, moved)
        headers = pd.concat([headers for _, headers, _ in group])
        # A vendor or a billed order may come with several days of the group: it is one record, as
        # it was read last, and its lines are those of the same read.
        once = headers.drop_duplicates("_key", keep="last")
        lines = None
        if names.has_lines:
            lines = pd.concat([part for _, _, part in group if part is not None])
            lines = _of_same_day(lines, once)
        yield (
            group,
            load_documents(
                connections.loader, target, once, lines, resolver=resolver, plan_only=plan_only
            ),
        )


def _without_moved(group: Sequence[Day], moved: Moved) -> list[Day]:
    left_out = moved.left_out([(day, headers) for day, headers, _ in group])
    return [
        (
            day,
            rows_with(headers, "_document_id", left_out.get(day or "", ()), inside=False),
            None
            if lines is None
            else rows_with(lines, "_document_id", left_out.get(day or "", ()), inside=False),
        )
        for day, headers, lines in group
    ]


def _retire(
    connections: Connections,
    names: Conformed,
    retiring: Retiring,
    days: Sequence[str | None],
    tally: _Tally,
) -> None:
    """What is gone goes last, when all that is wanted is there; then their documents have ended."""
    result = tally.retiring = retiring.carry_out([day for day in days if day is not None])
    tally.calls += result.calls
    for table in result.tables:
        for day, keys in result.keys_by_day(table).items():
            tally.reports[day][table.table].add(table, keys)
    rows = [row for row, _ in result.documents]
    day_of = {row.document_id: day for row, day in result.documents}
    record_load(connections, names.record_type, rows, day_of)
    for day, documents in result.newly.items():
        connections.recorder.retired(names.record_type, day, documents)
    _record(connections, names.record_type, rows, day_of, retiring.moved)
    for row, day in result.documents:
        if row.status == "failed":
            others = [one for one in tally.failures[day] if one.document_id != row.document_id]
            tally.failures[day] = [*others, row]
    for day in {day for row, day in result.documents if row.status == "failed"}:
        land_load_problems(connections, names, day, tally.failures[day])


def _deletions(names: Conformed) -> list[dg.AssetKey]:
    """What NetSuite says is gone; dimensions are never retired."""
    if names.unpartitioned:
        return []
    return [netsuite.key(deletions.DELETED), netsuite.key(deletions.UNPOSTED)]


def _retired_spec(
    asset_key: dg.AssetKey, partitions: dg.DailyPartitionsDefinition | None
) -> list[dg.AssetCheckSpec]:
    if partitions is None:
        return []
    return [
        dg.AssetCheckSpec(
            RETIRED_CHECK, asset=asset_key, partitions_def=partitions, description=DESCRIPTION
        )
    ]


def _of_same_day(lines: pd.DataFrame, headers: pd.DataFrame) -> pd.DataFrame:
    chosen = records_of(headers, ("_document_id", "_day"))
    days = {row["_document_id"]: row["_day"] for row in chosen}
    rows = records_of(lines, ("_document_id", "_day"))
    keep = [n for n, row in enumerate(rows) if days.get(row["_document_id"]) == row["_day"]]
    return lines.iloc[keep]


def _groups(
    connections: Connections, names: Conformed, days: Sequence[str | None]
) -> Iterator[list[Day]]:
    group: list[Day] = []
    held = 0
    for day in days:
        headers, lines = conformed.read_accepted(
            connections.landing, names, day, connections.run_id
        )
        if headers.empty:
            continue
        if group and held + len(headers) > GROUP_DOCUMENTS:
            yield group
            group, held = [], 0
        group.append((day, headers, lines))
        held += len(headers)
    if group:
        yield group


def _count(tally: _Tally, result: DocumentResult, group: Sequence[Day]) -> None:
    rows = {row.document_id: row for row in result.documents}
    for table_result, of_lines in zip(result.tables, (False, True), strict=False):
        counts = {k: v for k, v in table_result.counts().items() if v}
        tally.totals[table_result.table].update(counts)
        tally.calls += table_result.calls
        for day, headers, lines in group:
            frame = lines if of_lines else headers
            assert frame is not None  # noqa: S101 - a second table is there only with lines
            records = table_result.records
            tally.reports[day][table_result.table].add(table_result, frame["_key"])
            tally.by_day[day][table_result.table].update(
                records[key].status for key in frame["_key"] if key in records
            )
    for day, headers, _ in group:
        failed = {d for d in headers["_document_id"] if rows[d].status == "failed"}
        tally.failures[day].extend(rows[document_id] for document_id in sorted(failed))
        noted = {d for d in headers["_document_id"] if rows[d].notes}
        tally.unlinked[day].extend(rows[document_id] for document_id in sorted(noted))


def _record(
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


def _written_check(tally: _Tally, target: Target, day: str | None) -> CheckFigures:
    failed = tally.failures.get(day, [])
    counts = tally.by_day[day][target.table]
    documents = _table(
        {
            "document_id": row.document_id,
            "reason": "; ".join(sorted({str(p.reason) for p in row.problems})),
            "remedy": " ".join(p.remedy for p in row.problems),
        }
        for row in failed[:TABLE_ROWS]
    )
    return CheckFigures(
        WRITTEN_CHECK,
        passed=not failed,
        description=f"{len(failed)} of {counts.total()} documents could not be written whole",
        metadata={
            "failed": len(failed),
            **counts,
            "documents": documents,
        },
    )


def _links_check(tally: _Tally, day: str | None) -> CheckFigures:
    unlinked = tally.unlinked.get(day, [])
    documents = _table(
        {"document_id": row.document_id, "reason": "", "remedy": " ".join(row.notes)}
        for row in unlinked[:TABLE_ROWS]
    )
    return CheckFigures(
        LINKS_CHECK,
        passed=not unlinked,
        description=f"{len(unlinked)} documents have a link that could not be set yet",
        metadata={"unlinked": len(unlinked), "documents": documents},
    )


def _table(rows: Iterable[dict[str, str]]) -> dg.TableMetadataValue:
    schema = dg.TableSchema([dg.TableColumn(n) for n in ("document_id", "reason", "remedy")])
    return dg.MetadataValue.table([dg.TableRecord(row) for row in rows], schema=schema)


def _figures(tally: _Tally, asset_key: dg.AssetKey, day: str | None) -> dict[str, int]:
    table = asset_key.path[-1]
    gone = {} if day is None else tally.retiring.figures(table, day)
    return _counts(tally.by_day[day].get(table, Counter())) | gone


def _totals(tally: _Tally, asset_key: dg.AssetKey) -> dict[str, int]:
    table = asset_key.path[-1]
    return _counts(tally.totals.get(table, Counter())) | tally.retiring.figures(table)


def _counts(counts: Counter[str]) -> dict[str, int]:
    names = ("created", "updated", "unchanged", "failed", "skipped")
    return {"dagster/row_count": counts.total(), **{name: counts[name] for name in names}}


def _part(target: Target, asset_key: dg.AssetKey) -> Target:
    """The target of headers or of lines, whichever lands in the asset."""
    part = target if asset_key == table_key(target.table) else target.lines
    assert part is not None  # noqa: S101 - keys come from the target
    return part


def _description(target: Target, asset_key: dg.AssetKey) -> str:
    part = _part(target, asset_key)
    kept = (
        "records are created with a deterministic sys_id, or changed where they differ"
        if part.create
        else "rows that exist are kept in step; none is created"
    )
    return f"ServiceNow `{part.table}`, found by `{part.external_key}`: {kept}."


def days_of_documents(headers: pd.DataFrame) -> dict[str, str | None]:
    """The partition of each document; of several, the last."""
    rows = records_of(headers, ("_document_id", "_day"))
    return {row["_document_id"]: row["_day"] for row in rows}
