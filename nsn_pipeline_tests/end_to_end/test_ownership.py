"""Who owns a column: users' own edits survive, ours are kept in step, computed ones are watched."""

from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from nsn_pipeline.state.job_state import Status
from nsn_pipeline_tests.end_to_end.conftest import FirstSync, Open
from nsn_pipeline_tests.support.company import Company, by
from nsn_pipeline_tests.support.project import own_profile

pytestmark = pytest.mark.slow

TABLES = ("core_company", "proc_po", "sn_apo_invoice", "sn_apo_invoice_line")
ORDERS = dg.AssetKey(["servicenow", "proc_po"])


@pytest.fixture
def own(first_sync: FirstSync, opened: Open, tmp_path: Path, monkeypatch) -> Company:
    """The company after its first sync, whose profile leaves some columns to ServiceNow's users."""
    company = opened(first_sync.home)
    profile = own_profile(
        tmp_path / "own.yaml",
        ("column: phone, from: phone, as: text(40)", "owner: servicenow"),
        ("column: due_by, from: due_date, as: datetime", "owner: servicenow"),
        ("column: due_date, from: due_date, as: date", "owner: servicenow"),
        ("column: line_number, from: line_number, as: integer", "owner: servicenow"),
    )
    monkeypatch.setenv("NSN_PROFILE", str(profile))
    return company


def ours(company: Company, table: str) -> dict[str, dict[str, str]]:
    rows = [row for row in company.servicenow(table).values() if row.get("u_netsuite_id")]
    return by(rows, "u_netsuite_id")


def test_users_edits_in_columns_of_servicenow_survive_every_sync(own: Company) -> None:
    records = {table: ours(own, table) for table in TABLES}
    first = {table: rows[min(rows)] for table, rows in records.items()}
    edits = {
        "core_company": {"phone": "+1 555 0100 (reception)"},
        "proc_po": {"due_by": "2027-01-31 09:00:00"},
        "sn_apo_invoice": {"due_date": "2027-02-28"},
        "sn_apo_invoice_line": {"line_number": "99"},
    }
    for table, edit in edits.items():
        own.edit_in_servicenow(table, first[table]["sys_id"], edit)
    # and one edit of a column that is NetSuite's
    own.edit_in_servicenow("core_company", first["core_company"]["sys_id"], {"name": "Typo Ltd"})
    own.writes.clear()

    outcome = own.sync()

    assert outcome.success, outcome.errors
    assert own.writes == [f"PATCH /api/now/table/core_company/{first['core_company']['sys_id']}"]
    for table, edit in edits.items():
        assert edit.items() <= ours(own, table)[first[table]["u_netsuite_id"]].items()
    vendor = ours(own, "core_company")[first["core_company"]["u_netsuite_id"]]
    assert vendor["name"] == first["core_company"]["name"]

    with own.netsuite_store() as store:  # NetSuite changes both what it owns and what it does not
        bill = first["sn_apo_invoice"]["u_netsuite_id"]
        change = {"memo": "Corrected", "duedate": "2026-04-30"}
        store.update_row(
            "transaction", bill, {**change, "lastmodifieddate": "2026-03-08T15:00:00Z"}
        )
    assert own.sync().success
    row = ours(own, "sn_apo_invoice")[bill]
    assert (row["short_description"], row["due_date"]) == ("Corrected", "2027-02-28")


def test_amounts_that_a_user_edits_are_corrected_where_they_can_be_judged(synced: Company) -> None:
    """Their witnesses stay as they were. The reader is shown US dollars."""
    bills, orders = ours(synced, "sn_apo_invoice"), ours(synced, "proc_po")
    bill, abroad = (
        min(number for number, row in bills.items() if (row["currency"] == "USD") is at_home)
        for at_home in (True, False)
    )
    bill_lines, order_lines = ours(synced, "sn_apo_invoice_line"), ours(synced, "proc_po_item")
    bill_line = min(key for key in bill_lines if key.startswith(f"{bill}-"))
    order_line = min(
        key for key in order_lines if orders[key.partition("-")[0]]["u_currency"] == "USD"
    )
    edits = {
        ("sn_apo_invoice", "total_amount"): bills[bill],
        ("sn_apo_invoice_line", "line_amount"): bill_lines[bill_line],
        ("proc_po_item", "cost"): order_lines[order_line],
    }
    for (table, column), row in edits.items():
        synced.edit_in_servicenow(table, row["sys_id"], {column: "USD;0.03"})
    # Of an amount that is shown converted only its presence can be judged (decision 5)
    synced.edit_in_servicenow(
        "sn_apo_invoice",
        bills[abroad]["sys_id"],
        {"total_amount": f"{bills[abroad]['currency']};3"},
    )
    synced.writes.clear()

    outcome = synced.sync()

    assert outcome.success, outcome.errors
    assert sorted(synced.writes) == sorted(
        f"PATCH /api/now/table/{table}/{row['sys_id']}" for (table, _), row in edits.items()
    )
    for (table, column), row in edits.items():
        assert ours(synced, table)[row["u_netsuite_id"]][column] == row[column] != "USD;0.03"


def agreement(company: Company, day: str) -> Any:
    """The last result of the check on compared columns of a day's orders."""
    key = dg.AssetCheckKey(ORDERS, "compared_columns_agree")
    records = company.instance.event_log_storage.get_asset_check_execution_history(
        check_key=key, limit=100
    )
    return next(r.event.dagster_event.event_specific_data for r in records if r.partition == day)


def test_computed_total_that_differs_is_reported_and_neither_corrected_nor_failed(
    synced: Company,
) -> None:
    with synced.connected() as connections:
        states = [
            state
            for number, row in ours(synced, "proc_po").items()
            if row["u_currency"] == "USD"
            and (state := connections.job_state.get("purchase_order", number)) is not None
        ]
    order = min(states, key=lambda state: state.document_id)
    held = ours(synced, "proc_po")[order.document_id]
    synced.edit_in_servicenow("proc_po", held["sys_id"], {"ship_rate": "USD;12.5"})
    synced.writes.clear()

    assert synced.sync_day(order.partition).success

    assert synced.writes == []
    result = agreement(synced, order.partition)
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.WARN
    assert result.metadata["columns"].value == {"total_cost": 1}
    (row,) = result.metadata["differences"].value.records
    assert (row.data["key"], row.data["column"]) == (order.document_id, "total_cost")
    kept = pd.read_parquet(result.metadata["all_differences"].value)
    assert list(kept["key"]) == [order.document_id]
    wanted, stored = row.data["netsuite"], row.data["servicenow"]
    assert float(stored) - float(wanted.removeprefix("USD;")) == pytest.approx(12.5)
    with synced.connected() as connections:
        state = connections.job_state.get("purchase_order", order.document_id)
    assert state is not None
    assert state.status == Status.LOADED


def test_computed_totals_agree_to_the_cent_after_the_first_sync(first_sync: FirstSync) -> None:
    results = [r for r in first_sync.checks if r.check == "compared_columns_agree"]
    assert len(results) == 7
    assert all(result.passed for result in results)
