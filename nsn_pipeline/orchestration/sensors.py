"""The sensor that replays what was cured. It ships stopped, like the schedule.

A tick looks at what open documents wait for, asks both systems only about that, and requests
exactly the days that hold documents waiting for something that has come, once per failure; and the
days of documents that were accepted by a run that died before it wrote them. What it remembers
between ticks is since when each reference resolves as it does now (docs/replay.md).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from nsn_pipeline.audit import replay
from nsn_pipeline.audit.replay import Cure, OpenDocument
from nsn_pipeline.errors import NsnError
from nsn_pipeline.extract.window import local_day
from nsn_pipeline.orchestration.command_runs import end_the_killed
from nsn_pipeline.orchestration.jobs import (
    DAILY_SYNC,
    RANGE_END_TAG,
    RANGE_START_TAG,
    days_under_way,
)
from nsn_pipeline.orchestration.replaying import Replays, days_alone, known_days, replay_tags
from nsn_pipeline.orchestration.resources import SystemsResource
from nsn_pipeline.orchestration.runs import DAYS_PER_RUN
from nsn_pipeline.orchestration.runs_known import TRY_TAG
from nsn_pipeline.settings import ProjectSettings

REPLAY_SENSOR = "replay_cured"
KEY_TAG = "nsn/replayed"  # followed by a day: the failure that this run is for
# A run costs seconds to start and holds its days' documents (docs/facts/dagster.md 3), so days that
# follow each other share one; what a tick does not ask for, a later one does. A tick has a minute,
# and finding a document's day costs calls.
RUNS_PER_TICK = 20
DOCUMENTS_PER_TICK = 5_400
# A replay that failed as a whole (a system was down) is asked for again, less and less often.
TRIES = 4
PAUSE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a tick asks for, and why it does not ask for the rest."""

    requests: list[dg.RunRequest]
    by_day: Mapping[str, Sequence[OpenDocument]]
    notes: list[str]
    after: str  # the day that this came to, of a tick that had to leave some to the next


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
            "order is now there, or whose run died before it wrote them. Asks nothing of either "
            "system while nothing waits. Interval: NSN_REPLAY_INTERVAL."
        ),
    )
    def replay_cured(
        context: dg.SensorEvaluationContext, systems: SystemsResource
    ) -> dg.SensorResult | dg.SkipReason:
        now = _now()
        for run_id in end_the_killed(context.instance):
            context.log.warning("run %s is marked as failed: its command was killed", run_id)
        try:
            with systems.opened(REPLAY_SENSOR, brief=True) as connections:
                look = Replays(connections, context.instance)
                return _tick(context, look, project, known_days(daily, now), _now)
        except NsnError as error:
            # The cursor stays: what was cured meanwhile is seen by the next tick that succeeds.
            return dg.SkipReason(f"could not look: {error}")

    return replay_cured


def _now() -> datetime:
    return datetime.now(UTC)


def _tick(
    context: dg.SensorEvaluationContext,
    look: Replays,
    project: ProjectSettings,
    known: Collection[str],
    clock: Callable[[], datetime],
) -> dg.SensorResult | dg.SkipReason:
    references, unwritten = look.references(), look.unwritten()
    if not references and not unwritten:
        return _result([], replay.packed({}), "no document waits for anything")
    cures = look.cures(references, local_day(clock(), project.timezone))
    seen, after = replay.unpacked(context.cursor)
    # As of after the look: what a run read while this one looked may be older.
    now = clock()
    seen = replay.watched(cures, seen, now, look.newest_run())
    resolved = [reference for reference, one in seen.items() if one.due]
    waiting = [*replay.due(look.waiting(resolved), seen), *unwritten]
    if not waiting:
        told = f"{replay.counted(len(references), 'reference')} still missing: nothing new is there"
        return _result([], replay.packed(seen, after), told)
    asked = _asked(context, look, project, known, waiting, cures, now, after)
    lines = [
        *replay.announced(cures, asked.by_day),
        *filter(None, [replay.unwritten_text(asked.by_day)]),
        *asked.notes,
    ]
    for line in lines:
        context.log.info(line)
    return _result(asked.requests, replay.packed(seen, asked.after), "; ".join(lines))


