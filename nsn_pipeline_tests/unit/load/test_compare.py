import pytest

from nsn_pipeline.load.compare import received, same, same_as_shown, same_presence, tells_of_reader
from nsn_pipeline.load.table import Comparison


@pytest.mark.parametrize(
    ("comparison", "wanted", "present"),
    [
        (Comparison.NUMBER, "17.5", "17.5000"),
        (Comparison.NUMBER, "-0", "0.00"),
        (Comparison.NUMBER, "3", "3.0"),
        (Comparison.MONEY, "USD;411.50", "411.5"),
        (Comparison.MONEY, "USD;411.50", "USD;411.5"),
        (Comparison.FLAG, "true", "1"),
        (Comparison.FLAG, "false", "0"),
        (Comparison.FLAG, "false", ""),
        (Comparison.DATE, "2026-01-01", "2026-01-01 00:00:00"),
        (Comparison.DATETIME, "2026-01-01 12:00:00", "2026-01-01T12:00:00Z"),
        (Comparison.DATETIME, "2026-01-01 12:00:00", "2026-01-01 12:00:00.0"),
        (Comparison.DATETIME, "2026-01-01 00:00:00", "2026-01-01"),
        (Comparison.TEXT, "", ""),
        (Comparison.DATE, "", ""),
        (Comparison.NUMBER, "", ""),
    ],
)
def test_two_spellings_of_one_value_are_the_same(
    comparison: Comparison, wanted: str, present: str
) -> None:
    assert same(comparison, wanted, present)


@pytest.mark.parametrize(
    ("comparison", "wanted", "present"),
    [
        (Comparison.NUMBER, "17.5", "17.51"),
        (Comparison.NUMBER, "0", ""),
        (Comparison.NUMBER, "", "0"),
        (Comparison.NUMBER, "nan", "NaN"),
        (Comparison.MONEY, "USD;1.00", "EUR;1.00"),
        (Comparison.MONEY, "USD;1.00", "USD;1.01"),
        (Comparison.FLAG, "true", ""),
        (Comparison.TEXT, "a", "A"),
        (Comparison.TEXT, "a", "a "),
        (Comparison.TEXT, "2026-01-01", "2026-01-01 00:00:00"),
        (Comparison.TEXT, "ordered", "Ordered"),  # a choice is stored by value, not by label
        (Comparison.DATE, "2026-01-01", "2026-01-01 12:00:00"),
        (Comparison.DATE, "2026-01-01", "2026-01-02"),
        (Comparison.DATE, "2026-01-01", ""),
        (Comparison.DATE, "", "2026-01-01"),
        (Comparison.DATETIME, "2026-01-01 12:00:00", "2026-01-01 12:00:01"),
        (Comparison.DATETIME, "2026-01-01 12:00:00", "2026-01-01T12:00:00+01:00"),
        (Comparison.DATETIME, "", "2026-01-01"),
        (Comparison.REFERENCE, "aa", "ab"),
    ],
)
def test_different_values_are_different(comparison: Comparison, wanted: str, present: str) -> None:
    assert not same(comparison, wanted, present)


@pytest.mark.parametrize(
    ("value", "text"),
    [("x", "x"), (None, ""), ({"link": "https://…", "value": "ab"}, "ab"), ({"link": "u"}, "")],
)
def test_stored_text_is_read_from_every_shape(value: object, text: str) -> None:
    assert received(value) == text


@pytest.mark.parametrize(
    ("wanted", "present", "holds"),
    [
        ("USD;30.00", "27.41", True),
        ("USD;0.01", "0.00", True),
        ("USD;30.00", "", False),
        ("", "", True),
        ("", "0", True),
        ("USD;0.00", "", True),
        ("", "12.00", False),
    ],
)
def test_converted_amount_is_judged_by_its_presence_only(
    wanted: str, present: str, holds: bool
) -> None:
    assert same_presence(wanted, present) is holds


@pytest.mark.parametrize(
    ("wanted", "present", "holds"),
    [
        ("USD;30.00", "30", True),
        ("USD;30.00", "3", False),
        ("USD;30.00", "30.01", False),
        ("USD;30.00", "-30", False),
        ("USD;30.00", "", False),
        ("USD;0.00", "", True),
        ("USD;0.00", "0", True),
        ("USD;0.00", "12", False),
        ("", "12", False),
        ("USD;3", "3.2", False),  # a price is written without trailing zeros
        ("USD;0.12345678", "0.1235", True),  # and finer than what is shown
        ("USD;0.12345678", "0.12", True),
        ("USD;0.12345678", "0.13", False),
        ("USD;1.25E+2", "125", True),
        ("EUR;30.00", "32.5", True),  # converted
        ("USD;30.00", "a" * 32, True),  # an FX column shows the sys_id of its amount
        ("USD;30.00", "1" * 32, True),
        ("USD;30.00", "USD;30", True),
        ("USD;30.00", "USD;27.6", False),
        ("USD;30.00", "EUR;27.6", True),  # converted, and shown with its name
        ("USD;0.00", "EUR;12", False),
    ],
)
def test_amount_in_the_readers_currency_is_judged_to_half_a_cent(
    wanted: str, present: str, holds: bool
) -> None:
    assert same_as_shown(wanted, present, "USD") is holds


@pytest.mark.parametrize(
    ("present", "holds"), [("13", True), ("12", True), ("12.4", True), ("11", False)]
)
def test_price_in_a_currency_without_cents_is_judged_to_half_a_unit(
    present: str, holds: bool
) -> None:
    assert same_as_shown("JPY;12.5", present, "JPY") is holds


def test_without_a_known_reader_currency_an_amount_is_judged_by_presence() -> None:
    assert same_as_shown("USD;30.00", "3", "")


@pytest.mark.parametrize(
    ("wanted", "present", "told"),
    [
        ("USD;30.00", "30", True),
        ("USD;30.00", "27.6", False),
        ("EUR;30.00", "27.6", None),  # of another currency
        ("USD;0.00", "0", None),  # zero in any currency
        ("USD;0.04", "0.04", None),  # as is so little
        ("USD;30.00", "", None),  # not taken at all
        ("USD;30.00", "0", None),
        ("USD;30.00", "EUR;27.6", None),
        ("USD;30.00", "1" * 32, None),  # the sys_id of an FX amount
        ("", "30", None),
    ],
)
def test_only_an_amount_that_conversion_would_change_tells_of_the_readers_currency(
    wanted: str, present: str, told: bool | None
) -> None:
    assert tells_of_reader(wanted, present, "USD") is told
    assert tells_of_reader(wanted, present, "") is None
