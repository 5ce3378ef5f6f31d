"""A sync that is killed or interrupted in the middle of its writes, and started again."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from nsn_pipeline.sandbox.servicenow.options import RequestInfo
from nsn_pipeline.state.job_state import Status
from nsn_pipeline_tests.end_to_end.conftest import FirstSync, Open
from nsn_pipeline_tests.end_to_end.test_sync import comparable, written
from nsn_pipeline_tests.support.project import environment, project_copy

pytestmark = pytest.mark.slow

DAYS = ("2026-03-06", "2026-03-07")
TABLES = ("proc_po", "proc_po_item", "sn_apo_invoice", "sn_apo_invoice_line",
          "u_netsuite_gl_posting")  # fmt: skip
WRITES_BEFORE_THE_KILL = 25
DEADLINE_S = 240  # on a busy machine; it takes about ten


def recorded_statuses(project: Path) -> list[str]:
    """What Dagster believes of the runs of this checkout."""
    (file,) = (project / ".dagster_home").rglob("runs.db")
    with sqlite3.connect(file) as runs:
        return [status for (status,) in runs.execute("SELECT status FROM runs")]


@pytest.mark.parametrize(
    "how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name
)
def test_a_sync_cut_short_and_started_again_leaves_every_document_once_and_whole(
    opened: Open, first_sync: FirstSync, tmp_path: Path, how: signal.Signals
) -> None:
    amid = threading.Event()
    lines = Counter()

    def watch(request: RequestInfo) -> None:
        if request.method == "POST" and request.path.endswith("/sn_apo_invoice_line"):
            lines["written"] += 1
            if lines["written"] == WRITES_BEFORE_THE_KILL:
                amid.set()

    project = project_copy(tmp_path / "project")
    company = opened(servicenow={"fault_hook": watch, "record_latency_s": 0.02})
    nsn = [sys.executable, "-m", "nsn_pipeline.cli.main"]
    child = subprocess.Popen(
        [*nsn, "sync", "--from", DAYS[0], "--to", DAYS[1]],
        cwd=project,
        env=environment(company.home),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert amid.wait(DEADLINE_S)
        child.send_signal(how)
        code = child.wait(DEADLINE_S)
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
    # Told to end, it goes the way of Ctrl-C and says so; only a kill leaves a run that seems alive.
    killed = how is signal.SIGKILL
    assert code == (-how if killed else 130)
    assert recorded_statuses(project) == ["STARTED" if killed else "FAILURE"]
    if killed:  # and only until somebody looks
        looked = subprocess.run(
            [*nsn, "rejections", "--json"],
            cwd=project,
            env=environment(company.home),
            capture_output=True,
            check=False,
        )
        assert json.loads(looked.stdout)["unwritten"] > 0
        assert recorded_statuses(project) == ["FAILURE"]
    # An interrupted load lets the calls that are out come back; a killed one leaves them open.
    cut_short = sum(len(written(company.home, table)) for table in TABLES)
    with company.connected() as connections:
        loaded = connections.job_state.ids_by_status("vendor_bill", Status.LOADED)
        pending = connections.job_state.ids_by_status("vendor_bill", Status.PENDING)
    assert set(loaded) <= set(written(company.home, "sn_apo_invoice"))
    assert pending  # nothing is called done that is not proven
    outcome = company.sync(date.fromisoformat(DAYS[0]), date.fromisoformat(DAYS[1]))
    assert outcome.success, outcome.errors
    assert 0 < cut_short < sum(len(written(company.home, table)) for table in TABLES)
    for table in TABLES:  # `written` also proves that no key is there twice
        whole = {k: comparable(r) for k, r in written(first_sync.home, table).items()}
        found = {k: comparable(r) for k, r in written(company.home, table).items()}
        documents = {key.partition("-")[0] for key in found}
        assert found == {k: r for k, r in whole.items() if k.partition("-")[0] in documents}, table
    figures = first_sync.outcome.by_day["conformed/invoices"]
    accepted = sum(figures[day]["accepted"] for day in DAYS)
    assert len(written(company.home, "sn_apo_invoice")) == accepted
