"""Ctrl-C or a termination ends the command, not only the run that it happened to meet."""

import signal
from datetime import date

import dagster as dg
import pytest

from nsn_pipeline.orchestration.runs import execute_window

DAILY = dg.DailyPartitionsDefinition("2026-03-01")


@dg.asset(partitions_def=DAILY, backfill_policy=dg.BackfillPolicy.single_run())
def interrupted() -> None:
    signal.raise_signal(signal.SIGINT)


@dg.asset(partitions_def=DAILY, backfill_policy=dg.BackfillPolicy.single_run())
def failed() -> None:
    raise OSError("no")


@pytest.mark.parametrize(("asset", "ends"), [(interrupted, True), (failed, False)])
def test_an_interrupt_is_handed_on_and_a_failure_is_not(
    asset: dg.AssetsDefinition, ends: bool
) -> None:
    definitions = dg.Definitions(assets=[asset], jobs=[dg.define_asset_job("daily")])
    day = date(2026, 3, 2)
    with dg.DagsterInstance.ephemeral() as instance:
        # Within: Dagster resolves with the storage of the instance last opened in the process,
        # which may be one that another test has closed.
        job = definitions.resolve_job_def("daily")

        def run() -> None:
            execute_window(job, instance, day, day, selection=None, on_event=lambda _: None)

        if ends:
            with pytest.raises(KeyboardInterrupt):
                run()
        else:
            run()
        (left,) = instance.get_runs()
        assert left.status == dg.DagsterRunStatus.FAILURE
