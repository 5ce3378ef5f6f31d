"""Progress of a run on the terminal: a line per finished step, and what is being worked on."""

from collections.abc import Mapping
from datetime import date
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.status import Status

from nsn_pipeline.commands.lines import broken
from nsn_pipeline.orchestration.runs import StepEvent

# In the order they are worth reading; calls and notes have their own place.
_SHOWN = (
    "read", "accepted", "rejected", "created", "updated", "create", "update", "retire",
    "unchanged", "retired", "not_retired", "failed", "rows",
)  # fmt: skip

FIGURES_AT = 46  # where a step's figures begin, and go on


class Progress:
    """Shows one run. Lines are plain text, so that a log file reads like the terminal."""

    def __init__(self, console: Console, first: date, last: date) -> None:
        self._console = console
        self._title = first.isoformat() if first == last else f"{first} to {last}"
        self._status: Status | None = None
        self._started: dict[str, float] = {}
        self._figures: dict[str, list[str]] = {}

    def __enter__(self) -> Self:
        self._console.print(f"[bold]{self._title}[/bold]")
        if self._console.is_terminal:
            self._status = self._console.status("starting ...")
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def show(self, event: StepEvent) -> None:
        """Take in one event of the run."""
        step = event.step.replace("__", "/")
        match event.kind:
            case "started":
                self._started[step] = event.at
                if self._status is not None:
                    self._status.update(f"{step} ...")
            case "totals":
                self._figures.setdefault(step, []).append(figures_text(event.figures))
            case "finished":
                took = event.at - self._started.get(step, event.at)
                figures = "; ".join(text for text in self._figures.get(step, []) if text)
                line = f"  {step:<33} {took:6.1f} s  {figures}".rstrip()
                for part in broken(line, self._console.width, indent=FIGURES_AT):
                    self._console.print(part, soft_wrap=True, highlight=False, markup=False)
            case _:
                self._console.print(f"  [red]{step} failed:[/red] {event.message}")


def figures_text(figures: Mapping[str, Any]) -> str:
    """`read 12, accepted 11, rejected 1`: the figures worth a line, zeros left out."""
    return ", ".join(f"{name} {figures[name]:,}" for name in _SHOWN if figures.get(name))
