"""What a tick asks for, given what is open and how earlier runs ended: no system is needed."""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import dagster as dg
import pytest

from nsn_pipeline.audit.replay import Cure, OpenDocument, Placement
from nsn_pipeline.orchestration import sensors
from nsn_pipeline.orchestration.jobs import (
    DAILY_SYNC,
    PARTITION_TAG,
    RANGE_END_TAG,
    RANGE_START_TAG,
    days_of_run,
)
from nsn_pipeline.orchestration.open_documents import unwritten_documents
from nsn_pipeline.orchestration.replaying import Replays
from nsn_pipeline.orchestration.runs_known import TRY_TAG, RunsKnown
from nsn_pipeline.settings import ProjectSettings, load_project_settings
from nsn_pipeline.state.job_state import DocumentState, JobState, Status

NOW = datetime(2026, 6, 9, 23, tzinfo=UTC)
DAYS = [(date(2026, 3, 1) + timedelta(days=n)).isoformat() for n in range(60)]
REF = "gl_account:7160"
CURE = Cure(REF, today=True, ever=True, words="is now in ServiceNow", digest="there")


def waiting(number: int, day: str, **changes: Any) -> OpenDocument:
    made = OpenDocument(
        record_type="vendor_bill",
        document_id=str(number),
        status="rejected",
        day=day,
        reasons=("MISSING_GL_ACCOUNT",),
        references=(REF,),
        run_id="run-1",
        judged_from=NOW - timedelta(days=1),
    )
    return replace(made, **changes)


def unwritten(number: int, day: str, **changes: Any) -> OpenDocument:
    since = NOW - timedelta(minutes=6)
    return waiting(
        number, day, status="pending", references=(), **{"unwritten_since": since, **changes}
    )


@dataclass
class Look:
    """What `Replays` would find."""

    documents: list[OpenDocument] = field(default_factory=list[OpenDocument])
    never: list[OpenDocument] = field(default_factory=list[OpenDocument])
    cure: Cure = CURE
    unseen: frozenset[str] = frozenset()
    asked_on: list[date] = field(default_factory=list[date])
    placed_counts: list[int] = field(default_factory=list[int])
    newest: int = 0

    def newest_run(self) -> int:
        return self.newest

    def references(self) -> list[str]:
        return [REF] if self.documents else []

    def unwritten(self) -> list[OpenDocument]:
        return self.never

    def cures(self, references: Collection[str], on: date) -> list[Cure]:
        self.asked_on.append(on)
        return [self.cure] if references else []

    def waiting(self, references: Iterable[str]) -> list[OpenDocument]:
        return self.documents if REF in set(references) else []

    def placed(self, documents: Sequence[OpenDocument], known: Collection[str]) -> Placement:
        self.placed_counts.append(len(documents))
        found = Placement()
        for one in documents:
            assert one.day in known
            if one.document_id in self.unseen:
                found.unseen.append(one)
            else:
                found.by_day[one.day].append(one)
        return found


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def project(tmp_path: Path) -> ProjectSettings:
    return load_project_settings({"NSN_HOME": str(tmp_path), "NSN_TIMEZONE": "Asia/Tokyo"})


@dataclass
class Tick:
    instance: dg.DagsterInstance
    project: ProjectSettings
    cursor: str | None = None
    now: datetime = NOW

    def clock(self) -> datetime:
        return self.now

    def __call__(self, look: Look) -> tuple[list[dg.RunRequest], str]:
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        result = sensors._tick(context, cast("Replays", look), self.project, DAYS, self.clock)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        skipped = result.skip_reason
        told = skipped.skip_message or "" if isinstance(skipped, dg.SkipReason) else ""
        return list(result.run_requests or []), told

    def end(self, request: dg.RunRequest, status: dg.DagsterRunStatus) -> str:
        """The daemon makes a run of a request, which ends like this: its id."""
        tags = dict(request.tags)
        if request.partition_key:
            tags[PARTITION_TAG] = request.partition_key
        return ended(self.instance, status, tags)


def ended(instance: dg.DagsterInstance, status: dg.DagsterRunStatus, tags: dict[str, str]) -> str:
    definitions = dg.Definitions(jobs=[dg.define_asset_job(DAILY_SYNC)], assets=[nothing])
    job = definitions.resolve_job_def(DAILY_SYNC)
    return instance.create_run_for_job(job, tags=tags, status=status).run_id


@dg.asset
def nothing() -> None: ...


@pytest.fixture
def tick(instance: dg.DagsterInstance, project: ProjectSettings) -> Tick:
    return Tick(instance, project)


def days_of(request: dg.RunRequest) -> tuple[str, ...]:
    if request.partition_key:
        return (request.partition_key,)
    return days_of_run(request.tags)


# --- accepted, and never written ------------------------------------------------------------------


def test_what_a_dead_run_accepted_and_did_not_write_is_asked_for_day_by_day(tick: Tick) -> None:
    """No reference is missing, and one of these days may be why the run of all of them failed."""
    requests, _ = tick(Look(never=[unwritten(n, day) for n, day in enumerate(DAYS[:3])]))
    assert [days_of(request) for request in requests] == [(day,) for day in DAYS[:3]]
    assert "1 accepted document of 1 day was never written" in requests[0].tags["nsn/why"]


