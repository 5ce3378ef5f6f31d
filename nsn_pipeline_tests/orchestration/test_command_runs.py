"""A run whose command was killed is known to be dead, and no other is."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from nsn_pipeline.orchestration.command_runs import (
    HOST_TAG,
    command_tags,
    end_the_killed,
    vouched_for,
)
from nsn_pipeline.orchestration.jobs import (
    DAILY_SYNC,
    RANGE_END_TAG,
    RANGE_START_TAG,
    days_under_way,
)

DAY = "2026-03-02"
# What a command does until somebody kills it.
HOLDS = """
import sys
import dagster as dg
from nsn_pipeline.orchestration.command_runs import vouched_for
with dg.DagsterInstance.from_ref(dg._serdes.deserialize_value(sys.argv[1])) as instance:
    with vouched_for(instance, sys.argv[2]):
        print("held", flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as opened:
        yield opened


def begun(instance: dg.DagsterInstance, **tags: str) -> str:
    """The id of a run that Dagster believes to be working on the day."""
    dated = {RANGE_START_TAG: DAY, RANGE_END_TAG: DAY, **command_tags(), **tags}
    run = dg.DagsterRun(DAILY_SYNC, status=dg.DagsterRunStatus.STARTED, tags=dated)
    instance.add_run(run)
    return run.run_id


def status(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def test_run_of_a_killed_command_is_marked_as_failed_and_its_day_is_free(
    instance: dg.DagsterInstance,
) -> None:
    run_id = begun(instance)
    reference = dg._serdes.serialize_value(instance.get_ref())
    command = [sys.executable, "-c", HOLDS, reference, run_id]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "held\n"
            assert end_the_killed(instance) == []
            assert status(instance, run_id) == dg.DagsterRunStatus.STARTED
            assert days_under_way(instance) == {DAY}
        finally:
            child.kill()
    assert end_the_killed(instance) == [run_id]
    assert status(instance, run_id) == dg.DagsterRunStatus.FAILURE
    assert days_under_way(instance) == set()
    assert end_the_killed(instance) == []


def test_nothing_is_said_of_runs_that_no_lock_of_this_host_speaks_for(
    instance: dg.DagsterInstance,
) -> None:
    elsewhere = begun(instance, **{HOST_TAG: "another-host"})
    folder = Path(instance.root_directory) / "command_runs"
    folder.mkdir()
    (folder / f"{elsewhere}.lock").touch()  # on a shared disk
    launched = begun(instance)  # its lock is not here: another DAGSTER_HOME, or never held
    assert end_the_killed(instance) == []
    assert {status(instance, one) for one in (elsewhere, launched)} == {dg.DagsterRunStatus.STARTED}


def test_command_that_is_interrupted_before_the_first_event_ends_its_run(
    instance: dg.DagsterInstance,
) -> None:
    """Dagster traps interrupts only near the first step, seconds after the run is there."""
    run_id = begun(instance)
    with pytest.raises(KeyboardInterrupt), vouched_for(instance, run_id):
        raise KeyboardInterrupt
    assert status(instance, run_id) == dg.DagsterRunStatus.FAILURE
    assert locks(instance) == []
    assert days_under_way(instance) == set()


def test_run_that_came_to_its_end_stays_as_it_is(instance: dg.DagsterInstance) -> None:
    run_id = begun(instance)
    with vouched_for(instance, run_id):
        run = instance.get_run_by_id(run_id)
        assert run is not None
        instance.report_run_canceled(run)
    assert status(instance, run_id) == dg.DagsterRunStatus.CANCELED
    assert locks(instance) == []


def test_an_end_that_cannot_be_recorded_is_recorded_by_whoever_looks_next(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError("no space left on device")

    run_id = begun(instance)
    with monkeypatch.context() as patched:
        patched.setattr(instance, "report_run_failed", full)
        with pytest.raises(KeyboardInterrupt), vouched_for(instance, run_id):
            raise KeyboardInterrupt
        assert end_the_killed(instance) == []  # nor does a tick fail over it
    assert status(instance, run_id) == dg.DagsterRunStatus.STARTED
    assert end_the_killed(instance) == [run_id]
    assert locks(instance) == []


def locks(instance: dg.DagsterInstance) -> list[Path]:
    return list(Path(instance.root_directory).rglob("*.lock"))
