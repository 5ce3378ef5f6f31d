"""Amounts as the instance keeps and shows them (docs/facts/servicenow.md 7.7).

Stored form of a currency value: `CCC;amount`, both as the writer meant them. Conversion happens on
reading only.
"""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache

SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
FOUR_PLACES = Decimal("0.0001")
WIDEST = Decimal(10) ** 24


def to_decimal(text: str, *, decimal_comma: bool = False) -> Decimal | None:
    """A finite number of sane size, or None for anything else."""
    text = text.strip()
    text = text.replace(".", "").replace(",", ".") if decimal_comma else text
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() and abs(value) < WIDEST else None


def plain(value: Decimal) -> str:
    """Decimal text without exponent and without trailing zeros: 411.50 -> 411.5."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def rounded(value: Decimal, scale: int) -> str:
    return plain(value.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP))


class Exchange:
    """Converts between currencies with the sandbox's rates."""

    def __init__(self, rates: Mapping[str, Decimal], user: str, reference: str) -> None:
        self.rates = rates
        self.user = user
        self.reference = reference

    def known(self, code: str) -> bool:
        return code in self.rates

    def convert(self, amount: Decimal, source: str, target: str) -> Decimal:
        if source == target:
            return amount
        return amount * self.rates[source] / self.rates[target]

    def parse(self, text: str, *, decimal_comma: bool = False) -> tuple[str, Decimal] | None:
        """`CCC;amount`, or a bare number in the user's currency; None when it is neither."""
        code, separator, number = text.partition(";")
        if not separator:
            code, number = self.user, text
        amount = to_decimal(number, decimal_comma=decimal_comma)
        if amount is None or not self.known(code):
            return None
        return code, amount

    def stored(self, text: str, *, decimal_comma: bool = False) -> str:
        """What a currency column keeps. Unreadable text keeps 0: the write itself succeeds.

        That outcome is unproven on a live instance; it is the one a careless client notices last.
        """
        if not text:
            return ""
        parsed = self.parse(text, decimal_comma=decimal_comma)
        return f"{self.user};0" if parsed is None else f"{parsed[0]};{plain(parsed[1])}"

    def amount_in(self, stored: str, target: str) -> Decimal:
        code, amount = split_stored(stored)
        if code not in self.rates:
            return amount
        return self.convert(amount, code, target)

    def shown(self, stored: str) -> str:
        """The raw read: converted to the user's currency, four decimals, zeros trimmed."""
        return shown_amount(self.amount_in(stored, self.user)) if stored else ""

    def displayed(self, stored: str) -> str:
        if not stored:
            return ""
        amount = self.amount_in(stored, self.user).quantize(Decimal("0.01"), ROUND_HALF_UP)
        return f"{SYMBOLS.get(self.user, self.user + ' ')}{amount:,}"


def shown_amount(amount: Decimal) -> str:
    return plain(amount.quantize(FOUR_PLACES, ROUND_HALF_UP))


@lru_cache(maxsize=65536)
def split_stored(stored: str) -> tuple[str, Decimal]:
    code, separator, number = stored.partition(";")
    if not separator:
        code, number = "", stored
    return code, to_decimal(number) or Decimal(0)
