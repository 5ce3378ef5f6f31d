"""Is what ServiceNow holds what we want? By the meaning of a column, not by its spelling.

Pure. Every value ServiceNow returns is text, and null is the empty text
(docs/facts/servicenow.md 2.3).
"""

import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from nsn_pipeline.amounts import MINOR_UNITS
from nsn_pipeline.load.table import Comparison

_TRUE = frozenset({"true", "1"})
_FALSE = frozenset({"false", "0", ""})  # a flag never set reads as empty and means false
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_INSTANT = re.compile(r"(?P<day>\d{4}-\d{2}-\d{2})(?:[ T](?P<time>\d{2}:\d{2}:\d{2})(?:\.0+)?Z?)?")
_MIDNIGHT = "00:00:00"
_LENGTH_OF_SYS_ID = 32
_HALF_A_CENT = Decimal("0.005")
_TELLING = 100  # halves of a cent: of a smaller amount even a conversion may leave the same
_HALF_A_UNIT = {code: Decimal("0.5") for code, places in MINOR_UNITS.items() if places == 0}


def received(value: object) -> str:
    """The stored text of a returned field: references may come as `{"link", "value"}`."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, dict):
        return received(value.get("value"))
    return str(value)


def same(comparison: Comparison, wanted: str, present: str) -> bool:
    """Whether the two texts mean the same in a column of this kind."""
    return wanted == present or _COMPARE[comparison](wanted, present)


def _different(_wanted: str, _present: str) -> bool:
    return False


def _same_date(wanted: str, present: str) -> bool:
    """A day kept in a date-time column comes back as its midnight."""
    if _DAY.fullmatch(wanted) is None:
        return False
    return _instant(present) == (wanted, _MIDNIGHT)


def _same_datetime(wanted: str, present: str) -> bool:
    """The same second in UTC, however it is punctuated. A day alone is no instant of ours."""
    instant = _instant(wanted)
    return instant is not None and instant == _instant(present)


def _instant(text: str) -> tuple[str, str] | None:
    match = _INSTANT.fullmatch(text)
    return None if match is None else (match["day"], match["time"] or _MIDNIGHT)


def _same_number(wanted: str, present: str) -> bool:
    left, right = _number(wanted), _number(present)
    return left is not None and left == right


def _same_flag(wanted: str, present: str) -> bool:
    left, right = wanted.lower(), present.lower()
    return (left in _TRUE and right in _TRUE) or (left in _FALSE and right in _FALSE)


def _same_money(wanted: str, present: str) -> bool:
    """Amounts, and currencies where both name one.

    A plain read gives the amount alone, converted to the reader's currency: a column for which that
    can happen needs a witness in the profile, and is then judged by `same_as_shown`.
    """
    wanted_currency, wanted_amount = _money(wanted)
    present_currency, present_amount = _money(present)
    if wanted_currency and present_currency and wanted_currency != present_currency:
        return False
    return wanted_amount is not None and wanted_amount == present_amount


def same_as_shown(wanted: str, present: str, reader_currency: str) -> bool:
    """Whether a currency column, as ServiceNow shows it to the reader, holds our amount.

    In the reader's own currency nothing is converted, and the amount is judged to half a cent (or
    half a unit where there are no cents): prices may be finer than that, and how ServiceNow rounds
    what it shows is not documented (docs/facts/assumptions.md S25). Nothing and zero count alike.
    Any other amount is judged by its presence (docs/decisions/0005), and so is one that is shown
    with the name of another currency: then it is not shown as it is stored.
    """
    currency, _, text = wanted.rpartition(";")
    if present != "" and text == present:
        return True
    if not is_shown_as_stored(wanted, reader_currency):
        return same_presence(wanted, present)
    amount, (named, shown) = _number(text), _money(present)
    if amount is None or shown is None or len(present) == _LENGTH_OF_SYS_ID:
        return same_presence(wanted, present)  # FX columns show the sys_id of their amount
    if named not in {"", currency}:
        return same_presence(wanted, present)
    return abs(amount - shown) <= _HALF_A_UNIT.get(currency, _HALF_A_CENT)


def is_shown_as_stored(wanted: str, reader_currency: str) -> bool:
    """Whether our amount is in the currency that the reader is shown amounts in."""
    return reader_currency != "" and wanted.startswith(f"{reader_currency};")


def tells_of_reader(wanted: str, present: str, reader_currency: str) -> bool | None:
    """Whether this amount speaks for the currency we take to be the reader's, or against it.

    None where it says neither: amounts in another currency, none at all, or too small to show a
    conversion.
    """
    if not is_shown_as_stored(wanted, reader_currency) or len(present) == _LENGTH_OF_SYS_ID:
        return None
    amount, (named, shown) = _money(wanted)[1], _money(present)
    if amount is None or not shown or named not in {"", reader_currency}:
        return None
    if abs(amount) < _TELLING * _HALF_A_UNIT.get(reader_currency, _HALF_A_CENT):
        return None
    return same_as_shown(wanted, present, reader_currency)


def same_presence(wanted: str, present: str) -> bool:
    """Whether a converted amount is at least there when ours is; nothing and zero count alike.

    Its size cannot be judged: 0.01 in one currency may well be 0.00 in another.
    """
    if present != "" and wanted.rpartition(";")[2] == present:
        return True  # not converted, as mostly
    if wanted == "" or _money(wanted)[1] == 0:
        return present == "" or not _money(present)[1]
    return present != ""


def same_to_the_unit(wanted: str, present: str) -> bool:
    """Whether a computed amount is ours once it is rounded to as many decimals as ours has.

    ServiceNow multiplies prices finer than a cent and keeps four decimals.
    """
    amount, computed = _money(wanted)[1], _money(present)[1]
    if amount is None or computed is None:
        return wanted == present
    return computed.quantize(amount, ROUND_HALF_UP) == amount


def currency_of(text: str) -> str:
    """The currency an amount names, if it names one."""
    return _money(text)[0]


def _money(text: str) -> tuple[str, Decimal | None]:
    currency, separator, amount = text.rpartition(";")
    return (currency, _number(amount)) if separator else ("", _number(text))


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


_COMPARE: dict[Comparison, Callable[[str, str], bool]] = {
    Comparison.TEXT: _different,
    Comparison.DATE: _same_date,
    Comparison.DATETIME: _same_datetime,
    Comparison.NUMBER: _same_number,
    Comparison.MONEY: _same_money,
    Comparison.FLAG: _same_flag,
    Comparison.REFERENCE: _different,
}
