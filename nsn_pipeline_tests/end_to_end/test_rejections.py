"""The open list across days: complete, with amounts, cured when cured, and honest without Redis."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from nsn_pipeline.audit.rejections import CSV_COLUMNS, Rejection, grouped
from nsn_pipeline.frames import values_of
from nsn_pipeline.orchestration.assets.audit import REJECTIONS
from nsn_pipeline.orchestration.jobs import DAILY_SYNC
from nsn_pipeline.orchestration.open_documents import open_documents
from nsn_pipeline.orchestration.open_rejections import OpenList, open_rejections
from nsn_pipeline.orchestration.replaying import Replays
from nsn_pipeline.orchestration.runs_known import RunsKnown
from nsn_pipeline.sandbox.data.expectation import Expectation, expected
from nsn_pipeline.sandbox.data.gaps import MISSING_GL_ACCOUNTS
from nsn_pipeline.sandbox.data.generator import generate
from nsn_pipeline.sandbox.servicenow.options import AbortRule
from nsn_pipeline.state.job_state import Status
from nsn_pipeline_tests.end_to_end.conftest import FirstSync, Open, evaluation
from nsn_pipeline_tests.support.company import FIRST, LAST, WEEK, Company, servicenow_rows

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def expectation() -> Expectation:
    return expected(generate("tiny", 1))


def listed(company: Company) -> OpenList:
    with company.connected() as connections:
        return open_rejections(connections, company.instance)


def of_type(rejections: Sequence[Rejection], record_type: str) -> dict[str, Rejection]:
    found = [one for one in rejections if one.record_type == record_type]
    assert len({one.document_id for one in found}) == len(found)
    return {one.document_id: one for one in found}


def test_every_refused_document_of_every_day_is_listed_with_its_amount_and_cures(
    synced: Company, expectation: Expectation
) -> None:
    before = datetime.now(UTC)
    found = listed(synced)

    assert found.notes() == []
    for record_type, wanted in (
        ("vendor_bill", expectation.rejected_bills),
        ("purchase_order", expectation.rejected_orders),
    ):
        mine = of_type(found.rejections, record_type)
        assert {
            number: {p.reference for p in one.problems if p.reference}
            for number, one in mine.items()
        } == {number: set(codes) for number, codes in wanted.items()}
        totals = {
            row["id"]: Decimal(row["foreigntotal"] or 0)
            for row in synced.netsuite('SELECT id, foreigntotal FROM "transaction"')
        }
        assert all(abs(one.amount or 0) == abs(totals[n]) for n, one in mine.items())
        assert all(one.url.endswith(f"={n}") and one.since <= before for n, one in mine.items())
        assert all(one.day in WEEK and one.vendor and one.subsidiary for one in mine.values())


@pytest.mark.parametrize("status", ["STARTED", "FAILURE"])
def test_the_list_and_a_replay_of_everything_mean_the_same_by_open(
    synced: Company, status: str
) -> None:
    """One accepted bill is not written: its run is at it, or ended before."""
    job = synced.definitions.resolve_job_def(DAILY_SYNC)
    ended = status == "FAILURE"
    run = synced.instance.create_run_for_job(job, status=dg.DagsterRunStatus[status])
    with synced.connected() as connections:
        bill = next(connections.job_state.by_status(Status.LOADED, "vendor_bill"))
        pending = {"status": Status.PENDING, "run_id": run.run_id, "updated_at": datetime.now(UTC)}
        connections.job_state.record([replace(bill, **pending)])
        look = Replays(connections, synced.instance)
        chosen = {(one.record_type, one.document_id) for one in look.open()}
    found = listed(synced)
    assert (found.unwritten, found.pending) == ((1, 0) if ended else (0, 1))
    refused = {(one.record_type, one.document_id) for one in found.rejections}
    assert chosen - refused == ({("vendor_bill", bill.document_id)} if ended else set())
    assert refused <= chosen


def test_the_asset_holds_the_whole_list_and_says_how_much_is_open(synced: Company) -> None:
    assert synced.sync_day(WEEK[0]).success
    found = listed(synced)
    event = synced.instance.get_latest_materialization_event(REJECTIONS)
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata

    assert metadata["open_documents"].value == len(found.rejections)
    assert len(metadata["to_cure"].value.records) == len(grouped(found.rejections))
    with synced.connected() as connections:
        landed = connections.landing.read(tuple(REJECTIONS.path), None)
    assert tuple(landed.columns) == CSV_COLUMNS
    assert sorted(values_of(landed, "document_id")) == sorted(
        one.document_id for one in found.rejections for _ in one.problems
    )
    key = dg.AssetCheckKey(REJECTIONS, "none_open")
    history = synced.instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    assert history[0].status.value == "FAILED"


def test_what_was_cured_leaves_the_list_and_the_rest_keeps_its_age(
    synced: Company, expectation: Expectation
) -> None:
    code = MISSING_GL_ACCOUNTS[1]
    before = listed(synced).rejections
    synced.add_to_servicenow("itfm_gl_accounts", {"account_number": code, "account_name": "New"})
    assert synced.sync().success

    after = listed(synced).rejections
    left = {
        number: set(codes) - {f"gl_account:{code}"}
        for number, codes in expectation.rejected_bills.items()
    }
    bills = of_type(after, "vendor_bill")
    assert set(bills) == {number for number, codes in left.items() if codes}
    assert set(bills) < set(of_type(before, "vendor_bill"))
    since = {(one.record_type, one.document_id): one.since for one in before}
    assert all(since[one.record_type, one.document_id] == one.since for one in after)


def test_without_redis_the_list_is_the_same_and_says_what_it_is_made_from(
    first_sync: FirstSync, opened: Open, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(first_sync.home, bare, ignore=shutil.ignore_patterns("redis", "*.sock"))
    company = opened(bare)

    found = listed(company)

    assert company.sync(FIRST, LAST).success
    whole = listed(company)
    assert whole.rejections
    assert whole.notes() == []
    assert told(found) == told(whole)
    days = {one.day for one in whole.rejections if one.day}
    assert days <= set(found.unknown_days) <= set(WEEK)
    assert "losing Redis" in found.notes()[0]
    assert f"--from {found.unknown_days[0]} --to {found.unknown_days[-1]}" in found.notes()[0]


def told(found: OpenList) -> dict[tuple[str, str], tuple[object, ...]]:
    return {
        (one.record_type, one.document_id): (one.status, one.day, one.problems, one.amount)
        for one in found.rejections
    }


def test_what_servicenow_refuses_is_listed_in_its_own_words_until_it_is_written(
    opened: Open,
) -> None:
    day = date(2026, 3, 4)
    rule = AbortRule("sn_apo_invoice", "Close of books", "currency=USD")
    company = opened(servicenow={"abort_rules": (rule,)})
    assert company.sync(day, day).success

    found = listed(company)

    failed = [one for one in found.rejections if one.status == "failed"]
    assert failed
    for one in failed:
        assert one.record_type == "vendor_bill"
        assert one.currency == "USD"
        assert one.vendor
        assert one.amount is not None
        assert one.url
        assert one.problems[0].reason == "REFUSED_BY_SERVICENOW"
        assert "replay" in one.problems[0].remedy
    invoices = {
        row.get("u_netsuite_id") for row in servicenow_rows(company.home, "sn_apo_invoice").values()
    }
    assert not invoices & {one.document_id for one in failed}
    check = evaluation(company, "servicenow/sn_apo_invoice", "all_written", day)
    table = check["documents"].records
    assert {row.data["document"].split()[0] for row in table} == {o.document_id for o in failed}
    assert all(row.data["amount"].endswith(" USD") and row.data["vendor"] for row in table)
    assert {row.data["netsuite"] for row in table} == {one.url for one in failed}
    everything = pd.read_parquet(check["all_problems_of_the_day"].value)
    assert set(everything["document_id"]) == {one.document_id for one in failed}


def test_invoices_without_their_order_are_told_with_the_money_and_where_the_rest_is(
    opened: Open,
) -> None:
    rule = AbortRule("proc_po", "Orders are frozen")
    company = opened(servicenow={"abort_rules": (rule,)})
    assert company.sync().success
    with company.connected() as connections:
        found = open_documents(connections.job_state, RunsKnown(company.instance)).unlinked
    bills = [one for one in found if one.record_type == "vendor_bill"]
    day = bills[0].partition
    waiting = {one.document_id for one in bills if one.partition == day}
    check = evaluation(company, "servicenow/sn_apo_invoice", "links_complete", day)
    table = check["documents"].records
    assert check["unlinked"].value == len(table) > 0
    assert {row.data["document"].split()[0] for row in table} == waiting
    assert all(row.data["reason"] == "LINK_NOT_SET" and row.data["amount"] for row in table)
    assert all(row.data["netsuite"] and row.data["remedy"] for row in table)
    everything = pd.read_parquet(check["all_problems_of_the_day"].value)
    assert set(everything["document_id"]) == waiting
