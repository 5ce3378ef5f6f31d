"""A simulated company under test: both systems in a thread of this process, real runs against them.

Tests look at both systems behind our clients' backs: NetSuite's tables through SQLite, ServiceNow's
records through the simulator's journal.
"""

import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from nsn_pipeline.connections import Connections
from nsn_pipeline.orchestration.assemble import build_definitions
from nsn_pipeline.orchestration.jobs import DAILY_SYNC
from nsn_pipeline.orchestration.runs import RunOutcome, execute_window
from nsn_pipeline.sandbox.netsuite.store import Store as NetSuiteStore
from nsn_pipeline.sandbox.server import run_sandbox
from nsn_pipeline.sandbox.servicenow.options import RequestInfo
from nsn_pipeline.settings import VARIABLES, load_project_settings, load_settings
from nsn_pipeline_tests.support.instances import ephemeral_instance

Rows = list[dict[str, str | None]]
FIRST, LAST = date(2026, 3, 2), date(2026, 3, 8)  # the days of the generated company
WEEK = tuple(f"2026-03-{day:02}" for day in range(2, 9))
READY_S = 60


@dataclass(slots=True)
class Company:
    """One home with both systems serving it."""

    home: Path
    info: Mapping[str, Any]
    instance: dg.DagsterInstance
    writes: list[str] = field(default_factory=list)  # every write ServiceNow was asked for

    @property
    def definitions(self) -> dg.Definitions:
        return build_definitions(load_project_settings())

    def sync(self, first: date = FIRST, last: date = LAST) -> RunOutcome:
        """A range run, as `nsn sync` starts it."""
        job = self.definitions.resolve_job_def(DAILY_SYNC)
        return execute_window(
            job, self.instance, first, last, selection=None, on_event=lambda _event: None
        )

    def sync_day(self, day: str) -> dg.ExecuteInProcessResult:
        """A run of one partition, as the schedule or the UI starts it."""
        job = self.definitions.resolve_job_def(DAILY_SYNC)
        config = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        return job.execute_in_process(
            instance=self.instance, partition_key=day, run_config=config, raise_on_error=False
        )

    @contextmanager
    def connected(self) -> Iterator[Connections]:
        with Connections(load_settings(), run_id="test") as connections:
            yield connections

    # -- behind the clients' backs -------------------------------------------------------------

    def servicenow(self, table: str) -> dict[str, dict[str, str]]:
        return servicenow_rows(self.home, table)

    def netsuite(self, sql: str) -> Rows:
        return netsuite_rows(self.home, sql)

    @contextmanager
    def netsuite_store(self) -> Iterator[NetSuiteStore]:
        store = NetSuiteStore(self.home / "sandbox" / "netsuite.sqlite")
        try:
            yield store
        finally:
            store.close()

    def add_to_servicenow(self, table: str, row: Mapping[str, str]) -> None:
        """As an administrator does it, through the sandbox's side door."""
        import requests

        answer = requests.post(
            f"{self.info['servicenow']['base_url']}/__sandbox__/servicenow/{table}",
            json=dict(row),
            headers={"Authorization": f"Bearer {self.info['admin_token']}"},
            verify=self.info["ca_bundle"],
            timeout=30,
        )
        assert answer.status_code == 201, answer.text

    def edit_in_servicenow(self, table: str, sys_id: str, values: Mapping[str, str]) -> None:
        """As a user does it, with all the instance's rules."""
        import requests

        side = self.info["servicenow"]
        answer = requests.patch(
            f"{side['base_url']}/api/now/table/{table}/{sys_id}",
            json=dict(values),
            auth=(side["username"], side["password"]),
            verify=self.info["ca_bundle"],
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        assert values.keys() <= answer.json()["result"].keys()

    def override(self, kind: str, code: str, target: str) -> None:
        """One line in the mapping file a finance team edits."""
        path = self.home / "mappings" / f"{kind}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            "netsuite_id,netsuite_code,subsidiary_id,servicenow_code,valid_from,valid_to,owner,note\n"
            f",{code},,{target},,,finance,\n",
            encoding="utf-8",
        )


