"""Child processes for the state tests, and what /proc tells about the embedded server's."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nsn_pipeline

PACKAGE_PARENT = str(Path(nsn_pipeline.__file__).parents[1])


def python(code: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": PACKAGE_PARENT, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def says(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str], text: str = "go") -> None:
    assert process.stdin is not None
    process.stdin.write(f"{text}\n")
    process.stdin.flush()


def end(process: subprocess.Popen[str], *, kill: bool = False) -> None:
    if kill:
        process.kill()
    process.communicate(timeout=20)


def eventually(condition: Callable[[], object], deadline_s: float = 10.0) -> bool:
    end_at = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end_at:
            return False
        time.sleep(0.01)
    return True


def _command_lines(directory: Path) -> dict[int, bytes]:
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if os.fsencode(directory / "redis") in line:
                found[int(entry.name)] = line
    return found


def server_pids(home: Path) -> list[int]:
    lines = _command_lines(home)
    return [
        pid
        for pid, line in lines.items()
        if line.split(b"\0")[0].split(b" ")[0].endswith(b"valkey-server")
    ]


def guardian_pids(home: Path) -> list[int]:
    return [pid for pid, line in _command_lines(home).items() if b"guardian.py" in line]


def open_files(pid: int) -> set[str]:
    names = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            names.add(entry.readlink().name)
        except OSError:
            continue
    return names
