"""Lines, postings and documents that NetSuite no longer has: found, judged together, retired."""

from dataclasses import replace

import pandas as pd
import pytest

from nsn_pipeline.conform.reasons import Reason
from nsn_pipeline.errors import UnreachableError
from nsn_pipeline.load.brake import Limits
from nsn_pipeline.load.documents import DocumentResult, load_documents
from nsn_pipeline.load.resolver import Resolver
from nsn_pipeline.load.retire import Retired, Retirer
from nsn_pipeline.profiles.model import KEEP, Retirement, Target
from nsn_pipeline_tests.unit.load.fake_servicenow import FakeServiceNow
from nsn_pipeline_tests.unit.load.make import (
    BILL,
    BILL_LINE,
    VENDOR,
    FreshDay,
    bill,
    brake,
    column,
    frame,
    line,
    load,
    loader,
    vendors,
)

INVOICE, LINE, POSTING_TABLE = BILL.table, BILL_LINE.table, "u_netsuite_gl_posting"
LINES = replace(BILL_LINE, retire=Retirement("delete"))
CANCELED = (("currency", "XXX"),)
DOCUMENT = replace(BILL, lines=LINES, retire=Retirement("set", CANCELED))
POSTING = Target(
    record_type="gl_posting",
    table=POSTING_TABLE,
    external_key="u_netsuite_id",
    key_from="{document_id}-{line_id}-{book_id}",
    set_by="u_netsuite_transaction",
    retire=Retirement("delete"),
    columns=(
        column("u_netsuite_transaction", source="document_id"),
        column("u_amount"),
        column("u_subsidiary", source="subsidiary_name"),
    ),
)
NO_LIMIT = Limits(1.0, 10_000)


@pytest.fixture
def fake() -> FakeServiceNow:
    """With bills 9 (lines 1 to 3) and 10 (line 1) in place."""
    instance = FakeServiceNow()
    instance.reference_columns = {"supplier", "purchase_order", "invoice", "gl_account"}
    load(instance, vendors(**{"451": "Acme"}))
    sync(instance, ["9-1", "9-2", "9-3", "10-1"])
    instance.writes.clear()
    return instance


def sync(
    fake: FakeServiceNow,
    keys: list[str],
    *,
    target: Target = DOCUMENT,
    deleted: tuple[str, ...] = (),
    limits: Limits = NO_LIMIT,
    plan_only: bool = False,
    today: FreshDay | None = None,
) -> tuple[DocumentResult, Retired]:
    documents = dict.fromkeys(key.partition("-")[0] for key in keys)
    headers = frame(target, {document: bill() for document in documents})
    lines = frame(LINES, {key: line(key.partition("-")[0]) for key in keys})
    with loader(fake) as writer:
        retirer = Retirer(writer, target, brake(limits, today), plan_only=plan_only)
        result = load_documents(
            writer, target, headers, lines, resolver=_resolver(fake), plan_only=plan_only
        )
        assert target.lines is not None
        retirer.removed(target.lines, result.gone)
        retirer.deleted(deleted)
        return result, retirer.run()


def _resolver(fake: FakeServiceNow) -> Resolver:
    return Resolver(fake, {"vendor": VENDOR, "vendor_bill": DOCUMENT})


def post(
    fake: FakeServiceNow,
    keys: list[str],
    *,
    silent: tuple[str, ...] = (),
    offices: dict[str, str] | None = None,
    limits: Limits = NO_LIMIT,
) -> tuple[DocumentResult, Retired]:
    rows = {
        k: {
            "u_netsuite_transaction": k.partition("-")[0],
            "u_amount": "1",
            "u_subsidiary": (offices or {}).get(k, ""),
        }
        for k in keys
    }
    with loader(fake) as writer:
        retirer = Retirer(writer, POSTING, brake(limits))
        result = load_documents(writer, POSTING, frame(POSTING, rows), resolver=_resolver(fake))
        retirer.removed(POSTING, result.gone)
        retirer.without_postings(silent)
        return result, retirer.run()


def keys_of(fake: FakeServiceNow, table: str) -> set[str]:
    return set(fake.by_key(table))


def counts(retired: Retired) -> dict[str, int]:
    return {one.table: one.counts()["retired"] for one in retired.tables}


