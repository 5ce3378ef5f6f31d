"""The embedded server's guardian: a detached process that ends the server after its last user.

It is started by file path (`python -I -S guardian.py ...`) so that it loads the standard library
and nothing else; it imports nothing from this package and is imported by nothing.

    guardian.py DIRECTORY SOCKET GUARDIAN_FD SERVER_FD [SERVER COMMAND ...]

With a command it starts the server and is its parent; without one it adopts a running server whose
guardian was killed. GUARDIAN_FD holds `guardian.lock` and is only kept open; SERVER_FD
holds `server.lock` and is handed on to the server: that lock is free exactly when no server runs.
Neither process may inherit a user's descriptor of `lease.lock`: the guardian opens that file itself
and is granted the exclusive lock once the kernel has dropped the last user's shared one, however
that user ended.
"""

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

SHUTDOWN = b"*2\r\n$8\r\nSHUTDOWN\r\n$6\r\nNOSAVE\r\n"  # the append-only file is already complete
STOP_PATIENCE_S = 20.0


def main(arguments: Sequence[str]) -> None:
    directory, socket_path = Path(arguments[0]), arguments[1]
    server_fd, command = int(arguments[3]), arguments[4:]
    if os.fork():  # the starter reaps this one at once; the guardian itself belongs to init
        os._exit(0)
    lease_fd = os.open(directory / "lease.lock", os.O_RDWR | os.O_CLOEXEC)
    if command:
        server = subprocess.Popen(
            command, cwd=directory / "data", stdin=subprocess.DEVNULL, pass_fds=(server_fd,)
        )
        os.close(server_fd)
        watcher = _exit_after(server.wait)
        fcntl.flock(lease_fd, fcntl.LOCK_EX)
        if not _send_shutdown(_connected(socket_path)):
            server.send_signal(signal.SIGTERM)  # not listening yet, or its directory was deleted
        watcher.join(STOP_PATIENCE_S)
        server.kill()  # loses nothing: every acknowledged write is on disk
    else:
        running = _connected(socket_path)  # kept open: works even if the path is removed meanwhile
        watcher = _exit_after(lambda: _wait_for_lock(directory / "server.lock"))
        fcntl.flock(lease_fd, fcntl.LOCK_EX)
        if not _send_shutdown(running):
            _send_shutdown(_connected(socket_path))
    watcher.join(STOP_PATIENCE_S)


def _exit_after(server_ended: Callable[[], object]) -> threading.Thread:
    def watch() -> None:
        server_ended()
        os._exit(0)  # the main thread sits in flock, which no exception would reach

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    return watcher


def _wait_for_lock(path: Path) -> None:
    """Block until the server that holds this lock is gone (it is not our child, so no waitpid)."""
    fcntl.flock(os.open(path, os.O_RDWR | os.O_CLOEXEC), fcntl.LOCK_SH)


def _connected(path: str) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(STOP_PATIENCE_S)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        return None
    return connection


def _send_shutdown(connection: socket.socket | None) -> bool:
    """True when the server took it: it closes the connection instead of answering."""
    if connection is None:
        return False
    with contextlib.suppress(OSError), connection:
        connection.sendall(SHUTDOWN)
        return connection.recv(64) == b""
    return False


if __name__ == "__main__":
    main(sys.argv[1:])
