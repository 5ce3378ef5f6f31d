"""A real council's payables ledger through `nsn sync`, from an empty ServiceNow.

The sandbox serves both systems in a process of its own, ServiceNow with the cost model's times; the
syncing process is a process of its own as well, so that its memory and CPU are its alone. The data
is not part of the repository: it is looked for beside it.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from nsn_pipeline.load.pacing import LARGEST_BATCH

CONNECTIONS = 16
CALL_S, RECORD_S = 0.040, 0.008
FIRST = date(2016, 10, 3)
ROOT = Path(__file__).resolve().parents[1]
PLACES = ("../shared/data/council_ap", "shared/data/council_ap")


def find_data(given: Path | None) -> Path | None:
    """The ledger's directory: as given, or beside the checkout."""
    candidates = [given] if given else [ROOT / place for place in PLACES]
    return next((place for place in candidates if (place / "expected.json").is_file()), None)


@dataclass(frozen=True, slots=True)
class Synced:
    """One `nsn sync` as seen from outside, and what its load steps say of themselves."""

    days: int
    seconds: float
    cpu_s: float
    peak_mb: float
    records: int
    load_s: float
    events: int


def run(home: Path, data: Path, weeks: tuple[int, ...], *, say: Callable[[str], None]) -> Any:
    """Sync the first weeks of the ledger, each time from empty; the last is the whole of it."""
    found: list[Synced] = []
    for number, count in enumerate(weeks):
        say(f"council ledger: {count} weeks")
        found.append(_sync(home / f"council-{number}", data, timedelta(weeks=count)))
    bound = CONNECTIONS * LARGEST_BATCH / (CALL_S + LARGEST_BATCH * RECORD_S)
    return {
        "connections": CONNECTIONS,
        "batch": LARGEST_BATCH,
        "bound_per_s": round(bound, 1),
        "peak_ratio_last_to_first": round(found[-1].peak_mb / found[0].peak_mb, 2),
        "rows": [
            {
                "days": one.days,
                "records": one.records,
                "load_records_per_s": round(one.records / one.load_s, 1),
                "of_bound": round(one.records / one.load_s / bound, 3),
                "whole_run_records_per_s": round(one.records / one.seconds, 1),
                "cpu_us_per_record": round(one.cpu_s / one.records * 1e6),
                "peak_mb": round(one.peak_mb),
                "events": one.events,
            }
            for one in found
        ],
    }


def _sync(home: Path, data: Path, length: timedelta) -> Synced:
    home.mkdir(parents=True)
    last = FIRST + length - timedelta(days=1)
    environment = {
        **{name: text for name, text in os.environ.items() if not name.startswith("SERVICENOW")},
        "NSN_HOME": str(home),
        "NSN_START_DATE": FIRST.isoformat(),
        "SERVICENOW_CONCURRENCY": str(CONNECTIONS),
        "DAGSTER_HOME": str(_dagster_home(home)),
    }
    command = [sys.executable, "-m", "nsn_pipeline.cli.main", "sync", "--json"]
    command += ["--from", FIRST.isoformat(), "--to", last.isoformat(), "--rejections", "0"]
    with _sandbox(home, data):
        started = time.perf_counter()
        with (home / "summary.json").open("wb") as out:
            child = subprocess.Popen(command, env=environment, stdout=out, cwd=ROOT)
            _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started
    code = os.waitstatus_to_exitcode(status)
    child.returncode = code
    if code not in {0, 1}:  # 1: some bills are rejected, as they should be
        raise RuntimeError(f"nsn sync ended with {code}")
    records, load_s, events = _load_steps(home / "dagster")
    return Synced(
        days=length.days,
        seconds=seconds,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss / 1024,
        records=records,
        load_s=load_s,
        events=events,
    )


def _load_steps(dagster_home: Path) -> tuple[int, float, int]:
    """Records written and seconds taken by the load steps, and all events of all runs."""
    import dagster as dg

    records, seconds, events = 0, 0.0, 0
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        for run in instance.get_runs():
            logs = instance.all_logs(run.run_id)
            events += len(logs)
            for entry in logs:
                event = entry.dagster_event
                if event is None or not (event.step_key or "").startswith("servicenow_"):
                    continue
                if event.is_step_success:
                    seconds += event.step_success_data.duration_ms / 1000
                elif event.event_type is dg.DagsterEventType.ASSET_OBSERVATION:
                    told = event.asset_observation_data.asset_observation.metadata
                    for name in {"created", "updated"} & told.keys():
                        records += int(str(told[name].value))
    return records, seconds, events


def _dagster_home(home: Path) -> Path:
    place = home / "dagster"
    place.mkdir()
    (place / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
    return place


@contextmanager
def _sandbox(home: Path, data: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "nsn_pipeline.sandbox", "--home", str(home)]
    command += ["--data", str(data), "--servicenow-latency", str(CALL_S)]
    command += ["--servicenow-record-latency", str(RECORD_S)]
    command += ["--servicenow-in-flight", str(CONNECTIONS)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT) as process:
        try:
            while not (home / "sandbox.json").exists():
                if process.poll() is not None:
                    raise RuntimeError("the sandbox did not start")
                time.sleep(0.2)
            yield
        finally:
            process.terminate()