# -- lines -----------------------------------------------------------------------------------------


def test_a_line_removed_from_its_document_is_retired_and_the_next_run_writes_nothing(
    fake: FakeServiceNow,
) -> None:
    _, retired = sync(fake, ["9-1", "9-3", "10-1"])
    assert keys_of(fake, LINE) == {"9-1", "9-3", "10-1"}
    assert {d.document_id: d.status for d in retired.documents.values()} == {"9": "retired"}
    fake.writes.clear()
    result, again = sync(fake, ["9-1", "9-3", "10-1"])
    assert fake.writes == []
    assert (result.gone, again.tables, again.documents) == ([], [], {})


def test_a_line_removed_and_added_again_is_a_new_line(fake: FakeServiceNow) -> None:
    before = fake.by_key(LINE)["9-2"][0]["sys_id"]
    _, retired = sync(fake, ["9-1", "9-4", "9-3", "10-1"])
    assert keys_of(fake, LINE) == {"9-1", "9-3", "9-4", "10-1"}
    assert fake.by_key(LINE)["9-4"][0]["sys_id"] != before
    assert counts(retired) == {LINE: 1}


def test_a_retired_line_that_comes_back_is_made_again(fake: FakeServiceNow) -> None:
    sync(fake, ["9-1", "9-3", "10-1"])
    sync(fake, ["9-1", "9-2", "9-3", "10-1"])
    assert keys_of(fake, LINE) == {"9-1", "9-2", "9-3", "10-1"}


def test_the_order_of_lines_changes_nothing(fake: FakeServiceNow) -> None:
    sync(fake, ["10-1", "9-3", "9-1", "9-2"])
    assert fake.writes == []


def test_a_line_a_person_moved_to_another_document_goes_back_and_is_not_retired(
    fake: FakeServiceNow,
) -> None:
    (stray,) = fake.by_key(LINE)["10-1"]
    home, stray["invoice"] = stray["invoice"], fake.by_key(INVOICE)["9"][0]["sys_id"]
    _, retired = sync(fake, ["9-1", "9-2", "9-3"])  # the day on which 10 did not change
    assert retired.documents == {}
    sync(fake, ["9-1", "9-2", "9-3", "10-1"])
    assert fake.by_key(LINE)["10-1"][0]["invoice"] == home


@pytest.mark.parametrize("key", ["", "9-manual", "9", "19-2", "9-2-1"])
def test_lines_under_our_header_that_are_not_ours_are_left_alone(
    fake: FakeServiceNow, key: str
) -> None:
    header = fake.by_key(INVOICE)["9"][0]["sys_id"]
    fake.seed(LINE, [{"sys_id": "theirs", "invoice": header, "u_netsuite_id": key}])
    sync(fake, ["9-1", "9-2", "9-3", "10-1"])
    assert "theirs" in fake.tables[LINE]
    assert fake.writes == []


def test_a_line_that_dangles_under_another_header_is_moved_and_not_made_twice(
    fake: FakeServiceNow,
) -> None:
    fake.by_key(LINE)["9-1"][0]["invoice"] = "0" * 32
    sync(fake, ["9-1", "9-2", "9-3", "10-1"])
    assert [len(rows) for rows in fake.by_key(LINE).values()] == [1, 1, 1, 1]
    assert [method for method, _, _ in fake.writes] == ["PATCH"]


def test_old_lines_under_a_header_that_is_made_again_are_seen(fake: FakeServiceNow) -> None:
    """The new header has the old one's sys_id, so whatever hung below that hangs below it."""
    fake.tables[INVOICE].pop(fake.by_key(INVOICE)["9"][0]["sys_id"])
    sync(fake, ["9-1", "10-1"])
    assert keys_of(fake, LINE) == {"9-1", "10-1"}


def test_a_profile_that_keeps_lines_reads_and_retires_none(fake: FakeServiceNow) -> None:
    kept = replace(DOCUMENT, lines=replace(LINES, retire=KEEP))
    fake.lookups.clear()
    result, retired = sync(fake, ["9-1", "10-1"], target=kept)
    assert (result.gone, retired.tables) == ([], [])
    assert not [column for _, column, _ in fake.lookups if column == "invoice"]


def test_nothing_read_retires_nothing(fake: FakeServiceNow) -> None:
    _, retired = sync(fake, [])
    assert (retired.tables, retired.documents, fake.writes) == ([], {}, [])


