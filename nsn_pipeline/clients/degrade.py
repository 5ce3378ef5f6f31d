"""What a NetSuite account does not have: read from refusals, remembered, and noted once.

Columns and tables come and go with features and role permissions (docs/facts/netsuite.md 6), and
a refusal names them in its text (4.6). Optional ones are left out of later queries; required ones
end in an error that says what to enable.
"""

import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from nsn_pipeline.clients.suiteql import available, references, tables
from nsn_pipeline.errors import (
    ConfigurationError,
    MissingColumnError,
    MissingTableError,
    RequestRefusedError,
    Where,
)
from nsn_pipeline.records.spec import Source

_UNKNOWN_COLUMN = re.compile(
    r"Unknown identifier '(?P<name>[^']+)'(?:\. Available identifiers are: \{(?P<scope>[^}]*)\})?"
)
_HIDDEN_COLUMN = re.compile(r"Field '(?P<name>[^']+)' for record '(?P<table>[^']+)' was not found")
_UNKNOWN_TABLE = re.compile(r"Invalid search type: '?(?P<name>\w+)")
_HIDDEN_TABLE = re.compile(r"Record '(?P<name>[^']+)' was not found")

CAUSES = (
    "the feature it belongs to is off, or the integration's role lacks view permission for it "
    "(NetSuite answers the same to both)"
)


class RequiredColumnError(MissingColumnError, ConfigurationError):
    """A column that must exist is not there: a permission or a feature has to be granted."""


class RequiredTableError(MissingTableError, ConfigurationError):
    """A table that must exist is not there: a permission or a feature has to be granted."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What a refusal says is missing. `column` is empty for a table, `table` when not told."""

    table: str = ""
    column: str = ""
    scope: tuple[str, ...] = ()  # tables the server looked in


def read_refusal(detail: str) -> Missing | None:
    """What a 400 of the query service says is missing; None when it is about another matter."""
    if match := _HIDDEN_COLUMN.search(detail):
        return Missing(match["table"].lower(), match["name"].rpartition(".")[2].lower())
    if match := _UNKNOWN_COLUMN.search(detail):
        scope = tuple(
            pair.rpartition("=")[2].strip().lower() for pair in (match["scope"] or "").split(",")
        )
        return Missing(column=match["name"].lower(), scope=tuple(table for table in scope if table))
    for pattern in (_UNKNOWN_TABLE, _HIDDEN_TABLE):
        if match := pattern.search(detail):
            return Missing(match["name"].lower())
    return None


class Availability:
    """What one account turned out to lack; safe to share between threads."""

    def __init__(self) -> None:
        self._missing: set[tuple[str, str]] = set()
        self._notes: list[str] = []
        self._lock = threading.Lock()

    @property
    def notes(self) -> list[str]:
        with self._lock:
            return list(self._notes)

    def note(self, text: str) -> None:
        """Keep a remark for the run's report, once."""
        with self._lock:
            if text not in self._notes:
                self._notes.append(text)

    def lacks(self, table: str, column: str) -> bool:
        return (table.lower(), column.lower()) in self._missing

    def add(self, table: str, column: str = "") -> None:
        with self._lock:
            self._missing.add((table.lower(), column.lower()))
        name = f"{table}.{column}" if column else table
        self.note(f"{name} is not available ({CAUSES}): read as empty")

    def cut(self, source: Source) -> Source:
        """`source` without what is known to be missing."""
        return available(source, self.lacks)


def suspects(source: Source, missing: Missing) -> list[str]:
    """Tables of `source` that the missing column may belong to: the refusal often names none."""
    alias, _, column = missing.column.rpartition(".")
    table_of = tables(source)
    found: list[str] = []
    expressions = [*(c.sql for c in source.columns), *source.key, source.where]
    expressions += [join.on for join in source.joins]
    for expression in expressions:
        for used_alias, identifier in references(expression):
            table = table_of.get(used_alias, "")
            named = not missing.table or table == missing.table
            if identifier == column and alias in {"", used_alias} and named and table:
                found.append(table)
    unique = list(dict.fromkeys(found))
    in_scope = [table for table in unique if not missing.scope or table in missing.scope]
    return in_scope or unique


def spares(source: Source, table_names: Iterable[str], column: str) -> bool:
    """Whether leaving this column of these tables out changes the read at all."""
    lost = {(table, column) for table in table_names}
    return available(source, lambda table, name: (table, name) in lost) != source


def required_column(table: str, column: str, where: Where | None) -> RequiredColumnError:
    text = f"{table}.{column} is needed and not available: {CAUSES}"
    return RequiredColumnError(text, name=column, where=where)


def missing_table(source: Source, table: str, where: Where | None) -> MissingTableError:
    """Plainly missing when it is the read's own table, as its reader may do without the read."""
    kind = MissingTableError if table == source.table else RequiredTableError
    return kind(f"table {table} is not available: {CAUSES}", name=table, where=where)


def refined(error: RequestRefusedError) -> RequestRefusedError:
    """The refusal of a hand-written query, named for what is missing when that is the reason."""
    missing = read_refusal(error.detail)
    if missing is None:
        return error
    text = f"{error.detail} ({CAUSES})"
    if missing.column:
        return MissingColumnError(text, name=missing.column, where=error.where)
    return MissingTableError(text, name=missing.table, where=error.where)
