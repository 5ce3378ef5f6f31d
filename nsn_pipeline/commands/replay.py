"""`nsn replay`: the days of open documents, read, mapped and written anew through Dagster.

Without a filter it replays what was cured, documents waiting for something that is there now, and
what was accepted by a run that ended before it was written.
"""

import time
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
from rich.console import Console

from nsn_pipeline.audit import replay
from nsn_pipeline.audit.replay import Cure, OpenDocument
from nsn_pipeline.commands.progress import Progress
from nsn_pipeline.connections import Connections
from nsn_pipeline.extract.window import local_day
from nsn_pipeline.orchestration.assemble import build_definitions
from nsn_pipeline.orchestration.assets.servicenow import load_keys
from nsn_pipeline.orchestration.command_runs import end_the_killed
from nsn_pipeline.orchestration.jobs import DAILY_SYNC, days_under_way
from nsn_pipeline.orchestration.partitions import daily_partitions
from nsn_pipeline.orchestration.replaying import (
    DIMENSIONS,
    Replays,
    days_alone,
    known_days,
    replay_tags,
)
from nsn_pipeline.orchestration.runs import DAYS_PER_RUN, RunOutcome, execute_window
from nsn_pipeline.settings import Settings, load_settings
from nsn_pipeline.state.job_state import DocumentState, Status

BY_HAND = "nsn-replay"


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """Which open documents: of several kinds of filter all must hold, of one kind any."""

    reasons: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()  # "7160", or "gl_account:7160"
    days: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()  # "vendor_bill:4086607"
    everything: bool = False
    dry_run: bool = False

    @property
    def what_was_cured(self) -> bool:
        """No filter was given."""
        return not (self.reasons or self.codes or self.days or self.documents or self.everything)

    def wants(self, document: OpenDocument) -> bool:
        """Whether the filters let it through."""
        return (
            (not self.reasons or bool(set(self.reasons) & set(document.reasons)))
            and (not self.codes or any(self._names(one) for one in document.references))
            and (not self.days or document.day in self.days)
            and (not self.documents or document.name in self.documents)
        )

    def _names(self, reference: str) -> bool:
        return bool({reference, reference.partition(":")[2]} & set(self.codes))


@dataclass(frozen=True, slots=True)
class Waiting:
    """Documents that share what they wait for, or what is wrong with them."""

    what: str
    documents: int
    days: int


@dataclass(frozen=True, slots=True)
class Left:
    """A document that is still open, and why."""

    record_type: str
    document_id: str
    day: str
    status: str
    reasons: tuple[str, ...]
    waits_for: tuple[str, ...]
    judged: bool  # by this replay: False when no run came to it
    open_since: str


@dataclass(slots=True)
class ReplayReport:
    """What a replay found, ran and left."""

    cures: list[str] = field(default_factory=list)
    selected: int = 0
    waiting: list[Waiting] = field(default_factory=list)
    days: list[str] = field(default_factory=list)
    busy_days: list[str] = field(default_factory=list)
    moved: dict[str, str] = field(default_factory=dict)  # document -> the day it is read on now
    unwritten: int = 0  # accepted by a run that has ended, and never written
    unseen: list[str] = field(default_factory=list)  # NetSuite does not show them: left open
    notes: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    planned_runs: int = 0
    dry_run: bool = False
    read: int = 0
    written: int = 0
    cured: int = 0
    left: list[Left] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def run_replay(
    console: Console, request: ReplayRequest, *, instance: dg.DagsterInstance | None = None
) -> ReplayReport:
    """Select, run and compare, on the instance of the UI unless another is given.

    Raises ConfigurationError before anything runs.
    """
    settings = load_settings()
    defs = build_definitions(settings.project)
    report = ReplayReport(dry_run=request.dry_run)
    started = time.monotonic()
    with ExitStack() as stack:
        held = stack.enter_context(Connections(settings, run_id=BY_HAND))
        _ = held.redis  # the embedded server lives as long as it has a user
        at = instance or stack.enter_context(dg.DagsterInstance.get())
        end_the_killed(at)  # so that what they accepted and never wrote is replayed
        look = Replays(held, at)
        chosen, cures = _chosen(look, request, settings)
        report.selected = len(chosen)
        spans = _plan(look, settings, chosen, report)
        report.cures = [cure.sentence for cure in cures]
        report.planned_runs = len(spans)
        if not request.dry_run:
            why = f"nsn replay: {'; '.join(report.cures) or 'by hand'}"
            outcomes = [
                _run(console, defs, at, part, why, report, settings)
                for span in spans
                for part in _still_free(at, span, report)
            ]
            _compare(held, chosen, outcomes, report)
    report.seconds = time.monotonic() - started
    return report


def _chosen(
    look: Replays, request: ReplayRequest, settings: Settings
) -> tuple[list[OpenDocument], list[Cure]]:
    if not request.what_was_cured:
        return [document for document in look.open() if request.wants(document)], []
    today = local_day(datetime.now(UTC), settings.project.timezone)
    cured = [cure for cure in look.cures(look.references(), today) if cure.today or cure.ever]
    partly = {cure.reference for cure in cured if not cure.today}
    documents = [
        document
        for document in look.waiting(cure.reference for cure in cured)
        if any(
            cure.reference in document.references
            and (
                cure.reference not in partly or replay.refused_as_missing(document, cure.reference)
            )
            for cure in cured
        )
    ]
    waited_for = {reference for document in documents for reference in document.references}
    return [*documents, *look.unwritten()], [cure for cure in cured if cure.reference in waited_for]


