"""What a planning run plans, and how it counts what cannot be written."""

import os
import stat
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from nsn_pipeline.audit.trail_privacy import WITHHELD, Privacy
from nsn_pipeline.conform.reasons import Problem, Reason
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.load.documents import DocumentRow
from nsn_pipeline.load.drift import Difference
from nsn_pipeline.load.ledger import LoadResult
from nsn_pipeline.load.plan import Change, Kind
from nsn_pipeline.load.plan_document import PlanDocument, PlannedChange, Scope
from nsn_pipeline.orchestration.assets import conformed, planning
from nsn_pipeline.orchestration.plan_report import (
    SAMPLE_ROWS,
    ChangeReport,
    agree_check,
    fair_shares,
)
from nsn_pipeline.orchestration.planning import (
    APPROVED_TAG,
    KEPT_DAYS,
    PLAN_JOB,
    PLAN_KEY,
    keep_plan,
    kept_plan,
)

NOTHING_PRIVATE = Privacy({}, frozenset())


def run_of(*keys: dg.AssetKey) -> dg.DagsterRun:
    return dg.DagsterRun(job_name=PLAN_JOB, asset_selection=frozenset(keys) or None)


def test_a_run_without_a_selection_plans_every_record_type() -> None:
    assert planning._judged(run_of()) == list(conformed.CONFORMED.values())


def test_a_limited_run_plans_what_it_judges() -> None:
    judged = planning._judged(run_of(conformed.key("invoices"), PLAN_KEY))
    assert [names.record_type for names in judged] == ["vendor_bill"]


def test_a_run_that_judges_nothing_is_refused_rather_than_planned_empty() -> None:
    with pytest.raises(ConfigurationError, match="plan_changes"):
        planning._judged(run_of(PLAN_KEY))


def test_lines_held_back_behind_an_unwritable_header_do_not_break_the_plan() -> None:
    planned = planning._Planned()
    result = LoadResult("sn_apo_invoice_line")
    assert list(planning._take_in(planned, "2026-03-04", result, ["9-1", "9-2"])) == []
    assert planned.kinds == {}


def plan_of(key: str) -> PlanDocument:
    change = Change("update", key, key, "a" * 32, {"name": "New"}, {"name": "Old"})
    return PlanDocument(
        Scope("1234567_SB1", "dev1", "seed", "abc", "2026-03-02", "2026-03-08"),
        made_at="2026-03-09T08:00:00+00:00",
        changes=[PlannedChange("vendor", "core_company", change)],
    )


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def bound(instance: dg.DagsterInstance, digest: str, status: dg.DagsterRunStatus) -> None:
    instance.add_run(dg.DagsterRun(job_name="sync", tags={APPROVED_TAG: digest}, status=status))


