"""What Dagster knows of the project: names people and backfills rely on, and what the UI shows."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from nsn_pipeline.orchestration.assemble import build_definitions
from nsn_pipeline.orchestration.jobs import (
    PARTITION_TAG,
    RANGE_END_TAG,
    RANGE_START_TAG,
    days_of_run,
)
from nsn_pipeline.orchestration.planning import is_plan
from nsn_pipeline.orchestration.resources import OWNERS
from nsn_pipeline.settings import ProjectSettings

ZONE = "America/New_York"
ASSETS = """
audit/coverage audit/rejections
conformed/cost_centers conformed/gl_accounts conformed/gl_postings conformed/invoices
conformed/purchase_orders conformed/suppliers
mapping/cost_centers mapping/gl_accounts
netsuite/currencies netsuite/deleted_records netsuite/departments netsuite/gl_accounts
netsuite/gl_postings
netsuite/purchase_order_lines netsuite/purchase_orders netsuite/subsidiaries
netsuite/unposted_transactions netsuite/vendor_bill_lines netsuite/vendor_bills netsuite/vendors
plan/changes
servicenow/cmn_cost_center servicenow/core_company servicenow/itfm_gl_accounts servicenow/proc_po
servicenow/proc_po_item servicenow/sn_apo_invoice servicenow/sn_apo_invoice_line
servicenow/u_netsuite_gl_posting
servicenow_reference/cost_centers servicenow_reference/gl_accounts
"""
GATE = ("nothing_lost", "schema_holds", "values_usable")
DOCUMENT = (
    *GATE, "amounts_agree", "control_totals", "cost_centers_exist", "gl_accounts_exist",
    "suppliers_known",
)  # fmt: skip
CHECKS = {
    "audit/rejections": {"none_open"},
    "conformed/cost_centers": {*GATE, "cost_centers_exist"},
    "conformed/gl_accounts": {*GATE, "gl_accounts_exist"},
    "conformed/gl_postings": set(DOCUMENT) - {"suppliers_known"},
    "conformed/invoices": {*DOCUMENT, "agrees_with_ledger"},
    "conformed/purchase_orders": set(DOCUMENT),
    "conformed/suppliers": set(GATE),
    "mapping/cost_centers": {"all_mapped", "file_holds", "overrides_point_somewhere"},
    "mapping/gl_accounts": {"all_mapped", "file_holds", "overrides_point_somewhere"},
    "netsuite/deleted_records": {"deletions_seen"},
    "servicenow/cmn_cost_center": {"all_written", "links_complete"},
    "servicenow/core_company": {"all_written", "links_complete", "retired"},
    "servicenow/itfm_gl_accounts": {"all_written", "links_complete"},
    "servicenow/proc_po": {"all_written", "compared_columns_agree", "links_complete", "retired"},
    "servicenow/sn_apo_invoice": {"all_written", "links_complete", "retired"},
    "servicenow/u_netsuite_gl_posting": {"all_written", "links_complete", "retired"},
    "servicenow_reference/cost_centers": {"not_empty"},
    "servicenow_reference/gl_accounts": {"not_empty"},
}
UNPARTITIONED = {
    "audit/coverage", "audit/rejections",
    *(f"{group}/{name}" for group in ("conformed", "mapping", "servicenow_reference")
      for name in ("cost_centers", "gl_accounts")),
    "netsuite/currencies", "netsuite/departments", "netsuite/gl_accounts", "netsuite/subsidiaries",
    "servicenow/cmn_cost_center", "servicenow/itfm_gl_accounts",
}  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> ProjectSettings:
    home: Path = tmp_path_factory.mktemp("home")
    return ProjectSettings.model_validate(
        {"home": home, "timezone": ZONE, "start_date": "2026-02-01", "poll_cron": "*/15 * * * *"}
    )


@pytest.fixture(scope="module")
def definitions(project: ProjectSettings) -> dg.Definitions:
    return build_definitions(project)


@pytest.fixture(scope="module")
def specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


def test_definitions_are_loadable(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_asset_keys_are_the_ones_backfills_and_alerts_name(specs: dict[str, dg.AssetSpec]) -> None:
    assert sorted(specs) == sorted(ASSETS.split())


def test_each_asset_has_its_checks(definitions: dg.Definitions) -> None:
    found: dict[str, set[str]] = {}
    for key in definitions.resolve_asset_graph().asset_check_keys:
        found.setdefault(key.asset_key.to_user_string(), set()).add(key.name)
    assert found == CHECKS


def test_every_asset_says_what_it_is_and_whose(specs: dict[str, dg.AssetSpec]) -> None:
    for name, spec in specs.items():
        assert spec.group_name, name
        assert spec.group_name != "default", name
        assert spec.kinds, name
        assert list(spec.owners) == OWNERS, name
        assert spec.description, name


def test_every_asset_shows_its_columns(specs: dict[str, dg.AssetSpec]) -> None:
    for name, spec in specs.items():
        schema = spec.metadata["dagster/column_schema"]
        assert isinstance(schema, dg.TableSchema), name
        assert schema.columns, name
        assert all(column.name and column.type for column in schema.columns), name


def test_days_follow_the_time_zone_and_start_of_the_settings(
    specs: dict[str, dg.AssetSpec],
) -> None:
    partitioned = {name for name, spec in specs.items() if spec.partitions_def is not None}
    assert partitioned == set(specs) - UNPARTITIONED
    days = specs["conformed/invoices"].partitions_def
    assert isinstance(days, dg.DailyPartitionsDefinition)
    assert days.timezone == ZONE
    assert days.get_first_partition_key() == "2026-02-01"
    assert {specs[name].partitions_def for name in partitioned} == {days}


def test_the_day_that_is_still_open_is_a_partition(specs: dict[str, dg.AssetSpec]) -> None:
    days = specs["conformed/invoices"].partitions_def
    assert isinstance(days, dg.DailyPartitionsDefinition)
    late_evening = datetime(2026, 3, 9, 3, 30, tzinfo=UTC)  # 8 March, 23:30 in the zone
    assert days.get_partition_keys(current_time=late_evening)[-1] == "2026-03-08"


def test_partitioned_checks_carry_the_days_of_their_asset(definitions: dg.Definitions) -> None:
    for assets in definitions.resolve_asset_graph().assets_defs:
        for check in assets.check_specs:
            assert check.partitions_def == assets.specs_by_key[check.asset_key].partitions_def


def test_a_backfill_makes_a_run_per_day_unless_it_is_cut_otherwise(
    definitions: dg.Definitions,
) -> None:
    graph = definitions.resolve_asset_graph()
    assert {assets.backfill_policy for assets in graph.assets_defs} == {None}


def test_every_job_ends_after_a_limit(definitions: dg.Definitions) -> None:
    names = ("daily_sync", "dimension_sync", "plan_changes")
    jobs = {name: definitions.resolve_job_def(name) for name in names}
    for job in jobs.values():
        assert int(job.tags["dagster/max_runtime"]) > 0
        assert job.description
    layer = jobs["daily_sync"].asset_layer
    selected = {key.to_user_string() for key in layer.selected_asset_keys}
    assert selected == set(ASSETS.split()) - {"plan/changes"}


def test_a_plan_reads_and_judges_everything_and_loads_nothing(definitions: dg.Definitions) -> None:
    layer = definitions.resolve_job_def("plan_changes").asset_layer
    selected = {key.to_user_string() for key in layer.selected_asset_keys}
    folders = {name.partition("/")[0] for name in selected}
    assert folders == {"netsuite", "servicenow_reference", "mapping", "conformed", "plan"}
    assert {n for n in ASSETS.split() if n.startswith("conformed/")} <= selected


@pytest.mark.parametrize(
    ("job", "selected", "plans"),
    [
        ("plan_changes", None, True),
        ("daily_sync", None, False),
        ("__ASSET_JOB", {"plan/changes", "conformed/invoices"}, True),
        ("__ASSET_JOB", {"plan/changes", "servicenow/sn_apo_invoice"}, False),
        ("__ASSET_JOB", {"conformed/invoices"}, False),
    ],
)
def test_a_planning_run_is_told_by_what_it_materialises(
    job: str, selected: set[str] | None, plans: bool
) -> None:
    keys = selected and frozenset(dg.AssetKey(name.split("/")) for name in selected)
    run = dg.DagsterRun(job_name=job, run_id="r", asset_selection=keys)
    assert is_plan(run) is plans


def test_the_schedule_ships_stopped_and_ticks_as_the_settings_say(
    definitions: dg.Definitions, project: ProjectSettings
) -> None:
    schedule = definitions.resolve_schedule_def("poll_netsuite")
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    assert schedule.cron_schedule == project.poll_cron
    assert schedule.execution_timezone == ZONE
    assert schedule.job_name == "daily_sync"


def test_the_replay_sensor_ships_stopped_and_ticks_as_the_settings_say(
    definitions: dg.Definitions, project: ProjectSettings
) -> None:
    (sensor,) = [one for one in definitions.sensors or [] if one.name == "replay_cured"]
    assert isinstance(sensor, dg.SensorDefinition)
    assert sensor.default_status == dg.DefaultSensorStatus.STOPPED
    assert sensor.minimum_interval_seconds == project.replay_interval.total_seconds()
    assert sensor.job_name == "daily_sync"


@pytest.mark.parametrize(
    ("tags", "days"),
    [
        ({PARTITION_TAG: "2026-03-02"}, ("2026-03-02",)),
        (
            {RANGE_START_TAG: "2026-02-28", RANGE_END_TAG: "2026-03-02"},
            ("2026-02-28", "2026-03-01", "2026-03-02"),
        ),
        ({}, ()),
    ],
    ids=["a day", "a range", "neither"],
)
def test_the_days_of_a_run_are_known_by_its_tags(
    tags: dict[str, str], days: tuple[str, ...]
) -> None:
    assert days_of_run(tags) == days


def tick(definitions: dg.Definitions, at: datetime) -> list[dg.RunRequest]:
    schedule = definitions.resolve_schedule_def("poll_netsuite")
    # An instance that the tick can open by its address, as the scheduler's process does.
    with tempfile.TemporaryDirectory() as home, dg.DagsterInstance.local_temp(home) as instance:
        context = dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=at,
            repository_def=definitions.get_repository_def(),
        )
        return list(schedule.evaluate_tick(context).run_requests or [])


def test_a_tick_asks_for_the_day_it_falls_on(definitions: dg.Definitions) -> None:
    requests = tick(definitions, datetime(2026, 3, 5, 17, 0, tzinfo=UTC))
    assert [request.partition_key for request in requests] == ["2026-03-05"]


def test_a_tick_after_midnight_also_asks_for_the_day_its_look_back_touches(
    definitions: dg.Definitions, project: ProjectSettings
) -> None:
    assert project.overlap == timedelta(hours=2)
    after_midnight = datetime(2026, 3, 5, 5, 30, tzinfo=UTC)  # 00:30 in the zone
    requests = tick(definitions, after_midnight)
    assert [request.partition_key for request in requests] == ["2026-03-04", "2026-03-05"]
    keys = [request.run_key for request in requests]
    assert len(set(keys)) == 2
    assert not set(keys) & {
        r.run_key for r in tick(definitions, after_midnight + timedelta(hours=1))
    }
