"""A sandbox as a child process: started when needed, shared when one already runs."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

from nsn_pipeline.sandbox.data.company import Shape
from nsn_pipeline.sandbox.data.seeding import DataRequest
from nsn_pipeline.sandbox.problems import SandboxStartError, SeedError
from nsn_pipeline.sandbox.server import Home, try_lock

ALREADY_RUNNING = 75  # the child's exit status when another one was faster (sysexits: EX_TEMPFAIL)
_POLL_S = 0.05
_LAST_LINES = 15


def running(home: Path) -> dict[str, Any] | None:
    """The content of `sandbox.json` if a sandbox serves this home; None if not, or not yet."""
    place = Home(home)
    try:
        with place.lock.open(encoding="utf-8") as stream:
            if try_lock(stream.fileno(), shared=True):
                return None  # a sandbox.json without a lock was left by one that was killed
            holder = stream.read()
        found = json.loads(place.info.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found if str(found["pid"]) == holder else None


@contextmanager
def start_in_background(
    home: Path,
    *,
    data: Path | None = None,
    size: str = "small",
    seed: int = 1,
    shape: Shape = "multi",
    first_day: date | None = None,
    days: int | None = None,
    reset: bool = False,
    arguments: Sequence[str] = (),
    timeout_s: float = 900.0,
    progress: Callable[[str], None] = lambda _line: None,
) -> Iterator[dict[str, Any]]:
    """The content of `sandbox.json`, of a sandbox that runs for as long as the `with` block.

    One that already serves this home is used, and left running, provided it holds the same data.
    The child ends with the block, and also when this process dies without leaving it. Of two
    starts at once one child serves both, and ends with the block of the caller it belongs to.
    """
    request = DataRequest(data, size, seed, shape, first_day, days)
    found = running(home)
    if found is not None:
        if reset:
            raise SeedError(
                f"a sandbox runs on {home} (process {found['pid']}); end it to reset it"
            )
        yield _same_data(found, request, home)
        return
    options = _options(request, reset=reset)
    place = Home(home)
    place.path.mkdir(parents=True, exist_ok=True)
    place.directory.mkdir(mode=0o700, exist_ok=True)
    child = _spawn(place, [*options, *arguments])
    try:
        yield _same_data(_wait(child, place, timeout_s, progress), request, home)
    finally:
        _end(child)


def _options(request: DataRequest, *, reset: bool) -> list[str]:
    options = ["--size", request.size, "--seed", str(request.seed), "--shape", request.shape]
    if request.directory is not None:
        options += ["--data", str(request.directory.resolve())]
    if request.first_day is not None:
        options += ["--first-day", request.first_day.isoformat()]
    if request.days is not None:
        options += ["--days", str(request.days)]
    return [*options, "--reset"] if reset else options


def _spawn(place: Home, options: list[str]) -> subprocess.Popen[bytes]:
    """Its own session, so that Ctrl-C reaches us first and we end it in order.

    The pipe to its standard input is the leash: it closes however we end.
    """
    command = [sys.executable, "-m", "nsn_pipeline.sandbox", "--home", str(place.path.resolve())]
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    log = os.open(place.log, flags, 0o600)
    try:
        return subprocess.Popen(
            [*command, "--parent", str(os.getpid()), *options],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    finally:
        os.close(log)


def _wait(
    child: subprocess.Popen[bytes],
    place: Home,
    timeout_s: float,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    deadline = time.monotonic() + timeout_s
    told = 0
    while True:
        lines = _log_lines(place)
        for line in lines[told:]:
            progress(line)
        told = len(lines)
        found = running(place.path)
        status = child.poll()
        if found is not None and (found["pid"] == child.pid or status == ALREADY_RUNNING):
            return found
        if status not in {None, ALREADY_RUNNING}:
            raise SandboxStartError(_story(f"ended with status {status}", place))
        if time.monotonic() >= deadline:
            raise SandboxStartError(_story(f"was not ready after {timeout_s:g} s", place))
        if status is None:
            with suppress(subprocess.TimeoutExpired):
                child.wait(_POLL_S)
        else:
            time.sleep(_POLL_S)  # someone else's sandbox is coming up on this home


def _log_lines(place: Home) -> list[str]:
    """Whole lines only: the child may be in the middle of one."""
    try:
        text = place.log.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return text.split("\n")[:-1]


def _story(what: str, place: Home) -> str:
    said = "\n".join(_log_lines(place)[-_LAST_LINES:])
    return f"the sandbox on {place.path} {what}" + (f"; it said:\n{said}" if said else "")


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.stdin is not None:
        child.stdin.close()
    try:
        child.wait(15)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _same_data(found: dict[str, Any], request: DataRequest, home: Path) -> dict[str, Any]:
    held, wanted = found["data"]["seeded"], request.describe()
    if held != wanted:
        raise SeedError(
            f"the sandbox that runs on {home} (process {found['pid']}) holds other data:"
            f" {held} instead of {wanted}; end it first"
        )
    return found
