"""Prints a document's life so that it reads at 80 columns."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from nsn_pipeline.amounts import amount_text
from nsn_pipeline.audit.trail_entry import Entry, Event
from nsn_pipeline.audit.trail_story import Attempt, Story, condensed, cure_text

_OUTCOMES = {
    "written": "proven in ServiceNow",
    "unchanged": "already in ServiceNow as wanted: nothing was sent",
    "nothing to write": "accepted; ServiceNow needs no record of it",
    "retired": "gone from NetSuite: retired in ServiceNow",
    "left": "its record vanished from ServiceNow meanwhile: left for the next run",
    "cut short": "the run ended before it said how the write went: the next one looks it up",
    "accepted": "passed the gate; nothing more is told of this run",
    "rejected": "rejected",
    "failed": "could not be written whole",
}
_KINDS = {"create": "created", "update": "changed", "retire": "retired"}


def print_story(console: Console, story: Story, zone: ZoneInfo, *, every: bool) -> None:
    """Who it is, where it stands, then every attempt in order."""
    document = story.document
    money = _money(document)
    parts = (document.get("tranid"), document.get("vendor"), document.get("subsidiary"), money)
    title = f"{story.record_type} {story.document_id}"
    console.print(Text(title, style="bold"))
    if known := ", ".join(part for part in parts if part):
        _line(console, 0, known)
    if url := document.get("url"):
        console.print(Text(url, style="dim"), soft_wrap=True)
    _line(console, 0, f"first seen {_at(story.first_seen, zone)}")
    count = len(story.attempts)
    _line(console, 0, f"{count} attempt{'' if count == 1 else 's'}; now {story.standing}")
    if since := story.failing_since:
        _line(console, 0, f"failing since {_at(since, zone)}")
    for places, note in ((story.sys_ids, ""), (story.unproven_sys_ids, " (sent, not proven)")):
        for table, records in places.items():
            for key, sys_id in records.items():
                _line(console, 0, f"{table} {key}: sys_id {sys_id}{note}")
    told = [(one, []) for one in story.attempts] if every else condensed(story.attempts)
    for attempt, repeats in told:
        _print_attempt(console, attempt, repeats, zone)


def _print_attempt(
    console: Console, attempt: Attempt, repeats: Sequence[Attempt], zone: ZoneInfo
) -> None:
    day = f", day {attempt.day}" if attempt.day else ""
    console.print()
    console.print(Text(_at(attempt.at, zone), style="bold").append(day, style="default"))
    _line(console, 2, f"run {attempt.run_id}", "dim")
    for entry in attempt.entries:
        _print_entry(console, entry)
    _line(console, 2, _OUTCOMES[attempt.outcome], _style(attempt.outcome))
    if repeats:
        last = repeats[-1]
        runs = "1 more run" if len(repeats) == 1 else f"{len(repeats)} more runs"
        text = f"the same in {runs}, the last {_at(last.at, zone)} (run {last.run_id})"
        _line(console, 2, f"{text}; --every lists them", "dim")


def _print_entry(console: Console, entry: Entry) -> None:
    if entry.event in {Event.STILL_REJECTED, Event.STILL_FAILED}:
        _line(console, 2, "for the same problems as before")
    for cure in entry.data.get("cured", ()):
        _line(console, 2, f"cured {cure['reason']}", "green")
        _line(console, 4, cure_text(cure))
    for problem in entry.data.get("problems", ()):
        _print_problem(console, problem)
    if entry.event is Event.SENDING:
        for record in entry.data["records"]:
            _print_record(console, entry.data["table"], record)


def _print_problem(console: Console, problem: Mapping[str, str]) -> None:
    where = [problem["reason"]]
    if line := problem.get("line"):
        where.append(f"line {line}")
    named = " ".join(filter(None, (problem.get("column"), problem.get("value"))))
    _line(console, 2, ", ".join(filter(None, (*where, named))), "yellow")
    _line(console, 4, problem.get("remedy", ""))


def _print_record(console: Console, table: str, record: Mapping[str, Any]) -> None:
    kind = _KINDS.get(record["kind"], record["kind"])
    _line(console, 2, f"{kind} {table} {record['key']}")
    fields: Mapping[str, Sequence[str]] = record["fields"]
    width = min(max((len(name) for name in fields), default=0), 28)
    for name, (old, new) in fields.items():
        value = new if not old else f"{old} -> {new or '(empty)'}"
        _line(console, 4, f"{name:<{width}}  {value}", indent=width + 2)


def _line(console: Console, left: int, text: str, style: str = "", *, indent: int = 2) -> None:
    """One paragraph; what does not fit goes on further in."""
    width = max(console.width - left, 20)
    words = Text(text, style=style)
    if len(text) <= width:
        console.print(Padding(words, (0, 0, 0, left), expand=False))
        return
    first, *rest = words.wrap(console, width - indent, overflow="fold")
    console.print(Padding(first, (0, 0, 0, left), expand=False))
    for line in rest:
        console.print(Padding(line, (0, 0, 0, left + indent), expand=False))


def _money(document: Mapping[str, str]) -> str:
    if "amount" not in document:
        return ""
    currency = document.get("currency", "")
    return f"{amount_text(Decimal(document['amount']), currency, {})} {currency}".rstrip()


def _at(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def _style(outcome: str) -> str:
    return {"rejected": "red", "failed": "red", "cut short": "yellow"}.get(outcome, "green")
