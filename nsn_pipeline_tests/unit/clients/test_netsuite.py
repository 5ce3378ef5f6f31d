import re
import threading

import pytest

from nsn_pipeline.clients.netsuite import NetSuiteClient
from nsn_pipeline.errors import (
    ConfigurationError,
    MissingColumnError,
    MissingTableError,
    RequestRefusedError,
    ServerFaultError,
    UnexpectedResponseError,
)
from nsn_pipeline.records.spec import Column, Join, Kind, Source
from nsn_pipeline_tests.unit.clients.support import (
    Reply,
    rig,
    sent_json,
    suiteql_error,
    suiteql_page,
)

PREFIX = "Invalid search query. Detailed unprocessed description follows. "
BILLS = Source(
    table="transaction",
    alias="t",
    columns=(
        Column("internal_id", "t.id", Kind.ID, optional=False),
        Column("memo", "t.memo"),
    ),
    key=("t.id",),
)
LINES = Source(
    table="transactionline",
    alias="tl",
    columns=(
        Column("document_id", "tl.transaction", Kind.ID, optional=False),
        Column("line_id", "tl.id", Kind.ID, optional=False),
        Column("memo", "tl.memo"),
        Column("location_id", "tl.location", Kind.ID),
        Column("header_memo", "t.memo"),
        Column("item_name", "i.itemid"),
        Column("asset", "a.acctnumber"),
    ),
    key=("tl.transaction", "tl.id"),
    joins=(
        Join("transaction", "t", "t.id = tl.transaction", optional=False),
        Join("item", "i", "i.id = tl.item"),
        Join("account", "a", "a.id = i.assetaccount"),
    ),
)


def client(replies, *, page_size: int = 2, concurrency: int = 1):
    r = rig(replies, system="netsuite", attempts=1)
    return NetSuiteClient(r.http, page_size=page_size, concurrency=concurrency), r


def ids(pages) -> list[str]:
    return [row["internal_id"] for page in pages for row in page]


def rows(*numbers: int) -> list[dict[str, str]]:
    return [{"internal_id": str(n)} for n in numbers]


def queries(r) -> list[str]:
    return [sent_json(request)["q"] for request in r.server.requests]


def test_pages_go_on_from_the_last_key_at_offset_zero() -> None:
    subject, r = client([suiteql_page(rows(1, 5), total=3), suiteql_page(rows(9))])
    assert ids(subject.pages(BILLS, where="t.type = ?", params=("VendBill",))) == ["1", "5", "9"]
    first, second = r.server.requests
    for request in (first, second):
        assert request.method == "POST"
        assert request.url.endswith("/services/rest/query/v1/suiteql?limit=2&offset=0")
        assert request.headers["Prefer"] == "transient"
        assert sent_json(request)["params"] == ["VendBill"]
    assert "t.id >" not in queries(r)[0]
    assert "(t.id > 5)" in queries(r)[1]


def test_an_empty_table_has_no_pages() -> None:
    subject, _ = client([suiteql_page([])])
    assert list(subject.pages(BILLS)) == []


def test_has_more_false_is_no_end_while_the_total_says_otherwise() -> None:
    capped = suiteql_page(rows(1, 5), total=150_000, has_more=False)
    subject, _ = client([capped, suiteql_page(rows(9))])
    assert ids(subject.pages(BILLS)) == ["1", "5", "9"]


@pytest.mark.parametrize(
    "reply",
    [
        suiteql_page(rows(1), total=2),
        suiteql_page([], total=7),
        suiteql_page([], total=0, has_more=True),
        Reply(body={"items": rows(1), "count": 2, "totalResults": 2, "hasMore": False}),
        Reply(body={"items": rows(1), "hasMore": False}),
        Reply(body=[]),
        suiteql_page([{"internal_id": "10"}, {"internal_id": "9"}]),
        suiteql_page([{"memo": "no key"}]),
        suiteql_page([{"internal_id": "1", "memo": {"a": 1}}]),
    ],
    ids=[
        "short page", "empty page", "more but none", "miscounted", "no counts", "no object",
        "falling key", "key absent", "value is an object",
    ],
)  # fmt: skip
def test_a_page_that_could_lose_rows_is_an_error(reply) -> None:
    subject, _ = client([reply])
    with pytest.raises(UnexpectedResponseError):
        list(subject.pages(BILLS))


def test_a_row_that_comes_twice_is_passed_on_to_be_judged() -> None:
    repeated = [{"internal_id": "3"}, {"internal_id": "3"}, {"internal_id": "4"}]
    subject, _ = client([suiteql_page(repeated)])
    assert [row["internal_id"] for page in subject.pages(BILLS) for row in page] == ["3", "3", "4"]


