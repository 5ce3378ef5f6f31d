"""Conform assets: the gate. Every document becomes a wanted ServiceNow document, or a rejection
with all its reasons.

Up to five files per day and record type: the accepted headers and lines, the problems of the
rejected, one row per document read, and which accounts and cost centers they use. Rows in =
accepted + rejected, always; a check says so. Nothing is written to ServiceNow here.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pandas as pd

from nsn_pipeline.conform.conform import conform
from nsn_pipeline.conform.outcome import SKIPPED, Context, Documents, Outcome
from nsn_pipeline.connections import Connections
from nsn_pipeline.frames import records_of, rows_with, values_of
from nsn_pipeline.landing import Landing
from nsn_pipeline.orchestration import checks
from nsn_pipeline.orchestration.assets import mapping, netsuite, servicenow_reference
from nsn_pipeline.orchestration.reporting import (
    Listed,
    report_checks,
    report_partition,
    report_totals,
    target_columns,
)
from nsn_pipeline.orchestration.resources import OWNERS, SystemsResource
from nsn_pipeline.orchestration.snapshots import Snapshots
from nsn_pipeline.orchestration.trail import ages, record_verdict
from nsn_pipeline.profiles.model import Profile
from nsn_pipeline.records.registry import REGISTRY
from nsn_pipeline.state.job_state import DocumentState, Status
from nsn_pipeline.state.trail_index import Known

GROUP = "conform"


@dataclass(frozen=True, slots=True)
class Conformed:
    """One record type on its way through the gate: its asset, and the extract assets it reads."""

    record_type: str
    asset: str
    headers: str
    lines: str | None = None

    @property
    def has_lines(self) -> bool:
        return self.lines is not None

    @property
    def unpartitioned(self) -> bool:
        """Dimensions are snapshots, not days."""
        return REGISTRY[self.record_type].shape == "dimension"

    def path(self, part: str) -> tuple[str, ...]:
        """Where a part lands: `headers`, `lines`, `problems`, `documents` or `ledger`."""
        return ("conformed", self.asset, part)


CONFORMED: Mapping[str, Conformed] = {
    names.record_type: names
    for names in (
        Conformed("gl_account", "gl_accounts", "gl_accounts"),
        Conformed("cost_center", "cost_centers", "departments"),
        Conformed("vendor", "suppliers", "vendors"),
        Conformed("purchase_order", "purchase_orders", "purchase_orders", "purchase_order_lines"),
        Conformed("vendor_bill", "invoices", "vendor_bills", "vendor_bill_lines"),
        Conformed("gl_posting", "gl_postings", "gl_postings"),
    )
}


def key(asset: str) -> dg.AssetKey:
    """The asset key of a conformed asset."""
    return dg.AssetKey(["conformed", asset])


def conformed_assets(
    daily: dg.DailyPartitionsDefinition, profile: Profile
) -> list[dg.AssetsDefinition]:
    """One gate per record type."""
    return [_conformed(daily, profile, names) for names in CONFORMED.values()]


def read_accepted(
    landing: Landing, names: Conformed, day: str | None, run_id: str
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """What a day's gate let through in this run.

    Raises StaleInputError when it was another run: a payload that was judged earlier is never sent.
    """
    lines = landing.read(names.path("lines"), day, run_id=run_id) if names.has_lines else None
    return landing.read(names.path("headers"), day, run_id=run_id), lines


def stamps(record_type: str, headers: pd.DataFrame) -> dict[str, datetime | None]:
    """`as_of` of every document in an extract's headers; dimensions have none."""
    if "as_of" not in headers.columns:
        return {}
    column = "document_id" if REGISTRY[record_type].shape == "posting" else "internal_id"
    rows = records_of(headers, (column, "as_of"))
    return {row[column]: _instant(row["as_of"]) for row in rows}


def _instant(value: object) -> datetime | None:
    return value.to_pydatetime() if isinstance(value, pd.Timestamp) else None


@dataclass(slots=True)
class _Totals:
    """A run's figures; a document met on several days counts once, as it was met last."""

    status: dict[str, str] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        for row in records_of(outcome.documents, ("document_id", "status")):
            self.status[row["document_id"] or ""] = row["status"]
        self.reasons.update(outcome.reasons())

    def figures(self) -> dict[str, int]:
        counts = Counter(self.status.values())
        rejected = counts.pop("rejected", 0)
        return {"read": len(self.status), "accepted": counts.total(), "rejected": rejected}


