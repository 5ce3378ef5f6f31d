"""Whatever leaves NetSuite, edited and deleted as people do it, leaves ServiceNow as well."""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nsn_pipeline.orchestration.assets import conformed
from nsn_pipeline.orchestration.assets.conformed import Conformed
from nsn_pipeline.orchestration.assets.retiring import ALLOW_TAG, Retiring
from nsn_pipeline.orchestration.jobs import DAILY_SYNC
from nsn_pipeline.orchestration.runs import RunOutcome, execute_window
from nsn_pipeline.sandbox.data.expectation import expected
from nsn_pipeline.sandbox.data.generator import generate
from nsn_pipeline.sandbox.netsuite.edits import Edits
from nsn_pipeline.sandbox.netsuite.store import Store
from nsn_pipeline.state.job_state import DocumentState, Status
from nsn_pipeline_tests.end_to_end.conftest import FirstSync, Open, check_results, evaluation
from nsn_pipeline_tests.end_to_end.test_sync import written
from nsn_pipeline_tests.support.company import Company, company, copied, netsuite_rows

pytestmark = pytest.mark.slow

DAY = date(2026, 3, 8)
INVOICES, LINES, POSTINGS = "sn_apo_invoice", "sn_apo_invoice_line", "u_netsuite_gl_posting"
ORDERS, ITEMS, VENDORS = "proc_po", "proc_po_item", "core_company"
TABLES = (INVOICES, LINES, POSTINGS, ORDERS, ITEMS, VENDORS)
BILLS = """
SELECT t.id, COUNT(*) AS lines, MIN(tl.id) AS first, MAX(tl.id) AS last
FROM "transaction" t JOIN transactionline tl ON tl."transaction" = t.id AND tl.mainline = 'F'
WHERE t.type = 'VendBill' AND t.posting = 'T' AND t.voided = 'F' AND tl.foreignamount <> '0'
  AND t.id NOT IN (SELECT nextdoc FROM nexttransactionlinelink)
GROUP BY t.id ORDER BY t.id
"""
FREE_ORDERS = """
SELECT id FROM "transaction" WHERE type = 'PurchOrd' AND status <> 'H'
  AND id NOT IN (SELECT previousdoc FROM nexttransactionlinelink) ORDER BY id
"""


# Every credit of the generated company, and the order it closed before its first sync.
CREDITS = """SELECT id FROM "transaction" WHERE type = 'VendCred' ORDER BY id"""
CLOSED_ORDERS = """SELECT id FROM "transaction" WHERE type = 'PurchOrd' AND status = 'H'"""


def clock_at(day: date, hour: int = 15) -> float:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC).timestamp()


def store_of(home: Path, day: date = DAY) -> Store:
    """NetSuite's tables, where it is the afternoon of that day."""
    return Store(home / "sandbox" / "netsuite.sqlite", clock=lambda: clock_at(day))


@dataclass(slots=True)
class Story:
    """One week edited, synced, and synced again; `before` and `after` are rows by NetSuite id."""

    home: Path
    documents: dict[str, str]
    outcome: RunOutcome
    before: dict[str, dict[str, dict[str, str]]]
    after: dict[str, dict[str, dict[str, str]]]
    writes: list[str]
    writes_again: list[str]
    failing: set[tuple[str, str]]
    states: dict[tuple[str, str], DocumentState | None]
    rejected: set[str] = field(default_factory=set)

    def lines_of(self, name: str, table: str = LINES) -> tuple[set[str], set[str]]:
        """Keys of a document's rows, before and after."""
        prefix = f"{self.documents[name]}-"
        return tuple(  # type: ignore[return-value]
            {key for key in rows[table] if key.startswith(prefix)}
            for rows in (self.before, self.after)
        )

    def state(self, record_type: str, name: str) -> Status | None:
        found = self.states[record_type, self.documents[name]]
        return found.status if found else None


def rows_of(home: Path) -> dict[str, dict[str, dict[str, str]]]:
    return {table: written(home, table) for table in TABLES}


def free_bills(home: Path, rejected: set[str]) -> list[Mapping[str, Any]]:
    """Loaded bills nothing refers to, with their first and last lines and all they posted."""
    postings = defaultdict(set)
    for key in written(home, POSTINGS):
        postings[key.partition("-")[0]].add(key.split("-")[1])
    return [
        bill
        for bill in netsuite_rows(home, BILLS)
        if bill["id"] not in rejected and len(postings[bill["id"]]) == int(bill["lines"]) + 1
    ]


