"""The SQL functions that SQLite lacks or gets wrong, registered on each connection.

Numbers come and go as text and are computed as Decimal: 0.1 + 0.2 is .3 in Oracle. Dates are
wall-clock texts; `ns_local` and `ns_utc` cross between them and instants in the connection's
time zone.
"""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import (
    ROUND_CEILING,
    ROUND_DOWN,
    ROUND_FLOOR,
    ROUND_HALF_UP,
    Context,
    Decimal,
    InvalidOperation,
)
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from nsn_pipeline.sandbox.netsuite.formats import read_date, render_date, render_number
from nsn_pipeline.sandbox.netsuite.kinds import decimal_text
from nsn_pipeline.sandbox.netsuite.labels import code_label, status_label

_ORACLE = Context(prec=40)  # NUMBER holds 38 digits and up
_STAMP = "%Y-%m-%d %H:%M:%S"
_SECONDS_PER_DAY = 86400


@lru_cache(maxsize=200_000)
def _maybe_decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def compare_decimals(left: str, right: str) -> int:
    """The DEC collation: by value; texts that are no numbers come after all that are."""
    a, b = _maybe_decimal(left), _maybe_decimal(right)
    if a is None or b is None:
        if a is b:
            return (left > right) - (left < right)
        return 1 if a is None else -1
    return (a > b) - (a < b)


def number(value: str | float) -> Decimal:
    """A stored number; ValueError on text that is none."""
    return Decimal(value) if isinstance(value, int) else Decimal(decimal_text(str(value)))


def text_of(value: Decimal) -> str:
    """A computed number as it is stored."""
    return decimal_text(f"{_ORACLE.plus(value):f}")


def _arithmetic(operation: Callable[[Decimal, Decimal], Decimal]) -> Callable[..., str | None]:
    def apply(left: str | int | None, right: str | int | None) -> str | None:
        if left is None or right is None:
            return None
        return text_of(operation(number(left), number(right)))

    return apply


def _rounded(rounding: str) -> Callable[..., str | None]:
    def apply(value: str | int | None, places: str | int | None = 0) -> str | None:
        if value is None or places is None:
            return None
        exponent = Decimal(1).scaleb(-int(number(places)))
        return text_of(number(value).quantize(exponent, rounding, _ORACLE))

    return apply


def _whole(rounding: str) -> Callable[..., str | None]:
    def apply(value: str | int | None) -> str | None:
        return None if value is None else text_of(number(value).to_integral_value(rounding))

    return apply


class ExactSum:
    """SUM as Oracle has it: exact, null over no rows."""

    def __init__(self) -> None:
        self.total: Decimal | None = None
        self.count = 0

    def step(self, value: str | int | None) -> None:
        """Add one value."""
        if value is not None:
            self.total = _ORACLE.add(self.total or Decimal(0), number(value))
            self.count += 1

    def finalize(self) -> str | None:
        """The sum, or null when there was nothing to sum."""
        return None if self.total is None else text_of(self.total)


class ExactAverage(ExactSum):
    """AVG: nulls do not count."""

    def finalize(self) -> str | None:
        """The mean, or null when there was nothing to average."""
        return None if self.total is None else text_of(_ORACLE.divide(self.total, self.count))


def _to_number(value: str | int | None) -> str | None:
    return None if value is None else text_of(number(value))


def _to_char_number(value: str | int | None, model: str | None) -> str | None:
    return None if value is None or model is None else render_number(number(value), model)


def _to_char_date(value: str | None, model: str | None) -> str | None:
    return None if value is None or model is None else render_date(value, model)


@lru_cache(maxsize=10_000)
def _to_date(value: str | None, model: str | None) -> str | None:
    return None if value is None or model is None else read_date(value, model)


def _add_days(value: str | None, days: str | int | None) -> str | None:
    if value is None or days is None:
        return None
    seconds = (number(days) * _SECONDS_PER_DAY).quantize(Decimal(1), ROUND_HALF_UP)
    return (datetime.fromisoformat(value) + timedelta(seconds=int(seconds))).strftime(_STAMP)


def _days_between(left: str | None, right: str | None) -> str | None:
    if left is None or right is None:
        return None
    gap = datetime.fromisoformat(left) - datetime.fromisoformat(right)
    return text_of(_ORACLE.divide(Decimal(int(gap.total_seconds())), Decimal(_SECONDS_PER_DAY)))


