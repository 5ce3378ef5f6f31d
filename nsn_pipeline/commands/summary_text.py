"""Prints a summary: tables a finance engineer can read, and what to type next."""

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nsn_pipeline.amounts import amount_text
from nsn_pipeline.commands.summary import Rejection, Summary

MONTHS_FROM_DAYS = 32  # shorter ranges have no use for a table by month
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
    _print_missing(console, summary)
    _print_rejections(console, summary, rejections)
    for note in summary.notes:
        console.print(f"[dim]note: {note}[/dim]", highlight=False)
    for error in summary.errors:
        console.print(f"[red]failed:[/red] {error}", highlight=False)
    if not summary.errors and summary.written == 0:
        console.print("\nServiceNow already held all of this: nothing was written.")


def _print_types(console: Console, summary: Summary) -> None:
    table = _table("record type", "ServiceNow table")
    for name in ("read", "accepted", "rejected", "created", "updated", "unchanged", "failed"):
        table.add_column(name, justify="right")
    for kind in summary.types:
        counted = kind.counted
        for position, part in enumerate(kind.tables):
            if position == 0:
                names = (LABELS[kind.record_type], part.table)
                documents = (
                    f"{counted.read:,}",
                    f"{counted.accepted:,}",
                    _alarming(counted.rejected),
                )
            else:
                names = ("  lines", part.table)
                documents = "", f"{part.records:,}", ""
            table.add_row(
                *names,
                *documents,
                f"{part.created:,}",
                f"{part.updated:,}",
                f"{part.unchanged:,}",
                _alarming(part.failed),
            )
    console.print(table)


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


def _print_missing(console: Console, summary: Summary) -> None:
    if not summary.missing:
        return
    table = _table("waiting for")
    table.add_column("documents", justify="right")
    table.add_column("remedy", overflow="fold")
    for one in summary.missing[:20]:
        table.add_row(escape(one.reference), f"{one.documents.total():,}", escape(one.remedy))
    console.print(table)
    if len(summary.missing) > 20:  # noqa: PLR2004
        console.print(f"  and {len(summary.missing) - 20} more")


def _print_rejections(console: Console, summary: Summary, shown: int) -> None:
    chosen = _first_rejections(summary, shown)
    if not chosen:
        return
    table = _table("rejected", "document", "vendor")
    table.add_column("amount", justify="right")
    table.add_column("why, and the remedy", overflow="fold")
    for one in chosen:
        amount = one.amount
        table.add_row(
            one.record_type,
            escape(f"{one.document_id} {one.tranid}".strip()),
            escape(one.vendor),
            ""
            if amount is None
            else f"{amount_text(amount, one.currency, summary.decimals)} {one.currency}",
            escape(f"{', '.join(one.reasons)}: {one.remedy}"),
        )
    console.print(table)
    if summary.rejected > len(chosen):
        console.print(f"  and {summary.rejected - len(chosen):,} more (all of them: --json)")


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
