# ruff: noqa: SIM905  (a word list reads better as a sentence than as a column of quotes)
# ruff: noqa: PLR2004  (made-up data is made of arbitrary numbers)
"""Purchase orders and what became of them: receipts, bills, payments."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, Decimal

from nsn_pipeline.sandbox.data import chart as coa
from nsn_pipeline.sandbox.data.catalogue import asset_code
from nsn_pipeline.sandbox.data.ledger import (
    ITEM_RECEIPT,
    PURCHASE_ORDER,
    VENDOR_BILL,
    Document,
    Line,
)
from nsn_pipeline.sandbox.data.payables import finish_bill, pay
from nsn_pipeline.sandbox.data.world import World


@dataclass(frozen=True, slots=True)
class LifeCycle:
    """A status letter (`docs/facts/netsuite.md` 6.2) and what must have happened to get there."""

    status: str
    approval: str = "2"
    received: str = "none"  # none, half, all
    bills: tuple[str, ...] = ()  # each bill takes "half", "rest" or "all"


_CYCLES = {
    "A": LifeCycle("A", approval="1"),
    "B": LifeCycle("B"),
    "C": LifeCycle("C", approval="3"),
    "D": LifeCycle("D", received="half"),
    "E": LifeCycle("E", received="half", bills=("half",)),
    "F": LifeCycle("F", received="all"),
    "G": LifeCycle("G", received="all", bills=("all",)),
    "GG": LifeCycle("G", received="all", bills=("half", "rest")),
    "H": LifeCycle("H", received="half", bills=("half",)),
}
# Every status within twenty orders, in a fixed turn: figures of a demo do not depend on the seed.
_TURN = tuple(_CYCLES[name] for name in "G G B GG D G F A G E G H G B C GG E G F G".split())


def bills_of(orders: int) -> int:
    """How many bills that many orders lead to."""
    return sum(len(_TURN[number % len(_TURN)].bills) for number in range(orders))


def order_chain(world: World, number: int, day: date) -> None:
    """One purchase order and everything that follows from it."""
    cycle = _TURN[number % len(_TURN)]
    order = _order(world, number, day, cycle)
    receipt = _receipt(world, order, cycle) if cycle.received != "none" else None
    earliest = receipt.modified if receipt else order.created
    bills: list[Document] = []
    for position, share in enumerate(cycle.bills):
        source = receipt if receipt and number % 8 == 3 else order
        bill = _bill(world, order, share, after=earliest, created_from=source.id)
        bill = finish_bill(world, bill, paid=cycle.status == "G" and (number + position) % 3 == 0)
        bills.append(bill)
        earliest = bill.created
    if bills and number % 2:
        order = replace(order, modified=max(order.modified, bills[-1].created))
    world.post(_with_progress(order, cycle, bills))
    if receipt:
        world.post(receipt)
        for line in receipt.lines:
            world.ledger.link(order, receipt, (line.id, line.id), "ShipRcpt", line.amount)
    for bill in bills:
        world.post(bill)
        _link(world, order, bill, also_as_receipt=number % 4 == 1)
        if bill.status == "B":
            pay(world, bill)


def _order(world: World, number: int, day: date, cycle: LifeCycle) -> Document:
    draw = world.draw
    vendor = world.vendor()
    office, currency = vendor.office, vendor.currency
    gap = world.gap(number)
    # Line ids leave holes where a line was deleted: id, sequence and unique key are three numbers.
    ids = [1 + position + (position > 0 and number % 5 == 0) for position in range(8)]
    lines = [world.item_line(ids[0], currency, office, stock=gap is None, gap=gap, least=2)]
    for line_id in ids[1 : world.line_count()]:
        if draw.chance(0.8):
            lines.append(world.item_line(line_id, currency, office, stock=True, least=2))
        else:
            lines.append(world.expense_line(line_id, currency, office, day))
    # Item lines of an order mostly show no account of their own: it is the item's.
    lines = [
        replace(line, hide_account=line.item_type == "ASSET" or number % 5 != 2)
        if line.item and line.account != gap
        else line
        for line in lines
    ]
    before = 0 if number % 5 < 3 else draw.integer(2, 25)
    placed = day - timedelta(days=before)
    modified = world.moment(day, office)
    created = min(world.moment(placed, office), modified)
    return Document(
        id=world.ledger.new_id(),
        kind=PURCHASE_ORDER,
        office=office,
        currency=currency,
        exchange_rate=world.rate(currency, office),
        vendor=vendor,
        day=placed,
        due=placed + timedelta(days=draw.integer(7, 45)) if draw.chance(0.8) else None,
        created=created,
        modified=modified,
        status=cycle.status,
        approval=cycle.approval,
        posting=False,
        tranid=f"PO{4000 + number}",
        main_account=coa.PURCHASE_ORDERS,
        memo=world.memo(day),
        project=world.project(),
        reference=f"REQ-{draw.integer(100, 999)}" if draw.chance(0.2) else None,
        lines=tuple(lines),
    )


def _half(quantity: Decimal) -> Decimal:
    return min((quantity / 2).to_integral_value(ROUND_CEILING), quantity)


def _taken(line: Line, share: str) -> Decimal | None:
    """The quantity of a line that a receipt or bill takes; None for the expenses tab."""
    if line.quantity is None:
        return None
    half = _half(line.quantity)
    return {"half": half, "rest": line.quantity - half, "all": line.quantity}[share]


def _portion(order: Document, share: str) -> list[tuple[Line, Decimal, Decimal | None]]:
    """(order line, amount, quantity) of a share; lines without quantity come whole, at the end."""
    portion: list[tuple[Line, Decimal, Decimal | None]] = []
    for line in order.lines:
        quantity = _taken(line, share)
        if quantity is None:
            if share != "half":
                portion.append((line, line.amount, None))
        elif quantity > 0 and line.rate is not None:
            portion.append((line, order.currency.round(quantity * line.rate), quantity))
    return portion


def _receipt(world: World, order: Document, cycle: LifeCycle) -> Document:
    """Stock is booked on receipt, against accrued purchases; other lines are only ticked off."""
    day = world.later(world.window.local_day(order.modified), 1)
    created = world.moment(day, order.office, after=order.modified)
    lines: list[Line] = []
    for line, amount, quantity in _portion(order, cycle.received):
        if quantity is None:
            continue
        asset = asset_code(line.item)
        lines.append(
            replace(
                line,
                amount=amount if asset else amount * 0,
                account=asset or line.account,
                quantity=quantity,
                created_from=order.id,
                hide_account=asset is None,
            )
        )
    return replace(
        order,
        id=world.ledger.new_id(),
        kind=ITEM_RECEIPT,
        day=day,
        due=None,
        created=created,
        modified=created,
        status="B",
        approval=None,
        posting=True,
        tranid=f"IR{order.id}",
        main_account=coa.ACCRUED_PURCHASES,
        reference=None,
        lines=tuple(lines),
    )


def _bill(
    world: World, order: Document, share: str, *, after: datetime, created_from: str
) -> Document:
    day = world.later(world.window.local_day(after), 2)
    created = world.moment(day, order.office, after=after)
    lines = tuple(
        replace(
            line,
            amount=amount,
            quantity=quantity,
            created_from=created_from,
            hide_account=False,
        )
        for line, amount, quantity in _portion(order, share)
    )
    vendor = order.vendor
    return replace(
        order,
        id=world.ledger.new_id(),
        kind=VENDOR_BILL,
        day=day,
        due=world.due(day, vendor) if vendor else None,
        created=created,
        modified=created,
        status="A",
        approval="2",
        posting=True,
        tranid=world.tranid(day),
        main_account=coa.MAIN_PAYABLES,
        memo=world.memo(day),
        reference=None,
        lines=lines,
    )


def _with_progress(order: Document, cycle: LifeCycle, bills: Sequence[Document]) -> Document:
    """The order with what its lines show of receipts and bills."""
    if cycle.approval != "2":
        return order
    lines: list[Line] = []
    for line in order.lines:
        if line.quantity is None:
            whole = cycle.status == "G"
            lines.append(replace(line, closed=whole or cycle.status == "H"))
            continue
        takes = (other for bill in bills for other in bill.lines if other.id == line.id)
        billed = sum((take.quantity or Decimal(0) for take in takes), Decimal(0))
        received = _taken(line, cycle.received) if cycle.received != "none" else Decimal(0)
        closed = cycle.status in {"G", "H"}
        lines.append(replace(line, billed=billed, received=received, closed=closed))
    return replace(order, lines=tuple(lines))


def _link(world: World, order: Document, bill: Document, *, also_as_receipt: bool) -> None:
    """Order-to-bill pairs; some chains carry `ShipRcpt` pairs beside them, which double-count."""
    known = {line.id for line in order.lines}
    for line in bill.lines:
        if line.id not in known or line.tax:
            continue
        world.ledger.link(order, bill, (line.id, line.id), "OrdBill", line.amount)
        if also_as_receipt:
            world.ledger.link(order, bill, (line.id, line.id), "ShipRcpt", line.amount)
