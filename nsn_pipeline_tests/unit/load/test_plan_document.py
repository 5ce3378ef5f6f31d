"""A plan as data: what is saved is what is read, and nothing else is taken for it."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from nsn_pipeline.conform.reasons import Reason
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.load.plan import Change, Wanted, plan_retirement
from nsn_pipeline.load.plan_document import (
    FORMAT,
    Approved,
    Failing,
    PlanDocument,
    PlannedChange,
    Scope,
    moved,
    read_plan,
)
from nsn_pipeline.load.sys_id import deterministic_sys_id
from nsn_pipeline.load.table import prepare
from nsn_pipeline.profiles.model import Retirement
from nsn_pipeline_tests.unit.load.fake_servicenow import FakeServiceNow
from nsn_pipeline_tests.unit.load.make import (
    BILL,
    VENDOR,
    bill,
    frame,
    load,
    loader,
    resolver,
    vendors,
)

TABLE = "core_company"
UPDATE = Change("update", "1", "1", "a" * 32, {"name": "New"}, {"name": "Old"})
CREATE = Change("create", "2", "2", "b" * 32, {"name": "N°2", "u_netsuite_id": "2"}, {})
DELETE = Change("retire", "3-1", "3", "c" * 32, {}, {"name": "Gone"})


def planned(*changes: Change) -> list[PlannedChange]:
    return planned_for(TABLE, *changes)


def planned_for(table: str, *changes: Change) -> list[PlannedChange]:
    return [PlannedChange("vendor", table, change) for change in changes]


def document(*changes: Change) -> PlanDocument:
    return PlanDocument(
        Scope("1234567_SB1", "dev1", "seed", "abc", "2026-03-02", "2026-03-08", ("vendor",)),
        made_at="2026-03-09T08:00:00+00:00",
        runs=["r1"],
        counts={TABLE: {"update": 1, "unchanged": 7}},
        changes=planned(*changes),
        failing=[Failing("vendor", "9", ("KEY_CONFLICT",), "Set it back.")],
        differs={"proc_po.total_cost": 2},
    )


ABROAD = Change(
    "update", "9", "9", "d" * 32,
    {"total_amount": "EUR;30.00", "u_total_amount": "30.00"},
    {"total_amount": "31.20", "u_total_amount": "29"},
    ("total_amount",),
)  # fmt: skip


@pytest.mark.parametrize("changes", [(), (UPDATE,), (UPDATE, CREATE, DELETE), (ABROAD,)])
def test_what_is_saved_is_what_is_read(changes: tuple[Change, ...]) -> None:
    saved = document(*changes)
    assert read_plan(saved.text(), "p.json") == saved


def test_saved_plan_is_json_with_a_change_a_line_and_the_version_of_its_format() -> None:
    text = document(UPDATE, CREATE, DELETE).text().decode()
    data = json.loads(text)
    assert data["format"] == FORMAT == "nsn-plan/1"
    assert [one["kind"] for one in data["changes"]] == ["update", "create", "retire"]
    assert sum(line.lstrip().startswith('{"record_type"') for line in text.splitlines()) == 3
    assert data["fields"] == {f"{TABLE}.name": 1}  # new and deleted records change no column


def edited(**changes: object) -> bytes:
    return json.dumps(json.loads(document(UPDATE).text()) | changes).encode()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{", "is not a plan"),
        (b"[]", "is not a plan this version reads"),
        (edited(format="nsn-plan/2"), "nsn-plan/2"),
        (edited(changes=[]), "was changed after it was saved"),
        (edited(digest="0" * 32), "was changed after it was saved"),
    ],
    ids=["cut off", "other JSON", "later version", "edited", "other digest"],
)
def test_anything_else_is_refused(text: bytes, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read_plan(text, "p.json")


def test_layout_of_the_file_is_not_the_plan() -> None:
    again = json.dumps(json.loads(document(UPDATE, CREATE).text()), indent=3, sort_keys=True)
    assert read_plan(again.encode(), "p.json") == document(UPDATE, CREATE)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ((UPDATE,), (), "there is nothing to update any more"),
        ((), (CREATE,), "create was not planned"),
        (
            (UPDATE,),
            (UPDATE._replace(values={"name": "Newer"}),),
            "name: planned 'Old' -> 'New', now 'Old' -> 'Newer'",
        ),
        (
            (UPDATE,),
            (UPDATE._replace(before={"name": "Edited"}),),
            "name: planned 'Old' -> 'New', now 'Edited' -> 'New'",
        ),
        (
            (CREATE,),
            (CREATE._replace(kind="update", sys_id="d" * 32),),
            f"planned was create of {'b' * 32}, now it would be update of {'d' * 32}",
        ),
    ],
    ids=["gone", "new", "NetSuite moved", "ServiceNow moved", "another record"],
)
def test_what_moved_is_said(
    before: tuple[Change, ...], after: tuple[Change, ...], words: str
) -> None:
    (one,) = moved(planned(*before), planned(*after))
    assert words in "; ".join(one.lines())


def test_the_same_plan_in_another_order_has_not_moved() -> None:
    assert moved(planned(UPDATE, CREATE), planned(CREATE, UPDATE)) == []


def at_another_rate(change: Change) -> Change:
    return change._replace(before={**change.before, "total_amount": "33.07"})


def test_amount_that_is_shown_at_another_rate_has_not_moved() -> None:
    now = at_another_rate(ABROAD)
    assert moved(planned(ABROAD), planned(now)) == []
    assert Approved(planned(ABROAD)).permits(TABLE, now, is_follow_up=False)


def test_what_moved_beside_an_amount_at_another_rate_is_said_alone() -> None:
    edited = at_another_rate(ABROAD)
    edited = edited._replace(before={**edited.before, "u_total_amount": "28"})
    (one,) = moved(planned(ABROAD), planned(edited))
    assert list(one.lines()) == ["u_total_amount: planned '29' -> '30.00', now '28' -> '30.00'"]
    assert not Approved(planned(ABROAD)).permits(TABLE, edited, is_follow_up=False)


def test_amount_that_is_shown_as_it_is_stored_has_moved_with_its_edit() -> None:
    judged = ABROAD._replace(converted=())
    assert len(moved(planned(judged), planned(at_another_rate(judged)))) == 1


def test_amounts_of_a_deleted_record_are_no_reason_to_plan_again() -> None:
    bill = replace(BILL, retire=Retirement("delete"))
    row = {"sys_id": "1", "u_netsuite_id": "9", "total_amount": "31.20", "u_total_amount": "30"}
    gone = [Wanted("9", "9", {})]
    then, now, other = (
        plan_retirement(prepare(bill), gone, {"9": [{**row, **shown}]}).changes
        for shown in ({}, {"total_amount": "33.07"}, {"u_total_amount": "29"})
    )
    assert moved(planned(*then), planned(*now)) == []
    assert len(moved(planned(*then), planned(*other))) == 1


def test_plan_of_a_foreign_amount_is_carried_out_at_another_rate() -> None:
    fake = FakeServiceNow()
    fake.seed("core_company", [{"sys_id": "v" * 32, "u_netsuite_id": "451"}])
    fake.converted, fake.reader_currency = {"total_amount": Decimal("1.04")}, "USD"
    rows = [
        frame(BILL, {"9": bill(currency="EUR", total_amount=f"EUR;{total}", u_total_amount=total)})
        for total in ("29.00", "30.00")
    ]
    load(fake, rows[0], target=BILL, reader_currency="USD")
    agreed = load(fake, rows[1], target=BILL, reader_currency="USD", plan_only=True).plan.changes
    fake.converted = {"total_amount": Decimal("1.10")}
    fake.writes.clear()
    with loader(fake, reader_currency="USD") as writer:
        writer.limit_to(Approved(planned_for("sn_apo_invoice", *agreed)))
        result = writer.load(BILL, rows[1], resolver=resolver(fake))
    assert {key: r.status for key, r in result.records.items()} == {"9": "updated"}
    assert [body for _, _, body in fake.writes] == [agreed[0].values]


# -- the load step holds to the plan, too ----------------------------------------------------------


def bound(fake: FakeServiceNow, rows, *changes: Change):
    with loader(fake) as writer:
        writer.limit_to(Approved(planned(*changes)))
        return writer.load(VENDOR, rows, resolver=resolver(fake))


def plan_of(fake: FakeServiceNow, rows) -> list[Change]:
    return load(fake, rows, plan_only=True).plan.changes


def test_agreed_changes_are_carried_out_and_no_others() -> None:
    fake = FakeServiceNow()
    rows = vendors(v1="Acme", v2="Bolt")
    agreed = [change for change in plan_of(fake, rows) if change.key == "v1"]
    result = bound(fake, rows, *agreed)
    assert {k: r.status for k, r in result.records.items()} == {"v1": "created", "v2": "failed"}
    (problem,) = result.records["v2"].problems
    assert problem.reason is Reason.NOT_IN_PLAN
    assert list(fake.by_key(TABLE)) == ["v1"]


def with_our_record_under(fake: FakeServiceNow, other_key: str) -> dict[str, str]:
    """Somebody cleared or changed the key of the record that was made for v1."""
    load(fake, vendors(v1="Acme"))
    row = fake.tables[TABLE][deterministic_sys_id("dev1", TABLE, "v1")]
    row["u_netsuite_id"] = other_key
    fake.writes.clear()
    return row


def test_plan_of_a_record_whose_key_was_cleared_is_what_a_sync_does() -> None:
    fake = FakeServiceNow()
    row = with_our_record_under(fake, "")
    rows = vendors(v1="Acme Ltd", v2="Bolt")
    agreed = {change.key: change for change in plan_of(fake, rows)}
    assert (agreed["v1"].kind, agreed["v1"].sys_id) == ("update", row["sys_id"])
    assert agreed["v1"].values == {"name": "Acme Ltd", "u_netsuite_id": "v1"}
    assert agreed["v2"].kind == "create"
    twin = FakeServiceNow()
    with_our_record_under(twin, "")

    result = bound(fake, rows, *agreed.values())
    plain = load(twin, rows)

    expected = {"v1": "updated", "v2": "created"}
    for done in (result, plain):
        assert {key: record.status for key, record in done.records.items()} == expected
    assert ("PATCH", TABLE, agreed["v1"].values) in fake.writes
    assert sorted(fake.tables[TABLE]) == sorted(twin.tables[TABLE])
    assert {k: {**r, "sys_mod_count": ""} for k, r in fake.tables[TABLE].items()} == {
        k: {**r, "sys_mod_count": ""} for k, r in twin.tables[TABLE].items()
    }


@pytest.mark.parametrize("is_hidden", [False, True], ids=["key of another", "hidden from us"])
def test_plan_of_a_record_that_cannot_be_made_fails_as_a_sync_does(is_hidden: bool) -> None:
    fake = FakeServiceNow()
    row = with_our_record_under(fake, "" if is_hidden else "v9")
    if is_hidden:
        fake.unseen.add(row["sys_id"])
    before = dict(row)
    results = [
        load(fake, vendors(v1="Acme Ltd"), plan_only=True),
        bound(fake, vendors(v1="Acme Ltd"), CREATE._replace(key="v1")),
        load(fake, vendors(v1="Acme Ltd")),
    ]
    reason = Reason.HIDDEN_IN_SERVICENOW if is_hidden else Reason.KEY_CONFLICT
    for result in results:
        (problem,) = result.records["v1"].problems
        assert problem.reason is reason
        assert "create" not in result.plan.counts() or result is results[-1]
    assert (fake.tables[TABLE], fake.writes) == ({row["sys_id"]: before}, [])


def test_record_that_was_edited_after_the_check_is_left_alone() -> None:
    fake = FakeServiceNow()
    load(fake, vendors(v1="Acme"))
    rows = vendors(v1="Acme Ltd")
    agreed = plan_of(fake, rows)
    sys_id = deterministic_sys_id("dev1", TABLE, "v1")
    fake.tables[TABLE][sys_id]["name"] = "Edited by a person"
    fake.writes.clear()
    result = bound(fake, rows, *agreed)
    assert result.records["v1"].problems[0].reason is Reason.NOT_IN_PLAN
    assert (fake.writes, fake.tables[TABLE][sys_id]["name"]) == ([], "Edited by a person")


def test_record_that_somebody_made_meanwhile_is_not_overwritten() -> None:
    fake = FakeServiceNow()
    rows = vendors(v1="Acme")
    agreed = plan_of(fake, rows)
    sys_id = deterministic_sys_id("dev1", TABLE, "v1")
    theirs = {"sys_id": sys_id, "u_netsuite_id": "v1", "name": "Theirs", "u_active": "true"}
    kept = [theirs]
    fake.before_batch = lambda: fake.seed(TABLE, [kept.pop()] if kept else [])
    result = bound(fake, rows, *agreed)
    assert result.records["v1"].problems[0].reason is Reason.NOT_IN_PLAN
    assert fake.tables[TABLE][sys_id]["name"] == "Theirs"


@pytest.mark.parametrize("mishap", ["lost", "timed_out", "forgotten"])
def test_agreed_change_is_completed_after_an_answer_that_proved_nothing(mishap: str) -> None:
    fake = FakeServiceNow(mishaps=[mishap])
    rows = vendors(v1="Acme")
    result = bound(fake, rows, *plan_of(fake, rows))
    assert result.records["v1"].status == "created"
    assert fake.by_key(TABLE)["v1"][0]["name"] == "Acme"


def test_default_that_filled_an_empty_column_is_cleared_as_part_of_the_agreed_change() -> None:
    fake = FakeServiceNow()
    fake.defaults = {"phone": "000"}
    rows = vendors(v1="Acme")
    assert bound(fake, rows, *plan_of(fake, rows)).records["v1"].status == "created"
    assert fake.by_key(TABLE)["v1"][0]["phone"] == ""
