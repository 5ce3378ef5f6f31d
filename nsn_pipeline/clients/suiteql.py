"""Builds SuiteQL: identifiers are checked, values are bound or quoted, reads are keyset pages.

Pure. The dialect's limits that shape this module: no LIMIT clause, at most 1,000 values in an IN
list, dates as TO_DATE text (docs/facts/netsuite.md 4.4, 4.5).
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.records.spec import Column, Join, Source

MAX_IN = 900  # below the limit of 1,000

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_ALIAS_USE = re.compile(r"\b([a-z][a-z0-9_]*)\.", re.IGNORECASE)
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)

# Reserved in Oracle or in SQL-92, and SuiteQL takes either syntax: as aliases these are asked for
# with a suffix and renamed on arrival.
_RESERVED_WORDS = """
    access add all alter and any as asc audit between by char check cluster column comment compress
    connect create current date decimal default delete desc distinct drop else exclusive exists file
    float for from grant group having identified immediate in increment index initial insert integer
    intersect into is level like lock long maxextents minus mode modify nocompress not nowait null
    number of offline on online option or order prior privileges public raw rename resource revoke
    row rowid rownum rows select session set share size smallint start successful synonym sysdate
    table then to trigger uid union unique update user validate values varchar varchar2 view
    whenever where with
    case cast coalesce day double end first hour interval key language last left match minute month
    numeric position precision real right schema second time timestamp transaction year zone
