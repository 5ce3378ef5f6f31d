"""Amounts as people read them: the currency's own decimals, thousands apart."""

from collections.abc import Mapping
from decimal import Decimal

DEFAULT_DECIMALS = 2
NO_CURRENCY = "(no currency)"
_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
MINOR_UNITS = {  # ISO 4217, where it is not two decimals
    **dict.fromkeys(_NO_DECIMALS.split(), 0),
    **dict.fromkeys(_THREE_DECIMALS.split(), 3),
}


def amount_text(amount: Decimal, currency: str, decimals: Mapping[str, int]) -> str:
    """`1,250.00`, or `1,250` for a currency without decimals; never rounds.

    `decimals` maps ISO codes to their number of decimals. Digits beyond it are shown, not dropped.
    """
    whole, _, fraction = f"{amount:f}".partition(".")
    shown = fraction.rstrip("0").ljust(decimals.get(currency, DEFAULT_DECIMALS), "0")
    grouped = f"{Decimal(whole):,}"
    # Decimal("-0") keeps its sign, as -0.50 needs it.
    return f"{grouped}.{shown}" if shown else grouped


def plain_amount(amount: Decimal, currency: str, decimals: Mapping[str, int]) -> str:
    """As `amount_text`, for programs: nothing between the thousands."""
    return amount_text(amount, currency, decimals).replace(",", "")


def money_text(sums: Mapping[str, Decimal], decimals: Mapping[str, int]) -> str:
    """`1,904,220.00 GBP + 12,000.00 EUR`: currencies are never added up."""
    return " + ".join(
        f"{amount_text(amount, currency, decimals)} {currency or NO_CURRENCY}"
        for currency, amount in sums.items()
    )
