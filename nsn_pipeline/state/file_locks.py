"""Kernel file locks (flock) between processes, and bounded waiting for what another process does.

The kernel drops a lock when the last descriptor of it is closed, however a process ends, so nothing
here needs cleaning up. Descriptors are close-on-exec; locks taken for a moment are also closed in a
forked child, which would otherwise hold them for its whole life.
"""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nsn_pipeline.errors import UnreachableError, Where

POLL_S = 0.005

_transient_fds: set[int] = set()


@dataclass(slots=True)
class Deadline:
    seconds: float
    where: Where = field(default_factory=lambda: Where("state server", "start"))
    _end: float = field(init=False)

    def __post_init__(self) -> None:
        self._end = time.monotonic() + self.seconds

    def wait(self, what: str) -> None:
        """Wait a little for something that another process does; too often is an error."""
        if time.monotonic() > self._end:
            raise UnreachableError(f"{what} (waited {self.seconds:g} s)", where=self.where)
        time.sleep(POLL_S)


def open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def try_lock(fd: int, *, exclusive: bool = True) -> bool:
    import fcntl  # absent on Windows, where this package must still be importable

    try:
        fcntl.flock(fd, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_held(path: Path) -> bool:
    """Whether somebody holds this exclusive lock."""
    with transient_lock(path) as fd:
        return not try_lock(fd, exclusive=False)


@contextlib.contextmanager
def exclusive(path: Path, deadline: Deadline) -> Iterator[None]:
    with transient_lock(path) as fd:
        while not try_lock(fd):
            deadline.wait(f"another process keeps {path}")
        yield


@contextlib.contextmanager
def transient_lock(path: Path) -> Iterator[int]:
    fd = open_lock(path)
    _transient_fds.add(fd)
    try:
        yield fd
    finally:
        _close_transient(fd)


def _close_transient(fd: int) -> None:
    if fd in _transient_fds:
        _transient_fds.discard(fd)
        os.close(fd)


def _close_all_after_fork() -> None:
    for fd in list(_transient_fds):
        _close_transient(fd)


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_close_all_after_fork)
