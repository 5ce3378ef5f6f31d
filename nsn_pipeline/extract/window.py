"""Days of change time as exact UTC windows.

A partition is one calendar day in `NSN_TIMEZONE`, half open: `[day 00:00, next day 00:00)` local
time. Days around a clock change are 23 or 25 hours long, which is why bounds are computed per day
and never added up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of change time, aware UTC, and the local days it covers."""

    start: datetime
    end: datetime
    days: tuple[str, ...]
    timezone: str

    @classmethod
    def over(cls, days: Sequence[str], timezone: str) -> "Window":
        """The window of consecutive local days. Raises ValueError when a day is missing between."""
        ordered = sorted(days)
        first, last = date.fromisoformat(ordered[0]), date.fromisoformat(ordered[-1])
        if (last - first).days + 1 != len(ordered):
            msg = f"{ordered[0]} to {ordered[-1]} is not an unbroken run of {len(ordered)} days"
            raise ValueError(msg)
        return cls(
            start=_midnight(first, timezone),
            end=_midnight(last + timedelta(days=1), timezone),
            days=tuple(ordered),
            timezone=timezone,
        )

    def day_of(self, instant: datetime) -> str:
        """The local day an instant falls on."""
        return instant.astimezone(ZoneInfo(self.timezone)).date().isoformat()

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end


def local_day(instant: datetime, timezone: str) -> date:
    """The date there at an instant."""
    return instant.astimezone(ZoneInfo(timezone)).date()


def days_touched(start: datetime, end: datetime, timezone: str) -> tuple[str, ...]:
    """The local days that the instants from `start` to `end` fall on, both included."""
    zone = ZoneInfo(timezone)
    first, last = start.astimezone(zone).date(), end.astimezone(zone).date()
    return tuple(
        (first + timedelta(days=offset)).isoformat() for offset in range((last - first).days + 1)
    )


def _midnight(day: date, timezone: str) -> datetime:
    return datetime.combine(day, time.min, tzinfo=ZoneInfo(timezone)).astimezone(UTC)