def test_a_header_without_lines_is_no_evidence_against_them(fake: FakeServiceNow) -> None:
    with loader(fake) as writer:
        none: pd.DataFrame = frame(LINES, {})
        result = load_documents(
            writer, DOCUMENT, frame(DOCUMENT, {"9": bill()}), none, resolver=_resolver(fake)
        )
    assert result.gone == []


# -- whole documents -------------------------------------------------------------------------------


def test_a_deleted_document_loses_its_lines_and_then_its_header_is_set(
    fake: FakeServiceNow,
) -> None:
    _, retired = sync(fake, ["10-1"], deleted=("9", "77"))
    assert keys_of(fake, LINE) == {"10-1"}
    assert fake.by_key(INVOICE)["9"][0]["currency"] == "XXX"
    assert [table for _, table, _ in fake.writes] == [LINE, LINE, LINE, INVOICE]
    document = retired.documents["9"]
    assert (document.status, document.sys_id) == ("retired", fake.by_key(INVOICE)["9"][0]["sys_id"])
    assert set(retired.documents) == {"9"}  # 77 was never here
    fake.writes.clear()
    _, again = sync(fake, ["10-1"], deleted=("9", "77"))
    assert fake.writes == []
    assert again.documents["9"].status == "unchanged"


def test_lines_of_a_deleted_document_go_even_if_somebody_deleted_its_header_here(
    fake: FakeServiceNow,
) -> None:
    fake.tables[INVOICE].pop(fake.by_key(INVOICE)["9"][0]["sys_id"])
    _, retired = sync(fake, ["10-1"], deleted=("9",))
    assert keys_of(fake, LINE) == {"10-1"}
    assert retired.documents["9"].status == "retired"


def test_a_deleted_document_may_be_deleted_here_as_well(fake: FakeServiceNow) -> None:
    sync(fake, ["10-1"], target=replace(DOCUMENT, retire=Retirement("delete")), deleted=("9",))
    assert keys_of(fake, INVOICE) == {"10"}


def test_a_deleted_document_stays_as_it_is_where_the_profile_keeps_headers(
    fake: FakeServiceNow,
) -> None:
    sync(fake, ["10-1"], target=replace(DOCUMENT, retire=KEEP), deleted=("9",))
    assert fake.writes == []


def test_a_header_stays_while_one_of_its_lines_cannot_go(fake: FakeServiceNow) -> None:
    refused = "refused:ACL Exception Delete Failed due to security constraints"
    fake.mishaps.extend([refused, "ok", "ok"])
    target = replace(DOCUMENT, retire=Retirement("delete"))
    _, retired = sync(fake, [], target=target, deleted=("9",))
    document = retired.documents["9"]
    assert document.status == "failed"
    assert document.problems[0].reason is Reason.REFUSED_BY_SERVICENOW
    assert document.problems[0].line_id == "1"
    assert "9" in keys_of(fake, INVOICE)
    sync(fake, [], target=target, deleted=("9",))  # the right was granted
    assert "9" not in keys_of(fake, INVOICE)


def test_a_deleted_document_that_is_back_is_put_right(fake: FakeServiceNow) -> None:
    sync(fake, [], deleted=("10",))
    sync(fake, ["10-1"])
    assert fake.by_key(INVOICE)["10"][0]["currency"] == "USD"
    assert "10-1" in keys_of(fake, LINE)


# -- the brake -------------------------------------------------------------------------------------


def many(fake: FakeServiceNow) -> list[str]:
    keys = [f"{document}-{number}" for document in range(20, 30) for number in (1, 2)]
    sync(fake, keys)
    fake.writes.clear()
    return keys


def test_a_run_that_would_retire_too_much_retires_nothing_and_loads_the_rest(
    fake: FakeServiceNow,
) -> None:
    keys = many(fake)  # 24 lines are held
    left = [key for key in keys if key.endswith("-1")]
    _, retired = sync(fake, [*left, "30-1"], limits=Limits(0.10, 500))
    assert set(keys) < keys_of(fake, LINE)
    assert "30-1" in keys_of(fake, LINE)
    (held,) = retired.held
    assert (held.table, len(held.rows)) == (LINE, 10)
    assert "10 of 25 are more than" in held.why
    assert "--allow-retire 10" in held.why
    assert {d.status for d in retired.documents.values()} == {"held"}
    problem = retired.documents["20"].problems[0]
    assert problem.reason is Reason.RETIREMENT_HELD


