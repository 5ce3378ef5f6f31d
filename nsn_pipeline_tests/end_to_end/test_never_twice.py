"""Two runs that write the same records at the same moment leave each record once.

They are made to meet: each stops right before its first write to a table, after it has looked up
what is there, and goes on when the other stands at the same point. So both believe that they have
to create the record, with and without a unique index to stop the second.
"""

import io
import re
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import dagster as dg
import pytest
from dagster_shared.utils.warnings import disable_dagster_warnings
from rich.console import Console

from nsn_pipeline.clients.servicenow import ServiceNowClient
from nsn_pipeline.commands.replay import ReplayRequest, run_replay
from nsn_pipeline.load.documents import DocumentResult, load_documents
from nsn_pipeline.load.plan import Change
from nsn_pipeline.load.table import Table
from nsn_pipeline.load.writer import Loader
from nsn_pipeline.orchestration.assets.conformed import CONFORMED, read_accepted
from nsn_pipeline.orchestration.jobs import DAILY_SYNC
from nsn_pipeline.orchestration.runs import RunOutcome, execute_window
from nsn_pipeline.sandbox.data.gaps import MISSING_GL_ACCOUNTS
from nsn_pipeline.sandbox.servicenow.tables import BASE_TABLES
from nsn_pipeline.state.job_state import Status
from nsn_pipeline.state.trail_recorder import TrailRecorder
from nsn_pipeline_tests.end_to_end.conftest import FirstSync, Open
from nsn_pipeline_tests.end_to_end.test_sync import comparable, written
from nsn_pipeline_tests.support.company import Company

pytestmark = pytest.mark.slow

DAY = date(2026, 3, 4)
KINDS = ("vendor", "purchase_order", "vendor_bill", "gl_posting")
TABLES = ("core_company", "proc_po", "proc_po_item", "sn_apo_invoice", "sn_apo_invoice_line",
          "u_netsuite_gl_posting")  # fmt: skip
PATIENCE_S = 60
WITHOUT_INDEX = tuple(
    replace(
        one,
        columns=re.sub(
            r" unique( display)? \| NetSuite ID", r" index\1 | NetSuite ID", one.columns
        ),
    )
    for one in BASE_TABLES
    if one.name in TABLES
)


class Meeting:
    """Where two runs wait for each other before the first write to each of some tables."""

    def __init__(self, *tables: str) -> None:
        self._barriers = {table: threading.Barrier(2) for table in tables}
        self._seen: set[tuple[str, str]] = set()
        self.one_is_there = threading.Event()
        self.met: set[str] = set()

    def arrive(self, run: str, table: str) -> None:
        if table in self._barriers and (run, table) not in self._seen:
            self._seen.add((run, table))
            self.one_is_there.set()
            self._barriers[table].wait(PATIENCE_S)
            self.met.add(table)

    def call_off(self) -> None:
        """One of the two has ended: nobody waits for it any more."""
        for barrier in self._barriers.values():
            barrier.abort()


def assert_each_once_and_right(company: Company, first_sync: FirstSync) -> None:
    """`written` fails when a key is there twice; the values are those of an undisturbed sync."""
    for table in TABLES:
        whole = {k: comparable(row) for k, row in written(first_sync.home, table).items()}
        found = {k: comparable(row) for k, row in written(company.home, table).items()}
        assert found, table
        assert found == {key: whole[key] for key in found}, table


# --- two load steps, and every table of theirs ----------------------------------------------------


def load_day(company: Company, run: str, meeting: Meeting | None) -> list[DocumentResult]:
    """All the load steps of the day, with clients of their own, on what was judged before."""
    results: list[DocumentResult] = []

    def before_send(table: Table, _changes: Sequence[Change]) -> None:
        if meeting is not None:
            meeting.arrive(run, table.name)

    with (
        company.connected() as connections,
        Loader(
            connections.servicenow,
            instance=connections.instance.name,
            reader_currency=connections.settings.servicenow.currency,
            before_send=before_send,
        ) as loader,
    ):
        resolver = connections.resolver()
        for kind in KINDS:
            names = CONFORMED[kind]
            judged_by = connections.landing.tags(names.path("headers"), DAY.isoformat())["run_id"]
            headers, lines = read_accepted(connections.landing, names, DAY.isoformat(), judged_by)
            target = connections.profile.targets[kind]
            results.append(load_documents(loader, target, headers, lines, resolver=resolver))
    return results


@pytest.mark.parametrize("tables", [(), WITHOUT_INDEX], ids=["unique index", "no index"])
def test_two_loads_that_create_the_same_documents_at_once_make_each_record_once(
    opened: Open, first_sync: FirstSync, tables
) -> None:
    company = opened(servicenow={"extra_tables": tables, "record_latency_s": 0.001})
    shutil.copytree(first_sync.home / "landing", company.home / "landing")
    meeting = Meeting(*TABLES)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(load_day, company, run, meeting) for run in "ab"]
        results = [one.result(PATIENCE_S) for one in both]
    assert meeting.met == set(TABLES)
    for result in results:
        statuses = Counter(row.status for part in result for row in part.documents)
        assert set(statuses) == {"loaded"}
    assert_each_once_and_right(company, first_sync)
    assert len(company.writes) > sum(len(written(company.home, table)) for table in TABLES)
    company.writes.clear()
    load_day(company, "c", None)
    assert company.writes == []