"""
_RESERVED = frozenset(_RESERVED_WORDS.split())


class Condition(NamedTuple):
    """A WHERE fragment and its bound values, in order; unpacks as `where, params`."""

    where: str
    params: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Statement:
    """SuiteQL text, its bound values, and the canonical name behind each answered column."""

    text: str
    params: tuple[str, ...]
    names: dict[str, str]
    key: tuple[str, ...]  # canonical names


def select(
    source: Source,
    *,
    where: str = "",
    params: Sequence[str] = (),
    after: Sequence[str] | None = None,
    columns: Collection[str] | None = None,
) -> Statement:
    """Build one keyset page of `source`: rows whose key lies beyond `after`, in key order.

    `columns` limits what is read; the key is always read, as the next page starts from it.
    """
    chosen = _chosen(source, columns)
    key = key_names(source)
    conditions = [Condition(source.where), Condition(where, tuple(params))]
    if after is not None:
        conditions.append(beyond(source.key, after))
    condition = all_of(conditions)
    names = {_alias(column.name): column.name for column in chosen}
    fields = ", ".join(f"{_expression(c.sql)} AS {_alias(c.name)}" for c in chosen)
    # Every part below is a checked identifier or expression of ours; values are bound.
    text = f"SELECT {fields} FROM {_identifier(source.table)} {_identifier(source.alias)}"  # noqa: S608
    for join in source.joins:
        word = "LEFT JOIN" if join.optional else "JOIN"
        on = _expression(join.on)
        text += f" {word} {_identifier(join.table)} {_identifier(join.alias)} ON {on}"
    if condition.where:
        text += f" WHERE {condition.where}"
    text += f" ORDER BY {', '.join(_expression(expression) for expression in source.key)}"
    if text.count("?") != len(condition.params) + _literal_marks(text):
        raise ConfigurationError("a SuiteQL condition and its values do not match in number")
    return Statement(text, condition.params, names, key)


def key_names(source: Source) -> tuple[str, ...]:
    """Canonical names of the key columns, in key order."""
    by_sql = {column.sql: column.name for column in source.columns}
    missing = [expression for expression in source.key if expression not in by_sql]
    if missing or not source.key:
        raise ConfigurationError(
            f"{source.table}: every key expression must also be a selected column, "
            f"missing: {', '.join(missing) or 'the whole key'}"
        )
    return tuple(by_sql[expression] for expression in source.key)


def beyond(key: Sequence[str], after: Sequence[str]) -> Condition:
    """Rows that sort behind `after`, written out because SuiteQL compares no tuples."""
    branches: list[Condition] = []
    for depth in range(len(key)):
        same = [_compare(key[i], "=", after[i]) for i in range(depth)]
        branches.append(all_of([*same, _compare(key[depth], ">", after[depth])]))
    return any_of(branches)


def in_list(expression: str, values: Sequence[str], *, text: bool = False) -> Condition:
    """`expression` is one of `values`, at most `MAX_IN`; `text` for a column of codes, not ids."""
    if not 0 < len(values) <= MAX_IN:
        raise ValueError(f"an IN list takes 1 to {MAX_IN} values, not {len(values)}")
    checked = _expression(expression)
    if not text and all(_INTEGER.fullmatch(value) for value in values):
        return Condition(f"{checked} IN ({', '.join(values)})")
    return Condition(f"{checked} IN ({', '.join('?' * len(values))})", tuple(values))


def changed_between(stamp_sql: str, start: datetime, end: datetime) -> Condition:
    """Rows whose change stamp lies in `[start, end)`, compared in exact UTC."""
    if _utc(start) >= _utc(end):
        raise ValueError("a window must end after it starts")
    return all_of([changed_since(stamp_sql, start), _changed_before(stamp_sql, end)])


def changed_since(stamp_sql: str, start: datetime) -> Condition:
    """Rows changed at `start` or later.

    The raw column comes first, with a day's margin for whatever zone the connection is in: only the
    raw column can use NetSuite's index (docs/facts/netsuite.md 4.4).
    """
    return _bounds(stamp_sql, ">=", _utc(start) - _DAY, _utc(start))


def _changed_before(stamp_sql: str, end: datetime) -> Condition:
    return _bounds(stamp_sql, "<", _utc(end) + _DAY, _utc(end))


def all_of(conditions: Sequence[Condition]) -> Condition:
    return _joined(" AND ", conditions)


def any_of(conditions: Sequence[Condition]) -> Condition:
    return _joined(" OR ", conditions)


def quote(text: str) -> str:
    """A SuiteQL text literal; the quote is its only special character."""
    return "'" + text.replace("'", "''") + "'"


def available(source: Source, is_missing: Callable[[str, str], bool]) -> Source:
    """Cut `source` down to what the account has.

    `is_missing(table, identifier)` tells of a column, and with identifier "" of a whole table. Only
    optional columns and joins go; a column that needs a dropped join goes with it.
    """
    joins: list[Join] = []
    gone: set[str] = set()
    for join in source.joins:
        dangling = gone & set(aliases_in(join.on))
        if join.optional and (is_missing(join.table, "") or dangling):
            gone.add(join.alias)
        else:
            joins.append(join)
    columns = tuple(
        column
        for column in source.columns
        if not (column.optional and _is_gone(column, source, gone, is_missing))
    )
    if len(columns) == len(source.columns) and len(joins) == len(source.joins):
        return source
    return replace(source, columns=columns, joins=tuple(joins))


def tables(source: Source) -> dict[str, str]:
    """Table behind each alias."""
    return {source.alias: source.table} | {join.alias: join.table for join in source.joins}


def aliases_in(sql: str) -> Iterator[str]:
    yield from (match[1] for match in _ALIAS_USE.finditer(_without_literals(sql)))


def uses(sql: str, alias: str, identifier: str) -> bool:
    """Whether the expression reads `alias.identifier`."""
    pattern = rf"\b{re.escape(alias)}\.{re.escape(identifier)}\b"
    return re.search(pattern, _without_literals(sql), re.IGNORECASE) is not None


def probe(table: str, identifier: str = "") -> str:
    """The cheapest read that tells whether a table, or one of its columns, is there."""
    column = f"x.{_identifier(identifier)}" if identifier else "COUNT(*)"
    return f"SELECT {column} AS probed FROM {_identifier(table)} x WHERE ROWNUM <= 1"  # noqa: S608


def _is_gone(
    column: Column, source: Source, gone: set[str], is_missing: Callable[[str, str], bool]
) -> bool:
    table_of = tables(source)
    for alias, identifier in references(column.sql):
        if alias in gone or is_missing(table_of.get(alias, ""), identifier):
            return True
    return False


def references(sql: str) -> Iterator[tuple[str, str]]:
    """Every `alias.identifier` an expression reads, lower case."""
    pattern = r"\b([a-z][a-z0-9_]*)\.([a-z][a-z0-9_]*)\b(?!\s*\()"
    for match in re.finditer(pattern, _without_literals(sql), re.IGNORECASE):
        yield match[1].lower(), match[2].lower()


def _chosen(source: Source, columns: Collection[str] | None) -> list[Column]:
    if columns is None:
        return list(source.columns)
    wanted = {*columns, *key_names(source)}
    unknown = wanted - {column.name for column in source.columns}
    if unknown:
        raise ConfigurationError(f"{source.table} has no columns {', '.join(sorted(unknown))}")
    return [column for column in source.columns if column.name in wanted]


def _compare(expression: str, operator: str, value: str) -> Condition:
    """Ids are written out: a bound text would make NetSuite convert one side of a comparison."""
    if _INTEGER.fullmatch(value):
        return Condition(f"{_expression(expression)} {operator} {value}")
    return Condition(f"{_expression(expression)} {operator} ?", (value,))


def _bounds(stamp_sql: str, operator: str, raw: datetime, exact: datetime) -> Condition:
    stamp = _expression(stamp_sql)
    return Condition(
        f"{stamp} {operator} {_instant(raw)} "
        f"AND SYS_EXTRACT_UTC({stamp}) {operator} {_instant(exact)}"
    )


def _instant(moment: datetime) -> str:
    return f"TO_DATE('{moment:%Y-%m-%d %H:%M:%S}','YYYY-MM-DD HH24:MI:SS')"


def _utc(moment: datetime) -> datetime:
    """Whole seconds, rounded up: stamps have no fraction, so windows still meet without a gap."""
    if moment.tzinfo is None:
        raise ValueError("a window bound must be an aware instant")
    exact = moment.astimezone(UTC)
    whole = exact.replace(microsecond=0)
    return whole if whole == exact else whole + _SECOND


def _joined(word: str, conditions: Sequence[Condition]) -> Condition:
    present = [condition for condition in conditions if condition.where]
    if len(present) == 1:
        return present[0]
    text = word.join(f"({condition.where})" for condition in present)
    return Condition(text, tuple(value for condition in present for value in condition.params))


def _alias(name: str) -> str:
    identifier = _identifier(name).lower()
    return f"{identifier}_" if identifier in _RESERVED else identifier


def _identifier(name: str) -> str:
    if _IDENTIFIER.fullmatch(name) is None:
        raise ConfigurationError(f"{name!r} is not a SuiteQL identifier")
    return name


def _expression(sql: str) -> str:
    """Refuse what could end the expression it stands in: our own tables are trusted no further."""
    bare = _without_literals(sql)
    depth = 0
    for character in bare:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            break
    if depth != 0 or "'" in bare or any(mark in bare for mark in (";", "--", "/*", "?")):
        raise ConfigurationError(f"{sql!r} is not a SuiteQL expression")
    return sql


def _without_literals(sql: str) -> str:
    return re.sub(r"'(?:[^']|'')*'", "", sql)


def _literal_marks(text: str) -> int:
    return text.count("?") - _without_literals(text).count("?")
