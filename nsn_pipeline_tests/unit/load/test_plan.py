from dataclasses import replace

import pytest

from nsn_pipeline.conform.reasons import Reason
from nsn_pipeline.load.plan import Wanted, ends, plan
from nsn_pipeline.load.sys_id import deterministic_sys_id
from nsn_pipeline.load.table import prepare
from nsn_pipeline.profiles.model import Retirement, Target
from nsn_pipeline_tests.unit.load.make import BILL, VENDOR, bill

ACME = {"name": "Acme", "phone": "", "u_active": "true", "notes": "first"}
ROW = {"sys_id": "f" * 32, "u_netsuite_id": "451", **ACME}


def run(target: Target, *wanted: Wanted, present=None, reader_currency="", **options):
    table = prepare(target, reader_currency=reader_currency)
    return plan(table, wanted, present or {}, instance="dev1", **options)


def test_absent_record_is_created_with_its_own_sys_id_its_key_and_every_column() -> None:
    (change,) = run(VENDOR, Wanted("451", "451", ACME)).changes
    assert change.kind == "create"
    assert change.sys_id == deterministic_sys_id("dev1", "core_company", "451")
    assert change.values == {
        "name": "Acme",
        "phone": "",
        "u_active": "true",
        "notes": "first",
        "u_netsuite_id": "451",
    }
    assert change.before == {}


def test_only_differing_columns_are_updated_and_the_old_values_are_kept() -> None:
    wanted = Wanted("451", "451", {**ACME, "name": "Acme Ltd", "phone": ""})
    present = {"451": [{**ROW, "phone": "555", "u_active": "1"}]}
    (change,) = run(VENDOR, wanted, present=present).changes
    assert (change.kind, change.sys_id) == ("update", "f" * 32)
    assert change.values == {"name": "Acme Ltd", "phone": ""}
    assert change.before == {"name": "Acme", "phone": "555"}


def test_column_that_servicenow_owns_is_not_compared() -> None:
    present = {"451": [{**ROW, "notes": "edited by a person"}]}
    assert run(VENDOR, Wanted("451", "451", ACME), present=present).changes[0].kind == "unchanged"


def test_column_missing_from_the_answer_counts_as_empty() -> None:
    row = {name: text for name, text in ROW.items() if name != "phone"}
    (change,) = run(VENDOR, Wanted("451", "451", ACME), present={"451": [row]}).changes
    assert change.kind == "unchanged"


def test_reference_with_a_link_is_compared_by_its_sys_id() -> None:
    wanted = bill(supplier="aa")
    row = {"sys_id": "1", **wanted, "supplier": {"link": "https://x/aa", "value": "aa"}}
    (change,) = run(BILL, Wanted("9", "9", wanted), present={"9": [row]}).changes
    assert change.kind == "unchanged"


def test_amount_shown_in_the_readers_currency_is_unchanged_while_its_witness_is() -> None:
    wanted = bill(supplier="aa", u_total_amount="30.00")
    row = {"sys_id": "1", **wanted, "total_amount": "27.41", "u_total_amount": "30"}
    (change,) = run(BILL, Wanted("9", "9", wanted), present={"9": [row]}).changes
    assert change.kind == "unchanged"


@pytest.mark.parametrize(
    "differing",
    [{"u_total_amount": "29.00"}, {"currency": "EUR"}, {"total_amount": ""}],
    ids=["witness", "currency", "never stored"],
)
def test_amount_goes_along_when_witness_or_currency_differ(differing: dict[str, str]) -> None:
    wanted = bill(supplier="aa")
    row = {"sys_id": "1", **wanted, "total_amount": "27.41", **differing}
    (change,) = run(BILL, Wanted("9", "9", wanted), present={"9": [row]}).changes
    assert change.values == {
        "total_amount": "USD;30.00",
        **{name: wanted[name] for name in differing},
    }


def test_amount_in_the_readers_currency_is_corrected_though_its_witness_is_right() -> None:
    wanted = bill(supplier="aa")
    row = {"sys_id": "1", **wanted, "total_amount": "3", "u_total_amount": "30"}
    (change,) = run(
        BILL, Wanted("9", "9", wanted), present={"9": [row]}, reader_currency="USD"
    ).changes
    assert (change.values, change.before) == (
        {"total_amount": "USD;30.00"},
        {"total_amount": "3"},
    )
    assert change.converted == ()


@pytest.mark.parametrize("reader_currency", ["EUR", ""], ids=["another", "not known"])
def test_plan_marks_amounts_it_was_shown_converted(reader_currency: str) -> None:
    wanted = bill(supplier="aa")
    row = {"sys_id": "1", **wanted, "total_amount": "27.41", "u_total_amount": "29"}
    (change,) = run(
        BILL, Wanted("9", "9", wanted), present={"9": [row]}, reader_currency=reader_currency
    ).changes
    assert change.values.keys() == {"total_amount", "u_total_amount"}
    assert change.converted == ("total_amount",)


