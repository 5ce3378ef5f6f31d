# ruff: noqa: PLR2004  (made-up data is made of arbitrary numbers)
"""What every document is made from: the masters, the calendar and the draws they share."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from nsn_pipeline.sandbox.data import chart as coa
from nsn_pipeline.sandbox.data.catalogue import (
    GAP_ITEM,
    LONG_MEMO,
    MEMO_WORDS,
    TERMS,
    Item,
    items,
    posting_code,
)
from nsn_pipeline.sandbox.data.chart import Account
from nsn_pipeline.sandbox.data.company import Company, Currency, Office
from nsn_pipeline.sandbox.data.draw import Draw
from nsn_pipeline.sandbox.data.gaps import GAP_CODES
from nsn_pipeline.sandbox.data.ledger import Document, Ledger, Line
from nsn_pipeline.sandbox.data.organisation import CLASSES, LOCATIONS, Department, departments
from nsn_pipeline.sandbox.data.periods import Window
from nsn_pipeline.sandbox.data.vendors import Vendor

GAP_PERIOD = 14  # every so manieth chain of documents touches a code ServiceNow does not have
_ITEMS = items()
_BOUGHT = tuple(item for item in _ITEMS if not item.stocked)
_LINE_COUNTS = (1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 6)
_TRANID_FORMS = ("INV-{n}", "{n}", "2026/{m:02d}/{n}", "R {n}", "RE{n}-A", "#{n}", "N° {n}")
_DUE = {term.id: term.days for term in TERMS}


@dataclass
class World:
    company: Company
    window: Window
    draw: Draw
    vendors: Sequence[Vendor]
    accounts: dict[str, Account] = field(init=False)
    departments: dict[str, Department] = field(init=False)
    ledger: Ledger = field(init=False)
    _by_office: dict[str, list[Department]] = field(init=False)
    _gap_turn: int = 0
    _stamp_turn: int = 0
    _last_tranid: str = "INV-1"

    def __post_init__(self) -> None:
        self.accounts = coa.accounts(self.company)
        self.departments = departments(self.company)
        self.ledger = Ledger(self.company, self.accounts, self.window)
        usable = [
            department
            for code, department in self.departments.items()
            if code not in GAP_CODES and not department.inactive and department.parent
        ]
        self._by_office = {
            office.id: [one for one in usable if office in one.offices]
            for office in self.company.trading
        }
        self._ordinary = [one for one in self.vendors if one.sister is None]
        self.sisters = [one for one in self.vendors if one.sister is not None]

    # --- who and when -------------------------------------------------------------------------

    def vendor(self) -> Vendor:
        return self.draw.favour_first(self._ordinary)

    def rate(self, currency: Currency, office: Office) -> Decimal:
        """Today's rate from the document's currency to the office's, moving half a percent."""
        if currency is office.currency:
            return Decimal(1)
        wobble = Decimal(1) + Decimal(self.draw.integer(-50, 50)) / 10_000
        return (currency.in_usd / office.currency.in_usd * wobble).quantize(Decimal("1e-6"))

    def later(self, day: date, most: int) -> date:
        return self.window.clamp(day + timedelta(days=self.draw.integer(0, most)))

    def moment(self, day: date, office: Office, *, after: datetime | None = None) -> datetime:
        """A change stamp on `day`, now and then in the last or first second of it.

        The edges are where a poll that thinks in UTC, or in dates, loses or repeats a document.
        """
        self._stamp_turn += 1
        if self._stamp_turn % 17 == 5:
            moment = self.window.day_end(day)
        elif self._stamp_turn % 19 == 7:
            moment = self.window.day_start(day)
        else:
            moment = self.window.working(day, office, self.draw)
        if after is not None and moment < after:
            moment = min(after + timedelta(minutes=7), self.window.day_end(self.window.last))
        return moment

    def due(self, day: date, vendor: Vendor) -> date | None:
        return day + timedelta(days=_DUE[vendor.term]) if vendor.term else None

    # --- words --------------------------------------------------------------------------------

    def memo(self, day: date) -> str | None:
        if self.draw.chance(0.25):
            return None
        if self.draw.chance(0.03):
            return LONG_MEMO
        words = self.draw.pick(MEMO_WORDS)
        return words.format(month=f"{day:%m/%Y}", number=self.draw.integer(1000, 9999))

    def tranid(self, day: date) -> str | None:
        """The vendor's own number as a clerk typed it: absent, repeated, in any form."""
        kind = self.draw.integer(0, 99)
        if kind < 4:
            return None
        if kind >= 7:
            form = self.draw.pick(_TRANID_FORMS)
            self._last_tranid = form.format(n=self.draw.integer(1000, 99999), m=day.month)
        return self._last_tranid

    def project(self) -> str | None:
        return f"P-{self.draw.integer(100, 140)}" if self.draw.chance(0.15) else None

    # --- lines --------------------------------------------------------------------------------

    def gap(self, chain: int) -> str | None:
        """The missing code this chain must touch, each in turn; most chains touch none."""
        if chain % GAP_PERIOD != 6:
            return None
        self._gap_turn += 1
        return GAP_CODES[(self._gap_turn - 1) % len(GAP_CODES)]

    def department(self, office: Office) -> str:
        return self.draw.pick(self._by_office[office.id]).id

    def line_count(self) -> int:
        return self.draw.pick(_LINE_COUNTS)

    def _spread(self, line: Line, office: Office, gap: str | None) -> Line:
        """The line with department, class and location."""
        missing = self.departments[gap].id if gap and gap.startswith("CC-") else None
        places = [place for place in LOCATIONS if office in place.offices]
        return replace(
            line,
            department=missing or self.department(office),
            class_=self.draw.pick(CLASSES).id if self.draw.chance(0.7) else None,
            location=self.draw.pick(places).id if places and self.draw.chance(0.6) else None,
        )

    def item_line(
        self,
        number: int,
        currency: Currency,
        office: Office,
        *,
        stock: bool,
        gap: str | None = None,
        least: int = 1,
    ) -> Line:
        item = GAP_ITEM if gap == "7160" else self.draw.pick(_ITEMS if stock else _BOUGHT)
        quantity = Decimal(self.draw.integer(least, 60 if item.price_usd < 100 else least + 4))
        if item.kind == "Service" and self.draw.chance(0.4):
            quantity += Decimal("0.5")
        rate = self._price(item, currency)
        account = "6455" if gap == "6455" else posting_code(item, coa.ACCRUED_PURCHASES)
        line = Line(
            id=number,
            amount=currency.round(quantity * rate),
            account=account,
            item=item.id,
            item_type="ASSET" if item.stocked else "EXPENSE",
            quantity=quantity,
            rate=rate,
            memo=item.name,
        )
        return self._spread(line, office, gap)

    def expense_line(
        self, number: int, currency: Currency, office: Office, day: date, gap: str | None = None
    ) -> Line:
        code = gap if gap in ("6455", "7160") else self.draw.favour_first(coa.EXPENSE_ACCOUNTS)
        size = self.draw.pick((1, 1, 10, 10, 10, 100))
        usd = Decimal(self.draw.integer(1500, 99_999) * size) / 100
        line = Line(
            id=number,
            amount=currency.round(usd / currency.in_usd),
            account=code,
            memo=self.memo(day),
        )
        return self._spread(line, office, gap)

    @staticmethod
    def _price(item: Item, currency: Currency) -> Decimal:
        """Small parts are priced to a hundredth of the smallest coin, as suppliers do."""
        price = item.price_usd / currency.in_usd
        if item.price_usd.as_tuple().exponent == -4:
            return price.quantize(Decimal(1).scaleb(-currency.precision - 2))
        return currency.round(price)

    def post(self, document: Document) -> Document:
        self.ledger.post(document)
        return document
