"""Load assets: what was accepted, written to ServiceNow and proven there.

Order: suppliers, purchase orders with lines, invoices with lines, GL postings; the dimensions on
their own. What is loaded together is `loading`'s to say, what is told of it `load_outcome`'s.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from nsn_pipeline.audit.trail_privacy import Privacy
from nsn_pipeline.connections import Connections
from nsn_pipeline.load.drift import Drift
from nsn_pipeline.load.whole import DocumentRow
from nsn_pipeline.orchestration.assets import conformed, deletions, netsuite
from nsn_pipeline.orchestration.assets.conformed import CONFORMED, Conformed
from nsn_pipeline.orchestration.assets.load_outcome import (
    LINKS_CHECK,
    WRITTEN_CHECK,
    Tally,
    count,
    figures_of,
    links_check,
    record_documents,
    totals_of,
    written_check,
)
from nsn_pipeline.orchestration.assets.loading import Loading, days_of_documents
from nsn_pipeline.orchestration.assets.retiring import (
    DESCRIPTION,
    RETIRED_CHECK,
    Retiring,
    allowed,
    retired_check,
)
from nsn_pipeline.orchestration.interpreter import set_up_for_loading
from nsn_pipeline.orchestration.load_problems import (
    land_differences,
    land_links,
    land_load_problems,
)
from nsn_pipeline.orchestration.moved import Moved
from nsn_pipeline.orchestration.plan_report import (
    AGREE_CHECK,
    AGREE_DESCRIPTION,
    agree_check,
    compares,
    drift_of,
)
from nsn_pipeline.orchestration.planning import approved_changes
from nsn_pipeline.orchestration.reporting import (
    CheckFigures,
    report_checks,
    report_partition,
    report_totals,
    target_columns,
)
from nsn_pipeline.orchestration.resources import OWNERS, SystemsResource
from nsn_pipeline.orchestration.snapshots import landed_decimals
from nsn_pipeline.orchestration.trail import TRAIL_METADATA, end_note, record_load
from nsn_pipeline.profiles.model import Profile, Target

GROUP = "servicenow_load"
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


def _load(
    daily: dg.DailyPartitionsDefinition, profile: Profile, names: Conformed
) -> dg.AssetsDefinition:
    target = profile.targets[names.record_type]
    privacy = Privacy.of(profile)
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
        with systems.opened_to_write(context) as connections, set_up_for_loading():
            home = connections.settings.project.home
            connections.loader.limit_to(approved_changes(context.run, home))
            retiring = None
            if not names.unpartitioned:
                retiring = Retiring(connections, target, names, allowed=allowed(context))
            moved = retiring.moved if retiring else Moved(connections, names)
            tally = _load_days(
                connections,
                target,
                names,
                days,
                moved=moved,
                retiring=retiring,
                may_retire=allowed(context),
            )
            trail_end = end_note(connections.trail)
            decimals = landed_decimals(connections.landing)
            drifted = {day: _drifted(connections, names, tally, day) for day in days}
        for day in days:
            for asset_key in keys:
                table = asset_key.path[-1]
                told = tally.reports[day][table].metadata(table, privacy)
                figures = figures_of(tally, asset_key, day)
                left = {} if day is None else {"superseded": len(moved.by_day[day])}
                metadata = {**figures, **left, **told, TRAIL_METADATA: trail_end}
                report_partition(context, asset_key, day, metadata)
        for asset_key in keys:
            totals = totals_of(tally, asset_key)
            report_totals(context, asset_key, {**totals, "batch_calls": tally.calls})
        yield from (dg.MaterializeResult(asset_key=asset_key) for asset_key in keys)
        checks = {
            day: [
                written_check(tally, target, day, decimals),
                links_check(tally, day, decimals),
                *([agree_check(*drifted[day], privacy)] if compares(target) else []),
                *([] if day is None else [_retired(tally, day, decimals)]),
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
    may_retire: int,
) -> Tally:
    tally = Tally()

    def ended(rows: Sequence[DocumentRow], day_of: Mapping[str, str | None]) -> None:
        record_load(connections, names.record_type, rows, day_of)
        record_documents(connections, names.record_type, rows, day_of, moved)

    loading = Loading(
        *(connections, target, names, connections.resolver(), moved, may_retire), on_whole=ended
    )
    for group, result in loading.groups(days):
        headers = pd.concat([headers for _, headers, _ in group])
        day_of = days_of_documents(headers)
        waiting = retiring.waiting(result, day_of) if retiring else set[str]()
        count(tally, result, group)
        for day, _, _ in group:
            tally.failed[day] = land_load_problems(connections, names, day, tally.failures[day])
        later = waiting.union(result.told)
        ended([row for row in result.documents if row.document_id not in later], day_of)
    if retiring is not None:
        _retire(connections, names, retiring, days, tally)
    for day in days:
        tally.links[day] = land_links(connections, names, day, tally.unlinked[day])
        if day not in tally.by_day:  # nothing to load: nothing of it can fail any more
            land_load_problems(connections, names, day, tally.failures[day])
    return tally


def _retire(
    connections: Connections,
    names: Conformed,
    retiring: Retiring,
    days: Sequence[str | None],
    tally: Tally,
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
    record_documents(connections, names.record_type, rows, day_of, retiring.moved)
    for row, day in result.documents:
        if row.status == "failed":
            others = [one for one in tally.failures[day] if one.document_id != row.document_id]
            tally.failures[day] = [*others, row]
    for day in {day for row, day in result.documents if row.status == "failed"}:
        tally.failed[day] = land_load_problems(connections, names, day, tally.failures[day])


def _drifted(
    connections: Connections, names: Conformed, tally: Tally, day: str | None
) -> tuple[Drift, Path | None]:
    drift = drift_of(tally.reports[day].values())
    return drift, land_differences(connections, names, day, drift.differences)


def _retired(tally: Tally, day: str, decimals: Mapping[str, int]) -> CheckFigures:
    return retired_check(tally.retiring, day, tally.failed.get(day), decimals)


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
