"""Our whole load step as the Dagster asset runs it: plan, trail, write, verify, job state."""

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd

from benchmarks.records import TARGET
from benchmarks.serving import PASSWORD, USER, Served
from nsn_pipeline.audit.trail_privacy import Privacy
from nsn_pipeline.clients.http import Http
from nsn_pipeline.clients.servicenow import ServiceNowClient
from nsn_pipeline.clients.tokens import basic_auth
from nsn_pipeline.load.documents import load_documents
from nsn_pipeline.load.pacing import LARGEST_BATCH, AdaptivePacer, Pacer
from nsn_pipeline.load.resolver import Resolver
from nsn_pipeline.load.whole import DocumentRow
from nsn_pipeline.load.writer import Loader
from nsn_pipeline.orchestration.assets.load_outcome import record_documents
from nsn_pipeline.orchestration.interpreter import set_up_for_loading
from nsn_pipeline.orchestration.trail import record_load
from nsn_pipeline.state.connection import connect
from nsn_pipeline.state.job_state import JobState
from nsn_pipeline.state.leases import RedisLimiter
from nsn_pipeline.state.trail import Trail
from nsn_pipeline.state.trail_recorder import TrailRecorder

INSTANCE = "bench"
DAY = "2026-01-05"
_UNREAD = cast("Any", SimpleNamespace(as_of=lambda *_: None))  # nothing came from NetSuite


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of one client over `records` records."""

    client: str
    connections: int
    batch: int  # the size of full batches; 1 for a loop
    records: int
    seconds: float
    cpu_s: float
    calls: int

    @property
    def rate(self) -> float:
        return self.records / self.seconds

    @property
    def cpu_us(self) -> float:
        return self.cpu_s / self.records * 1e6


@dataclass(slots=True)
class Pipeline:
    """What a run opens: client, lease, job state, trail; for one model server."""

    served: Served
    http: Http
    client: ServiceNowClient
    job_state: JobState
    trail: Trail
    run: int = 0

    def load(self, rows: pd.DataFrame, pacer: Pacer) -> dict[str, int]:
        """The load step; the counts of what became of the records."""
        self.run += 1
        run_id = f"bench-{self.run}"
        recorder = TrailRecorder(self.trail, run_id=run_id, privacy=Privacy({}, frozenset()))
        connections = cast(
            "Any", SimpleNamespace(job_state=self.job_state, recorder=recorder, run_id=run_id)
        )
        with (
            set_up_for_loading(),
            Loader(
                self.client, instance=INSTANCE, pacer=pacer, before_send=recorder.sending
            ) as loader,
        ):
            resolver = Resolver(loader, {TARGET.record_type: TARGET})
            day_of = dict.fromkeys(rows["_document_id"], DAY)

            def ended(documents: Sequence[DocumentRow]) -> None:  # the asset's own
                record_load(connections, TARGET.record_type, documents, day_of)
                record_documents(connections, TARGET.record_type, documents, day_of, _UNREAD)

            result = load_documents(loader, TARGET, rows, resolver=resolver, on_whole=ended)
            ended([row for row in result.documents if row.document_id not in result.told])
        return {name: count for name, count in result.tables[0].counts().items() if count}


@contextmanager
def pipeline(served: Served, home: Path, *, connections: int) -> Iterator[Pipeline]:
    """The pipeline's own parts, with the embedded Redis of `home`."""
    with ExitStack() as stack:
        redis = stack.enter_context(connect(None, home))
        limiter = RedisLimiter(
            redis.client, f"servicenow:bench-{connections}", connections, keeps=True
        )
        stack.callback(limiter.close)
        http = Http(
            system="servicenow",
            base_url=served.url,
            auth=basic_auth(USER, PASSWORD),
            limiter=limiter,
            verify=str(served.certificate),
        )
        stack.callback(http.close)
        state = JobState.open(redis.client, account="bench", instance=INSTANCE, profile="bench")
        trail = Trail(home / "trail" / uuid.uuid4().hex, owner={"instance": INSTANCE})
        stack.callback(trail.close)
        yield Pipeline(served, http, ServiceNowClient(http), state, trail)


def measure(
    served: Served,
    home: Path,
    rows: pd.DataFrame,
    *,
    connections: int,
    pacer: Pacer | None = None,
    batch: int = LARGEST_BATCH,
    name: str = "nsn_pipeline",
) -> Measured:
    """Load `rows` into an empty server; `batch` is the most that the pacer asks for."""
    with pipeline(served, home, connections=connections) as ours:
        ours.client.count("u_warm_up")  # open the first connection outside the measurement
        before = served.ask("seen")["calls"]
        cpu, started = time.process_time(), time.perf_counter()
        counts = ours.load(rows, pacer or AdaptivePacer(connections))
        seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu
        calls = served.ask("seen")["calls"] - before
    if counts != {"created": len(rows)}:
        raise AssertionError(f"not everything was created: {counts}")
    return Measured(name, connections, batch, len(rows), seconds, cpu_s, calls)
