"""Every day keeps its own figures and check results, however the run was started."""

from collections.abc import Iterator

import dagster as dg
import pytest

from nsn_pipeline.orchestration.planning import PLAN_JOB
from nsn_pipeline.orchestration.reporting import CheckFigures, report_checks, report_partition
from nsn_pipeline.orchestration.runs import RANGE_END_TAG, RANGE_START_TAG, collect

DAILY = dg.DailyPartitionsDefinition("2026-03-01", end_date="2026-04-01")
KEY = dg.AssetKey(["conformed", "things"])
BAD_DAY = "2026-03-03"


def gate(severity: dg.AssetCheckSeverity) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="gate",
        specs=[dg.AssetSpec(KEY)],
        partitions_def=DAILY,
        check_specs=[dg.AssetCheckSpec("complete", asset=KEY, partitions_def=DAILY)],
    )
    def things(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.MaterializeResult[None] | dg.Output[None]]:
        days = context.partition_keys
        for day in days:
            report_partition(context, KEY, day, {"rows": int(day[-2:])})
        yield dg.MaterializeResult(asset_key=KEY)
        yield from report_checks(
            context,
            KEY,
            {
                day: [
                    CheckFigures(
                        "complete", day != BAD_DAY, day, severity, {"failed": int(day[-1])}
                    )
                ]
                for day in days
            },
        )

    return things


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def run(
    instance: dg.DagsterInstance,
    first: str,
    last: str,
    severity: dg.AssetCheckSeverity,
    name: str = "job",
) -> dg.ExecuteInProcessResult:
    jobs = [dg.define_asset_job(one) for one in ("job", PLAN_JOB)]
    job = dg.Definitions(assets=[gate(severity)], jobs=jobs).resolve_job_def(name)
    tags = {RANGE_START_TAG: first, RANGE_END_TAG: last}
    return job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)


def recorded(instance: dg.DagsterInstance) -> dict[str | None, bool]:
    history = instance.event_log_storage.get_asset_check_execution_history(
        check_key=dg.AssetCheckKey(KEY, "complete"), limit=100
    )
    return {record.partition: record.status.value == "SUCCEEDED" for record in history}


def test_range_run_records_a_check_result_for_each_day(instance: dg.DagsterInstance) -> None:
    result = run(instance, "2026-03-02", "2026-03-04", dg.AssetCheckSeverity.WARN)
    assert result.success
    assert recorded(instance) == {"2026-03-02": True, "2026-03-03": False, "2026-03-04": True}


@pytest.mark.parametrize(("first", "last"), [("2026-03-02", "2026-03-04"), (BAD_DAY, BAD_DAY)])
def test_a_days_result_is_about_its_latest_materialisation(
    instance: dg.DagsterInstance, first: str, last: str
) -> None:
    # Twice: the UI shows a result of an earlier materialisation, or of none, as missing.
    for _ in range(2):
        run(instance, first, last, dg.AssetCheckSeverity.WARN)
    key = dg.AssetCheckKey(KEY, "complete")
    infos = [
        info
        for info in instance.event_log_storage.get_asset_check_partition_info([key])
        if info.partition_key
    ]
    assert {info.partition_key for info in infos} >= {first, last}
    assert all(info.latest_materialization_storage_id for info in infos)
    assert all(info.is_current for info in infos)


@pytest.mark.parametrize("times", [1, 2])
def test_a_plan_leaves_each_days_result_standing_and_current(
    instance: dg.DagsterInstance, times: int
) -> None:
    """It materialises what it reads, which makes older results look as if there were none."""
    synced = run(instance, "2026-03-02", BAD_DAY, dg.AssetCheckSeverity.WARN)
    for _ in range(times):
        run(instance, "2026-03-02", "2026-03-04", dg.AssetCheckSeverity.WARN, PLAN_JOB)
    key = dg.AssetCheckKey(KEY, "complete")
    infos = {
        info.partition_key: info
        for info in instance.event_log_storage.get_asset_check_partition_info([key])
    }
    assert infos["2026-03-04"].latest_execution_status.value == "PLANNED"  # a plan judges nothing
    found = {day: infos[day].latest_execution_status.value for day in ("2026-03-02", BAD_DAY)}
    assert found == {"2026-03-02": "SUCCEEDED", BAD_DAY: "FAILED"}
    assert all(infos[day].is_current for day in found)
    history = instance.event_log_storage.get_asset_check_execution_history(key, limit=9)
    newest = next(one for one in history if one.partition == BAD_DAY)
    evaluation = newest.event.dagster_event.event_specific_data
    assert evaluation.metadata["judged_in_run"].value == synced.run_id


def test_range_run_keeps_the_figures_of_each_day(instance: dg.DagsterInstance) -> None:
    from datetime import date

    result = run(instance, "2026-03-02", "2026-03-04", dg.AssetCheckSeverity.WARN)
    outcome = collect(
        instance, result.run_id, date(2026, 3, 2), date(2026, 3, 4), success=result.success
    )
    rows = {day: figures["rows"] for day, figures in outcome.by_day["conformed/things"].items()}
    assert rows == {"2026-03-02": 2, "2026-03-03": 3, "2026-03-04": 4}


def test_failed_error_check_fails_the_step_after_all_days_are_recorded(
    instance: dg.DagsterInstance,
) -> None:
    result = run(instance, "2026-03-02", "2026-03-04", dg.AssetCheckSeverity.ERROR)
    assert not result.success
    assert recorded(instance) == {"2026-03-02": True, "2026-03-03": False, "2026-03-04": True}


def test_single_day_run_records_the_result_under_its_day(instance: dg.DagsterInstance) -> None:
    run(instance, BAD_DAY, BAD_DAY, dg.AssetCheckSeverity.WARN)
    assert recorded(instance) == {BAD_DAY: False}