def _conformed(
    daily: dg.DailyPartitionsDefinition, profile: Profile, names: Conformed
) -> dg.AssetsDefinition:
    asset_key = key(names.asset)
    partitions = None if names.unpartitioned else daily

    @dg.multi_asset(
        name=f"conformed_{names.asset}",
        specs=[
            dg.AssetSpec(
                asset_key,
                deps=_deps(names),
                group_name=GROUP,
                kinds={"pandera", "parquet"},
                owners=OWNERS,
                description=_description(profile, names),
                metadata={
                    "dagster/column_schema": target_columns(profile.targets[names.record_type])
                },
            )
        ],
        check_specs=checks.specs(names.record_type, asset_key, partitions),
        partitions_def=partitions,
    )
    def gate(
        context: dg.AssetExecutionContext, systems: SystemsResource
    ) -> Iterator[dg.MaterializeResult[Any] | dg.Output[None]]:
        days: Sequence[str | None] = [None] if names.unpartitioned else context.partition_keys
        results: dict[str | None, list[checks.CheckFigures]] = {}
        totals = _Totals()
        with systems.opened(context.run.run_id) as connections:
            snapshots = Snapshots(connections)
            for day in days:
                documents = _read(connections, snapshots, names, day)
                faults = checks.schema_faults(names.record_type, documents)
                if faults:
                    results[day] = checks.broken_schema(names.record_type, faults)
                    continue
                references = _context(connections, snapshots, names, day)
                target = profile.targets[names.record_type]
                outcome = conform(documents, target, references, profile)
                _land(connections, names, day, outcome)
                if not connections.is_plan:  # it changes nothing about where a document stands
                    stood = record_verdict(connections, day, outcome, references)
                    read = stamps(names.record_type, documents.headers)
                    _record(connections, names, day, outcome, stood=stood, read=read)
                totals.add(outcome)
                results[day] = checks.figures(
                    checks.Judged(
                        names.record_type,
                        documents,
                        outcome,
                        references,
                        decimals=snapshots.decimals(),
                        file=connections.landing.path(names.path("problems"), day),
                        asked=_asked(connections.landing, names, day),
                        ledger=_ledger(connections, names, day, documents, outcome, references),
                    )
                )
                report_partition(context, asset_key, day, _metadata(outcome))
        report_totals(context, asset_key, totals.figures())
        yield dg.MaterializeResult(asset_key=asset_key)
        yield from report_checks(context, asset_key, results)

    return gate


def _deps(names: Conformed) -> list[dg.AssetKey]:
    deps = [netsuite.key(names.headers), *([netsuite.key(names.lines)] if names.lines else [])]
    if names.record_type in {"vendor", "purchase_order", "vendor_bill", "gl_posting"}:
        deps.extend([netsuite.key("currencies"), netsuite.key("subsidiaries")])
    # All of them: a broken mapping file stops the run before its first write.
    deps.extend(mapping.key(kind) for kind in ("gl_account", "cost_center"))
    if names.unpartitioned:
        return [*deps, servicenow_reference.key(names.record_type)]
    if names.record_type == "vendor_bill":
        deps.append(netsuite.key("gl_postings"))
    if names.record_type != "vendor":
        deps.append(key("suppliers"))
    return deps


def _read(
    connections: Connections, snapshots: Snapshots, names: Conformed, day: str | None
) -> Documents:
    if names.unpartitioned:
        return Documents(snapshots.netsuite(names.headers))
    landing, run_id = connections.landing, connections.run_id
    lines = landing.read(("netsuite", names.lines), day, run_id=run_id) if names.lines else None
    return Documents(landing.read(("netsuite", names.headers), day, run_id=run_id), lines)


def _ledger(  # noqa: PLR0917 - what was read, what became of it, what it was judged by
    connections: Connections,
    names: Conformed,
    day: str | None,
    documents: Documents,
    outcome: Outcome,
    references: Context,
) -> Listed | None:
    """The day's bills that are not what the ledger has for them, kept like the gate's problems."""
    if names.record_type != "vendor_bill":
        return None
    landing, path = connections.landing, names.path("ledger")
    postings = landing.read(("netsuite", "gl_postings"), day, run_id=connections.run_id)
    problems = checks.ledger_problems(documents, outcome, postings, references)
    if len(problems) or landing.path(path, day).exists():
        landing.write_frame(path, day, problems, tags={"run_id": connections.run_id})
    return Listed(problems, landing.path(path, day)) if len(problems) else None


def _asked(landing: Landing, names: Conformed, day: str | None) -> int | None:
    """How many documents the extract asked NetSuite for; None where it did not count."""
    asked = landing.tags(("netsuite", names.headers), day).get("asked")
    return None if asked is None else int(asked)


