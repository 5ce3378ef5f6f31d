"""One table's rows retired: planned, sent, judged and proven by a look-up."""

from dataclasses import replace

import pytest

from nsn_pipeline.conform.reasons import Reason
from nsn_pipeline.errors import OutcomeUnknownError
from nsn_pipeline.load.judge import Verdict, judge
from nsn_pipeline.load.ledger import LoadResult
from nsn_pipeline.load.plan import Change, Wanted, plan_retirement
from nsn_pipeline.load.table import prepare
from nsn_pipeline.profiles.model import Retirement, Target
from nsn_pipeline_tests.unit.load.fake_servicenow import FakeServiceNow, refusal
from nsn_pipeline_tests.unit.load.make import BILL_LINE, VENDOR, load, loader, vendors

DELETED = replace(VENDOR, retire=Retirement("delete"))
INACTIVE = replace(VENDOR, retire=Retirement("set", (("u_active", "false"),)))
TABLE = "core_company"
ROW = {"sys_id": "a" * 32, "u_netsuite_id": "v1", "name": "Acme", "u_active": "true"}


@pytest.fixture
def fake() -> FakeServiceNow:
    instance = FakeServiceNow()
    load(instance, vendors(v1="Acme", v2="Bolt"))
    instance.writes.clear()
    return instance


def retire(
    fake: FakeServiceNow,
    *keys: str,
    target: Target = DELETED,
    plan_only: bool = False,
    slept: list[float] | None = None,
) -> LoadResult:
    with loader(fake, slept=slept) as writer:
        return writer.retire(target, {key: key for key in keys}, plan_only=plan_only)


def planned(target: Target, *rows: dict[str, str]) -> list[Change]:
    gone = [Wanted("v1", "v1", {})]
    return plan_retirement(prepare(target), gone, {"v1": rows}).changes


# -- planning --------------------------------------------------------------------------------------


def test_a_deletion_sends_nothing_and_remembers_all_that_was_ours() -> None:
    (change,) = planned(DELETED, {**ROW, "phone": ""})
    assert (change.kind, change.values, change.deletes) == ("retire", {}, True)
    assert change.before == {"u_netsuite_id": "v1", "name": "Acme", "u_active": "true"}


def test_a_row_that_is_set_inactive_sends_what_differs() -> None:
    (change,) = planned(INACTIVE, ROW)
    assert (change.kind, change.values) == ("retire", {"u_active": "false"})
    assert change.before == {"u_active": "true"}
    assert not change.deletes


@pytest.mark.parametrize("target", [DELETED, INACTIVE], ids=["delete", "set"])
def test_a_row_that_is_not_there_is_unchanged(target: Target) -> None:
    (change,) = planned(target)
    assert (change.kind, change.sys_id) == ("unchanged", "")


def test_a_row_that_is_retired_already_is_unchanged() -> None:
    (change,) = planned(INACTIVE, {**ROW, "u_active": "0"})
    assert (change.kind, change.sys_id) == ("unchanged", ROW["sys_id"])


def test_several_rows_under_one_key_are_a_problem() -> None:
    plan = plan_retirement(
        prepare(DELETED), [Wanted("v1", "v1", {})], {"v1": [ROW, {**ROW, "sys_id": "b" * 32}]}
    )
    assert plan.changes == []
    assert plan.problems["v1"].reason is Reason.DUPLICATE_IN_SERVICENOW


# -- judging ---------------------------------------------------------------------------------------


class Answer:
    def __init__(self, status: int | None, body: object = None) -> None:
        self.status, self.body, self.error = status, body, None


DELETION = Change("retire", "v1", "v1", "a" * 32, {}, {})
REFUSED = refusal("Operation Failed", "ACL Exception Delete Failed due to security constraints")


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (Answer(204), Verdict.CONFIRMED),
        (Answer(404, refusal("No Record found", "")), Verdict.CONFIRMED),  # gone already, perhaps
        (Answer(None), Verdict.RESEND),
        (Answer(202), Verdict.UNKNOWN),
        (Answer(200, {"result": {}}), Verdict.UNKNOWN),
        (Answer(429), Verdict.UNKNOWN),
        (Answer(403, REFUSED), Verdict.FAILED),
    ],
    ids=lambda value: str(getattr(value, "status", value)),
)
def test_answers_to_a_deletion(answer: Answer, verdict: Verdict) -> None:
    assert judge(prepare(DELETED), DELETION, answer).verdict is verdict