def chosen(home: Path, rejected: Mapping[str, Any], orders: Mapping[str, Any]) -> dict[str, str]:
    bills = free_bills(home, set(rejected))
    long = [bill for bill in bills if int(bill["lines"]) >= 3]
    names = ("shortened", "replaced", "reordered")
    found = {name: bill["id"] for name, bill in zip(names, long, strict=False)}
    rest = [bill["id"] for bill in bills if bill["id"] not in found.values()]
    found |= dict(zip(("deleted", "reopened", "voided", "restored"), rest, strict=False))
    free = [order["id"] for order in netsuite_rows(home, FREE_ORDERS) if order["id"] not in orders]
    found |= {"closed": free[0], "order": free[1]}
    found["deleted credit"], found["voided credit"] = (
        row["id"] for row in netsuite_rows(home, CREDITS)
    )
    (closed,) = (row["id"] for row in netsuite_rows(home, CLOSED_ORDERS))
    found["order reopened"] = closed
    assert not {found["deleted credit"], found["voided credit"]} & set(rejected)
    found["refused"] = min(rejected, key=int)
    used = 'SELECT entity FROM "transaction" WHERE entity IS NOT NULL'
    for vendor in netsuite_rows(home, f"SELECT id FROM vendor WHERE id NOT IN ({used})"):
        if vendor["id"] in written(home, VENDORS):
            found["vendor"] = vendor["id"]
    return found


def reopen_order(store: Store, order: str) -> None:
    """As a buyer does it: its lines are open again, and so it is."""
    sql = 'SELECT id FROM transactionline WHERE "transaction" = ?'
    lines = [str(line) for (line,) in store.connection().execute(sql, (int(order),))]
    with store.transaction():
        for line in lines:
            key = {"transaction": order, "id": line}
            store.update_row("transactionline", key, {"isclosed": "F"})
        store.update_row("transaction", order, {"status": "E"})


def last_line(home: Path, bill: str) -> str:
    sql = 'SELECT MAX(id) AS line FROM transactionline WHERE "transaction" = '
    return netsuite_rows(home, sql + bill)[0]["line"] or ""


