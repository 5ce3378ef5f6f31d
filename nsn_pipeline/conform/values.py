"""Arithmetic and text of decimal columns, exact and column-wise. No float anywhere."""

from decimal import Decimal

import pyarrow as pa

from nsn_pipeline.records.arrow import pc
from nsn_pipeline.records.spec import MONEY_TYPE

SCALE = 8  # of MONEY_TYPE

_UNITS = pa.decimal128(MONEY_TYPE.precision, 0)
_WIDE = pa.decimal256(MONEY_TYPE.precision, SCALE)


def true_where(mask: pa.Array) -> pa.Array:
    """`mask` with unknown counted as false."""
    return pc.fill_null(mask, fill_value=False)


def present(text: pa.Array) -> pa.Array:
    """Where there is text: empty and null mean the same, nothing."""
    return true_where(pc.not_equal(text, ""))


def decimal_text(values: pa.Array, places: pa.Array | int, *, trim: bool = False) -> pa.Array:
    """Plain decimal text with `places` decimals; `trim` drops trailing zeros instead.

    Arrow's own cast writes small numbers with an exponent ("0E-8"), which ServiceNow does not read.
    Digits beyond `places` are not rounded but left out: `too_precise` finds those values.
    """
    magnitude = pc.abs(values).view(_UNITS).cast(pa.string())
    padded = pc.utf8_lpad(magnitude, SCALE + 1, "0")
    whole = pc.utf8_slice_codeunits(padded, 0, -SCALE)
    fraction = pc.utf8_slice_codeunits(padded, -SCALE)
    text = _fixed(whole, fraction, places)
    if trim:
        has_point = pc.match_substring(text, ".")
        text = pc.if_else(has_point, pc.utf8_rtrim(pc.utf8_rtrim(text, "0"), "."), text)
    # No negative zero: after cutting digits "-0.00" must not appear either.
    is_zero = pc.match_substring_regex(text, r"^[0.]*$")
    negative = pc.and_(pc.less(values, pa.scalar(0, MONEY_TYPE)), pc.invert(is_zero))
    return pc.if_else(negative, pc.binary_join_element_wise("-", text, ""), text)


def too_precise(values: pa.Array, places: pa.Array | int) -> pa.Array:
    """Where a value has more decimals than `places`."""
    if isinstance(places, int):
        return true_where(pc.not_equal(_truncated(values, places), values))
    result = pa.array([False] * len(values), pa.bool_())
    for count in _distinct(places):
        here = true_where(pc.equal(places, count))
        result = pc.if_else(here, too_precise(values, count), result)
    return result


def exact_quotient(amount: pa.Array, quantity: pa.Array) -> pa.Array:
    """Amount by quantity where that has at most 8 decimals, null elsewhere.

    256-bit decimals hold every quotient of two 28-digit numbers with digits to spare.
    """
    zero = pa.scalar(0, MONEY_TYPE)
    divisor = pc.if_else(pc.equal(quantity, zero), pa.scalar(None, MONEY_TYPE), quantity)
    exact = pc.divide(amount.cast(_WIDE), divisor.cast(_WIDE))
    rounded = pc.round(exact, ndigits=SCALE, round_mode="towards_zero")
    fits = pc.less(pc.abs(rounded), pa.scalar(Decimal(10) ** 20, rounded.type))
    price = pc.if_else(fits, rounded, pa.scalar(None, rounded.type)).cast(_WIDE)
    product = pc.multiply(price, divisor.cast(_WIDE))
    same = pc.equal(product, amount.cast(pa.decimal256(40, 2 * SCALE)))
    usable = true_where(pc.and_(same, pc.equal(rounded, exact)))
    return pc.if_else(usable, price, pa.scalar(None, _WIDE)).cast(MONEY_TYPE)


def _fixed(whole: pa.Array, fraction: pa.Array, places: pa.Array | int) -> pa.Array:
    if isinstance(places, int):
        if places == 0:
            return whole
        kept = pc.utf8_slice_codeunits(fraction, 0, places)
        return pc.binary_join_element_wise(whole, kept, ".")
    text = pa.nulls(len(whole), pa.string())
    for count in _distinct(places):
        text = pc.if_else(true_where(pc.equal(places, count)), _fixed(whole, fraction, count), text)
    return text


def _truncated(values: pa.Array, places: int) -> pa.Array:
    # Towards zero: rounding up could leave the type's range and raise.
    return pc.round(values, ndigits=places, round_mode="towards_zero")


def _distinct(places: pa.Array) -> list[int]:
    return [count for count in pc.unique(places).to_pylist() if count is not None]
