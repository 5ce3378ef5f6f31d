"""Prints what a replay found, ran and left, at eighty columns."""

from collections import Counter

from rich import box
from rich.console import Console
from rich.table import Table

from nsn_pipeline.audit.replay import counted
from nsn_pipeline.commands.replay import Left, ReplayReport, Waiting

SHOWN = 15


def print_replay(console: Console, report: ReplayReport) -> None:
    """The whole report."""
    for cure in report.cures:
        console.print(cure, highlight=False)
    if not report.selected:
        console.print("Nothing to replay: no open document was selected.")
        console.print("`nsn replay --all` replays everything that is open.", highlight=False)
        return
    _print_waiting(console, report.waiting)
    verb = "would run" if report.dry_run else "ran"
    runs = report.planned_runs if report.dry_run else len(report.runs)
    console.print(
        f"{counted(report.selected, 'document')}: {verb} {counted(len(report.days), 'day')} "
        f"in {counted(runs, 'run')}",
        highlight=False,
    )
    if report.dry_run:
        console.print(f"  {', '.join(report.days)}", highlight=False)
    for document, day in report.moved.items():
        console.print(f"  {document} has moved: it is read on {day} now", highlight=False)
    for note in report.notes:
        console.print(f"  {note}", highlight=False)
    if report.busy_days:
        console.print(
            f"  left alone, a run is under way: {', '.join(report.busy_days)}. "
            "Run `nsn replay` again when it is done.",
            highlight=False,
        )
    if not report.dry_run:
        _print_result(console, report)


def _print_waiting(console: Console, waiting: list[Waiting]) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("waits for, or is refused for", overflow="fold")
    for name in ("documents", "days"):
        table.add_column(name, justify="right")
    for one in waiting[:SHOWN]:
        table.add_row(one.what, f"{one.documents:,}", f"{one.days:,}")
    if len(waiting) > SHOWN:
        table.add_row(f"... and {len(waiting) - SHOWN} more", "", "")
    console.print(table)


def _print_result(console: Console, report: ReplayReport) -> None:
    console.print(
        f"{report.cured:,} cured, {len(report.left):,} left; read {report.read:,} documents, "
        f"wrote {report.written:,} records, {report.seconds:.1f} s",
        highlight=False,
    )
    if report.left:
        table = Table(box=box.SIMPLE_HEAD)
        table.add_column("left because of", overflow="fold")
        table.add_column("documents", justify="right")
        table.add_column("open since")
        why = Counter(_why(one) for one in report.left)
        for what, count in why.most_common(SHOWN):
            since = min(one.open_since for one in report.left if _why(one) == what)
            table.add_row(what, f"{count:,}", since)
        if len(why) > SHOWN:
            table.add_row(f"... and {len(why) - SHOWN} more", "", "")
        console.print(table)
    for error in report.errors:
        console.print(f"[red]failed:[/red] {error}", highlight=False)


def _why(left: Left) -> str:
    if not left.judged:
        return "not judged again: its day did not run, or not to the end"
    return ", ".join(left.waits_for or left.reasons) or left.status
