"""A week of the generated company, from the simulated NetSuite into the simulated ServiceNow.

Both sides are compared behind our clients' backs, and what must be refused is worked out from the
tables alone (`sandbox.data.expectation`).
"""

import shutil
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from nsn_pipeline.sandbox.data.expectation import Expectation, expected
from nsn_pipeline.sandbox.data.gaps import MISSING_GL_ACCOUNTS
from nsn_pipeline.sandbox.data.generator import generate
from nsn_pipeline.state.job_state import Status
from nsn_pipeline_tests.end_to_end.conftest import FirstSync, Open, check_results
from nsn_pipeline_tests.support.company import (
    WEEK,
    Company,
    Rows,
    by,
    netsuite_rows,
    servicenow_rows,
)

pytestmark = pytest.mark.slow

DOCUMENTS = "('VendBill', 'VendCred')"
POSTING_TYPES = "('VendBill', 'VendCred', 'VendPymt', 'Journal')"
HEADERS = """
SELECT t.id, t.entity, t.foreigntotal, t.type, t.posting, c.symbol, c.currencyprecision
FROM "transaction" t JOIN currency c ON c.id = t.currency WHERE t.type IN {types}
"""
# The account a line must land on: what it posted to in the primary book, else the line's own, else
# its item's (docs/facts/netsuite.md 6.4).
LINES = """
SELECT tl."transaction" AS document, tl.id, tl.foreignamount, d.externalid AS cost_center,
  (SELECT acctnumber FROM account a WHERE a.id = COALESCE(
     (SELECT p.account FROM transactionaccountingline p WHERE p."transaction" = tl."transaction"
        AND p.transactionline = tl.id AND p.accountingbook = 1
        AND (p.debit IS NOT NULL OR p.credit IS NOT NULL) AND t.type <> 'PurchOrd'),
     tl.expenseaccount, i.expenseaccount, i.assetaccount)) AS gl_account
FROM transactionline tl JOIN "transaction" t ON t.id = tl."transaction"
LEFT JOIN item i ON i.id = tl.item LEFT JOIN department d ON d.id = tl.department
WHERE tl.mainline = 'F' AND t.type IN {types}
"""
POSTINGS = f"""
SELECT p."transaction" AS document, p.transactionline AS line, p.debit, p.credit,
  a.acctnumber AS gl_account, d.externalid AS cost_center, substr(t.trandate, 1, 10) AS day
FROM transactionaccountingline p JOIN "transaction" t ON t.id = p."transaction"
JOIN transactionline tl ON tl."transaction" = p."transaction" AND tl.id = p.transactionline
JOIN account a ON a.id = p.account LEFT JOIN department d ON d.id = tl.department
WHERE p.accountingbook = 1 AND t.posting = 'T' AND t.type IN {POSTING_TYPES}
  AND (p.debit IS NOT NULL OR p.credit IS NOT NULL)
"""


@pytest.fixture(scope="module")
def expectation() -> Expectation:
    return expected(generate("tiny", 1))


def codes(home: Path, table: str, column: str) -> dict[str, str]:
    return {sys_id: row[column] for sys_id, row in servicenow_rows(home, table).items()}


def grouped(rows, column: str) -> dict[str, list]:
    found = defaultdict(list)
    for row in rows:
        found[row[column]].append(row)
    return found


def money(row: Mapping[str, str], column: str, currency: str) -> Decimal:
    code, _, amount = row[column].partition(";")
    assert code == currency
    return Decimal(amount)


def written(home: Path, table: str) -> dict[str, dict[str, str]]:
    """Records of ours by NetSuite id."""
    rows = servicenow_rows(home, table).values()
    return by([row for row in rows if row.get("u_netsuite_id")], "u_netsuite_id")


