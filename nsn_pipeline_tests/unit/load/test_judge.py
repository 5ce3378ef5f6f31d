from dataclasses import replace
from typing import Any

import pytest

from nsn_pipeline.clients.servicenow import BatchReply
from nsn_pipeline.conform.reasons import Reason
from nsn_pipeline.errors import (
    ConfigurationError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ThrottledError,
)
from nsn_pipeline.load.judge import Judgement, Verdict, judge, prove
from nsn_pipeline.load.plan import Change
from nsn_pipeline.load.table import prepare
from nsn_pipeline_tests.unit.load.fake_servicenow import refusal
from nsn_pipeline_tests.unit.load.make import BILL, VENDOR, bill, column

TABLE = prepare(VENDOR)
SENT = {"name": "Acme", "u_active": "true", "u_netsuite_id": "451"}
CREATE = Change("create", "451", "451", "a" * 32, SENT, {})
UPDATE = Change("update", "451", "451", "a" * 32, {"name": "Acme"}, {"name": "Old"})
ECHO = {**SENT, "sys_id": "a" * 32, "phone": "", "notes": ""}


def answer(status: int | None, body: Any = None, error: Any = None) -> BatchReply:
    return BatchReply("0", status, body, error)


@pytest.mark.parametrize(("change", "status"), [(CREATE, 201), (UPDATE, 200)])
def test_echo_with_our_values_is_proof(change: Change, status: int) -> None:
    judgement = judge(TABLE, change, answer(status, {"result": ECHO}))
    assert (judgement.verdict, judgement.sys_id) == (Verdict.CONFIRMED, "a" * 32)


@pytest.mark.parametrize(
    ("echo", "remedy"),
    [
        ({k: v for k, v in ECHO.items() if k != "name"}, "does not show the column"),
        ({**ECHO, "name": ""}, "stored ''"),
        ({**ECHO, "name": "Acm"}, "stored 'Acm'"),
    ],
    ids=["missing", "dropped", "cut"],
)
def test_echo_without_our_value_is_not_stored(echo: dict[str, str], remedy: str) -> None:
    judgement = judge(TABLE, CREATE, answer(201, {"result": echo}))
    assert judgement.verdict is Verdict.FAILED
    (problem,) = judgement.problems
    assert (problem.reason, problem.column) == (Reason.NOT_STORED, "name")
    assert remedy in problem.remedy


def test_echo_may_spell_a_value_differently() -> None:
    judgement = judge(TABLE, CREATE, answer(201, {"result": {**ECHO, "u_active": "1"}}))
    assert judgement.verdict is Verdict.CONFIRMED


def test_echo_may_give_references_with_links_and_amounts_converted() -> None:
    wanted = bill(supplier="aa")
    change = Change("update", "9", "9", "1", wanted, {})
    echo = {**wanted, "sys_id": "1", "supplier": {"link": "l", "value": "aa"}}
    echo |= {"total_amount": "27.41", "u_total_amount": "30"}
    assert judge(prepare(BILL), change, answer(200, {"result": echo})).verdict is Verdict.CONFIRMED


def test_amount_that_was_not_stored_at_all_is_noticed() -> None:
    wanted = bill(supplier="aa")
    change = Change("update", "9", "9", "1", wanted, {})
    echo = {**wanted, "sys_id": "1", "total_amount": ""}
    (problem,) = judge(prepare(BILL), change, answer(200, {"result": echo})).problems
    assert problem.column == "total_amount"


@pytest.mark.parametrize("kind", ["create", "update"])
def test_another_amount_in_the_readers_currency_is_not_stored(kind: str) -> None:
    values = bill(supplier="aa") | ({"u_netsuite_id": "9"} if kind == "create" else {})
    change = Change(kind, "9", "9", "1", values, {})
    echo = {**values, "sys_id": "1", "total_amount": "1", "u_total_amount": "30"}
    echo["u_netsuite_id"] = "9"
    status = 201 if kind == "create" else 200
    judgement = judge(
        prepare(BILL, reader_currency="USD"), change, answer(status, {"result": echo})
    )
    assert judgement.verdict is Verdict.FAILED
    (problem,) = judgement.problems
    assert (problem.reason, problem.column) == (Reason.NOT_STORED, "total_amount")
    assert "stored '1' for 'USD;30.00'" in problem.remedy
    assert "SERVICENOW_CURRENCY" in problem.remedy


