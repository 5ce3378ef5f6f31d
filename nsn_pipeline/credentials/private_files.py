"""Files that only their owner may read: checked when read, replaced whole or not at all."""

import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from nsn_pipeline.errors import ConfigurationError

_OTHERS = 0o077
_OTHERS_WRITE = 0o022
_MAX_BYTES = 1_000_000  # credentials are kilobytes: more is another file, or a device


def read_private(path: Path) -> bytes:
    """The content of a file that nobody else can read. Raises FileNotFoundError when absent."""
    try:
        # Without O_NONBLOCK, opening a named pipe would wait for its writer for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        _demand_private(path, os.fstat(file.fileno()))
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ConfigurationError(f"{path} is too large to be what it should be")
    return content


def replace_private(path: Path, content: bytes) -> None:
    """Put `content` in place of the file: after a crash at any point it is the old or the new."""
    target = path.resolve()  # a link stays a link
    with _explained(f"cannot write {path}"), _finished_copy(target.parent, content) as copy:
        os.replace(copy, target)  # noqa: PTH105 - one name for the tests to interrupt
        _sync_directory(target.parent)


def create_private(path: Path, content: bytes) -> None:
    """Write a new file; one that exists is never touched."""
    with _explained(f"cannot write {path}"), _finished_copy(path.parent, content) as copy:
        os.link(copy, path)  # unlike rename, refuses to replace
        _sync_directory(path.parent)


def prepare_directory(directory: Path) -> None:
    """Make the directory, for its owner only; refuse one in which others could swap files."""
    with _explained(f"cannot use {directory}"):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.stat()
    if sys.platform != "win32" and found.st_mode & _OTHERS_WRITE:
        raise ConfigurationError(
            f"others may write in {directory}, and so replace credentials: chmod 700 {directory}"
        )


def is_open_to_others(path: Path) -> bool:
    """Whether the group or everybody may list the directory, or read the file."""
    return sys.platform != "win32" and bool(path.stat().st_mode & _OTHERS)


def _demand_private(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ConfigurationError(f"{path} is not a regular file")
    if sys.platform == "win32":  # modes and owners say nothing there
        return
    if found.st_uid not in {os.geteuid(), 0}:
        raise ConfigurationError(
            f"{path} belongs to another user (uid {found.st_uid}): it is not used. Run nsn as its "
            "owner, or move it away"
        )
    if found.st_mode & _OTHERS:
        raise ConfigurationError(
            f"{path} can be read by others (mode {stat.S_IMODE(found.st_mode):04o}): "
            f"chmod 600 {path}. If others may have read it, renew what is in it"
        )


@contextlib.contextmanager
def _finished_copy(directory: Path, content: bytes) -> Iterator[str]:
    descriptor, name = tempfile.mkstemp(prefix=".nsn-", dir=directory)  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield name
    finally:
        with contextlib.suppress(FileNotFoundError):  # it was moved into place
            os.unlink(name)  # noqa: PTH108


def _sync_directory(directory: Path) -> None:
    if sys.platform == "win32":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise ConfigurationError(f"{what}: it exists already") from error
    except OSError as error:
        raise ConfigurationError(f"{what}: {error.strerror}") from error
