"""The plan asset: what a sync of these days would change in ServiceNow. It writes nothing there.

It does what the load assets do up to the point of sending, in the same order and with one resolver,
so that a bill may refer to a vendor that is only planned: its sys_id is known beforehand.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import orjson
import pandas as pd
import pyarrow as pa

from nsn_pipeline.audit.trail_privacy import Privacy
from nsn_pipeline.conform.reasons import Problem
from nsn_pipeline.connections import Connections
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.landing import Landing
from nsn_pipeline.load.documents import DocumentResult
from nsn_pipeline.load.ledger import LoadResult
from nsn_pipeline.load.plan_document import WRITING
from nsn_pipeline.load.resolver import Resolver
from nsn_pipeline.load.whole import DocumentRow
from nsn_pipeline.orchestration.assets import conformed, deletions, netsuite
from nsn_pipeline.orchestration.assets.conformed import CONFORMED, Conformed
from nsn_pipeline.orchestration.assets.loading import Day, Loading, days_of_documents
from nsn_pipeline.orchestration.assets.retiring import Retiring, allowed
from nsn_pipeline.orchestration.moved import Moved
from nsn_pipeline.orchestration.plan_report import ChangeReport, change_table, sample_of
from nsn_pipeline.orchestration.planning import PLAN_GROUP, PLAN_KEY
from nsn_pipeline.orchestration.reporting import report_partition, report_totals, text_columns
from nsn_pipeline.orchestration.resources import OWNERS, SystemsResource
from nsn_pipeline.profiles.model import Profile

COLUMNS = ("table", "kind", "key", "document_id", "sys_id", "values", "before", "converted")
_SCHEMA = pa.schema([(name, pa.string()) for name in COLUMNS])
KINDS = ("create", "update", "retire", "unchanged", "skipped", "failed")


@dataclass(frozen=True, slots=True)
class _Run:
    """What all record types of one run share."""

    days: Sequence[str]
    resolver: Resolver
    allowed: int  # records of a table it may retire whatever the brake says


@dataclass(slots=True)
class _Planned:
    """What was found, per day and table; `kinds` holds every record of the run once."""

    reports: dict[str | None, dict[str, ChangeReport]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(ChangeReport))
    )
    kinds: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    failing: dict[tuple[str, str], dict[str, Any]] = field(
        default_factory=dict[tuple[str, str], dict[str, Any]]
    )
    superseded: dict[str | None, dict[str, set[str]]] = field(  # documents by record type
        default_factory=lambda: defaultdict(dict)
    )
    differs: dict[str, dict[str, set[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(set))
    )


def planned_path(record_type: str) -> tuple[str, ...]:
    """Where the planned changes of a record type land, a file per day."""
    return ("plan", record_type)


def plan_assets(daily: dg.DailyPartitionsDefinition, profile: Profile) -> list[dg.AssetsDefinition]:
    """The one asset that plans all record types."""
    privacy = Privacy.of(profile)

    @dg.asset(
        key=PLAN_KEY,
        partitions_def=daily,
        deps=[
            *(conformed.key(names.asset) for names in CONFORMED.values()),
            netsuite.key(deletions.DELETED),
            netsuite.key(deletions.UNPOSTED),
        ],
        group_name=PLAN_GROUP,
        kinds={"servicenow", "parquet"},
        owners=OWNERS,
        description=(
            "What a sync of the day would create, update and retire in ServiceNow, with old and "
            "new values. Nothing is written there. `nsn plan` prints it."
        ),
        metadata={"dagster/column_schema": text_columns(COLUMNS)},
    )
    def changes(
        context: dg.AssetExecutionContext, systems: SystemsResource
    ) -> dg.MaterializeResult[Any]:
        days = context.partition_keys
        planned = _Planned()
        # The pre-flight belongs to it: a plan that could not be carried out would mislead.
        with systems.opened_to_write(context) as connections:
            run = _Run(days, connections.resolver(), allowed(context))
            for names in _judged(context.run):
                _plan(connections, profile, names, run, planned)
        for day in days:
            report_partition(context, PLAN_KEY, day, _metadata(planned, day, privacy))
        report_totals(context, PLAN_KEY, _totals(planned))
        return dg.MaterializeResult()

    return [changes]


def _judged(run: dg.DagsterRun) -> list[Conformed]:
    """The record types this run judges: it may be limited to some of them.

    Told by what was asked for, never by the files: a file that another run overwrote meanwhile is
    refused where it is read, and not taken for a record type that nobody wanted.
    """
    chosen = run.asset_selection
    judged = [
        names for names in CONFORMED.values() if not chosen or conformed.key(names.asset) in chosen
    ]
    if not judged:
        raise ConfigurationError(
            "there is nothing to plan: this run judges no record type. Run the job plan_changes, "
            "or `nsn plan`"
        )
    return judged


def _plan(
    connections: Connections,
    profile: Profile,
    names: Conformed,
    run: _Run,
    planned: _Planned,
) -> None:
    target = profile.targets[names.record_type]
    partitions: Sequence[str | None] = [None] if names.unpartitioned else run.days
    rows: dict[str | None, list[dict[str, str]]] = {day: [] for day in partitions}
    privacy = Privacy.of(profile)
    retiring = None
    if not names.unpartitioned:
        retiring = Retiring(connections, target, names, allowed=run.allowed, plan_only=True)
    moved = retiring.moved if retiring else Moved(connections, names)
    loading = Loading(connections, target, names, run.resolver, moved, run.allowed, plan_only=True)
    for group, result in loading.groups(partitions):
        _take_in_group(planned, group, result, rows)
        if retiring is not None:
            headers = pd.concat([headers for _, headers, _ in group])
            retiring.waiting(result, days_of_documents(headers))
        _note_failures(planned, names.record_type, result.documents, privacy)
    if retiring is not None:
        gone = retiring.carry_out(run.days)
        for table in gone.tables:
            for day, keys in gone.keys_by_day(table).items():
                rows[day].extend(_take_in(planned, day, table, keys))
        ended = [row for row, _ in gone.documents]
        _note_failures(planned, names.record_type, ended, privacy)
    for day, documents in moved.by_day.items():
        planned.superseded[day][names.record_type] = documents
    for day, found in rows.items():
        _land(connections.landing, names, day, found, connections.run_id)


def _take_in_group(
    planned: _Planned,
    group: Sequence[Day],
    result: DocumentResult,
    rows: dict[str | None, list[dict[str, str]]],
) -> None:
    for day, headers, lines in group:
        for table_result, frame in zip(result.tables, (headers, lines), strict=False):
            if frame is not None:
                rows[day].extend(_take_in(planned, day, table_result, list(frame["_key"])))


def _take_in(
    planned: _Planned, day: str | None, result: LoadResult, keys: Sequence[str]
) -> Iterator[dict[str, str]]:
    """Count a day's records of one table; gives the rows to land."""
    planned.reports[day][result.table].add(result, keys)
    changes = {change.key: change for change in result.plan.changes}
    for key in keys:
        record, change = result.records.get(key), changes.get(key)
        if record is None:  # lines of a header that cannot be written: the document is `failed`
            continue
        kind = "failed" if record.status == "failed" or change is None else change.kind
        planned.kinds[result.table, key] = kind
        for difference in result.drift[key].differences if key in result.drift else ():
            planned.differs[result.table][difference.column].add(key)
        if change is not None and kind in WRITING:
            yield {
                "table": result.table,
                "kind": kind,
                "key": key,
                "document_id": change.document_id,
                "sys_id": change.sys_id,
                "values": orjson.dumps(change.values).decode(),
                "before": orjson.dumps(change.before).decode(),
                "converted": orjson.dumps(change.converted).decode(),
            }