def test_what_a_person_allowed_is_retired(fake: FakeServiceNow) -> None:
    keys = many(fake)
    left = [key for key in keys if key.endswith("-1")]
    _, retired = sync(fake, left, limits=Limits(0.10, 500, allowed=10))
    assert (retired.held, counts(retired)) == ([], {LINE: 10})


def test_a_document_held_in_one_table_stays_whole_in_the_other(fake: FakeServiceNow) -> None:
    many(fake)
    deleted = tuple(str(number) for number in range(20, 24))
    limits = Limits(0.10, 7)  # 4 headers would pass, their 8 lines do not
    _, retired = sync(fake, [], deleted=deleted, limits=limits)
    assert [held.table for held in retired.held] == [LINE]
    assert fake.writes == []
    assert {retired.documents[document].status for document in deleted} == {"held"}


def test_what_is_retired_already_does_not_count_against_a_run(fake: FakeServiceNow) -> None:
    many(fake)
    deleted = tuple(str(number) for number in range(20, 30))
    sync(fake, [], deleted=deleted)
    _, retired = sync(fake, [], deleted=deleted, limits=Limits(0.10, 0))
    assert retired.held == []
    assert {d.status for d in retired.documents.values()} == {"unchanged"}


# -- plans -----------------------------------------------------------------------------------------


def test_a_plan_tells_the_retirements_and_writes_nothing(fake: FakeServiceNow) -> None:
    _, retired = sync(fake, ["9-1", "9-2"], deleted=("10",), plan_only=True)
    assert fake.writes == []
    kinds = {change.key: change.kind for table in retired.tables for change in table.plan.changes}
    assert kinds == {"9-3": "retire", "10-1": "retire", "10": "retire"}
    assert {d.status for d in retired.documents.values()} == {"planned"}


# -- postings --------------------------------------------------------------------------------------


def test_postings_a_transaction_no_longer_makes_are_retired(fake: FakeServiceNow) -> None:
    post(fake, ["9-0-1", "9-1-1", "9-2-1", "10-0-1"])
    _, retired = post(fake, ["9-0-1", "9-1-1"])
    assert keys_of(fake, POSTING_TABLE) == {"9-0-1", "9-1-1", "10-0-1"}
    assert counts(retired) == {POSTING_TABLE: 1}


def test_a_transaction_that_posts_no_more_loses_its_postings(fake: FakeServiceNow) -> None:
    post(fake, ["9-0-1", "9-1-1", "10-0-1"])
    _, retired = post(fake, [], silent=("9", "77"))
    assert keys_of(fake, POSTING_TABLE) == {"10-0-1"}
    assert set(retired.documents) == {"9"}


def test_no_postings_read_retires_none(fake: FakeServiceNow) -> None:
    post(fake, ["9-0-1", "9-1-1"])
    post(fake, [])
    assert keys_of(fake, POSTING_TABLE) == {"9-0-1", "9-1-1"}


# -- crashes ---------------------------------------------------------------------------------------


def test_a_run_cut_off_between_a_header_and_its_lines_is_healed_by_the_next(
    fake: FakeServiceNow,
) -> None:
    fake.call_errors.extend([None, UnreachableError("cut off")])  # the header is written
    with pytest.raises(UnreachableError):
        sync(fake, ["40-1", "40-2"])
    assert ("40" in keys_of(fake, INVOICE), "40-1" in keys_of(fake, LINE)) == (True, False)
    result, _ = sync(fake, ["40-1", "40-2"])
    assert {row.document_id: row.status for row in result.documents} == {"40": "loaded"}
    assert {"40-1", "40-2"} <= keys_of(fake, LINE)
    assert len(fake.by_key(INVOICE)["40"]) == 1