def test_several_records_under_one_key_are_a_problem_and_none_is_updated() -> None:
    rows = [{**ROW, "name": "Old"}, {**ROW, "sys_id": "e" * 32}]
    result = run(VENDOR, Wanted("451", "451", ACME), present={"451": rows})
    assert result.changes == []
    problem = result.problems["451"]
    assert problem.reason is Reason.DUPLICATE_IN_SERVICENOW
    assert "e" * 32 in problem.remedy
    assert "f" * 32 in problem.remedy


def test_our_sys_id_under_another_key_is_a_conflict() -> None:
    sys_id = deterministic_sys_id("dev1", "core_company", "451")
    holders = {sys_id: {**ROW, "sys_id": sys_id, "u_netsuite_id": "999"}}
    result = run(VENDOR, Wanted("451", "451", ACME), holders=holders)
    assert result.changes == []
    assert result.problems["451"].reason is Reason.KEY_CONFLICT
    assert "999" in result.problems["451"].remedy


def test_our_sys_id_without_a_key_gets_its_key_back() -> None:
    sys_id = deterministic_sys_id("dev1", "core_company", "451")
    holders = {sys_id: {**ROW, "sys_id": sys_id, "u_netsuite_id": ""}}
    (change,) = run(VENDOR, Wanted("451", "451", ACME), holders=holders).changes
    assert (change.kind, change.sys_id) == ("update", sys_id)
    assert change.values == {"u_netsuite_id": "451"}


def test_key_wanted_twice_with_the_same_values_is_one_record() -> None:
    twice = [Wanted("451", "451", dict(ACME)), Wanted("451", "451", dict(ACME))]
    assert len(run(VENDOR, *twice).changes) == 1


def test_key_wanted_twice_with_different_values_is_a_problem() -> None:
    twice = [Wanted("451", "451", ACME), Wanted("451", "451", {**ACME, "name": "Other"})]
    result = run(VENDOR, *twice, Wanted("452", "452", ACME))
    assert [change.key for change in result.changes] == ["452"]
    assert result.problems["451"].reason is Reason.DUPLICATE_ID


@pytest.mark.parametrize("key", ["", "a^b", " a", "a\n", "javascript:gs.log()"])
def test_key_that_cannot_be_looked_up_is_a_problem(key: str) -> None:
    assert run(VENDOR, Wanted(key, "1", ACME)).problems[key].reason is Reason.UNSAFE_KEY


def test_absent_record_is_skipped_where_the_profile_forbids_creation() -> None:
    target = Target("gl_account", "itfm_gl_accounts", "account_number", "{code}", create=False)
    (change,) = run(target, Wanted("4000", "1", {})).changes
    assert change.kind == "skipped"


# -- records that NetSuite ends --------------------------------------------------------------------

ENDING = replace(VENDOR, retire=Retirement("set", (("u_active", "false"),)))


@pytest.mark.parametrize(
    ("target", "before", "after", "expected"),
    [
        (ENDING, "true", "false", True),
        (ENDING, "1", "0", True),
        (ENDING, "false", "true", False),
        (VENDOR, "true", "false", False),
        (replace(VENDOR, ended=(("u_active", ("false",)),)), "true", "false", True),
    ],
    ids=["inactive", "spelled otherwise", "back again", "profile is silent", "profile says so"],
)
def test_update_that_ends_a_live_record_is_known(
    target: Target, before: str, after: str, expected: bool
) -> None:
    wanted = Wanted("451", "451", {**ACME, "u_active": after})
    present = {"451": [{**ROW, "u_active": before}]}
    (change,) = run(target, wanted, present=present).changes
    assert (change.kind, ends(prepare(target), change)) == ("update", expected)


def test_new_record_that_has_ended_already_and_one_that_only_changes_its_name_end_nothing() -> None:
    table = prepare(ENDING)
    over = Wanted("451", "451", {**ACME, "u_active": "false"})
    (created,) = run(ENDING, over).changes
    renamed = {"451": [{**ROW, "u_active": "false", "name": "Acme Inc"}]}
    (updated,) = run(ENDING, over, present=renamed).changes
    assert [(c.kind, ends(table, c)) for c in (created, updated)] == [
        ("create", False),
        ("update", False),
    ]


def test_one_ended_state_for_another_ends_nothing() -> None:
    target = replace(VENDOR, ended=(("name", ("void", "closed")),))
    present = {"451": [{**ROW, "name": "closed"}]}
    (change,) = run(target, Wanted("451", "451", {**ACME, "name": "void"}), present=present).changes
    assert not ends(prepare(target), change)
