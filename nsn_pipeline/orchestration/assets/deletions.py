"""Extract assets of what is gone: deletions NetSuite recorded, transactions that post nothing.

Read per day like any change: a deletion belongs to the day of its `deleteddate`.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
import pyarrow as pa

from nsn_pipeline.connections import Connections
from nsn_pipeline.extract.deletions import (
    SCHEMA,
    UNPOSTED_SCHEMA,
    Deletion,
    deletion_table,
    read_deletions,
    read_unposted,
)
from nsn_pipeline.extract.window import Window
from nsn_pipeline.frames import records_of, values_of
from nsn_pipeline.landing import Landing
from nsn_pipeline.orchestration.assets.netsuite import GROUP, KINDS, key
from nsn_pipeline.orchestration.reporting import (
    CheckFigures,
    column_schema,
    report_checks,
    report_partition,
    report_totals,
)
from nsn_pipeline.orchestration.resources import OWNERS, SystemsResource
from nsn_pipeline.records.registry import REGISTRY

DELETED, UNPOSTED = "deleted_records", "unposted_transactions"
SEEN_CHECK = "deletions_seen"
GRANT = (
    "deletions in NetSuite are not seen: give the integration role the permission Lists > Deleted "
    "Records, then run the days again. Until then a deleted order, bill, posting or vendor stays "
    "in ServiceNow"
)


def deletion_assets(daily: dg.DailyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """What the load assets read to know what to retire."""
    return [_deletions(daily)]


def deleted_ids(landing: Landing, record_type: str, day: str, run_id: str) -> list[str]:
    """Records of this type that were deleted on the day, and that NetSuite does not find."""
    frame = landing.read(("netsuite", DELETED), day, run_id=run_id)
    rows = records_of(frame, ("record_id", "record_type", "is_gone"))
    return [r["record_id"] for r in rows if r["record_type"] == record_type and r["is_gone"]]


def unposted_ids(landing: Landing, day: str, run_id: str) -> list[str]:
    """Transactions of the day that NetSuite shows as not posting, or voided."""
    frame = landing.read(("netsuite", UNPOSTED), day, run_id=run_id)
    return values_of(frame, "document_id")


def _deletions(daily: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="netsuite_deletions",
        specs=[
            _spec(DELETED, SCHEMA, "Records NetSuite says were deleted on the day."),
            _spec(
                UNPOSTED,
                UNPOSTED_SCHEMA,
                "Transactions changed on the day that are not posting, or voided: what they posted "
                "before is gone.",
            ),
        ],
        check_specs=[
            dg.AssetCheckSpec(
                SEEN_CHECK,
                asset=key(DELETED),
                partitions_def=daily,
                description="The role sees deletions, and knows each one's kind of record.",
            )
        ],
        partitions_def=daily,
    )
    def deletions(
        context: dg.AssetExecutionContext, systems: SystemsResource
    ) -> Iterator[dg.MaterializeResult[Any] | dg.Output[None]]:
        window = Window.over(context.partition_keys, daily.timezone)
        types = REGISTRY["gl_posting"].transaction_types
        with systems.opened_to_read(context) as connections:
            client, project = connections.netsuite, connections.settings.project
            found = read_deletions(client, window, project.deleted_types)
            unposted = read_unposted(client, window, types)
            if found is None:
                client.note(GRANT)
            for day in window.days:
                of_day = [] if found is None else found[day]
                _land(context, connections, DELETED, day, deletion_table(of_day))
                silent = pa.table({"document_id": unposted[day]}, schema=UNPOSTED_SCHEMA)
                _land(context, connections, UNPOSTED, day, silent)
            notes = {"notes": "; ".join(client.notes)} if client.notes else {}
            rows = 0 if found is None else sum(map(len, found.values()))
            report_totals(context, key(DELETED), {"rows": rows, **notes})
        yield from (dg.MaterializeResult(asset_key=key(name)) for name in (DELETED, UNPOSTED))
        results: dict[str | None, list[CheckFigures]] = {
            day: [_seen(None if found is None else found[day])] for day in window.days
        }
        yield from report_checks(context, key(DELETED), results)

    return deletions


def _spec(name: str, schema: pa.Schema, description: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        key(name),
        group_name=GROUP,
        kinds=KINDS,
        owners=OWNERS,
        description=description,
        metadata={"dagster/column_schema": column_schema(schema, {})},
    )


def _land(
    context: dg.AssetExecutionContext,
    connections: Connections,
    name: str,
    day: str,
    table: pa.Table,
) -> None:
    tags = {"run_id": context.run.run_id}
    connections.landing.write(("netsuite", name), day, [table], schema=table.schema, tags=tags)
    report_partition(context, key(name), day, {"dagster/row_count": table.num_rows})


def _seen(deletions: Sequence[Deletion] | None) -> CheckFigures:
    if deletions is None:
        return CheckFigures(SEEN_CHECK, passed=False, description=GRANT)
    ours = [one for one in deletions if one.record_type]
    other = Counter(one.netsuite_type or "no type" for one in deletions if not one.record_type)
    return CheckFigures(
        SEEN_CHECK,
        passed=True,
        description=(
            f"{len({one.record_id for one in ours})} deletions of records that are synced, "
            f"{other.total()} of others"
        ),
        metadata={
            "still_in_netsuite": sum(not one.is_gone for one in ours),
            "other_types": dict(sorted(other.items())),
        },
    )
