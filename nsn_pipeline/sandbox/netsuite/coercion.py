"""Oracle's implicit conversions between kinds: what is compared with what, and as what.

Bound parameters and text literals are soft: they take the kind of what they meet. Where Oracle
would fail (text that is no number, a bare date text against the user's format) the statement is
refused.
"""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from nsn_pipeline.sandbox.netsuite.errors import unsupported
from nsn_pipeline.sandbox.netsuite.formats import read_preference
from nsn_pipeline.sandbox.netsuite.functions import zone_functions
from nsn_pipeline.sandbox.netsuite.kinds import NUMERIC, TEMPORAL, Kind, decimal_text
from nsn_pipeline.sandbox.netsuite.options import NetSuiteOptions
from nsn_pipeline.sandbox.netsuite.scope import Bindings, Expression

_TEXTS = frozenset({Kind.TEXT, Kind.FLAG})
NULL = Expression("NULL", Kind.NULL)


def quoted(text: str) -> str:
    """A SQLite text literal."""
    return "'" + text.replace("'", "''") + "'"


def coerce_value(value: str, kind: Kind, options: NetSuiteOptions) -> str | int | None:
    """A text from the client as a value of `kind`; ValueError when it is none."""
    if value == "":
        return None
    match kind:
        case Kind.INT:
            return int(decimal_text(value))
        case Kind.NUM:
            return decimal_text(value)
        case Kind.DATE:
            return read_preference(value, options.date_format)
        case Kind.INSTANT:
            wall = read_preference(value, options.date_format)
            return zone_functions(ZoneInfo(options.time_zone))[1](wall)
        case _:
            return value


class Coercion:
    """Conversions for one statement: parameters are bound through `bindings`."""

    def __init__(self, options: NetSuiteOptions, bindings: Bindings) -> None:
        self.options = options
        self.bindings = bindings

    def to(self, item: Expression, kind: Kind) -> str:
        """SQL of `item` as a value of `kind`."""
        if item.kind is Kind.NULL:
            return "NULL"
        if item.param is not None:
            return self.bindings.slot(item.param, Kind.TEXT if kind is Kind.FLAG else kind)
        if item.literal is not None and kind not in _TEXTS:
            return self._literal(item.literal, kind)
        if kind is Kind.INT and item.kind is not Kind.INT:
            return f"CAST({self.number(item)} AS INTEGER)"
        return {
            Kind.TEXT: self.text, Kind.FLAG: self.text, Kind.INT: lambda one: one.sql,
            Kind.NUM: self.number, Kind.DATE: self.date, Kind.INSTANT: self.instant,
        }[kind](item)  # fmt: skip

    def _literal(self, literal: str, kind: Kind) -> str:
        try:
            value = coerce_value(literal, kind, self.options)
        except ValueError as error:
            raise unsupported(str(error)) from error
        if value is None:
            return "NULL"
        return str(value) if isinstance(value, int) else quoted(value)

    def text(self, item: Expression) -> str:
        """As text, the way Oracle converts without being asked."""
        if item.param is not None:
            return self.bindings.slot(item.param, Kind.TEXT)
        match item.kind:
            case Kind.INT:
                return f"CAST({item.sql} AS TEXT)"
            case Kind.NUM:
                return f"ns_num_text({item.sql})"
            case Kind.DATE:
                return f"ns_pref({item.sql})"
            case Kind.INSTANT:
                return f"ns_pref(ns_local({item.sql}))"
            case _:
                return item.sql

    def number(self, item: Expression) -> str:
        """As decimal text."""
        if item.param is not None or item.literal is not None:
            return self.to(item, Kind.NUM)
        match item.kind:
            case Kind.NULL | Kind.NUM:
                return item.sql
            case Kind.INT:
                return f"CAST({item.sql} AS TEXT)"
            case Kind.TEXT | Kind.FLAG:
                return f"ns_to_number({item.sql})"
            case _:
                raise unsupported("a date is not a number")

    def date(self, item: Expression) -> str:
        """As a wall-clock value."""
        if item.param is not None or item.literal is not None:
            return self.to(item, Kind.DATE)
        match item.kind:
            case Kind.NULL | Kind.DATE:
                return item.sql
            case Kind.INSTANT:
                return f"ns_local({item.sql})"
            case _:
                raise unsupported("not a date")

    def instant(self, item: Expression) -> str:
        """As a moment in UTC; wall-clock values are read in the connection's time zone."""
        if item.param is not None or item.literal is not None:
            return self.to(item, Kind.INSTANT)
        match item.kind:
            case Kind.NULL | Kind.INSTANT:
                return item.sql
            case Kind.DATE:
                return f"ns_utc({item.sql})"
            case _:
                raise unsupported("not a date")

    def common(self, items: Sequence[Expression]) -> Kind:
        """The kind that CASE, NVL, DECODE and UNION give their results."""
        hard = {item.kind for item in items if not soft(item) and item.kind is not Kind.NULL}
        if len(hard) == 1:
            return hard.pop()
        if hard and hard <= NUMERIC:
            return Kind.NUM
        return Kind.DATE if hard and hard <= TEMPORAL else Kind.TEXT

    def pair(self, left: Expression, right: Expression) -> tuple[str, str]:
        """Both sides of a comparison, as SQL that compares rightly."""
        kind = self._compared_as(left, right)
        collate = " COLLATE DEC" if kind is Kind.NUM else ""
        return f"{self.to(left, kind)}{collate}", self.to(right, kind)

    def _compared_as(self, left: Expression, right: Expression) -> Kind:
        kinds = {item.kind for item in (left, right) if not soft(item) and item.kind != Kind.NULL}
        if not kinds:
            return Kind.TEXT
        if len(kinds) == 1:
            kind = kinds.pop()
            whole = kind is Kind.INT and all(_whole(item) for item in (left, right))
            return kind if kind is not Kind.INT or whole else Kind.NUM
        if kinds <= _TEXTS:
            return Kind.TEXT
        if kinds <= TEMPORAL:
            return (
                Kind.INSTANT
            )  # converts the constant side, so that the column's index stays usable
        if kinds & NUMERIC and not kinds & TEMPORAL:
            return Kind.NUM
        raise unsupported("the two sides of a comparison do not go together")


def soft(item: Expression) -> bool:
    """Whether `item` takes the kind of what it meets."""
    return item.param is not None or item.literal is not None


def _whole(item: Expression) -> bool:
    return item.literal is None or "." not in item.literal