def assert_bills_are_exact(home: Path, rejected: set[str]) -> None:
    """Every bill that is not refused is in ServiceNow once, whole and right; no other is."""
    bills = by(netsuite_rows(home, HEADERS.format(types=DOCUMENTS)), "id")
    invoices = written(home, "sn_apo_invoice")
    assert sorted(invoices) == sorted(set(bills) - rejected)
    suppliers = {r["u_netsuite_id"]: s for s, r in servicenow_rows(home, "core_company").items()
                 if r.get("u_netsuite_id")}  # fmt: skip
    for number, invoice in invoices.items():
        bill = bills[number]
        assert invoice["currency"] == bill["symbol"]
        assert Decimal(invoice["u_total_amount"]) == -Decimal(bill["foreigntotal"])
        total = money(invoice, "total_amount", bill["symbol"])
        assert total == -Decimal(bill["foreigntotal"])
        assert invoice["supplier"] == suppliers[bill["entity"]]
    of_bill = {i["sys_id"]: number for number, i in invoices.items()}
    accounts = codes(home, "itfm_gl_accounts", "account_number")
    centers = codes(home, "cmn_cost_center", "code")
    found = {
        key: (
            f"{of_bill[line['invoice']]}-{key.partition('-')[2]}",
            Decimal(line["u_line_amount"]),
            money(line, "line_amount", bills[of_bill[line["invoice"]]]["symbol"]),
            accounts[line["gl_account"]],
            centers.get(line.get("cost_center", "")),
        )
        for key, line in written(home, "sn_apo_invoice_line").items()
    }
    wanted = {
        f"{line['document']}-{line['id']}": (
            f"{line['document']}-{line['id']}",
            Decimal(line["foreignamount"] or 0),
            Decimal(line["foreignamount"] or 0),
            line["gl_account"],
            line["cost_center"],
        )
        for line in netsuite_rows(home, LINES.format(types=DOCUMENTS))
        if line["document"] not in rejected
    }
    assert found == wanted


def assert_orders_are_exact(home: Path, rejected: set[str]) -> None:
    orders = by(netsuite_rows(home, HEADERS.format(types="('PurchOrd')")), "id")
    found = written(home, "proc_po")
    assert sorted(found) == sorted(set(orders) - rejected)
    of_order = {order["sys_id"]: number for number, order in found.items()}
    accounts = codes(home, "itfm_gl_accounts", "account_number")
    centers = codes(home, "cmn_cost_center", "code")
    for number, order in found.items():
        assert order["u_currency"] == orders[number]["symbol"]
        assert Decimal(order["u_total_amount"]) == abs(Decimal(orders[number]["foreigntotal"]))
    lines = {
        key: (
            of_order[line["purchase_order"]],
            Decimal(line["u_line_amount"]),
            accounts[line["u_gl_account"]],
            centers.get(line.get("u_cost_center", "")),
        )
        for key, line in written(home, "proc_po_item").items()
    }
    assert lines == {
        f"{line['document']}-{line['id']}": (
            line["document"],
            Decimal(line["foreignamount"] or 0),
            line["gl_account"],
            line["cost_center"],
        )
        for line in netsuite_rows(home, LINES.format(types="('PurchOrd')"))
        if line["document"] not in rejected
    }


def refused_postings(home: Path) -> set[str]:
    """Documents that post to a code ServiceNow does not have, or not on that day."""
    accounts = set(codes(home, "itfm_gl_accounts", "account_number").values())
    centers = by(list(servicenow_rows(home, "cmn_cost_center").values()), "code")
    refused = set()
    for row in netsuite_rows(home, POSTINGS):
        center = centers.get(row["cost_center"])
        expired = center and center.get("valid_to") and center["valid_to"][:10] <= row["day"]
        if row["gl_account"] not in accounts or (row["cost_center"] and (not center or expired)):
            refused.add(row["document"])
    return refused


# --- the first sync -------------------------------------------------------------------------------


def test_every_accepted_bill_is_in_servicenow_once_with_its_lines_codes_and_amounts(
    first_sync: FirstSync, expectation: Expectation
) -> None:
    assert_bills_are_exact(first_sync.home, set(expectation.rejected_bills))


def test_every_accepted_order_is_in_servicenow_once_with_its_lines_codes_and_amounts(
    first_sync: FirstSync, expectation: Expectation
) -> None:
    assert_orders_are_exact(first_sync.home, set(expectation.rejected_orders))


