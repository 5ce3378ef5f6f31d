"""The walk of a user through the running product, headless: webserver, daemon, sensor, run, check.

Three days fail a check; codes are added in ServiceNow for two, the third gets a line in the mapping
file; the sensor's own ticks bring the runs, and each day's check turns green. A fourth day is cured
by a mapping line and a backfill of its partition. The trail tells the life of a bill among them.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from nsn_pipeline.orchestration.jobs import DAILY_SYNC
from nsn_pipeline.orchestration.replaying import REPLAY_LANE, REPLAY_TAG
from nsn_pipeline.orchestration.sensors import REPLAY_SENSOR
from nsn_pipeline.sandbox.data.gaps import MISSING_COST_CENTERS, MISSING_GL_ACCOUNTS
from nsn_pipeline_tests.end_to_end.test_commands import nsn, polls, processes_of, wait_for_ui
from nsn_pipeline_tests.support.project import environment, project_copy

# Days on which one bill each is refused, for one code each.
MAPPED_DAY, ACCOUNT_DAY, CENTER_DAY = "2026-03-03", "2026-03-07", "2026-03-08"
LAST_CODE = "CC-520"  # a cost center that nobody adds
DEADLINE_S = 300  # on a busy machine; a replay takes about twenty
CHECKED = "conformed/invoices"
MAPPING = "netsuite_id,netsuite_code,subsidiary_id,servicenow_code,valid_from,valid_to,owner,note\n"

START = """
mutation($selector: SensorSelector!) { startSensor(sensorSelector: $selector) {
  __typename ... on Sensor { sensorState { status } } ... on PythonError { message } } }
"""
STOP = """
mutation($id: String) { stopSensor(id: $id) { __typename ... on PythonError { message } } }
"""
BACKFILL = """
mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }
"""
EXECUTIONS = """
query($key: AssetKeyInput!, $check: String!, $partition: String) {
  assetCheckExecutions(assetKey: $key, checkName: $check, partition: $partition, limit: 10) {
    status partition runId evaluation { success metadataEntries {
      label ... on TableMetadataEntry { table { records } } } } } }
"""
RUNS = """
query($filter: RunsFilter!) { runsOrError(filter: $filter, limit: 50) {
  ... on Runs { results { runId status tags { key value } } } } }
"""
TICKS = """
query($selector: SensorSelector!) { sensorOrError(sensorSelector: $selector) {
  ... on Sensor { sensorState { id status ticks(limit: 50) {
    status skipReason runIds error { message } logEvents { events { message } } } } } } }
