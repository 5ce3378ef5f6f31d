"""Runs that plan and runs that carry a saved plan out: how steps recognise them.

A planning run reads both systems, lands its files apart from those of a sync, and leaves job state
alone: what it found is not what was done.
"""

from pathlib import Path

import dagster as dg

from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.load.plan_document import Approved, PlanDocument, read_plan

PLAN_JOB = "plan_changes"
PLAN_KEY = dg.AssetKey(["plan", "changes"])
PLAN_GROUP = "plan"
APPROVED_TAG = "nsn/plan"  # the digest of the plan that a run carries out


def is_plan(run: dg.DagsterRun | None) -> bool:
    """Whether a run plans and writes nothing: the job, or the asset materialised by hand.

    A selection that also loads is a sync with a plan beside it.
    """
    if run is None:
        return False
    if run.job_name == PLAN_JOB:
        return True
    chosen = run.asset_selection or frozenset[dg.AssetKey]()
    return PLAN_KEY in chosen and not any(key.path[0] == "servicenow" for key in chosen)


def kept_plan(home: Path, digest: str) -> Path:
    """Where a plan that is being carried out is kept: its steps may run in other processes."""
    return home / "plans" / f"{digest}.json"


def keep_plan(home: Path, plan: PlanDocument) -> str:
    """Keep a plan for the runs that carry it out; returns its digest."""
    digest: str = plan.to_json()["digest"]
    path = kept_plan(home, digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(plan.text())
    return digest


def approved_changes(run: dg.DagsterRun, home: Path) -> Approved | None:
    """The changes a run may make; None where it is not bound to a plan."""
    digest = run.tags.get(APPROVED_TAG)
    if digest is None:
        return None
    path = kept_plan(home, digest)
    if not path.is_file():
        raise ConfigurationError(f"the plan {digest} is not under {path.parent}: plan again")
    plan = read_plan(path.read_bytes(), path.name)
    if plan.to_json()["digest"] != digest:
        raise ConfigurationError(f"{path} is not the plan {digest}: plan again")
    return Approved(plan.changes)
