"""SELECT statements: FROM and joins, ROWNUM, grouping, ordering, UNION; compiled to SQLite."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.transforms import eliminate_join_marks

from nsn_pipeline.sandbox.netsuite.errors import unsupported
from nsn_pipeline.sandbox.netsuite.expressions import Expressions, has_aggregate
from nsn_pipeline.sandbox.netsuite.kinds import Kind
from nsn_pipeline.sandbox.netsuite.parsing import parse
from nsn_pipeline.sandbox.netsuite.rownum import conjuncts, is_rownum, rownum_limit
from nsn_pipeline.sandbox.netsuite.scope import (
    Bindings,
    Catalogue,
    Expression,
    Output,
    Scope,
    Source,
)

_PARTS = frozenset(
    {
        "expressions",
        "distinct",
        "from",
        "from_",
        "joins",
        "where",
        "group",
        "having",
        "order",
        "limit",
    }
)
_SIDES = {"": "JOIN", "LEFT": "LEFT JOIN", "RIGHT": "RIGHT JOIN", "FULL": "FULL JOIN"}
Filled = Callable[[str], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Select:
    """A compiled query: `sql` without the page's limit, `count_sql` for how many rows it has."""

    sql: str
    outputs: tuple[Output, ...]
    count_sql: str
    limited: bool


@dataclass(frozen=True, slots=True)
class Statement:
    """A compiled statement with the values it needs bound."""

    query: Select
    bindings: Bindings
    data_dependent: bool  # its shape follows the rows: SELECT * leaves out columns never filled


class Compiler:
    """Compiles one statement. `filled` names the columns of a table that hold anything at all."""

    def __init__(self, catalogue: Catalogue, filled: Filled) -> None:
        self.catalogue = catalogue
        self.filled = filled
        self.bindings = Bindings()
        self.expressions = Expressions(catalogue, self.bindings, self.query)
        self.data_dependent = False

    def statement(self, text: str) -> Statement:
        """Compile `text` (after parsing.lift)."""
        tree = parse(text)
        if any(column.args.get("join_mark") for column in tree.find_all(exp.Column)):
            tree = _without_join_marks(tree)
        try:
            query = self.query(tree, None)
        except RecursionError as error:
            raise unsupported("nested too deeply") from error
        return Statement(query, self.bindings, self.data_dependent)

    def query(self, node: exp.Expr, parent: Scope | None, *, existence: bool = False) -> Select:
        """A SELECT or a UNION."""
        if isinstance(node, exp.Subquery):
            return self.query(node.this, parent, existence=existence)
        if isinstance(node, exp.Union):
            return self._union(node, parent)
        if not isinstance(node, exp.Select):
            raise unsupported(f"{type(node).__name__} is no query")
        return _SelectCompiler(self, node, parent, existence=existence).compile()

    def _union(self, node: exp.Union, parent: Scope | None) -> Select:
        left, right = self.query(node.this, parent), self.query(node.expression, parent)
        if len(left.outputs) != len(right.outputs):
            raise unsupported("UNION of queries with different columns")
        if node.args.get("limit") or node.args.get("offset") or node.args.get("by_name"):
            raise unsupported("UNION with a limit")
        coerce = self.expressions.coerce
        outputs = tuple(
            Output(a.name, coerce.common([Expression("", a.kind), Expression("", b.kind)]))
            for a, b in zip(left.outputs, right.outputs, strict=True)
        )
        sides: list[str] = []
        for side in (left, right):
            columns = ", ".join(
                coerce.to(Expression('ns_u."' + have.name + '"', have.kind), want.kind)
                + f' "{want.name}"'
                for have, want in zip(side.outputs, outputs, strict=True)
            )
            sides.append(f"SELECT {columns} FROM ({side.sql}) ns_u")
        word = " UNION " if node.args.get("distinct") else " UNION ALL "
        sql = word.join(sides)
        count = f"SELECT COUNT(*) FROM ({sql})"
        if (order := node.args.get("order")) is not None:
            keys = [_union_key(item, outputs) for item in order.expressions]
            sql += f" ORDER BY {', '.join(keys)}"
        return Select(sql, outputs, count, limited=False)


