"""ROWNUM in WHERE: a limit that Oracle applies before grouping and ordering (facts 4.5)."""

from sqlglot import exp

from nsn_pipeline.sandbox.netsuite.errors import unsupported


def conjuncts(node: exp.Expr) -> list[exp.Expr]:
    """The conditions that AND joins, conditions on ROWNUM freed of parentheses."""
    if isinstance(node, exp.And):
        return [part for term in node.flatten(unnest=False) for part in conjuncts(term)]
    if isinstance(node, exp.Paren) and isinstance(node.this, exp.And):
        return conjuncts(node.this)
    if isinstance(node, exp.Paren) and rownum_limit(node.this) is not None:
        return [node.this]
    return [node]


def is_rownum(node: exp.Expr | None) -> bool:
    """Whether `node` is the pseudo column."""
    return isinstance(node, exp.Column) and not node.table and node.name.upper() == "ROWNUM"


def rownum_limit(node: exp.Expr) -> int | None:  # noqa: PLR0911 - one per comparison
    """How many rows a condition on ROWNUM lets through, or None when it is no such condition.

    ROWNUM counts rows as they pass, so `ROWNUM > 1` and `ROWNUM = 2` let none through.
    """
    if isinstance(node, exp.Between) and is_rownum(node.this):
        low, high = _number(node.args["low"]), _number(node.args["high"])
        return max(high, 0) if low <= 1 else 0
    if not isinstance(node, exp.LTE | exp.LT | exp.EQ | exp.GT | exp.GTE):
        return None
    if is_rownum(node.expression):
        raise unsupported("ROWNUM stands on the left")
    if not is_rownum(node.this):
        return None
    bound = _number(node.expression)
    match node:
        case exp.LTE():
            return max(bound, 0)
        case exp.LT():
            return max(bound - 1, 0)
        case exp.EQ():
            return 1 if bound == 1 else 0
        case exp.GTE():
            return None if bound <= 1 else 0
        case _:
            return None if bound < 1 else 0


def _number(node: exp.Expr) -> int:
    if isinstance(node, exp.Literal) and not node.is_string and node.name.isdigit():
        return int(node.name)
    raise unsupported("ROWNUM is compared with a whole number")
