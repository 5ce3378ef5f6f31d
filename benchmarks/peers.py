"""What others would do, each as its own documentation shows it; nobody's failure paths are timed.

None of these looks a record up first, reads one back or keeps job state: they do less than our load
step, and are given the best case.
"""

import base64
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson
import requests
from requests.adapters import HTTPAdapter

from benchmarks.ours import Measured
from benchmarks.records import FIELDS, TABLE
from benchmarks.serving import PASSWORD, USER, Served
from nsn_pipeline.load.pacing import LARGEST_BATCH

Records = list[dict[str, str]]
BATCH = 100  # as the peers document it
POOL = 16
BARE = "bare batches, C="


def requests_loop(served: Served, records: Records, _home: Path) -> Measured:
    """One POST after another over one kept connection."""

    def run() -> None:
        with requests.Session() as session:
            session.auth, session.verify = (USER, PASSWORD), str(served.certificate)
            for record in records:
                answer = session.post(f"{served.url}/api/now/table/{TABLE}", json=record)
                answer.raise_for_status()
                answer.json()

    return _timed(("requests loop", 1, 1), served, records, run)


def requests_threads(served: Served, records: Records, _home: Path) -> Measured:
    """The same on sixteen threads: as many as the server bears."""

    def run() -> None:
        with _pooled(served) as session, ThreadPoolExecutor(POOL) as pool:

            def post(record: dict[str, str]) -> None:
                answer = session.post(f"{served.url}/api/now/table/{TABLE}", json=record)
                answer.raise_for_status()
                answer.json()

            list(pool.map(post, records))

    return _timed(("requests, 16 threads", POOL, 1), served, records, run)


def bare_name(connections: int, size: int = LARGEST_BATCH) -> str:
    """What results call them; the size only where it is not our default."""
    return f"{BARE}{connections}" + (f" S={size}" if size != LARGEST_BATCH else "")


def bare_batches(
    connections: int, size: int = LARGEST_BATCH
) -> "Callable[[Served, Records, Path], Measured]":
    """Batches as full as ours over as many connections, encoded, sent and decoded.

    What is left of our load step without look-up, plan, trail, verification and job state.
    """

    def measured(served: Served, records: Records, _home: Path) -> Measured:
        def run() -> None:
            with _pooled(served) as session, ThreadPoolExecutor(connections) as pool:

                def post(start: int) -> None:
                    body = _batch(records[start : start + size], ("sys_id", *FIELDS))
                    answer = session.post(
                        f"{served.url}/api/now/v1/batch",
                        data=body,
                        headers={"Content-Type": "application/json"},
                    )
                    answer.raise_for_status()
                    for entry in orjson.loads(answer.content)["serviced_requests"]:
                        assert entry["status_code"] == 201  # noqa: S101, PLR2004
                        orjson.loads(base64.b64decode(entry["body"]))

                list(pool.map(post, range(0, len(records), size)))

        name = bare_name(connections, size)
        return _timed((name, connections, size), served, records, run)

    return measured


def pysnc_loop(served: Served, records: Records, _home: Path) -> Measured:
    """ServiceNow's own client: initialize, set, insert."""
    import pysnc

    client = pysnc.ServiceNowClient(served.url, (USER, PASSWORD), verify=str(served.certificate))

    def run() -> None:
        for record in records:
            row = client.GlideRecord(TABLE)
            row.initialize()
            for name, value in record.items():
                row.set_value(name, value)
            assert row.insert()  # noqa: S101 - counted as done only when it says so

    return _timed(("PySNC insert loop", 1, 1), served, records, run)


def pysnc_batch(served: Served, records: Records, _home: Path) -> Measured:
    """ServiceNow's own client, a hundred inserts to a batch."""
    import pysnc

    client = pysnc.ServiceNowClient(served.url, (USER, PASSWORD), verify=str(served.certificate))

    def run() -> None:
        done: list[int] = []
        for start in range(0, len(records), BATCH):
            for record in records[start : start + BATCH]:
                row = client.GlideRecord(TABLE)
                row.initialize()
                for name, value in record.items():
                    row.set_value(name, value)
                client.batch_api.post(row, lambda answer: done.append(answer.status_code))
            client.batch_api.execute()
        assert done == [201] * len(records)  # noqa: S101

    return _timed(("PySNC batch_api", 1, BATCH), served, records, run)


