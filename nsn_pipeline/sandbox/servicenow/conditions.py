"""Turns one condition into a test of a record, by the column's type."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache

from nsn_pipeline.sandbox.servicenow.money import Exchange, to_decimal
from nsn_pipeline.sandbox.servicenow.paths import Access
from nsn_pipeline.sandbox.servicenow.table_data import Row
from nsn_pipeline.sandbox.servicenow.table_definitions import Column

Test = Callable[[Row], bool]
MONEY = frozenset({"currency", "price"})
NUMERIC = frozenset({"integer", "decimal"})
TRUE_WORDS = frozenset({"true", "1", "yes", "t"})
DATE_GENERATE = re.compile(r"gs\.dateGenerate\('([\d-]+)'(?:,\s*'([\d:]+|start|end)')?\)")
DAYS_AGO = re.compile(r"gs\.daysAgo(Start|End)?\((\d+)\)")
TWO = 2


@lru_cache(maxsize=65536)
def number(text: str) -> Decimal | None:
    return to_decimal(text)


class Comparison:
    """How values of one column are made comparable."""

    def __init__(self, column: Column, exchange: Exchange, *, case_sensitive: bool) -> None:
        self.column = column
        self.exchange = exchange
        self.case_sensitive = case_sensitive

    def key(self, stored: str) -> Decimal | str | None:
        """The comparable form of a stored value; None is empty."""
        if not stored:
            return None
        if self.column.type in MONEY:
            return self.exchange.amount_in(stored, self.exchange.user)
        if self.column.type in NUMERIC:
            return number(stored)
        return stored if self.case_sensitive else stored.lower()

    def asked(self, text: str) -> Decimal | str | None:
        """The comparable form of a value in a query."""
        if not text:
            return None
        if self.column.type in MONEY:
            parsed = self.exchange.parse(text)
            return (
                self.exchange.convert(parsed[1], parsed[0], self.exchange.user) if parsed else None
            )
        if self.column.type in NUMERIC:
            return number(text)
        if self.column.type == "boolean":
            return "true" if text.lower() in TRUE_WORDS else "false"
        return text if self.case_sensitive else text.lower()


def build(operator: str, value: str, read: Access, how: Comparison) -> Test:  # noqa: C901, PLR0911
    """The test for one operator: a table of cases, longer than usual because it is one."""
    key = how.key
    if operator in {"ISEMPTY", "EMPTYSTRING"} or (operator == "=" and not value):
        return lambda row: not read(row)
    if operator == "ISNOTEMPTY" or (operator == "!=" and not value):
        return lambda row: bool(read(row))
    if operator == "ANYTHING":
        return lambda _row: True
    if operator == "=":
        wanted = how.asked(value)
        return lambda row: wanted is not None and key(read(row)) == wanted
    if operator == "!=":  # empty counts as different
        wanted = how.asked(value)
        return lambda row: key(read(row)) != wanted
    if operator in {"IN", "NOT IN"}:
        among = {how.asked(item) for item in value.split(",")}
        inside = operator == "IN"
        return lambda row: (key(read(row)) in among) is inside
    if operator in {"<", "<=", ">", ">="}:
        return _ordered(operator, how.asked(value), read, key)
    if operator == "BETWEEN":
        low, _, high = value.partition("@")
        at_least = _ordered(">=", how.asked(low), read, key)
        at_most = _ordered("<=", how.asked(high), read, key)
        return lambda row: at_least(row) and at_most(row)
    part = value if how.case_sensitive else value.lower()
    fold: Callable[[str], str] = str if how.case_sensitive else str.lower
    if operator == "STARTSWITH":
        return lambda row: fold(read(row)).startswith(part)
    if operator == "ENDSWITH":
        return lambda row: fold(read(row)).endswith(part)
    if operator == "NOT LIKE":
        return lambda row: part not in fold(read(row))
    return lambda row: part in fold(read(row))  # LIKE


def _ordered(
    operator: str,
    wanted: Decimal | str | None,
    read: Access,
    key: Callable[[str], Decimal | str | None],
) -> Test:
    def test(row: Row) -> bool:
        held = key(read(row))
        if held is None or wanted is None or isinstance(held, str) != isinstance(wanted, str):
            return False
        if operator == "<":
            return held < wanted  # type: ignore[operator]  # same kind: checked above
        if operator == "<=":
            return held <= wanted  # type: ignore[operator]
        if operator == ">":
            return held > wanted  # type: ignore[operator]
        return held >= wanted  # type: ignore[operator]

    return test


def script_value(  # noqa: PLR0911  # one return per script
    text: str, *, user_id: str, user_name: str, now: float
) -> str:
    """`javascript:` values that clients use; anything else evaluates to nothing."""
    code = text.removeprefix("javascript:").strip()
    if code.startswith("gs.getUserID("):
        return user_id
    if code.startswith("gs.getUserName("):
        return user_name
    instant = datetime.fromtimestamp(now, UTC)
    if code.startswith(("gs.nowDateTime(", "gs.now(")):
        return f"{instant:%Y-%m-%d %H:%M:%S}"
    if code.startswith(("gs.beginningOfToday(", "gs.endOfToday(")):
        clock = "23:59:59" if "endOf" in code else "00:00:00"
        return f"{instant:%Y-%m-%d} {clock}"
    if match := DATE_GENERATE.match(code):
        clock = {"start": "00:00:00", "end": "23:59:59"}.get(match[TWO] or "start", match[TWO])
        return f"{match[1]} {clock}"
    if match := DAYS_AGO.match(code):
        then = instant - timedelta(days=int(match[TWO]))
        clock = {"Start": "00:00:00", "End": "23:59:59"}.get(match[1] or "", f"{then:%H:%M:%S}")
        return f"{then:%Y-%m-%d} {clock}"
    return ""
