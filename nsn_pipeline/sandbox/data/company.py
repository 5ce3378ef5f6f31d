"""The made-up manufacturer: its currencies, offices and accounting books.

Four regional offices under one parent, each with its own base currency; or, in shape "single", one
entity with one currency and none of the OneWorld tables.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

Shape = Literal["multi", "single"]
TIME_ZONE = "America/New_York"  # the parent's; a day of change starts at its midnight


@dataclass(frozen=True, slots=True)
class Currency:
    id: str
    symbol: str
    name: str
    sign: str
    precision: int
    in_usd: Decimal
    inactive: bool = False

    def round(self, amount: Decimal) -> Decimal:
        return amount.quantize(Decimal(1).scaleb(-self.precision), rounding=ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Office:
    """A subsidiary; `hours` are its working hours as the parent's clock shows them."""

    id: str
    name: str
    legal_name: str
    currency: Currency
    country: str
    hours: tuple[int, int]
    bank: str
    tax_account: str | None = None
    tax_percent: int = 0
    elimination: bool = False


USD = Currency("1", "USD", "US Dollar", "$", 2, Decimal(1))
GBP = Currency("2", "GBP", "British pound", "£", 2, Decimal("1.2730"))
EUR = Currency("3", "EUR", "Euro", "€", 2, Decimal("1.0842"))
JPY = Currency("4", "JPY", "Japanese Yen", "¥", 0, Decimal("0.0067"))
CAD = Currency("5", "CAD", "Canadian Dollar", "$", 2, Decimal("0.7310"), inactive=True)
CURRENCIES = (USD, GBP, EUR, JPY, CAD)

PARENT = Office("1", "Harrow Castings", "Harrow Castings Inc.", USD, "US", (8, 19), "1010")
AMERICAS = Office("2", "Americas", "Harrow Castings Americas LLC", USD, "US", (8, 20), "1010")
BRITAIN = Office(
    "3", "UK & Ireland", "Harrow Castings (UK) Ltd", GBP, "GB", (3, 13), "1020", "1510", 20
)
EUROPE = Office("4", "Europe", "Harrow Gießerei GmbH", EUR, "DE", (2, 12), "1030", "1520", 19)
JAPAN = Office("5", "Japan", "ハロー鋳造株式会社", JPY, "JP", (18, 24), "1040", "1530", 10)
ELIMINATION = Office(
    "6", "Elimination", "Harrow Castings Elimination", USD, "US", (8, 19), "1010", elimination=True
)
OFFICES = (PARENT, AMERICAS, BRITAIN, EUROPE, JAPAN, ELIMINATION)
TRADING = (AMERICAS, BRITAIN, EUROPE, JAPAN, PARENT)

SECONDARY_CURRENCY = EUR  # the second book reports in it, whatever the office's own currency is
# What the second book posts elsewhere: leases and tooling are treated differently there.
SECONDARY_ACCOUNTS = {"6310": "1695", "1630": "6540", "6610": "6620"}


@dataclass(frozen=True, slots=True)
class Company:
    """What the chosen shape leaves of the group."""

    shape: Shape

    @property
    def multi(self) -> bool:
        return self.shape == "multi"

    @property
    def offices(self) -> tuple[Office, ...]:
        return OFFICES if self.multi else (PARENT,)

    @property
    def trading(self) -> tuple[Office, ...]:
        return TRADING if self.multi else (PARENT,)

    @property
    def currencies(self) -> tuple[Currency, ...]:
        return CURRENCIES if self.multi else (USD,)

    def subsidiary_id(self, office: Office) -> str | None:
        """Lines of a single-entity account have no subsidiary (`docs/facts/netsuite.md` 6)."""
        return office.id if self.multi else None

    def subsidiary_ids(self, offices: tuple[Office, ...] = ()) -> str | None:
        """A multi-select as SuiteQL returns it: ids joined by comma and space."""
        return ", ".join(office.id for office in offices or self.offices) if self.multi else None
