"""Turns documents into NetSuite rows: header, lines, GL impact and links.

All sign rules live here (`docs/facts/netsuite.md` 6.2-6.5): a bill's header total and main line are
negative and its cost lines positive, a credit is the mirror image, a purchase order's total is
positive and it never posts; debit and credit are unsigned, `amount` is signed in the book's base
currency, and every document sums to zero in every book.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from nsn_pipeline.sandbox.data import chart as coa
from nsn_pipeline.sandbox.data.chart import Account
from nsn_pipeline.sandbox.data.company import (
    SECONDARY_ACCOUNTS,
    SECONDARY_CURRENCY,
    Company,
    Currency,
    Office,
)
from nsn_pipeline.sandbox.data.periods import Window, iso, period_id
from nsn_pipeline.sandbox.data.tables import Batch, flag
from nsn_pipeline.sandbox.data.vendors import Vendor

PRIMARY_BOOK, SECONDARY_BOOK = "1", "2"
_USERS = ("-5", "1412", "1417", "1420")


@dataclass(frozen=True, slots=True)
class Kind:
    """A transaction type; `sign` turns an entered amount into the line's debit-positive one."""

    type: str
    record: str
    sign: int = 1


PURCHASE_ORDER = Kind("PurchOrd", "purchaseorder")
ITEM_RECEIPT = Kind("ItemRcpt", "itemreceipt")
VENDOR_BILL = Kind("VendBill", "vendorbill")
VENDOR_CREDIT = Kind("VendCred", "vendorcredit", sign=-1)
VENDOR_PAYMENT = Kind("VendPymt", "vendorpayment")
JOURNAL = Kind("Journal", "journalentry")


@dataclass(frozen=True, slots=True)
class Line:
    """`amount` as entered: positive is a charge on purchase documents, a debit on a journal."""

    id: int
    amount: Decimal
    account: str  # code in the chart
    department: str | None = None  # ids from here on
    memo: str | None = None
    item: str | None = None
    item_type: str | None = None  # NetSuite's accountinglinetype
    quantity: Decimal | None = None
    rate: Decimal | None = None
    tax: bool = False
    class_: str | None = None
    location: str | None = None
    created_from: str | None = None
    billed: Decimal | None = None
    received: Decimal | None = None
    closed: bool = False
    eliminate: bool = False
    hide_account: bool = False  # the line does not say its account: readers must ask the item
    modified: datetime | None = None  # later than the header's stamp


@dataclass(frozen=True, slots=True)
class Document:
    id: str
    kind: Kind
    office: Office
    currency: Currency
    exchange_rate: Decimal
    day: date
    created: datetime
    modified: datetime
    status: str
    lines: tuple[Line, ...]
    main_account: str = coa.MAIN_PAYABLES
    vendor: Vendor | None = None
    tranid: str | None = None
    due: date | None = None
    approval: str | None = "2"
    posting: bool = True
    voided: bool = False
    reversal: bool = False
    elimination: bool = False
    paid: Decimal = Decimal(0)
    memo: str | None = None
    project: str | None = None
    reference: str | None = None

    @property
    def total(self) -> Decimal:
        return sum((line.amount for line in self.lines), Decimal(0))


