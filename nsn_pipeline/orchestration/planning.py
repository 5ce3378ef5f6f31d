"""Runs that plan and runs that carry a saved plan out: how steps recognise them.

A planning run reads both systems, lands its files apart from those of a sync, and leaves job state
alone: what it found is not what was done.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg

from nsn_pipeline.credentials.private_files import replace_private
from nsn_pipeline.errors import ConfigurationError, Where
from nsn_pipeline.load.plan_document import Approved, PlanDocument, read_plan
from nsn_pipeline.orchestration.runs_known import UNFINISHED
from nsn_pipeline.state.file_locks import Deadline, exclusive

PLAN_JOB = "plan_changes"
PLAN_KEY = dg.AssetKey(["plan", "changes"])
PLAN_GROUP = "plan"
APPROVED_TAG = "nsn/plan"  # the digest of the plan that a run carries out
KEPT_DAYS = 30
_LOCK_WAIT_S = 30.0


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


def keep_plan(
    home: Path,
    plan: PlanDocument,
    instance: dg.DagsterInstance,
    *,
    now: Callable[[], float] = time.time,
) -> str:
    """Keep a plan for the runs that carry it out, readable by its owner only; returns its digest.

    Plans that can no longer be needed go: last carried out `KEPT_DAYS` ago or earlier, and no run
    under way is bound to one.
    """
    digest: str = plan.to_json()["digest"]
    path = kept_plan(home, digest)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.chmod(0o700)  # an earlier version made it for everybody to read
    with _alone(path.parent):
        kept_at = now()
        replace_private(path, plan.text())
        os.utime(path, (kept_at, kept_at))
        _forget_old(path.parent, instance, kept_at - KEPT_DAYS * 86_400)
    return digest


def _forget_old(folder: Path, instance: dg.DagsterInstance, before: float) -> None:
    for path in folder.glob("*.json"):
        if path.stat().st_mtime > before:
            continue
        bound = dg.RunsFilter(tags={APPROVED_TAG: path.stem}, statuses=UNFINISHED)
        if not instance.get_runs_count(bound):
            path.unlink()


def _alone(folder: Path) -> contextlib.AbstractContextManager[None]:
    """Nobody forgets a plan while another keeps it anew."""
    if sys.platform == "win32":  # without these locks
        return contextlib.nullcontext()
    return exclusive(folder / ".lock", Deadline(_LOCK_WAIT_S, Where("plans", "keep")))


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
