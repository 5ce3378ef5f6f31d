"""What 200,000 documents cost in job state, and how fast it answers.

Run it: `python -m nsn_pipeline_tests.benchmarks.job_state`. It starts a server of its own in a
temporary folder. The figures in `nsn_pipeline/state/job_state.py` and `docs/job-state.md` are its.
"""

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from nsn_pipeline.state.connection import connect
from nsn_pipeline.state.job_state import DocumentState, JobState, Status

DOCUMENTS, DAYS, BATCH = 200_000, 730, 1_000
NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
REPEATS = 20


def documents() -> Iterator[DocumentState]:
    """Bills over two years, one in twenty waiting for one of forty accounts."""
    for number in range(DOCUMENTS):
        waits = number % 20 == 0
        digest = hashlib.sha256(str(number).encode()).hexdigest()
        yield DocumentState(
            "vendor_bill",
            str(4_000_000 + number),
            Status.REJECTED if waits else Status.LOADED,
            (date(2024, 3, 1) + timedelta(days=number % DAYS)).isoformat(),
            "6f1c2b7e-6d3e-4a57-9d0a-0c5d8a2f9b11",
            NOON,
            reasons=("MISSING_GL_ACCOUNT",) if waits else (),
            references=(f"gl_account:{7000 + number // 20 % 40}",) if waits else (),
            content_hash="" if waits else digest,
            sys_id="" if waits else digest[:32],
        )


def milliseconds(question: Callable[[], Any]) -> float:
    """The middle one of several askings."""
    taken: list[float] = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        question()
        taken.append((time.perf_counter() - started) * 1000)
    return sorted(taken)[REPEATS // 2]


def main() -> None:
    """Fill a server and print the figures."""
    with tempfile.TemporaryDirectory() as home, connect(None, Path(home)) as connection:
        client: Any = connection.client
        state = JobState.open(client, account="1234567", instance="dev1", profile="seed")
        before = client.info("memory")["used_memory"]
        batch: list[DocumentState] = []
        started = time.perf_counter()
        for one in documents():
            batch.append(one)
            if len(batch) == BATCH:
                state.record(batch)
                batch.clear()
        seconds = time.perf_counter() - started
        used = client.info("memory")["used_memory"] - before
        day = "2024-03-01"
        figures = {
            "record 1,000 documents, ms": seconds / DOCUMENTS * BATCH * 1000,
            "memory per document, all indexes, bytes": used / DOCUMENTS,
            "counts by type and status, ms": milliseconds(state.counts),
            "missing references, ms": milliseconds(state.missing_references),
            f"{len(state.in_partition(day))} documents of a partition, ms": milliseconds(
                lambda: state.in_partition(day)
            ),
            f"{len(state.waiting_for('gl_account:7000'))} documents that wait for an account, ms": (
                milliseconds(lambda: state.waiting_for("gl_account:7000"))
            ),
            "10,000 ids by status, ms": milliseconds(
                lambda: state.ids_by_status("vendor_bill", Status.REJECTED)
            ),
            "one document, ms": milliseconds(lambda: state.get("vendor_bill", "4000000")),
        }
        for what, figure in figures.items():
            print(f"{what:<55}{figure:>10,.2f}")


if __name__ == "__main__":
    main()
