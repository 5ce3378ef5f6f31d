"""The sensor that replays what was cured. It ships stopped, like the schedule.

A tick looks at what open documents wait for, asks both systems only about that, and requests
exactly the days that hold documents waiting for something that has come, once per failure. What it
remembers between ticks is since when each reference resolves as it does now (docs/replay.md).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from nsn_pipeline.audit import replay
from nsn_pipeline.audit.replay import Cure, OpenDocument, Seen
from nsn_pipeline.errors import NsnError
from nsn_pipeline.extract.window import days_touched
from nsn_pipeline.orchestration.jobs import (
    DAILY_SYNC,
    RANGE_END_TAG,
    RANGE_START_TAG,
    days_under_way,
)
from nsn_pipeline.orchestration.replaying import Replays, known_days, replay_tags
from nsn_pipeline.orchestration.resources import SystemsResource
from nsn_pipeline.settings import ProjectSettings

REPLAY_SENSOR = "replay_cured"
KEY_TAG = "nsn/replay_key"
# A run costs seconds to start and holds its days' documents (docs/facts/dagster.md 3), so days that
# follow each other share one; what a tick does not ask for, a later one does.
DAYS_PER_RUN = 31
RUNS_PER_TICK = 20
# A replay that failed as a whole (a system was down) is asked for again, less and less often.
TRIES = 4
PAUSE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a tick asks for, and why it does not ask for the rest."""

    requests: list[dg.RunRequest]
    by_day: Mapping[str, Sequence[OpenDocument]]
    notes: list[str]


def replay_sensor(
    project: ProjectSettings, daily: dg.DailyPartitionsDefinition
) -> dg.SensorDefinition:
    """Watch ServiceNow, the mapping files and what was loaded for what documents wait for."""

    @dg.sensor(
        name=REPLAY_SENSOR,
        job_name=DAILY_SYNC,
        minimum_interval_seconds=max(1, int(project.replay_interval.total_seconds())),
        default_status=dg.DefaultSensorStatus.STOPPED,
        description=(
            "Replays the days of documents whose missing GL account, cost center, supplier or "
            "order is now there. Asks nothing of either system while nothing waits. Interval: "
            "NSN_REPLAY_INTERVAL."
        ),
    )
    def replay_cured(
        context: dg.SensorEvaluationContext, systems: SystemsResource
    ) -> dg.SensorResult | dg.SkipReason:
        now = datetime.now(UTC)
        try:
            with systems.opened(REPLAY_SENSOR, brief=True) as connections:
                look = Replays(connections, context.instance)
                return _tick(context, look, project, known_days(daily, now), now)
        except NsnError as error:
            # The cursor stays: what was cured meanwhile is seen by the next tick that succeeds.
            return dg.SkipReason(f"could not look: {error}")

    return replay_cured


def _tick(
    context: dg.SensorEvaluationContext,
    look: Replays,
    project: ProjectSettings,
    known: Collection[str],
    now: datetime,
) -> dg.SensorResult | dg.SkipReason:
    references = look.references()
    if not references:
        return _result([], {}, "no document waits for anything")
    today = now.date()
    cures = look.cures(references, today)
    seen = replay.watched(cures, replay.unpacked(context.cursor), now)
    resolved = [reference for reference, one in seen.items() if one.due]
    waiting = replay.due(look.waiting(resolved), seen)
    if not waiting:
        told = f"{replay.counted(len(references), 'reference')} still missing: nothing new is there"
        return _result([], seen, told)
    asked = _asked(context, look, project, known, waiting, cures, now)
    lines = [*replay.announced(cures, asked.by_day), *asked.notes]
    for line in lines:
        context.log.info(line)
    return _result(asked.requests, seen, "; ".join(lines))


