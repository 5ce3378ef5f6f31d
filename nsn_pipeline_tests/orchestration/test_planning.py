"""What a planning run plans, and how it counts what cannot be written."""

import dagster as dg
import pytest

from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.load.ledger import LoadResult
from nsn_pipeline.orchestration.assets import conformed, planning
from nsn_pipeline.orchestration.planning import PLAN_JOB, PLAN_KEY


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
