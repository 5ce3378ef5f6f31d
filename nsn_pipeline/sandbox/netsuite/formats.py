"""Oracle format models (TO_CHAR, TO_DATE) and the user's date format preference.

Values are 'YYYY-MM-DD HH:MM:SS' texts, so most elements are slices of them. An element that is
not known raises ValueError, as Oracle refuses a format model it cannot read.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
          "October", "November", "December")  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_ELEMENT = re.compile(
    r'"([^"]*)"|(FM|SYYYY|YYYY|RRRR|IYYY|MONTH|DDD|DAY|MON|HH24|HH12|A\.M\.|P\.M\.|SSSSS|FF[1-9]?'
    r"|YY|RR|MM|MI|DD|DY|HH|SS|AM|PM|WW|IW|Q|D|J)|([^A-Za-z0-9\"])",
    re.IGNORECASE,
)
_DATE_ELEMENTS = {"YYYY": "%Y", "MM": "%m", "DD": "%d", "HH24": "%H", "MI": "%M", "SS": "%S"}


def _tokens(model: str) -> list[tuple[str, str]]:
    """("literal"|"element", text) pairs; element texts keep their case for MONTH/Month."""
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(model):
        match = _ELEMENT.match(model, at)
        if match is None:
            raise ValueError(f"date format not recognised: {model!r}")
        at = match.end()
        if match[2] is not None:
            found.append(("element", match[2]))
        else:
            found.append(("literal", match[1] if match[1] is not None else match[3]))
    return found


@lru_cache(maxsize=256)
def strftime_model(model: str) -> str | None:
    """The model as SQLite's own strftime pattern, or None where only Python can render it."""
    parts: list[str] = []
    for sort, text in _tokens(model):
        if sort == "literal":
            parts.append(text.replace("%", "%%"))
        elif (pattern := _DATE_ELEMENTS.get(text.upper())) is not None:
            parts.append(pattern)
        else:
            return None
    return "".join(parts)


def _cased(word: str, element: str) -> str:
    if element.isupper():
        return word.upper()
    return word.lower() if element.islower() else word


def _twelve(hour: int) -> int:
    return hour % 12 or 12


