import base64
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from nsn_pipeline.clients.encoded_query import Query, UnsafeValueError
from nsn_pipeline.clients.servicenow import BatchItem, ServiceNowClient
from nsn_pipeline.clients.table_urls import table_url
from nsn_pipeline.errors import (
    ConfigurationError,
    MissingTableError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ServerFaultError,
    ThrottledError,
    UnexpectedResponseError,
)
from nsn_pipeline_tests.unit.clients.support import Reply, rig, sent_json, servicenow_error


class Table:
    """A table that understands what the client sends: IN, =, sys_id>, limit, offset.

    The limit is applied before hidden rows are taken out, and the total counts them, as
    ServiceNow does.
    """

    def __init__(self, rows, *, hidden=(), widens: bool = False, totals: bool = True) -> None:
        self.rows = sorted(rows, key=lambda row: row["sys_id"])
        self.hidden = set(hidden)
        self.widens = widens
        self.totals = totals
        self.ignored: set[str] = set()
        self.batches = 0

    def __call__(self, request) -> Reply:
        if request.url.endswith("/batch"):
            self.batches += 1
            return self._batch(sent_json(request))
        return self._list(request.url)

    def _list(self, url: str) -> Reply:
        parts = urlsplit(url)
        params = {name: values[0] for name, values in parse_qs(parts.query).items()}
        conditions = list(self._conditions(params.get("sysparm_query", "")))
        matching = [row for row in self.rows if all(holds(row) for holds in conditions)]
        if "/stats/" in parts.path:
            return Reply(body={"result": {"stats": {"count": str(len(matching))}}})
        offset, limit = int(params.get("sysparm_offset", 0)), int(params["sysparm_limit"])
        assert params["sysparm_exclude_reference_link"] == "true"
        assert params["sysparm_display_value"] == "false"
        window = matching[offset : offset + limit]
        fields = params["sysparm_fields"].split(",")
        shown = [
            {name: row[name] for name in fields if name in row}
            for row in window
            if row["sys_id"] not in self.hidden
        ]
        headers = {"X-Total-Count": str(len(matching))} if self.totals else {}
        return Reply(body={"result": shown}, headers=headers)

    def _conditions(self, query: str):
        terms = [term for term in query.split("^") if term and not term.startswith("ORDERBY")]
        for term in terms:
            if term.startswith("sys_id>"):
                yield lambda row, last=term[7:]: row["sys_id"] > last
            elif self.widens or term.partition("=")[0] in self.ignored:
                continue
            elif "IN" in term:
                field, _, listed = term.partition("IN")
                values = set(listed.lower().split(","))
                yield lambda row, f=field, v=values: row.get(f, "").lower() in v
            else:
                field, _, value = term.partition("=")
                yield lambda row, f=field, v=value: row.get(f) == v

    def _batch(self, body) -> Reply:
        answers = []
        for item in body["rest_requests"]:
            reply = self._list(f"https://x{item['url']}")
            headers = [{"name": n, "value": v} for n, v in reply.headers.items()]
            content = base64.b64encode(reply.content()).decode()
            answers.append(
                {"id": item["id"], "status_code": 200, "body": content, "headers": headers}
            )
        return Reply(
            body={
                "batch_request_id": body["batch_request_id"],
                "serviced_requests": answers,
                "unserviced_requests": [],
            }
        )


def table_of(count: int, **options) -> Table:
    rows = [{"sys_id": f"{n:032x}", "u_key": f"K{n}", "name": f"n{n}"} for n in range(count)]
    return Table(rows, **options)


def client(replies, *, page_size: int = 3):
    r = rig(replies, attempts=1)
    return ServiceNowClient(r.http, page_size=page_size, now=lambda: 0.0), r


def keys(pages) -> list[str]:
    return [row["u_key"] for page in pages for row in page]


@pytest.mark.parametrize("count", [0, 1, 3, 4, 7])
def test_every_row_is_read_once_in_sys_id_order(count) -> None:
    subject, _ = client(table_of(count))
    assert keys(subject.rows("t", fields=["u_key"])) == [f"K{n}" for n in range(count)]


TEN = range(10)


def hex_ids(*numbers: int) -> list[str]:
    return [f"{n:032x}" for n in numbers]


