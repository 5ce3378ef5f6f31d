"""SuiteQL over HTTP: headers, paging, the envelope, the cap, and the documented refusals."""

import asyncio
import time
from typing import Any

import httpx
import pytest

from nsn_pipeline.sandbox.netsuite.options import Fault, RequestInfo

BASE = "https://1234567-sb1.suitetalk.api.netsuite.com"
PREFIX = "Invalid search query. Detailed unprocessed description follows. "
SQL = "SELECT id FROM vendor ORDER BY id"


def error_of(response: Any) -> dict[str, Any]:
    body = response.json()
    assert body["status"] == response.status_code
    assert body["type"].startswith("https://www.rfc-editor.org/rfc/rfc9110.html")
    return body["o:errorDetails"][0]


def test_page_has_the_documented_envelope(account: Any) -> None:
    url = "https://1234567-sb1.suitetalk.api.netsuite.com/services/rest/query/v1/suiteql"
    assert account.query(SQL).json() == {
        "links": [{"rel": "self", "href": f"{url}?limit=1000&offset=0"}],
        "count": 3,
        "hasMore": False,
        "items": [{"links": [], "id": "1"}, {"links": [], "id": "2"}, {"links": [], "id": "10"}],
        "offset": 0,
        "totalResults": 3,
    }


def test_links_lead_through_the_pages(account: Any) -> None:
    first = account.query(SQL, limit=1).json()
    middle = account.query(SQL, limit=1, offset=1).json()
    last = account.query(SQL, limit=1, offset=2).json()
    assert [link["rel"] for link in first["links"]] == ["next", "last", "self"]
    assert [link["rel"] for link in middle["links"]] == ["prev", "first", "next", "last", "self"]
    assert [link["rel"] for link in last["links"]] == ["prev", "first", "self"]
    assert middle["links"][3]["href"].endswith("?limit=1&offset=2")
    assert [first["hasMore"], middle["hasMore"], last["hasMore"]] == [True, True, False]


def test_links_use_the_configured_base_url(make_account: Any) -> None:
    account = make_account(public_base_url="https://localhost:8443")
    assert account.query(SQL).json()["links"][0]["href"].startswith("https://localhost:8443/")


def test_missing_prefer_header_is_refused(account: Any) -> None:
    response = account.http.post(
        "/services/rest/query/v1/suiteql", json={"q": SQL}, headers=account.login()
    )
    assert response.status_code == 400
    assert error_of(response)["o:errorCode"] == "INVALID_HEADER"


@pytest.mark.parametrize(
    ("limit", "offset"), [("1001", "0"), ("0", "0"), ("10", "5"), ("x", "0"), ("10", "-10")]
)
def test_bad_limit_or_offset_is_refused(account: Any, limit: str, offset: str) -> None:
    response = account.query(SQL, limit=limit, offset=offset)
    assert response.status_code == 400
    assert error_of(response)["o:errorCode"] == "INVALID_PARAMETER"


def test_page_past_the_end_is_empty(account: Any) -> None:
    page = account.query(SQL, limit=10, offset=10).json()
    assert (page["count"], page["items"], page["hasMore"], page["totalResults"]) == (
        0,
        [],
        False,
        3,
    )


def test_past_the_cap_has_more_is_false_though_there_is_more(make_account: Any) -> None:
    account = make_account(row_cap=2)
    page = account.query(SQL).json()
    assert (page["count"], page["hasMore"], page["totalResults"]) == (2, False, 3)
    assert account.query(SQL, limit=2, offset=2).status_code == 400


def test_small_limit_reaches_only_a_thousand_pages(account: Any) -> None:
    rows = [{"id": str(number)} for number in range(100, 1200)]
    account.store.insert("term", rows)
    last = account.query("SELECT id FROM term ORDER BY id", limit=1, offset=999).json()
    assert (last["items"][0]["id"], last["hasMore"], last["totalResults"]) == ("1099", False, 1100)
    assert account.query("SELECT id FROM term", limit=1, offset=1000).status_code == 400


def test_total_follows_the_data(account: Any) -> None:
    assert account.query(SQL).json()["totalResults"] == 3
    account.store.insert("vendor", [{"id": "77"}])
    assert account.query(SQL).json()["totalResults"] == 4


def test_star_follows_the_data(account: Any) -> None:
    sql = "SELECT * FROM term"
    account.store.insert("term", [{"id": "1"}])
    assert account.query(sql).json()["items"] == [{"links": [], "id": "1"}]
    account.store.update_row("term", "1", {"name": "Net 30"}, stamp=False)
    assert account.query(sql).json()["items"] == [{"links": [], "id": "1", "name": "Net 30"}]


def test_a_row_of_nulls_has_only_links(account: Any) -> None:
    assert account.query("SELECT memo FROM transaction WHERE id = 5").json()["items"] == [
        {"links": []}
    ]


@pytest.mark.parametrize("params", [[1], ["1", None], "1"], ids=["number", "null", "no list"])
def test_parameters_are_texts(account: Any, params: Any) -> None:
    assert account.query("SELECT id FROM vendor WHERE id = ?", params).status_code == 400