def _result(requests: list[dg.RunRequest], seen: Mapping[str, Seen], told: str) -> dg.SensorResult:
    cursor = replay.packed(seen)
    if requests:
        return dg.SensorResult(run_requests=requests, cursor=cursor)
    return dg.SensorResult(skip_reason=dg.SkipReason(told), cursor=cursor)


def _asked(  # noqa: PLR0917
    context: dg.SensorEvaluationContext,
    look: Replays,
    project: ProjectSettings,
    known: Collection[str],
    waiting: Sequence[OpenDocument],
    cures: Sequence[Cure],
    now: datetime,
) -> _Asked:
    """Requests for the days of these documents, but for days that a run is already busy with."""
    busy = days_under_way(context.instance)
    free = [document for document in waiting if document.day not in busy]
    placed = look.placed(free, known)
    look.close(placed.gone)
    notes = [
        f"{document.name} is closed: {reason.lower().replace('_', ' ')}"
        for document, reason in placed.gone
    ]
    held = len(waiting) - len(free)
    days = {day: documents for day, documents in placed.by_day.items() if day not in busy}
    held += sum(len(placed.by_day[day]) for day in placed.by_day if day in busy)
    if held:
        notes.append(f"{replay.counted(held, 'document')} left until runs under way are done")
    # Days the schedule may ask for at any moment stay single: two runs of one partition queue up
    # behind each other (dagster.yaml), which a range run and a single one would not.
    alone = days_touched(now - project.overlap - timedelta(days=1), now, project.timezone)
    requests: list[dg.RunRequest] = []
    by_day: dict[str, Sequence[OpenDocument]] = {}
    spans = replay.spans(days, longest=DAYS_PER_RUN, alone=alone)
    for number, span in enumerate(spans):
        if len(requests) == RUNS_PER_TICK:
            notes.append(f"{replay.counted(len(spans) - number, 'run')} left to the next ticks")
            break
        documents = {day: days[day] for day in span}
        request = _request(context.instance, span, documents, cures, now)
        if request is None:
            notes.append(f"{_span_text(span)} was asked for before: nothing has changed since")
            continue
        requests.append(request)
        by_day |= documents
    return _Asked(requests, by_day, notes)


def _request(
    instance: dg.DagsterInstance,
    span: Sequence[str],
    by_day: Mapping[str, Sequence[OpenDocument]],
    cures: Sequence[Cure],
    now: datetime,
) -> dg.RunRequest | None:
    """One run for these days; None when this very failure has been asked for."""
    documents = [document for one in by_day.values() for document in one]
    key = replay.failure_key(span, documents)
    tries = _tries(instance, key, now)
    if tries is None:
        return None
    tags = {**replay_tags("; ".join(replay.announced(cures, by_day, "replayed"))), KEY_TAG: key}
    # The run key includes the try: Dagster drops a request whose run key it has seen.
    run_key = f"{key}:{tries + 1}"
    if len(span) == 1:
        return dg.RunRequest(run_key=run_key, partition_key=span[0], tags=tags)
    tags |= {RANGE_START_TAG: span[0], RANGE_END_TAG: span[-1]}
    return dg.RunRequest(run_key=run_key, tags=tags)


def _tries(instance: dg.DagsterInstance, key: str, now: datetime) -> int | None:
    """How often this failure's replay failed; None when it is not to be asked for (again)."""
    records = instance.get_run_records(dg.RunsFilter(tags={KEY_TAG: key}))
    if any(record.dagster_run.status != dg.DagsterRunStatus.FAILURE for record in records):
        return None  # it is under way, or came to its end: or a person cancelled it
    if not records:
        return 0
    ended = max(record.end_time or record.create_timestamp.timestamp() for record in records)
    rested = datetime.fromtimestamp(ended, UTC) + PAUSE * 2 ** (len(records) - 1) <= now
    return len(records) if len(records) < TRIES and rested else None


def _span_text(span: Sequence[str]) -> str:
    return span[0] if len(span) == 1 else f"{span[0]} to {span[-1]}"
