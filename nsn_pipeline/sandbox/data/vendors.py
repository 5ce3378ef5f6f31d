# ruff: noqa: SIM905  (a word list reads better as a sentence than as a column of quotes)
# ruff: noqa: PLR2004  (made-up data is made of arbitrary numbers)
"""Suppliers: companies, individuals, sister companies, and names that break careless code."""

from collections.abc import Iterator
from dataclasses import dataclass

from nsn_pipeline.sandbox.data.company import (
    AMERICAS,
    BRITAIN,
    EUR,
    EUROPE,
    JAPAN,
    PARENT,
    USD,
    Company,
    Currency,
    Office,
)
from nsn_pipeline.sandbox.data.draw import Draw

# Real suppliers do look like this; each breaks some code (query operators, CSV formulas, ...).
AWKWARD_NAMES = (
    "Caret ^ Sons Toolmakers",
    'O\'Brien & "Sons" Ltd',
    "Sparkle ✨ Cleaning 🧹",
    "=HYPERLINK Media",
    "+44 Couriers",
    "-Zero- Refrigeration",
    "@Work Staffing",
    "Comma, Comma & Co.",
    "Müller^NQactive=true GmbH",
    "100% Metals; Scrap, LLC",
    "Ørsted Ventilation A/S",
    "高橋工業株式会社",
    "Back\\slash Analytics",
    "<b>Bold</b> Signs",
    "Twin Peaks Logistics",
    "Twin Peaks Logistics",  # the same name twice: two vendors, never to be merged
)
_STEMS = (
    "Akron Allied Anvil Apex Aurora Beacon Birch Bluff Bridge Cascade Cedar Centra Clear Cobalt"
    " Copper Crescent Delta Eagle Elm Ember Falcon Forge Frontier Granite Harbor Hickory"
    " Ironwood Juniper Keystone Lakeside Lincoln Maple Meridian Midland Nordic Northgate Oak Orbit"
    " Pioneer Prairie Quarry Rhein Ridge River Sakura Sheffield Silver Spruce Sterling Summit"
    " Thames Timber Toledo Trident Union Vale Vector Walnut Weser York Zenith"
).split()
_TRADES = (
    "Abrasives Bearings Castings Chemicals Cleaning Cloud Couriers Electrical Energy Engineering"
    " Fasteners Filters Freight Gases Hydraulics Instruments Insurance Logistics Lubricants"
    " Machinery Maintenance Metals Motors Networks Office Packaging Pumps Refractories Sands Seals"
    " Security Services Software Staffing Steel Systems Tooling Training Transport Valves"
).split()
_FIRST = "Ann Ben Carla David Elena Frank Grace Hiro Ines Jan Kate Liam Mara Noah Olga Paul".split()
_LAST = (
    "Abbott Bauer Clark Dietz Evans Fischer Grant Hayashi Ito Jones Klein Lopez Meyer Novak".split()
)
_LEGAL = {"USD": "Inc.", "GBP": "Ltd", "EUR": "GmbH", "JPY": "K.K."}


@dataclass(frozen=True, slots=True)
class Vendor:
    id: str
    code: str
    company: str | None
    first: str | None
    last: str | None
    currency: Currency
    office: Office
    term: str | None
    inactive: bool = False
    sister: Office | None = None  # set on an intercompany vendor

    @property
    def person(self) -> bool:
        return self.company is None

    @property
    def name(self) -> str:
        return self.company or f"{self.first} {self.last}"


def vendors(company: Company, count: int, draw: Draw) -> Iterator[Vendor]:
    """`count` vendors: the awkward names, the sister companies, then ordinary ones.

    At least one is inactive yet named by documents; every ninth ordinary one is an individual.
    """
    offices = company.trading
    sisters = [AMERICAS, BRITAIN, EUROPE, JAPAN] if company.multi else []
    for position in range(count):
        number, code = str(3001 + position), f"V{10001 + position}"
        office = offices[draw.integer(0, 99) % len(offices)]
        currency = office.currency
        if company.multi and draw.chance(0.12):
            currency = draw.pick((USD, EUR))  # bills a foreign office in its own currency
        term = draw.pick(("1", "2", "2", "3", "4", None))
        first = last = sister = None
        if position < len(AWKWARD_NAMES):
            name: str | None = AWKWARD_NAMES[position]
        elif position - len(AWKWARD_NAMES) < len(sisters):
            sister = sisters[position - len(AWKWARD_NAMES)]
            name, office, currency = sister.legal_name, PARENT, sister.currency
        elif position % 9 == 2:
            name, first, last = None, draw.pick(_FIRST), draw.pick(_LAST)
        else:
            legal = _LEGAL[currency.symbol]
            name = f"{draw.pick(_STEMS)} {draw.pick(_TRADES)} {legal}"
        yield Vendor(
            id=number,
            code=code,
            company=name,
            first=first,
            last=last,
            currency=currency,
            office=office,
            term=term,
            inactive=position % 40 == 5,
            sister=sister,
        )