def _without_join_marks(tree: exp.Expr) -> exp.Expr:
    """`a.id = b.a(+)` as a left join; never together with the other kind of join (facts 4.5)."""
    if any(join.args.get("on") or join.side for join in tree.find_all(exp.Join)):
        raise unsupported("(+) and ANSI joins do not mix")
    try:
        return eliminate_join_marks(tree)
    except (SqlglotError, AssertionError, KeyError, ValueError) as error:
        raise unsupported(f"(+): {error}") from error


def _nulls(ordered: exp.Ordered) -> str:
    # Oracle sorts nulls as the largest value, SQLite as the smallest; sqlglot has worked out which
    # is meant.
    return " NULLS FIRST" if ordered.args.get("nulls_first") else " NULLS LAST"


def _union_key(item: exp.Expr, outputs: tuple[Output, ...]) -> str:
    position = _position(item.this, [output.name for output in outputs])
    if position is None or not isinstance(item, exp.Ordered):
        raise unsupported("a UNION is ordered by its own columns")
    return _key(str(position), outputs[position - 1].kind, item)


def _key(sql: str, kind: Kind, item: exp.Ordered, *, notnull: bool = False) -> str:
    collate = " COLLATE DEC" if kind is Kind.NUM else ""
    direction = " DESC" if item.args.get("desc") else ""
    return f"{sql}{collate}{direction}{'' if notnull else _nulls(item)}"


def _position(node: exp.Expr, names: list[str]) -> int | None:
    """The 1-based output that an ORDER BY key names by number or by alias."""
    if isinstance(node, exp.Literal) and not node.is_string:
        position = int(node.name) if node.name.isdigit() else 0
        if not 1 <= position <= len(names):
            raise unsupported("ORDER BY position out of range")
        return position
    if isinstance(node, exp.Column) and not node.table and node.name.lower() in names:
        return names.index(node.name.lower()) + 1
    return None


