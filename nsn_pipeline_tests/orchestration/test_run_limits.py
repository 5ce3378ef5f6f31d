"""The queue of this checkout's `dagster.yaml`: which runs wait for which."""

from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._utils.tags import TagConcurrencyLimitsCounter

from nsn_pipeline.orchestration.jobs import DAILY_SYNC, PARTITION_TAG
from nsn_pipeline.orchestration.replaying import replay_tags
from nsn_pipeline_tests.support.project import CHECKOUT

DAY, OTHER = {PARTITION_TAG: "2026-03-02"}, {PARTITION_TAG: "2026-03-03"}
REPLAY = replay_tags("GL account 7160 is now in ServiceNow")


@pytest.fixture(scope="module")
def limits() -> list[dict[str, Any]]:
    settings = yaml.safe_load((CHECKOUT / "dagster.yaml").read_text(encoding="utf-8"))
    return settings["concurrency"]["runs"]["tag_concurrency_limits"]


def run(tags: dict[str, str]) -> dg.DagsterRun:
    return dg.DagsterRun(job_name=DAILY_SYNC, run_id=dg.DagsterRun(DAILY_SYNC).run_id, tags=tags)


@pytest.mark.parametrize(
    ("working", "next_one", "waits"),
    [
        ([DAY], DAY, True),
        ([DAY], OTHER, False),
        ([DAY], REPLAY | DAY, True),
        ([REPLAY | DAY], DAY, True),
        ([REPLAY | DAY, REPLAY | OTHER], REPLAY | {PARTITION_TAG: "2026-03-04"}, True),
        ([REPLAY | DAY, REPLAY | OTHER], {PARTITION_TAG: "2026-03-04"}, False),
    ],
    ids=[
        "the same day twice",
        "another day",
        "a replay behind the schedule",
        "the schedule behind a replay",
        "a third replay",
        "the schedule beside two replays",
    ],
)
def test_what_waits_for_what(
    limits: list[dict[str, Any]],
    working: list[dict[str, str]],
    next_one: dict[str, str],
    waits: bool,
) -> None:
    counter = TagConcurrencyLimitsCounter(limits, [])
    for tags in working:
        counter.update_counters_with_launched_item(run(tags))
    assert counter.is_blocked(run(next_one)) is waits