def test_a_run_cut_off_while_it_retires_is_finished_by_the_next(fake: FakeServiceNow) -> None:
    fake.call_errors.extend([None, UnreachableError("cut off")])  # lines go, the header waits
    with pytest.raises(UnreachableError):
        sync(fake, [], deleted=("9",))
    assert "9-1" not in keys_of(fake, LINE)
    assert fake.by_key(INVOICE)["9"][0]["currency"] == "USD"
    _, retired = sync(fake, [], deleted=("9",))
    assert fake.by_key(INVOICE)["9"][0]["currency"] == "XXX"
    assert retired.documents["9"].status == "retired"


def test_document_whose_removed_line_is_hidden_from_our_role_is_not_loaded(
    fake: FakeServiceNow,
) -> None:
    (removed,) = fake.by_key(LINE)["9-3"]
    fake.unseen.add(removed["sys_id"])
    with loader(fake) as writer:
        headers = frame(BILL, {"9": bill(), "10": bill()})
        rows = frame(BILL_LINE, {key: line(key.partition("-")[0]) for key in ("9-1", "10-1")})
        known = Resolver(fake, {"vendor": VENDOR, "vendor_bill": DOCUMENT})
        result = load_documents(writer, DOCUMENT, headers, rows, resolver=known)
    found = {row.document_id: row for row in result.documents}
    assert (found["9"].status, found["10"].status) == ("failed", "loaded")
    assert [problem.reason for problem in found["9"].problems] == [Reason.HIDDEN_IN_SERVICENOW]


def test_deleted_document_with_a_line_our_role_does_not_see_keeps_all_and_the_rest_goes(
    fake: FakeServiceNow,
) -> None:
    sync(fake, ["11-1", "11-2"])
    (hidden,) = fake.by_key(LINE)["9-3"]
    fake.unseen.add(hidden["sys_id"])
    fake.writes.clear()
    _, retired = sync(fake, ["11-1", "11-2"], deleted=("9", "10"))
    assert keys_of(fake, LINE) == {"9-1", "9-2", "9-3", "11-1", "11-2"}
    assert fake.by_key(INVOICE)["9"][0]["currency"] == "USD"
    assert fake.by_key(INVOICE)["10"][0]["currency"] == "XXX"
    assert {d.document_id: d.status for d in retired.documents.values()} == {
        "9": "failed",
        "10": "retired",
    }
    (problem,) = retired.documents["9"].problems
    assert problem.reason is Reason.HIDDEN_IN_SERVICENOW


def test_deleted_document_whose_header_our_role_does_not_see_fails_alone(
    fake: FakeServiceNow,
) -> None:
    fake.unseen.add(fake.by_key(INVOICE)["9"][0]["sys_id"])
    _, retired = sync(fake, [], deleted=("9", "10"))
    assert {d.document_id: d.status for d in retired.documents.values()} == {
        "9": "failed",
        "10": "retired",
    }
    assert {"9-1", "9-2", "9-3"} <= keys_of(fake, LINE)


@pytest.mark.parametrize("plan_only", [False, True], ids=["sync", "plan"])
def test_deleted_document_with_two_headers_keeps_all_until_a_person_has_chosen(
    fake: FakeServiceNow, plan_only: bool
) -> None:
    (header,) = fake.by_key(INVOICE)["9"]
    fake.seed(INVOICE, [{**header, "sys_id": "e" * 32}])
    (line_1,) = fake.by_key(LINE)["9-1"]
    fake.seed(LINE, [{**line_1, "sys_id": "d" * 32, "u_netsuite_id": "9-7", "invoice": "e" * 32}])
    _, retired = sync(fake, [], deleted=("9", "10"), plan_only=plan_only)
    assert {d.document_id: d.status for d in retired.documents.values()} == {
        "9": "failed",
        "10": "planned" if plan_only else "retired",
    }
    (problem,) = retired.documents["9"].problems
    assert problem.reason is Reason.DUPLICATE_IN_SERVICENOW
    assert header["sys_id"] in problem.remedy
    assert "e" * 32 in problem.remedy
    planned = {change.document_id for one in retired.tables for change in one.plan.changes}
    assert planned == {"10"}
    of_10 = {"10-1"} if plan_only else set()
    assert keys_of(fake, LINE) == {"9-1", "9-2", "9-3", "9-7"} | of_10
    assert [row["currency"] for row in fake.by_key(INVOICE)["9"]] == ["USD", "USD"]
    if plan_only:
        return

    fake.tables[INVOICE]["e" * 32]["u_netsuite_id"] = ""  # chosen
    _, retired = sync(fake, [], deleted=("9", "10"))
    assert retired.documents["9"].status == "retired"
    assert keys_of(fake, LINE) == {"9-7"}  # it hangs below what is not ours any more


