"""How NetSuite's values are held in SQLite, and how loaded text becomes such a value.

Identifiers are INTEGER, so that comparing and ordering is numeric. Decimals are normalised TEXT
under the `DEC` collation: SQLite's REAL would lose cents. Dates are 'YYYY-MM-DD 00:00:00'
without a zone, instants 'YYYY-MM-DD HH:MM:SS' in UTC. A null is NULL; Oracle has no empty
string, so '' is NULL too.
"""

import re
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache


class Kind(StrEnum):
    """What a stored or computed value is."""

    INT = "int"
    NUM = "num"
    TEXT = "text"
    FLAG = "flag"
    DATE = "date"  # a wall-clock value without zone: Oracle's DATE
    INSTANT = "instant"  # a moment: Oracle's TIMESTAMP WITH LOCAL TIME ZONE
    NULL = "null"  # compile time only: a bare NULL fits everywhere
    PARAM = "param"  # compile time only: a `?` takes the kind of what it meets


NUMERIC = frozenset({Kind.INT, Kind.NUM})
TEMPORAL = frozenset({Kind.DATE, Kind.INSTANT})
Stored = str | int | None

_DECIMAL = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?\Z", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+\Z", re.ASCII)


def decimal_text(text: str) -> str:
    """`+007.50` as `7.5`: equal numbers have equal texts. Raises ValueError on anything else."""
    match = _DECIMAL.match(text.strip())
    if match is None or not (match[2] or match[3]):
        raise ValueError(f"{text!r} is not a decimal number")
    whole = match[2].lstrip("0") or "0"
    part = (match[3] or "").rstrip("0")
    body = f"{whole}.{part}" if part else whole
    return body if body == "0" or match[1] != "-" else f"-{body}"


def _integer(text: str) -> int:
    if not _INTEGER.match(text):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


def _flag(text: str) -> str:
    if text not in {"T", "F"}:
        raise ValueError(f"{text!r} is neither T nor F")
    return text


@lru_cache(maxsize=100_000)
def _date(text: str) -> str:
    return f"{datetime.strptime(text, '%Y-%m-%d').replace(tzinfo=UTC):%Y-%m-%d} 00:00:00"


@lru_cache(maxsize=100_000)
def _instant(text: str) -> str:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; instants end in Z")
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


LOADERS = {
    Kind.INT: _integer,
    Kind.NUM: decimal_text,
    Kind.TEXT: str,
    Kind.FLAG: _flag,
    Kind.DATE: _date,
    Kind.INSTANT: _instant,
}


def utc_text(epoch_s: float) -> str:
    """A clock reading as an instant is stored."""
    return datetime.fromtimestamp(int(epoch_s), UTC).strftime("%Y-%m-%d %H:%M:%S")
