"""Runs that a command works on: `nsn sync`, `nsn replay`. Whether the command still lives.

Dagster cannot tell (docs/facts/dagster.md 7): after a `kill -9` or a power cut such a run would
stay started for hours, and its days be left alone. So a command holds a kernel lock for each of its
runs. The kernel drops it however the process ends, and an id that is used again means nothing.

A lock is believed where this kernel gave it, whatever the host is called now: a container made anew
has another name. It is also believed of a host of this name, which was started anew since. Of other
machines on a shared disk a lock need not be seen: theirs say nothing.
"""

import contextlib
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg

from nsn_pipeline.orchestration.runs_known import UNFINISHED
from nsn_pipeline.state.file_locks import is_held, transient_lock, try_lock

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # Linux: one per start of the kernel
_KILLED = (
    "The command that worked on this run was killed, or its machine stopped. What it had sent is "
    "looked up by the next run of its days."
)
_INTERRUPTED = "The command that worked on this run ended before the run did."
_CANNOT_SAY = (Exception,)  # a full or read-only disk, a locked database: whatever storage says


@contextlib.contextmanager
def vouched_for(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Hold the lock that says of a run: somebody works on it."""
    if sys.platform == "win32":  # without these locks: such a run ends by `dagster/max_runtime`
        yield
        return
    path = _folder(instance) / f"{run_id}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    with transient_lock(new) as fd:
        try_lock(fd)
        os.write(fd, "\n".join(_here()).encode())
        os.fsync(fd)  # after a power cut it must still say whose it is
        new.rename(path)  # locked before anybody finds it
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
    for path in sorted(_folder(instance).glob("*.lock")):
        with contextlib.suppress(*_CANNOT_SAY):
            if not _speaks_for(path) or is_held(path):
                continue
            # Read now: a command lets go of its lock after it has recorded the end. Of a run that
            # somebody else ended, in the UI or by its time limit, only the file is left.
            if _end(instance, path.stem, _KILLED):
                ended.append(path.stem)
            path.unlink(missing_ok=True)
    return ended


def _end(instance: dg.DagsterInstance, run_id: str, why: str) -> bool:
    """Whether the run had no end, and has one now."""
    run = instance.get_run_by_id(run_id)
    if run is None or run.status not in UNFINISHED:
        return False
    instance.report_run_failed(run, message=why)
    return True


def _here() -> tuple[str, str]:
    """This kernel's present life, "" where it has no name, and the host."""
    try:
        boot = _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    return boot, socket.gethostname()


def _speaks_for(path: Path) -> bool:
    """Whether a free lock means a dead command: this kernel gave it, or this host before a restart
    of it did.
    """
    boot, _, host = path.read_text(encoding="utf-8").partition("\n")
    here_boot, here_host = _here()
    return (bool(boot) and boot == here_boot) or host == here_host


def _folder(instance: dg.DagsterInstance) -> Path:
    return Path(instance.root_directory) / "command_runs"