@pytest.mark.parametrize(
    "hidden",
    [
        hex_ids(0),
        hex_ids(1),
        hex_ids(0, 1, 2),
        hex_ids(3, 4, 5, 6, 7),
        hex_ids(9),
        hex_ids(*range(10)),
    ],
    ids=["first", "inside", "whole page", "longer than a page", "last", "all"],
)
def test_rows_hidden_by_access_rules_end_nothing_early(hidden) -> None:
    subject, _ = client(table_of(10, hidden=hidden))
    expected = [f"K{n}" for n in range(10) if f"{n:032x}" not in hidden]
    assert keys(subject.rows("t", fields=["u_key"])) == expected


def test_without_a_total_header_the_rows_are_counted() -> None:
    subject, r = client(table_of(7, totals=False))
    assert len(keys(subject.rows("t", fields=["u_key"]))) == 7
    assert any("/api/now/stats/t" in request.url for request in r.server.requests)


def test_a_page_that_does_not_advance_is_refused() -> None:
    page = Reply(body={"result": [{"sys_id": "a"}]}, headers={"X-Total-Count": "9"})
    subject, _ = client([page])
    with pytest.raises(UnexpectedResponseError, match="advance"):
        list(subject.rows("t", fields=[]))


def test_a_row_without_sys_id_is_refused() -> None:
    page = Reply(body={"result": [{"name": "x"}]}, headers={"X-Total-Count": "1"})
    with pytest.raises(UnexpectedResponseError, match="sys_id"):
        list(client([page])[0].rows("t", fields=[]))


def test_a_sorted_query_cannot_be_paged_by_sys_id() -> None:
    with pytest.raises(ValueError, match="sort"):
        list(client([])[0].rows("t", query=Query().order_by("name"), fields=[]))


def test_references_sent_as_objects_become_their_ids() -> None:
    row = {"sys_id": "a", "vendor": {"link": "https://x", "value": "v1"}, "n": None, "active": True}
    page = Reply(body={"result": [row]}, headers={"X-Total-Count": "1"})
    assert list(client([page])[0].rows("t", fields=[])) == [
        [{"sys_id": "a", "vendor": "v1", "n": "", "active": "true"}]
    ]


def test_a_lookup_answers_for_every_key_and_keeps_duplicates_apart() -> None:
    table = table_of(4)
    table.rows[3]["u_key"] = "K1"
    subject, _ = client(table)
    found = subject.lookup("t", "u_key", ["K1", "K9", "K0", "K0"], ["name"])
    assert {key: [row["name"] for row in rows] for key, rows in found.items()} == {
        "K1": ["n1", "n3"],
        "K9": [],
        "K0": ["n0"],
    }


def test_a_widened_lookup_never_returns_strangers() -> None:
    subject, _ = client(table_of(4, widens=True))
    with pytest.raises(UnexpectedResponseError, match="not asked for"):
        subject.lookup("t", "u_key", ["K1"], [])


def test_a_lookup_by_an_unreadable_column_is_refused() -> None:
    table = table_of(2, widens=True)
    for row in table.rows:
        del row["u_key"]
    with pytest.raises(UnexpectedResponseError, match="unreadable"):
        client(table)[0].lookup("t", "u_key", ["K1"], [])


def test_a_match_in_another_case_is_neither_taken_nor_an_alarm() -> None:
    subject, _ = client(table_of(3))
    assert subject.lookup("t", "u_key", ["k1"], []) == {"k1": []}


def test_a_key_with_a_comma_is_looked_up_alone() -> None:
    table = table_of(2)
    table.rows[0]["u_key"] = "A, B"
    subject, r = client(table)
    assert len(subject.lookup("t", "u_key", ["A, B", "K1"], [])["A, B"]) == 1
    assert len(r.server.requests) == 2


@pytest.mark.parametrize("key", ["a^b", "a\nb", ""])
def test_a_key_no_query_can_carry_is_refused_before_any_call(key) -> None:
    subject, r = client(table_of(1))
    with pytest.raises(UnsafeValueError):
        subject.lookup("t", "u_key", ["K0", key], [])
    assert r.server.requests == []


def test_no_keys_need_no_call() -> None:
    subject, r = client(table_of(1))
    assert subject.lookup("t", "u_key", [], []) == {}
    assert r.server.requests == []


@pytest.mark.parametrize(("count", "batched"), [(300, False), (4000, True)])
def test_many_keys_travel_in_batches_and_every_url_stays_short(count, batched) -> None:
    table = table_of(count)
    subject, r = client(table, page_size=1000)
    wanted = [f"K{n}" for n in range(count)]
    found = subject.lookup("t", "u_key", wanted, ["name"])
    assert all(len(rows) == 1 for rows in found.values())
    assert (table.batches > 0) is batched
    urls = [request.url for request in r.server.requests]
    for request in r.server.requests:
        if request.url.endswith("/batch"):
            urls += [item["url"] for item in sent_json(request)["rest_requests"]]
    assert max(map(len, urls)) < 8000


