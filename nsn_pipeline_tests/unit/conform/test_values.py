from decimal import Decimal

import pyarrow as pa
import pytest

from nsn_pipeline.conform import amounts
from nsn_pipeline.conform.values import decimal_text, exact_quotient, too_precise
from nsn_pipeline.records.spec import MONEY_TYPE


def money(*texts: str | None) -> pa.Array:
    return pa.array([None if text is None else Decimal(text) for text in texts], MONEY_TYPE)


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [
        ("0", 2, "0.00"),
        ("-0.001", 2, "0.00"),
        ("1250", 2, "1250.00"),
        ("-1250.5", 2, "-1250.50"),
        ("1250", 0, "1250"),
        ("-0.4", 0, "0"),
        ("0.00000001", 8, "0.00000001"),
        ("-99999999999999999999.99999999", 8, "-99999999999999999999.99999999"),
        (None, 2, None),
    ],
)
def test_amounts_are_plain_text_at_the_given_places(value, places, text) -> None:
    assert decimal_text(money(value), places).to_pylist() == [text]


@pytest.mark.parametrize(
    ("value", "text"),
    [("0", "0"), ("100", "100"), ("1.50", "1.5"), ("-0.10", "-0.1"), ("0.00000001", "0.00000001")],
)
def test_trimmed_numbers_lose_only_zeros_that_say_nothing(value, text) -> None:
    assert decimal_text(money(value), 8, trim=True).to_pylist() == [text]


def test_each_row_may_have_places_of_its_own() -> None:
    places = pa.array([0, 2, 3, None], pa.int64())

    texts = decimal_text(money("5", "5", "5", "5"), places).to_pylist()

    assert texts == ["5", "5.00", "5.000", None]


def test_too_precise_finds_digits_beyond_the_places_of_the_row() -> None:
    places = pa.array([2, 2, 0, None], pa.int64())

    found = too_precise(money("1.25", "1.255", "1.5", "1.123"), places).to_pylist()

    assert found == [False, True, True, False]


@pytest.mark.parametrize(
    ("amount", "quantity", "price"),
    [
        ("450", "10", "45"),
        ("450", "8", "56.25"),
        ("10", "3", None),
        ("0", "3", "0"),
        ("5", "0", None),
        ("1", "0.00000001", "100000000"),
        ("99999999999999999999", "0.00000001", None),
        ("-1250.5", "0.5", "-2501"),
        ("1", "100000000", "0.00000001"),
        ("1", "1000000000", None),
        (None, "1", None),
        ("1", None, None),
    ],
)
def test_quotient_is_exact_or_nothing(amount, quantity, price) -> None:
    found = exact_quotient(money(amount), money(quantity)).to_pylist()

    assert found == [None if price is None else Decimal(price)]


@pytest.mark.parametrize(
    ("quantity", "rate", "amount", "expected"),
    [
        ("10", "45", "450", ("10", "45")),
        ("3", "3.33333333", "10", ("3", "3.33333333")),
        ("8", None, "450", ("8", "56.25")),
        ("7", None, "450", ("1", "450")),
        (None, None, "450", ("1", "450")),
        (None, "45", "450", ("1", "450")),
        ("0", None, "450", ("1", "450")),
        ("0", None, "0", ("0", "0")),
        ("-2", None, "-9", ("-2", "4.5")),
    ],
)
def test_price_times_quantity_is_the_amount_unless_netsuite_says_otherwise(
    quantity, rate, amount, expected
) -> None:
    pieces, price = amounts.price(money(quantity), money(rate), money(amount))

    assert (pieces.to_pylist(), price.to_pylist()) == (
        [Decimal(expected[0])],
        [Decimal(expected[1])],
    )
