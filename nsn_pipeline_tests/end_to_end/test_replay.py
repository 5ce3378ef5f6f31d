"""Cured documents flow: ticks of the sensor and `nsn replay`, on the generated week."""

import io
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from rich.console import Console

from nsn_pipeline.audit.replay import CODES
from nsn_pipeline.commands import replay as replaying_by_hand
from nsn_pipeline.commands.replay import ReplayReport, ReplayRequest, run_replay
from nsn_pipeline.extract.window import local_day
from nsn_pipeline.orchestration import sensors
from nsn_pipeline.orchestration.assets import loading
from nsn_pipeline.orchestration.assets.audit import NONE_OPEN, REJECTIONS
from nsn_pipeline.orchestration.jobs import (
    DAILY_SYNC,
    PARTITION_TAG,
    days_of_run,
)
from nsn_pipeline.orchestration.open_rejections import open_rejections
from nsn_pipeline.orchestration.replaying import REPLAY_LANE, REPLAY_TAG
from nsn_pipeline.orchestration.resources import SystemsResource
from nsn_pipeline.orchestration.runs import RunOutcome
from nsn_pipeline.orchestration.sensors import REPLAY_SENSOR
from nsn_pipeline.sandbox.data.expectation import expected
from nsn_pipeline.sandbox.data.gaps import MISSING_COST_CENTERS, MISSING_GL_ACCOUNTS
from nsn_pipeline.sandbox.data.generator import generate
from nsn_pipeline.state.job_state import DocumentState, Status
from nsn_pipeline_tests.end_to_end.conftest import FirstSync, Open
from nsn_pipeline_tests.support.company import WEEK, Company, by

pytestmark = pytest.mark.slow

CODE = MISSING_GL_ACCOUNTS[1]
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class Ticks:
    """A sensor and its cursor, as the daemon keeps it."""

    def __init__(self, company: Company) -> None:
        self._company = company
        self.cursor: str | None = None

    def __call__(self) -> tuple[list[dg.RunRequest], str]:
        definitions = self._company.definitions
        sensor = definitions.get_repository_def().get_sensor_def(REPLAY_SENSOR)
        context = dg.build_sensor_context(
            instance=self._company.instance,
            cursor=self.cursor,
            definitions=definitions,
            resources={"systems": SystemsResource()},
        )
        data = sensor.evaluate_tick(context)
        self.cursor = data.cursor if data.cursor is not None else self.cursor
        return list(data.run_requests or []), data.skip_message or ""

    def carry_out(self, requests: Iterable[dg.RunRequest]) -> None:
        """As the daemon does: each request is a run."""
        for request in requests:
            run(self._company, request)


