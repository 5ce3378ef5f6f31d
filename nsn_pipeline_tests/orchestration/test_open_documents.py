"""What counts as accepted and never written."""

from collections.abc import Collection
from datetime import UTC, datetime

import dagster as dg
import fakeredis
import pytest

from nsn_pipeline.orchestration.open_documents import open_documents, unwritten_documents
from nsn_pipeline.orchestration.runs_known import RunsKnown
from nsn_pipeline.state.job_state import DocumentState, JobState, Status

AT = datetime(2026, 3, 14, 12, tzinfo=UTC)


def state(document_id: str, status: Status) -> DocumentState:
    return DocumentState("vendor_bill", document_id, status, "2026-03-13", "gone", AT)


@pytest.fixture
def job_state() -> JobState:
    client = fakeredis.FakeRedis(decode_responses=True)
    found = JobState(client, account="1", instance="dev1", profile="seed")
    found.record([state("1", Status.PENDING), state("2", Status.PENDING)])
    return found


def test_a_run_that_writes_and_ends_between_two_looks_left_nothing_unwritten(
    job_state: JobState, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = RunsKnown.learn

    def learns(self: RunsKnown, run_ids: Collection[str]) -> None:
        job_state.record([state("1", Status.LOADED)])
        learn(self, run_ids)

    monkeypatch.setattr(RunsKnown, "learn", learns)
    with dg.DagsterInstance.ephemeral() as instance:
        found = unwritten_documents(job_state, RunsKnown(instance))
    assert [one.document_id for one in found] == ["2"]


def test_a_document_that_fails_between_two_looks_is_open(
    job_state: JobState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run beside this one goes on: what was pending a moment ago is failed now."""
    by_status = JobState.by_status

    def looks(self: JobState, status: Status) -> list[DocumentState]:
        if status is Status.PENDING:
            job_state.record([state("1", Status.FAILED)])
        return list(by_status(self, status))

    monkeypatch.setattr(JobState, "by_status", looks)
    with dg.DagsterInstance.ephemeral() as instance:
        found = open_documents(job_state, RunsKnown(instance))
    assert [one.document_id for one in found.refused] == ["1"]
    assert [one.document_id for one in found.unwritten] == ["2"]