def test_bills_are_linked_to_the_orders_and_order_lines_they_bill(
    first_sync: FirstSync, expectation: Expectation
) -> None:
    links = netsuite_rows(
        first_sync.home,
        "SELECT nextdoc, nextline, previousdoc, previousline FROM nexttransactionlinelink"
        " WHERE linktype = 'OrdBill' AND previoustype = 'PurchOrd'",
    )
    loaded = [
        link
        for link in links
        if link["nextdoc"] not in expectation.rejected_bills
        and link["previousdoc"] not in expectation.rejected_orders
    ]
    assert loaded
    invoices, orders = (written(first_sync.home, t) for t in ("sn_apo_invoice", "proc_po"))
    lines, items = (written(first_sync.home, t) for t in ("sn_apo_invoice_line", "proc_po_item"))
    for link in loaded:
        order = orders[link["previousdoc"]]
        assert invoices[link["nextdoc"]]["purchase_order"] == order["sys_id"]
        line = lines[f"{link['nextdoc']}-{link['nextline']}"]
        item = items[f"{link['previousdoc']}-{link['previousline']}"]
        assert line["purchase_order_line"] == item["sys_id"]
    unlinked = set(invoices) - {link["nextdoc"] for link in links}
    assert not any(invoices[number].get("purchase_order") for number in unlinked)


def test_postings_of_the_primary_book_are_in_servicenow_once_with_codes_and_amounts(
    first_sync: FirstSync,
) -> None:
    home = first_sync.home
    refused = refused_postings(home)
    accounts = codes(home, "itfm_gl_accounts", "account_number")
    centers = codes(home, "cmn_cost_center", "code")
    found = {
        key: (
            accounts[row["u_gl_account"]],
            centers.get(row.get("u_cost_center", "")),
            Decimal(row.get("u_debit") or 0) - Decimal(row.get("u_credit") or 0),
            Decimal(row["u_amount"]),
        )
        for key, row in written(home, "u_netsuite_gl_posting").items()
    }
    wanted = {}
    for row in netsuite_rows(home, POSTINGS):
        amount = Decimal(row["debit"] or 0) - Decimal(row["credit"] or 0)
        if row["document"] not in refused:
            wanted[f"{row['document']}-{row['line']}-1"] = (
                row["gl_account"], row["cost_center"], amount, amount,
            )  # fmt: skip
    assert found == wanted


def test_refused_documents_are_those_the_tables_say_with_their_missing_codes(
    first_sync: FirstSync, expectation: Expectation, opened: Open
) -> None:
    company = opened(first_sync.home)
    with company.connected() as connections:
        state = connections.job_state
        for record_type, wanted in (
            ("vendor_bill", expectation.rejected_bills),
            ("purchase_order", expectation.rejected_orders),
        ):
            ids = state.ids_by_status(record_type, Status.REJECTED)
            found = {i: s.references for i, s in state.get_many(record_type, ids).items()}
            assert {i: set(codes) for i, codes in found.items()} == {
                document: set(codes) for document, codes in wanted.items()
            }


def test_every_partitioned_asset_is_materialized_for_each_day(first_sync: FirstSync) -> None:
    found = dict(first_sync.materialized)
    assert found.pop("plan/changes") == frozenset()  # a sync is no plan
    assert found
    assert set(found.values()) == {frozenset(WEEK)}


def test_each_day_has_its_own_result_of_every_check(first_sync: FirstSync) -> None:
    counts = Counter(
        (r.asset, r.check) for r in first_sync.checks for _ in [r] if r.day is not None
    )
    days = defaultdict(set)
    for result in first_sync.checks:
        days[result.asset, result.check].add(result.day)
    partitioned = {name: found for name, found in days.items() if None not in found}
    assert ("conformed/invoices", "gl_accounts_exist") in partitioned
    assert all(found == set(WEEK) for found in partitioned.values())
    assert set(counts.values()) == {len(WEEK)}


def test_a_check_fails_on_the_days_that_have_refused_documents_only(
    first_sync: FirstSync, expectation: Expectation
) -> None:
    failing = {
        result.day
        for result in first_sync.checks
        if result.asset == "conformed/invoices" and not result.passed
    }
    figures = first_sync.outcome.by_day["conformed/invoices"]
    assert failing == {day for day, one in figures.items() if one["rejected"]}
    assert sum(one["rejected"] for one in figures.values()) == len(expectation.rejected_bills)


