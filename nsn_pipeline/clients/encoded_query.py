"""Builds ServiceNow encoded queries. There is no escape character, so unsafe values are refused.

A `^` in a value starts a new condition, a comma splits an IN list, `javascript:` is evaluated on
the server (docs/facts/servicenow.md 2.2). Only what cannot be misread is built.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from nsn_pipeline.errors import ConfigurationError

_FIELD = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*")
_ALLOWED = frozenset({"=", "!=", "<", "<=", ">", ">=", "STARTSWITH", "LIKE"})
# Longest first: the server takes the longest operator that fits, whatever we meant.
_OPERATORS = sorted(
    (
        *_ALLOWED, "IN", "NOT IN", "NOT LIKE", "ENDSWITH", "BETWEEN", "ISEMPTY", "ISNOTEMPTY",
        "EMPTYSTRING", "ANYTHING", "SAMEAS", "NSAMEAS", "ON", "INSTANCEOF", "DATEPART",
        "DYNAMIC", "LESSTHAN", "MORETHAN", "RELATIVE", "VALCHANGES",
    ),
    key=len,
    reverse=True,
)  # fmt: skip


class UnsafeValueError(ConfigurationError, ValueError):
    """A value that an encoded query cannot carry without changing its meaning."""


@dataclass(frozen=True, slots=True)
class Query:
    """Conditions that must all hold, and an order. Immutable: every step returns a new query."""

    conditions: tuple[str, ...] = ()
    order: tuple[str, ...] = ()

    def where(self, field: str, operator: str, value: str) -> "Query":
        """Add a comparison; an empty value is refused, as ServiceNow reads it as "is empty"."""
        if operator not in _ALLOWED:
            raise UnsafeValueError(f"{operator!r} is not an operator this builder knows")
        if not value:
            raise UnsafeValueError(f"an empty value for {field}: use where_empty")
        return self._with(field, operator, value)

    def where_in(self, field: str, values: Collection[str]) -> "Query":
        """Add "is one of"; a comma inside a value would split it."""
        if not values:
            raise UnsafeValueError(f"no value for {field}: an empty list would match what it likes")
        for value in values:
            if not value or "," in value:
                raise UnsafeValueError(f"{value[:40]!r} cannot stand in a list of {field}")
        return self._with(field, "IN", ",".join(values))

    def where_empty(self, field: str) -> "Query":
        return replace(self, conditions=(*self.conditions, f"{_checked_field(field)}ISEMPTY"))

    def where_not_empty(self, field: str) -> "Query":
        return replace(self, conditions=(*self.conditions, f"{_checked_field(field)}ISNOTEMPTY"))

    def order_by(self, field: str, *, descending: bool = False) -> "Query":
        """Sort; repeated calls sort within the earlier ones."""
        word = "ORDERBYDESC" if descending else "ORDERBY"
        return replace(self, order=(*self.order, f"{word}{_checked_field(field)}"))

    def __str__(self) -> str:
        return "^".join((*self.conditions, *self.order))

    def _with(self, field: str, operator: str, value: str) -> "Query":
        refuse_unsafe(value)
        condition = f"{_checked_field(field)}{operator}{value}"
        if operator_in(condition, field) != operator:
            raise UnsafeValueError(f"{value[:40]!r} would be read as part of the operator")
        return replace(self, conditions=(*self.conditions, condition))


def refuse_unsafe(value: str) -> None:
    """Raise for a value that no condition can carry."""
    if "^" in value or not value.isprintable():
        raise UnsafeValueError(f"{value[:40]!r} holds a ^ or a control character")
    if value.strip().lower().startswith("javascript:"):
        raise UnsafeValueError("a value that starts with javascript: would be run by the server")


def refuse_any_unsafe(values: Collection[str]) -> None:
    """As `refuse_unsafe` for each; one look at all of them when, as always, none is."""
    joined = ",".join(values)
    if "^" in joined or not joined.isprintable() or "javascript:" in joined.lower():
        for value in values:
            refuse_unsafe(value)


def operator_in(condition: str, field: str) -> str:
    """The operator the server will find behind `field`: the longest that fits."""
    rest = condition[len(field) :]
    return next((operator for operator in _OPERATORS if rest.startswith(operator)), "")


def _checked_field(field: str) -> str:
    if _FIELD.fullmatch(field) is None:
        raise UnsafeValueError(f"{field!r} is not a ServiceNow column name")
    return field