def test_a_batched_lookup_with_an_incomplete_answer_is_read_by_pages() -> None:
    table = table_of(4000)
    subject, _ = client(table, page_size=300)
    found = subject.lookup("t", "u_key", [f"K{n}" for n in range(4000)], [])
    assert sum(map(len, found.values())) == 4000


def test_a_refused_batched_lookup_is_raised() -> None:
    def respond(request):
        body = sent_json(request)
        refusal = orjson.dumps({"error": {"message": "Insufficient rights to query records"}})
        answers = [
            {"id": i["id"], "status_code": 403, "body": base64.b64encode(refusal).decode()}
            for i in body["rest_requests"]
        ]
        return Reply(body={"serviced_requests": answers, "unserviced_requests": []})

    subject, _ = client(respond, page_size=1000)
    with pytest.raises(PermissionDeniedError):
        subject.lookup("t", "u_key", [f"K{n}" for n in range(4000)], [])


@pytest.mark.parametrize("count", [2, 40, 4000])
def test_rows_that_are_counted_and_not_shown_are_told_by_key(count) -> None:
    subject, _ = client(table_of(count, hidden=hex_ids(1)), page_size=1000)
    found = subject.find("t", "u_key", [f"K{n}" for n in range(count)], [])
    assert found.hidden == {"K1"}
    assert sum(map(len, found.rows.values())) == count - 1


def test_hidden_second_row_of_a_key_is_told() -> None:
    table = table_of(2, hidden=hex_ids(1))
    table.rows[1]["u_key"] = "K0"
    found = client(table)[0].find("t", "u_key", ["K0", "K7"], [])
    assert (len(found.rows["K0"]), found.hidden) == (1, {"K0"})


def test_more_hidden_rows_than_can_be_told_apart_are_a_missing_right() -> None:
    subject, _ = client(table_of(40, hidden=hex_ids(*range(30))), page_size=1000)
    with pytest.raises(PermissionDeniedError, match="30 of 40 rows"):
        subject.find("t", "u_key", [f"K{n}" for n in range(40)], [])


def test_look_up_of_a_load_does_not_sit_out_a_429() -> None:
    r = rig([Reply(429, b"")])
    subject = ServiceNowClient(r.http, now=lambda: 0.0)
    for wanted in (["K1"], [f"K{n}" for n in range(4000)]):
        with pytest.raises(ThrottledError):
            subject.find("t", "u_key", wanted, [])
    assert r.slept == []


def versioned(count: int, **options) -> Table:
    table = table_of(count, **options)
    for row in table.rows:
        row["sys_mod_count"] = "0"
    return table


def ids_of(table: Table) -> dict[str, str]:
    return {row["sys_id"]: "0" for row in table.rows}


def unchanged(table: Table, *, respond=None) -> frozenset[str] | None:
    wanted = {f"{n:032x}": "0" for n in range(4)} | ids_of(table)
    return client(respond or table)[0].unchanged("t", wanted)


def test_many_records_are_counted_by_one_call_that_brings_hardly_a_row() -> None:
    table = versioned(2000)
    subject, r = client(table)
    assert subject.unchanged("t", ids_of(table)) == set(ids_of(table))
    (call,) = r.server.requests
    urls = [item["url"] for item in sent_json(call)["rest_requests"]]
    asked = [parse_qs(urlsplit(url).query) for url in urls]
    assert all(one["sysparm_limit"] == ["1"] for one in asked)
    assert all(one["sysparm_suppress_pagination_header"] == ["true"] for one in asked)
    assert max(map(len, urls)) < 8000
    assert len(urls) < 15


@pytest.mark.parametrize("fault", ["changed", "gone"])
def test_query_that_counts_too_few_proves_none_of_its_rows_and_others_theirs(fault) -> None:
    table = versioned(2000)
    wanted = ids_of(table)
    sys_id = table.rows[1700]["sys_id"]
    if fault == "gone":
        del table.rows[1700]
    else:
        table.rows[1700]["sys_mod_count"] = "1"
    found = client(table)[0].unchanged("t", wanted)
    assert found is not None
    assert 1000 < len(found) < 2000
    assert sys_id not in found


