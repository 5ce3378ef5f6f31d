from decimal import Decimal

import pytest

from nsn_pipeline.amounts import amount_text

DECIMALS = {"USD": 2, "JPY": 0, "KWD": 3}


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("1250.00000000", "USD", "1,250.00"),
        ("1250.00000000", "JPY", "1,250"),
        ("-0.50000000", "USD", "-0.50"),
        ("0", "USD", "0.00"),
        ("1234567.125", "KWD", "1,234,567.125"),
        ("10.5", "", "10.50"),
        ("0.12345678", "USD", "0.12345678"),
    ],
)
def test_amount_is_shown_with_its_currencys_decimals_and_never_rounded(
    amount: str, currency: str, text: str
) -> None:
    assert amount_text(Decimal(amount), currency, DECIMALS) == text