@pytest.fixture(scope="module")
def story(first_sync: FirstSync, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    wanted = expected(generate("tiny", 1))
    home = copied(first_sync.home, tmp_path_factory.mktemp("retire") / "home")
    documents = chosen(home, wanted.rejected_bills, wanted.rejected_orders)
    before = rows_of(home)
    with company(home) as synced:
        store = store_of(home)
        edits = Edits(store)
        edits.delete_line(documents["shortened"], last_line(home, documents["shortened"]))
        documents["old line"] = last_line(home, documents["replaced"])
        documents["new line"] = edits.replace_line(documents["replaced"], documents["old line"])
        edits.reorder_lines(documents["reordered"])
        for name in ("deleted", "deleted credit", "order", "refused"):
            edits.delete(documents[name])
        edits.reopen(documents["reopened"])
        reopen_order(store, documents["order reopened"])
        for name in ("voided", "voided credit"):
            edits.void(documents[name])
        edits.close(documents["closed"])
        if "vendor" in documents:
            store.delete_row("vendor", documents["vendor"])
        # Said to be deleted, and there: restored, or another record's number.
        store.insert(
            "deletedrecord",
            [{"recordid": documents["restored"], "type": "vendorbill",
              "deleteddate": "2026-03-08T10:00:00Z"}],
        )  # fmt: skip
        store.close()
        outcome = sync_day(synced)
        writes = list(synced.writes)
        synced.writes.clear()
        failing = {
            (r.asset, r.check)
            for r in check_results(synced)
            if r.day == DAY.isoformat() and not r.passed and not r.asset.startswith("conformed")
        }
        with synced.connected() as connections:
            states = {
                (kind, document): connections.job_state.get(kind, document)
                for kind in ("vendor_bill", "purchase_order", "gl_posting", "vendor")
                for document in documents.values()
            }
        again = sync_day(synced)
        assert again.success, again.errors
        yield Story(
            home, documents, outcome, before, rows_of(home), writes, list(synced.writes),
            failing, states, set(wanted.rejected_bills),
        )  # fmt: skip


def test_the_run_succeeds_and_every_retirement_is_proven(story: Story) -> None:
    assert story.outcome.success, story.outcome.errors
    assert story.failing == set()


def test_a_second_run_writes_nothing(story: Story) -> None:
    assert story.writes_again == []


def test_what_is_left_is_what_netsuite_has_and_what_was_canceled(story: Story) -> None:
    deleted = {story.documents[name] for name in ("deleted", "deleted credit")}
    bills = "SELECT id FROM \"transaction\" WHERE type IN ('VendBill', 'VendCred')"
    present = {bill["id"] for bill in netsuite_rows(story.home, bills)} - story.rejected
    assert set(story.after[INVOICES]) == present | deleted
    lines = f"""SELECT "transaction" || '-' || id AS key, "transaction" AS bill
        FROM transactionline WHERE mainline = 'F' AND "transaction" IN ({bills})"""
    assert set(story.after[LINES]) == {
        line["key"] for line in netsuite_rows(story.home, lines) if line["bill"] in present
    }
    posted = """SELECT p."transaction" || '-' || p.transactionline || '-1' AS key
        FROM transactionaccountingline p JOIN "transaction" t ON t.id = p."transaction"
        WHERE p.accountingbook = 1 AND t.posting = 'T'
          AND (p.debit IS NOT NULL OR p.credit IS NOT NULL)"""
    assert set(story.after[POSTINGS]) <= {row["key"] for row in netsuite_rows(story.home, posted)}


def test_a_removed_line_goes_with_what_it_posted(story: Story) -> None:
    before, after = story.lines_of("shortened")
    (key,) = before - after
    assert after < before
    posted_before, posted_after = story.lines_of("shortened", POSTINGS)
    assert posted_before - posted_after == {f"{key}-1"}
    total = Decimal(story.after[INVOICES][story.documents["shortened"]]["u_total_amount"])
    lines = [story.after[LINES][line] for line in after]
    assert sum(Decimal(line["u_line_amount"]) for line in lines) == total
    assert story.state("vendor_bill", "shortened") == Status.LOADED


def test_a_line_entered_again_is_a_new_line(story: Story) -> None:
    bill, old, new = (story.documents[name] for name in ("replaced", "old line", "new line"))
    before, after = story.lines_of("replaced")
    assert before - after == {f"{bill}-{old}"}
    assert after - before == {f"{bill}-{new}"}
    one, other = story.before[LINES][f"{bill}-{old}"], story.after[LINES][f"{bill}-{new}"]
    assert one["sys_id"] != other["sys_id"]
    same = ("line_number", "u_line_amount", "gl_account", "invoice")
    assert [one.get(name) for name in same] == [other.get(name) for name in same]


def test_lines_in_another_order_are_the_same_lines(story: Story) -> None:
    before, after = story.lines_of("reordered")
    assert before == after
    for key in after:
        one, other = story.before[LINES][key], story.after[LINES][key]
        own = {name for name in one if not name.startswith("sys_")} - {"line_number"}
        assert {name: one[name] for name in own} == {name: other.get(name) for name in own}
        assert one["sys_id"] == other["sys_id"]


@pytest.mark.parametrize("name", ["deleted", "deleted credit"])
def test_a_deleted_bill_or_credit_is_canceled_without_lines_and_postings(
    story: Story, name: str
) -> None:
    bill = story.documents[name]
    assert story.before[INVOICES][bill]["state"] != "canceled"
    assert story.after[INVOICES][bill]["state"] == "canceled"
    before, after = story.lines_of(name)
    assert (bool(before), after) == (True, set())
    assert story.lines_of(name, POSTINGS)[0] != set()
    assert story.lines_of(name, POSTINGS)[1] == set()
    for record_type in ("vendor_bill", "gl_posting"):
        assert story.state(record_type, name) == Status.RETIRED
    found = story.states["vendor_bill", bill]
    assert found is not None
    assert found.partition == DAY.isoformat()


def test_a_deleted_order_is_canceled_without_lines(story: Story) -> None:
    assert story.after[ORDERS][story.documents["order"]]["status"] == "canceled"
    before, after = story.lines_of("order", ITEMS)
    assert (bool(before), after) == (True, set())
    assert story.state("purchase_order", "order") == Status.RETIRED


def test_a_deleted_bill_that_was_refused_waits_for_nothing_any_more(story: Story) -> None:
    assert story.documents["refused"] not in story.after[INVOICES]
    assert story.state("vendor_bill", "refused") == Status.RETIRED


def test_a_bill_sent_back_for_approval_loses_its_postings_and_keeps_its_lines(
    story: Story,
) -> None:
    assert story.after[INVOICES][story.documents["reopened"]]["state"] == "pending_approval"
    before, after = story.lines_of("reopened")
    assert before == after
    assert story.lines_of("reopened", POSTINGS)[1] == set()
    assert story.state("gl_posting", "reopened") == Status.RETIRED
    assert story.state("vendor_bill", "reopened") == Status.LOADED


@pytest.mark.parametrize("name", ["voided", "voided credit"])
def test_a_voided_bill_or_credit_is_canceled_at_zero_and_posts_nothing(
    story: Story, name: str
) -> None:
    assert Decimal(story.before[INVOICES][story.documents[name]]["u_total_amount"]) != 0
    invoice = story.after[INVOICES][story.documents[name]]
    assert invoice["state"] == "canceled"
    assert Decimal(invoice["u_total_amount"]) == 0
    before, after = story.lines_of(name)
    assert before == after
    assert {Decimal(story.after[LINES][key]["u_line_amount"]) for key in after} == {Decimal(0)}
    assert story.lines_of(name, POSTINGS)[1] == set()


def test_a_closed_order_is_canceled_and_keeps_its_lines(story: Story) -> None:
    assert story.after[ORDERS][story.documents["closed"]]["status"] == "canceled"
    before, after = story.lines_of("closed", ITEMS)
    assert before == after != set()
    assert story.state("purchase_order", "closed") == Status.LOADED


def test_an_order_that_is_opened_again_is_ordered_again(story: Story) -> None:
    order = story.documents["order reopened"]
    assert story.before[ORDERS][order]["status"] == "canceled"
    assert story.after[ORDERS][order]["status"] == "ordered"
    before, after = story.lines_of("order reopened", ITEMS)
    assert before == after != set()
    assert story.state("purchase_order", "order reopened") == Status.LOADED


def test_a_deleted_vendor_is_set_inactive(story: Story) -> None:
    vendor = story.documents["vendor"]
    assert story.before[VENDORS][vendor]["u_active"] == "true"
    assert story.after[VENDORS][vendor]["u_active"] == "false"
    assert story.state("vendor", "vendor") == Status.RETIRED


def test_a_record_that_netsuite_still_finds_is_not_retired(story: Story) -> None:
    before, after = story.lines_of("restored")
    assert before == after
    bill = story.documents["restored"]
    assert story.after[INVOICES][bill]["state"] == story.before[INVOICES][bill]["state"]


def test_no_document_but_those_edited_is_touched(story: Story) -> None:
    edited = set(story.documents.values())
    for table in TABLES:
        for key, row in story.before[table].items():
            if key.partition("-")[0] not in edited:
                assert story.after[table].get(key) == row, (table, key)


def test_the_figures_say_what_was_retired(story: Story) -> None:
    lines = story.outcome.totals[f"servicenow/{LINES}"]
    gone = set(story.before[LINES]) - set(story.after[LINES])
    assert (lines["retired"], lines["not_retired"]) == (len(gone), 0)
    assert story.outcome.totals[f"servicenow/{INVOICES}"]["retired"] == 2
    by_day = story.outcome.by_day[f"servicenow/{LINES}"]
    assert {day for day, figures in by_day.items() if figures["retired"]} == {DAY.isoformat()}
    deletions = [write for write in story.writes if write.startswith("DELETE")]
    assert len(deletions) == sum(
        len(set(story.before[table]) - set(story.after[table])) for table in TABLES
    )


# --- what stops it --------------------------------------------------------------------------------


def sync_day(synced: Company, **tags: str) -> RunOutcome:
    job = synced.definitions.resolve_job_def(DAILY_SYNC)
    return execute_window(
        job, synced.instance, DAY, DAY, selection=None, on_event=lambda _event: None, tags=tags
    )


def failing_on(synced: Company, check: str) -> set[str]:
    return {
        result.asset
        for result in check_results(synced)
        if (result.check, result.day, result.passed) == (check, DAY.isoformat(), False)
    }


@dataclass(slots=True)
class Braked:
    """Two bills deleted, two voided and one edited under limits of one; then with leave."""

    deleted: set[str]
    voided: set[str]
    changed: str
    outcome: RunOutcome
    writes: list[str]
    failing: dict[str, set[str]]
    check: Mapping[str, Any]
    everything: set[str]  # the documents in the file that it names
    states: dict[str, DocumentState | None]
    before: dict[str, dict[str, dict[str, str]]]
    after: dict[str, dict[str, dict[str, str]]]
    allowed: dict[str, dict[str, dict[str, str]]]

    def untouched(self, documents: set[str], *tables: str) -> bool:
        """Whether the first run left all rows of these documents as they were."""
        held = [(t, k) for t in tables for k in self.before[t] if k.partition("-")[0] in documents]
        assert held
        return all(self.after[table].get(key) == self.before[table][key] for table, key in held)


@pytest.fixture(scope="module")
def braked(first_sync: FirstSync, tmp_path_factory: pytest.TempPathFactory) -> Braked:
    home = copied(first_sync.home, tmp_path_factory.mktemp("braked") / "home")
    rejected = set(expected(generate("tiny", 1)).rejected_bills)
    a, b, c, d, changed = (bill["id"] for bill in free_bills(home, rejected)[:5])
    before = rows_of(home)
    with company(home) as synced, pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "NSN_RETIRE_MAX_COUNT", "1")
        patch.setitem(os.environ, "NSN_END_MAX_COUNT", "1")
        store = store_of(home)
        for bill in (a, b):
            Edits(store).delete(bill)
        for bill in (c, d):
            Edits(store).void(bill)
        store.update_row("transaction", changed, {"memo": "Corrected"})
        store.close()
        outcome = sync_day(synced)
        writes, after = list(synced.writes), rows_of(home)
        failing = {check: failing_on(synced, check) for check in ("retired", "all_written")}
        check = evaluation(synced, f"servicenow/{INVOICES}", "retired", DAY)
        everything = set(pd.read_parquet(check["all_problems_of_the_day"].value)["document_id"])
        with synced.connected() as connections:
            states = connections.job_state.get_many("vendor_bill", [a, c])
        allowed = sync_day(synced, **{ALLOW_TAG: "100"})  # a person has looked at it
        assert allowed.success, allowed.errors
        return Braked(
            *({a, b}, {c, d}, changed, outcome, writes, failing, check, everything),
            *(states, before, after, rows_of(home)),
        )


