"""Sums per document, and the price and quantity of a line. Exact, column-wise."""

from decimal import Decimal

import numpy as np
import pyarrow as pa

from nsn_pipeline.conform.rows import Positions
from nsn_pipeline.conform.values import exact_quotient, true_where
from nsn_pipeline.records.arrow import one_chunk, pc
from nsn_pipeline.records.spec import MONEY_TYPE

SUM_TYPE = pa.decimal128(38, 8)

_ZERO = pa.scalar(0, MONEY_TYPE)
_ONE = pa.scalar(1, MONEY_TYPE)
_LIMIT = pa.scalar(Decimal(10) ** 20, SUM_TYPE)


def sums(amounts: pa.Array, doc: Positions, count: int) -> pa.Array:
    """Sum of the amounts of each of `count` documents; zero for one without any."""
    table = pa.table({"doc": pa.array(doc), "amount": amounts})
    summed = table.group_by("doc").aggregate([("amount", "sum")]).combine_chunks()
    at = pc.index_in(pa.array(np.arange(count)), value_set=one_chunk(summed["doc"]))
    values = one_chunk(summed["amount_sum"]).take(at).cast(SUM_TYPE)
    return pc.fill_null(values, pa.scalar(0, SUM_TYPE))


def narrow(values: pa.Array) -> pa.Array:
    """A sum as an amount; null where it no longer fits."""
    fits = pc.less(pc.abs(values), _LIMIT)
    return pc.if_else(fits, values, pa.scalar(None, SUM_TYPE)).cast(MONEY_TYPE)


def counts(doc: Positions, count: int) -> Positions:
    return np.bincount(doc, minlength=count).astype(np.int64)


def first_rows(doc: Positions, count: int) -> pa.Array:
    """Position of the first row of each document; null for one without rows."""
    found, rows = np.unique(doc, return_index=True)
    first = np.full(count, -1, np.int64)
    first[found] = rows
    return pa.array(first, pa.int64(), mask=first < 0)


def price(quantity: pa.Array, rate: pa.Array, amount: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Quantity and unit price to write.

    NetSuite's own rate stands wherever there is one with a quantity, also when the product differs
    from the amount by rounding: the amount is written beside it. Without a rate the price is
    amount / quantity if that is exact. Otherwise, and on expense lines, which have no quantity, the
    line is one piece at its amount: any other price would be invented, and ServiceNow multiplies
    the two.
    """
    own = pc.and_(quantity.is_valid(), rate.is_valid())
    quotient = exact_quotient(amount, quantity)
    free = true_where(pc.and_(pc.equal(amount, _ZERO), pc.equal(quantity, _ZERO)))
    quotient = pc.if_else(free, _ZERO, quotient)
    exact = pc.and_(pc.invert(own), quotient.is_valid())
    unit_price = pc.if_else(own, rate, pc.if_else(exact, quotient, amount))
    pieces = pc.if_else(pc.or_(own, exact), quantity, _ONE)
    return pieces, unit_price
