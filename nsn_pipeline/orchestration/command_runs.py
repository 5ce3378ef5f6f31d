"""Runs that a command works on: `nsn sync`, `nsn replay`. Whether the command still lives.

Dagster cannot tell (docs/facts/dagster.md 7): after a `kill -9` or a power cut such a run would
stay started for hours, and its days be left alone. So a command holds a kernel lock for each of its
runs. The kernel drops it however the process ends, and an id that is used again means nothing.
"""

import contextlib
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg

from nsn_pipeline.orchestration.runs_known import UNFINISHED
from nsn_pipeline.state.file_locks import is_held, transient_lock, try_lock

HOST_TAG = "nsn/command_host"
_KILLED = (
    "The command that worked on this run was killed, or its machine stopped. What it had sent is "
    "looked up by the next run of its days."
)


def command_tags() -> dict[str, str]:
    """What a run of this process says of where it is: locks of other hosts tell nothing."""
    return {HOST_TAG: socket.gethostname()}


@contextlib.contextmanager
def vouched_for(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Hold the lock that says of a run: somebody works on it."""
    if sys.platform == "win32":  # without these locks: such a run ends by `dagster/max_runtime`
        yield
        return
    path = _lock(instance, run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    with transient_lock(path) as fd:
        try_lock(fd)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def end_the_killed(instance: dg.DagsterInstance) -> Sequence[str]:
    """Mark runs as failed whose command is gone; their ids."""
    if sys.platform == "win32":
        return ()
    mine = dg.RunsFilter(statuses=UNFINISHED, tags=command_tags())
    return [run.run_id for run in instance.get_runs(mine) if _ended(instance, run.run_id)]


def _ended(instance: dg.DagsterInstance, run_id: str) -> bool:
    path = _lock(instance, run_id)
    if not path.exists() or is_held(path):
        return False
    # Read after the lock was seen free: a command lets go of it after it has recorded the end.
    run = instance.get_run_by_id(run_id)
    is_dead = run is not None and run.status in UNFINISHED
    if run is not None and is_dead:
        instance.report_run_failed(run, message=_KILLED)
    path.unlink(missing_ok=True)
    return is_dead


def _lock(instance: dg.DagsterInstance, run_id: str) -> Path:
    return Path(instance.root_directory) / "command_runs" / f"{run_id}.lock"
