# ruff: noqa: SIM905  (a word list reads better as a sentence than as a column of quotes)
"""Days of change, instants in the parent's time zone, accounting periods."""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from nsn_pipeline.sandbox.data.company import TIME_ZONE, Office
from nsn_pipeline.sandbox.data.draw import Draw
from nsn_pipeline.sandbox.data.tables import Row, flag, row

_ZONE = ZoneInfo(TIME_ZONE)
_PERIOD_BASE = 200
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # strftime follows the locale


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Window:
    """The local days on which records change."""

    first: date
    days: int

    @property
    def last(self) -> date:
        return self.first + timedelta(days=self.days - 1)

    def clamp(self, day: date) -> date:
        return min(max(day, self.first), self.last)

    def working(self, day: date, office: Office, draw: Draw) -> datetime:
        """A moment of `day` (parent's calendar) in the office's working hours."""
        start, end = office.hours
        wall = timedelta(seconds=draw.integer(start * 3600, end * 3600 - 1))
        # Moments are UTC from here on: two local times of a day clocks change do not compare.
        moment = (datetime.combine(day, time(), _ZONE) + wall).astimezone(UTC)
        return min(moment, self.day_end(day))

    @staticmethod
    def day_start(day: date) -> datetime:
        return datetime.combine(day, time(), _ZONE).astimezone(UTC)

    @classmethod
    def day_end(cls, day: date) -> datetime:
        """The last whole second of a local day, also on the days clocks change."""
        return cls.day_start(day + timedelta(days=1)) - timedelta(seconds=1)

    def local_day(self, moment: datetime) -> date:
        """The day of the window on which a moment falls, for the parent."""
        return self.clamp(moment.astimezone(_ZONE).date())


def period_id(day: date, window: Window) -> str:
    """Posting period of a date: months are numbered from January of the year before the window."""
    return str(_PERIOD_BASE + (day.year - window.first.year + 1) * 17 + _month_slot(day.month))


def _month_slot(month: int) -> int:
    """Slot 0 is the year; each quarter is followed by its three months."""
    return 1 + (month - 1) // 3 + month


def accounting_periods(window: Window) -> Iterator[Row]:
    """Years with their quarters and months, from the year before the window to its last year.

    Months that ended before the window started are closed, as a finance team would have them.
    """
    for year in range(window.first.year - 1, window.last.year + 1):
        base = _PERIOD_BASE + (year - window.first.year + 1) * 17
        whole = (date(year, 1, 1), date(year, 12, 31))
        yield _period(str(base), f"FY {year}", whole, window, kind="year", parent=None)
        for quarter in range(4):
            first = date(year, quarter * 3 + 1, 1)
            last = date(year, quarter * 3 + 3, monthrange(year, quarter * 3 + 3)[1])
            slot = str(base + 1 + quarter * 4)
            name = f"Q{quarter + 1} {year}"
            yield _period(slot, name, (first, last), window, kind="quarter", parent=str(base))
            for month in range(quarter * 3 + 1, quarter * 3 + 4):
                start = date(year, month, 1)
                end = date(year, month, monthrange(year, month)[1])
                number = str(base + _month_slot(month))
                name = f"{_MONTHS[month - 1]} {year}"
                yield _period(number, name, (start, end), window, kind="month", parent=slot)


def _period(
    number: str,
    name: str,
    span: tuple[date, date],
    window: Window,
    *,
    kind: str,
    parent: str | None,
) -> Row:
    closed = flag(span[1] < window.first)
    return row(
        "accountingperiod",
        id=number,
        periodname=name,
        startdate=span[0].isoformat(),
        enddate=span[1].isoformat(),
        closed=closed,
        isposting=flag(kind == "month"),
        isquarter=flag(kind == "quarter"),
        isyear=flag(kind == "year"),
        isadjust="F",
        aplocked=closed,
        arlocked=closed,
        alllocked=closed,
        parent=parent,
    )
