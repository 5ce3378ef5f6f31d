"""`nsn sandbox`, and how other commands get at one: errors of the sandbox become readable ones
here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.sandbox.background import start_in_background
from nsn_pipeline.sandbox.data.company import Shape
from nsn_pipeline.sandbox.problems import SandboxError
from nsn_pipeline.sandbox.server import run_sandbox
from nsn_pipeline.settings import SANDBOX_FILE, load_project_settings


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """What the sandbox holds: a generated company, or table files."""

    size: str = "small"
    seed: int = 1
    shape: Shape = "multi"
    data: Path | None = None
    reset: bool = False


@contextmanager
def sandbox_for(console: Console, home: Path, options: SandboxOptions) -> Iterator[dict[str, Any]]:
    """A sandbox that runs while the block does; one that already serves this home is shared."""

    def show(line: str) -> None:
        console.print(f"  {line}", highlight=False)

    try:
        with start_in_background(
            home,
            data=options.data,
            size=options.size,
            seed=options.seed,
            shape=options.shape,
            reset=options.reset,
            progress=show,
        ) as info:
            yield info
    except SandboxError as error:
        raise ConfigurationError(str(error)) from error


def serve(
    console: Console, options: SandboxOptions, *, netsuite_port: int, servicenow_port: int
) -> int:
    """Serve until Ctrl-C; returns an exit code."""
    home = load_project_settings().home

    def show(line: str) -> None:
        console.print(line, highlight=False)

    def ready(_info: dict[str, Any]) -> None:
        console.print(f"Addresses and credentials: {home / SANDBOX_FILE}. Ctrl-C stops it.")

    try:
        run_sandbox(
            home,
            data=options.data,
            size=options.size,
            seed=options.seed,
            shape=options.shape,
            reset=options.reset,
            netsuite_port=netsuite_port,
            servicenow_port=servicenow_port,
            progress=show,
            on_ready=ready,
        )
    except (SandboxError, OSError) as error:
        raise ConfigurationError(str(error)) from error
    return 0