def test_what_stays_unwritten_is_asked_for_less_and_less_often_and_not_for_ever(
    tick: Tick,
) -> None:
    """Each try judges the documents anew, so that they are another run's each time."""
    one, gaps = unwritten(1, DAYS[0], unwritten_since=NOW), []
    while True:
        waited = 0
        while not (requests := tick(Look(never=[one]))[0]) and waited < 60:
            tick.now += timedelta(minutes=1)
            waited += 1
        if not requests:
            break
        gaps.append(waited)
        (request,) = requests
        run_id = tick.end(request, dg.DagsterRunStatus.FAILURE)
        tries = int(request.tags[TRY_TAG])
        one = replace(one, run_id=run_id, unwritten_since=tick.now, tries=tries)
    assert gaps == [5, 10, 20]


@pytest.mark.parametrize(
    ("status", "left"),
    [
        (dg.DagsterRunStatus.STARTED, False),
        (dg.DagsterRunStatus.STARTING, False),
        (dg.DagsterRunStatus.FAILURE, True),
        (dg.DagsterRunStatus.CANCELED, True),
        (None, True),
    ],
    ids=["started", "starting", "failed", "cancelled", "unknown"],
)
def test_only_a_run_that_ended_leaves_documents_unwritten(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus | None, left: bool
) -> None:
    run_id = "unknown" if status is None else ended(instance, status, {TRY_TAG: "2"})
    state = DocumentState("vendor_bill", "1", Status.PENDING, DAYS[0], run_id, NOW)

    class States:
        def by_status(self, status: Status) -> Iterator[DocumentState]:
            assert status is Status.PENDING
            yield state

        def get_many(self, record_type: str, ids: list[str]) -> dict[str, DocumentState]:
            assert (record_type, ids) == ("vendor_bill", ["1"])
            return {"1": state}

    runs, states = RunsKnown(instance), cast("JobState", States())
    assert unwritten_documents(states, runs) == ([state] if left else [])
    assert runs.tries(run_id) == (0 if status is None else 2)
    # To the last step of a run, its own loads are done: what is pending then is not written.
    assert unwritten_documents(states, runs, finishing=run_id) == [state]


# --- cured ----------------------------------------------------------------------------------------


def test_days_of_a_replay_that_failed_are_tried_one_by_one(tick: Tick) -> None:
    look = Look([waiting(n, day) for n, day in enumerate(DAYS[:3])])
    (first,) = tick(look)[0]
    assert days_of(first) == tuple(DAYS[:3])
    tick.end(first, dg.DagsterRunStatus.FAILURE)
    tick.now = datetime.now(UTC)
    assert tick(look)[0] == []  # it has just failed
    tick.now += sensors.PAUSE
    again = tick(look)[0]
    assert [days_of(request) for request in again] == [(day,) for day in DAYS[:3]]
    for request, how in zip(again, ("SUCCESS", "FAILURE", "SUCCESS"), strict=True):
        tick.end(request, dg.DagsterRunStatus[how])
    tick.now += 2 * sensors.PAUSE
    left = Look([look.documents[1]])  # the others are loaded: the bad day stays by itself
    (third,) = tick(left)[0]
    assert days_of(third) == (DAYS[1],)
    assert third.run_key not in {request.run_key for request in again}


def test_a_cure_for_a_past_period_only_is_asked_for_once(tick: Tick) -> None:
    look = Look([waiting(1, DAYS[0])], cure=replace(CURE, today=False))
    (request,) = tick(look)[0]
    tick.end(request, dg.DagsterRunStatus.SUCCESS)
    assert tick(look)[0] == []


def test_today_is_the_date_where_the_company_works(tick: Tick) -> None:
    look = Look([waiting(1, DAYS[0])])
    tick(look)
    assert look.asked_on == [date(2026, 6, 10)]  # in Tokyo


def test_what_netsuite_does_not_show_is_left_open_and_said(tick: Tick) -> None:
    requests, told = tick(Look([waiting(1, DAYS[0])], unseen=frozenset({"1"})))
    assert requests == []
    assert "NetSuite does not show 1 document (vendor_bill:1)" in told


def test_a_tick_looks_for_a_bounded_number_of_documents_and_comes_to_the_rest(
    tick: Tick, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "DOCUMENTS_PER_TICK", 8)
    documents = [waiting(n, DAYS[n]) for n in range(20)]
    # The first are hidden from the role for ever: those behind them have their turn all the same.
    look = Look(documents, unseen=frozenset(str(n) for n in range(10)))
    asked: set[str] = set()
    for _ in range(4):
        for request in tick(look)[0]:
            asked |= set(days_of(request))
            tick.end(request, dg.DagsterRunStatus.SUCCESS)
    assert max(look.placed_counts) == 8
    assert asked == set(DAYS[10:20])
    assert json.loads(tick.cursor or "")["after"] in {*DAYS, ""}


def test_runs_that_a_tick_leaves_are_asked_for_by_the_next(
    tick: Tick, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "RUNS_PER_TICK", 2)
    look = Look([waiting(n, DAYS[2 * n]) for n in range(5)])  # no two days follow each other
    asked: list[str] = []
    for _ in range(3):
        for request in tick(look)[0]:
            asked += days_of(request)
            tick.end(request, dg.DagsterRunStatus.STARTED)
    assert asked == [DAYS[2 * n] for n in range(5)]


def test_a_range_is_the_tags_of_a_run(tick: Tick) -> None:
    (request,) = tick(Look([waiting(n, day) for n, day in enumerate(DAYS[:4])]))[0]
    assert (request.tags[RANGE_START_TAG], request.tags[RANGE_END_TAG]) == (DAYS[0], DAYS[3])
