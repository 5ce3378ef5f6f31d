# ruff: noqa: SIM905  (a word list reads better as a sentence than as a column of quotes)
# ruff: noqa: PLR2004  (made-up data is made of arbitrary numbers)
"""Bills without an order, credits, payments and journals."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from nsn_pipeline.sandbox.data import chart as coa
from nsn_pipeline.sandbox.data.company import ELIMINATION, PARENT, Office
from nsn_pipeline.sandbox.data.ledger import (
    JOURNAL,
    VENDOR_BILL,
    VENDOR_CREDIT,
    VENDOR_PAYMENT,
    Document,
    Line,
    void,
)
from nsn_pipeline.sandbox.data.world import World

# What becomes of stand-alone bills, in a fixed turn.
_TURN = (
    "open open paid open pending open paid open sister voided open paid open open pending"
    " reversed open paid open open paid open credited open open"
).split()
_CREDIT_PERIOD = 15
_JOURNAL_PERIOD = 10


def bill_chain(world: World, number: int, day: date) -> None:
    """One bill entered without an order, and what follows from it."""
    fate = _TURN[number % len(_TURN)]
    if fate == "sister" and world.sisters:
        world.post(finish_bill(world, _sister_bill(world, number, day), paid=False))
    else:
        _ordinary(world, number, day, fate)
    if number % _JOURNAL_PERIOD == 3:
        _accrual(world, number, day)


def _ordinary(world: World, number: int, day: date, fate: str) -> None:
    bill = _bill(world, number, day)
    if fate == "pending":
        bill = replace(bill, status="D", approval="1", posting=False)
    bill = finish_bill(world, bill, paid=fate in {"paid", "reversed"}, hide=number % 2 == 0)
    if fate == "voided":
        bill = void(bill)
    world.post(bill)
    if fate == "paid":
        pay(world, bill)
    elif fate == "reversed":
        _reversal(world, bill)
    elif (fate == "credited" or number % _CREDIT_PERIOD == 11) and bill.posting and not bill.voided:
        _credit(world, bill)


def finish_bill(world: World, bill: Document, *, paid: bool, hide: bool = False) -> Document:
    """Tax, settlement and late edits, which orders' bills and stand-alone ones have alike."""
    draw, office = world.draw, bill.office
    lines = list(bill.lines)
    if office.tax_account and draw.chance(0.85):
        net = bill.total
        lines.append(
            Line(
                id=max(line.id for line in lines) + 1,
                amount=bill.currency.round(net * office.tax_percent / 100),
                account=office.tax_account,
                memo=f"{office.tax_percent}%",
                tax=True,
            )
        )
    if not bill.posting and hide:
        # Nothing is posted yet, and these lines do not show their account: readers need the item.
        lines = [replace(line, hide_account=line.item is not None) for line in lines]
    if draw.chance(0.15):
        # Edited on a later day: the change stamp moves, the day of creation stays.
        later = world.window.local_day(bill.modified + timedelta(days=draw.integer(1, 3)))
        bill = replace(bill, modified=world.moment(later, office, after=bill.modified))
    if draw.chance(0.08):
        lines[0] = replace(lines[0], modified=_line_edit(world, bill))
    bill = replace(bill, lines=tuple(lines))
    return replace(bill, status="B", paid=bill.total) if paid else bill


def _line_edit(world: World, bill: Document) -> datetime | None:
    """A stamp after the header's, on a later day where the window has one."""
    last = world.window.day_end(world.window.last)
    edited = min(bill.modified + timedelta(hours=world.draw.integer(20, 40)), last)
    return edited if edited > bill.modified else None


def _bill(world: World, number: int, day: date) -> Document:
    vendor = world.vendor()
    office, currency = vendor.office, vendor.currency
    gap = world.gap(number)
    lines: list[Line] = []
    for position in range(1, world.line_count() + 1):
        missing = gap if position == 1 else None
        if missing != "6455" and world.draw.chance(0.25):
            line = world.item_line(position, currency, office, stock=False, gap=missing)
        else:
            line = world.expense_line(position, currency, office, day, gap=missing)
        lines.append(line)
    if len(lines) > 2 and world.draw.chance(0.3):
        # A genuine credit line inside a bill: taking absolute values would turn it into a charge.
        allowance = -currency.round(lines[0].amount / 20)
        lines.append(
            replace(
                lines[0],
                id=len(lines) + 1,
                amount=allowance,
                memo="Returned packaging",
                item=None,
                item_type=None,
                quantity=None,
                rate=None,
            )
        )
    dated = day - timedelta(days=world.draw.integer(0, 12))
    modified = world.moment(day, office)
    return Document(
        id=world.ledger.new_id(),
        kind=VENDOR_BILL,
        office=office,
        currency=currency,
        exchange_rate=world.rate(currency, office),
        vendor=vendor,
        day=dated,
        due=world.due(dated, vendor),
        created=modified,
        modified=modified,
        status="A",
        tranid=world.tranid(dated),
        memo=world.memo(dated),
        project=world.project(),
        lines=tuple(lines),
    )