def _render_element(element: str, at: datetime, *, fill: bool) -> str:
    upper = element.upper()
    numbers: dict[str, Callable[[], tuple[int, int]]] = {
        "YYYY": lambda: (at.year, 4), "SYYYY": lambda: (at.year, 4), "RRRR": lambda: (at.year, 4),
        "IYYY": lambda: (at.isocalendar().year, 4), "YY": lambda: (at.year % 100, 2),
        "RR": lambda: (at.year % 100, 2), "MM": lambda: (at.month, 2), "DD": lambda: (at.day, 2),
        "DDD": lambda: (at.timetuple().tm_yday, 3), "D": lambda: (at.isoweekday() % 7 + 1, 1),
        "HH24": lambda: (at.hour, 2), "HH": lambda: (_twelve(at.hour), 2),
        "HH12": lambda: (_twelve(at.hour), 2), "MI": lambda: (at.minute, 2),
        "SS": lambda: (at.second, 2), "Q": lambda: ((at.month + 2) // 3, 1),
        "SSSSS": lambda: (at.hour * 3600 + at.minute * 60 + at.second, 5),
        "WW": lambda: ((at.timetuple().tm_yday - 1) // 7 + 1, 2),
        "IW": lambda: (at.isocalendar().week, 2), "J": lambda: (at.toordinal() + 1721425, 7),
    }  # fmt: skip
    if upper in numbers:
        value, width = numbers[upper]()
        return f"{value:0{width}d}" if fill else str(value)
    if upper in {"MONTH", "MON"}:
        word = MONTHS[at.month - 1] if upper == "MONTH" else MONTHS[at.month - 1][:3]
        return _cased(word.ljust(9) if fill and upper == "MONTH" else word, element)
    if upper in {"DAY", "DY"}:
        word = DAYS[at.weekday()] if upper == "DAY" else DAYS[at.weekday()][:3]
        return _cased(word.ljust(9) if fill and upper == "DAY" else word, element)
    if upper in {"AM", "PM", "A.M.", "P.M."}:
        half = "AM" if at.hour < 12 else "PM"  # noqa: PLR2004 - noon
        return ".".join((*half, "")) if "." in element else half
    if upper.startswith("FF"):
        return "0" * int(upper[2:] or 6)
    raise ValueError(f"date format element {element!r} is not supported")


def render_date(text: str, model: str) -> str:
    """`TO_CHAR(<wall-clock value>, model)`."""
    at = datetime.fromisoformat(text)
    fill, parts = True, list[str]()
    for sort, token in _tokens(model):
        if sort == "literal":
            parts.append(token)
        elif token.upper() == "FM":  # fill mode: a toggle
            fill = not fill
        else:
            parts.append(_render_element(token, at, fill=fill))
    return "".join(parts)


_READ = {
    "YYYY": r"(?P<year>\d{4})", "RRRR": r"(?P<year>\d{4})", "YY": r"(?P<yy>\d{2})",
    "RR": r"(?P<yy>\d{2})", "MM": r"(?P<month>\d{1,2})", "DD": r"(?P<day>\d{1,2})",
    "HH24": r"(?P<hour>\d{1,2})", "HH12": r"(?P<half>\d{1,2})", "HH": r"(?P<half>\d{1,2})",
    "MI": r"(?P<minute>\d{1,2})", "SS": r"(?P<second>\d{1,2})", "MON": r"(?P<name>[A-Za-z]{3})",
    "MONTH": r"(?P<name>[A-Za-z]+)", "AM": r"(?P<ap>[AaPp][Mm])", "PM": r"(?P<ap>[AaPp][Mm])",
    "FM": "",
}  # fmt: skip


@lru_cache(maxsize=256)
def _reader(model: str) -> re.Pattern[str]:
    parts: list[str] = []
    for sort, text in _tokens(model):
        if sort == "literal":
            parts.append(re.escape(text))
        elif text.upper().startswith("FF"):
            parts.append(r"\d{1,9}")
        elif text.upper() in _READ:
            parts.append(_READ[text.upper()])
        else:
            raise ValueError(f"TO_DATE cannot read the format element {text!r}")
    return re.compile("".join(parts) + r"\Z", re.ASCII)


def read_date(text: str, model: str) -> str:
    """`TO_DATE(text, model)`; parts that the model lacks start at their first value."""
    match = _reader(model).match(text.strip())
    if match is None:
        raise ValueError(f"{text!r} does not match the date format {model!r}")
    parts = {name: value for name, value in match.groupdict().items() if value is not None}
    month = int(parts.get("month", "1"))
    if "name" in parts:
        month = 1 + [name[:3].upper() for name in MONTHS].index(parts["name"][:3].upper())
    hour = int(parts.get("hour", "0"))
    if "half" in parts:
        hour = int(parts["half"]) % 12 + (12 if parts.get("ap", "").upper() == "PM" else 0)
    year = int(parts["year"]) if "year" in parts else _century(int(parts.get("yy", "0")))
    at = datetime(
        year, month, int(parts.get("day", "1")), hour,
        int(parts.get("minute", "0")), int(parts.get("second", "0")), tzinfo=UTC,
    )  # fmt: skip
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _century(two_digits: int) -> int:
    return two_digits + (2000 if two_digits < 50 else 1900)  # noqa: PLR2004 - Oracle's RR rule


_PREFERENCE = re.compile(r"YYYY|Mon|Month|MM|M|DD|D")


@lru_cache(maxsize=100_000)
def render_preference(text: str, preference: str) -> str:
    """A raw date or datetime as the user's date format shows it: never a time of day."""
    day = date.fromisoformat(text[:10])
    words = {
        "YYYY": f"{day.year:04d}", "Mon": MONTHS[day.month - 1][:3], "Month": MONTHS[day.month - 1],
        "MM": f"{day.month:02d}", "M": str(day.month), "DD": f"{day.day:02d}", "D": str(day.day),
    }  # fmt: skip
    return _PREFERENCE.sub(lambda match: words[match[0]], preference)


def read_preference(text: str, preference: str) -> str:
    """A bare date text, which NetSuite reads by the user's date format and by nothing else."""
    model = re.sub(
        r"YYYY|Month|Mon|MM?|DD?", lambda match: _LONG.get(match[0], match[0]), preference
    )
    return read_date(text, model)


_LONG = {"M": "MM", "D": "DD", "Mon": "MON", "Month": "MONTH"}
_NUMBER_MODEL = re.compile(r"(FM)?(\$)?([09,G]*)(?:[.D]([09]*))?(MI|S)?\Z", re.IGNORECASE)


def render_number(value: Decimal, model: str) -> str:
    """`TO_CHAR(number, model)` for models of 9, 0, comma, point, FM, $ and a trailing MI or S."""
    match = _NUMBER_MODEL.match(model)
    if match is None or not (match[3] or match[4]):
        raise ValueError(f"number format not recognised: {model!r}")
    whole, part = match[3].upper().replace("G", ","), match[4] or ""
    digits = whole.replace(",", "")
    rounded = abs(value).quantize(Decimal(1).scaleb(-len(part)), ROUND_HALF_UP)
    left, _, right = f"{rounded:f}".partition(".")
    left = left.lstrip("0")
    if len(left) > len(digits):
        return "#" * (len(model) + 1)
    zeros = len(digits) - digits.index("0") if "0" in digits else 0
    if not zeros and not part and not left:
        zeros = 1
    left = left.rjust(zeros, "0")
    if "," in whole:
        left = _grouped(left, whole)
    fill_mode = bool(match[1])
    if fill_mode:
        kept = part.rfind("0") + 1
        right = right[:kept] + right[kept:].rstrip("0")
    body = (match[2] or "") + left + (f".{right}" if "." in model or "D" in model.upper() else "")
    sign = "-" if value < 0 and rounded != 0 else ""
    if match[5]:
        trailing = sign or ("+" if match[5].upper() == "S" else " ")
        return (body if fill_mode else body.rjust(len(whole) + len(part) + bool(part))) + trailing
    if fill_mode:
        return sign + body
    return (sign + body).rjust(len(whole) + (len(part) + 1 if part else 0) + 1)


def _grouped(left: str, whole: str) -> str:
    """Digits with the commas of the model, counted from the right."""
    result, digits = "", list(left)
    for mark in reversed(whole):
        if not digits:
            break
        result = ("," if mark == "," else digits.pop()) + result
    return result.lstrip(",")
