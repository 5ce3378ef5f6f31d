import threading
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pandas as pd
import pytest

from nsn_pipeline.conform.reasons import Reason
from nsn_pipeline.errors import ThrottledError
from nsn_pipeline.load.documents import DocumentResult, left_live, load_documents
from nsn_pipeline.load.pacing import FixedPacer
from nsn_pipeline.load.resolver import Resolver
from nsn_pipeline.load.sys_id import deterministic_sys_id
from nsn_pipeline.load.whole import DocumentRow
from nsn_pipeline.profiles.model import Retirement, Target
from nsn_pipeline_tests.unit.load.fake_servicenow import FakeServiceNow
from nsn_pipeline_tests.unit.load.make import (
    BILL,
    BILL_LINE,
    ORDER,
    TARGETS,
    VENDOR,
    bill,
    frame,
    line,
    load,
    loader,
    resolver,
    vendors,
)

INVOICE, LINE = "sn_apo_invoice", "sn_apo_invoice_line"


@pytest.fixture
def fake() -> FakeServiceNow:
    """With supplier 451 in place."""
    instance = FakeServiceNow()
    instance.reference_columns = {"supplier", "purchase_order", "invoice", "gl_account"}
    instance.converted = {"total_amount": Decimal("0.9137")}
    load(instance, vendors(**{"451": "Acme"}))
    instance.writes.clear()
    return instance


def bills(**documents: dict[str, str]) -> pd.DataFrame:
    return frame(BILL, {name.lstrip("b"): values for name, values in documents.items()})


def lines(*keys: str, **changes: str) -> pd.DataFrame:
    return frame(BILL_LINE, {key: line(key.partition("-")[0], **changes) for key in keys})


def run(
    fake: FakeServiceNow,
    headers: pd.DataFrame,
    rows: pd.DataFrame | None = None,
    *,
    using: Resolver | None = None,
    plan_only: bool = False,
) -> DocumentResult:
    with loader(fake) as writer:
        known = using or resolver(fake)
        return load_documents(writer, BILL, headers, rows, resolver=known, plan_only=plan_only)


def statuses(result: DocumentResult) -> dict[str, str]:
    return {row.document_id: row.status for row in result.documents}


def test_header_and_lines_are_written_and_linked(fake: FakeServiceNow) -> None:
    result = run(fake, bills(b9=bill()), lines("9-1", "9-2"))
    assert statuses(result) == {"9": "loaded"}
    (header,) = fake.by_key(INVOICE)["9"]
    (supplier,) = fake.by_key("core_company")["451"]
    assert header["supplier"] == supplier["sys_id"]
    assert {row["invoice"] for row in fake.tables[LINE].values()} == {header["sys_id"]}
    assert result.documents[0].sys_id == header["sys_id"]
    assert result.counts()[LINE]["created"] == 2


def test_unchanged_rerun_writes_nothing(fake: FakeServiceNow) -> None:
    first = run(fake, bills(b9=bill()), lines("9-1", "9-2"))
    fake.writes.clear()
    again = run(fake, bills(b9=bill()), lines("9-1", "9-2"))
    assert fake.writes == []
    assert statuses(again) == {"9": "loaded"}
    assert again.documents[0].content_hash == first.documents[0].content_hash


def test_document_with_one_failed_line_is_failed_and_its_neighbour_loaded(
    fake: FakeServiceNow,
) -> None:
    fake.mishaps.extend(["ok", "ok", "refused:Data Policy Exception: mandatory: Quantity"])
    result = run(fake, bills(b8=bill(), b9=bill()), lines("8-1", "9-1", "9-2"))
    assert statuses(result) == {"8": "failed", "9": "loaded"}
    (problem,) = result.documents[0].problems
    assert (problem.reason, problem.line_id) == (Reason.REFUSED_BY_SERVICENOW, "1")


