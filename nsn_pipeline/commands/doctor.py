"""`nsn doctor`: the examination as a table with remedies, or as JSON."""

import json
import os
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nsn_pipeline.doctor.examine import examine
from nsn_pipeline.doctor.finding import Finding, Status, blockers, to_json

_DONE, _BLOCKED = 0, 2
_MARKS = {
    Status.OK: ("ok", "green"),
    Status.WARN: ("look", "yellow"),
    Status.FAIL: ("FAIL", "bold red"),
    Status.UNVERIFIED: ("?", "cyan"),
    Status.SKIPPED: ("-", "dim"),
}


def run_doctor(
    console: Console, *, as_json: bool, environment: Mapping[str, str] | None = None
) -> int:
    """Examine, print, and say by the exit code whether anything stands in the way (2)."""
    given = os.environ if environment is None else environment
    if as_json:
        findings = examine(given)
        console.print_json(json.dumps(to_json(findings)))
    else:
        with console.status("Reading both systems; nothing is written ..."):
            findings = examine(given)
        _print(console, findings)
    return _BLOCKED if blockers(findings) else _DONE


def _print(console: Console, findings: Sequence[Finding]) -> None:
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("Check", no_wrap=True)
    table.add_column("Found", overflow="fold")
    for finding in findings:
        mark, style = _MARKS[finding.status]
        found = Text(finding.detail)
        if finding.remedy:
            found.append(f"\n-> {finding.remedy}", style="bold" if style == "bold red" else "")
        table.add_row(Text(mark, style=style), Text(finding.title), found)
    console.print(table)
    console.print(Text(_verdict(findings)))


def _verdict(findings: Sequence[Finding]) -> str:
    def count(status: Status) -> int:
        return sum(finding.status is status for finding in findings)

    failed, looked, unseen = (
        count(Status.FAIL), count(Status.WARN), count(Status.UNVERIFIED),
    )  # fmt: skip
    parts = [f"{len(findings) - failed - looked - unseen - count(Status.SKIPPED)} in order"]
    parts += [f"{looked} worth a look"] if looked else []
    parts += [f"{unseen} that this user cannot verify"] if unseen else []
    parts += [f"{failed} in the way of a run"] if failed else []
    return ", ".join(parts) + "."
