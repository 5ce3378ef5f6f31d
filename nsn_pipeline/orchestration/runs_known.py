"""What is known of the runs that judged documents: when they began and ended, and how many
had failed before.

A document is pending from the gate until it is written. When its run has ended and it still is, it
was accepted and never written, and nothing but another run of its day will write it
(`open_documents`).
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dagster as dg

from nsn_pipeline.state.job_state import DocumentState

TRY_TAG = "nsn/replay_try"  # of a replay of what was never written: how many runs failed before
_RUNS_READ = 500
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True, slots=True)
class _Run:
    begun: datetime
    ended: datetime | None  # None: under way
    tries: int
    number: int
    created: datetime


@dataclass(slots=True)
class RunsKnown:
    """Asks the instance about each run once."""

    instance: dg.DagsterInstance
    _runs: dict[str, _Run] = field(default_factory=dict[str, _Run])

    def learn(self, run_ids: Collection[str]) -> None:
        """Read what is not known of these yet."""
        wanted = sorted(run_id for run_id in set(run_ids) if run_id not in self._runs)
        for start in range(0, len(wanted), _RUNS_READ):
            chosen = dg.RunsFilter(run_ids=wanted[start : start + _RUNS_READ])
            for record in self.instance.get_run_records(chosen):
                run = record.dagster_run
                begun = record.start_time or record.create_timestamp.timestamp()
                ended = record.end_time or record.update_timestamp.timestamp()
                self._runs[run.run_id] = _Run(
                    begun=datetime.fromtimestamp(begun, UTC),
                    ended=None if run.status in UNFINISHED else datetime.fromtimestamp(ended, UTC),
                    tries=int(run.tags.get(TRY_TAG, "0")),
                    number=record.storage_id,
                    created=datetime.fromtimestamp(record.create_timestamp.timestamp(), UTC),
                )

    def begun(self, run_id: str) -> datetime | None:
        """When it began; None for a run this instance does not know."""
        run = self._runs.get(run_id)
        return None if run is None else run.begun

    def created(self, run_id: str) -> tuple[int, datetime | None]:
        """Its number among all runs, which no clock moves, and when it was created."""
        run = self._runs.get(run_id)
        return (0, None) if run is None else (run.number, run.created)

    def newest(self) -> int:
        """The number of the newest run; 0 when there was none yet."""
        return next((one.storage_id for one in self.instance.get_run_records(limit=1)), 0)

    def ended(self, state: DocumentState) -> datetime | None:
        """When the run that judged a document ended, None while it is under way; of a run this
        instance does not know, when it wrote that down.
        """
        run = self._runs.get(state.run_id)
        return state.updated_at if run is None else run.ended

    def tries(self, run_id: str) -> int:
        """How many runs had accepted the same and not written it before this one."""
        run = self._runs.get(run_id)
        return 0 if run is None else run.tries