def test_creation_whose_amount_comes_back_as_it_was_sent_needs_no_full_read_back() -> None:
    values = bill(supplier="aa") | {"u_netsuite_id": "9"}
    echo = {**values, "sys_id": "1", "total_amount": "30", "u_total_amount": "30.00"}
    echo["sys_mod_count"] = "0"
    change = Change("create", "9", "9", "1", values, {})
    judgement = judge(prepare(BILL, reader_currency="USD"), change, answer(201, {"result": echo}))
    assert (judgement.verdict, judgement.version) == (Verdict.CONFIRMED, "0")


def test_column_that_servicenow_owns_may_be_overwritten_or_hidden() -> None:
    change = Change("create", "451", "451", "a" * 32, {**SENT, "notes": "x"}, {})
    for echo in ({**ECHO, "notes": "other"}, {k: v for k, v in ECHO.items() if k != "notes"}):
        assert judge(TABLE, change, answer(201, {"result": echo})).verdict is Verdict.CONFIRMED


@pytest.mark.parametrize(
    ("given", "echoed", "untaken"),
    [
        ("x", "", ("notes",)),
        ("x", None, ("notes",)),
        ("x", "by a rule", ()),
        ("x", "x", ()),
        ("", "", ()),
    ],
    ids=["dropped", "not shown", "a rule's own", "taken", "nothing given"],
)
def test_column_of_servicenow_that_did_not_take_our_value_is_told_and_no_fault(
    given: str, echoed: str | None, untaken: tuple[str, ...]
) -> None:
    change = Change("create", "451", "451", "a" * 32, {**SENT, "phone": "", "notes": given}, {})
    echo = {**VERSIONED, "notes": echoed}
    if echoed is None:
        del echo["notes"]
    judgement = judge(TABLE, change, answer(201, {"result": echo}))
    assert (judgement.verdict, judgement.problems) == (Verdict.CONFIRMED, ())
    assert judgement.untaken == untaken
    assert prove(judgement, [FOUND]) == Judgement(Verdict.PROVEN, "a" * 32, untaken=untaken)


def test_flag_that_was_never_set_is_no_value_that_was_not_taken() -> None:
    target = replace(VENDOR, columns=(*VENDOR.columns, column("u_new", "flag", owner="servicenow")))
    change = Change("create", "451", "451", "a" * 32, {**SENT, "u_new": "false"}, {})
    echo = {**VERSIONED, "u_new": ""}
    assert judge(prepare(target), change, answer(201, {"result": echo})).untaken == ()


def test_key_that_was_not_kept_is_a_fault_of_the_record() -> None:
    echo = {k: v for k, v in ECHO.items() if k != "u_netsuite_id"}
    judgement = judge(TABLE, CREATE, answer(201, {"result": echo}))
    assert (judgement.verdict, judgement.lost_key) == (Verdict.FAILED, True)
    assert judgement.problems[0].reason is Reason.NOT_STORED


def test_table_may_choose_its_own_sys_id() -> None:
    judgement = judge(TABLE, CREATE, answer(201, {"result": {**ECHO, "sys_id": "b" * 32}}))
    assert (judgement.verdict, judgement.sys_id) == (Verdict.CONFIRMED, "b" * 32)


def test_item_that_was_not_run_is_sent_again() -> None:
    assert judge(TABLE, CREATE, answer(None)).verdict is Verdict.RESEND


TIMED_OUT = refusal("Transaction cancelled: maximum execution time exceeded", "")


@pytest.mark.parametrize(
    "reply",
    [
        answer(None, None, OutcomeUnknownError("lost")),
        answer(202, {"result": ECHO}),
        answer(201, None),
        answer(201, {"result": ECHO, **TIMED_OUT}),
        answer(200, {"result": ECHO}),
        answer(201, {"result": []}),
        answer(401, refusal("User Not Authenticated", "Required")),
        answer(429, None),
        answer(500, TIMED_OUT),
        answer(503, None),
    ],
    ids=[
        "lost",
        "202",
        "cut",
        "error in 201",
        "wrong 2xx",
        "list",
        "401",
        "429",
        "time-out",
        "503",
    ],
)
def test_answer_that_proves_nothing_is_looked_up(reply: BatchReply) -> None:
    assert judge(TABLE, CREATE, reply).verdict is Verdict.UNKNOWN


