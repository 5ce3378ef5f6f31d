"""The read scenario: SuiteQL pages per second beside the simulator's own, and CPU per row."""

import asyncio
import os
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import requests

from benchmarks.model_netsuite import ACCOUNT, KEYS
from benchmarks.serving import Served, process
from nsn_pipeline.clients.http import Http
from nsn_pipeline.clients.netsuite import SUITEQL_PATH, NetSuiteClient
from nsn_pipeline.clients.retry import LocalLimiter
from nsn_pipeline.clients.suiteql import MAX_IN, in_list, select
from nsn_pipeline.clients.tba import TbaAuth, TbaCredentials
from nsn_pipeline.records.registry import REGISTRY

CONCURRENCY = 5  # NetSuite's smallest tier, and our default
LATENCY_S = 0.1
SOURCE = REGISTRY["vendor"].header
PAGE_QUERY = "SELECT {columns} FROM vendor v WHERE v.id > {after} ORDER BY v.id"


@dataclass(frozen=True, slots=True)
class Read:
    """One client's reading of all rows."""

    rows: int
    pages: int
    seconds: float
    cpu_s: float


def run(home: Path, count: int, rounds: int, *, say: Callable[[str], None]) -> dict[str, Any]:
    """Read `count` vendors with each client."""
    data = home / "netsuite.db"
    options = ["--data", str(data), "--rows", str(count), "--latency", str(LATENCY_S)]
    options += ["--concurrency", str(CONCURRENCY)]
    clients: dict[str, tuple[int, Callable[[Served, int], Read]]] = {
        "the simulator itself": (CONCURRENCY, simulator_itself),
        "nsn_pipeline": (CONCURRENCY, ours),
        "the simulator itself, one query": (1, simulator_one_by_one),
        "nsn_pipeline, one query": (1, ours_one_by_one),
        "netsuite (PyPI)": (1, pypi_client),
    }
    if find_spec("dlt") is not None:  # it comes with the bench extra alone
        clients["dlt resource"] = (1, dlt_resource)
    found: dict[str, list[Read]] = {name: [] for name in clients}
    with process("benchmarks.model_netsuite", home / "tls", *options) as server:
        for number in range(rounds):
            say(f"read, round {number + 1} of {rounds}")
            for name, (_, read) in clients.items():
                one = read(server, count)
                assert one.rows == count, f"{name} read {one.rows} of {count}"  # noqa: S101
                found[name].append(one)
    own = {
        connections: _rate(found[name])
        for name, (connections, _) in clients.items()
        if name.startswith("the simulator")
    }
    rows = [
        {
            "client": name,
            "connections": clients[name][0],
            "pages_per_s": round(_rate(reads), 1),
            "of_simulator": round(_rate(reads) / own[clients[name][0]], 3),
            "cpu_us_per_row": round(median(one.cpu_s / one.rows for one in reads) * 1e6, 1),
        }
        for name, reads in found.items()
    ]
    return {"latency_s": LATENCY_S, "vendor_rows": count, "rows": rows}


def simulator_itself(server: Served, count: int) -> Read:
    """The same statements as ours, posted by bare requests; answers are not even parsed."""
    with _session(server) as session, ThreadPoolExecutor(CONCURRENCY) as pool:

        def post(chunk: list[str]) -> bytes:
            condition = in_list("v.id", chunk)
            statement = select(SOURCE, where=condition.where, params=condition.params)
            return _page(session, server, statement.text, list(statement.params))

        chunks = list(_chunks(count))
        return _timed(count, len(chunks), lambda: list(pool.map(post, chunks)))


