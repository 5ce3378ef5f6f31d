"""Prints a summary: tables a finance engineer can read, and what to type next."""

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nsn_pipeline.amounts import amount_text
from nsn_pipeline.audit.replay import named
from nsn_pipeline.commands.summary import Rejection, Summary

CURES = 10  # missing codes shown; more than a person takes in at once is no help
LABELS = {
    "gl_account": "GL accounts",
    "cost_center": "cost centers",
    "vendor": "vendors",
    "purchase_order": "purchase orders",
    "vendor_bill": "vendor bills",
    "gl_posting": "GL postings (transactions)",
}


def print_summary(console: Console, summary: Summary, *, rejections: int = 10) -> None:
    """The whole result of a sync."""
    span = summary.first_day
    if summary.last_day != summary.first_day:
        span = f"{summary.first_day} to {summary.last_day}"
    console.print(f"\n[bold]{span}[/bold], {len(summary.runs)} run(s), {summary.seconds:.1f} s")
    _print_types(console, summary)
    _print_amounts(console, summary)
    _print_months(console, summary)
    print_missing(console, summary)
    print_rejections(console, summary, rejections)
    for note in summary.notes:
        console.print(f"[dim]note: {note}[/dim]", highlight=False)
    print_errors(console, summary)
    if not summary.errors and summary.written == 0:
        console.print("\nServiceNow already held all of this: nothing was written.")


def print_errors(console: Console, summary: Summary) -> None:
    """Why runs failed, where they did."""
    for error in summary.errors:
        console.print(f"[red]failed:[/red] {error}", highlight=False)


def _print_types(console: Console, summary: Summary) -> None:
    documents = _table("read from NetSuite")
    for name in ("read", "accepted", "rejected"):
        documents.add_column(name, justify="right")
    records = _table("written to ServiceNow")
    for name in ("created", "updated", "unchanged", "retired", "failed"):
        records.add_column(name, justify="right")
    for kind in summary.types:
        counted = kind.counted
        if counted.read:
            label = LABELS[kind.record_type]
            documents.add_row(
                label, f"{counted.read:,}", f"{counted.accepted:,}", _alarming(counted.rejected)
            )
        for part in kind.tables:
            written = (part.created, part.updated, part.unchanged, part.retired)
            counts = (f"{count:,}" for count in written)
            records.add_row(part.table, *counts, _alarming(part.failed))
    console.print(documents)
    console.print(records)
    for table in (table for kind in summary.types for table in kind.tables if table.not_retired):
        console.print(
            f"[yellow]{table.not_retired:,} of {table.table} are gone from NetSuite and were not "
            "retired[/yellow]: the check `retired` says why.",
            highlight=False,
        )


def _print_amounts(console: Console, summary: Summary) -> None:
    table = _table("amounts", "currency")
    for name in ("accepted", "rejected"):
        table.add_column(name, justify="right")
    for kind in summary.types:
        for currency, money in sorted(kind.counted.amounts.items()):
            if kind.record_type in {"purchase_order", "vendor_bill"}:
                table.add_row(
                    LABELS[kind.record_type],
                    currency or "?",
                    amount_text(money.accepted, currency, summary.decimals),
                    amount_text(money.rejected, currency, summary.decimals),
                )
    if table.row_count:
        console.print(table)


def _print_months(console: Console, summary: Summary) -> None:
    bills = next(kind for kind in summary.types if kind.record_type == "vendor_bill")
    months = sorted(bills.by_month.items())
    if len(months) < 2:  # noqa: PLR2004 - one month is the table above
        return
    table = _table("vendor bills", "currency")
    for name in ("read", "rejected", "amount", "rejected amount"):
        table.add_column(name, justify="right")
    for month, counted in months:
        for currency, money in sorted(counted.amounts.items()):
            table.add_row(
                month,
                currency or "?",
                f"{counted.read:,}",
                _alarming(counted.rejected),
                amount_text(money.accepted + money.rejected, currency, summary.decimals),
                amount_text(money.rejected, currency, summary.decimals),
            )
    console.print(table)


def print_missing(console: Console, summary: Summary) -> None:
    """The cures that would help most documents."""
    if not summary.missing:
        return
    console.print("[bold]What would cure most[/bold]")
    for one in summary.missing[:CURES]:
        count = one.documents.total()
        console.print(
            f"  [yellow]{escape(named(one.reference))}[/yellow]: {count:,} "
            f"{'document waits' if count == 1 else 'documents wait'}",
            highlight=False,
        )
        _print_indented(console, one.remedy)
    if len(summary.missing) > CURES:
        console.print(f"  and {len(summary.missing) - CURES} more")


def print_rejections(console: Console, summary: Summary, shown: int) -> None:
    """The first documents that may not be written, and why."""
    chosen = _first_rejections(summary, shown)
    if not chosen:
        return
    console.print("\n[bold]Rejected[/bold]")
    for one in chosen:
        amount = (
            "" if one.amount is None else amount_text(one.amount, one.currency, summary.decimals)
        )
        parts = (f"{one.record_type} {one.document_id}", one.tranid, one.vendor)
        what = ", ".join(escape(part) for part in parts if part)
        console.print(f"  {what}, {amount} {one.currency}".rstrip(", "), highlight=False)
        _print_indented(console, f"{', '.join(one.reasons)}: {one.remedy}")
    if summary.rejected > len(chosen):
        console.print(f"  and {summary.rejected - len(chosen):,} more (all of them: --json)")


def _print_indented(console: Console, text: str) -> None:
    console.print(Padding(Text(text, style="dim"), (0, 0, 0, 6)))


def _first_rejections(summary: Summary, shown: int) -> list[Rejection]:
    """Bills and orders before the postings and dimensions that fail for the same cause."""
    order = ("vendor_bill", "purchase_order", "vendor", "gl_posting", "gl_account", "cost_center")
    by_type = {name: [r for r in summary.rejections if r.record_type == name] for name in order}
    share = max(shown // 2, 1)
    orders = by_type["purchase_order"][: share if by_type["vendor_bill"] else shown]
    bills = by_type["vendor_bill"][: shown - len(orders)]
    chosen = [*bills, *orders]
    return (chosen or [r for name in order for r in by_type[name]])[:shown]


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _alarming(count: int) -> str:
    return f"[yellow]{count:,}[/yellow]" if count else "0"