def _plan(
    look: Replays,
    settings: Settings,
    chosen: Sequence[OpenDocument],
    report: ReplayReport,
) -> list[tuple[str, ...]]:
    """The runs: unbroken spans of days; an empty span stands for the dimensions alone."""
    daily = daily_partitions(settings.project)
    dated = [document for document in chosen if document.record_type not in DIMENSIONS]
    now = datetime.now(UTC)
    placed = look.placed(dated, known_days(daily, now))
    busy = days_under_way(look.instance)
    report.waiting = _groups(chosen, placed.by_day)
    report.days = sorted(day for day in placed.by_day if day not in busy)
    report.busy_days = sorted(day for day in placed.by_day if day in busy)
    report.moved = {":".join(key): day for key, day in placed.moved.items()}
    report.unseen = [document.name for document in placed.unseen]
    report.unwritten = sum(document.unwritten_since is not None for document in chosen)
    told = [replay.unseen_text(placed.unseen), replay.unwritten_text(placed.by_day, "to replay")]
    report.notes = [note for note in told if note]
    # Alone: what the schedule may ask for meanwhile, and days of which one may have failed a run.
    failed = {d.day for d in chosen if d.unwritten_since is not None}
    alone = days_alone(settings.project, now) | failed
    spans = replay.spans(report.days, longest=DAYS_PER_RUN, alone=alone)
    return spans or ([()] if len(dated) < len(chosen) else [])


def _still_free(
    instance: dg.DagsterInstance, span: tuple[str, ...], report: ReplayReport
) -> list[tuple[str, ...]]:
    """The span without days that another run has come to meanwhile; the report says which."""
    taken = sorted(days_under_way(instance) & set(span))
    if not taken:
        return [span]
    report.busy_days = sorted({*report.busy_days, *taken})
    report.days = [day for day in report.days if day not in taken]
    return replay.spans(set(span) - set(taken), longest=DAYS_PER_RUN)


def _groups(chosen: Sequence[OpenDocument], by_day: dict[str, list[OpenDocument]]) -> list[Waiting]:
    """The same documents under each thing they wait for, or under their reasons."""
    day_of = {document.key: day for day, documents in by_day.items() for document in documents}
    counts: Counter[str] = Counter()
    days: dict[str, set[str]] = {}
    for document in chosen:
        for what in document.references or document.reasons or (document.status,):
            counts[what] += 1
            days.setdefault(what, set()).add(day_of.get(document.key, document.day))
    # A dimension has no day, and comes with any.
    return [Waiting(what, count, len(days[what] - {""})) for what, count in counts.most_common()]


def _run(  # noqa: PLR0917
    console: Console,
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    span: tuple[str, ...],
    why: str,
    report: ReplayReport,
    settings: Settings,
) -> RunOutcome:
    selection = None if span else _dimensions(defs, settings)
    today = local_day(datetime.now(UTC), settings.project.timezone)
    days = span or (today.isoformat(),)  # dimensions have no day: any will do
    first, last = date.fromisoformat(days[0]), date.fromisoformat(days[-1])
    with Progress(console, first, last) as progress:
        outcome = execute_window(
            defs.resolve_job_def(DAILY_SYNC),
            instance,
            first,
            last,
            selection=selection,
            on_event=progress.show,
            tags=replay_tags(why),
        )
    report.runs.append(outcome.run_id)
    report.errors += outcome.errors
    for asset, totals in outcome.totals.items():
        if asset.startswith("conformed/"):
            report.read += totals.get("read", 0)
        report.written += totals.get("created", 0) + totals.get("updated", 0)
    return outcome


def _dimensions(defs: dg.Definitions, settings: Settings) -> list[dg.AssetKey]:
    from nsn_pipeline.profiles.loader import load_profile

    targets = load_profile(settings.project.profile).targets
    keys = [key for kind in sorted(DIMENSIONS) for key in load_keys(targets[kind])]
    selection = dg.AssetSelection.assets(*keys).upstream()
    return sorted(selection.resolve(defs.resolve_asset_graph()))


def _compare(
    connections: Connections,
    chosen: Sequence[OpenDocument],
    outcomes: Sequence[RunOutcome],
    report: ReplayReport,
) -> None:
    """What became of each document, by what job state says of it now."""
    runs = {outcome.run_id for outcome in outcomes}
    by_type: dict[str, list[str]] = {}
    for document in chosen:
        by_type.setdefault(document.record_type, []).append(document.document_id)
    for record_type, ids in by_type.items():
        states = connections.job_state.get_many(record_type, ids)
        for document_id in ids:
            state = states.get(document_id)
            if state is None or state.status is Status.RETIRED:
                continue
            if state.status is Status.LOADED and not state.references:
                report.cured += 1
            else:
                report.left.append(_left(state, runs))


def _left(state: DocumentState, runs: Collection[str]) -> Left:
    since = state.failing_since or state.first_seen
    return Left(
        record_type=state.record_type,
        document_id=state.document_id,
        day=state.partition,
        status=state.status.value,
        reasons=state.reasons,
        waits_for=state.references,
        judged=state.run_id in runs,
        open_since="" if since is None else since.date().isoformat(),
    )