def test_lines_of_a_refused_header_are_held_back(fake: FakeServiceNow) -> None:
    fake.mishaps.append("refused:ACL Exception Insert Failed due to security constraints")
    result = run(fake, bills(b8=bill(), b9=bill()), lines("8-1", "8-2", "9-1"))
    assert statuses(result) == {"8": "failed", "9": "loaded"}
    assert result.lines_held_back == 2
    assert list(fake.by_key(LINE)) == ["9-1"]


def test_lines_follow_a_header_that_is_there_but_for_one_column(fake: FakeServiceNow) -> None:
    fake.unknown_columns = {"currency"}
    result = run(fake, bills(b9=bill()), lines("9-1"))
    assert statuses(result) == {"9": "failed"}
    assert result.documents[0].problems[0].reason is Reason.NOT_STORED
    assert list(fake.by_key(LINE)) == ["9-1"]


def test_bill_of_a_supplier_that_was_not_loaded_is_a_problem(fake: FakeServiceNow) -> None:
    result = run(fake, bills(b9=bill(supplier="ref:vendor:999")), lines("9-1"))
    (problem,) = result.documents[0].problems
    assert problem.reason is Reason.MISSING_SUPPLIER
    assert problem.reference == "vendor:999"
    assert "999" in problem.remedy
    assert fake.writes == []


def test_purchase_order_that_is_not_there_leaves_the_link_empty_with_a_note(
    fake: FakeServiceNow,
) -> None:
    wanted = bill(purchase_order="ref:purchase_order:77")
    result = run(fake, bills(b9=wanted), lines("9-1"))
    assert statuses(result) == {"9": "loaded"}
    assert "purchase_order left empty" in result.documents[0].notes[0]
    assert result.documents[0].waits_for == ("purchase_order:77",)
    load(fake, frame(ORDER, {"77": {"short_description": "x"}}), target=ORDER)
    again = run(fake, bills(b9=wanted), lines("9-1"))
    assert again.documents[0].notes == ()
    assert again.documents[0].waits_for == ()
    (order,) = fake.by_key("proc_po")["77"]
    assert fake.by_key(INVOICE)["9"][0]["purchase_order"] == order["sys_id"]


def test_two_suppliers_under_one_key_are_never_chosen_from(fake: FakeServiceNow) -> None:
    fake.seed("core_company", [{"sys_id": "e" * 32, "u_netsuite_id": "451", "name": "Copy"}])
    result = run(fake, bills(b9=bill()), lines("9-1"))
    assert result.documents[0].problems[0].reason is Reason.DUPLICATE_IN_SERVICENOW


def test_plan_of_an_empty_instance_knows_the_records_it_would_make() -> None:
    fake = FakeServiceNow()
    known = resolver(fake)
    load(fake, vendors(**{"451": "Acme"}), target=VENDOR, using=known, plan_only=True)
    result = run(fake, bills(b9=bill()), lines("9-1"), using=known, plan_only=True)
    assert statuses(result) == {"9": "planned"}
    assert fake.writes == []