def run(company: Company, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    job = company.definitions.resolve_job_def(DAILY_SYNC)
    return job.execute_in_process(
        instance=company.instance,
        partition_key=request.partition_key,
        tags={**request.tags, "dagster/run_key": request.run_key or ""},
        run_config=QUIET,
        raise_on_error=False,
    )


def days_asked(requests: Iterable[dg.RunRequest]) -> list[str]:
    days = []
    for request in requests:
        tags = dict(request.tags)
        if request.partition_key:
            tags[PARTITION_TAG] = request.partition_key
        days += days_of_run(tags)
    assert len(days) == len(set(days))
    return sorted(days)


def waiting(company: Company, reference: str) -> list[DocumentState]:
    with company.connected() as connections:
        found = connections.job_state.waiting_for(reference)
    return [one for one in found if one.partition]


def states(company: Company, documents: Iterable[DocumentState]) -> list[DocumentState]:
    found = []
    with company.connected() as connections:
        for one in documents:
            state = connections.job_state.get(one.record_type, one.document_id)
            assert state is not None
            found.append(state)
    return found


def add_account(company: Company, code: str) -> None:
    company.add_to_servicenow("itfm_gl_accounts", {"account_number": code, "account_name": "New"})


@pytest.fixture
def ticks(synced: Company) -> Ticks:
    return Ticks(synced)


def test_nothing_is_asked_for_while_nothing_is_cured(ticks: Ticks) -> None:
    requests, told = ticks()
    assert requests == []
    assert "still missing" in told


def test_an_added_account_is_seen_and_exactly_its_days_are_asked_for_once(
    synced: Company, ticks: Ticks
) -> None:
    ticks()
    documents = waiting(synced, f"gl_account:{CODE}")
    assert documents
    add_account(synced, CODE)
    requests, _ = ticks()
    assert days_asked(requests) == sorted({one.partition for one in documents})
    assert {request.tags[REPLAY_TAG] for request in requests} == {REPLAY_LANE}
    assert all(f"GL account {CODE} is now in ServiceNow" in r.tags["nsn/why"] for r in requests)
    before = {(one.record_type, one.document_id): one for one in documents}
    ticks.carry_out(requests)
    after = states(synced, documents)
    for one in after:  # what also waits for another code says only what is left
        assert f"gl_account:{CODE}" not in one.references
        assert (one.status is Status.LOADED) or (one.status is Status.REJECTED and one.references)
        earlier = before[one.record_type, one.document_id]
        assert one.first_seen == earlier.first_seen
        assert one.attempts == earlier.attempts + 1
        failing = one.status is not Status.LOADED
        assert one.failing_since == (earlier.failing_since if failing else None)
    assert any(one.status is Status.LOADED for one in after)
    again, told = ticks()
    assert again == []
    assert CODE not in told


def test_the_same_failure_is_not_asked_for_twice(synced: Company, ticks: Ticks) -> None:
    add_account(synced, CODE)
    requests, _ = ticks()
    assert requests
    for request in requests:  # the daemon made runs of them, which are not done
        tags = dict(request.tags)
        if request.partition_key:
            tags[PARTITION_TAG] = request.partition_key
        synced.instance.create_run_for_job(
            synced.definitions.resolve_job_def(DAILY_SYNC),
            tags=tags,
            status=dg.DagsterRunStatus.STARTED,
        )
    again, told = ticks()
    assert again == []
    assert "runs under way" in told
    for record in synced.instance.get_run_records():
        synced.instance.delete_run(record.dagster_run.run_id)
    assert [r.run_key for r in ticks()[0]] == [r.run_key for r in requests]


def test_a_line_in_the_mapping_file_is_a_cure_and_says_so(synced: Company, ticks: Ticks) -> None:
    code = MISSING_GL_ACCOUNTS[0]
    documents = waiting(synced, f"gl_account:{code}")
    ticks()
    synced.override("gl_accounts", code, "8000")
    requests, _ = ticks()
    assert days_asked(requests) == sorted({one.partition for one in documents})
    assert all("is now mapped in mappings/gl_accounts.csv" in r.tags["nsn/why"] for r in requests)
    ticks.carry_out(requests)
    assert waiting(synced, f"gl_account:{code}") == []
    assert ticks()[0] == []


def test_a_cure_that_does_not_help_is_tried_once(synced: Company, ticks: Ticks) -> None:
    """The account is mapped for an office that the documents are not of."""
    synced.override("gl_accounts", CODE, "8000")
    path = synced.home / "mappings" / "gl_accounts.csv"
    path.write_text(path.read_text().replace(f",{CODE},,", f",{CODE},999,"))
    requests, _ = ticks()
    assert requests
    ticks.carry_out(requests)
    assert waiting(synced, f"gl_account:{CODE}")
    assert ticks()[0] == []
    assert ticks()[0] == []


def test_everything_cured_flows_by_itself_and_nothing_is_written_twice(
    synced: Company, ticks: Ticks
) -> None:
    with synced.connected() as connections:
        missing = connections.job_state.missing_references()
    for code in MISSING_GL_ACCOUNTS:
        add_account(synced, code)
    for code in {m.partition(":")[2] for m in missing if m.startswith("cost_center:")}:
        synced.add_to_servicenow("cmn_cost_center", {"code": code, "name": code})
    assert {m.partition(":")[2] for m in missing} >= {*MISSING_GL_ACCOUNTS, *MISSING_COST_CENTERS}
    rounds = 0
    while (requests := ticks()[0]) and rounds < 4:
        ticks.carry_out(requests)
        rounds += 1
    assert 1 <= rounds < 4
    with synced.connected() as connections:
        state = connections.job_state
        left = [reference for reference in state.missing_references() if waiting(synced, reference)]
        counts = state.counts()
    assert left == []
    for record_type in ("vendor", "purchase_order", "vendor_bill", "gl_posting"):
        assert set(counts[record_type]) == {Status.LOADED}
    assert_all_there_once(synced)


def assert_all_there_once(synced: Company) -> None:
    wanted = {
        "sn_apo_invoice": "('VendBill', 'VendCred')",
        "proc_po": "('PurchOrd')",
    }
    for table, types in wanted.items():
        rows = synced.netsuite(f'SELECT id FROM "transaction" WHERE type IN {types}')
        found = [
            row["u_netsuite_id"]
            for row in synced.servicenow(table).values()
            if row.get("u_netsuite_id")
        ]
        assert sorted(found) == sorted(str(row["id"]) for row in rows)
    links = synced.netsuite(
        "SELECT DISTINCT nextdoc FROM nexttransactionlinelink"
        " WHERE linktype = 'OrdBill' AND previoustype = 'PurchOrd'"
    )
    linked = {
        row["u_netsuite_id"]
        for row in synced.servicenow("sn_apo_invoice").values()
        if row.get("purchase_order")
    }
    assert linked == {row["nextdoc"] for row in links}


def one_waiting(company: Company) -> DocumentState:
    found = [one for one in waiting(company, f"gl_account:{CODE}") if len(one.references) == 1]
    return next(one for one in found if one.record_type == "vendor_bill")


def test_a_document_edited_since_is_replayed_on_its_new_day_and_once(
    synced: Company, ticks: Ticks
) -> None:
    bill, later = one_waiting(synced), "2026-03-11"
    with synced.netsuite_store() as store:
        change = {"memo": "Corrected", "lastmodifieddate": f"{later}T15:00:00Z"}
        store.update_row("transaction", bill.document_id, change)
    add_account(synced, CODE)
    requests, _ = ticks()
    assert later in days_asked(requests)
    ticks.carry_out(requests)
    (after,) = states(synced, [bill])
    assert (after.status, after.partition) == (Status.LOADED, later)
    assert after.first_seen == bill.first_seen
    rows = [
        row
        for row in synced.servicenow("sn_apo_invoice").values()
        if row.get("u_netsuite_id") == bill.document_id
    ]
    assert ["Corrected" in row.values() for row in rows] == [True]
    assert ticks()[0] == []


def test_a_document_deleted_in_netsuite_is_closed_by_the_day_of_its_deletion(
    synced: Company, ticks: Ticks
) -> None:
    bill = one_waiting(synced)
    with synced.netsuite_store() as store:
        store.delete_row("transaction", bill.document_id)
    add_account(synced, CODE)
    requests, _ = ticks()
    today = local_day(datetime.now(UTC), synced.info["environment"]["NSN_TIMEZONE"])
    assert today.isoformat() in days_asked(requests)
    assert states(synced, [bill]) == [bill]  # absence closes nothing; the run has the evidence
    ticks.carry_out(requests)
    (after,) = states(synced, [bill])
    assert (after.status, after.references) == (Status.RETIRED, ())
    with synced.connected() as connections:
        (stood,) = connections.trail.known("vendor_bill", [bill.document_id]).values()
    assert stood.failing_since is None


def test_a_document_hidden_from_the_role_is_left_open_and_said(
    synced: Company, ticks: Ticks
) -> None:
    bill = one_waiting(synced)
    with synced.netsuite_store() as store:
        store.delete_row("transaction", bill.document_id)
        with store.transaction() as connection:
            wanted = (bill.document_id,)
            connection.execute("DELETE FROM deletedrecord WHERE recordid = ?", wanted)
    add_account(synced, CODE)
    ticks()
    assert states(synced, [bill]) == [bill]
    report = by_hand(synced, documents=(f"vendor_bill:{bill.document_id}",))
    assert report.unseen == [f"vendor_bill:{bill.document_id}"]
    assert "deleted, or hidden from the role" in report.notes[0]
    assert states(synced, [bill]) == [bill]


def test_a_run_that_dies_after_the_gate_is_asked_for_again_and_counts_as_open(
    synced: Company, ticks: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_arguments: object, **_named: object) -> None:
        raise OSError("the worker was killed")

    bill = one_waiting(synced)
    add_account(synced, CODE)
    with monkeypatch.context() as patch:
        patch.setattr(loading, "load_documents", dies)
        ticks.carry_out(ticks()[0])
    (after,) = states(synced, [bill])
    assert (after.status, after.references) == (Status.PENDING, ())
    other = next(day for day in WEEK if day != bill.partition)
    synced.sync_day(other)
    key = dg.AssetCheckKey(REJECTIONS, NONE_OPEN)
    storage = synced.instance.event_log_storage
    record = storage.get_asset_check_execution_history(check_key=key, limit=1)[0]
    evaluation: Any = record.event.dagster_event.event_specific_data
    assert "accepted documents were never written" in evaluation.description
    assert not evaluation.passed
    assert bill.partition not in days_asked(ticks()[0])  # it has just failed
    with monkeypatch.context() as patch:
        patch.setattr(sensors, "PAUSE", timedelta(0))
        requests, _ = ticks()
    assert bill.partition in days_asked(requests)
    ticks.carry_out(requests)
    (after,) = states(synced, [bill])
    assert after.status is Status.LOADED
    assert after.first_seen == bill.first_seen
    assert ticks()[0] == []


def test_a_replay_that_failed_is_asked_for_again_after_a_pause_and_not_for_ever(
    synced: Company, ticks: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_account(synced, CODE)
    requests, _ = ticks()
    job = synced.definitions.resolve_job_def(DAILY_SYNC)
    tried = []
    for _ in range(sensors.TRIES):
        tried += [request.run_key for request in requests]
        for request in requests:
            synced.instance.create_run_for_job(
                job, tags=dict(request.tags), status=dg.DagsterRunStatus.FAILURE
            )
        assert ticks()[0] == []  # it has just failed
        with monkeypatch.context() as patch:
            patch.setattr(sensors, "PAUSE", timedelta(0))
            requests = ticks()[0]
    assert requests == []
    assert len(set(tried)) == len(tried) == sensors.TRIES


@pytest.mark.parametrize("what", ["mapping file", "ServiceNow"])
def test_a_tick_that_cannot_look_says_why_and_forgets_nothing(
    synced: Company, ticks: Ticks, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    ticks()
    remembered = ticks.cursor
    mapping = synced.home / "mappings" / "gl_accounts.csv"
    if what == "ServiceNow":
        monkeypatch.setenv("SERVICENOW_BASE_URL", "https://127.0.0.1:9")
        for name, value in synced.info["environment"].items():
            if name != "SERVICENOW_BASE_URL":
                monkeypatch.setenv(name, value)
    else:
        mapping.parent.mkdir(exist_ok=True)
        mapping.write_text("not,a,mapping\n")
    requests, told = ticks()
    assert requests == []
    assert "could not look" in told
    assert ("gl_accounts.csv" if what == "mapping file" else "servicenow") in told
    assert ticks.cursor == remembered
    mapping.unlink(missing_ok=True)
    for name in synced.info["environment"]:
        monkeypatch.delenv(name, raising=False)
    add_account(synced, CODE)
    assert ticks()[0]


class Calls:
    """What both simulators are asked, beside their answers."""

    def __init__(self) -> None:
        self.netsuite: list[str] = []
        self.servicenow: list[str] = []

    def options(self) -> dict[str, Any]:
        def ask_netsuite(request: Any) -> None:
            self.netsuite.append(request.path)

        def ask_servicenow(request: Any) -> None:
            self.servicenow.append(f"{request.method} {request.path}")

        return {
            "netsuite": {"fault_hook": ask_netsuite},
            "servicenow": {"fault_hook": ask_servicenow},
        }

    def clear(self) -> None:
        self.netsuite.clear()
        self.servicenow.clear()

    def reads(self) -> int:
        """Calls that carry data; tokens are shared between ticks and runs."""
        queries = [path for path in self.netsuite if path.endswith("/suiteql")]
        tables = [call for call in self.servicenow if "/table/" in call and call[:3] == "GET"]
        return len(queries) + len(tables)

    def writes(self) -> list[str]:
        return [call for call in self.servicenow if "/table/" in call and call[:3] != "GET"]


def test_a_tick_asks_nobody_while_nothing_waits_and_little_when_something_does(
    first_sync: FirstSync, opened: Open
) -> None:
    calls = Calls()
    company = opened(first_sync.home, **calls.options())
    ticks = Ticks(company)
    ticks()
    assert calls.writes() == []
    assert calls.reads() <= len(CODES)  # one look-up per kind of code
    calls.clear()
    add_account(company, CODE)
    requests, _ = ticks()
    assert requests
    asked = calls.reads()
    assert asked <= len(CODES) + 2  # and where the documents are: headers, lines
    with company.connected() as connections:
        connections.redis.client.flushdb()
    calls.clear()
    assert ticks() == ([], "no document waits for anything")
    assert calls.netsuite + calls.servicenow == []


def test_a_replay_reads_its_days_and_not_the_history_and_writes_what_was_cured(
    first_sync: FirstSync, opened: Open
) -> None:
    calls = Calls()
    company = opened(first_sync.home, **calls.options())
    documents = waiting(company, f"gl_account:{CODE}")
    before = set(written(company, "sn_apo_invoice"))
    add_account(company, CODE)
    calls.clear()
    report = by_hand(company)
    assert set(report.days) == {one.partition for one in documents} < set(WEEK)
    with company.connected() as connections:
        read = {
            day
            for day in WEEK
            if connections.landing.tags(("netsuite", "vendor_bills"), day)["run_id"] in report.runs
        }
    assert read == set(report.days)
    tables = Counter(call.split("/table/")[1].split("/")[0] for call in calls.writes())
    cured = {one.document_id for one in states(company, documents) if one.status is Status.LOADED}
    assert set(written(company, "sn_apo_invoice")) - before <= cured
    assert tables["sn_apo_invoice"] == len(set(written(company, "sn_apo_invoice")) - before) > 0
    assert tables["proc_po"] + tables["core_company"] <= len(cured)
    calls.clear()
    assert by_hand(company).selected == 0
    assert calls.writes() == []
    assert calls.reads() <= len(CODES)


ORDERED = """
SELECT o.id AS "order", l.nextdoc AS bill, substr(o.lastmodifieddate, 1, 10) AS order_day,
  substr(b.lastmodifieddate, 1, 10) AS bill_day
FROM nexttransactionlinelink l JOIN "transaction" o ON o.id = l.previousdoc
JOIN "transaction" b ON b.id = l.nextdoc
WHERE l.linktype = 'OrdBill' AND l.previoustype = 'PurchOrd' AND order_day < bill_day
"""


def test_a_bill_loaded_without_its_order_is_linked_once_the_order_is_cured(opened: Open) -> None:
    """Two steps of one chain: the account brings the order, and the order its bills."""
    company = opened()
    link, account = unrefused_link(company), account_id(company, CODE)
    with company.netsuite_store() as store:  # the order alone is on an account that is not there
        for line in company.netsuite(
            f'SELECT id FROM transactionline WHERE "transaction" = {link["order"]}'
            " AND mainline = 'F'"
        ):
            key = {"transaction": link["order"], "id": str(line["id"])}
            unmoved = {"linelastmodifieddate": f"{link['order_day']}T00:00:01Z"}
            store.update_row("transactionline", key, {"expenseaccount": account, **unmoved})
    for day in (link["order_day"], link["bill_day"]):
        assert company.sync_day(day).success
    bill = written(company, "sn_apo_invoice")[link["bill"]]
    assert not bill.get("purchase_order")
    assert link["order"] not in written(company, "proc_po")
    assert "vendor_bill" in {
        one.record_type for one in waiting(company, f"purchase_order:{link['order']}")
    }
    with company.connected() as connections:
        found = open_rejections(connections, company.instance)
    assert found.unlinked == 1
    assert "1 document is loaded without" in found.notes()[0]
    chosen = by_hand(company, everything=True, dry_run=True).selected
    assert chosen == len(found.rejections) + found.unlinked
    add_account(company, CODE)
    ticks, rounds = Ticks(company), 0
    while requests := ticks()[0]:
        ticks.carry_out(requests)
        rounds += 1
        assert rounds < 4
    order = written(company, "proc_po")[link["order"]]
    after = written(company, "sn_apo_invoice")[link["bill"]]
    assert (after["purchase_order"], after["sys_id"]) == (order["sys_id"], bill["sys_id"])
    assert waiting(company, f"purchase_order:{link['order']}") == []


def unrefused_link(company: Company) -> dict[str, str]:
    """An order of items on accounts of their own, billed on a later day, neither refused."""
    wanted = expected(generate("tiny", 1))
    return next(
        {name: str(value) for name, value in row.items()}
        for row in company.netsuite(ORDERED)
        if row["bill"] not in wanted.rejected_bills and row["order"] not in wanted.rejected_orders
    )


def account_id(company: Company, code: str) -> str:
    (row,) = company.netsuite(f"SELECT id FROM account WHERE acctnumber = '{code}'")
    return str(row["id"])


def written(company: Company, table: str) -> dict[str, dict[str, str]]:
    rows = [row for row in company.servicenow(table).values() if row.get("u_netsuite_id")]
    return by(rows, "u_netsuite_id")


# --- by hand --------------------------------------------------------------------------------------


def by_hand(company: Company, **filters: object) -> ReplayReport:
    request = ReplayRequest(**filters)
    return run_replay(Console(file=io.StringIO()), request, instance=company.instance)


def test_replay_without_a_filter_runs_what_was_cured_and_says_what_is_left(
    synced: Company,
) -> None:
    assert by_hand(synced).selected == 0
    documents = waiting(synced, f"gl_account:{CODE}")
    add_account(synced, CODE)
    dry = by_hand(synced, dry_run=True)
    assert (dry.selected, dry.runs) == (len(documents), [])
    assert synced.writes == []
    report = by_hand(synced)
    assert report.days == dry.days == sorted({one.partition for one in documents})
    left = {(one.record_type, one.document_id) for one in report.left}
    also = {(o.record_type, o.document_id) for o in documents if len(o.references) > 1}
    assert left == also
    assert report.cured == len(documents) - len(also) > 0
    assert all(f"gl_account:{CODE}" not in one.waits_for for one in report.left)
    assert by_hand(synced).selected == 0


def test_filters_choose_what_is_open(synced: Company) -> None:
    everything = by_hand(synced, everything=True, dry_run=True)
    bill = one_waiting(synced)
    found = {
        name: by_hand(synced, dry_run=True, **{name: (value,)})
        for name, value in {
            "reasons": "MISSING_COST_CENTER",
            "codes": CODE,
            "days": bill.partition,
            "documents": f"vendor_bill:{bill.document_id}",
        }.items()
    }
    assert all(0 < report.selected < everything.selected for report in found.values())
    assert (found["documents"].selected, found["documents"].days) == (1, [bill.partition])
    assert found["days"].days == [bill.partition]
    with synced.connected() as connections:
        named = connections.job_state.waiting_for(f"gl_account:{CODE}")
    assert found["codes"].selected == len(named)
    both = by_hand(synced, dry_run=True, codes=(CODE,), reasons=("MISSING_COST_CENTER",))
    assert both.selected <= found["codes"].selected
    assert synced.writes == []


def test_a_day_that_a_run_is_busy_with_is_left_alone_and_said(synced: Company) -> None:
    bill = one_waiting(synced)
    synced.instance.create_run_for_job(
        synced.definitions.resolve_job_def(DAILY_SYNC),
        tags={PARTITION_TAG: bill.partition},
        status=dg.DagsterRunStatus.STARTED,
    )
    report = by_hand(synced, documents=(f"vendor_bill:{bill.document_id}",))
    assert (report.busy_days, report.runs) == ([bill.partition], [])
    assert [one.judged for one in report.left] == [False]


def test_a_day_that_a_run_comes_to_meanwhile_is_left_to_it(
    synced: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runs of a replay follow each other: the schedule may take a day of the last of them."""
    days = by_hand(synced, everything=True, dry_run=True).days
    took, began, execute = days[-1], [], replaying_by_hand.execute_window

    def meanwhile(*arguments: Any, **named: Any) -> RunOutcome:
        began.append(arguments[2].isoformat())
        if len(began) == 1:
            synced.instance.create_run_for_job(
                synced.definitions.resolve_job_def(DAILY_SYNC),
                tags={PARTITION_TAG: took},
                status=dg.DagsterRunStatus.STARTED,
            )
        return execute(*arguments, **named)

    monkeypatch.setattr(replaying_by_hand, "DAYS_PER_RUN", 1)
    monkeypatch.setattr(replaying_by_hand, "execute_window", meanwhile)
    report = by_hand(synced, everything=True)
    assert began == report.days == days[:-1] != []
    assert report.busy_days == [took]
    assert {one.day for one in report.left if not one.judged} == {took}


def test_an_unmapped_account_alone_is_judged_again_without_any_day(synced: Company) -> None:
    with synced.connected() as connections:
        state = connections.job_state
        account = state.ids_by_status("gl_account", Status.REJECTED)[0]
        known = state.get("gl_account", account)
    assert known is not None
    add_account(synced, known.references[0].partition(":")[2])
    report = by_hand(synced, documents=(f"gl_account:{account}",))
    assert (report.cured, report.days, len(report.runs)) == (1, [], 1)
    tables = {write.split("/table/")[1].split("/")[0].split("?")[0] for write in synced.writes}
    assert tables <= {"itfm_gl_accounts", "cmn_cost_center"}