def _sister_bill(world: World, number: int, day: date) -> Document:
    """A sister company's bill: its own payables account, and lines the group eliminates."""
    vendor = world.sisters[number % len(world.sisters)]
    line = world.expense_line(1, vendor.currency, PARENT, day)
    line = replace(line, account="5090", eliminate=True, memo="Castings, intercompany")
    bill = _bill(world, 0, day)
    return replace(
        bill,
        vendor=vendor,
        office=PARENT,
        currency=vendor.currency,
        exchange_rate=world.rate(vendor.currency, PARENT),
        main_account=coa.INTERCOMPANY_PAYABLES,
        due=world.due(bill.day, vendor),
        lines=(line,),
    )


def pay(world: World, bill: Document) -> None:
    """Money out of the office's bank against payables, linked to the bill's main line."""
    day = world.later(world.window.local_day(bill.created), 3)
    created = world.moment(day, bill.office, after=bill.created)
    payment = Document(
        id=world.ledger.new_id(),
        kind=VENDOR_PAYMENT,
        office=bill.office,
        currency=bill.currency,
        exchange_rate=bill.exchange_rate,
        vendor=bill.vendor,
        day=day,
        created=created,
        modified=created,
        status="Z",
        approval=None,
        tranid=f"{world.draw.integer(10_000, 99_999)}",
        main_account=bill.office.bank,
        lines=(Line(id=1, amount=bill.total, account=bill.main_account),),
    )
    world.post(payment)
    world.ledger.link(bill, payment, (0, 1), "Payment", bill.total)


def _credit(world: World, bill: Document) -> None:
    """Half of the bill given back, under the bill's own number as suppliers do."""
    day = world.later(world.window.local_day(bill.created), 2)
    created = world.moment(day, bill.office, after=bill.created)
    lines = tuple(
        replace(
            line,
            amount=bill.currency.round(line.amount / 2),
            quantity=None,
            rate=None,
            modified=None,
        )
        for line in bill.lines
    )
    credit = replace(
        bill,
        id=world.ledger.new_id(),
        kind=VENDOR_CREDIT,
        day=day,
        due=None,
        created=created,
        modified=created,
        status="A",
        paid=Decimal(0),
        memo="Credit for returned goods",
        lines=tuple(line for line in lines if line.amount != 0),
    )
    if credit.lines:
        world.post(credit)


def _reversal(world: World, bill: Document) -> None:
    """Voided the other way: the bill stays and looks paid, a reversing journal takes it back."""
    day = world.later(world.window.local_day(bill.created), 2)
    created = world.moment(day, bill.office, after=bill.created)
    lines = [Line(id=0, amount=bill.total, account=bill.main_account)]
    lines += [
        replace(line, amount=-line.amount, item=None, quantity=None, rate=None, modified=None)
        for line in bill.lines
    ]
    journal = _journal(world, bill.office, day, created, lines)
    number = bill.tranid or bill.id
    journal = replace(
        journal,
        currency=bill.currency,
        exchange_rate=bill.exchange_rate,
        reversal=True,
        memo=f"Void of bill {number}",
    )
    world.post(journal)
    world.ledger.link(bill, journal, (0, 0), "Payment", bill.total)


def _accrual(world: World, number: int, day: date) -> None:
    """A month-end style accrual, or an elimination between sister companies."""
    eliminates = world.company.multi and number % (3 * _JOURNAL_PERIOD) == 3
    office = ELIMINATION if eliminates else world.draw.pick(world.company.trading)
    created = world.moment(day, office)
    amount = office.currency.round(
        Decimal(world.draw.integer(10_000, 900_000)) / 100 / office.currency.in_usd
    )
    debit, credit = ("4090", "5090") if eliminates else ("6110", "2120")
    department = None if eliminates else world.department(office)
    lines = [
        Line(id=0, amount=amount, account=debit, department=department, eliminate=eliminates),
        Line(id=1, amount=-amount, account=credit, eliminate=eliminates),
    ]
    journal = _journal(world, office, day, created, lines)
    memo = "Elimination" if eliminates else "Electricity not yet billed"
    world.post(replace(journal, elimination=eliminates, memo=memo))


def _journal(
    world: World, office: Office, day: date, created: datetime, lines: list[Line]
) -> Document:
    return Document(
        id=world.ledger.new_id(),
        kind=JOURNAL,
        office=office,
        currency=office.currency,
        exchange_rate=Decimal(1),
        day=day,
        created=created,
        modified=created,
        status="B",
        tranid=f"JE{world.draw.integer(1000, 9999)}",
        lines=tuple(lines),
    )