def test_content_hash_covers_lines_and_not_their_order(fake: FakeServiceNow) -> None:
    rows = lines("9-1", "9-2")
    first = run(fake, bills(b9=bill()), rows)
    turned = run(fake, bills(b9=bill()), rows.iloc[::-1])
    changed = run(fake, bills(b9=bill()), lines("9-1", "9-2", quantity="2"))
    hashes = [result.documents[0].content_hash for result in (first, turned, changed)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_lines_without_their_header_are_reported_and_not_sent(fake: FakeServiceNow) -> None:
    result = run(fake, bills(b9=bill()), lines("9-1", "7-1"))
    assert statuses(result) == {"9": "loaded", "7": "failed"}
    assert list(fake.by_key(LINE)) == ["9-1"]


def test_frame_has_one_row_per_document(fake: FakeServiceNow) -> None:
    result = run(fake, bills(b9=bill(), b8=bill(supplier="ref:vendor:1")), lines("9-1"))
    table = result.frame().set_index("document_id")
    assert table.loc["9", "status"] == "loaded"
    assert table.loc["8", "reasons"] == "MISSING_SUPPLIER"


def test_lines_of_a_header_whose_change_was_refused_are_held_back(fake: FakeServiceNow) -> None:
    run(fake, bills(b9=bill()), lines("9-1"))
    fake.mishaps.append("refused:aborted by Business Rule 'Locked^ab'")
    result = run(fake, bills(b9=bill(currency="EUR")), lines("9-1", "9-2"))
    assert statuses(result) == {"9": "failed"}
    assert result.documents[0].sys_id
    assert list(fake.by_key(LINE)) == ["9-1"]


def test_two_purchase_orders_under_one_key_are_never_chosen_from(fake: FakeServiceNow) -> None:
    copies = [{"sys_id": digit * 32, "u_netsuite_id": "77"} for digit in "12"]
    fake.seed("proc_po", copies)
    result = run(fake, bills(b9=bill(purchase_order="ref:purchase_order:77")), lines("9-1"))
    assert statuses(result) == {"9": "failed"}
    assert result.documents[0].problems[0].reason is Reason.DUPLICATE_IN_SERVICENOW


@pytest.mark.parametrize("column", ["supplier", "purchase_order"])
def test_link_to_a_record_our_role_does_not_see_fails_the_document_and_clears_nothing(
    fake: FakeServiceNow, column: str
) -> None:
    """Required or not: the link that is there may be right, and the record is not absent."""
    fake.seed("proc_po", [{"sys_id": "po1", "u_netsuite_id": "77"}])
    linked = bill(purchase_order="ref:purchase_order:77")
    run(fake, bills(b9=linked), lines("9-1"))
    (supplier,) = fake.by_key("core_company")["451"]
    fake.unseen.add({"supplier": supplier["sys_id"], "purchase_order": "po1"}[column])
    fake.writes.clear()
    result = run(fake, bills(b9=linked), lines("9-1"))
    (problem,) = result.documents[0].problems
    assert (problem.reason, problem.column) == (Reason.HIDDEN_IN_SERVICENOW, "u_netsuite_id")
    assert fake.writes == []


def test_look_up_of_references_gives_up_its_lane_on_a_429_and_comes_back(
    fake: FakeServiceNow,
) -> None:
    fake.lookup_errors.append(ThrottledError("slow down", retry_after_s=7))  # the suppliers'
    slept: list[float] = []
    with loader(fake, slept=slept) as writer:
        known = Resolver(writer, TARGETS)
        result = load_documents(writer, BILL, bills(b9=bill()), lines("9-1"), resolver=known)
    assert statuses(result) == {"9": "loaded"}
    assert slept == [7]


# -- documents that NetSuite ended -----------------------------------------------------------------

VOIDABLE = replace(BILL, ended=(("currency", ("XXX",)),))


def ended_run(fake: FakeServiceNow, *, may_end: bool, plan_only: bool = False) -> DocumentResult:
    """Bill 9 is void by now, bill 10 has another supplier's line; bill 11 is new and void."""
    headers = bills(b9=bill(currency="XXX"), b10=bill(), b11=bill(currency="XXX"))
    rows = lines("9-1", "10-1", "11-1", quantity="2")
    with loader(fake) as writer:
        return load_documents(
            writer, VOIDABLE, headers, rows, resolver=resolver(fake), may_end=may_end,
            plan_only=plan_only,
        )  # fmt: skip


def test_document_that_may_not_end_yet_is_left_out_with_its_lines_and_no_other_is(
    fake: FakeServiceNow,
) -> None:
    run(fake, bills(b9=bill(), b10=bill()), lines("9-1", "10-1"))
    fake.writes.clear()
    result = ended_run(fake, may_end=False)
    assert statuses(result) == {"10": "loaded", "11": "loaded"}
    (row,) = result.ending
    assert (row.document_id, row.sys_id) == ("9", fake.by_key(INVOICE)["9"][0]["sys_id"])
    assert {key for table in result.tables for key in table.records} == {
        "10", "10-1", "11", "11-1",
    }  # fmt: skip
    assert fake.by_key(INVOICE)["9"][0]["currency"] == "USD"
    assert fake.by_key(LINE)["9-1"][0]["quantity"] == "1"
    assert "9" not in {change.key for table in result.tables for change in table.plan.changes}
    assert statuses(ended_run(fake, may_end=True))["9"] == "loaded"
    assert fake.by_key(INVOICE)["9"][0]["currency"] == "XXX"


def test_document_that_another_run_created_live_meanwhile_is_left_out_as_well(
    fake: FakeServiceNow,
) -> None:
    def other_run() -> None:  # between our look-up and our write
        fake.before_batch = None
        row = {"u_netsuite_id": "11", "currency": "USD", "supplier": "451"}
        fake.seed(INVOICE, [{**row, "sys_id": deterministic_sys_id("dev1", INVOICE, "11")}])

    fake.before_batch = other_run
    result = ended_run(fake, may_end=False)
    assert [row.document_id for row in result.ending] == ["11"]
    assert statuses(result) == {"9": "loaded", "10": "loaded"}
    assert fake.by_key(INVOICE)["11"][0]["currency"] == "USD"
    assert "11-1" not in fake.by_key(LINE)
    assert statuses(ended_run(fake, may_end=True))["11"] == "loaded"
    assert fake.by_key(INVOICE)["11"][0]["currency"] == "XXX"


def test_plan_leaves_out_what_may_not_end_yet_as_well(fake: FakeServiceNow) -> None:
    run(fake, bills(b9=bill(), b10=bill()), lines("9-1", "10-1"))
    fake.writes.clear()
    result = ended_run(fake, may_end=False, plan_only=True)
    assert [row.document_id for row in result.ending] == ["9"]
    assert statuses(result)["10"] == "planned"
    assert fake.writes == []


def test_documents_left_live_fail_with_the_reason(fake: FakeServiceNow) -> None:
    run(fake, bills(b9=bill()), lines("9-1"))
    ending = ended_run(fake, may_end=False).ending
    result = left_live(VOIDABLE, ending, "too many. Run with --allow-retire 1")
    (row,) = result.documents
    assert (row.status, row.problems[0].reason) == ("failed", Reason.RETIREMENT_HELD)
    assert "--allow-retire 1" in row.problems[0].remedy
    assert result.counts()[INVOICE]["failed"] == 1


# -- look-ups --------------------------------------------------------------------------------------


def has_dictionary(fake: FakeServiceNow, *unique: str) -> None:
    columns = {INVOICE: BILL.columns, LINE: BILL_LINE.columns}
    fake.dictionary = {
        table: {"u_netsuite_id", *(column.column for column in found)}
        for table, found in columns.items()
    }
    fake.unique_columns = set(unique)


def test_lines_found_below_their_header_are_not_looked_up_again(fake: FakeServiceNow) -> None:
    has_dictionary(fake, "u_netsuite_id")
    target = replace(BILL, lines=replace(BILL_LINE, retire=Retirement("delete")))
    rows = lines("9-1", "9-2")

    def load_again() -> list[tuple[str, tuple[str, ...]]]:
        fake.lookups.clear()
        with loader(fake) as writer:
            known = resolver(fake)
            load_documents(writer, target, bills(b9=bill()), rows, resolver=known)
        return [(key, values) for table, key, values in fake.lookups if table == LINE]

    load_again()
    header = fake.by_key(INVOICE)["9"][0]["sys_id"]
    assert load_again() == [("invoice", (header,))]
    fake.by_key(LINE)["9-2"][0]["invoice"] = "0" * 32  # moved away by a person: found by its key
    assert load_again()[:2] == [("invoice", (header,)), ("u_netsuite_id", ("9-2",))]
    assert [len(found) for found in fake.by_key(LINE).values()] == [1, 1]


@pytest.mark.parametrize("dictionary", ["closed", "not unique"])
def test_where_keys_need_not_be_unique_a_copied_line_below_another_bill_is_found(
    fake: FakeServiceNow, dictionary: str
) -> None:
    if dictionary == "not unique":
        has_dictionary(fake)
    target = replace(BILL, lines=replace(BILL_LINE, retire=Retirement("delete")))

    def load_again() -> DocumentResult:
        with loader(fake) as writer:
            known = resolver(fake)
            rows = lines("9-1")
            return load_documents(writer, target, bills(b9=bill()), rows, resolver=known)

    load_again()
    (line_there,) = fake.by_key(LINE)["9-1"]
    fake.seed(LINE, [{**line_there, "sys_id": "c" * 32, "invoice": "0" * 32}])
    (row,) = load_again().documents
    assert [problem.reason for problem in row.problems] == [Reason.DUPLICATE_IN_SERVICENOW]


def told_of(
    fake: FakeServiceNow,
    headers: pd.DataFrame,
    rows: pd.DataFrame | None = None,
    *,
    target: Target = BILL,
) -> tuple[DocumentResult, list[list[str]]]:
    """Load in shares of one record; which documents were told of as whole before the end."""
    told: list[list[str]] = []

    def whole(documents: Sequence[DocumentRow]) -> None:
        told.append([row.document_id for row in documents])

    with loader(fake, share=1, pacer=FixedPacer(1)) as writer:  # one call after the other
        result = load_documents(
            writer, target, headers, rows, resolver=resolver(fake), on_whole=whole
        )
    everything = {row.document_id: row for row in result.documents}
    assert set(result.told) == {document for part in told for document in part}
    assert all(everything[document].status == "loaded" for document in result.told)
    return result, told


def test_documents_are_told_of_while_later_ones_are_sent(fake: FakeServiceNow) -> None:
    told: list[str] = []
    first_was_told = threading.Event()
    send = fake.batch

    def whole(rows: Sequence[DocumentRow]) -> None:
        told.extend(row.document_id for row in rows)
        first_was_told.set()

    def batch(requests, **also):
        if len(fake.by_key(INVOICE)) >= 4:
            assert first_was_told.wait(5)
        return send(requests, **also)

    fake.batch = batch
    headers = bills(**{f"b{number}": bill() for number in range(1, 9)})
    with loader(fake, share=1) as writer:
        result = load_documents(writer, BILL, headers, resolver=resolver(fake), on_whole=whole)
    assert told == [row.document_id for row in result.documents]
    assert {row.document_id: row.sys_id for row in result.documents} == {
        key: row["sys_id"] for key, (row,) in fake.by_key(INVOICE).items()
    }


def test_a_document_is_told_of_when_its_last_line_is_proven(fake: FakeServiceNow) -> None:
    headers, rows = bills(b1=bill(), b2=bill(), b3=bill()), lines("1-1", "2-1", "2-2", "1-2")
    result, told = told_of(fake, headers, rows)
    assert told == [["2"], ["1"]]  # of 3 nothing says before the end that it is whole
    assert {row.document_id: row.sys_id for row in result.documents} == {
        key: row["sys_id"] for key, (row,) in fake.by_key(INVOICE).items()
    }
    again, told = told_of(fake, headers, rows)
    assert told == []  # nothing was written
    assert again.documents == result.documents


def test_a_document_of_which_more_is_to_be_told_is_not_told_of_early(fake: FakeServiceNow) -> None:
    """A line that is gone, a note, a missing supplier, a refused line."""
    target = replace(BILL, lines=replace(BILL_LINE, retire=Retirement("delete")))
    told_of(fake, bills(b1=bill()), lines("1-1", "1-2"), target=target)
    headers = bills(
        b1=bill(u_total_amount="31.00"),
        b2=bill(purchase_order="ref:purchase_order:77"),
        b3=bill(supplier="ref:vendor:999"),
        b4=bill(),
        b5=bill(),
    )
    fake.mishaps.extend(["ok"] * 4 + ["ok", "refused:Mandatory"])  # headers; lines of 2 and 4
    rows = lines("1-1", "2-1", "3-1", "4-1", "5-1")
    result, told = told_of(fake, headers, rows, target=target)
    assert statuses(result) == {
        "1": "loaded", "2": "loaded", "3": "failed", "4": "failed", "5": "loaded"
    }  # fmt: skip
    assert [row.key for row in result.gone] == ["1-2"]
    assert told == [["5"]]
