"""SuiteQL text to a sqlglot tree, and what is refused before anything is understood.

Functions are kept as written (no Oracle function becomes a sqlglot node of its own): the
compiler has its own allow-list, and a dialect's rewriting is what a simulator must not inherit
by accident.
"""

import re
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.dialects.oracle import Oracle
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from nsn_pipeline.sandbox.netsuite.errors import query_error, unsupported

MAX_IN_VALUES = 1000
_LIFT_FROM = 8  # shorter lists stay in the text
LIST_MARK = "NSN_VALUE_LIST"
PARAM_MARK = "NSN_PARAM"


class SuiteQL(Oracle):
    """Oracle's grammar with every function left anonymous."""

    class Parser(Oracle.Parser):
        """See the module docstring."""

        FUNCTIONS = {}  # noqa: RUF012 - sqlglot's way
        FUNCTION_PARSERS = {}  # noqa: RUF012
        NO_PAREN_FUNCTIONS = {}  # noqa: RUF012
        NO_PAREN_FUNCTION_PARSERS = {  # noqa: RUF012
            name: parser
            for name, parser in Oracle.Parser.NO_PAREN_FUNCTION_PARSERS.items()
            if name == "CASE"
        }


DIALECT = SuiteQL()

_ITEM = r"(?:-?\d+|'(?:[^']|'')*')"
_SCANNER = re.compile(
    r"'(?:[^']|'')*'"
    r'|"[^"]*"'
    r"|--[^\n]*"
    r"|/\*.*?\*/"
    r"|(?P<param>\?)"
    rf"|\b(?P<word>IN)\s*\(\s*(?P<list>{_ITEM}(?:\s*,\s*{_ITEM})*)\s*\)",
    re.IGNORECASE | re.DOTALL,
)
_VALUE = re.compile(r"'((?:[^']|'')*)'|(-?\d+)")


@dataclass(frozen=True, slots=True)
class Lifted:
    """A statement with its `?` numbered and its long literal IN lists taken out.

    Without the lists the text repeats from call to call, so that its compiled form can be cached.
    """

    text: str
    lists: tuple[tuple[str, ...], ...]
    params: int


def lift(text: str) -> Lifted:
    """Number the `?` and take out long literal IN lists; over a thousand values are refused."""
    lists: list[tuple[str, ...]] = []
    params = 0
    lowered = text.lower()
    if f"{LIST_MARK}(".lower() in lowered or f"{PARAM_MARK}(".lower() in lowered:
        raise unsupported("the marks of this function are its own")

    def replace(match: re.Match[str]) -> str:
        nonlocal params
        if match["param"] is not None:
            params += 1
            return f"{PARAM_MARK}({params - 1})"
        if match["word"] is None:
            return match[0]
        values = [
            number or quoted.replace("''", "'") for quoted, number in _VALUE.findall(match["list"])
        ]
        if len(values) > MAX_IN_VALUES:
            raise unsupported("more than 1000 values in one IN")
        if len(values) < _LIFT_FROM:
            return match[0]
        lists.append(tuple(values))
        return f"IN ({LIST_MARK}({len(lists) - 1}))"

    lifted = _SCANNER.sub(replace, text)
    return Lifted(lifted, tuple(lists), params)


_REFUSED_TOKENS = {
    TokenType.WITH: "WITH is not supported",
    TokenType.LIMIT: "LIMIT is not Oracle's",
    TokenType.OFFSET: "OFFSET is not supported",
    TokenType.L_BRACKET: "brackets are not supported",
    TokenType.NATURAL: "NATURAL joins are not supported",
    TokenType.USING: "USING is not supported",
    TokenType.SEMICOLON: "one statement only, without a semicolon",
    TokenType.PARAMETER: "named parameters are not supported",
}
_DATE_WORDS = {"DATE", "TIMESTAMP"}


def _refuse(tokens: list[Token]) -> None:
    for index, token in enumerate(tokens):
        if token.token_type in _REFUSED_TOKENS:
            raise unsupported(_REFUSED_TOKENS[token.token_type])
        following = tokens[index + 1] if index + 1 < len(tokens) else None
        if (
            following is not None
            and following.token_type is TokenType.STRING
            and token.text.upper() in _DATE_WORDS
            and token.token_type is not TokenType.STRING
        ):
            raise unsupported("date literals are not supported; use TO_DATE")


def parse(text: str) -> exp.Expr:
    """The one SELECT (or UNION of SELECTs) in `text`; NetSuiteError for everything else."""
    try:
        tokens = DIALECT.tokenize(text)
        if not tokens:
            raise query_error("Search query is empty.")
        _refuse(tokens)
        trees = DIALECT.parser().parse(tokens, text)
    except SqlglotError as error:
        raise unsupported(str(error)) from error
    except RecursionError as error:
        raise unsupported("nested too deeply") from error
    if len(trees) != 1 or not isinstance(trees[0], exp.Select | exp.Union):
        raise unsupported("not one SELECT statement")
    return trees[0]