def _result(requests: list[dg.RunRequest], cursor: str, told: str) -> dg.SensorResult:
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
    after: str,
) -> _Asked:
    """Requests for the days of these documents, but for days that a run is already busy with."""
    busy = days_under_way(context.instance)
    free = [document for document in waiting if document.day not in busy]
    chosen, came_to = replay.portion(free, after, DOCUMENTS_PER_TICK)
    placed = look.placed(chosen, known)
    notes = [*filter(None, [replay.unseen_text(placed.unseen)])]
    if came_to:
        rest = replay.counted(len(free) - len(chosen), "document")
        notes.append(f"the rest follow: {rest} left to the next ticks")
    held = len(waiting) - len(free)
    held += sum(len(placed.by_day[day]) for day in placed.by_day if day in busy)
    if held:
        notes.append(f"{replay.counted(held, 'document')} left until runs under way are done")
    days = {day: documents for day, documents in placed.by_day.items() if day not in busy}
    tries = {day: _tries(context.instance, day, days[day], now) for day in sorted(days)}
    notes += [
        f"{day} was asked for before: nothing has changed since, or it is too soon to try again"
        for day, count in tries.items()
        if count is None
    ]
    # A day that failed is tried alone: one bad day must not hold up those it shared a run with.
    alone = days_alone(project, now) | {day for day, count in tries.items() if count}
    wanted = [day for day, count in tries.items() if count is not None]
    spans = replay.spans(wanted, longest=DAYS_PER_RUN, alone=alone)
    if len(spans) > RUNS_PER_TICK:
        more = replay.counted(len(spans) - RUNS_PER_TICK, "run")
        notes.append(f"{more} left to the next ticks")
        came_to = after  # from there once more: these days are asked for then, or busy
    requests: list[dg.RunRequest] = []
    by_day: dict[str, Sequence[OpenDocument]] = {}
    for span in spans[:RUNS_PER_TICK]:
        documents = {day: days[day] for day in span}
        requests.append(_request(span, documents, cures, tries[span[0]] or 0))
        by_day |= documents
    return _Asked(requests, by_day, notes, came_to)


def _request(
    span: Sequence[str],
    by_day: Mapping[str, Sequence[OpenDocument]],
    cures: Sequence[Cure],
    tries: int,
) -> dg.RunRequest:
    """One run for these days."""
    keys = {day: replay.failure_key([day], documents) for day, documents in by_day.items()}
    never = replay.unwritten_text(by_day, "replayed")
    why = "; ".join([*replay.announced(cures, by_day, "replayed"), *([never] if never else [])])
    tags = {**replay_tags(why), **{f"{KEY_TAG}.{day}": key for day, key in keys.items()}}
    if never:
        tags[TRY_TAG] = str(tries)
    documents = [document for one in by_day.values() for document in one]
    # The run key includes the try: Dagster drops a request whose run key it has seen.
    run_key = f"{replay.failure_key(span, documents)}:{tries + 1}"
    if len(span) == 1:
        return dg.RunRequest(run_key=run_key, partition_key=span[0], tags=tags)
    tags |= {RANGE_START_TAG: span[0], RANGE_END_TAG: span[-1]}
    return dg.RunRequest(run_key=run_key, tags=tags)


def _tries(
    instance: dg.DagsterInstance, day: str, documents: Sequence[OpenDocument], now: datetime
) -> int | None:
    """How often this failure's replay failed; None when it is not to be asked for (again).

    What was never written waits after its own run's failure, too: that run was the first try.
    """
    key = replay.failure_key([day], documents)
    records = instance.get_run_records(dg.RunsFilter(tags={f"{KEY_TAG}.{day}": key}))
    if any(record.dagster_run.status != dg.DagsterRunStatus.FAILURE for record in records):
        return None  # it is under way, or came to its end: or a person cancelled it
    never = [one for one in documents if one.unwritten_since is not None]
    ends = [one.unwritten_since for one in never if one.unwritten_since is not None]
    ends += [
        datetime.fromtimestamp(record.end_time or record.create_timestamp.timestamp(), UTC)
        for record in records
    ]
    if not ends:
        return 0
    tries = len(records) + max((1 + one.tries for one in never), default=0)
    rested = max(ends) + PAUSE * 2 ** (tries - 1) <= now
    return tries if tries < TRIES and rested else None
