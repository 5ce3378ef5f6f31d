"""Value expressions and conditions of SuiteQL, compiled to SQLite with Oracle's meaning.

Every node has to be known here: what is not is refused, so that nothing is answered wrongly in
silence.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from nsn_pipeline.sandbox.netsuite import calls
from nsn_pipeline.sandbox.netsuite.coercion import NULL, Coercion, quoted, soft
from nsn_pipeline.sandbox.netsuite.errors import unsupported
from nsn_pipeline.sandbox.netsuite.kinds import NUMERIC, TEMPORAL, Kind, decimal_text
from nsn_pipeline.sandbox.netsuite.parsing import LIST_MARK, MAX_IN_VALUES, PARAM_MARK
from nsn_pipeline.sandbox.netsuite.scope import Bindings, Catalogue, Expression, Scope

if TYPE_CHECKING:
    from nsn_pipeline.sandbox.netsuite.statements import Select

_COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<=",
}  # fmt: skip
_MAX_INT = 2**63


class Expressions:
    """Compiles expressions; `subquery` is how a nested SELECT gets compiled."""

    def __init__(
        self,
        catalogue: Catalogue,
        bindings: Bindings,
        subquery: Callable[..., "Select"],
    ) -> None:
        self.catalogue = catalogue
        self.bindings = bindings
        self.coerce = Coercion(catalogue.options, bindings)
        self.subquery = subquery

    # -- values --------------------------------------------------------------------------------

    def expression(self, node: exp.Expr, scope: Scope) -> Expression:
        """A value; in a grouped SELECT it must be grouped by, aggregated or constant."""
        if (
            scope.grouped is not None
            and not scope.in_aggregate
            and not isinstance(node, exp.Literal)
        ):
            grouped, scope.grouped = scope.grouped, None
            try:
                whole = self._grouped_value(node, scope)
            finally:
                scope.grouped = grouped
            if whole is not None and whole.sql in grouped:
                return whole
        handler = _HANDLERS.get(type(node))
        if handler is None:
            raise unsupported(f"{type(node).__name__} is not simulated")
        return handler(self, node, scope)

    def _grouped_value(self, node: exp.Expr, scope: Scope) -> Expression | None:
        """`node` compiled as GROUP BY does it, or None when it cannot stand there."""
        if any(_is_aggregate(part) for part in node.find_all(exp.Anonymous)):
            return None
        clause, scope.clause = scope.clause, "select"
        try:
            return self.expression(node, scope)
        finally:
            scope.clause = clause

    def column_value(self, node: exp.Column, scope: Scope) -> Expression:
        name = node.name.upper()
        if not node.table and name == "SYSDATE":
            return Expression(":now", Kind.DATE)
        if not node.table and name == "CURRENT_DATE":
            if not self.catalogue.options.allow_current_date:
                raise unsupported("CURRENT_DATE is reported as unsupported")
            return Expression("(substr(:now, 1, 10) || ' 00:00:00')", Kind.DATE)
        if not node.table and name == "ROWNUM":
            if scope.staged is None:
                raise unsupported("ROWNUM is only understood as a limit in WHERE")
            scope.staged["rownum"] = "ROW_NUMBER() OVER ()"
            return Expression('ns_rows."rownum"', Kind.INT)
        found = self.plain_column(node, scope)
        self._refuse_ungrouped(node, found, scope)
        if scope.clause == "where":
            return self.status_as_filtered(found, scope)
        return found

    @staticmethod
    def _refuse_ungrouped(node: exp.Column, found: Expression, scope: Scope) -> None:
        owner, _ = scope.resolve(node.name.lower(), node.table.lower() or None)
        if owner.grouped is None or owner.in_aggregate or found.sql in owner.grouped:
            return
        raise unsupported(f"{node.name} is neither grouped by nor aggregated")

    @staticmethod
    def plain_column(node: exp.Column, scope: Scope) -> Expression:
        """A column as it is stored."""
        if isinstance(node.this, exp.Star) or node.args.get("db") or node.args.get("join_mark"):
            raise unsupported("not a plain column")
        return scope.column(node.name.lower(), node.table.lower() or None)

    def status_as_filtered(self, item: Expression, scope: Scope) -> Expression:
        """`transaction.status` compares as 'PurchOrd:B' in some accounts (facts 6.2)."""
        if (
            item.table != "transaction"
            or item.column is None
            or item.column.name != "status"
            or item.alias is None
            or self.catalogue.options.status_filter != "prefixed"
        ):
            return item
        kind = scope.sibling(item.alias, "type")
        return replace(item, sql=f"({kind} || ':' || {item.sql})", column=None)

    def literal_value(self, node: exp.Literal, scope: Scope) -> Expression:
        del scope
        text = str(node.this)
        if node.is_string:
            return Expression(quoted(text), Kind.TEXT, literal=text) if text else NULL
        try:
            value = decimal_text(text)
        except ValueError as error:
            raise unsupported(str(error)) from error
        if "." not in value and int(value) < _MAX_INT:
            return Expression(value, Kind.INT)
        return Expression(quoted(value), Kind.NUM)

    def case_value(self, node: exp.Case, scope: Scope) -> Expression:
        subject = self.expression(node.this, scope) if node.this else None
        tests: list[str] = []
        for branch in node.args["ifs"]:
            if subject is None:
                tests.append(self.condition(branch.this, scope))
            else:
                left, right = self.coerce.pair(subject, self.expression(branch.this, scope))
                tests.append(f"{left} = {right}")
        results = [self.expression(branch.args["true"], scope) for branch in node.args["ifs"]]
        default = node.args.get("default")
        otherwise = self.expression(default, scope) if default else NULL
        kind = self.coerce.common([*results, otherwise])
        whens = " ".join(
            f"WHEN {test} THEN {self.coerce.to(result, kind)}"
            for test, result in zip(tests, results, strict=True)
        )
        return Expression(f"CASE {whens} ELSE {self.coerce.to(otherwise, kind)} END", kind)

    def concat_value(self, node: exp.DPipe, scope: Scope) -> Expression:
        sides = (self.expression(node.this, scope), self.expression(node.expression, scope))
        left, right = (f"COALESCE({self.coerce.text(side)}, '')" for side in sides)
        return Expression(f"NULLIF({left} || {right}, '')", Kind.TEXT)  # Oracle: null adds nothing

    def negative_value(self, node: exp.Neg, scope: Scope) -> Expression:
        item = self.expression(node.this, scope)
        if item.kind is Kind.INT:
            return Expression(f"(-{item.sql})", Kind.INT)
        return Expression(f"ns_sub('0', {self.coerce.number(item)})", Kind.NUM)

    def arithmetic_value(self, node: exp.Binary, scope: Scope) -> Expression:
        left, right = self.expression(node.this, scope), self.expression(node.expression, scope)
        if left.kind in TEMPORAL or right.kind in TEMPORAL:
            return self._date_arithmetic(node, left, right)
        if left.literal is not None or right.literal is not None:
            raise unsupported("arithmetic on text; || concatenates")
        if any(side.kind not in NUMERIC | {Kind.NULL, Kind.PARAM} for side in (left, right)):
            raise unsupported("arithmetic on text; || concatenates")
        if left.kind is right.kind is Kind.INT and not isinstance(node, exp.Div):
            sign = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}[type(node)]
            return Expression(f"({left.sql} {sign} {right.sql})", Kind.INT)
        name = {exp.Add: "ns_add", exp.Sub: "ns_sub", exp.Mul: "ns_mul", exp.Div: "ns_div"}
        sides = f"{self.coerce.number(left)}, {self.coerce.number(right)}"
        return Expression(f"{name[type(node)]}({sides})", Kind.NUM)

    def _date_arithmetic(self, node: exp.Binary, left: Expression, right: Expression) -> Expression:
        if isinstance(node, exp.Sub) and left.kind in TEMPORAL and right.kind in TEMPORAL:
            sides = f"{self.coerce.date(left)}, {self.coerce.date(right)}"
            return Expression(f"ns_days_between({sides})", Kind.NUM)
        if isinstance(node, exp.Add) and left.kind not in TEMPORAL:
            left, right = right, left
        if not isinstance(node, exp.Add | exp.Sub) or left.kind not in TEMPORAL:
            raise unsupported("no such arithmetic on dates")
        days = self.coerce.number(right)
        if isinstance(node, exp.Sub):
            days = f"ns_sub('0', {days})"
        return Expression(f"ns_add_days({self.coerce.date(left)}, {days})", Kind.DATE)

    def call_value(self, node: exp.Anonymous, scope: Scope) -> Expression:
        name = str(node.this).upper()
        if name == PARAM_MARK:
            return Expression("?", Kind.PARAM, param=int(node.expressions[0].name))
        if name in calls.AGGREGATES:
            return calls.aggregate(self, name, node.expressions, scope)
        if name not in calls.CALLS:
            raise unsupported(f"function {name} is not on the list")
        low, high, build = calls.CALLS[name]
        if not low <= len(node.expressions) <= high:
            raise unsupported(f"{name} takes {low} to {high} arguments")
        return build(self, [self.expression(argument, scope) for argument in node.expressions])

    def dot_value(self, node: exp.Dot, scope: Scope) -> Expression:
        call = node.expression
        if node.this.name.upper() != "BUILTIN" or not isinstance(call, exp.Anonymous):
            raise unsupported("only BUILTIN functions are qualified")
        return calls.builtin(self, str(call.this).upper(), call.expressions, scope)

    def scalar_subquery_value(self, node: exp.Subquery, scope: Scope) -> Expression:
        query = self.subquery(node.this, scope)
        if len(query.outputs) != 1:
            raise unsupported("a subquery used as a value has one column")
        # ns_one refuses a second row, as Oracle does; SQLite would take the first in silence.
        sql = f'(SELECT ns_one("{query.outputs[0].name}") FROM ({query.sql}))'
        return Expression(sql, query.outputs[0].kind)

    # -- conditions ----------------------------------------------------------------------------

    def condition(self, node: exp.Expr, scope: Scope) -> str:  # noqa: PLR0911 - one per node
        """A condition; Oracle has no boolean values, so nothing else may stand here."""
        match node:
            case exp.And() | exp.Or():
                word = "AND" if isinstance(node, exp.And) else "OR"
                # Flat, as keyset predicates and pair lists can be hundreds of terms long.
                terms = [self.condition(term, scope) for term in node.flatten(unnest=False)]
                return f"({f' {word} '.join(terms)})"
            case exp.Not():
                return f"NOT ({self.condition(node.this, scope)})"
            case exp.Paren():
                return f"({self.condition(node.this, scope)})"
            case exp.Between():
                return self._between(node, scope)
            case exp.In():
                return self._membership(node, scope)
            case exp.Is():
                return self._is_null(node, scope)
            case exp.Exists():
                return f"EXISTS ({self.subquery(node.this, scope, existence=True).sql})"
            case exp.Like() | exp.Escape():
                return self._like(node, scope)
            case _ if type(node) in _COMPARISONS:
                left, right = self.coerce.pair(
                    self.expression(node.this, scope),
                    self.expression(node.args["expression"], scope),
                )
                return f"{left} {_COMPARISONS[type(node)]} {right}"
            case _:
                raise unsupported(f"{type(node).__name__} is no condition")

    def _between(self, node: exp.Between, scope: Scope) -> str:
        if node.args.get("symmetric"):
            raise unsupported("BETWEEN SYMMETRIC")
        item = self.expression(node.this, scope)
        low = self.coerce.pair(item, self.expression(node.args["low"], scope))
        high = self.coerce.pair(item, self.expression(node.args["high"], scope))
        return f"({low[0]} >= {low[1]} AND {high[0]} <= {high[1]})"

    def _membership(self, node: exp.In, scope: Scope) -> str:
        item = self.expression(node.this, scope)
        if node.args.get("query") is not None:
            return self._in_subquery(item, node.args["query"], scope)
        values = node.expressions
        if not values or node.args.get("unnest") or node.args.get("field"):
            raise unsupported("IN takes values or a subquery")
        if len(values) > MAX_IN_VALUES:
            raise unsupported("more than 1000 values in one IN")
        first = values[0]
        if isinstance(first, exp.Anonymous) and str(first.this).upper() == LIST_MARK:
            kind = Kind.TEXT if soft(item) else item.kind
            slot = self.bindings.list_slot(int(first.expressions[0].name), kind)
            left = self.coerce.to(item, kind) + (" COLLATE DEC" if kind is Kind.NUM else "")
            return f"{left} IN (SELECT value FROM json_each({slot}))"
        return self._in_values(item, [self.expression(value, scope) for value in values])

    def _in_values(self, item: Expression, values: list[Expression]) -> str:
        pairs = [self.coerce.pair(item, value) for value in values]
        if len({left for left, _ in pairs}) == 1:
            return f"{pairs[0][0]} IN ({', '.join(right for _, right in pairs)})"
        return "(" + " OR ".join(f"{left} = {right}" for left, right in pairs) + ")"

    def _in_subquery(self, item: Expression, node: exp.Expr, scope: Scope) -> str:
        query = self.subquery(node.this if isinstance(node, exp.Subquery) else node, scope)
        if len(query.outputs) != 1:
            raise unsupported("IN takes a subquery of one column")
        column = Expression(f'ns_in."{query.outputs[0].name}"', query.outputs[0].kind)
        left, right = self.coerce.pair(item, column)
        if right == column.sql:
            return f"{left} IN ({query.sql})"
        return f"{left} IN (SELECT {right} FROM ({query.sql}) ns_in)"

    def _is_null(self, node: exp.Is, scope: Scope) -> str:
        if not isinstance(node.expression, exp.Null):
            raise unsupported("IS takes NULL")
        item = self.expression(node.this, scope)
        return f"{self.coerce.text(item) if soft(item) else item.sql} IS NULL"

    def _like(self, node: exp.Expr, scope: Scope) -> str:
        escape = ""
        if isinstance(node, exp.Escape):
            escape = f" ESCAPE {self.coerce.text(self.expression(node.expression, scope))}"
            node = node.this
        if not isinstance(node, exp.Like):
            raise unsupported("ESCAPE goes with LIKE")
        item, pattern = (self.expression(n, scope) for n in (node.this, node.expression))
        word = "NOT LIKE" if node.args.get("negate") else "LIKE"
        return f"{self.coerce.text(item)} {word} {self.coerce.text(pattern)}{escape}"


def _is_aggregate(node: exp.Expr) -> bool:
    return isinstance(node, exp.Anonymous) and str(node.this).upper() in calls.AGGREGATES


def has_aggregate(node: exp.Expr) -> bool:
    """Whether an aggregate of this SELECT itself, not of one nested in it, stands in `node`."""
    return any(
        _is_aggregate(part)
        for part in node.walk(prune=lambda n: isinstance(n, exp.Select | exp.Subquery))
    )


# pyright cannot relate each node type to its handler; the dictionary's keys do.
_HANDLERS: dict[type[exp.Expr], Callable[..., Expression]] = {
    exp.Column: Expressions.column_value,
    exp.Literal: Expressions.literal_value,
    exp.Null: lambda *_: NULL,
    exp.Paren: lambda c, node, scope: c.expression(node.this, scope),
    exp.Neg: Expressions.negative_value,
    exp.Add: Expressions.arithmetic_value,
    exp.Sub: Expressions.arithmetic_value,
    exp.Mul: Expressions.arithmetic_value,
    exp.Div: Expressions.arithmetic_value,
    exp.DPipe: Expressions.concat_value,
    exp.Case: Expressions.case_value,
    exp.Anonymous: Expressions.call_value,
    exp.Dot: Expressions.dot_value,
    exp.Subquery: Expressions.scalar_subquery_value,
}
