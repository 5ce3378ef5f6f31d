"""Whatever text and whatever page size: queries mean what was asked, and no row is lost."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsn_pipeline.clients.encoded_query import Query, UnsafeValueError
from nsn_pipeline.clients.netsuite import NetSuiteClient
from nsn_pipeline.clients.servicenow import ServiceNowClient
from nsn_pipeline.clients.suiteql import beyond, in_list, quote, select
from nsn_pipeline.records.spec import Column, Source
from nsn_pipeline_tests.unit.clients.support import rig, sent_json, suiteql_page
from nsn_pipeline_tests.unit.clients.test_servicenow import table_of

SOURCE = Source(
    table="transactionline",
    alias="tl",
    columns=(Column("document_id", "tl.transaction"), Column("line_id", "tl.id")),
    key=("tl.transaction", "tl.id"),
)
TEXT = st.text(max_size=40)
RELAXED = settings(deadline=None, max_examples=60)
OPERATORS = "STARTSWITH|LIKE|<=|>=|!=|=|<|>|IN"


@settings(RELAXED)
@given(TEXT)
def test_a_quoted_text_is_one_literal_that_reads_back(text: str) -> None:
    literal = quote(text)
    assert re.fullmatch(r"'(?:[^']|'')*'", literal, re.DOTALL)
    assert literal[1:-1].replace("''", "'") == text


@settings(RELAXED)
@given(st.lists(TEXT, min_size=1, max_size=5, unique=True))
def test_text_in_a_list_is_either_bound_or_a_plain_number(values: list[str]) -> None:
    where, params = in_list("t.code", values)
    if params:
        assert list(params) == values
        assert where == f"t.code IN ({', '.join('?' * len(values))})"
    else:
        assert re.fullmatch(r"t\.code IN \(-?\d+(, -?\d+)*\)", where, re.ASCII)


@settings(RELAXED)
@given(TEXT, TEXT, TEXT)
def test_any_text_survives_binding(first: str, second: str, value: str) -> None:
    statement = select(SOURCE, where="tl.memo = ?", params=(value,), after=(first, second))
    assert statement.params[0] == value
    assert statement.text.count("?") == len(statement.params)


@settings(RELAXED)
@given(st.tuples(*[st.integers(-3, 3)] * 2), st.tuples(*[st.integers(-3, 3)] * 2))
def test_beyond_means_greater_as_a_tuple(row: tuple[int, int], after: tuple[int, int]) -> None:
    where = beyond(("a.x", "a.y"), tuple(map(str, after))).where
    python = where.replace(" = ", " == ").replace("AND", "and").replace("OR", "or")
    python = python.replace("a.x", str(row[0])).replace("a.y", str(row[1]))
    assert eval(python) is (row > after)  # noqa: S307 (built above from integers)


@settings(RELAXED)
@given(TEXT, st.sampled_from(["=", "!=", "<", ">", "<=", ">=", "STARTSWITH", "LIKE"]))
def test_a_condition_is_refused_or_reads_back_as_one_condition(value: str, operator: str) -> None:
    try:
        text = str(Query().where("name", operator, value).where("b", "=", "1"))
    except UnsafeValueError:
        return
    terms = text.split("^")
    assert len(terms) == 2
    match = re.match(rf"name({OPERATORS})", terms[0])
    assert match is not None
    assert (match[1], terms[0][match.end() :]) == (operator, value)


@settings(RELAXED)
@given(st.lists(TEXT, min_size=1, max_size=6))
def test_a_list_is_refused_or_reads_back_value_by_value(values: list[str]) -> None:
    try:
        text = str(Query().where_in("name", values))
    except UnsafeValueError:
        return
    assert text.removeprefix("nameIN").split(",") == values
    assert "^" not in text


@settings(RELAXED)
@given(
    keys=st.sets(st.tuples(st.integers(1, 9), st.integers(0, 9)), max_size=40),
    page_size=st.integers(1, 12),
)
def test_any_page_size_reads_the_same_rows(keys: set[tuple[int, int]], page_size: int) -> None:
    stored = sorted(keys)

    def respond(request):
        query = sent_json(request)["q"]
        after = re.search(r"tl\.transaction = (\d+)\) AND \(tl\.id > (\d+)", query)
        beyond_it = (int(after[1]), int(after[2])) if after else (0, -1)
        left = [key for key in stored if key > beyond_it]
        page = [{"document_id": str(a), "line_id": str(b)} for a, b in left[:page_size]]
        return suiteql_page(page, total=len(left))

    client = NetSuiteClient(rig(respond, system="netsuite").http, page_size=page_size)
    rows = [row for page in client.pages(SOURCE) for row in page]
    assert [(int(row["document_id"]), int(row["line_id"])) for row in rows] == stored


@settings(RELAXED)
@given(
    count=st.integers(0, 30),
    hidden=st.sets(st.integers(0, 29)),
    page_size=st.integers(1, 12),
)
def test_any_page_size_reads_every_visible_record(
    count: int, hidden: set[int], page_size: int
) -> None:
    table = table_of(count, hidden=[f"{n:032x}" for n in hidden])
    client = ServiceNowClient(rig(table).http, page_size=page_size)
    read = [row["u_key"] for page in client.rows("t", fields=["u_key"]) for row in page]
    assert read == [f"K{n}" for n in range(count) if n not in hidden]


@pytest.mark.parametrize("text", ["1e5", "0x10", "١٢", "1_000", " 5", "5 ", "+5", "--1", "1;2"])
def test_only_plain_digits_are_written_into_a_statement(text: str) -> None:
    assert in_list("t.id", [text]).params == (text,)