def test_a_braked_run_does_the_rest(braked: Braked) -> None:
    assert braked.outcome.success, braked.outcome.errors
    assert {write.split("/")[4] for write in braked.writes} <= {INVOICES, LINES}  # of `changed`
    assert not [write for write in braked.writes if write.startswith("DELETE")]
    assert braked.after[INVOICES][braked.changed]["short_description"] == "Corrected"


def test_a_run_that_would_retire_too_much_leaves_those_documents_and_says_so(
    braked: Braked,
) -> None:
    assert braked.untouched(braked.deleted, INVOICES, LINES, POSTINGS)
    assert braked.failing["retired"] == {f"servicenow/{INVOICES}", f"servicenow/{POSTINGS}"}
    assert braked.outcome.totals[f"servicenow/{INVOICES}"]["not_retired"] == 2
    table = [row.data for row in braked.check["documents"].records]
    assert {row["document"].split()[0] for row in table} == braked.deleted
    assert {row["reason"] for row in table} == {"RETIREMENT_HELD"}
    assert braked.everything == braked.deleted | braked.voided


def test_a_run_that_would_void_too_much_leaves_those_documents_and_says_so(
    braked: Braked,
) -> None:
    """A mapping mistake that voids everything is as dangerous as a mass deletion."""
    assert braked.untouched(braked.voided, INVOICES, LINES)
    assert f"servicenow/{INVOICES}" in braked.failing["all_written"]
    figures = braked.outcome.by_day[f"servicenow/{INVOICES}"][DAY.isoformat()]
    assert (figures["failed"], figures["updated"]) == (2, 1)


