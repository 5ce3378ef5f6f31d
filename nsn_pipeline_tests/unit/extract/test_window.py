from datetime import UTC, datetime

import pytest

from nsn_pipeline.extract.window import Window, days_touched


def test_window_is_exact_utc_bounds_of_local_days() -> None:
    window = Window.over(["2026-07-01"], "America/New_York")
    assert window.start == datetime(2026, 7, 1, 4, tzinfo=UTC)
    assert window.end == datetime(2026, 7, 2, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)]
)
def test_days_around_a_clock_change_have_their_true_length(day: str, hours: int) -> None:
    window = Window.over([day], "Europe/London")
    assert (window.end - window.start).total_seconds() == hours * 3600


def test_window_is_half_open_so_that_no_instant_belongs_to_two_days() -> None:
    first = Window.over(["2026-10-24"], "Europe/London")
    second = Window.over(["2026-10-25"], "Europe/London")
    assert first.end == second.start
    assert first.end not in first
    assert first.end in second


def test_instant_belongs_to_the_local_day_not_the_utc_day() -> None:
    window = Window.over(["2026-07-01"], "America/New_York")
    assert window.day_of(datetime(2026, 7, 2, 3, 59, 59, tzinfo=UTC)) == "2026-07-01"


def test_range_with_a_hole_is_refused() -> None:
    with pytest.raises(ValueError, match="not an unbroken run"):
        Window.over(["2026-07-01", "2026-07-03"], "UTC")


def test_lookback_over_midnight_touches_both_days() -> None:
    tick = datetime(2026, 7, 2, 0, 30, tzinfo=UTC)
    assert days_touched(tick.replace(day=1, hour=22), tick, "UTC") == ("2026-07-01", "2026-07-02")


def test_lookback_uses_the_pipelines_time_zone() -> None:
    tick = datetime(2026, 7, 2, 3, 0, tzinfo=UTC)
    assert days_touched(tick, tick, "America/New_York") == ("2026-07-01",)
