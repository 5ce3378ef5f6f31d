"""Planning changes nothing; a saved plan is carried out exactly, or not at all."""

import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from rich.console import Console

from nsn_pipeline.commands.plan import PlanResult, apply_plan, load_plan, run_plan, save_plan
from nsn_pipeline.commands.plan_text import print_plan
from nsn_pipeline.commands.sync import SyncRequest, run_sync
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.orchestration.assets import conformed
from nsn_pipeline.orchestration.assets.conformed import Conformed
from nsn_pipeline.orchestration.assets.servicenow import loaded_by_day
from nsn_pipeline.orchestration.jobs import unread_days
from nsn_pipeline.orchestration.planning import PLAN_KEY
from nsn_pipeline.profiles.loader import load_profile
from nsn_pipeline.sandbox.data.expectation import expected
from nsn_pipeline.sandbox.data.generator import generate
from nsn_pipeline.sandbox.netsuite.edits import Edits
from nsn_pipeline.settings import load_project_settings
from nsn_pipeline.state.job_state import DocumentState, Status
from nsn_pipeline_tests.end_to_end.test_retire import free_bills, store_of
from nsn_pipeline_tests.end_to_end.test_sync import written
from nsn_pipeline_tests.support.company import WEEK, Company

pytestmark = pytest.mark.slow

DAY, LATER = "2026-03-04", "2026-03-05"
REQUEST = SyncRequest(date.fromisoformat(LATER), date.fromisoformat(LATER))
QUIET = Console(file=io.StringIO(), width=80)


@dataclass(frozen=True, slots=True)
class Edited:
    """The company after its first sync, and a bill that was edited in NetSuite since."""

    company: Company
    instance: dg.DagsterInstance
    bill: str

    def change_memo(self, memo: str) -> None:
        with self.company.netsuite_store() as store:
            stamp = f"{LATER}T15:00:00Z"
            store.update_row("transaction", self.bill, {"memo": memo, "lastmodifieddate": stamp})

    def states(self) -> list[DocumentState]:
        with self.company.connected() as connections:
            state = connections.job_state
            return [one for day in WEEK for kind in ("vendor_bill", "purchase_order", "vendor",
                    "gl_posting") for one in state.in_partition(day, kind)]  # fmt: skip


@pytest.fixture
def edited(synced: Company, tmp_path: Path, monkeypatch) -> Iterator[Edited]:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    # It is built for the settings of the moment, once for each process.
    monkeypatch.delitem(sys.modules, "nsn_pipeline.definitions", raising=False)
    with synced.connected() as connections:
        states = connections.job_state.in_partition(DAY, "vendor_bill")
    bill = min(state.document_id for state in states if state.status == Status.LOADED)
    with dg.DagsterInstance.get() as instance:
        found = Edited(synced, instance, bill)
        found.change_memo("Corrected")
        yield found
    monkeypatch.delitem(sys.modules, "nsn_pipeline.definitions", raising=False)


def printed(result: PlanResult) -> str:
    file = io.StringIO()
    print_plan(Console(file=file, width=80), result, fields=20, rejections=5)
    return file.getvalue()


def test_a_plan_shows_what_a_sync_would_change_and_changes_nothing(edited: Edited) -> None:
    company = edited.company
    before = edited.states()
    invoice = written(company.home, "sn_apo_invoice")[edited.bill]
    trail = {p: p.stat().st_size for p in (company.home / "audit").rglob("*") if p.is_file()}

    result = run_plan(QUIET, REQUEST)

    assert result.summary.errors == []
    (one,) = result.plan.changes
    assert (one.table, one.change.kind, one.change.key) == ("sn_apo_invoice", "update", edited.bill)
    assert one.change.values == {"short_description": "Corrected"}
    assert one.change.before == {"short_description": invoice.get("short_description", "")}
    assert result.plan.fields() == {"sn_apo_invoice.short_description": 1}
    assert result.plan.counts["sn_apo_invoice"]["update"] == 1
    assert result.plan.counts["sn_apo_invoice"]["unchanged"] > 0
    text = printed(result)
    assert f"update sn_apo_invoice {edited.bill}" in text
    assert "-> Corrected" in text
    assert max(map(len, text.splitlines())) <= 80
    json.dumps(result.to_json())
    # neither system, nor job state, nor the audit trail, nor the days that count as read
    assert company.writes == []
    assert written(company.home, "sn_apo_invoice")[edited.bill] == invoice
    assert edited.states() == before
    assert {
        p: p.stat().st_size for p in (company.home / "audit").rglob("*") if p.is_file()
    } == trail
    keys = loaded_by_day(load_profile("seed"))
    for key in keys:
        assert edited.instance.get_materialized_partitions(key) == set()
    project = load_project_settings()
    assert unread_days(edited.instance, project, datetime(2026, 3, 9, 12, tzinfo=UTC), keys) == []
    # nor what checks say of these days; and it is there to see in the UI
    checks = edited.company.definitions.resolve_asset_graph().asset_check_keys
    assert checks
    for key in checks:
        history = edited.instance.event_log_storage.get_asset_check_execution_history(key, limit=9)
        told = [r.event.dagster_event for r in history if r.event and r.event.dagster_event]
        assert not [e for e in told if isinstance(e.event_specific_data, dg.AssetCheckEvaluation)]
    assert not list((company.home / "planned").rglob("audit/usage"))
    assert edited.instance.get_materialized_partitions(PLAN_KEY) == {LATER}
    (record,) = edited.instance.fetch_materializations(PLAN_KEY, limit=5).records
    metadata = record.asset_materialization.metadata
    assert metadata["update"].value == 1
    (row,) = metadata["changes"].value.records
    assert row.data == {
        "table": "sn_apo_invoice",
        "key": edited.bill,
        "column": "short_description",
        "old": one.change.before["short_description"],
        "new": "Corrected",
    }


