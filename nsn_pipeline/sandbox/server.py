"""Serves both simulated systems over TLS from one process; `sandbox.json` says how to get in.

One sandbox per home: the lock on `sandbox/lock` is the truth, as it cannot outlive its process.
`sandbox.json` exists while both systems listen and is removed at the end; after a kill it may be
left behind, so readers go through `background.running`.
"""

import asyncio
import fcntl
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from nsn_pipeline.sandbox.credentials import Credentials, load_or_make, write_private
from nsn_pipeline.sandbox.data.company import Shape
from nsn_pipeline.sandbox.data.seeding import DataRequest, Progress, Stores, fill
from nsn_pipeline.sandbox.problems import AlreadyRunningError
from nsn_pipeline.sandbox.systems import Systems

HOST = "127.0.0.1"  # never anything but loopback: the secrets below lie in a file
_LOCK_PATIENCE_S = (
    1.0  # someone who only looks whether a sandbox runs holds the lock for an instant
)
_POLL_S = 0.1
_GRACE_S = 3
_BACKLOG = 128
_KEEP_ALIVE_S = 75


@dataclass(frozen=True, slots=True)
class Home:
    """Names of what the sandbox keeps under a home."""

    path: Path

    @property
    def directory(self) -> Path:
        return self.path / "sandbox"

    @property
    def lock(self) -> Path:
        return self.directory / "lock"

    @property
    def log(self) -> Path:
        return self.directory / "log.txt"

    @property
    def ports(self) -> Path:
        return self.directory / "ports.json"

    @property
    def info(self) -> Path:
        return self.path / "sandbox.json"


def run_sandbox(
    home: Path,
    *,
    data: Path | None = None,
    size: str = "small",
    seed: int = 1,
    shape: Shape = "multi",
    first_day: date | None = None,
    days: int | None = None,
    netsuite_port: int = 0,
    servicenow_port: int = 0,
    reset: bool = False,
    netsuite: Mapping[str, Any] | None = None,
    servicenow: Mapping[str, Any] | None = None,
    clock: Callable[[], float] = time.time,
    progress: Progress = lambda _line: None,
    on_ready: Callable[[dict[str, Any]], None] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Serve until `stop` is set or the process is told to end; blocks.

    `netsuite` and `servicenow` change fields of the systems' options (latency, limits, faults);
    `clock` is the time both tell, and by which tokens expire.
    Port 0 means the port of the last start if it is free, else any.
    """
    place = Home(home.resolve())
    request = DataRequest(data, size, seed, shape, first_day, days)
    with ExitStack() as stack:
        stack.enter_context(_locked(place))
        place.info.unlink(missing_ok=True)
        credentials = load_or_make(place.directory)
        stopped = stack.enter_context(_ended_by_signals(stop))
        stores = Stores(place.directory)
        seeded = fill(stores, request, reset=reset, progress=progress, stopped=stopped)
        last = _last_ports(place)
        sockets = [
            stack.enter_context(_listen(netsuite_port, last[0])),
            stack.enter_context(_listen(servicenow_port, last[1])),
        ]
        ports = [one.getsockname()[1] for one in sockets]
        write_private(place.ports, json.dumps(ports))
        urls = [f"https://{HOST}:{port}" for port in ports]
        systems = Systems(stores, credentials, seeded, *urls)
        apps = systems.apps(netsuite or {}, servicenow or {}, stack, clock=clock)
        info = systems.describe(servicenow or {})
        servers = [
            _Quiet(_config(app, credentials), one) for app, one in zip(apps, sockets, strict=True)
        ]

        def ready() -> None:
            write_private(place.info, json.dumps(info, indent=1))
            stack.callback(place.info.unlink, missing_ok=True)
            progress(f"NetSuite at {urls[0]}, ServiceNow at {urls[1]}")
            if on_ready is not None:
                on_ready(info)

        asyncio.run(_serve(servers, ready, stopped))


# --- one per home ---------------------------------------------------------------------------------


@contextmanager
def _locked(place: Home) -> Iterator[None]:
    place.path.mkdir(parents=True, exist_ok=True)
    place.directory.mkdir(mode=0o700, exist_ok=True)
    with place.lock.open("a+", encoding="utf-8") as stream:
        deadline = time.monotonic() + _LOCK_PATIENCE_S
        while not try_lock(stream.fileno()):
            if time.monotonic() >= deadline:
                stream.seek(0)
                raise AlreadyRunningError(
                    f"a sandbox already runs on {place.path} (process {stream.read() or 'unknown'})"
                )
            time.sleep(_POLL_S / 4)
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield  # closing the file gives the lock back; the file itself stays


def try_lock(handle: int, *, shared: bool = False) -> bool:
    """Exclusive for who serves; shared for who looks, so that lookers do not see each other."""
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# --- sockets, signals, servers --------------------------------------------------------------------


def _last_ports(place: Home) -> list[int]:
    try:
        first, second = json.loads(place.ports.read_text(encoding="utf-8"))
        return [int(first), int(second)]
    except (FileNotFoundError, ValueError, TypeError):
        return [0, 0]


@contextmanager
def _listen(port: int, last: int) -> Iterator[socket.socket]:
    try:
        listener = _bound(port or last)
    except OSError as error:
        if port:
            raise OSError(error.errno, f"port {port} is not free: {error.strerror}") from error
        listener = _bound(0)  # someone else has the last one by now
    with listener:
        yield listener


def _bound(port: int) -> socket.socket:
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # asyncio sets it on sockets that name their protocol, and these do not: an answer's body
        # would wait 40 ms for the acknowledgement of its head.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((HOST, port))
        listener.listen(_BACKLOG)  # only now is it certain that nobody else has the port
    except OSError:
        listener.close()
        raise
    return listener


@contextmanager
def _ended_by_signals(stop: threading.Event | None) -> Iterator[Callable[[], bool]]:
    """A question "is it over?", true after `stop`, SIGTERM or SIGINT."""
    told = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        told.set()

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: told.is_set() or (stop is not None and stop.is_set())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Quiet(uvicorn.Server):
    """A server that leaves signals to us: two of them would fight over the handlers."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket) -> None:
        super().__init__(config)
        self.listener = listener

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: ASGIApp, credentials: Credentials) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        ssl_certfile=credentials.server_certificate,
        ssl_keyfile=str(credentials.server_key),
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )


async def _serve(
    servers: list[_Quiet], ready: Callable[[], None], stopped: Callable[[], bool]
) -> None:
    tasks = [asyncio.create_task(server.serve([server.listener])) for server in servers]
    try:
        while not all(server.started for server in servers):
            if stopped() or any(task.done() for task in tasks):
                return
            await asyncio.sleep(_POLL_S / 10)
        ready()
        while not stopped() and not any(task.done() for task in tasks):  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
    finally:
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*tasks)  # a server's own failure comes out here
