"""`nsn doctor`: the examination as a table with remedies, or as JSON."""

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nsn_pipeline.commands.tried_again import found_in_order
from nsn_pipeline.doctor.examine import examine
from nsn_pipeline.doctor.finding import Finding, Status, blockers, to_json
from nsn_pipeline.errors import NsnError

_DONE, _BLOCKED = 0, 2
_SYSTEMS = ("netsuite", "servicenow")
_IS_ON = " is on"
_ALIKE = 3  # so many findings that say the same of different things become one line
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
        print_findings(console, findings)
    _try_again(given, findings)
    return _BLOCKED if blockers(findings) else _DONE


def _try_again(environment: Mapping[str, str], findings: Sequence[Finding]) -> None:
    """A login that is in order now is in order for jobs that were waiting after its refusal."""
    fine = {finding.id for finding in findings if finding.status is Status.OK}
    if "redis.reachable" not in fine:
        return
    with suppress(NsnError):
        found_in_order(environment, [s for s in _SYSTEMS if f"{s}.login" in fine])


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    """The checklist, readable at 80 columns, and the verdict."""
    table = Table.grid(padding=(0, 1))
    table.add_column("", no_wrap=True)
    table.add_column("", overflow="fold")
    for finding in _gathered(findings):
        mark, style = _MARKS[finding.status]
        told = Text(finding.title, style="bold").append(f": {finding.detail}", style="not bold")
        if finding.remedy:
            how = "bold" if finding.status is Status.FAIL else "not bold"
            told.append(f"\n-> {finding.remedy}", style=how)
        table.add_row(Text(mark, style=style), told)
    console.print(table)
    console.print(Text(f"\n{_verdict(findings)}"))


def _gathered(findings: Sequence[Finding]) -> Iterator[Finding]:
    """What is in order and alike in one line, at its first place; all else as it is."""
    alike: defaultdict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        alike[_likeness(finding)].append(finding)
    for finding in findings:
        group = alike[_likeness(finding)]
        if len(group) < _ALIKE:
            yield finding
        elif finding is group[0]:
            detail = f"{len(group)} in order: {', '.join(_subject(one) for one in group)}"
            yield replace(finding, detail=detail)


def _likeness(finding: Finding) -> tuple[str, str]:
    """Equal for findings that differ in their subject only, or in how many columns there are."""
    if finding.status is not Status.OK:
        return finding.id, ""
    words = finding.detail.replace(_subject(finding), "#")
    words = re.sub(r"\b(\d+) of \1\b", "all", words)
    return finding.title, re.sub(r"\bevery \w+ stands\b", "every key stands", words)


def _subject(finding: Finding) -> str:
    if finding.detail.endswith(_IS_ON):
        return finding.detail.removesuffix(_IS_ON)
    return finding.id.rpartition(".")[2]


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
    blocking = ", ".join(finding.id for finding in blockers(findings))
    return ", ".join(parts) + (f": {blocking}." if blocking else ".")