@pytest.mark.parametrize("count", [0, 1])
def test_a_short_page_is_not_taken_for_the_last(count) -> None:
    subject, _ = client([suiteql_page(rows(1)[:count], total=9), suiteql_page(rows(5))])
    with pytest.raises(UnexpectedResponseError, match="rows would be lost"):
        list(subject.pages(BILLS))


def test_a_remark_is_kept_once() -> None:
    subject, _ = client([])
    subject.note("a")
    subject.note("a")
    assert subject.notes == ["a"]


def test_a_page_that_does_not_advance_is_refused() -> None:
    subject, _ = client([suiteql_page(rows(1, 5), total=4), suiteql_page(rows(1, 5), total=2)])
    with pytest.raises(UnexpectedResponseError, match="rise"):
        list(subject.pages(BILLS))


def test_rows_are_text_with_lower_case_names_and_without_nulls_or_links() -> None:
    body = b"""{"items":[{"links":[],"INTERNAL_ID":"1","Memo":null,"amount":12.50,"n":3,
        "flag":true}],"count":1,"totalResults":1,"hasMore":false}"""
    subject, _ = client([Reply(200, body)])
    assert list(subject.pages(BILLS)) == [
        [{"internal_id": "1", "amount": "12.50", "n": "3", "flag": "T"}]
    ]


@pytest.mark.parametrize(
    "detail",
    [
        f"{PREFIX}Unknown identifier 'memo'. Available identifiers are: {{t=transaction}}.",
        f"{PREFIX}Search error occurred: Unknown identifier 't.memo'.",
        "Field 'memo' for record 'transaction' was not found. Reason: NOT_EXPOSED - Not available",
    ],
    ids=["unknown", "unknown with alias", "not exposed"],
)
def test_an_optional_column_that_is_absent_is_left_out_and_noted_once(detail) -> None:
    subject, r = client([suiteql_error(detail), suiteql_page(rows(1))])
    assert ids(subject.pages(BILLS)) == ["1"]
    assert ids(subject.pages(BILLS)) == ["1"]
    assert [("t.memo" in q) for q in queries(r)] == [True, False, False]
    assert len(subject.notes) == 1
    assert "transaction.memo is not available" in subject.notes[0]


def answer_by_query(rules):
    def respond(request):
        query = sent_json(request)["q"]
        return next((reply for pattern, reply in rules if re.search(pattern, query)), None) or (
            suiteql_page([{"document_id": "1", "line_id": "0", "probed": "1"}])
        )

    return respond


def test_a_name_in_two_tables_is_asked_of_each() -> None:
    unknown = suiteql_error(f"{PREFIX}Unknown identifier 'memo'. Available identifiers are: "
                            "{tl=transactionline, t=transaction}.")  # fmt: skip
    subject, r = client(
        answer_by_query(
            [(r"x\.memo AS probed FROM transactionline", unknown), (r"tl\.memo AS memo", unknown)]
        )
    )
    list(subject.pages(LINES))
    assert "tl.memo" not in queries(r)[-1]
    assert "t.memo AS header_memo" in queries(r)[-1]


@pytest.mark.parametrize(
    "detail",
    [
        f"{PREFIX}Search error occurred: Record 'item' was not found.",
        f"{PREFIX}Invalid search type: item.",
    ],
    ids=["hidden", "unknown"],
)
def test_an_absent_optional_table_goes_with_its_columns_and_dependent_joins(detail) -> None:
    gone = suiteql_error(detail)
    subject, r = client(answer_by_query([("JOIN item", gone)]))
    list(subject.pages(LINES, columns=["memo", "item_name", "asset"]))
    assert "item" not in queries(r)[-1]
    assert "account" not in queries(r)[-1]
    assert "tl.memo" in queries(r)[-1]


def test_the_sources_own_table_missing_is_for_the_caller_to_judge() -> None:
    subject, _ = client([suiteql_error("Record 'transaction' was not found.")])
    with pytest.raises(MissingTableError, match="permission") as caught:
        list(subject.pages(BILLS))
    assert caught.value.name == "transaction"
    assert not isinstance(caught.value, ConfigurationError)


def test_a_required_table_missing_names_permission_and_feature() -> None:
    subject, _ = client([suiteql_error("Invalid search type: transaction.")])
    with pytest.raises(ConfigurationError, match="feature") as caught:
        list(subject.pages(LINES))
    assert isinstance(caught.value, MissingTableError)