@pytest.mark.skipif(os.name == "nt", reason="modes say nothing there")
def test_a_kept_plan_is_its_owners_alone(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    (tmp_path / "plans").mkdir(mode=0o755)
    path = kept_plan(tmp_path, keep_plan(tmp_path, plan_of("1"), instance))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_old_kept_plans_go_unless_a_run_under_way_needs_them(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    digests = [keep_plan(tmp_path, plan_of(str(n)), instance) for n in range(3)]
    ended, needed, young = digests
    bound(instance, ended, dg.DagsterRunStatus.SUCCESS)
    bound(instance, needed, dg.DagsterRunStatus.STARTED)
    month = KEPT_DAYS * 86_400
    today = time.time()
    for digest, age in ((ended, month), (needed, month), (young, month - 60)):
        os.utime(kept_plan(tmp_path, digest), (today - age, today - age))
    other = tmp_path / "plans" / "notes.txt"
    other.touch()
    os.utime(other, (0, 0))

    latest = keep_plan(tmp_path, plan_of("9"), instance, now=lambda: today + 1)
    kept = {path.stem for path in (tmp_path / "plans").glob("*.json")}
    assert kept == {needed, young, latest}
    assert other.exists()
    keep_plan(tmp_path, plan_of("2"), instance, now=lambda: today + 61)  # `young`, kept anew
    assert kept_plan(tmp_path, young).exists()
    keep_plan(tmp_path, plan_of("9"), instance, now=lambda: today + 2 * month)
    assert {path.stem for path in (tmp_path / "plans").glob("*.json")} == {needed, latest}


def changes(kind: Kind, count: int, column: str = "name") -> list[Change]:
    values = {} if kind == "retire" else {column: "secret"}
    before = {} if kind == "create" else {column: "kept"}
    return [Change(kind, f"{kind}{n}", "1", "a" * 32, values, before) for n in range(count)]


def report(*found: Change) -> ChangeReport:
    told = ChangeReport()
    for one in found:
        told.add_change(one)
    return told


def metadata_of(
    reports: dict[str, ChangeReport], privacy: Privacy = NOTHING_PRIVATE
) -> dict[str, Any]:
    planned = planning._Planned()
    planned.reports["2026-03-04"] = defaultdict(ChangeReport, reports)
    return planning._metadata(planned, "2026-03-04", privacy)


def test_a_sample_shows_every_kind_and_every_table() -> None:
    few = report(*changes("update", 60), *changes("retire", 5), *changes("create", 1))
    other = report(*changes("update", 60), *changes("retire", 2))
    (table,) = [metadata_of({"core_company": few, "proc_po": other})["changes"]]
    rows = [row.data for row in table.value.records]
    assert len(rows) == SAMPLE_ROWS
    shown = Counter((row["table"], str(row["key"]).rstrip("0123456789")) for row in rows)
    assert shown == {
        ("core_company", "retire"): 5, ("proc_po", "retire"): 2,
        ("core_company", "update"): 21, ("proc_po", "update"): 21,
        ("core_company", "create"): 1,
    }  # fmt: skip
    assert [row["column"] for row in rows[:7]] == [""] * 7  # deletions stand first
    own = few.metadata("core_company", NOTHING_PRIVATE)["changes"].value.records
    assert [row.data["new"] for row in own].count("deleted") == 5


@pytest.mark.parametrize(
    ("sizes", "limit", "given"),
    [
        ([], 5, []),
        ([0, 0], 5, [0, 0]),
        ([60, 5, 60], 50, [23, 5, 22]),
        ([1, 1, 1], 2, [1, 1, 0]),
        ([3, 2], 50, [3, 2]),
    ],
)
def test_what_one_has_no_use_for_goes_to_the_others(
    sizes: list[int], limit: int, given: list[int]
) -> None:
    assert fair_shares(sizes, limit) == given


def test_what_dagster_is_told_withholds_private_values() -> None:
    privacy = Privacy({"core_company": frozenset({"u_note"})}, frozenset())
    found = report(*changes("update", 1, "u_note"), *changes("update", 1, "u_iban"))
    found.drift.differences.append(Difference("1", "1", "a" * 32, "u_note", "secret", "kept"))
    tables = [
        metadata_of({"core_company": found}, privacy)["changes"],
        found.metadata("core_company", privacy)["changes"],
        agree_check(found.drift, None, privacy).metadata["differences"],
    ]
    for table in tables:
        told = [value for row in table.value.records for value in row.data.values()]
        assert not {"secret", "kept"} & set(told)
        assert WITHHELD in told


def test_the_remedy_of_a_failure_withholds_private_values() -> None:
    planned = planning._Planned()
    problem = Problem(Reason.KEY_CONFLICT, None, "u_tax_id", "12-34", "12-34 is taken.")
    row = DocumentRow("9", "failed", "", "", problems=(problem,))
    planning._note_failures(planned, "vendor", [row], NOTHING_PRIVATE)
    assert "12-34" not in planned.failing["vendor", "9"]["remedy"]


def test_documents_that_moved_while_planning_are_counted_per_day_and_once_per_run() -> None:
    planned = planning._Planned()
    planned.superseded["2026-03-04"]["vendor_bill"] = {"1", "2"}
    planned.superseded["2026-03-05"]["vendor_bill"] = {"2"}
    planned.superseded["2026-03-05"]["vendor"] = {"7"}
    assert planning._metadata(planned, "2026-03-05", NOTHING_PRIVATE)["superseded"] == 2
    assert planning._totals(planned)["superseded"].value == {
        "vendor_bill": ["1", "2"], "vendor": ["7"],
    }  # fmt: skip