"""
REPOSITORY = {"repositoryLocationName": "nsn_pipeline", "repositoryName": "__repository__"}
SELECTOR = {**REPOSITORY, "sensorName": REPLAY_SENSOR}


@dataclass(frozen=True)
class Product:
    """`nsn dev`, running."""

    checkout: Path
    port: int

    def ask(self, query: str, **variables: Any) -> Any:
        answer = requests.post(
            f"http://127.0.0.1:{self.port}/graphql",
            json={"query": query, "variables": variables},
            timeout=60,
        ).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def check(self, day: str, name: str = "") -> list[dict[str, Any]]:
        """Executions of the check that fails on the day, the newest first."""
        name = name or ("cost_centers_exist" if day == CENTER_DAY else "gl_accounts_exist")
        key = {"path": CHECKED.split("/")}
        return self.ask(EXECUTIONS, key=key, check=name, partition=day)["assetCheckExecutions"]

    def replays(self, tag: str = REPLAY_TAG, value: str = REPLAY_LANE) -> list[dict[str, Any]]:
        tags = [{"key": tag, "value": value}]
        found = self.ask(RUNS, filter={"pipelineName": DAILY_SYNC, "tags": tags})
        return found["runsOrError"]["results"]

    def sensor(self) -> dict[str, Any]:
        return self.ask(TICKS, selector=SELECTOR)["sensorOrError"]["sensorState"]

    def backfill(self, day: str) -> dict[str, Any]:
        """As the button does it; its run, once that has ended."""
        selector = {"partitionSetName": f"{DAILY_SYNC}_partition_set",
                    "repositorySelector": REPOSITORY}  # fmt: skip
        asked = {"selector": selector, "partitionNames": [day]}
        launched = self.ask(BACKFILL, params=asked)["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        for _ in polls(DEADLINE_S):
            runs = self.replays("dagster/backfill", launched["backfillId"])
            if runs and runs[0]["status"] in {"SUCCESS", "FAILURE"}:
                (run,) = runs
                return run
        pytest.fail(f"the backfill of {day} came to no end in {DEADLINE_S} s")

    def nsn(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return nsn(self.checkout, *arguments, timeout_s=DEADLINE_S)

    def wait_for_replays(self, count: int) -> None:
        for _ in polls(DEADLINE_S):
            done = [run for run in self.replays() if run["status"] in {"SUCCESS", "FAILURE"}]
            if len(done) >= count:
                return
        pytest.fail(f"{self.replays()} after {DEADLINE_S} s; {self.sensor()}")


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    checkout = project_copy(tmp_path / "checkout")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (tmp_path / "log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "nsn_pipeline.cli.main", "dev", "--size", "tiny", "--port",
             str(port)],
            cwd=checkout,
            env=environment(checkout / "home") | {"NSN_REPLAY_INTERVAL": "2s"},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    try:
        assert wait_for_ui(port, child), (tmp_path / "log").read_text()
        yield Product(checkout, port)
    finally:
        child.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(60)
        for number in processes_of(checkout) if child.poll() is None else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)


@pytest.mark.slow
def test_days_that_failed_turn_green_once_their_accounts_are_there(product: Product) -> None:
    mapped, added = MISSING_GL_ACCOUNTS
    center = MISSING_COST_CENTERS[1]
    synced = product.nsn("sync", "--from", MAPPED_DAY, "--to", CENTER_DAY)
    assert synced.returncode == 1, synced.stdout + synced.stderr
    for day in (MAPPED_DAY, ACCOUNT_DAY, CENTER_DAY):
        (execution,) = product.check(day)
        assert (execution["status"], execution["partition"]) == ("FAILED", day)
    (bill,) = refused_bills(product.check(ACCOUNT_DAY)[0])

    for command in ("add-gl-account", added), ("add-cost-center", center):
        done = product.nsn("sandbox", *command, "As NetSuite names it")
        assert done.returncode == 0, done.stderr
    started = product.ask(START, selector=SELECTOR)["startSensor"]
    assert started["sensorState"]["status"] == "RUNNING", started
    product.wait_for_replays(1)  # the two days follow each other: one run, a result for each
    first = assert_green(product, ACCOUNT_DAY, f"GL account {added} is now in ServiceNow")
    assert first == assert_green(product, CENTER_DAY, f"cost center {center} is now in ServiceNow")
    assert len(product.check(MAPPED_DAY)) == 1  # nobody ran that day

    mapping = product.checkout / "mappings" / "gl_accounts.csv"
    mapping.write_text(f"{MAPPING},{mapped},,8000,,,finance,\n", encoding="utf-8")
    product.wait_for_replays(2)
    assert_green(product, MAPPED_DAY, f"GL account {mapped} is now mapped in mappings")

    sensor = product.sensor()
    assert not [tick for tick in sensor["ticks"] if tick["error"]]
    assert len(product.replays()) == 2  # nothing is asked for again
    asking = next(tick for tick in sensor["ticks"] if first in tick["runIds"])
    assert f"GL account {added} is now in ServiceNow: " in said(asking)
    assert " of 1 day requested" in said(asking)

    product.ask(STOP, id=sensor["id"])
    left = json.loads(product.nsn("replay", "--code", LAST_CODE, "--dry-run", "--json").stdout)
    day = left["days"][0]
    assert product.check(day, "cost_centers_exist")[0]["status"] == "FAILED"
    mapping = product.checkout / "mappings" / "cost_centers.csv"
    mapping.write_text(f"{MAPPING},{LAST_CODE},,{center},,,finance,\n", encoding="utf-8")
    run = product.backfill(day)
    newest = product.check(day, "cost_centers_exist")[0]
    assert (run["status"], newest["runId"]) == ("SUCCESS", run["runId"])
    assert (newest["status"], newest["partition"]) == ("SUCCEEDED", day)

    assert_told_in_order(
        product.nsn("audit", "vendor_bill", bill).stdout,
        f"vendor_bill {bill}",
        "first seen",
        "MISSING_GL_ACCOUNT",
        f"Add account {added}",
        "rejected",
        f"run {first}",
        "cured MISSING_GL_ACCOUNT",
        f"gl_account:{added}: ServiceNow has {added} usable now",
        f"created sn_apo_invoice {bill}",
        "proven in ServiceNow",
    )


def refused_bills(execution: dict[str, Any]) -> list[str]:
    """What the check's table names, as a reader of the UI sees it."""
    (table,) = [e for e in execution["evaluation"]["metadataEntries"] if e["label"] == "documents"]
    records = [json.loads(record) for record in table["table"]["records"]]
    return sorted({record["document"].split()[0] for record in records})


def said(tick: dict[str, Any]) -> str:
    return "\n".join(event["message"] for event in tick["logEvents"]["events"])


def assert_told_in_order(story: str, *parts: str) -> None:
    at = 0
    for part in parts:
        assert part in story[at:], f"{part!r} is not told after {story[:at][-80:]!r} in:\n{story}"
        at = story.index(part, at) + len(part)


def assert_green(product: Product, day: str, why: str) -> str:
    """The newest result of the day's check passed, in a run that a tick asked for: its id."""
    newest = product.check(day)[0]
    assert (newest["status"], newest["partition"]) == ("SUCCEEDED", day)
    assert newest["evaluation"]["success"]
    (run,) = [run for run in product.replays() if run["runId"] == newest["runId"]]
    assert run["status"] == "SUCCESS"
    assert why in {tag["key"]: tag["value"] for tag in run["tags"]}["nsn/why"]
    return run["runId"]