def test_postings_our_role_does_not_see_fail_their_transaction_alone(fake: FakeServiceNow) -> None:
    post(fake, ["9-0-1", "9-1-1", "10-0-1", "10-1-1"])
    (hidden,) = fake.by_key(POSTING_TABLE)["9-1-1"]
    fake.unseen.add(hidden["sys_id"])
    _, retired = post(fake, [], silent=("9", "10"))
    assert keys_of(fake, POSTING_TABLE) == {"9-0-1", "9-1-1"}
    assert retired.documents["9"].problems[0].reason is Reason.HIDDEN_IN_SERVICENOW
    assert retired.documents["10"].status == "retired"


# -- over a day, and by halves ---------------------------------------------------------------------


def test_a_few_rows_a_run_are_counted_over_the_day(fake: FakeServiceNow) -> None:
    keys = many(fake)  # 24 lines
    today, limits = FreshDay(), Limits(0.10, 500)
    for run, removed in enumerate((["20-1", "21-1"], ["22-1", "23-1"], ["24-1", "25-1"]), start=1):
        keys = [key for key in keys if key not in removed]
        _, retired = sync(fake, keys, limits=limits, today=today)
        assert bool(retired.held) is (run == 3)
    (held,) = retired.held
    assert "2 records of sn_apo_invoice_line after 4 earlier today" in held.why
    assert {"24-1", "25-1"} <= keys_of(fake, LINE)
    tomorrow = FreshDay()
    sync(fake, keys, limits=limits, today=tomorrow)
    assert not {"24-1", "25-1"} & keys_of(fake, LINE)


def test_what_a_person_allowed_is_not_held_against_the_day(fake: FakeServiceNow) -> None:
    keys, today = many(fake), FreshDay()
    left = [key for key in keys if key.endswith("-1")]
    sync(fake, left, limits=Limits(0.10, 500, allowed=10), today=today)
    _, retired = sync(fake, left[1:], deleted=("20",), limits=Limits(0.10, 500), today=today)
    assert retired.held == []


def test_a_plan_does_not_count_as_done(fake: FakeServiceNow) -> None:
    today = FreshDay()
    sync(fake, ["9-1", "10-1"], plan_only=True, today=today)
    assert today.counted.total() == 0


OFFICES = {"9-0-1": "US", "9-1-1": "US", "9-2-1": "UK", "9-3-1": "UK", "10-0-1": "US"}


def test_a_journal_that_would_lose_one_subsidiary_whole_waits_for_a_person(
    fake: FakeServiceNow,
) -> None:
    """The other half balances, so nothing else tells a lost view from an edit."""
    post(fake, list(OFFICES), offices=OFFICES)
    seen = {key: office for key, office in OFFICES.items() if office == "US"}
    for _ in range(3):  # no number of runs wears it down
        _, retired = post(fake, list(seen), offices=seen)
        assert keys_of(fake, POSTING_TABLE) == set(OFFICES)
    document = retired.documents["9"]
    assert (document.status, document.problems[0].reason) == ("held", Reason.RETIREMENT_HELD)
    assert "all that 9 has of UK" in document.problems[0].remedy
    assert "--allow-retire 2" in document.problems[0].remedy
    _, retired = post(fake, list(seen), offices=seen, limits=Limits(1.0, 10_000, allowed=2))
    assert keys_of(fake, POSTING_TABLE) == set(seen)


@pytest.mark.parametrize(
    "now",
    [
        {"9-0-1": "US", "9-1-1": "US", "9-2-1": "UK", "10-0-1": "US"},
        {"9-0-1": "US", "9-1-1": "US", "9-4-1": "UK", "9-5-1": "UK", "10-0-1": "US"},
    ],
    ids=["a line less", "entered again"],
)
def test_a_subsidiary_that_still_posts_in_the_journal_is_no_lost_view(
    fake: FakeServiceNow, now: dict[str, str]
) -> None:
    post(fake, list(OFFICES), offices=OFFICES)
    post(fake, list(now), offices=now)
    assert keys_of(fake, POSTING_TABLE) == set(now)
