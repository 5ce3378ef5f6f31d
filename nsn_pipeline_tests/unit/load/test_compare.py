import pytest

from nsn_pipeline.load.compare import received, same, same_presence
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
