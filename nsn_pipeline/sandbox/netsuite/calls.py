"""The functions SuiteQL allows, each as a small compiler; any other is refused (facts 4.5)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from nsn_pipeline.sandbox.netsuite.coercion import NULL, quoted, soft
from nsn_pipeline.sandbox.netsuite.errors import unsupported
from nsn_pipeline.sandbox.netsuite.formats import strftime_model
from nsn_pipeline.sandbox.netsuite.kinds import NUMERIC, TEMPORAL, Kind
from nsn_pipeline.sandbox.netsuite.scope import Expression, Scope

if TYPE_CHECKING:
    from nsn_pipeline.sandbox.netsuite.expressions import Expressions

Args = Sequence[Expression]
Call = Callable[["Expressions", Args], Expression]


def _number(sql: str) -> Expression:
    return Expression(sql, Kind.NUM)


def _text(sql: str) -> Expression:
    return Expression(f"NULLIF({sql}, '')", Kind.TEXT)  # no empty strings in Oracle


def _coalesce(c: "Expressions", args: Args) -> Expression:
    kind = c.coerce.common(args)
    return Expression(f"COALESCE({', '.join(c.coerce.to(a, kind) for a in args)})", kind)


def _nvl2(c: "Expressions", args: Args) -> Expression:
    kind = c.coerce.common(args[1:])
    yes, no = (c.coerce.to(a, kind) for a in args[1:])
    test = c.coerce.text(args[0]) if soft(args[0]) else args[0].sql
    return Expression(f"CASE WHEN {test} IS NOT NULL THEN {yes} ELSE {no} END", kind)


def _nullif(c: "Expressions", args: Args) -> Expression:
    left, right = c.coerce.pair(*args)
    value = replace(args[0], sql=c.coerce.text(args[0])) if soft(args[0]) else args[0]
    kind = Kind.TEXT if soft(args[0]) else value.kind
    return Expression(f"CASE WHEN {left} = {right} THEN NULL ELSE {value.sql} END", kind)


def _decode(c: "Expressions", args: Args) -> Expression:
    subject, rest = args[0], list(args[1:])
    default = rest.pop() if len(rest) % 2 else NULL
    pairs = list(zip(rest[::2], rest[1::2], strict=True))
    kind = c.coerce.common([*(result for _, result in pairs), default])
    whens: list[str] = []
    for search, result in pairs:
        left, right = c.coerce.pair(subject, search)
        whens.append(
            f"WHEN {left} IS {right} THEN {c.coerce.to(result, kind)}"
        )  # null matches null
    return Expression(f"CASE {' '.join(whens)} ELSE {c.coerce.to(default, kind)} END", kind)


def _to_char(c: "Expressions", args: Args) -> Expression:
    value = args[0]
    if len(args) == 1:
        return Expression(c.coerce.text(value), Kind.TEXT)
    model = args[1]
    if value.kind in TEMPORAL:
        wall = c.coerce.date(value)
        if model.literal is not None:
            try:
                pattern = strftime_model(model.literal)
            except ValueError as error:
                raise unsupported(str(error)) from error
            if pattern is not None:
                return Expression(f"strftime({quoted(pattern)}, {wall})", Kind.TEXT)
        return Expression(f"ns_to_char_date({wall}, {c.coerce.text(model)})", Kind.TEXT)
    if value.kind in NUMERIC:
        sql = f"ns_to_char_num({c.coerce.number(value)}, {c.coerce.text(model)})"
        return Expression(sql, Kind.TEXT)
    raise unsupported("TO_CHAR with a format takes a date or a number")


def _to_date(c: "Expressions", args: Args) -> Expression:
    model = c.coerce.text(args[1]) if len(args) > 1 else quoted(_oracle_model(c))
    if args[0].kind in TEMPORAL:
        raise unsupported("TO_DATE of a date")
    return Expression(f"ns_to_date({c.coerce.text(args[0])}, {model})", Kind.DATE)


def _oracle_model(c: "Expressions") -> str:
    preference = c.catalogue.options.date_format
    if "Mon" in preference:
        return preference.upper()
    return {"M/D/YYYY": "MM/DD/YYYY", "D/M/YYYY": "DD/MM/YYYY", "D.M.YYYY": "DD.MM.YYYY"}.get(
        preference, preference.upper()
    )


def _to_number(c: "Expressions", args: Args) -> Expression:
    return _number(c.coerce.number(args[0]))


def _sys_extract_utc(c: "Expressions", args: Args) -> Expression:
    return Expression(c.coerce.instant(args[0]), Kind.DATE)


def _trunc(c: "Expressions", args: Args) -> Expression:
    value = args[0]
    if value.kind in TEMPORAL:
        wall = c.coerce.date(value)
        if len(args) == 1:
            return Expression(f"(substr({wall}, 1, 10) || ' 00:00:00')", Kind.DATE)
        return Expression(f"ns_trunc_date({wall}, {c.coerce.text(args[1])})", Kind.DATE)
    places = c.coerce.number(args[1]) if len(args) > 1 else "'0'"
    return _number(f"ns_trunc_num({c.coerce.number(value)}, {places})")


def _round(c: "Expressions", args: Args) -> Expression:
    if args[0].kind in TEMPORAL:
        raise unsupported("ROUND of a date")
    places = c.coerce.number(args[1]) if len(args) > 1 else "'0'"
    return _number(f"ns_round({c.coerce.number(args[0])}, {places})")


def _substr(c: "Expressions", args: Args) -> Expression:
    length = c.coerce.number(args[2]) if len(args) > 2 else "'1000000000'"  # noqa: PLR2004
    sql = f"ns_substr({c.coerce.text(args[0])}, {c.coerce.number(args[1])}, {length})"
    return Expression(sql, Kind.TEXT)


def _textual(function: str) -> Call:
    return lambda c, args: _text(f"{function}({', '.join(c.coerce.text(a) for a in args)})")


def _numeric(function: str) -> Call:
    return lambda c, args: _number(f"{function}({', '.join(c.coerce.number(a) for a in args)})")


def _length(c: "Expressions", args: Args) -> Expression:
    return Expression(f"length({c.coerce.text(args[0])})", Kind.INT)


def _instr(c: "Expressions", args: Args) -> Expression:
    return Expression(f"instr({c.coerce.text(args[0])}, {c.coerce.text(args[1])})", Kind.INT)


def _replace(c: "Expressions", args: Args) -> Expression:
    text, old = c.coerce.text(args[0]), c.coerce.text(args[1])
    new = c.coerce.text(args[2]) if len(args) > 2 else "NULL"  # noqa: PLR2004
    # Oracle: replacing nothing changes nothing, replacing by null removes.
    sql = (
        f"CASE WHEN {old} IS NULL THEN {text} ELSE replace({text}, {old}, COALESCE({new}, '')) END"
    )
    return _text(sql)


def _concat(c: "Expressions", args: Args) -> Expression:
    parts = " || ".join(f"COALESCE({c.coerce.text(a)}, '')" for a in args)
    return _text(f"({parts})")


def _add_months(c: "Expressions", args: Args) -> Expression:
    sql = f"ns_add_months({c.coerce.date(args[0])}, {c.coerce.number(args[1])})"
    return Expression(sql, Kind.DATE)


def _last_day(c: "Expressions", args: Args) -> Expression:
    return Expression(f"ns_last_day({c.coerce.date(args[0])})", Kind.DATE)


def _extreme(operator: str) -> Call:
    def build(c: "Expressions", args: Args) -> Expression:
        kind = c.coerce.common(args)
        result = Expression(c.coerce.to(args[0], kind), kind)
        for item in args[1:]:
            left, right = c.coerce.pair(result, Expression(c.coerce.to(item, kind), kind))
            plain, other = result.sql, c.coerce.to(item, kind)
            # Oracle: null as soon as one argument is.
            sql = (
                f"CASE WHEN {plain} IS NULL OR {other} IS NULL THEN NULL "
                f"WHEN {left} {operator} {right} THEN {plain} ELSE {other} END"
            )
            result = Expression(sql, kind)
        return result

    return build


CALLS: dict[str, tuple[int, int, Call]] = {
    "NVL": (2, 2, _coalesce), "COALESCE": (2, 99, _coalesce), "NVL2": (3, 3, _nvl2),
    "NULLIF": (2, 2, _nullif), "DECODE": (3, 255, _decode), "TO_CHAR": (1, 2, _to_char),
    "TO_DATE": (1, 2, _to_date), "TO_TIMESTAMP": (1, 2, _to_date), "TO_NUMBER": (1, 1, _to_number),
    "SYS_EXTRACT_UTC": (1, 1, _sys_extract_utc), "TRUNC": (1, 2, _trunc), "ROUND": (1, 2, _round),
    "SUBSTR": (2, 3, _substr), "UPPER": (1, 1, _textual("ns_upper")),
    "LOWER": (1, 1, _textual("ns_lower")), "INITCAP": (1, 1, _textual("ns_initcap")),
    "TRIM": (1, 1, _textual("trim")), "LTRIM": (1, 2, _textual("ltrim")),
    "RTRIM": (1, 2, _textual("rtrim")), "LENGTH": (1, 1, _length), "INSTR": (2, 2, _instr),
    "REPLACE": (2, 3, _replace), "CONCAT": (2, 2, _concat), "ABS": (1, 1, _numeric("ns_abs")),
    "MOD": (2, 2, _numeric("ns_mod")), "CEIL": (1, 1, _numeric("ns_ceil")),
    "FLOOR": (1, 1, _numeric("ns_floor")), "SIGN": (1, 1, _numeric("ns_sign")),
    "ADD_MONTHS": (2, 2, _add_months), "LAST_DAY": (1, 1, _last_day),
    "GREATEST": (2, 99, _extreme(">")), "LEAST": (2, 99, _extreme("<")),
}  # fmt: skip
AGGREGATES = frozenset({"COUNT", "SUM", "MIN", "MAX", "AVG"})


def aggregate(c: "Expressions", name: str, args: Sequence[exp.Expr], scope: Scope) -> Expression:
    """COUNT, SUM, MIN, MAX, AVG; sums are exact."""
    if scope.in_aggregate or (scope.clause == "where" and scope.grouped is None) or len(args) != 1:
        raise unsupported(f"{name} is not allowed here")
    scope.saw_aggregate = True
    node, distinct = args[0], ""
    if isinstance(node, exp.Star):
        if name != "COUNT":
            raise unsupported(f"{name}(*)")
        return Expression("COUNT(*)", Kind.INT)
    if isinstance(node, exp.Distinct):
        if len(node.expressions) != 1:
            raise unsupported("DISTINCT of several values")
        node, distinct = node.expressions[0], "DISTINCT "
    scope.in_aggregate = True
    try:
        item = c.expression(node, scope)
    finally:
        scope.in_aggregate = False
    return _aggregated(c, name, item, distinct)


def _aggregated(c: "Expressions", name: str, item: Expression, distinct: str) -> Expression:
    sql = c.coerce.text(item) if soft(item) else item.sql
    if name == "COUNT":
        return Expression(f"COUNT({distinct}{sql})", Kind.INT)
    if name in {"MIN", "MAX"}:
        collate = " COLLATE DEC" if item.kind is Kind.NUM else ""
        return Expression(
            f"{name}({distinct}{sql}{collate})", Kind.TEXT if soft(item) else item.kind
        )
    if name == "SUM" and item.kind is Kind.INT:
        return Expression(f"SUM({distinct}{sql})", Kind.INT)
    function = {"SUM": "ns_sum", "AVG": "ns_avg"}[name]
    return _number(f"{function}({distinct}{c.coerce.number(item)})")


def builtin(c: "Expressions", name: str, args: Sequence[exp.Expr], scope: Scope) -> Expression:
    """BUILTIN.DF: the text a user sees; BUILTIN.CF: the value as a filter compares it."""
    if len(args) != 1 or not isinstance(args[0], exp.Column):
        raise unsupported(f"BUILTIN.{name} takes one column")
    item = c.plain_column(args[0], scope)
    if item.column is None or item.alias is None or item.table is None:
        raise unsupported(f"BUILTIN.{name} takes a column of a table")
    if name == "CF":
        return c.status_as_filtered(item, scope)
    if name != "DF":
        raise unsupported(f"BUILTIN.{name} is not simulated")
    column = item.column
    if item.table == "transaction" and column.name == "status":
        kind = scope.sibling(item.alias, "type")
        return Expression(f"ns_status({kind}, {item.sql})", Kind.TEXT)
    if item.table == "transaction" and column.name in {"type", "approvalstatus"}:
        return Expression(f"ns_label({quoted(column.name)}, {item.sql})", Kind.TEXT)
    target = c.catalogue.tables.get(column.ref or "")
    if target is None or target.display is None:
        return Expression(c.coerce.text(item), Kind.TEXT)
    display = target.display.format(r="ns_df")
    if column.multi:
        ids = f"', ' || {item.sql} || ','"
        sql = (
            f"(SELECT group_concat({display}, ', ') FROM \"{target.name}\" ns_df "
            f"WHERE {ids} LIKE '%, ' || ns_df.id || ',%')"
        )
    else:
        sql = f'(SELECT {display} FROM "{target.name}" ns_df WHERE ns_df.id = {item.sql})'
    return Expression(sql, Kind.TEXT)
