"""What "open" means, once: for the list and its check, for the sensor and for `nsn replay`.

Open is what was refused or failed, what a run accepted and, having ended, never wrote, and what was
loaded without a link it should have. What a run is still working on is not open: it is under way.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from nsn_pipeline.orchestration.runs_known import RunsKnown
from nsn_pipeline.state.job_state import DocumentState, JobState, Status

REFUSED = (Status.REJECTED, Status.FAILED)


@dataclass(slots=True)
class OpenDocuments:
    """Every open document, by how it is open; each stands in one of the lists."""

    refused: list[DocumentState] = field(default_factory=list[DocumentState])
    unwritten: list[DocumentState] = field(default_factory=list[DocumentState])
    unlinked: list[DocumentState] = field(default_factory=list[DocumentState])
    under_way: int = 0  # accepted, and their run has not ended: not open

    def all(self) -> list[DocumentState]:
        return [*self.refused, *self.unwritten, *self.unlinked]


def open_documents(job_state: JobState, runs: RunsKnown, *, finishing: str = "") -> OpenDocuments:
    """Everything that is open, of all record types and days.

    `finishing` is a run whose loads are done: what it left pending is never written.
    """
    found = OpenDocuments()
    # Pending first: a run that goes on meanwhile makes pending documents failed. Read the other way
    # round, such a one would be in neither list.
    unwritten, found.under_way = _pending(job_state, runs, finishing)
    found.refused = [one for status in REFUSED for one in job_state.by_status(status)]
    refused = {(one.record_type, one.document_id) for one in found.refused}
    found.unwritten = [s for s in unwritten if (s.record_type, s.document_id) not in refused]
    unlinked = {
        (one.record_type, one.document_id): one
        for reference in job_state.missing_references()
        for one in job_state.waiting_for(reference)
        if one.status is Status.LOADED
    }
    found.unlinked = list(unlinked.values())
    return found


def unwritten_documents(
    job_state: JobState, runs: RunsKnown, *, finishing: str = ""
) -> list[DocumentState]:
    """Documents accepted by a run that has ended, or by `finishing`, and not written."""
    return _pending(job_state, runs, finishing)[0]


def _pending(
    job_state: JobState, runs: RunsKnown, finishing: str
) -> tuple[list[DocumentState], int]:
    """Those never written, and how many are still under way."""
    pending = list(job_state.by_status(Status.PENDING))
    runs.learn({state.run_id for state in pending})
    left = [s for s in pending if s.run_id == finishing or runs.ended(s) is not None]
    # A run may have written and ended since the first look: what counts is how they stand now.
    return _standing(job_state, left), len(pending) - len(left)


def _standing(job_state: JobState, states: Iterable[DocumentState]) -> list[DocumentState]:
    """Those of them that are as they were."""
    by_type: dict[str, list[DocumentState]] = defaultdict(list)
    for state in states:
        by_type[state.record_type].append(state)
    standing: list[DocumentState] = []
    for record_type, found in by_type.items():
        now = job_state.get_many(record_type, [state.document_id for state in found])
        standing += [state for state in found if now.get(state.document_id) == state]
    return standing
