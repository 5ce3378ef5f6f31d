"""A run whose command was killed is known to be dead, and no other is."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from nsn_pipeline.orchestration import command_runs
from nsn_pipeline.orchestration.command_runs import end_the_killed, vouched_for
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


def begun(instance: dg.DagsterInstance) -> str:
    """The id of a run that Dagster believes to be working on the day."""
    dated = {RANGE_START_TAG: DAY, RANGE_END_TAG: DAY}
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


def test_nothing_is_said_of_runs_that_no_lock_of_this_machine_speaks_for(
    instance: dg.DagsterInstance,
) -> None:
    elsewhere, launched = begun(instance), begun(instance)
    left(instance, elsewhere, "another-boot", "another-host")  # on a shared disk
    # The lock of the other is not here: another DAGSTER_HOME, or never held.
    assert end_the_killed(instance) == []
    assert {status(instance, one) for one in (elsewhere, launched)} == {dg.DagsterRunStatus.STARTED}
    assert len(locks(instance)) == 1


@pytest.mark.parametrize(
    ("boot", "host"),
    [("this-boot", "another-host"), ("another-boot", "this-host"), ("", "this-host")],
)
def test_container_made_anew_and_machine_started_anew_know_what_they_left(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, boot: str, host: str
) -> None:
    monkeypatch.setattr(command_runs, "_here", lambda: ("this-boot", "this-host"))
    run_id = begun(instance)
    left(instance, run_id, boot, host)
    assert end_the_killed(instance) == [run_id]
    assert locks(instance) == []


def test_where_kernels_have_no_boot_id_only_the_host_speaks(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(command_runs, "_BOOT_ID", tmp_path / "not-there")
    run_id = begun(instance)
    left(instance, run_id, "", "another-host")
    assert end_the_killed(instance) == []


def test_lock_of_a_run_that_somebody_else_ended_is_swept(instance: dg.DagsterInstance) -> None:
    run_id = begun(instance)
    left(instance, run_id, *command_runs._here())
    left(instance, "00000000-0000-0000-0000-000000000000", *command_runs._here())  # none was made
    run = instance.get_run_by_id(run_id)
    assert run is not None
    instance.report_run_canceled(run)
    assert end_the_killed(instance) == []
    assert status(instance, run_id) == dg.DagsterRunStatus.CANCELED
    assert locks(instance) == []


def test_lock_is_held_from_the_moment_that_it_can_be_found(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks meanwhile must not take a command that begins for a dead one."""
    run_id, seen = begun(instance), []
    real = command_runs.try_lock

    def looked_at(fd: int, **options: bool) -> bool:
        if not seen:
            seen.append(None)
            seen.extend(end_the_killed(instance))
        return real(fd, **options)

    with monkeypatch.context() as patched:
        patched.setattr(command_runs, "try_lock", looked_at)
        with vouched_for(instance, run_id):
            assert end_the_killed(instance) == []
            assert status(instance, run_id) == dg.DagsterRunStatus.STARTED
    assert seen == [None]


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


def left(instance: dg.DagsterInstance, run_id: str, boot: str, host: str) -> None:
    """The lock file of a command that is no more."""
    folder = Path(instance.root_directory) / "command_runs"
    folder.mkdir(exist_ok=True)
    (folder / f"{run_id}.lock").write_text(f"{boot}\n{host}", encoding="utf-8")


def locks(instance: dg.DagsterInstance) -> list[Path]:
    return list(Path(instance.root_directory).rglob("*.lock"))