# -- carrying out ----------------------------------------------------------------------------------


def test_rows_are_deleted_once_and_no_other_row_is(fake: FakeServiceNow) -> None:
    result = retire(fake, "v1")
    assert result.counts()["retired"] == 1
    assert set(fake.by_key(TABLE)) == {"v2"}
    again = retire(fake, "v1")
    assert again.counts()["unchanged"] == 1
    assert [method for method, _, _ in fake.writes] == ["DELETE"]


def test_a_row_set_inactive_is_read_back_and_a_second_run_writes_nothing(
    fake: FakeServiceNow,
) -> None:
    assert retire(fake, "v1", target=INACTIVE).counts()["retired"] == 1
    assert fake.by_key(TABLE)["v1"][0]["u_active"] == "false"
    assert retire(fake, "v1", target=INACTIVE).counts()["unchanged"] == 1
    assert fake.writes == [("PATCH", TABLE, {"u_active": "false"})]


def test_a_record_that_comes_back_is_put_right_by_the_ordinary_load(fake: FakeServiceNow) -> None:
    retire(fake, "v1", target=INACTIVE)
    assert load(fake, vendors(v1="Acme")).counts()["updated"] == 1
    assert fake.by_key(TABLE)["v1"][0]["u_active"] == "true"


@pytest.mark.parametrize("mishap", ["lost", "throttled", "unserviced", "forgotten", "accepted"])
def test_a_deletion_whose_end_is_unknown_is_looked_up_before_it_is_sent_again(
    fake: FakeServiceNow, mishap: str
) -> None:
    fake.mishaps.append(mishap)
    result = retire(fake, "v1")
    assert result.counts()["retired"] == 1
    assert set(fake.by_key(TABLE)) == {"v2"}
    deletions = [method for method, _, _ in fake.writes]
    assert len(deletions) == (2 if mishap == "forgotten" else 1)


def test_a_lost_call_that_deleted_is_recognised(fake: FakeServiceNow) -> None:
    fake.call_errors.append(OutcomeUnknownError("timed out"))
    assert retire(fake, "v1", "v2").counts()["retired"] == 2
    assert len(fake.writes) == 2


def test_a_refused_deletion_is_told_in_servicenows_words(fake: FakeServiceNow) -> None:
    fake.mishaps.append("refused:ACL Exception Delete Failed due to security constraints")
    result = retire(fake, "v1")
    record = result.records["v1"]
    assert record.status == "failed"
    assert record.problems[0].reason is Reason.REFUSED_BY_SERVICENOW
    assert "ACL Exception Delete Failed" in record.problems[0].remedy
    assert set(fake.by_key(TABLE)) == {"v1", "v2"}


def test_a_row_that_says_gone_and_stays_is_a_failure(fake: FakeServiceNow) -> None:
    (row,) = fake.by_key(TABLE)["v1"]
    fake.hidden.add(row["sys_id"])
    record = retire(fake, "v1").records["v1"]
    assert record.status == "failed"
    assert record.problems[0].reason is Reason.NOT_STORED


def test_a_plan_says_what_would_be_retired_and_writes_nothing(fake: FakeServiceNow) -> None:
    result = retire(fake, "v1", plan_only=True)
    assert result.counts()["planned"] == 1
    assert [change.kind for change in result.plan.changes] == ["retire"]
    assert fake.writes == []


def test_lines_are_found_by_parent(fake: FakeServiceNow) -> None:
    fake.seed("sn_apo_invoice_line", [{"sys_id": "1", "invoice": "h", "u_netsuite_id": "9-1"}])
    with loader(fake) as writer:
        found = writer.find(BILL_LINE.table, "invoice", ["h", "other"], ("sys_id", "u_netsuite_id"))
        assert writer.held(BILL_LINE) == 1
    assert [row["u_netsuite_id"] for row in found.rows["h"]] == ["9-1"]