@pytest.mark.parametrize("params", [None, [], ["1", "2"]])
def test_number_of_parameters_must_fit(account: Any, params: Any) -> None:
    assert account.query("SELECT id FROM vendor WHERE id = ?", params).status_code == 400


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"q": 1}', b'{"q": " "}'])
def test_body_without_a_query_is_refused(account: Any, body: bytes) -> None:
    headers = {"Prefer": "transient", **account.login()}
    path = "/services/rest/query/v1/suiteql"
    assert account.http.post(path, content=body, headers=headers).status_code == 400


REFUSALS = {
    "unknown column": (
        "SELECT t.foo FROM transaction t JOIN vendor v ON v.id = t.entity",
        (
            "Search error occurred: Unknown identifier 'foo'. Available identifiers are: "
            "{t=transaction, v=vendor}."
        ),
    ),
    "unknown alias": (
        "SELECT x.id FROM transaction t",
        (
            "Search error occurred: Unknown identifier 'x'. Available identifiers are: "
            "{t=transaction}."
        ),
    ),
    "hidden column": (
        "SELECT t.createdfrom FROM transaction t",
        (
            "Search error occurred: Field 'createdfrom' for record 'transaction' was not found. "
            "Reason: NOT_EXPOSED - Not available for channel SEARCH"
        ),
    ),
    "unknown table": ("SELECT id FROM vendors", "Invalid search type: vendors."),
    "table hidden from the role": (
        "SELECT id FROM term",
        "Search error occurred: Record 'term' was not found.",
    ),
    "table of a feature that is off": (
        "SELECT id FROM department",
        "Search error occurred: Record 'department' was not found.",
    ),
    "column of a feature that is off": (
        "SELECT l.department FROM transactionline l",
        (
            "Search error occurred: Unknown identifier 'department'. Available identifiers are: "
            "{l=transactionline}."
        ),
    ),
}