# --- again ----------------------------------------------------------------------------------------


def test_a_second_sync_writes_nothing(synced: Company) -> None:
    before = {t: synced.servicenow(t) for t in ("proc_po", "sn_apo_invoice", "core_company")}
    outcome = synced.sync()
    assert outcome.success, outcome.errors
    assert synced.writes == []
    assert {t: synced.servicenow(t) for t in before} == before
    assert sum(t.get("created", 0) + t.get("updated", 0) for t in outcome.totals.values()) == 0


def test_state_lost_with_redis_comes_back_without_a_write(
    first_sync: FirstSync, opened: Open, tmp_path: Path, expectation: Expectation
) -> None:
    shutil.copytree(
        first_sync.home, tmp_path / "bare", ignore=shutil.ignore_patterns("redis", "landing")
    )
    company = opened(tmp_path / "bare")
    outcome = company.sync(date(2026, 3, 6), date(2026, 3, 7))
    assert outcome.success, outcome.errors
    assert company.writes == []
    figures = [outcome.by_day["conformed/invoices"][day] for day in ("2026-03-06", "2026-03-07")]
    with company.connected() as connections:
        state = connections.job_state
        rejected = state.ids_by_status("vendor_bill", Status.REJECTED)
        loaded = state.ids_by_status("vendor_bill", Status.LOADED)
    assert set(rejected) <= set(expectation.rejected_bills)
    assert len(rejected) == sum(day["rejected"] for day in figures)
    assert len(loaded) == sum(day["accepted"] for day in figures) > 0


def test_one_day_alone_gives_that_days_slice_of_the_range_run(
    first_sync: FirstSync, opened: Open
) -> None:
    day = "2026-03-06"
    company = opened()  # an empty ServiceNow: the day brings all it needs
    result = company.sync_day(day)
    assert result.success
    first_sync_rows = written(first_sync.home, "sn_apo_invoice")
    whole_week = {key: comparable(row) for key, row in first_sync_rows.items()}
    alone = {key: comparable(row) for key, row in written(company.home, "sn_apo_invoice").items()}
    assert len(alone) == first_sync.outcome.by_day["conformed/invoices"][day]["accepted"]
    assert alone == {key: whole_week[key] for key in alone}
    lines = written(first_sync.home, "sn_apo_invoice_line")
    of_day = {k: comparable(r) for k, r in lines.items() if k.partition("-")[0] in alone}
    found = written(company.home, "sn_apo_invoice_line")
    assert {k: comparable(r) for k, r in found.items()} == of_day
    checks = {(r.asset, r.check) for r in check_results(company) if r.day == day}
    assert checks == {(r.asset, r.check) for r in first_sync.checks if r.day == day}


def comparable(row: Mapping[str, str]) -> dict[str, str]:
    """Without what ServiceNow numbers and stamps itself."""
    own = {"number", "ordered", "received"}
    return {k: v for k, v in row.items() if k == "sys_id" or not (k.startswith("sys_") or k in own)}


def test_a_day_with_nothing_succeeds(synced: Company) -> None:
    result = synced.sync_day("2026-03-20")
    assert result.success
    assert synced.writes == []
    of_day = [r for r in check_results(synced) if r.day == "2026-03-20"]
    assert of_day
    assert all(r.passed for r in of_day)


# --- cures ----------------------------------------------------------------------------------------


def waiting_for(company: Company, expectation: Expectation, reference: str) -> tuple[str, str]:
    """A refused bill that waits for this code and nothing else, and the day it is read on."""
    bills = [n for n, missing in expectation.rejected_bills.items() if missing == (reference,)]
    with company.connected() as connections:
        state = connections.job_state.get("vendor_bill", bills[0])
    assert state is not None
    assert state.status == Status.REJECTED
    return bills[0], state.partition


