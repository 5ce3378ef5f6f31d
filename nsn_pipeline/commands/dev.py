"""`nsn dev`: sandbox (when no live account is configured), Redis and the Dagster UI, together and
gone together.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from nsn_pipeline.commands.sandbox import SandboxOptions, sandbox_for
from nsn_pipeline.settings import is_live, load_project_settings, load_settings
from nsn_pipeline.state.connection import connect

GRACE_S = 30.0


def run_dev(console: Console, options: SandboxOptions, *, port: int) -> int:
    """Run until Ctrl-C or SIGTERM; returns an exit code. No child outlives this call."""
    home = load_project_settings().home
    # SIGTERM takes the same way out as Ctrl-C, so that every `with` below is left. SIGINT is set
    # too: a shell starts background jobs with it ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with ExitStack() as stack:
        if not is_live():
            console.print("Starting the sandbox: a NetSuite and a ServiceNow on this machine")
            stack.enter_context(sandbox_for(console, home, options))
        settings = load_settings()
        redis_url = settings.project.redis_url
        redis = stack.enter_context(
            connect(redis_url.get_secret_value() if redis_url else None, home)
        )
        console.print(f"Redis: {redis.server}")
        console.print(
            f"Dagster UI: http://localhost:{port}  (about ten seconds; Ctrl-C stops everything)"
        )
        return _dagster(["-w", "workspace.yaml", "-p", str(port)])


def _dagster(arguments: Sequence[str]) -> int:
    dagster = Path(sys.executable).with_name("dagster")
    # A group of its own: Ctrl-C reaches this process only, which then stops the children in order.
    child = subprocess.Popen([str(dagster), "dev", *arguments], start_new_session=True)
    try:
        return child.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        _stop(child)


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Ask the whole group to stop, then make it."""
    for sign, patience in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, GRACE_S)):
        try:
            os.killpg(child.pid, sign)
        except ProcessLookupError:
            return
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            continue
        if not _group_lives(child.pid):
            return


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