def test_a_document_that_moves_while_it_is_planned_is_told_and_not_planned(
    edited: Edited, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = conformed.read_accepted
    tomorrow = store_of(edited.company.home, date.fromisoformat(LATER) + timedelta(days=1))

    def edited_before(landing: Any, names: Conformed, day: str | None, run_id: str) -> Any:
        if names.record_type == "vendor_bill":
            tomorrow.update_row("transaction", edited.bill, {"memo": "Corrected meanwhile"})
        return accepted(landing, names, day, run_id)

    monkeypatch.setattr(conformed, "read_accepted", edited_before)
    result = run_plan(QUIET, REQUEST)
    tomorrow.close()

    assert result.summary.errors == []
    assert result.plan.changes == []
    # its postings are read with the bill's stamp, and have moved as well
    assert result.superseded == {"vendor_bill": 1, "gl_posting": 1}
    assert result.to_json()["superseded"] == result.superseded
    text = printed(result)
    assert "vendor_bill: 1" in text
    assert "A sync would write nothing" not in text
    (record,) = edited.instance.fetch_materializations(PLAN_KEY, limit=5).records
    assert record.asset_materialization.metadata["superseded"].value == 2


@dataclass(frozen=True, slots=True)
class Removed:
    """What leaves NetSuite besides: a whole bill, and the last line of another."""

    bill: str
    line: str
    rows: frozenset[tuple[str, str]]  # table and key of all that has to go for it


@pytest.fixture
def removed(edited: Edited) -> Removed:
    home = edited.company.home
    rejected = set(expected(generate("tiny", 1)).rejected_bills)
    bills = [one for one in free_bills(home, rejected) if one["id"] != edited.bill]
    long = next(one for one in bills if int(one["lines"]) >= 3)
    bill = next(one["id"] for one in bills if one is not long)
    line = f"{long['id']}-{long['last']}"
    store = store_of(home, date.fromisoformat(LATER))
    Edits(store).delete(bill)
    Edits(store).delete_line(long["id"], long["last"])
    store.close()
    rows = {("sn_apo_invoice", bill)} | {
        (table, key)
        for table in ("sn_apo_invoice_line", "u_netsuite_gl_posting")
        for key in written(home, table)
        if key.startswith((f"{bill}-", f"{line}-")) or key == line
    }
    return Removed(bill, line, frozenset(rows))


def test_a_saved_plan_is_carried_out_exactly_with_what_is_to_be_retired(
    edited: Edited, removed: Removed, tmp_path: Path
) -> None:
    path = tmp_path / "plan.json"
    request = replace(REQUEST, allow_retire=100)
    result = run_plan(QUIET, request)
    plan = result.plan
    save_plan(plan, path)
    retired = {one.identity for one in plan.changes if one.change.kind == "retire"}
    assert retired == removed.rows
    assert sum(counts.get("retire", 0) for counts in plan.counts.values()) == len(retired)
    assert "the record is deleted" in printed(result)
    home = edited.company.home
    held = {table: len(written(home, table)) for table, _ in retired}

    summary = apply_plan(QUIET, path)

    assert summary.errors == []
    method = {"create": "POST", "update": "PATCH", "retire": "PATCH"}
    assert sorted(edited.company.writes) == sorted(
        f"{'DELETE' if one.change.deletes else method[one.change.kind]} "
        f"/api/now/table/{one.table}/{one.change.sys_id}"
        for one in plan.changes
    )
    assert f"{plan.writes} of {plan.writes} planned changes carried out" in summary.notes
    assert written(home, "sn_apo_invoice")[removed.bill]["state"] == "canceled"
    for table in ("sn_apo_invoice_line", "u_netsuite_gl_posting"):
        gone = len([one for one in retired if one[0] == table])
        assert len(written(home, table)) == held[table] - gone < held[table]
    assert_told(edited)
    with pytest.raises(ConfigurationError, match="there is nothing to"):
        apply_plan(QUIET, path)


def assert_told(edited: Edited) -> None:
    """The load asset's materialisation of the day says what was planned, with old and new."""
    wanted = dg.AssetRecordsFilter(
        dg.AssetKey(["servicenow", "sn_apo_invoice"]), asset_partitions=[LATER]
    )
    (record,) = edited.instance.fetch_materializations(wanted, limit=5).records
    metadata = record.asset_materialization.metadata
    assert metadata["plan"].value["fields"]["short_description"] == 1
    assert metadata["plan"].value["kinds"]["retire"] == 1
    rows = [row.data for row in metadata["changes"].value.records]
    (memo,) = [row for row in rows if row["key"] == edited.bill]
    assert (memo["column"], memo["new"]) == ("short_description", "Corrected")
    assert memo["old"] != memo["new"]


def test_a_plan_says_what_the_brake_will_not_let_go(
    edited: Edited, removed: Removed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NSN_RETIRE_MAX_COUNT", "0")
    result = run_plan(QUIET, REQUEST)
    assert result.summary.errors == []
    assert [one.identity for one in result.plan.changes if one.change.kind == "retire"] == []
    held = {one.document_id: one for one in result.plan.failing}
    assert {removed.bill, removed.line.partition("-")[0]} <= set(held)
    assert held[removed.bill].reasons == ("RETIREMENT_HELD",)
    assert "--allow-retire" in held[removed.bill].remedy
    assert result.has_findings
    text = " ".join(printed(result).split())
    assert "RETIREMENT_HELD" in text
    assert "--allow-retire" in text


def test_a_change_that_was_no_longer_needed_when_it_was_due_is_named(
    edited: Edited, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "plan.json"
    plan = run_plan(QUIET, REQUEST).plan
    save_plan(plan, path)
    (one,) = plan.changes

    def done_by_hand(*args: Any, **options: Any) -> Any:
        edited.company.edit_in_servicenow(one.table, one.change.sys_id, one.change.values)
        edited.company.writes.clear()
        return run_sync(*args, **options)

    monkeypatch.setattr("nsn_pipeline.commands.plan.run_sync", done_by_hand)
    summary = apply_plan(QUIET, path)
    assert (summary.errors, edited.company.writes) == ([], [])
    assert summary.notes[-2] == "0 of 1 planned changes carried out"
    assert "no longer needed" in summary.notes[-1]
    assert f"update sn_apo_invoice {edited.bill}" in summary.notes[-1]


def both_systems_move(edited: Edited, _path: Path) -> None:
    """At once, as planning again is what takes long: each is told by itself."""
    edited.change_memo("Corrected again")
    with edited.company.connected() as connections:
        of_day = connections.job_state.in_partition(LATER, "vendor_bill")
    other = min(state.document_id for state in of_day if state.status == Status.LOADED)
    sys_id = written(edited.company.home, "sn_apo_invoice")[other]["sys_id"]
    edited.company.edit_in_servicenow("sn_apo_invoice", sys_id, {"short_description": "By hand"})


def the_mapping_changes(edited: Edited, _path: Path) -> None:
    edited.company.override("gl_accounts", "9999", "8000")


def somebody_edits_the_file(_edited: Edited, path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8").replace("Corrected", "Approved"))


def made_for(**scope: str) -> Callable[[Edited, Path], None]:
    def rewrite(_edited: Edited, path: Path) -> None:
        plan = load_plan(path)
        save_plan(replace(plan, scope=replace(plan.scope, **scope)), path)

    return rewrite


MOVES = {  # those that need no look at either system come first
    "mapping": (the_mapping_changes, "overrides in mappings/ changed"),
    "file": (somebody_edits_the_file, "was changed after it was saved"),
    "account": (made_for(account="7654321"), "was made for NetSuite account 7654321"),
    "instance": (made_for(instance="acmedev"), "was made for ServiceNow instance acmedev"),
    "profile": (made_for(profile="s2p"), "was made with profile s2p"),
    "both systems": (
        both_systems_move,
        r"(?s)for 2 record.*-> 'Corrected', now .* -> 'Corrected again'.*update was not planned",
    ),
}


def test_a_plan_is_refused_when_the_world_has_moved(edited: Edited, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    save_plan(run_plan(QUIET, REQUEST).plan, path)
    saved = path.read_bytes()
    for name, (move, words) in MOVES.items():
        path.write_bytes(saved)
        move(edited, path)
        edited.company.writes.clear()
        with pytest.raises(ConfigurationError, match=words):
            apply_plan(QUIET, path)
        assert edited.company.writes == [], name
        (edited.company.home / "mappings" / "gl_accounts.csv").unlink(missing_ok=True)