def simulator_one_by_one(server: Served, count: int) -> Read:
    """Thousand-row pages one after another."""
    with _session(server) as session:
        query = PAGE_QUERY.format(columns=_columns(), after="{after}")

        def run() -> None:
            for after in range(0, count, 1000):
                _page(session, server, query.format(after=after), [])

        return _timed(count, -(-count // 1000), run)


def ours(server: Served, count: int) -> Read:
    """As documents are read: by their ids, at the configured concurrency."""
    client = _client(server)
    ids = [str(number) for number in range(1, count + 1)]
    return _counted(lambda: client.rows_in(SOURCE, "internal_id", ids))


def ours_one_by_one(server: Served, count: int) -> Read:
    """As one query is read: by keyset, each page after the last."""
    del count
    client = _client(server)
    return _counted(lambda: client.pages(SOURCE))


def pypi_client(server: Served, count: int) -> Read:
    """The PyPI `netsuite` client, paging by offset as its documentation shows."""
    os.environ["SSL_CERT_FILE"] = str(server.certificate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its signing library announces its own end
        from netsuite import Config, NetSuiteRestApi, TokenAuth

    class Local(NetSuiteRestApi):
        def _make_hostname(self) -> str:
            return server.url.removeprefix("https://")

    keys = TokenAuth(
        consumer_key=KEYS.consumer_key, consumer_secret=KEYS.consumer_secret,
        token_id=KEYS.token_id, token_secret=KEYS.token_secret,
    )  # fmt: skip
    client = Local(Config(account=ACCOUNT, auth=keys))
    query = PAGE_QUERY.format(columns=_columns(), after=0)
    pages: list[int] = []

    async def read() -> None:
        more = True
        while more:
            page = await client.suiteql(query, limit=1000, offset=sum(pages))
            assert page is not None  # noqa: S101 - an answer without a body
            pages.append(len(page["items"]))
            more = page["hasMore"]

    read_once = _timed(count, -(-count // 1000), lambda: asyncio.run(read()))
    return Read(sum(pages), len(pages), read_once.seconds, read_once.cpu_s)


def dlt_resource(server: Served, count: int) -> Read:
    """A dlt resource that yields pages; extraction alone, nothing normalised or loaded."""
    os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
    import dlt  # pyright: ignore[reportMissingImports] - of the bench extra
    import orjson

    query = PAGE_QUERY.format(columns=_columns(), after="{after}")
    with _session(server) as session:

        @dlt.resource(name="vendors")
        def vendors() -> Iterator[list[dict[str, Any]]]:
            after = 0
            while True:
                data = orjson.loads(_page(session, server, query.format(after=after), []))
                yield data["items"]
                if not data["hasMore"]:
                    return
                after = data["items"][-1]["internal_id"]

        found: list[int] = []
        one = _timed(count, -(-count // 1000), lambda: found.append(len(list(vendors()))))
    return Read(found[0], one.pages, one.seconds, one.cpu_s)


def _client(server: Served) -> NetSuiteClient:
    auth = TbaAuth(
        TbaCredentials(
            KEYS.consumer_key, KEYS.consumer_secret, KEYS.token_id, KEYS.token_secret
        ),
        realm=ACCOUNT,
    )  # fmt: skip
    http = Http(
        system="netsuite",
        base_url=server.url,
        auth=auth,
        limiter=LocalLimiter(CONCURRENCY),
        verify=str(server.certificate),
    )
    return NetSuiteClient(http, concurrency=CONCURRENCY)


def _session(server: Served) -> requests.Session:
    session = requests.Session()
    session.verify = str(server.certificate)
    session.auth = TbaAuth(
        TbaCredentials(KEYS.consumer_key, KEYS.consumer_secret, KEYS.token_id, KEYS.token_secret),
        realm=ACCOUNT,
    )
    return session


def _page(session: requests.Session, server: Served, query: str, params: list[str]) -> bytes:
    body: dict[str, Any] = {"q": query, **({"params": params} if params else {})}
    answer = session.post(
        f"{server.url}{SUITEQL_PATH}",
        params={"limit": "1000", "offset": "0"},
        json=body,
        headers={"Prefer": "transient"},
    )
    answer.raise_for_status()
    return answer.content


def _columns() -> str:
    return ", ".join(f"{column.sql} AS {column.name}" for column in SOURCE.columns)


def _chunks(count: int) -> Iterator[list[str]]:
    ids = [str(number) for number in range(1, count + 1)]
    yield from (ids[at : at + MAX_IN] for at in range(0, count, MAX_IN))


def _timed(rows: int, pages: int, run: Callable[[], object]) -> Read:
    cpu, started = time.process_time(), time.perf_counter()
    run()
    return Read(rows, pages, time.perf_counter() - started, time.process_time() - cpu)


def _counted(read: Callable[[], Iterator[list[Any]]]) -> Read:
    sizes: list[int] = []
    one = _timed(0, 0, lambda: sizes.extend(len(page) for page in read()))
    return Read(sum(sizes), len(sizes), one.seconds, one.cpu_s)


def _rate(reads: list[Read]) -> float:
    """Pages of a thousand rows a second, whatever the pages' own size."""
    return median(one.rows / 1000 / one.seconds for one in reads)