def test_job_state_says_what_the_brake_held(braked: Braked) -> None:
    for state in braked.states.values():
        assert state is not None
        assert (state.status, state.reasons) == (Status.FAILED, ("RETIREMENT_HELD",))
    assert len(braked.states) == 2


def test_what_a_person_allowed_is_retired_and_voided(braked: Braked) -> None:
    gone = braked.deleted | braked.voided
    assert {braked.allowed[INVOICES][bill]["state"] for bill in gone} == {"canceled"}
    assert not [k for k in braked.allowed[LINES] if k.partition("-")[0] in braked.deleted]
    kept = [k for k in braked.allowed[LINES] if k.partition("-")[0] in braked.voided]
    assert {Decimal(braked.allowed[LINES][key]["u_line_amount"]) for key in kept} == {Decimal(0)}


def test_a_slow_run_leaves_alone_what_changed_since_it_read(
    synced: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Edited on the next day: before it loads, between load and retiring, and approved again."""
    bills = free_bills(synced.home, set(expected(generate("tiny", 1)).rejected_bills))
    long = [bill["id"] for bill in bills if int(bill["lines"]) >= 3]
    replaced, shortened = long[:2]
    approved = next(bill["id"] for bill in bills if bill["id"] not in {replaced, shortened})
    today, tomorrow = store_of(synced.home), store_of(synced.home, DAY + timedelta(days=1))
    today.update_row("transaction", replaced, {"memo": "Old"})
    Edits(today).delete_line(shortened, last_line(synced.home, shortened))
    Edits(today).reopen(approved)
    before = rows_of(synced.home)
    done: set[str] = set()

    def once(name: str) -> bool:
        return name not in done and not done.add(name)

    accepted, deleted = conformed.read_accepted, Retiring._deleted

    def edited_before(landing: Any, names: Conformed, day: str | None, run_id: str) -> Any:
        if names.record_type == "vendor_bill" and once("replaced"):
            Edits(tomorrow).replace_line(replaced, last_line(synced.home, replaced))
        return accepted(landing, names, day, run_id)

    def edited_between(retiring: Any, days: Any) -> dict[str, str]:
        if retiring._names.record_type == "vendor_bill" and once("shortened"):
            tomorrow.update_row("transaction", shortened, {"memo": "New"})
        if retiring._names.record_type == "gl_posting" and once("approved"):
            tomorrow.update_row("transaction", approved, {"posting": "T"})
        return deleted(retiring, days)

    monkeypatch.setattr(conformed, "read_accepted", edited_before)
    monkeypatch.setattr(Retiring, "_deleted", edited_between)
    outcome = sync_day(synced)
    assert outcome.success, outcome.errors
    assert done == {"replaced", "shortened", "approved"}
    after = rows_of(synced.home)
    assert not [write for write in synced.writes if write.startswith("DELETE")]
    for table in (LINES, POSTINGS):
        assert set(after[table]) == set(before[table])
    assert after[INVOICES][replaced] == before[INVOICES][replaced]
    figures = outcome.by_day[f"servicenow/{INVOICES}"][DAY.isoformat()]
    assert figures["superseded"] == 2
    today.close()
    tomorrow.close()


def test_gl_rows_that_are_not_read_are_no_reason_to_retire_them(synced: Company) -> None:
    before = written(synced.home, POSTINGS)
    store = store_of(synced.home)
    with store.transaction() as connection:
        connection.execute("DELETE FROM transactionaccountingline")
        stamp = "2026-03-08 15:00:00"
        connection.execute('UPDATE "transaction" SET lastmodifieddate = ?', (stamp,))
    store.close()
    outcome = sync_day(synced)
    assert outcome.success, outcome.errors
    assert written(synced.home, POSTINGS) == before


def test_a_role_without_deleted_records_retires_no_document_and_says_what_to_grant(
    first_sync: FirstSync, opened: Open
) -> None:
    synced = opened(first_sync.home, netsuite={"hidden_tables": frozenset({"deletedrecord"})})
    bill = free_bills(synced.home, set(expected(generate("tiny", 1)).rejected_bills))[0]["id"]
    store = store_of(synced.home)
    Edits(store).delete(bill)
    store.close()
    outcome = sync_day(synced)
    assert outcome.success, outcome.errors
    assert synced.writes == []
    assert failing_on(synced, "deletions_seen") == {"netsuite/deleted_records"}
    assert "Deleted Records" in outcome.totals["netsuite/deleted_records"]["notes"]


def test_a_refused_deletion_is_told_in_servicenows_words_and_tried_again(
    first_sync: FirstSync, opened: Open
) -> None:
    denied = {LINES: frozenset({"delete"})}
    synced = opened(first_sync.home, servicenow={"denied": denied})
    bill = free_bills(synced.home, set(expected(generate("tiny", 1)).rejected_bills))[0]["id"]
    store = store_of(synced.home)
    Edits(store).delete(bill)
    store.close()
    outcome = sync_day(synced)
    assert outcome.success, outcome.errors
    assert failing_on(synced, "retired") == {f"servicenow/{INVOICES}"}
    assert written(synced.home, INVOICES)[bill]["state"] != "canceled"  # never before its lines
    assert not [k for k in written(synced.home, POSTINGS) if k.startswith(f"{bill}-")]
    with synced.connected() as connections:
        state = connections.job_state.get("vendor_bill", bill)
    assert state is not None
    assert (state.status, state.reasons) == (Status.FAILED, ("REFUSED_BY_SERVICENOW",))