def test_advice_to_wait_is_kept() -> None:
    reply = answer(429, None, ThrottledError("slow", retry_after_s=7))
    assert judge(TABLE, CREATE, reply).retry_after_s == 7


def test_row_that_vanished_since_it_was_read_is_looked_up() -> None:
    reply = answer(404, refusal("No Record found", "Record doesn't exist"))
    assert judge(TABLE, UPDATE, reply).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("status", "detail"),
    [
        (403, "Error during insert of core_company (Acme)"),
        (500, "Unique Key violation detected by database ((conn=1) Duplicate entry 'x')"),
        (403, "Something new that gives no reason"),
    ],
)
def test_refused_creation_that_may_mean_an_existing_row_is_looked_up(
    status: int, detail: str
) -> None:
    judgement = judge(TABLE, CREATE, answer(status, refusal("Operation Failed", detail)))
    assert judgement.verdict is Verdict.CLASH


@pytest.mark.parametrize(
    "detail",
    [
        "Data Policy Exception: The following fields are mandatory: Supplier",
        "Operation against file 'core_company' was aborted by Business Rule 'Lock^ab'. Business",
        "ACL Exception Insert Failed due to security constraints",
    ],
    ids=["data policy", "business rule", "acl"],
)
@pytest.mark.parametrize("change", [CREATE, UPDATE], ids=["create", "update"])
def test_refusal_keeps_servicenows_words(change: Change, detail: str) -> None:
    judgement = judge(TABLE, change, answer(403, refusal("Operation Failed", detail)))
    assert judgement.verdict is Verdict.FAILED
    (problem,) = judgement.problems
    assert problem.reason is Reason.REFUSED_BY_SERVICENOW
    assert detail in str(problem.value)
    assert detail in problem.remedy


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (
            answer(403, refusal("User Not Authorized", "Failed API level ACL Validation")),
            PermissionDeniedError,
        ),
        (answer(400, refusal("Invalid table core_company", "")), ConfigurationError),
    ],
)
def test_refusal_that_no_record_can_cure_stops_the_run(
    reply: BatchReply, error: type[Exception]
) -> None:
    with pytest.raises(error):
        judge(TABLE, CREATE, reply)


VERSIONED = {**ECHO, "sys_mod_count": "0"}
FOUND = {"sys_id": "a" * 32, "u_netsuite_id": "451", "sys_mod_count": "0"}


def test_creation_read_back_in_the_version_of_its_echo_is_proven() -> None:
    confirmed = judge(TABLE, CREATE, answer(201, {"result": VERSIONED}))
    assert prove(confirmed, [FOUND]).verdict is Verdict.PROVEN


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [FOUND, {**FOUND, "sys_id": "b" * 32}],
        [{**FOUND, "sys_id": "b" * 32}],
        [{**FOUND, "sys_mod_count": "1"}],
        [{"sys_id": "a" * 32, "u_netsuite_id": "451"}],
    ],
    ids=["gone", "twice", "another record", "changed since", "version hidden"],
)
def test_read_back_that_shows_anything_else_proves_nothing(rows: list[dict[str, str]]) -> None:
    confirmed = judge(TABLE, CREATE, answer(201, {"result": VERSIONED}))
    assert prove(confirmed, rows) == confirmed


@pytest.mark.parametrize(
    ("change", "status", "echo"),
    [
        (CREATE, 201, ECHO),
        (Change("create", "451", "451", "a" * 32, {**SENT, "phone": ""}, {}), 201,
         {**VERSIONED, "phone": "000"}),
        (UPDATE, 200, VERSIONED),
    ],
    ids=["without a version", "a default filled a column", "an update"],
)  # fmt: skip
def test_echo_that_does_not_show_all_we_want_leaves_the_record_to_a_full_read_back(
    change: Change, status: int, echo: dict[str, str]
) -> None:
    confirmed = judge(TABLE, change, answer(status, {"result": echo}))
    assert (confirmed.verdict, confirmed.version) == (Verdict.CONFIRMED, "")
