"""`nsn rejections`: what is open across all days, as a table, by cure, as CSV or JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nsn_pipeline.amounts import amount_text, money_text, plain_amount
from nsn_pipeline.audit.rejections import (
    CSV_COLUMNS,
    NOUNS,
    Group,
    Rejection,
    Totals,
    Wanted,
    chosen,
    counted,
    day_text,
    grouped,
    offices_text,
    rows,
    to_json,
    totals,
)
from nsn_pipeline.audit.spreadsheet import csv_text
from nsn_pipeline.commands.lines import print_phrases
from nsn_pipeline.connections import Connections
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.orchestration.command_runs import end_the_killed
from nsn_pipeline.orchestration.open_rejections import OpenList, open_rejections
from nsn_pipeline.orchestration.snapshots import landed_decimals
from nsn_pipeline.settings import load_settings


@dataclass(frozen=True, slots=True)
class How:
    """In which form, and where to."""

    by_cure: bool = False
    limit: int = 50  # 0 for all
    csv_file: Path | None = None
    as_json: bool = False


def run_rejections(console: Console, wanted: Wanted, how: How) -> bool:
    """Show what is asked for; whether there was any of it."""
    settings = load_settings()
    with Connections(settings, run_id="nsn-rejections") as connections:
        with dg.DagsterInstance.get() as instance:
            end_the_killed(instance)  # else what they left would be told to be under way
            found = open_rejections(connections, instance)
        decimals = landed_decimals(connections.landing)
    now = datetime.now(UTC).astimezone(ZoneInfo(settings.project.timezone))
    listed = chosen(found.rejections, wanted, now)
    if how.csv_file is not None:
        _write_csv(how.csv_file, listed, decimals, now)
    if how.as_json:
        print(json.dumps(_json(found, listed, now, decimals, by_cure=how.by_cure), indent=1))
        return bool(listed) or found.unwritten > 0
    shown = [] if how.csv_file else listed
    if how.by_cure:
        _print_groups(console, grouped(shown), decimals, now, limit=how.limit)
    else:
        _print_documents(console, shown, decimals, now, limit=how.limit)
    if how.csv_file is not None:
        console.print(f"{how.csv_file}: one row per problem", soft_wrap=True, highlight=False)
    _print_totals(console, totals(listed), len(found.rejections), decimals, now)
    for note in found.notes():
        console.print(f"[yellow]note:[/yellow] {escape(note)}", highlight=False)
    # What was never written has no reason to filter by: it counts whatever is asked for.
    return bool(listed) or found.unwritten > 0


def _write_csv(
    file: Path, listed: Sequence[Rejection], decimals: Mapping[str, int], now: datetime
) -> None:
    def text(row: Mapping[str, Any]) -> dict[str, str]:
        amount = row["amount"]
        return {name: str(value) for name, value in row.items()} | {
            "amount": "" if amount is None else plain_amount(amount, row["currency"], decimals),
            "failing_since": row["failing_since"].isoformat(timespec="seconds"),
        }

    content = csv_text(CSV_COLUMNS, map(text, rows(listed, now)))
    try:
        # Spreadsheets take a file without this mark for another encoding than UTF-8.
        file.write_text(content, encoding="utf-8-sig", newline="")
    except OSError as error:
        msg = f"{file} cannot be written: {error.strerror}"
        raise ConfigurationError(msg) from error


def _json(
    found: OpenList,
    listed: Sequence[Rejection],
    now: datetime,
    decimals: Mapping[str, int],
    *,
    by_cure: bool,
) -> dict[str, Any]:
    summary = totals(listed)
    told: dict[str, Any] = {
        "open": len(found.rejections),
        "shown": len(listed),
        "unwritten": found.unwritten,
        "unlinked": found.unlinked,
        "documents": dict(summary.documents),
        "amounts": _amounts_json(summary.amounts, decimals),
        "notes": found.notes(),
    }
    if by_cure:
        return told | {"groups": [_group_json(group, decimals) for group in grouped(listed)]}
    return told | {"rejections": to_json(listed, now, decimals)}


def _group_json(group: Group, decimals: Mapping[str, int]) -> dict[str, Any]:
    return {
        "reason": group.reason,
        "reference": group.reference or None,
        "remedy": group.remedy,
        "failing_since": group.since.isoformat(),
        "documents": dict(group.documents),
        "offices": dict(group.offices),
        "amounts": _amounts_json(group.amounts, decimals),
    }


def _amounts_json(
    amounts: Mapping[str, Mapping[str, Decimal]], decimals: Mapping[str, int]
) -> dict[str, dict[str, str]]:
    return {
        name: {c: plain_amount(amount, c, decimals) for c, amount in sums.items()}
        for name, sums in amounts.items()
    }


def _print_documents(
    console: Console,
    listed: Sequence[Rejection],
    decimals: Mapping[str, int],
    now: datetime,
    *,
    limit: int,
) -> None:
    for one in listed[: limit or None]:
        noun = NOUNS[one.record_type][0]
        title = f"{noun[:1].upper()}{noun[1:]} {one.document_id}"
        print_phrases(console, title, _described(one, decimals, now), "bold")
        for problem in one.problems:
            line = f"line {problem.line_id}: " if problem.line_id else ""
            text = f"{problem.reason}  {line}{problem.remedy}"
            console.print(Padding(Text(text, style="dim"), (0, 0, 0, 4)))
        if one.url:
            console.print(Text(f"    {one.url}", style="dim"), soft_wrap=True)
    _print_rest(console, len(listed), limit, "documents")


def _described(one: Rejection, decimals: Mapping[str, int], now: datetime) -> str:
    amount = (
        ""
        if one.amount is None
        else f"{amount_text(one.amount, one.currency, decimals)} {one.currency}".rstrip()
    )
    age = one.age_days(now)
    since = f"failing since {day_text(one.since.astimezone(now.tzinfo), now)}"
    parts = (
        one.tranid,
        one.vendor,
        one.subsidiary,
        amount,
        f"{since} ({age} {'day' if age == 1 else 'days'})",
    )
    return "".join(f", {part}" for part in parts if part)


def _print_groups(
    console: Console,
    groups: Sequence[Group],
    decimals: Mapping[str, int],
    now: datetime,
    *,
    limit: int,
) -> None:
    for group in groups[: limit or None]:
        since = f"since {day_text(group.since.astimezone(now.tzinfo), now)}"
        lead = {group.lead: group.documents[group.lead]}
        waiting = ", ".join((*counted(lead, group.amounts, decimals), since))
        print_phrases(console, group.label, f": {waiting}", "bold yellow")
        rest = {name: n for name, n in group.documents.items() if name != group.lead}
        money = {"purchase_order": group.amounts.get("purchase_order", {})}
        for text in (
            "; ".join(f"and {part}" for part in counted(rest, money, decimals)),
            f"offices: {offices_text(group.offices)}" if len(group.offices) > 1 else "",
        ):
            if text:
                console.print(Padding(Text(text, style="dim"), (0, 0, 0, 4)))
        console.print(Padding(Text(group.remedy, style="dim"), (0, 0, 0, 4)))
    _print_rest(console, len(groups), limit, "cures")


def _print_rest(console: Console, count: int, limit: int, what: str) -> None:
    if limit and count > limit:
        console.print(
            f"and {count - limit:,} more {what} (--limit 0 for all, or --csv FILE)",
            style="yellow",
            highlight=False,
        )


def _print_totals(
    console: Console, summary: Totals, open_count: int, decimals: Mapping[str, int], now: datetime
) -> None:
    if not summary.count:
        of_all = f" of the {open_count:,} open documents" if open_count else ""
        console.print(f"None{of_all} match." if open_count else "Nothing is open.")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column("open" if summary.count == open_count else f"shown, of {open_count:,} open")
    for name in ("documents", "amount"):
        table.add_column(name, justify="right")
    for name, count in summary.documents.items():
        nouns = NOUNS[name][1]
        amounts = summary.amounts.get(name, {})
        table.add_row(nouns, f"{count:,}", money_text(amounts, decimals))
    console.print(table)
    if summary.oldest is not None:
        oldest = summary.oldest.astimezone(now.tzinfo)
        console.print(f"The oldest fails since {day_text(oldest, now)}.", highlight=False)
