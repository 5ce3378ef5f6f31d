"""The encoded-query language: text in, clauses out (docs/facts/servicenow.md 2.2).

There is no escaping: a `^` in a value starts the next term, whatever its author meant.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache

FIELD = re.compile(r"[a-z0-9_.]+")
OPERATORS = (
    "=", "!=", "<", "<=", ">", ">=",
    "IN", "NOT IN", "LIKE", "NOT LIKE", "CONTAINS", "DOES NOT CONTAIN", "STARTSWITH", "ENDSWITH",
    "BETWEEN", "ISEMPTY", "ISNOTEMPTY", "EMPTYSTRING", "ANYTHING", "SAMEAS", "NSAMEAS", "ON",
    "INSTANCEOF",
)  # fmt: skip
LONGEST_FIRST = tuple(sorted(OPERATORS, key=len, reverse=True))
SYNONYMS = {"CONTAINS": "LIKE", "DOES NOT CONTAIN": "NOT LIKE", "ON": "BETWEEN"}
JOIN = re.compile(r"JOIN(?P<own>[\w.]+)=(?P<table>\w+)\.(?P<column>\w+)!(?P<rest>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison. An empty operator means that the term could not be read."""

    field: str
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class Related:
    """A condition on records of another table: JOIN and RLQUERY, as PySNC writes them."""

    own_field: str
    table: str
    column: str
    minimum: int
    maximum: int | None
    query: str


Clause = tuple[Condition | Related, ...]  # alternatives, OR-ed


@dataclass(frozen=True, slots=True)
class EncodedQuery:
    """Groups are OR-ed; the clauses of a group are AND-ed; a clause is a tuple of alternatives."""

    groups: tuple[tuple[Clause, ...], ...]
    order: tuple[tuple[str, bool], ...] = field(default=())  # (field, descending)


@lru_cache(maxsize=512)
def parse(text: str) -> EncodedQuery:  # noqa: C901  # one branch per kind of term
    groups: list[list[list[Condition | Related]]] = [[]]
    order: list[tuple[str, bool]] = []
    terms = text.split("^")
    position = 0
    while position < len(terms):
        term = terms[position]
        position += 1
        if term.startswith("ORDERBYDESC"):
            order.append((term[11:], True))
        elif term.startswith("ORDERBY"):
            order.append((term[7:], False))
        elif term.startswith("RLQUERY"):
            end = _end_of_related(terms, position)
            groups[-1].append([_related(term, terms[position:end])])
            position = end + 1
        elif term.startswith("JOIN"):
            rest = [t for t in terms[position - 1 :] if not t.startswith("ORDERBY")]
            groups[-1].append([_join("^".join(rest))])
            # everything after the `!` belongs to the joined table, save the order of the result
            terms[position:] = [t for t in terms[position:] if t.startswith("ORDERBY")]
        elif term.startswith("NQ"):
            groups.append([])
            if len(term) > 2:  # noqa: PLR2004  # the two letters themselves
                groups[-1].append([condition(term[2:])])
        elif term.startswith("OR"):
            if groups[-1]:
                groups[-1][-1].append(condition(term[2:]))
            else:
                groups[-1].append([condition(term[2:])])
        elif term.startswith("EQ") or not term:
            continue
        else:
            groups[-1].append([condition(term)])
    frozen = tuple(tuple(tuple(clause) for clause in group) for group in groups)
    return EncodedQuery(frozen, tuple(order))


def condition(term: str) -> Condition:
    match = FIELD.match(term)
    if match is None:
        return Condition(term, "", "")
    name, rest = match[0], term[match.end() :]
    for operator in LONGEST_FIRST:
        if rest.startswith(operator):
            return _special(name, SYNONYMS.get(operator, operator), rest, operator)
    return Condition(name, "", "")


def _special(name: str, meaning: str, rest: str, operator: str) -> Condition:
    value = rest[len(operator) :]
    if operator == "ON":  # ONToday@start@end: the first part is only a label
        value = value.partition("@")[2]
    return Condition(name, meaning, value)


def _end_of_related(terms: list[str], start: int) -> int:
    for position in range(start, len(terms)):
        if terms[position].startswith("ENDRLQUERY"):
            return position
    return len(terms)


def _related(term: str, inner: list[str]) -> Condition | Related:
    """`RLQUERYtable.column,>=1[,m2m]` and the terms up to `ENDRLQUERY`."""
    parts = term[7:].split(",")
    table, _, column = parts[0].partition(".")
    match = re.fullmatch(r"(>=|<=|=|>|<)(\d+)", parts[1] if len(parts) > 1 else "")
    if not match or not column:
        return Condition(term, "", "")
    number = int(match[2])
    low, high = {
        ">=": (number, None),
        "<=": (0, number),
        "=": (number, number),
        ">": (number + 1, None),
        "<": (0, number - 1),
    }[match[1]]
    return Related("sys_id", table, column, low, high, "^".join(inner))


def _join(text: str) -> Condition | Related:
    match = JOIN.fullmatch(text)
    if match is None:
        return Condition(text, "", "")
    own = match["own"].partition(".")[2]
    return Related(own, match["table"], match["column"], 1, None, match["rest"])
