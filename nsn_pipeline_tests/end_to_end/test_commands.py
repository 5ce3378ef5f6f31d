"""The commands as people type them: processes, exit codes, and what they print."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from nsn_pipeline.sandbox.data.gaps import MISSING_COST_CENTERS, MISSING_GL_ACCOUNTS
from nsn_pipeline_tests.support.project import environment, project_copy

UP_S = 120


def nsn(project: Path, *arguments: str, timeout_s: float = 240) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nsn_pipeline.cli.main", *arguments],
        cwd=project,
        env=environment(project / "home"),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def processes_of(project: Path) -> dict[int, str]:
    """Living processes that were told of this project's folder."""
    mark, found = os.fsencode(project), {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes()
                if command and mark in command + (entry / "environ").read_bytes():
                    found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")
    return found


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project_copy(tmp_path_factory.mktemp("project") / "checkout")


@pytest.fixture(scope="module")
def demos(project: Path) -> tuple[subprocess.CompletedProcess[str], ...]:
    return nsn(project, "demo", "--size", "tiny"), nsn(project, "demo", "--size", "tiny")


@pytest.mark.slow
def test_demo_ends_well_and_names_the_codes_that_are_missing(
    demos: tuple[subprocess.CompletedProcess[str], ...],
) -> None:
    first, _ = demos
    assert first.returncode == 0, first.stdout + first.stderr
    for code in (*MISSING_GL_ACCOUNTS, *MISSING_COST_CENTERS):
        assert code in first.stdout
    assert "nothing was written" not in first.stdout
    assert "make dev" in first.stdout


@pytest.mark.slow
def test_a_second_demo_writes_nothing_and_says_so(
    demos: tuple[subprocess.CompletedProcess[str], ...],
) -> None:
    _, second = demos
    assert second.returncode == 0, second.stdout + second.stderr
    assert "nothing was written" in second.stdout


@pytest.mark.slow
def test_demo_leaves_no_process_behind(
    demos: tuple[subprocess.CompletedProcess[str], ...], project: Path
) -> None:
    assert demos
    assert_all_gone(project)


@pytest.mark.slow
def test_sync_without_any_system_says_what_to_start(tmp_path: Path) -> None:
    done = nsn(project_copy(tmp_path / "checkout"), "sync", "--from", "2026-03-02", "--to",
               "2026-03-08")  # fmt: skip
    assert done.returncode == 2
    assert "no sandbox is running" in " ".join(done.stderr.split())
    assert "nsn sandbox" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_dev_serves_the_ui_and_one_interrupt_ends_everything(tmp_path: Path) -> None:
    checkout = project_copy(tmp_path / "checkout")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (tmp_path / "log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "nsn_pipeline.cli.main", "dev", "--size", "tiny", "--port",
             str(port)],
            cwd=checkout,
            env=environment(checkout / "home"),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    try:
        answered = wait_for_ui(port, child)
        running = processes_of(checkout)
        done = sync_before_its_first_day(checkout)
        child.send_signal(signal.SIGINT)
        child.wait(60)
    finally:
        for number in processes_of(checkout) if child.poll() is None else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
    assert answered, (tmp_path / "log").read_text()
    assert child.returncode in {0, 130}
    assert len(running) > 3  # sandbox, Redis, the web server, the daemon: the look sees them
    assert_all_gone(checkout)
    assert done.returncode == 2
    assert "NSN_START_DATE" in done.stderr


def sync_before_its_first_day(checkout: Path) -> subprocess.CompletedProcess[str]:
    return nsn(checkout, "sync", "--from", "2026-03-01", "--to", "2026-03-02")


def wait_for_ui(port: int, child: subprocess.Popen[bytes]) -> bool:
    for _ in polls(UP_S):
        if child.poll() is not None:
            return False
        with contextlib.suppress(requests.RequestException):
            if requests.get(f"http://127.0.0.1:{port}/server_info", timeout=5).ok:
                return True
    return False


def assert_all_gone(checkout: Path) -> None:
    """A server that was told to end may need a moment for its last breath."""
    left: dict[int, str] = {}
    for _ in polls(10):
        left = processes_of(checkout)
        if not left:
            return
    assert left == {}


def polls(seconds: float) -> Iterator[None]:
    """Turns of a bounded wait for another process."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield
        time.sleep(0.1)
