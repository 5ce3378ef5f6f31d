"""What a run refuses to do, and what its commands refuse to say."""

import time
from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest

from nsn_pipeline.commands.summary import summarize
from nsn_pipeline.commands.sync import _selection
from nsn_pipeline.doctor.preflight import preflight
from nsn_pipeline.orchestration.jobs import DAILY_SYNC
from nsn_pipeline.profiles.loader import load_profile
from nsn_pipeline.records.registry import REGISTRY
from nsn_pipeline_tests.support.company import FIRST, Company

pytestmark = pytest.mark.slow

Open = Callable[..., Company]
DAY = FIRST.isoformat()


def run_only(synced: Company, *keys: str) -> dg.ExecuteInProcessResult:
    job = synced.definitions.resolve_job_def(DAILY_SYNC)
    return job.execute_in_process(
        instance=synced.instance,
        partition_key=DAY,
        asset_selection=[dg.AssetKey(key.split("/")) for key in keys],
        raise_on_error=False,
    )


@pytest.mark.parametrize(
    "keys",
    [
        ("servicenow/sn_apo_invoice", "servicenow/sn_apo_invoice_line"),
        ("conformed/suppliers",),
        ("netsuite/purchase_orders", "netsuite/purchase_order_lines"),
    ],
    ids=["load alone", "gate alone", "orders without the bills that bring them"],
)
def test_a_step_refuses_what_another_run_read_or_judged(
    synced: Company, keys: tuple[str, ...]
) -> None:
    result = run_only(synced, *keys)
    assert not result.success
    assert synced.writes == []
    told = [event.step_failure_data.error for event in result.get_step_failure_events()]
    assert any("was not written by this run" in error.to_string() for error in told if error)


@pytest.mark.parametrize("record_type", list(REGISTRY))
def test_every_record_type_can_be_synced_with_what_it_needs(
    synced: Company, record_type: str
) -> None:
    profile = load_profile("seed")
    selection = _selection(synced.definitions, profile, [record_type])
    assert selection is not None
    names = {key.to_user_string() for key in selection}
    assert f"servicenow/{profile.targets[record_type].table}" in names
    # Building the job checks that no step is cut in two and nothing it reads is missing.
    synced.definitions.resolve_job_def(DAILY_SYNC).get_subset(asset_selection=set(selection))


def test_a_summary_counts_only_what_its_own_runs_did(synced: Company) -> None:
    with synced.connected() as connections:
        outcomes = [synced.sync(FIRST, FIRST)]
        days = [DAY, "2026-03-03"]  # the second was judged by another run
        summary = summarize(connections.landing, connections.profile, days, outcomes)
        alone = summarize(connections.landing, connections.profile, [DAY], outcomes)
        nothing = summarize(connections.landing, connections.profile, days, [])
    assert [kind.counted.read for kind in summary.types] == [k.counted.read for k in alone.types]
    assert not any(kind.counted.read or kind.tables for kind in nothing.types)


def test_a_reference_list_without_codes_stops_the_run_before_anything_is_judged(
    opened: Open,
) -> None:
    """A column that is closed after the pre-flight is no reason to refuse every document."""
    hidden: dict[str, frozenset[str]] = {}
    company = opened(servicenow={"hidden_columns": hidden})
    with company.connected() as connections:
        preflight(connections)
    hidden["itfm_gl_accounts"] = frozenset({"account_number"})
    outcome = company.sync(FIRST, FIRST)
    assert not outcome.success
    assert "not_empty" in " ".join(outcome.errors)
    # Cost centers and suppliers have no account; nothing that has one was written.
    tables = {write.split("/table/")[1].split("/")[0].split("?")[0] for write in company.writes}
    assert tables <= {"cmn_cost_center", "core_company"}


def test_a_half_configured_system_stops_before_anything_is_read(opened: Open) -> None:
    company = opened(servicenow={"absent_tables": frozenset({"u_netsuite_gl_posting"})})
    outcome = company.sync(FIRST, FIRST)
    assert not outcome.success
    assert "u_netsuite_gl_posting does not exist" in " ".join(outcome.errors)
    assert company.writes == []
    landed = [path for path in (company.home / "landing").rglob("*") if path.is_file()]
    assert landed == []


def test_a_load_does_not_ask_netsuite_for_what_it_only_shows(opened: Open) -> None:
    """A backfill of partitioned assets alone lands no currencies, and its checks show amounts.

    One question that fails would end a step that has written, and the loads after it.
    """
    asked: list[float] = []

    def netsuite(request: Any) -> None:
        if request.path.endswith("/suiteql") and b" FROM currency c " in request.body:
            asked.append(time.time())

    fresh = opened(netsuite={"fault_hook": netsuite})
    graph = fresh.definitions.resolve_asset_graph()
    keys = [key for key in graph.materializable_asset_keys if graph.get(key).partitions_def]
    result = run_only(fresh, *(key.to_user_string() for key in keys))
    assert result.success
    assert fresh.writes
    assert asked  # by the gates
    loads = _spans(fresh, result.run_id, "servicenow_")
    assert len(loads) == 4
    assert not [at for at in asked if any(begun <= at <= ended for begun, ended in loads)]


def _spans(company: Company, run_id: str, prefix: str) -> list[tuple[float, float]]:
    """When these steps of a run, which came one after the other, began and ended."""
    times: dict[str, list[float]] = {}
    for entry in company.instance.all_logs(run_id):
        event = entry.dagster_event
        if event is not None and event.event_type_value in {"STEP_START", "STEP_SUCCESS"}:
            times.setdefault(event.step_key or "", []).append(entry.timestamp)
    return [(min(found), max(found)) for step, found in times.items() if step.startswith(prefix)]
