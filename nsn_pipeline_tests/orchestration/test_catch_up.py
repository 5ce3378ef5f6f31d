"""Days missed while the scheduler was down are asked for by the first tick after it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from nsn_pipeline.orchestration.jobs import DAILY_SYNC, unread_days
from nsn_pipeline.settings import load_project_settings

KEY = dg.AssetKey(["servicenow", "sn_apo_invoice"])
TODAY = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
DAILY = dg.DailyPartitionsDefinition(
    (TODAY - timedelta(days=30)).date().isoformat(), timezone="UTC", end_offset=40
)


@dg.asset(key=KEY, partitions_def=DAILY)
def load() -> None: ...


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def day(offset: int) -> str:
    return (TODAY + timedelta(days=offset)).date().isoformat()


def run(instance: dg.DagsterInstance, *offsets: int) -> None:
    definitions = dg.Definitions(assets=[load], jobs=[dg.define_asset_job(DAILY_SYNC)])
    for offset in offsets:
        definitions.resolve_job_def(DAILY_SYNC).execute_in_process(
            instance=instance, partition_key=day(offset)
        )


def unread(instance: dg.DagsterInstance, home: Path, *, days_later: int) -> list[str]:
    project = load_project_settings({"NSN_HOME": str(home), "NSN_TIMEZONE": "UTC"})
    return unread_days(instance, project, TODAY + timedelta(days=days_later), [KEY])


def test_outage_is_made_up_for_from_the_day_it_began(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    run(instance, 0)  # read while the day was still open
    assert unread(instance, tmp_path, days_later=3) == [day(0), day(1), day(2)]


def test_day_read_after_it_was_over_is_left_alone(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    run(instance, -3, -2, -1)
    assert day(-3) not in unread(instance, tmp_path, days_later=0)
    assert day(-2) not in unread(instance, tmp_path, days_later=0)


def test_day_that_is_not_over_is_left_to_the_next_tick(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    run(instance, 0)
    assert unread(instance, tmp_path, days_later=0) == []


def test_history_before_the_first_day_ever_read_is_not_begun(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    assert unread(instance, tmp_path, days_later=0) == []