def dlt_destination(served: Served, records: Records, home: Path) -> Measured:
    """Dlt with a custom destination that sends batches, as its documentation shows one."""
    os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
    os.environ.setdefault("RUNTIME__LOG_LEVEL", "CRITICAL")
    import dlt  # pyright: ignore[reportMissingImports] - of the bench extra

    session = requests.Session()
    session.auth, session.verify = (USER, PASSWORD), str(served.certificate)

    @dlt.destination(
        batch_size=BATCH,
        name="servicenow",
        naming_convention="direct",
        skip_dlt_columns_and_tables=True,
        max_table_nesting=0,
    )
    def servicenow(items: Any, _table: object) -> None:
        body = _batch(items, ("sys_id",))
        answer = session.post(
            f"{served.url}/api/now/v1/batch",
            data=body,
            headers={"Content-Type": "application/json"},
        )
        answer.raise_for_status()
        statuses = {entry["status_code"] for entry in answer.json()["serviced_requests"]}
        assert statuses == {201}  # noqa: S101

    def run() -> None:
        pipeline = dlt.pipeline("bench", destination=servicenow, pipelines_dir=str(home / "dlt"))
        pipeline.run(records, table_name=TABLE).raise_on_failed_jobs()

    try:
        return _timed(("dlt custom destination", 1, BATCH), served, records, run)
    finally:
        session.close()


def _pooled(served: Served) -> requests.Session:
    """A session that keeps a connection for each thread; the default of ten would drop some."""
    session = requests.Session()
    session.mount("https://", HTTPAdapter(pool_maxsize=POOL))
    session.auth, session.verify = (USER, PASSWORD), str(served.certificate)
    return session


def _batch(records: Records, fields: Sequence[str]) -> bytes:
    """The request that creates these records and asks for these fields back."""
    wanted = [
        {
            "id": str(number),
            "method": "POST",
            "url": f"/api/now/table/{TABLE}?sysparm_fields={','.join(fields)}",
            "headers": [
                {"name": "Accept", "value": "application/json"},
                {"name": "Content-Type", "value": "application/json"},
            ],
            "exclude_response_headers": True,
            "body": base64.b64encode(orjson.dumps(record)).decode(),
        }
        for number, record in enumerate(records)
    ]
    return orjson.dumps({"batch_request_id": "1", "rest_requests": wanted})


def available() -> "dict[str, Callable[[Served, Records, Path], Measured]]":
    """The peers whose packages are here: dlt comes with the bench extra alone."""
    absent = {name for name in PEERS if name.startswith("dlt") and find_spec("dlt") is None}
    return {name: peer for name, peer in PEERS.items() if name not in absent}


PEERS: dict[str, Callable[[Served, Records, Path], Measured]] = {
    "requests loop": requests_loop,
    "requests, 16 threads": requests_threads,
    **{bare_name(connections): bare_batches(connections) for connections in (4, 8, 16)},
    bare_name(4, BATCH): bare_batches(4, BATCH),
    "PySNC insert loop": pysnc_loop,
    "PySNC batch_api": pysnc_batch,
    "dlt custom destination": dlt_destination,
}


def _timed(
    label: tuple[str, int, int], served: Served, records: Records, run: Callable[[], None]
) -> Measured:
    """Run and measure; `label` is name, connections and batch size."""
    name, connections, batch = label
    before = served.ask("seen")["calls"]
    cpu, started = time.process_time(), time.perf_counter()
    run()
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    calls = served.ask("seen")["calls"] - before
    return Measured(name, connections, batch, len(records), seconds, cpu_s, calls)
