"""How much a run may retire of a table without being told so."""

import pytest

from nsn_pipeline.errors import UnreachableError
from nsn_pipeline.load.brake import FEW_ENDED, Brake, Limits, needs_base, refusal
from nsn_pipeline_tests.unit.load.make import FreshDay, brake

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


# -- what NetSuite ended and keeps -----------------------------------------------------------------

ENDS = Limits(0.25, 1_000, few=FEW_ENDED, deed="end")


@pytest.mark.parametrize(
    ("wanted", "held", "passes"),
    [
        (25, 30, True),  # a handful closed in a young instance
        (60, 300, True),  # the orders of a first month, closed at its end
        (80, 300, False),
        (900, 40_000, True),  # a large company's month-end
        (1_001, 1_000_000, False),
    ],
)
def test_a_month_end_passes_and_a_mapping_mistake_does_not(
    wanted: int, held: int, passes: bool
) -> None:
    assert (refusal(ENDS, "proc_po", wanted=wanted, held=held) is None) is passes


def test_a_refused_end_names_its_own_settings() -> None:
    told = refusal(ENDS, "proc_po", wanted=80, held=300)
    assert told is not None
    assert "would end 80 records of proc_po (80 of 300 are more than NSN_END_MAX_SHARE" in told
    assert "--allow-retire 80" in told


# -- over a day ------------------------------------------------------------------------------------


def test_what_went_earlier_in_the_day_counts_and_the_table_is_asked_for_its_size() -> None:
    today, asked = FreshDay(), []
    judge = brake(LIMITS, today)

    def held() -> int:
        asked.append(1)
        return 60

    assert judge.refusal("proc_po", 4, held) is None
    assert asked == []
    why = judge.refusal("proc_po", 3, held)
    assert why is not None
    assert "3 records of proc_po after 4 earlier today (7 of 60" in why
    assert asked == [1]
    assert judge.refusal("sn_apo_invoice", 3, held) is None  # another table


def test_limits_of_the_two_deeds_are_counted_apart() -> None:
    today = FreshDay()
    assert brake(LIMITS, today).refusal("proc_po", 5, lambda: 60) is None
    assert brake(ENDS, today).refusal("proc_po", 25, lambda: 30) is None


def test_what_a_person_allowed_leaves_the_days_count_alone() -> None:
    today = FreshDay()
    judge = brake(Limits(allowed=50), today)
    assert judge.refusal("proc_po", 40, lambda: 60) is None
    judge.not_done("proc_po", 40, 30)
    assert today.counted.total() == 0


def test_of_two_runs_at_once_the_second_sees_what_the_first_was_let_do() -> None:
    """Before either has done it, and also when the first dies over it."""
    today = FreshDay()
    first, second = (brake(Limits(max_share=1.0, max_count=500), today) for _ in "ab")
    assert first.refusal("proc_po", 450, lambda: 1_000) is None
    assert "after 450 earlier today" in str(second.refusal("proc_po", 450, lambda: 1_000))
    assert today.counted["retire", "proc_po"] == 450  # what was refused is not held against the day


def test_what_was_let_pass_and_not_done_is_given_back() -> None:
    today = FreshDay()
    judge = brake(Limits(max_share=1.0), today)
    assert judge.refusal("proc_po", 12, lambda: 60) is None
    judge.not_done("proc_po", 12, 3)
    assert today.counted["retire", "proc_po"] == 9


def test_a_plan_counts_nothing_and_an_unanswered_question_neither() -> None:
    today = FreshDay()
    assert Brake(Limits(max_share=1.0), today, plan_only=True).refusal("t", 9, lambda: 9) is None

    def away() -> int:
        raise UnreachableError("no connection")

    with pytest.raises(UnreachableError):
        brake(LIMITS, today).refusal("t", 9, away)
    assert today.counted.total() == 0