def test_rows_are_counted_in_the_version_that_each_is_to_have() -> None:
    table = versioned(6)
    for row in table.rows[:2]:
        row["sys_mod_count"] = "3"
    wanted = {row["sys_id"]: row["sys_mod_count"] for row in table.rows}
    assert client(table)[0].unchanged("t", wanted) == set(wanted)
    assert client(table)[0].unchanged("t", dict.fromkeys(wanted, "3")) == set()


@pytest.mark.parametrize("rows", [4, 3], ids=["all there", "one gone"])
def test_count_of_a_version_that_is_not_heeded_tells_nothing(rows) -> None:
    deaf = versioned(rows)
    deaf.ignored = {"sys_mod_count"}  # an unknown column: its condition falls away
    assert unchanged(deaf) is None


def test_count_of_an_instance_that_heeds_no_condition_tells_nothing() -> None:
    assert unchanged(versioned(4, widens=True)) is None


def test_count_without_a_total_tells_nothing() -> None:
    assert unchanged(versioned(4, totals=False)) is None


@pytest.mark.parametrize(
    ("fault", "status", "told"),
    [
        ("count", 403, frozenset()),
        ("count", 429, frozenset()),
        ("control", 429, frozenset()),
        ("control", 403, None),  # so would be every other
    ],
)
def test_count_that_is_refused_proves_nothing(fault, status, told) -> None:
    table = versioned(4)

    def respond(request):
        reply = table(request)
        answer = reply.body["serviced_requests"][("count", "control").index(fault)]
        words = orjson.dumps({"error": {"message": "no"}})
        answer |= {"status_code": status, "body": base64.b64encode(words).decode(), "headers": []}
        return reply

    assert unchanged(table, respond=respond) == told


@pytest.mark.parametrize("number", [0, 1], ids=["count", "control"])
def test_count_that_was_not_run_proves_nothing(number) -> None:
    table = versioned(4)

    def respond(request):
        reply = table(request)
        late = reply.body["serviced_requests"].pop(number)
        reply.body["unserviced_requests"] = [late["id"]]
        return reply

    assert unchanged(table, respond=respond) == frozenset()


def test_rows_that_access_rules_hide_are_counted_all_the_same() -> None:
    assert len(unchanged(versioned(4, hidden=hex_ids(1))) or ()) == 4


def test_no_call_asks_for_more_than_a_batch_holds() -> None:
    table = versioned(12_000)
    subject, r = client(table)
    found = subject.unchanged("t", ids_of(table))
    (call,) = r.server.requests
    assert len(sent_json(call)["rest_requests"]) == 50
    assert found is not None
    assert 9_000 < len(found) < 12_000


def test_nothing_to_count_needs_no_call() -> None:
    subject, r = client(table_of(1))
    assert subject.unchanged("t", {}) == frozenset()
    assert r.server.requests == []


def test_count_of_a_load_does_not_sit_out_a_429() -> None:
    r = rig([Reply(429, b"")])
    with pytest.raises(ThrottledError):
        ServiceNowClient(r.http).unchanged("t", {"a" * 32: "0"})
    assert r.slept == []


def test_one_record_or_none() -> None:
    absent = servicenow_error("No Record found", "x", status=404)
    subject, r = client([Reply(body={"result": {"sys_id": "a", "n": "1"}}), absent])
    assert subject.table_get("t", "a", ["n"]) == {"sys_id": "a", "n": "1"}
    assert subject.table_get("t", "b/../c", ["n"]) is None
    assert "/api/now/table/t/b%2F..%2Fc?" in r.server.requests[1].url


@pytest.mark.parametrize("totals", [True, False], ids=["by header", "by aggregate"])
def test_counting(totals) -> None:
    subject, _ = client(table_of(7, totals=totals))
    assert subject.count("t") == 7
    assert subject.count("t", Query().where("u_key", "=", "K3")) == 1
    assert subject.stats("t", Query().where("u_key", "=", "K3")) == 1


@pytest.mark.parametrize("table", ["", "a/b", "a?b", "T", "../x"])
def test_a_table_name_cannot_leave_its_place_in_the_path(table) -> None:
    with pytest.raises(ConfigurationError):
        client([])[0].stats(table)


def test_a_batch_of_reads_is_tried_again_and_one_with_a_write_is_not() -> None:
    read, write = BatchItem("1", "GET", "/x"), BatchItem("2", "PATCH", "/x", {"a": "b"})
    for items, idempotent, kind in (
        ([read], None, ServerFaultError),
        ([read, write], None, OutcomeUnknownError),
        ([write], True, ServerFaultError),
    ):
        subject, _ = client([Reply(500, b"")])
        with pytest.raises(kind):
            subject.batch(items, idempotent=idempotent)