def test_documents_that_waited_for_a_gl_account_are_loaded_once_it_is_there(
    synced: Company, expectation: Expectation
) -> None:
    code = MISSING_GL_ACCOUNTS[1]
    bill, day = waiting_for(synced, expectation, f"gl_account:{code}")
    before = written(synced.home, "sn_apo_invoice")
    synced.add_to_servicenow("itfm_gl_accounts", {"account_number": code, "account_name": "New"})
    assert synced.sync_day(day).success
    after = written(synced.home, "sn_apo_invoice")
    assert set(after) - set(before) == {bill}
    assert {k: after[k]["sys_mod_count"] for k in before} == {
        k: row["sys_mod_count"] for k, row in before.items()
    }
    assert_bills_are_exact(synced.home, set(expectation.rejected_bills) - {bill})


def test_an_override_line_cures_the_documents_that_waited(
    synced: Company, expectation: Expectation
) -> None:
    code, target = MISSING_GL_ACCOUNTS[0], "8000"
    bill, day = waiting_for(synced, expectation, f"gl_account:{code}")
    synced.override("gl_accounts", code, target)
    before = written(synced.home, "sn_apo_invoice")
    assert synced.sync_day(day).success
    after = written(synced.home, "sn_apo_invoice")
    assert set(after) - set(before) == {bill}
    accounts = codes(synced.home, "itfm_gl_accounts", "account_number")
    used = {
        accounts[line["gl_account"]]
        for line in written(synced.home, "sn_apo_invoice_line").values()
        if line["invoice"] == after[bill]["sys_id"]
    }
    assert target in used


# --- change ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("edited", ["header", "line"])
def test_a_document_edited_on_a_later_day_moves_there_and_is_neither_lost_nor_doubled(
    synced: Company, first_sync: FirstSync, expectation: Expectation, edited: str
) -> None:
    day, later = "2026-03-04", "2026-03-05"
    with synced.connected() as connections:
        states = connections.job_state.in_partition(day, "vendor_bill")
    bill = min(state.document_id for state in states if state.status == Status.LOADED)
    with synced.netsuite_store() as store:
        if edited == "header":
            change = {"memo": "Corrected", "lastmodifieddate": f"{later}T15:00:00Z"}
            store.update_row("transaction", bill, change)
        else:
            key = {"transaction": bill, "id": "1"}
            change = {"memo": "Corrected", "linelastmodifieddate": f"{later}T15:00:00Z"}
            store.update_row("transactionline", key, change)
    outcome = synced.sync(date.fromisoformat(day), date.fromisoformat(later))
    assert outcome.success, outcome.errors
    before = first_sync.outcome.by_day["netsuite/vendor_bills"]
    after = outcome.by_day["netsuite/vendor_bills"]
    assert after[day]["changed"] == before[day]["changed"] - 1
    assert after[later]["changed"] == before[later]["changed"] + 1
    tables = sorted(write.split("/")[4] for write in synced.writes)
    assert (
        tables
        == {
            "header": ["sn_apo_invoice"],
            "line": ["sn_apo_invoice_line", "u_netsuite_gl_posting"],  # both carry the line's text
        }[edited]
    )
    assert_bills_are_exact(synced.home, set(expectation.rejected_bills))
    with synced.connected() as connections:
        state = connections.job_state.get("vendor_bill", bill)
    assert state is not None
    assert (state.partition, state.status) == (later, Status.LOADED)


# --- other accounts -------------------------------------------------------------------------------


def notes_of(outcome) -> str:
    return " ".join(str(totals.get("notes", "")) for totals in outcome.totals.values())


def test_an_account_without_subsidiaries_and_books_syncs_and_says_what_it_lacks(
    opened: Open,
) -> None:
    company = opened(shape="single")
    outcome = company.sync()
    assert outcome.success, outcome.errors
    wanted = expected(generate("tiny", 1, shape="single"))
    assert_bills_are_exact(company.home, set(wanted.rejected_bills))
    assert "accountingbook" in notes_of(outcome)


def test_an_account_without_departments_and_locations_syncs_and_says_so(opened: Open) -> None:
    company = opened(netsuite={"disabled_features": frozenset({"departments", "locations"})})
    result = company.sync(date(2026, 3, 6), date(2026, 3, 6))
    assert result.success, result.errors
    lines: Rows = list(written(company.home, "sn_apo_invoice_line").values())
    assert lines
    assert not any(line.get("cost_center") for line in lines)
    assert "department" in notes_of(result)
