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
_INTERRUPTED = "The command that worked on this run ended before the run did."
_CANNOT_SAY = (Exception,)  # a full or read-only disk, a locked database: whatever storage says


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
            # Interrupted before its first event, a run has no end yet. Where none can be recorded
            # the file stays: whoever looks next finds it free.
            with contextlib.suppress(*_CANNOT_SAY):
                _end(instance, run_id, _INTERRUPTED)
                path.unlink(missing_ok=True)


def end_the_killed(instance: dg.DagsterInstance) -> Sequence[str]:
    """Mark runs as failed whose command is gone; their ids. One that cannot be looked at is left:
    nothing that calls this should fail over it.
    """
    if sys.platform == "win32":
        return ()
    ended: list[str] = []
    mine = dg.RunsFilter(statuses=UNFINISHED, tags=command_tags())
    for run in instance.get_runs(mine):
        path = _lock(instance, run.run_id)
        with contextlib.suppress(*_CANNOT_SAY):
            if not path.exists() or is_held(path):
                continue
            # Read again: a command lets go of its lock after it has recorded the end.
            if _end(instance, run.run_id, _KILLED):
                ended.append(run.run_id)
            path.unlink(missing_ok=True)
    return ended


def _end(instance: dg.DagsterInstance, run_id: str, why: str) -> bool:
    """Whether the run had no end, and has one now."""
    run = instance.get_run_by_id(run_id)
    if run is None or run.status not in UNFINISHED:
        return False
    instance.report_run_failed(run, message=why)
    return True


def _lock(instance: dg.DagsterInstance, run_id: str) -> Path:
    return Path(instance.root_directory) / "command_runs" / f"{run_id}.lock"