def _land(
    landing: Landing, names: Conformed, day: str | None, rows: list[dict[str, str]], run_id: str
) -> None:
    table = pa.Table.from_pylist(rows, schema=_SCHEMA)
    landing.write(
        planned_path(names.record_type), day, [table], schema=_SCHEMA, tags={"run_id": run_id}
    )


def _note_failures(
    planned: _Planned, record_type: str, documents: Iterable[DocumentRow], privacy: Privacy
) -> None:
    for row in documents:
        if row.status == "failed":
            planned.failing[record_type, row.document_id] = {
                "record_type": record_type,
                "document_id": row.document_id,
                "reasons": sorted({str(problem.reason) for problem in row.problems}),
                "remedy": " ".join(dict.fromkeys(_remedy(one, privacy) for one in row.problems)),
            }


def _remedy(problem: Problem, privacy: Privacy) -> str:
    _, remedy = privacy.problem(problem.column, problem.value, problem.remedy)
    return remedy


def _metadata(planned: _Planned, day: str, privacy: Privacy) -> dict[str, Any]:
    reports = planned.reports[day]
    superseded = planned.superseded[day]
    kinds: Counter[str] = Counter()
    for report in reports.values():
        kinds.update(report.kinds)
    told: dict[str, Any] = {
        "dagster/row_count": sum(kinds[kind] for kind in WRITING),
        **{kind: kinds[kind] for kind in KINDS if kind != "failed"},
        "superseded": sum(map(len, superseded.values())),
        "plan": dg.MetadataValue.json(
            {table: report.summary() for table, report in sorted(reports.items())}
        ),
    }
    if sample := sample_of(reports, privacy):
        told["changes"] = change_table([{"table": table, **row} for table, row in sample])
    return told


def _totals(planned: _Planned) -> dict[str, Any]:
    """Counts over the whole run; a record met on several days counts once."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for (table, _), kind in planned.kinds.items():
        counts[table][kind] += 1
    totals = sum(counts.values(), Counter[str]())
    superseded: dict[str, set[str]] = defaultdict(set)
    for by_type in planned.superseded.values():
        for record_type, documents in by_type.items():
            superseded[record_type] |= documents
    return {
        **{kind: totals[kind] for kind in KINDS},
        "counts": dg.MetadataValue.json({table: dict(of) for table, of in counts.items()}),
        "failing": dg.MetadataValue.json(list(planned.failing.values())),
        "superseded": dg.MetadataValue.json(
            {record_type: sorted(documents) for record_type, documents in superseded.items()}
        ),
        "differs": dg.MetadataValue.json(
            {
                f"{table}.{column}": len(keys)
                for table, columns in planned.differs.items()
                for column, keys in columns.items()
            }
        ),
    }


def read_planned(
    landing: Landing, record_type: str, day: str | None, run_ids: Sequence[str]
) -> pd.DataFrame | None:
    """The changes one of these runs planned for a day; None when none of them did."""
    path = planned_path(record_type)
    if landing.tags(path, day).get("run_id") not in run_ids:
        return None
    return landing.read(path, day)