def _add_months(value: str | None, months: str | int | None) -> str | None:
    if value is None or months is None:
        return None
    at = datetime.fromisoformat(value)
    index = at.year * 12 + at.month - 1 + int(number(months))
    first = at.replace(year=index // 12, month=index % 12 + 1, day=1)
    last = _month_end(first).day
    keeps_end = at.day == _month_end(at).day  # Oracle: a month's last day stays a last day
    return first.replace(day=last if keeps_end else min(at.day, last)).strftime(_STAMP)


def _month_end(at: datetime) -> datetime:
    return (at.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def _last_day(value: str | None) -> str | None:
    return None if value is None else _month_end(datetime.fromisoformat(value)).strftime(_STAMP)


def _trunc_date(value: str | None, unit: str | None) -> str | None:
    if value is None or unit is None:
        return None
    at = datetime.fromisoformat(value)
    day = at.replace(hour=0, minute=0, second=0)
    match unit.upper():
        case "DD" | "DDD" | "J":
            start = day
        case "MM" | "MON" | "MONTH":
            start = day.replace(day=1)
        case "Q":
            start = day.replace(month=(at.month - 1) // 3 * 3 + 1, day=1)
        case "YYYY" | "YY" | "YEAR" | "SYYYY":
            start = day.replace(month=1, day=1)
        case "IW":
            start = day - timedelta(days=at.weekday())
        case "D" | "DY" | "DAY":
            start = day - timedelta(days=at.isoweekday() % 7)
        case "HH" | "HH24" | "HH12":
            start = at.replace(minute=0, second=0)
        case "MI":
            start = at.replace(second=0)
        case _:
            raise ValueError(f"TRUNC cannot cut to {unit!r}")
    return start.strftime(_STAMP)


def _substr(value: str | None, start: str | int | None, length: str | int | None) -> str | None:
    if value is None or start is None or length is None:
        return None
    begin, size = int(number(start)), int(number(length))
    at = len(value) + begin if begin < 0 else max(begin - 1, 0)  # position 0 counts as 1
    return value[at : at + size] or None if at >= 0 and size > 0 else None


def _initcap(value: str | None) -> str | None:
    return None if value is None else value.title()


def zone_functions(zone: ZoneInfo) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """(UTC text to wall clock, wall clock to UTC text) for one time zone."""

    @lru_cache(maxsize=200_000)
    def local(value: str | None) -> str | None:
        if value is None:
            return None
        moment = datetime.fromisoformat(value).replace(tzinfo=UTC)
        return moment.astimezone(zone).strftime(_STAMP)

    @lru_cache(maxsize=50_000)
    def utc(value: str | None) -> str | None:
        if value is None:
            return None
        return datetime.fromisoformat(value).replace(tzinfo=zone).astimezone(UTC).strftime(_STAMP)

    return local, utc


_SCALARS: dict[str, tuple[int, Callable[..., Any]]] = {
    "ns_add": (2, _arithmetic(_ORACLE.add)),
    "ns_sub": (2, _arithmetic(_ORACLE.subtract)),
    "ns_mul": (2, _arithmetic(_ORACLE.multiply)),
    "ns_div": (2, _arithmetic(_ORACLE.divide)),
    "ns_mod": (2, _arithmetic(lambda a, b: a if b == 0 else _ORACLE.remainder(a, b))),
    "ns_round": (2, _rounded(ROUND_HALF_UP)),
    "ns_trunc_num": (2, _rounded(ROUND_DOWN)),
    "ns_ceil": (1, _whole(ROUND_CEILING)),
    "ns_floor": (1, _whole(ROUND_FLOOR)),
    "ns_abs": (1, lambda v: None if v is None else text_of(abs(number(v)))),
    "ns_sign": (1, lambda v: None if v is None else (number(v) > 0) - (number(v) < 0)),
    "ns_to_number": (1, _to_number),
    "ns_to_char_num": (2, _to_char_number),
    "ns_to_char_date": (2, _to_char_date),
    "ns_to_date": (2, _to_date),
    "ns_add_days": (2, _add_days),
    "ns_days_between": (2, _days_between),
    "ns_add_months": (2, _add_months),
    "ns_last_day": (1, _last_day),
    "ns_trunc_date": (2, _trunc_date),
    "ns_substr": (3, _substr),
    "ns_initcap": (1, _initcap),
    "ns_upper": (1, lambda v: None if v is None else v.upper()),  # SQLite knows only ASCII
    "ns_lower": (1, lambda v: None if v is None else v.lower()),
    "ns_status": (2, status_label),
    "ns_label": (2, code_label),
}  # fmt: skip


def register(connection: sqlite3.Connection, zone: ZoneInfo) -> None:
    """Give a connection NetSuite's functions and comparisons."""
    register_decimals(connection)
    for name, (arity, function) in _SCALARS.items():
        connection.create_function(name, arity, function, deterministic=True)
    local, utc = zone_functions(zone)
    connection.create_function("ns_local", 1, local, deterministic=True)
    connection.create_function("ns_utc", 1, utc, deterministic=True)
    connection.create_aggregate("ns_sum", 1, ExactSum)  # pyright: ignore[reportArgumentType] - typeshed: aggregates give int
    connection.create_aggregate("ns_avg", 1, ExactAverage)  # pyright: ignore[reportArgumentType] - as above
    connection.execute("PRAGMA case_sensitive_like = ON")  # Oracle's LIKE minds case


def register_decimals(connection: sqlite3.Connection) -> None:
    """The collation that the tables' decimal columns name: no connection can write without it."""
    connection.create_collation("DEC", compare_decimals)