def test_an_empty_batch_needs_no_call() -> None:
    subject, r = client([])
    assert subject.batch([]) == []
    assert r.server.requests == []


def test_table_url_encodes_its_query() -> None:
    url = table_url("t", {"sysparm_query": "a=b c^ORDERBYx"}, sys_id="1f")
    assert url == "/api/now/table/t/1f?sysparm_query=a%3Db%20c%5EORDERBYx"


def element(table: str, name: str, kind: str, **more: str) -> dict[str, str]:
    facts = {"name": table, "element": name, "internal_type": kind, **more}
    return {"sys_id": f"{table}.{name}", **facts}


DICTIONARY = [
    element("task", "number", "string", unique="true"),
    element("task", "state", "integer", read_only="false"),
    element("proc_po", "state", "choice", max_length="1,000", mandatory="true", reference=""),
    element("elsewhere", "x", "string"),
]
PARENTS = {"proc_po": "task", "task": ""}


def extends(parent: str | dict[str, str]) -> dict[str, str]:
    if isinstance(parent, dict):  # as an access rule shows it
        return parent
    return {"super_class": parent and f"sys_id of {parent}", "super_class.name": parent}


def instance(*, dictionary=DICTIONARY, classes=PARENTS, meta=None, probe: Reply | None = None):
    def respond(request):
        parts = urlsplit(request.url)
        query = parse_qs(parts.query).get("sysparm_query", [""])[0]
        if parts.path == "/api/now/table/proc_po":
            return probe or Reply(body={"result": []}, headers={"X-Total-Count": "0"})
        if parts.path.startswith("/api/now/ui/meta"):
            return meta or servicenow_error("User Not Authorized", None, status=403)
        if parts.path.endswith("sys_db_object"):
            name = query.split("^")[0].removeprefix("name=")
            found = [{"sys_id": "d", "name": name, **extends(classes[name])}] if classes else []
        else:
            found = dictionary
        if isinstance(found, Reply):
            return found
        return Reply(body={"result": found}, headers={"X-Total-Count": str(len(found))})

    return client(respond, page_size=100)[0]


@pytest.mark.parametrize("shown", [{}, {"super_class": "sys_id of task"}])
def test_a_parent_that_is_hidden_is_no_parent_that_is_missing(shown: dict[str, str]) -> None:
    """Without its parents a table would seem to lack `number`: the UI's metadata is asked."""
    meta = Reply(body={"result": {"columns": {"number": {"type": "string"}}}})
    columns = instance(classes={"proc_po": shown}, meta=meta).columns("proc_po")
    assert columns is not None
    assert set(columns) == {"number"}
    assert instance(classes={"proc_po": shown}).columns("proc_po") is None


def test_a_dictionary_row_that_hides_its_column_makes_none_missing() -> None:
    partial = [element("task", "number", "string"), {"sys_id": "x", "name": "proc_po"}]
    assert instance(dictionary=partial).columns("proc_po") is None


def test_columns_include_inherited_ones_and_the_childs_word_wins() -> None:
    columns = instance().columns("proc_po")
    assert columns is not None
    assert set(columns) == {"number", "state"}
    assert (columns["number"].table, columns["number"].unique) == ("task", True)
    state = columns["state"]
    assert (state.table, state.type, state.max_length) == ("proc_po", "choice", 1000)
    assert (state.mandatory, state.read_only) == (True, None)


FORBIDDEN = servicenow_error("Insufficient rights to query records", None, status=403)


@pytest.mark.parametrize(
    "closed", [{"dictionary": FORBIDDEN}, {"dictionary": []}, {"classes": {}}],
    ids=["forbidden", "empty", "no class"],
)  # fmt: skip
def test_a_closed_dictionary_is_asked_of_the_ui_and_then_unknown(closed) -> None:
    meta = Reply(body={"result": {"columns": {"number": {"type": "string", "max_length": 40}}}})
    columns = instance(**closed, meta=meta).columns("proc_po")
    assert columns is not None
    assert columns["number"].max_length == 40
    assert instance(**closed).columns("proc_po") is None


def test_a_table_that_is_not_there_is_no_table_of_unknown_columns() -> None:
    probe = servicenow_error("Invalid table proc_po", None, status=400)
    with pytest.raises(MissingTableError) as caught:
        instance(probe=probe).columns("proc_po")
    assert caught.value.name == "proc_po"
