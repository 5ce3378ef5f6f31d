"""How much a run may retire of a table without being told so."""

import pytest

from nsn_pipeline.load.brake import Limits, needs_base, refusal

LIMITS = Limits(max_share=0.10, max_count=500)


@pytest.mark.parametrize(
    ("wanted", "held", "passes"),
    [
        (0, 0, True),
        (1, 2, True),  # one of two lines of the only document there is
        (5, 5, True),
        (6, 60, True),
        (7, 60, False),
        (500, 5_000, True),
        (500, 4_999, False),
        (501, 1_000_000, False),
        (6, 0, False),
    ],
)
def test_a_share_or_a_number_too_large_is_refused(wanted: int, held: int, passes: bool) -> None:
    assert (refusal(LIMITS, "proc_po", wanted=wanted, held=held) is None) is passes


def test_a_refusal_says_how_many_why_and_how_to_go_on() -> None:
    told = refusal(LIMITS, "proc_po", wanted=1_200, held=5_000)
    assert told is not None
    assert "1,200 records of proc_po" in told
    assert "NSN_RETIRE_MAX_COUNT = 500" in told
    assert "--allow-retire 1200" in told
    told = refusal(LIMITS, "proc_po", wanted=60, held=100)
    assert told is not None
    assert "60 of 100 are more than NSN_RETIRE_MAX_SHARE = 0.1" in told


def test_a_number_a_person_said_yes_to_passes_and_one_more_does_not() -> None:
    limits = Limits(max_share=0.10, max_count=500, allowed=900)
    assert refusal(limits, "proc_po", wanted=900, held=1_000) is None
    assert refusal(limits, "proc_po", wanted=901, held=1_000) is not None


def test_a_count_of_zero_retires_nothing() -> None:
    assert refusal(Limits(0.10, 0), "proc_po", wanted=1, held=1_000_000) is not None


@pytest.mark.parametrize(
    ("limits", "wanted", "needed"),
    [(LIMITS, 5, False), (LIMITS, 6, True), (LIMITS, 501, False), (Limits(allowed=9), 9, False)],
)
def test_the_table_is_counted_only_when_its_size_decides(
    limits: Limits, wanted: int, needed: bool
) -> None:
    assert needs_base(limits, wanted) is needed