@pytest.mark.parametrize(("sql", "text"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refusal_has_the_documented_text(make_account: Any, sql: str, text: str) -> None:
    account = make_account(
        hidden_tables=frozenset({"term"}), disabled_features=frozenset({"departments"})
    )
    response = account.query(sql)
    assert response.status_code == 400
    assert error_of(response) == {
        "detail": PREFIX + text,
        "o:errorQueryParam": "q",
        "o:errorCode": "INVALID_PARAMETER",
    }


def test_header_columns_are_exposed_where_the_account_says_so(make_account: Any) -> None:
    account = make_account(hidden_columns=frozenset())
    assert account.rows("SELECT subsidiary, createdfrom FROM transaction WHERE id = 5") == [{}]


def test_some_columns_break_the_server(make_account: Any) -> None:
    account = make_account(crashing_columns=frozenset({"vendor.url"}))
    response = account.query("SELECT url FROM vendor")
    assert response.status_code == 500
    assert error_of(response)["o:errorCode"] == "UNEXPECTED_ERROR"


def test_status_filter_takes_the_letter_where_the_account_says_so(make_account: Any) -> None:
    account = make_account(status_filter="letter")
    sql = "SELECT id FROM transaction WHERE status = 'B' AND type = 'PurchOrd'"
    assert account.rows(sql) == [{"id": "10"}]
    sql = "SELECT id FROM transaction WHERE status IN ('B', 'PurchOrd:B') AND type = 'PurchOrd'"
    assert account.rows(sql) == [{"id": "10"}]


def test_preferences_change_how_dates_and_numbers_look(make_account: Any) -> None:
    account = make_account(
        date_format="D.M.YYYY", time_zone="Europe/Vienna", drop_leading_zero=False
    )
    sql = "SELECT trandate, lastmodifieddate l, foreigntotal FROM transaction WHERE id = 9"
    assert account.rows(sql) == [{"trandate": "28.2.2026", "l": "8.3.2026", "foreigntotal": "-0.5"}]
    local = "SELECT TO_CHAR(lastmodifieddate, 'DD HH24:MI') d FROM transaction WHERE id = 10"
    assert account.rows(local) == [{"d": "01 02:00"}]
    assert account.rows("SELECT id FROM transaction WHERE trandate = '28.2.2026'") == [{"id": "9"}]


def test_options_allow_or_forbid_disputed_syntax(make_account: Any) -> None:
    account = make_account(allow_current_date=True, allow_fetch_first=False)
    assert account.rows("SELECT TO_CHAR(CURRENT_DATE, 'MM-DD HH24') d FROM dual") == [
        {"d": "07-02 00"}
    ]
    assert account.query(SQL + " FETCH FIRST 1 ROWS ONLY").status_code == 400


def test_get_is_not_a_query(account: Any) -> None:
    response = account.http.get("/services/rest/query/v1/suiteql", headers=account.login())
    assert response.status_code == 405


def test_full_pool_answers_429_without_retry_after(make_account: Any) -> None:
    account = make_account(concurrency_limit=0)
    response = account.query(SQL)
    assert response.status_code == 429
    assert response.json()["title"] == "Bad Request"
    assert error_of(response) == {
        "detail": "Concurrent request limit exceeded. Request blocked.",
        "o:errorCode": "CONCURRENCY_LIMIT_EXCEEDED",
    }
    assert "retry-after" not in response.headers


def test_pool_is_free_again_after_a_refusal(account: Any) -> None:
    for _ in range(7):
        assert account.query("SELECT nope FROM vendor").status_code == 400
    assert account.query(SQL).status_code == 200
    assert account.app.state.stats.in_flight == 0


def test_requests_beyond_the_pool_are_refused_while_it_is_full(make_account: Any) -> None:
    account = make_account(concurrency_limit=2, latency_s=0.05)
    headers = {"Prefer": "transient", **account.login()}

    async def burst() -> list[int]:
        transport = httpx.ASGITransport(account.app)
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            calls = [
                client.post("/services/rest/query/v1/suiteql", json={"q": SQL}, headers=headers)
                for _ in range(5)
            ]
            return sorted(answer.status_code for answer in await asyncio.gather(*calls))

    assert asyncio.run(burst()) == [200, 200, 429, 429, 429]
    assert account.app.state.stats.peak_in_flight == 2


def test_governance_limits_answer_administrators_only(make_account: Any) -> None:
    path = "/services/rest/system/v1/governanceLimits"
    plain = make_account()
    assert plain.http.get(path, headers=plain.login()).status_code == 403
    admin = make_account(is_administrator=True, concurrency_limit=15)
    answer = admin.http.get(path, headers=admin.login()).json()
    assert (answer["accountConcurrencyLimit"], answer["integrationLimitType"]) == (
        15,
        "accountLimit",
    )


def test_data_centre_urls_need_no_login(account: Any) -> None:
    answer = account.http.get("/rest/datacenterurls", params={"account": "1234567-sb1"})
    assert answer.json()["restDomain"] == "https://1234567-sb1.suitetalk.api.netsuite.com"
    assert account.http.get("/rest/datacenterurls", params={"account": "9"}).status_code == 400


def test_fault_plan_answers_in_place_of_the_account(make_account: Any) -> None:
    seen: list[RequestInfo] = []

    def hook(info: RequestInfo) -> Fault | None:
        seen.append(info)
        return Fault(status=429) if len(seen) == 2 else None

    account = make_account(fault_hook=hook)
    assert account.query(SQL).status_code == 429  # the login was the first request
    assert account.query(SQL).status_code == 200
    assert seen[1].path == "/services/rest/query/v1/suiteql"
    assert b"SELECT id" in seen[1].body


def test_fault_after_handling_keeps_the_write(make_account: Any) -> None:
    def hook(info: RequestInfo) -> Fault | None:
        return Fault(status=504, after_handling=True) if info.method == "PATCH" else None

    account = make_account(fault_hook=hook)
    response = account.http.patch(
        "/services/rest/record/v1/department/1", json={"name": "New"}, headers=account.login()
    )
    assert response.status_code == 504
    assert account.rows("SELECT name FROM department WHERE id = 1") == [{"name": "New"}]


def test_reason_of_a_refusal_is_kept_for_the_developer(account: Any) -> None:
    account.query("SELECT MEDIAN(id) FROM vendor")
    assert account.app.state.stats.refusals[-1] == "function MEDIAN is not on the list"


def test_token_endpoint_can_be_faulty_too(make_account: Any) -> None:
    account = make_account(
        fault_hook=lambda info: Fault(status=503) if "oauth2" in info.path else None
    )
    assert account.ask_token(account.assertion()).status_code == 503


def test_hundreds_of_key_pairs_are_understood(account: Any) -> None:
    pairs = " OR ".join(f"(transaction = 5 AND id = {n})" for n in range(800))
    sql = f"SELECT COUNT(*) n FROM transactionline WHERE {pairs}"
    assert account.rows(sql) == [{"n": "3"}]


def test_thousand_rows_by_id_list_are_fast(account: Any) -> None:
    rows = (
        {"id": str(n), "type": "VendBill", "tranid": f"INV-{n}", "entity": "1", "memo": "x",
         "trandate": "2026-03-02", "foreigntotal": "-12.50", "status": "A", "posting": "T",
         "currency": "1", "lastmodifieddate": "2026-03-02T17:05:41Z"}
        for n in range(1000, 11_000)
    )  # fmt: skip
    account.store.insert("transaction", rows)
    sql = (
        "SELECT id, type, tranid, entity, TO_CHAR(trandate, 'YYYY-MM-DD') d, foreigntotal, status, "
        "posting, currency, TO_CHAR(SYS_EXTRACT_UTC(lastmodifieddate), 'YYYY-MM-DD') m "
        "FROM transaction WHERE id IN ({}) ORDER BY id"
    )
    best = 1.0
    for start in (1000, 2000, 3000, 4000):
        text = sql.format(",".join(str(n) for n in range(start, start + 1000)))
        begun = time.perf_counter()
        assert len(account.engine.page(text, [], 1000, 0).items) == 1000
        best = min(best, time.perf_counter() - begun)
    assert best < 0.1  # about 8 ms when measured; generous, as the suite shares its processor