def _context(
    connections: Connections, snapshots: Snapshots, names: Conformed, day: str | None
) -> Context:
    vendors, vendor_names = _suppliers(connections, names, day)
    return Context(
        accounts=snapshots.netsuite("gl_accounts"),
        departments=snapshots.netsuite("departments"),
        subsidiaries=snapshots.netsuite("subsidiaries"),
        currencies=snapshots.netsuite("currencies"),
        vendor_names=vendor_names,
        gl_crosswalk=snapshots.crosswalk("gl_account"),
        cc_crosswalk=snapshots.crosswalk("cost_center"),
        vendors=vendors,
        netsuite_ui=connections.netsuite_ui,
        base_currency=connections.settings.project.base_currency or snapshots.base_currency(),
    )


def _suppliers(
    connections: Connections, names: Conformed, day: str | None
) -> tuple[frozenset[str], dict[str, str]]:
    """The vendors this partition may refer to, and the names people know them by."""
    if names.unpartitioned or names.record_type == "vendor":
        return frozenset(), {}
    path = CONFORMED["vendor"].path("documents")
    documents = connections.landing.read(path, day, run_id=connections.run_id)
    rows = records_of(documents, ("document_id", "status", "vendor"))
    accepted = frozenset(row["document_id"] for row in rows if row["status"] != "rejected")
    return accepted, {row["document_id"]: row["vendor"] or "" for row in rows}


def _land(connections: Connections, names: Conformed, day: str | None, outcome: Outcome) -> None:
    parts = {
        "headers": outcome.headers,
        "lines": outcome.lines,
        "problems": outcome.problems,
        "documents": outcome.documents,
        "usage": outcome.usage,
    }
    for part, frame in parts.items():
        if frame is not None:
            tags = {"run_id": connections.run_id}
            connections.landing.write_frame(names.path(part), day, frame, tags=tags)


def _record(
    connections: Connections,
    names: Conformed,
    day: str | None,
    outcome: Outcome,
    *,
    stood: Mapping[str, Known],
    read: Mapping[str, datetime | None],
) -> None:
    """Accepted documents are pending until written; rejected ones say what they wait for.

    `stood` gives their ages back where Redis was lost. `read` is the version of each that was
    judged: where a later one was judged already, the state stays.
    """
    now = datetime.now(UTC)
    reasons: dict[str, set[str]] = {}
    references: dict[str, set[str]] = {}
    for problem in records_of(outcome.problems, ("document_id", "reason", "reference")):
        document_id = problem["document_id"]
        reasons.setdefault(document_id, set()).add(problem["reason"])
        if problem["reference"]:
            references.setdefault(document_id, set()).add(problem["reference"])
    rejected = set(outcome.rejected_ids)
    skipped = rows_with(outcome.documents, "status", {SKIPPED})
    nothing_to_write = set(values_of(skipped, "document_id"))
    connections.job_state.record(
        DocumentState(
            record_type=names.record_type,
            document_id=document_id,
            status=_status(document_id, rejected, nothing_to_write),
            partition=day or "",
            run_id=connections.run_id,
            updated_at=now,
            reasons=tuple(sorted(reasons.get(document_id, ()))),
            references=tuple(sorted(references.get(document_id, ()))),
            as_of=read.get(document_id),
            **ages(stood.get(document_id)),
        )
        for document_id in [*outcome.accepted_ids, *outcome.rejected_ids]
    )


def _status(
    document_id: str, rejected: Collection[str], nothing_to_write: Collection[str]
) -> Status:
    if document_id in rejected:
        return Status.REJECTED
    return Status.LOADED if document_id in nothing_to_write else Status.PENDING


def _metadata(outcome: Outcome) -> dict[str, dg.MetadataValue]:
    summary: dict[str, Any] = outcome.summary()
    numbers = {name: value for name, value in summary.items() if isinstance(value, int)}
    return {
        "dagster/row_count": dg.MetadataValue.int(len(outcome.headers)),
        **{name: dg.MetadataValue.int(value) for name, value in numbers.items()},
        "amounts": dg.MetadataValue.json(summary["amounts"]),
        "reasons": dg.MetadataValue.json(summary["reasons"]),
    }


def _description(profile: Profile, names: Conformed) -> str:
    target = profile.targets[names.record_type]
    return (
        f"`{names.headers}` as `{target.table}` should hold them, and the ones that may not be "
        "written, each with every reason and its remedy."
    )
