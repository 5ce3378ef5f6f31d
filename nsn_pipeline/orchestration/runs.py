"""Runs started from the command line: Dagster runs on the same instance as the UI's, over wide
windows.

Run start-up, not work, is the cost of many days (docs/facts/dagster.md 3), so a range becomes as
few runs as the window size allows. It may be cut and resumed anywhere: every day keeps its own
files, materialisation and checks.
"""

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import dagster as dg
from dagster._core.events import RunFailureReason

from nsn_pipeline.orchestration.command_runs import vouched_for
from nsn_pipeline.orchestration.jobs import RANGE_END_TAG, RANGE_START_TAG
from nsn_pipeline.orchestration.kept_log import kept_log
from nsn_pipeline.orchestration.reporting import TOTALS_LABEL

POLL_S = 0.3
DAYS_PER_RUN = 31
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, slots=True)
class StepEvent:
    """One thing a run did, as it happened."""

    kind: str  # "started", "totals", "finished", "failed"
    step: str
    at: float  # epoch seconds
    figures: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What one run did: totals per asset, figures per asset and day, and why it failed if it
    did.
    """

    run_id: str
    first_day: str
    last_day: str
    success: bool
    totals: Mapping[str, Mapping[str, Any]]
    by_day: Mapping[str, Mapping[str, Mapping[str, Any]]]
    errors: tuple[str, ...]


def windows(first: date, last: date, days_per_run: int) -> Iterator[tuple[date, date]]:
    """Consecutive spans of at most `days_per_run` days, both ends included."""
    start = first
    while start <= last:
        end = min(start + timedelta(days=days_per_run - 1), last)
        yield start, end
        start = end + timedelta(days=1)


def execute_window(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    first: date,
    last: date,
    *,
    selection: Sequence[dg.AssetKey] | None,
    on_event: Callable[[StepEvent], None],
    tags: Mapping[str, str] | None = None,
) -> RunOutcome:
    """Run the job once over the days `first` to `last`, reporting events while it works."""
    run_id = str(uuid.uuid4())
    tags = {
        **(tags or {}),
        RANGE_START_TAG: first.isoformat(),
        RANGE_END_TAG: last.isoformat(),
    }
    with (
        vouched_for(instance, run_id),
        kept_log(instance),
        _watching(instance, run_id, on_event),
    ):
        result = job.execute_in_process(
            instance=instance,
            run_id=run_id,
            tags=tags,
            asset_selection=selection,
            run_config=QUIET,
            raise_on_error=False,
        )
    if _was_interrupted(result):
        raise KeyboardInterrupt
    return collect(instance, run_id, first, last, success=result.success)


def _was_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    """Dagster ends the run as failed and swallows Ctrl-C: the next window would begin."""
    return any(
        event.event_type == dg.DagsterEventType.RUN_FAILURE
        and event.job_failure_data.failure_reason == RunFailureReason.UNEXPECTED_TERMINATION
        for event in result.all_events
    )


class _watching:  # noqa: N801 - reads as a statement where it is used
    """Polls the event log of one run on a thread and hands new events on, in order."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        run_id: str,
        on_event: Callable[[StepEvent], None],
    ) -> None:
        self._instance = instance
        self._run_id = run_id
        self._on_event = on_event
        self._stop = threading.Event()
        self._cursor: str | None = None
        self._thread = threading.Thread(target=self._poll, name="nsn-progress", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        self._thread.join()
        self._drain()

    def _poll(self) -> None:
        while not self._stop.wait(POLL_S):
            self._drain()

    def _drain(self) -> None:
        connection = self._instance.get_records_for_run(self._run_id, cursor=self._cursor)
        self._cursor = connection.cursor
        for record in connection.records:
            event = _step_event(record.event_log_entry)
            if event is not None:
                self._on_event(event)


def _step_event(entry: dg.EventLogEntry) -> StepEvent | None:
    event = entry.dagster_event
    if event is None or event.step_key is None:
        return None
    step, at = event.step_key, entry.timestamp
    if event.is_step_start:
        return StepEvent("started", step, at)
    if event.is_step_success:
        return StepEvent("finished", step, at)
    if event.is_step_failure:
        return StepEvent("failed", step, at, message=_failure_text(event))
    if event.is_asset_observation:
        observation = event.asset_observation_data.asset_observation
        if observation.description == TOTALS_LABEL:
            return StepEvent("totals", step, at, _plain(observation.metadata))
    return None


def _failure_text(event: dg.DagsterEvent) -> str:
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return data.user_failure_data.description
    error = data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return (error.message.strip() if error else "the step failed").removeprefix("nsn_pipeline.")


def collect(
    instance: dg.DagsterInstance, run_id: str, first: date, last: date, *, success: bool
) -> RunOutcome:
    """What a finished run recorded, read back from the event log: the CLI shows what the UI
    shows.
    """
    totals: dict[str, Mapping[str, Any]] = {}
    by_day: dict[str, dict[str, Mapping[str, Any]]] = {}
    errors: list[str] = []
    for event in _events(instance, run_id):
        if event.is_step_failure:
            errors.append(f"{event.step_key}: {_failure_text(event)}")
        elif event.is_asset_observation:
            observation = event.asset_observation_data.asset_observation
            if observation.description == TOTALS_LABEL:
                totals[observation.asset_key.to_user_string()] = _plain(observation.metadata)
        elif event.is_step_materialization:
            materialization = event.step_materialization_data.materialization
            if materialization.partition is not None:
                days = by_day.setdefault(materialization.asset_key.to_user_string(), {})
                days[materialization.partition] = _plain(materialization.metadata)
    return RunOutcome(
        run_id=run_id,
        first_day=first.isoformat(),
        last_day=last.isoformat(),
        success=success,
        totals=totals,
        by_day=by_day,
        errors=tuple(errors),
    )


def _events(instance: dg.DagsterInstance, run_id: str) -> Iterator[dg.DagsterEvent]:
    cursor: str | None = None
    while True:
        connection = instance.get_records_for_run(run_id, cursor=cursor)
        for record in connection.records:
            if record.event_log_entry.dagster_event is not None:
                yield record.event_log_entry.dagster_event
        if not connection.has_more:
            return
        cursor = connection.cursor


def _plain(metadata: Mapping[str, dg.MetadataValue]) -> dict[str, Any]:
    return {name: value.value for name, value in metadata.items()}