@pytest.mark.parametrize("tables", [(), WITHOUT_INDEX], ids=["unique index", "no index"])
def test_new_records_are_counted_where_keys_are_unique_and_read_back_elsewhere(
    opened: Open, first_sync: FirstSync, tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = opened(servicenow={"extra_tables": tables})
    shutil.copytree(first_sync.home / "landing", company.home / "landing")
    proven, read = Counter[str](), Counter[str]()
    count, find = ServiceNowClient.unchanged, ServiceNowClient.find

    def counting(self, table, versions):
        found = count(self, table, versions)
        proven[table] += len(found or ())
        return found

    def finding(self, table, key, values, fields):
        if tuple(fields) == ("sys_id", key, "sys_mod_count"):
            read[table] += len(values)
        return find(self, table, key, values, fields)

    monkeypatch.setattr(ServiceNowClient, "unchanged", counting)
    monkeypatch.setattr(ServiceNowClient, "find", finding)
    load_day(company, "a", None)
    made = Counter({table: len(written(company.home, table)) for table in TABLES})
    found, none = (read, proven) if tables else (proven, read)
    assert not none
    assert set(found) == set(TABLES)
    assert found <= made
    assert made.total() - found.total() <= 1  # a record whose echo leaves a question is read whole


# --- whole runs -----------------------------------------------------------------------------------


@pytest.fixture
def meeting(monkeypatch: pytest.MonkeyPatch) -> Meeting:
    """Runs meet right before they send bills."""
    found = Meeting("sn_apo_invoice")
    sending = TrailRecorder.sending

    def wait_and_send(self: TrailRecorder, table: Table, changes: Sequence[Change]) -> None:
        sending(self, table, changes)
        found.arrive(self._run_id, table.name)

    monkeypatch.setattr(TrailRecorder, "sending", wait_and_send)
    return found


def sync(company: Company, day: date) -> RunOutcome:
    with dg.DagsterInstance.ephemeral() as instance:
        return execute_window(
            company.definitions.resolve_job_def(DAILY_SYNC), instance, day, day,
            selection=None, on_event=lambda _event: None,
        )  # fmt: skip


def beside(company: Company, day: date, meeting: Meeting, other: Callable[[], object]) -> None:
    """A sync of the day that stands before its bills while the other one comes up to it.

    Filters of warnings belong to the process: what a library changes in one thread for a moment
    would turn a warning of Dagster's in the other into an error.
    """

    def first() -> RunOutcome:
        try:
            with disable_dagster_warnings():
                return sync(company, day)
        finally:
            meeting.one_is_there.set()
            meeting.call_off()

    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(first)
        assert meeting.one_is_there.wait(PATIENCE_S)
        try:
            with disable_dagster_warnings():
                other()
        finally:
            meeting.call_off()
        told = run.result(PATIENCE_S).errors
    assert meeting.met == {"sn_apo_invoice"}
    # Its files were replaced under it: it may stop at the next table, and for no other reason.
    assert all("was not written by this run" in error for error in told)


def test_two_syncs_of_a_day_at_once_leave_each_record_once(
    opened: Open, first_sync: FirstSync, meeting: Meeting
) -> None:
    company = opened()
    outcomes: list[RunOutcome] = []
    beside(company, DAY, meeting, lambda: outcomes.append(sync(company, DAY)))
    assert [outcome.errors for outcome in outcomes] == [()]
    assert_each_once_and_right(company, first_sync)
    company.writes.clear()
    assert sync(company, DAY).success
    assert company.writes == []


def test_a_sync_beside_a_replay_of_the_same_day_leaves_each_record_once(
    synced: Company, meeting: Meeting
) -> None:
    code = MISSING_GL_ACCOUNTS[1]
    with synced.connected() as connections:
        waiting = connections.job_state.waiting_for(f"gl_account:{code}")
    bill = next(
        one for one in waiting if one.record_type == "vendor_bill" and len(one.references) == 1
    )
    synced.add_to_servicenow("itfm_gl_accounts", {"account_number": code, "account_name": "New"})

    def replay() -> None:
        request = ReplayRequest(documents=(f"vendor_bill:{bill.document_id}",))
        report = run_replay(Console(file=io.StringIO()), request, instance=synced.instance)
        assert (report.selected, report.cured) == (1, 1)

    day = date.fromisoformat(bill.partition)
    beside(synced, day, meeting, replay)
    creates = [one for one in synced.writes if one == "POST /api/now/table/sn_apo_invoice"]
    assert len(creates) >= 2  # both did send it
    assert bill.document_id in written(synced.home, "sn_apo_invoice")
    for table in TABLES:
        assert written(synced.home, table)  # no key twice
    with synced.connected() as connections:
        state = connections.job_state.get("vendor_bill", bill.document_id)
    assert state is not None
    assert state.status is Status.LOADED
    synced.writes.clear()
    assert sync(synced, day).success
    assert synced.writes == []
