"""Jobs and the schedule that polls. Both ship stopped: a fresh checkout must not write to a live
tenant.
"""

from collections.abc import Iterator
from datetime import datetime

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,
)

from nsn_pipeline.extract.window import days_touched
from nsn_pipeline.settings import ProjectSettings

# A forced failure cannot prove that the old worker is gone, so loads are safe to repeat; without
# this limit a run whose host died would stay started for ever (docs/facts/dagster.md 7).
MAX_RUNTIME_S = 4 * 60 * 60
DAILY_SYNC = "daily_sync"
DIMENSION_SYNC = "dimension_sync"


def daily_sync_job() -> UnresolvedAssetJobDefinition:
    """Everything, for one day or a range of days, against references read in the same run."""
    return dg.define_asset_job(
        DAILY_SYNC,
        selection=dg.AssetSelection.all(),
        description=(
            "Extract a day of NetSuite changes, validate every GL account and cost center against "
            "ServiceNow, and load what is valid. Backfill any range of days: it is safe to repeat."
        ),
        tags={"dagster/max_runtime": str(MAX_RUNTIME_S)},
    )


def dimension_sync_job() -> UnresolvedAssetJobDefinition:
    """References and dimensions only: a cheap refresh that moves no transaction."""
    return dg.define_asset_job(
        DIMENSION_SYNC,
        selection=dg.AssetSelection.groups("servicenow_reference", "mapping")
        | dg.AssetSelection.assets(
            ["netsuite", "gl_accounts"],
            ["netsuite", "departments"],
            ["netsuite", "subsidiaries"],
            ["netsuite", "currencies"],
        ),
        description="Re-read GL accounts and cost centers on both sides and show what is unmapped.",
        tags={"dagster/max_runtime": str(MAX_RUNTIME_S)},
    )


def poll_schedule(
    project: ProjectSettings, daily: dg.DailyPartitionsDefinition
) -> dg.ScheduleDefinition:
    """Ask for every day that `now - NSN_OVERLAP` to now touches. No watermark can move wrongly."""

    @dg.schedule(
        name="poll_netsuite",
        job_name=DAILY_SYNC,
        cron_schedule=project.poll_cron,
        execution_timezone=project.timezone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=(
            "Each tick reads the days its look-back touches, so a change that commits late is "
            "seen by the next tick. Cron: NSN_POLL_CRON; look-back: NSN_OVERLAP."
        ),
    )
    def poll_netsuite(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        tick: datetime = context.scheduled_execution_time
        known = set(daily.get_partition_keys(current_time=tick))
        for day in days_touched(tick - project.overlap, tick, project.timezone):
            if day in known:
                yield dg.RunRequest(run_key=f"{tick.isoformat()}:{day}", partition_key=day)

    return poll_netsuite