@contextmanager
def company(
    home: Path,
    *,
    netsuite: Mapping[str, Any] | None = None,
    servicenow: Mapping[str, Any] | None = None,
    **data: Any,
) -> Iterator[Company]:
    """Serve a home and point the environment at it, for the length of the block."""
    writes: list[str] = []

    def note(request: RequestInfo) -> None:
        if request.method != "GET" and "/table/" in request.path:
            writes.append(f"{request.method} {request.path}")

    with ExitStack() as stack:
        stack.enter_context(_environment(home))
        info = stack.enter_context(
            served(
                home,
                netsuite=dict(netsuite or {}),
                servicenow={"fault_hook": note, **(servicenow or {})},
                **data,
            )
        )
        instance = stack.enter_context(ephemeral_instance())
        held = stack.enter_context(Connections(load_settings(), run_id="test"))
        _ = held.redis  # one server for all runs of the block
        yield Company(home, info, instance, writes)


@contextmanager
def served(home: Path, **options: Any) -> Iterator[dict[str, Any]]:
    """A sandbox in a thread of this process."""
    stop, ready = threading.Event(), threading.Event()
    outcome: dict[str, Any] = {}

    def come_up(info: dict[str, Any]) -> None:
        outcome["info"] = info
        ready.set()

    def run() -> None:
        try:
            run_sandbox(home, stop=stop, on_ready=come_up, **{"size": "tiny", **options})
        except Exception as error:  # noqa: BLE001  # handed to the test below
            outcome["error"] = error
        finally:
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(READY_S)
    try:
        if "error" in outcome:
            raise outcome["error"]
        yield outcome["info"]
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


@contextmanager
def _environment(home: Path) -> Iterator[None]:
    before = dict(os.environ)
    for name in VARIABLES:
        os.environ.pop(name, None)
    os.environ["NSN_HOME"] = str(home)
    os.environ["NSN_MAPPINGS"] = str(home / "mappings")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def build_once(directory: Path, build: Callable[[Path], None]) -> Path:
    """A folder that the first of several test workers builds and all of them copy from."""
    import fcntl

    directory.parent.mkdir(parents=True, exist_ok=True)
    with directory.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "built").exists():
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
            build(directory)
            (directory / "built").touch()
    return directory


def copied(original: Path, target: Path) -> Path:
    """A home of one's own to change, without what belongs to the servers of the original."""
    skipped = shutil.ignore_patterns("*.sock", "built", "ports.json")
    return Path(shutil.copytree(original, target, ignore=skipped))


def servicenow_rows(home: Path, table: str) -> dict[str, dict[str, str]]:
    """A table of the simulated instance, by sys_id, as the journal holds it."""
    rows: dict[str, dict[str, str]] = {}
    for file in sorted((home / "sandbox" / "servicenow").iterdir()):
        for line in file.read_bytes().splitlines():
            kind, name, content = json.loads(line)
            if name == table and kind == "row":
                rows[content["sys_id"]] = content
            elif name == table and kind == "gone":
                rows.pop(content, None)
    return rows


def netsuite_rows(home: Path, sql: str) -> Rows:
    connection = sqlite3.connect(home / "sandbox" / "netsuite.sqlite")
    try:
        connection.create_collation("DEC", lambda a, b: (a > b) - (a < b))
        connection.row_factory = sqlite3.Row
        return [
            {name: None if row[name] is None else str(row[name]) for name in row.keys()}  # noqa: SIM118
            for row in connection.execute(sql)
        ]
    finally:
        connection.close()


def by(rows: Sequence[Mapping[str, Any]], column: str) -> dict[str, Any]:
    """Rows by a column that must be unique."""
    found = {row[column]: row for row in rows}
    assert len(found) == len(rows), f"{column} is not unique"
    return found