def text(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


def plain(value: Decimal) -> str:
    """A rate or quantity without trailing zeros, and never in exponent form."""
    shown = format(value, "f")
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


class Ledger:
    def __init__(self, company: Company, accounts: dict[str, Account], window: Window) -> None:
        self.batch = Batch()
        self._company = company
        self._accounts = accounts
        self._window = window
        self._next_id = 20_000
        self._next_key = 700_000
        self._numbers: dict[str, int] = {}

    def new_id(self) -> str:
        self._next_id += 1
        return str(self._next_id)

    def post(self, document: Document) -> None:
        self._header(document)
        if document.kind is JOURNAL:
            lines = list(document.lines)
        else:
            first = document.lines[0]
            main = Line(
                id=0,
                amount=-document.total,
                account=document.main_account,
                class_=first.class_,
                location=first.location,
                memo=document.memo,
                # A purchase order's own line and a bill's both show the department they came with.
                department=first.department if int(document.id) % 3 == 0 else None,
                eliminate=first.eliminate,
            )
            lines = [main, *document.lines]
        base = self._base_amounts(document, lines, document.office.currency, document.exchange_rate)
        for position, (line, amount) in enumerate(zip(lines, base, strict=True)):
            self._line(document, line, position, amount)
        self._impact(document, lines, base)

    def _header(self, document: Document) -> None:
        kind = document.kind
        number = self._numbers.get(kind.type, 1000) + 1
        self._numbers[kind.type] = number
        total = document.total
        payable = kind in (VENDOR_BILL, VENDOR_CREDIT)
        shown = {"PurchOrd": total, "VendBill": -total, "VendCred": total, "VendPymt": -total}
        self.batch.add(
            "transaction",
            id=document.id,
            type=kind.type,
            recordtype=kind.record,
            tranid=document.tranid,
            transactionnumber=f"{kind.type.upper()}{number}",
            entity=document.vendor.id if document.vendor else None,
            trandate=document.day.isoformat(),
            duedate=document.due.isoformat() if document.due else None,
            closedate=self._window.local_day(document.modified).isoformat()
            if (kind, document.status) in ((PURCHASE_ORDER, "H"), (VENDOR_BILL, "B"))
            else None,
            status=document.status,
            approvalstatus=document.approval,
            posting=flag(document.posting),
            postingperiod=None if kind is PURCHASE_ORDER else period_id(document.day, self._window),
            currency=document.currency.id,
            exchangerate=plain(document.exchange_rate),
            foreigntotal=text(_unsigned_zero(shown[kind.type])) if kind.type in shown else None,
            foreignamountpaid=text(document.paid) if payable else None,
            foreignamountunpaid=text(total - document.paid) if payable else None,
            memo=document.memo,
            terms=document.vendor.term if document.vendor else None,
            otherrefnum=document.reference,
            void=flag(document.voided),
            voided=flag(document.voided),
            isreversal=flag(document.reversal),
            intercoadj=flag(document.elimination),
            createdby=_USERS[int(document.id) % 4],
            createddate=iso(document.created),
            lastmodifiedby=_USERS[int(document.id) // 4 % 4],
            lastmodifieddate=iso(document.modified),
            paymenthold="F" if kind is VENDOR_BILL else None,
            custbody_project=document.project,
        )

    def _line(self, document: Document, line: Line, position: int, base: Decimal) -> None:
        kind = document.kind
        main = position == 0
        self._next_key += 1
        amount = _unsigned_zero(line.amount * kind.sign)
        order = kind is PURCHASE_ORDER
        account = self._accounts[line.account]
        no_account = line.hide_account or (order and main)
        self.batch.add(
            "transactionline",
            transaction=document.id,
            id=str(line.id),
            uniquekey=str(self._next_key),
            linesequencenumber=str(position),
            mainline=flag(main),
            taxline=flag(line.tax),
            item=line.item,
            quantity=plain(line.quantity * kind.sign) if line.quantity is not None else None,
            rate=plain(line.rate) if line.rate is not None else None,
            foreignamount=text(amount),
            netamount=text(base),
            creditforeignamount=text(-amount) if amount < 0 else None,
            debitforeignamount=text(amount) if amount > 0 else None,
            expenseaccount=None if no_account else account.id,
            accountinglinetype=line.item_type,
            memo=line.memo,
            entity=document.vendor.id if document.vendor else None,
            department=line.department,
            class_=line.class_,
            location=line.location,
            subsidiary=self._company.subsidiary_id(document.office),
            createdfrom=line.created_from,
            quantitybilled=plain(line.billed) if line.billed is not None else None,
            quantityshiprecv=plain(line.received) if line.received is not None else None,
            isclosed=flag(line.closed) if order else None,
            isbillable="F",
            eliminate=flag(line.eliminate),
            linelastmodifieddate=iso(line.modified or document.modified),
            linecreateddate=iso(document.created),
        )

    @staticmethod
    def _base_amounts(
        document: Document, lines: Sequence[Line], currency: Currency, rate: Decimal
    ) -> list[Decimal]:
        """Signed amounts in a base currency; the first line takes what rounding leaves."""
        sign = document.kind.sign
        rest = [currency.round(line.amount * sign * rate) for line in lines[1:]]
        amounts = [-sum(rest, currency.round(Decimal(0))), *rest]
        return [_unsigned_zero(amount) for amount in amounts]

    def _impact(self, document: Document, lines: Sequence[Line], base: list[Decimal]) -> None:
        order = document.kind is PURCHASE_ORDER
        if not (document.posting or order):
            return  # a bill waiting for approval has no GL rows
        self._book(document, lines, base, PRIMARY_BOOK, document.exchange_rate)
        if order or not self._company.multi:
            return
        office = document.office.currency.in_usd
        rate = document.exchange_rate * office / SECONDARY_CURRENCY.in_usd
        rate = rate.quantize(Decimal("1e-8"))
        amounts = self._base_amounts(document, lines, SECONDARY_CURRENCY, rate)
        self._book(document, lines, amounts, SECONDARY_BOOK, rate)

    def _book(
        self,
        document: Document,
        lines: Sequence[Line],
        amounts: list[Decimal],
        book: str,
        rate: Decimal,
    ) -> None:
        order = document.kind is PURCHASE_ORDER
        for line, amount in zip(lines, amounts, strict=True):
            code = coa.PURCHASE_ORDERS if order else line.account
            if book == SECONDARY_BOOK:
                code = SECONDARY_ACCOUNTS.get(code, code)
            empty = amount == 0  # such lines keep a row, without account and amounts
            self.batch.add(
                "transactionaccountingline",
                accountingbook=book,
                transaction=document.id,
                transactionline=str(line.id),
                account=None if empty else self._accounts[code].id,
                debit=text(amount) if amount > 0 else None,
                credit=text(-amount) if amount < 0 else None,
                amount=None if empty else text(amount),
                netamount=None if empty else text(amount),
                posting=flag(document.posting),
                exchangerate=plain(rate),
                lastmodifieddate=iso(document.modified),
            )

    def link(
        self, previous: Document, next_: Document, lines: tuple[int, int], how: str, amount: Decimal
    ) -> None:
        """One pair of lines, in both link tables (`docs/facts/netsuite.md` 6.5)."""
        for table in ("nexttransactionlinelink", "previoustransactionlinelink"):
            self.batch.add(
                table,
                previousdoc=previous.id,
                previousline=str(lines[0]),
                previoustype=previous.kind.type,
                nextdoc=next_.id,
                nextline=str(lines[1]),
                nexttype=next_.kind.type,
                linktype=how,
                foreignamount=text(amount),
                lastmodifieddate=iso(next_.modified),
            )

    def deleted(self, kind: Kind, name: str, moment: datetime) -> None:
        """A document that existed and is gone; only `deletedrecord` still knows of it."""
        self.batch.add(
            "deletedrecord",
            recordid=self.new_id(),
            type=kind.record,
            name=name,
            deleteddate=iso(moment),
            deletedby=_USERS[1],
            context="UIF",
            iscustomrecord="F",
            iscustomlist="F",
            iscustomtransaction="F",
        )


def _unsigned_zero(amount: Decimal) -> Decimal:
    """`-0.00` is not a number anyone should read."""
    return abs(amount) if amount == 0 else amount


def void(document: Document) -> Document:
    """As a direct void leaves it: still there, every amount zero."""
    nothing = document.currency.round(Decimal(0))
    lines = tuple(
        replace(line, amount=nothing, rate=None if line.rate is None else nothing)
        for line in document.lines
    )
    return replace(document, lines=lines, voided=True, memo="VOID", paid=nothing)