class _SelectCompiler:
    """One SELECT: the parts in the order in which Oracle evaluates them."""

    def __init__(
        self, compiler: Compiler, node: exp.Select, parent: Scope | None, *, existence: bool
    ) -> None:
        self.compiler = compiler
        self.values = compiler.expressions
        self.node = node
        self.existence = existence
        self.scope = Scope(compiler.catalogue, parent)
        self.selected: list[tuple[str, Expression]] = []

    def compile(self) -> Select:
        """SQL and outputs."""
        unknown = [name for name, value in self.node.args.items() if value and name not in _PARTS]
        if unknown:
            raise unsupported(f"{unknown} in a SELECT")
        source = self._from()
        where, rownum_limit = self._where()
        if rownum_limit is not None or self._mentions_rownum():
            self.scope.staged = {}
        group = self._group()
        self._outputs()
        having = self._having()
        distinct = self._distinct()
        order = self._order()
        limit = self._limit()
        rows = f"{source}{where}"
        if self.scope.staged is not None:
            inner = (
                ", ".join(f'{sql} AS "{name}"' for name, sql in self.scope.staged.items()) or "1"
            )
            cut = "" if rownum_limit is None else f" LIMIT {rownum_limit}"
            rows = f"FROM (SELECT {inner} {rows}{cut}) ns_rows"
        columns = ", ".join(f'{item.sql} AS "{name}"' for name, item in self.selected)
        core = f"SELECT {distinct}{columns} {rows}{group}{having}"
        plain = not distinct and not group and not self.scope.saw_aggregate and not limit
        count = f"SELECT COUNT(*) {rows}" if plain else f"SELECT COUNT(*) FROM ({core}{limit})"
        outputs = tuple(Output(name, item.kind) for name, item in self.selected)
        return Select(f"{core}{order}{limit}", outputs, count, bool(limit))

    # -- FROM ----------------------------------------------------------------------------------

    def _from(self) -> str:
        source = self.node.args.get("from_") or self.node.args.get("from")
        if source is None:
            raise unsupported("a SELECT needs FROM")
        sql = f"FROM {self._source(source.this)}"
        for join in self.node.args.get("joins") or []:
            sql += self._join(join)
        return sql

    def _source(self, node: exp.Expr) -> str:
        if isinstance(node, exp.Subquery):
            return self._derived(node)
        if not isinstance(node, exp.Table) or node.args.get("db") or not node.name:
            raise unsupported("FROM takes tables and subqueries")
        if node.name.upper() == "DUAL":
            self._add(Source(node.alias.lower() or "dual", derived={"dummy": Kind.TEXT}))
            return f"(SELECT 'X' AS dummy) \"{node.alias.lower() or 'dual'}\""
        table = self.compiler.catalogue.table(node.name)
        alias = (node.alias or node.name).lower()
        self._add(Source(alias, table))
        return f'"{table.name}" "{alias}"'

    def _derived(self, node: exp.Subquery) -> str:
        alias = node.alias.lower() or f"ns_sub{len(self.scope.sources)}"
        query = self.compiler.query(node.this, None)
        self._add(Source(alias, derived={output.name: output.kind for output in query.outputs}))
        return f'({query.sql}) "{alias}"'

    def _add(self, source: Source) -> None:
        if source.alias in self.scope.sources:
            raise unsupported(f"alias {source.alias!r} is used twice")
        self.scope.sources[source.alias] = source

    def _join(self, join: exp.Join) -> str:
        side, kind = join.side.upper(), join.kind.upper()
        if kind == "LEFT":  # what (+) was turned into
            side, kind = kind, ""
        if join.method or join.args.get("using") or side not in _SIDES or kind not in {
            "", "INNER", "OUTER", "CROSS",
        }:  # fmt: skip
            raise unsupported("this kind of join")
        before = list(self.scope.sources.values())
        sql = self._source(join.this)
        if side in {"LEFT", "FULL"}:
            list(self.scope.sources.values())[-1].nullable = True
        if side in {"RIGHT", "FULL"}:
            for source in before:
                source.nullable = True
        on = join.args.get("on")
        if on is None:
            if side or kind == "INNER":
                raise unsupported("a join needs ON")
            return f", {sql}"
        if kind == "CROSS":
            raise unsupported("CROSS JOIN with ON")
        self.scope.clause = "where"
        condition = self.values.condition(on, self.scope)
        self.scope.clause = "select"
        return f" {_SIDES[side]} {sql} ON {condition}"

    # -- WHERE and ROWNUM ----------------------------------------------------------------------

    def _where(self) -> tuple[str, int | None]:
        where = self.node.args.get("where")
        if where is None:
            return "", None
        limit: int | None = None
        conditions: list[str] = []
        self.scope.clause = "where"
        for part in conjuncts(where.this):
            cut = rownum_limit(part)
            if cut is None:
                conditions.append(self.values.condition(part, self.scope))
            else:
                limit = cut if limit is None else min(limit, cut)
        self.scope.clause = "select"
        return f" WHERE {' AND '.join(conditions)}" if conditions else "", limit

    def _mentions_rownum(self) -> bool:
        places = [*self.node.expressions, self.node.args.get("order"), self.node.args.get("group")]
        return any(is_rownum(c) for place in places if place for c in place.find_all(exp.Column))

    # -- grouping and output -------------------------------------------------------------------

    def _group(self) -> str:
        group = self.node.args.get("group")
        having = self.node.args.get("having")
        keys: list[str] = []
        if group is not None:
            if any(value for name, value in group.args.items() if name != "expressions"):
                raise unsupported("GROUP BY with ROLLUP and the like")
            if any(isinstance(key, exp.Literal) for key in group.expressions):
                raise unsupported("GROUP BY takes expressions, not positions")
            keys = [self.values.expression(key, self.scope).sql for key in group.expressions]
        if keys or having is not None or any(has_aggregate(n) for n in self.node.expressions):
            self.scope.grouped = frozenset(keys)
        return f" GROUP BY {', '.join(keys)}" if keys else ""

    def _outputs(self) -> None:
        if self.existence and self.scope.grouped is None:
            self.selected = [("one", Expression("1", Kind.INT))]
            return
        unnamed = 0
        for node in self.node.expressions:
            if isinstance(node, exp.Star) or (
                isinstance(node, exp.Column) and isinstance(node.this, exp.Star)
            ):
                self._star(node.table.lower() if isinstance(node, exp.Column) else None)
                continue
            inner = node.this if isinstance(node, exp.Alias) else node
            item = self.values.expression(inner, self.scope)
            item = self._settled(item)
            if isinstance(node, exp.Alias):
                name = self._alias(node)
            elif isinstance(inner, exp.Column):
                name = inner.name.lower()
            else:
                unnamed += 1
                name = f"expr{unnamed}"
            if any(name == taken for taken, _ in self.selected):
                raise unsupported(f"two columns are called {name!r}")
            self.selected.append((name, item))

    def _alias(self, node: exp.Alias) -> str:
        nested = self.scope.parent is not None or self.node.parent is not None
        if nested and node.args["alias"].args.get("quoted"):
            raise unsupported("quoted aliases inside subselects")
        return node.alias.lower().replace('"', "")

    def _settled(self, item: Expression) -> Expression:
        if item.param is not None:
            return Expression(self.values.coerce.text(item), Kind.TEXT)
        return item

    def _star(self, qualifier: str | None) -> None:
        if self.scope.grouped is not None:
            raise unsupported("* in a grouped SELECT")
        sources = self.scope.sources
        if qualifier is not None and qualifier not in sources:
            raise self.scope.unknown(qualifier)
        for alias in [qualifier] if qualifier else list(sources):
            source = sources[alias]
            if source.table is None:
                names = list(source.derived)
            else:
                self.compiler.data_dependent = True
                filled = self.compiler.filled(source.table.name)
                names = [
                    column.name
                    for column in self.compiler.catalogue.visible(source.table)
                    if column.name in filled
                ]
            for name in names:
                if all(name != taken for taken, _ in self.selected):
                    self.selected.append((name, self.scope.column(name, alias)))
        if not self.selected:
            self.selected.append(("id", Expression("NULL", Kind.NULL)))

    def _having(self) -> str:
        having = self.node.args.get("having")
        if having is None:
            return ""
        self.scope.clause = "where"
        condition = self.values.condition(having.this, self.scope)
        self.scope.clause = "select"
        return f" HAVING {condition}"

    def _distinct(self) -> str:
        distinct = self.node.args.get("distinct")
        if distinct is not None and distinct.args.get("on"):
            raise unsupported("DISTINCT ON")
        return "DISTINCT " if distinct is not None else ""

    def _order(self) -> str:
        order = self.node.args.get("order")
        if order is None or self.existence:
            return ""
        names = [name for name, _ in self.selected]
        keys: list[str] = []
        for item in order.expressions:
            position = _position(item.this, names)
            if position is not None:
                chosen = self.selected[position - 1][1]
                keys.append(_key(str(position), chosen.kind, item, notnull=chosen.notnull))
            else:
                value = self._settled(self.values.expression(item.this, self.scope))
                keys.append(_key(f"({value.sql})", value.kind, item, notnull=value.notnull))
        return f" ORDER BY {', '.join(keys)}"

    def _limit(self) -> str:
        limit = self.node.args.get("limit")
        if limit is None:
            return ""
        if isinstance(limit, exp.Fetch):
            options = limit.args.get("limit_options")
            percent = options is not None and options.args.get("percent")
            ties = options is not None and options.args.get("with_ties")
            if not self.compiler.catalogue.options.allow_fetch_first or percent or ties:
                raise unsupported("FETCH FIRST")
            count = limit.args.get("count")
        else:
            count = limit.expression  # TOP n: a LIMIT clause was refused by the token check
        if not isinstance(count, exp.Literal) or not count.name.isdigit():
            raise unsupported("a row limit is a number")
        return f" LIMIT {int(count.name)}"
