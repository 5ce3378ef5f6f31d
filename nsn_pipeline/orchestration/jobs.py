"""Jobs and the schedule that polls. Both ship stopped: a fresh checkout must not write to a live
tenant.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,
)

from nsn_pipeline.extract.window import Window, days_touched
from nsn_pipeline.orchestration.command_runs import end_the_killed
from nsn_pipeline.orchestration.planning import PLAN_GROUP, PLAN_JOB, PLAN_KEY
from nsn_pipeline.orchestration.runs_known import UNFINISHED
from nsn_pipeline.settings import ProjectSettings

# A forced failure cannot prove that the old worker is gone, so loads are safe to repeat; without
# this limit a run whose host died would stay started for ever (docs/facts/dagster.md 7).
MAX_RUNTIME_S = 4 * 60 * 60
JOB_TAGS = {
    "dagster/max_runtime": str(MAX_RUNTIME_S),
    # A retry reads NetSuite anew: steps refuse what another run extracted or judged.
    "dagster/retry_strategy": "ALL_STEPS",
}
DAILY_SYNC = "daily_sync"
DIMENSION_SYNC = "dimension_sync"
PARTITION_TAG = "dagster/partition"
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
CATCH_UP_DAYS = 14  # how long an outage may last before a person has to backfill


def daily_sync_job() -> UnresolvedAssetJobDefinition:
    """Everything, for one day or a range of days, against references read in the same run."""
    return dg.define_asset_job(
        DAILY_SYNC,
        selection=dg.AssetSelection.all() - dg.AssetSelection.groups(PLAN_GROUP),
        description=(
            "Extract a day of NetSuite changes, validate every GL account and cost center against "
            "ServiceNow, and load what is valid. Backfill any range of days: it is safe to repeat."
        ),
        tags=JOB_TAGS,
    )


def plan_changes_job() -> UnresolvedAssetJobDefinition:
    """What a sync would change, and nothing else: it writes to neither system."""
    return dg.define_asset_job(
        PLAN_JOB,
        selection=dg.AssetSelection.assets(PLAN_KEY).upstream(),
        description=(
            "Read a day of NetSuite changes, judge them, and compare them with ServiceNow: what a "
            "sync would create, update and retire. Nothing is written, and the day does not count "
            "as read."
        ),
        tags=JOB_TAGS,
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
        tags=JOB_TAGS,
    )


def poll_schedule(
    project: ProjectSettings,
    daily: dg.DailyPartitionsDefinition,
    loaded: Sequence[dg.AssetKey],
) -> dg.ScheduleDefinition:
    """Ask for each day that `now - NSN_OVERLAP` to now touches, and for days not read to the end.

    Dagster does not make up for ticks missed while it was down, so each tick also asks for a day of
    the last `CATCH_UP_DAYS` that no successful run has read since it was over. `loaded` are the
    assets whose materialisation says that a day went through. No watermark can move wrongly.
    """

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
        touched = days_touched(tick - project.overlap, tick, project.timezone)
        end_the_killed(context.instance)
        unread = unread_days(context.instance, project, tick, loaded)
        for day in sorted({*touched, *unread} & known):
            yield dg.RunRequest(run_key=f"{tick.isoformat()}:{day}", partition_key=day)

    return poll_netsuite


def unread_days(
    instance: dg.DagsterInstance,
    project: ProjectSettings,
    now: datetime,
    loaded: Sequence[dg.AssetKey],
) -> list[str]:
    """Past days that were polled, or lie after one that was, and not read since they were over.

    A day is over `NSN_OVERLAP` after its midnight. Days before the first that was ever read are
    left alone: when a history begins is a person's decision.
    """
    days = days_touched(now - timedelta(days=CATCH_UP_DAYS), now, project.timezone)
    read_at = {day: _read_at(instance, day, loaded) for day in days}
    first = next((day for day in days if read_at[day] is not None), None)
    if first is None:
        return []
    waiting = days_under_way(instance)
    unread: list[str] = []
    for day in days[days.index(first) :]:
        over = Window.over([day], project.timezone).end + project.overlap
        at = read_at[day]
        if over <= now and day not in waiting and (at is None or at < over):
            unread.append(day)
    return unread


def _read_at(
    instance: dg.DagsterInstance, day: str, loaded: Sequence[dg.AssetKey]
) -> datetime | None:
    """When the oldest of the runs that loaded a day last began; None when a load is missing."""
    begun: list[float] = []
    for key in loaded:
        wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[day])
        records = instance.fetch_materializations(wanted, limit=1).records
        if not records:
            return None
        run = instance.get_run_record_by_id(records[0].run_id)
        begun.append(run.start_time if run and run.start_time else 0.0)
    return datetime.fromtimestamp(min(begun), UTC)


def days_under_way(instance: dg.DagsterInstance) -> set[str]:
    """Days that a run is already queued or working for, one day or a range of them."""
    unfinished = dg.RunsFilter(job_name=DAILY_SYNC, statuses=UNFINISHED)
    return {day for run in instance.get_runs(unfinished) for day in days_of_run(run.tags)}


def days_of_run(tags: Mapping[str, str]) -> tuple[str, ...]:
    """The days a run of the daily job is for, by its tags."""
    if RANGE_START_TAG in tags and RANGE_END_TAG in tags:
        first = date.fromisoformat(tags[RANGE_START_TAG])
        last = date.fromisoformat(tags[RANGE_END_TAG])
        count = (last - first).days + 1
        return tuple((first + timedelta(days=n)).isoformat() for n in range(count))
    day = tags.get(PARTITION_TAG)
    return (day,) if day else ()
