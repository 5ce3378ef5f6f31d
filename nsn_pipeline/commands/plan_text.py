"""Prints a plan: how many records, which columns, and a sample of old and new values."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, zip_longest

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nsn_pipeline.audit.plan_privacy import shown_change
from nsn_pipeline.audit.trail_privacy import Privacy
from nsn_pipeline.commands.plan import PlanResult
from nsn_pipeline.commands.summary_text import print_errors, print_missing, print_rejections
from nsn_pipeline.load.plan import Change, Kind
from nsn_pipeline.load.plan_document import PlanDocument, PlannedChange
from nsn_pipeline.orchestration.plan_report import SHOWN_FIRST, fair_shares

KINDS = ("create", "update", "retire", "unchanged", "skipped", "failed")
COLUMNS_SHOWN = 20
VALUE_WIDTH = 60  # longer texts are cut in the sample; --json has them whole


def print_plan(console: Console, result: PlanResult, *, fields: int, rejections: int) -> None:
    """The whole result of `nsn plan`."""
    plan, summary = result.plan, result.summary
    span = " to ".join(dict.fromkeys((plan.scope.first_day, plan.scope.last_day)))
    console.print(
        f"\n[bold]{span}[/bold], {len(plan.runs)} run(s), {summary.seconds:.1f} s. "
        "Nothing was written to ServiceNow."
    )
    _print_counts(console, plan)
    _print_fields(console, plan)
    _print_sample(console, plan, fields, result.privacy)
    _print_differs(console, plan)
    _print_failing(console, plan, rejections)
    _print_superseded(console, result.superseded)
    print_missing(console, summary)
    print_rejections(console, summary, rejections)
    print_errors(console, summary)
    if not summary.errors and not plan.writes and not result.superseded:
        console.print("\nA sync would write nothing: ServiceNow already holds all of this.")


def _print_counts(console: Console, plan: PlanDocument) -> None:
    shown = [
        kind
        for kind in KINDS
        if kind in KINDS[:4] or any(counts.get(kind) for counts in plan.counts.values())
    ]
    table = _table("a sync would", *shown)
    for name, counts in plan.counts.items():
        table.add_row(name, *(f"{counts.get(kind, 0):,}" for kind in shown))
    console.print(table)


def _print_fields(console: Console, plan: PlanDocument) -> None:
    found = plan.fields()
    if not found:
        return
    table = _table("columns that change in records that are there", "records")
    for name, count in list(found.items())[:COLUMNS_SHOWN]:
        table.add_row(name, f"{count:,}")
    console.print(table)
    if len(found) > COLUMNS_SHOWN:
        console.print(f"  and {len(found) - COLUMNS_SHOWN} more (all of them: --json)")


def _print_sample(console: Console, plan: PlanDocument, fields: int, privacy: Privacy) -> None:
    """The first `fields` changed columns, record by record; of each kind its share."""
    by_kind = {kind: list(_in_turn(plan.changes, kind)) for kind in SHOWN_FIRST}
    sizes = [sum(_step_count(one.change) for one in found) for found in by_kind.values()]
    records = 0
    for found, share in zip(by_kind.values(), fair_shares(sizes, fields), strict=True):
        left = share
        for one in found:
            if not left:
                break
            if not records:
                console.print("[bold]What would change[/bold]")
            records += 1
            console.print(Text(f"  {_title(one)}"))
            for line in islice(_steps(shown_change(privacy, one.table, one.change)), left):
                left -= 1
                console.print(Padding(line, (0, 0, 0, 6)))
    if records and records < plan.writes:
        console.print(
            f"  and {plan.writes - records:,} more records (all of them: --json or --save)\n"
        )


def _in_turn(changes: Sequence[PlannedChange], kind: Kind) -> Iterator[PlannedChange]:
    """The changes of one kind, of each table in turn, the last ones first."""
    by_table: dict[str, list[PlannedChange]] = {}
    for one in changes:
        if one.change.kind == kind:
            by_table.setdefault(one.table, []).append(one)
    for turn in zip_longest(*reversed(by_table.values())):
        yield from (one for one in turn if one is not None)


def _title(one: PlannedChange) -> str:
    return f"{one.change.kind} {one.table} {one.change.key}"


def _step_count(change: Change) -> int:
    """How many lines `_steps` gives."""
    if change.kind == "create":
        return sum(1 for new in change.values.values() if new)
    return len(change.values) or int(change.deletes)


def _steps(change: Change) -> Iterator[Text]:
    if change.kind == "retire" and not change.values:
        yield Text("the record is deleted", style="yellow")
    for column, new in change.values.items():
        if change.kind == "create":
            if new:
                yield Text(f"{column}: ").append(_cut(new), style="green")
        else:
            yield (
                Text(f"{column}: ")
                .append(_cut(change.before.get(column, "")), style="red")
                .append(" -> ")
                .append(_cut(new), style="green")
            )


def _cut(value: str) -> str:
    text = value if len(value) <= VALUE_WIDTH else f"{value[: VALUE_WIDTH - 3]}..."
    return text or "(empty)"


def _print_differs(console: Console, plan: PlanDocument) -> None:
    """Columns we compare and never write: a sync changes nothing about them."""
    if not plan.differs:
        return
    table = _table("compared only, and different", "records")
    for name, count in plan.differs.items():
        table.add_row(name, f"{count:,}")
    console.print(table)


def _print_superseded(console: Console, superseded: Mapping[str, int]) -> None:
    if not superseded:
        return
    console.print("[bold]Changed in NetSuite while it was planned[/bold]: not in this plan")
    for record_type, count in superseded.items():
        console.print(f"  {record_type}: {count:,}", highlight=False)
    console.print("  A plan of the day they are on now has them.")


def _print_failing(console: Console, plan: PlanDocument, shown: int) -> None:
    if not plan.failing:
        return
    console.print("[bold]Could not be written as ServiceNow is now[/bold]")
    for one in plan.failing[:shown]:
        console.print(f"  {one.record_type} {one.document_id}", highlight=False)
        text = Text(f"{', '.join(one.reasons)}: {one.remedy}", style="dim")
        console.print(Padding(text, (0, 0, 0, 6)))
    if len(plan.failing) > shown:
        console.print(f"  and {len(plan.failing) - shown:,} more (all of them: --json)")


def _table(first: str, *columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column(first, overflow="fold")
    for name in columns:
        table.add_column(name, justify="right")
    return table
