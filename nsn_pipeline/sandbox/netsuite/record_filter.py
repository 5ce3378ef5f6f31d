"""The `q` parameter of record collections: `field OPERATOR value`, joined by AND."""

import re

from nsn_pipeline.sandbox.netsuite.coercion import coerce_value
from nsn_pipeline.sandbox.netsuite.errors import bad_parameter
from nsn_pipeline.sandbox.netsuite.kinds import Kind, Stored
from nsn_pipeline.sandbox.netsuite.options import NetSuiteOptions
from nsn_pipeline.sandbox.netsuite.record_types import RecordType

_WORD = re.compile(r'\s*("(?:[^"\\]|\\.)*"|\[[^\]]*\]|\S+)')
_COMPARE = {
    "IS": "=", "EQUAL": "=", "ON": "=", "IS_NOT": "<>", "EQUAL_NOT": "<>", "GREATER": ">",
    "GREATER_OR_EQUAL": ">=", "LESS": "<", "LESS_OR_EQUAL": "<=", "AFTER": ">",
    "ON_OR_AFTER": ">=", "BEFORE": "<", "ON_OR_BEFORE": "<=",
}  # fmt: skip
_MATCH = {"CONTAIN": "%{}%", "START_WITH": "{}%", "END_WITH": "%{}"}
_FLAGS = {"TRUE": "T", "FALSE": "F"}


def filter_sql(record: RecordType, text: str, options: NetSuiteOptions) -> tuple[str, list[Stored]]:
    """SQL and values of a filter; dates are read in the user's format."""
    words = [match[1] for match in _WORD.finditer(text)]
    conditions: list[str] = []
    bound: list[Stored] = []
    while words:
        field = record.fields.get(words.pop(0))
        if field is None or not words:
            raise bad_parameter("q", f"Invalid search query: {text}")
        operator = words.pop(0).upper()
        column = f'"{field.column.name}"'
        if operator in {"EMPTY", "EMPTY_NOT"}:
            conditions.append(f"{column} IS {'NOT ' * operator.endswith('NOT')}NULL")
        elif not words:
            raise bad_parameter("q", f"Invalid search query: {text}")
        else:
            sql, values = _condition(column, field.column.kind, operator, words.pop(0), options)
            conditions.append(sql)
            bound += values
        if words and (words.pop(0).upper() != "AND" or not words):
            raise bad_parameter("q", "Only conditions joined by AND are understood here.")
    return " AND ".join(conditions) or "1", bound


def _condition(
    column: str, kind: Kind, operator: str, word: str, options: NetSuiteOptions
) -> tuple[str, list[Stored]]:
    try:
        if operator in _MATCH:
            return f"{column} LIKE ?", [_MATCH[operator].format(_plain(word))]
        if operator == "ANY_OF":
            values = [_value(one, kind, options) for one in word.strip("[]").split(",")]
            return f"{column} IN ({', '.join('?' * len(values))})", values
        if operator not in _COMPARE:
            raise bad_parameter("q", f"Operator {operator} is not known.")
        return f"{column} {_COMPARE[operator]} ?", [_value(word, kind, options)]
    except ValueError as error:
        raise bad_parameter("q", str(error)) from error


def _plain(word: str) -> str:
    return re.sub(r"\\(.)", r"\1", word[1:-1]) if word.startswith('"') else word


def _value(word: str, kind: Kind, options: NetSuiteOptions) -> Stored:
    text = _plain(word.strip())
    return (
        _FLAGS.get(text.upper(), text) if kind is Kind.FLAG else coerce_value(text, kind, options)
    )