@pytest.mark.parametrize("name", ["id", "unheard_of"])
def test_a_required_column_missing_names_permission_and_feature(name) -> None:
    detail = f"Unknown identifier '{name}'. Available identifiers are: {{t=transaction}}."
    subject, _ = client([suiteql_error(detail)])
    with pytest.raises(ConfigurationError, match="view permission") as caught:
        list(subject.pages(BILLS))
    assert isinstance(caught.value, MissingColumnError)
    assert caught.value.name == name
    assert subject.notes == []


CRASH = suiteql_error(
    "An unexpected error occurred. Error ID: x", status=500, code="UNEXPECTED_ERROR"
)


def test_an_optional_column_that_crashes_the_query_is_found_and_left_out() -> None:
    subject, r = client(answer_by_query([(r"tl\.location|x\.location", CRASH)]))
    list(subject.pages(LINES))
    assert "location" not in queries(r)[-1]
    assert "tl.memo" in queries(r)[-1]
    assert "transactionline.location" in subject.notes[0]


def test_a_server_that_fails_at_everything_is_not_blamed_on_a_column() -> None:
    subject, _ = client([CRASH])
    with pytest.raises(ServerFaultError):
        list(subject.pages(LINES))
    assert subject.notes == []


def test_another_refusal_is_passed_on() -> None:
    subject, _ = client([suiteql_error(f"{PREFIX}Invalid or unsupported search.")])
    with pytest.raises(RequestRefusedError, match="unsupported") as caught:
        list(subject.pages(BILLS))
    assert caught.value.code == "INVALID_PARAMETER"


@pytest.mark.parametrize("concurrency", [1, 3])
def test_long_lists_are_cut_and_come_back_in_order(concurrency) -> None:
    arrived = threading.Barrier(3, timeout=10) if concurrency == 3 else None

    def respond(request):
        wanted = re.search(r"IN \(([^)]*)\)", sent_json(request)["q"])[1].split(", ")
        if arrived and len(wanted) == 900:
            arrived.wait()  # proves that chunks are read side by side
        last = re.search(r"t\.id > (\d+)", sent_json(request)["q"])
        left = [n for n in wanted if not last or int(n) > int(last[1])]
        return suiteql_page([{"internal_id": n} for n in left[:1000]], total=len(left))

    subject, r = client(respond, page_size=1000, concurrency=concurrency)
    values = [str(n) for n in range(1, 2801)]
    assert ids(subject.rows_in(BILLS, "internal_id", [*values, "1"])) == values
    sizes = [q.count(",") for q in queries(r)]
    assert max(sizes) <= 901


def test_no_values_need_no_call() -> None:
    subject, r = client([suiteql_page([])])
    assert list(subject.rows_in(BILLS, "t.id", [])) == []
    assert r.server.requests == []


def test_a_failing_chunk_ends_the_read() -> None:
    subject, _ = client([suiteql_error("Invalid or unsupported search.")], concurrency=3)
    with pytest.raises(RequestRefusedError):
        list(subject.rows_in(BILLS, "t.id", [str(n) for n in range(3000)]))


def test_rows_in_keeps_the_readers_own_condition() -> None:
    subject, r = client([suiteql_page(rows(1))])
    list(subject.rows_in(BILLS, "t.id", ["1"], where="t.a = ? OR t.b = 1", params=("x",)))
    assert "(t.a = ? OR t.b = 1) AND (t.id IN (1))" in queries(r)[0]
    assert sent_json(r.server.requests[0])["params"] == ["x"]


def test_a_control_total_must_fit_one_page() -> None:
    subject, _ = client([suiteql_page([{"n": str(n)} for n in range(1000)], total=1001)])
    with pytest.raises(UnexpectedResponseError, match="one page"):
        subject.query("SELECT COUNT(*) AS n FROM transaction t GROUP BY t.type")


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(body={"accountConcurrencyLimit": 15}), 15),
        (Reply(body={"accountConcurrencyLimit": 15, "integrationConcurrencyLimit": "5"}), 5),
        (suiteql_error("no", status=403, code="INSUFFICIENT_PERMISSION"), None),
    ],
    ids=["account", "integration", "not an administrator"],
)
def test_concurrency_limit_is_told_to_administrators_only(reply, expected) -> None:
    assert client([reply])[0].concurrency_limit() == expected


def test_can_read_probes_the_table() -> None:
    assert client([suiteql_page([{"probed": "1"}])])[0].can_read("subsidiary")
    hidden = suiteql_error("Search error occurred: Record 'subsidiary' was not found.")
    assert not client([hidden])[0].can_read("subsidiary")
