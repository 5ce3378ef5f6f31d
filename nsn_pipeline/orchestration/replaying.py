"""What a replay needs to know, gathered: what is open, what is there now, where documents are.

The sensor and `nsn replay` both ask here; what follows from the answers is decided in
`audit/replay.py`.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import cast
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd

from nsn_pipeline.audit import replay
from nsn_pipeline.audit.replay import Cure, Key, Latest, OpenDocument, Placement
from nsn_pipeline.conform.crosswalk import Crosswalk, CrosswalkKind
from nsn_pipeline.connections import Connections
from nsn_pipeline.extract.deletions import deleted_at
from nsn_pipeline.extract.latest import latest_transactions, latest_vendors
from nsn_pipeline.extract.references import look_up_references
from nsn_pipeline.extract.window import days_touched
from nsn_pipeline.orchestration.assets.netsuite import read_snapshot
from nsn_pipeline.orchestration.assets.servicenow import loaded_by_day
from nsn_pipeline.orchestration.open_documents import open_documents, unwritten_documents
from nsn_pipeline.orchestration.runs_known import RunsKnown
from nsn_pipeline.orchestration.snapshots import DIMENSION_ASSETS
from nsn_pipeline.settings import ProjectSettings
from nsn_pipeline.state.job_state import DocumentState, JobState, Status

REPLAY_TAG = "nsn/lane"  # limited in dagster.yaml: a large replay leaves room for the schedule
REPLAY_LANE = "replay"
DIMENSIONS = frozenset(replay.CODES)
FEW = 3  # a code's own row waits for it, too; more than these are documents of days


@dataclass(slots=True)
class Replays:
    """One look at everything, over connections that are open."""

    connections: Connections
    instance: dg.DagsterInstance
    _runs: RunsKnown = field(init=False)

    def __post_init__(self) -> None:
        self._runs = RunsKnown(self.instance)

    # -- what is open ------------------------------------------------------------------------------

    def references(self) -> list[str]:
        """What documents of days wait for; what dimensions alone wait for comes with any run."""
        state = self.connections.job_state
        return [
            reference
            for reference, count in state.missing_references().items()
            if count > FEW
            or any(one.record_type not in DIMENSIONS for one in state.waiting_for(reference))
        ]

    def waiting(self, references: Iterable[str]) -> list[OpenDocument]:
        """Documents of days that wait for any of these, each once."""
        state = self.connections.job_state
        found = {
            (one.record_type, one.document_id): one
            for reference in references
            for one in state.waiting_for(reference)
            if one.record_type not in DIMENSIONS and one.status is not Status.RETIRED
        }
        return self.opened(found.values())

    def unwritten(self) -> list[OpenDocument]:
        """Documents of days that were accepted and, their run having ended, never written."""
        states = unwritten_documents(self.connections.job_state, self._runs)
        return self.opened(one for one in states if one.record_type not in DIMENSIONS)

    def open(self) -> list[OpenDocument]:
        """Everything that is open, as `nsn rejections` counts it."""
        return self.opened(open_documents(self.connections.job_state, self._runs).all())

    def opened(self, states: Iterable[DocumentState]) -> list[OpenDocument]:
        """States with the beginning of the run that judged them."""
        listed = list(states)
        self._runs.learn({state.run_id for state in listed})
        return [_open(state, self._runs) for state in listed]

    def newest_run(self) -> int:
        """The number of the newest run; 0 when there was none yet."""
        return self._runs.newest()

    # -- what is there now -------------------------------------------------------------------------

    def cures(self, references: Collection[str], on: date) -> list[Cure]:
        """How each of these resolves now: a look-up of the codes in question, never the table."""
        found: list[Cure] = []
        for kind in replay.CODES:
            chosen = [one for one in references if replay.kind_of(one) == kind]
            if chosen:
                crosswalk = self._crosswalk(cast("CrosswalkKind", kind), chosen)
                found += [replay.code_cure(crosswalk, one, on) for one in chosen]
        records = [one for one in references if replay.kind_of(one) not in replay.CODES]
        return found + self._record_cures(self.connections.job_state, records)

    def _crosswalk(self, kind: CrosswalkKind, references: Collection[str]) -> Crosswalk:
        connections = self.connections
        table = connections.profile.references[kind]
        dimension = self._dimension(kind)
        overrides = connections.overrides(kind)
        code_column = "number" if kind == "gl_account" else connections.profile.cost_center_code

        def built(reference: pd.DataFrame) -> Crosswalk:
            return Crosswalk.build(kind, dimension, reference, overrides, code_column)

        bare = built(look_up_references(connections.servicenow, table, ()))
        codes = replay.codes_wanted(bare, references)
        return built(look_up_references(connections.servicenow, table, codes))

    def _dimension(self, kind: str) -> pd.DataFrame:
        """NetSuite's accounts or departments as the last run read them; it judged by them."""
        name = DIMENSION_ASSETS[kind]
        try:
            return self.connections.landing.read(("netsuite", name), None)
        except FileNotFoundError:
            read = read_snapshot(self.connections, name)
            return read.to_pandas(types_mapper=pd.ArrowDtype)

    @staticmethod
    def _record_cures(state: JobState, references: Sequence[str]) -> list[Cure]:
        """Suppliers and orders are there once a run of ours has loaded them."""
        by_type: dict[str, dict[str, str]] = {}
        for reference in references:
            record_type, document_id = replay.record_of(reference)
            by_type.setdefault(record_type, {})[reference] = document_id
        found: list[Cure] = []
        for record_type, ids in by_type.items():
            states = state.get_many(record_type, sorted(set(ids.values())))
            for reference, document_id in ids.items():
                one = states.get(document_id)
                there = one is not None and one.status is Status.LOADED
                content = f"{one.sys_id} {one.content_hash}" if one and there else None
                found.append(replay.record_cure(reference, content))
        return found

    # -- where documents are -----------------------------------------------------------------------

    def placed(self, documents: Sequence[OpenDocument], known: Collection[str]) -> Placement:
        """The day that reads each document now, by NetSuite's own stamps.

        Two calls per 900, and one per 300 that it does not show.
        """
        client = self.connections.netsuite
        vendors = [one for one in documents if one.record_type == "vendor"]
        others = [one for one in documents if one.record_type != "vendor"]
        latest: dict[Key, Latest] = {}
        for group, ask in ((vendors, latest_vendors), (others, latest_transactions)):
            stamps = ask(client, sorted({one.document_id for one in group}, key=int))
            latest |= {
                one.key: stamps[one.document_id] for one in group if one.document_id in stamps
            }
        absent: dict[str, list[str]] = {}
        for one in documents:
            if one.key not in latest:
                absent.setdefault(one.record_type, []).append(one.document_id)
        spellings = self.connections.settings.project.deleted_types
        deleted = {
            (name, document_id): at
            for name, ids in absent.items()
            for document_id, at in deleted_at(client, name, ids, spellings).items()
        }
        zone = ZoneInfo(self.connections.settings.project.timezone)
        return replay.place(
            documents,
            latest,
            deleted,
            lambda stamp: stamp.astimezone(zone).date().isoformat(),
            known=known,
            loaded=self._loaded_days(),
        )

    def _loaded_days(self) -> set[str]:
        key = loaded_by_day(self.connections.profile)[0]
        return set(self.instance.get_materialized_partitions(key))


def replay_tags(why: str) -> dict[str, str]:
    """What runs of a replay carry: a lane to limit them by, and why they are."""
    return {REPLAY_TAG: REPLAY_LANE, "nsn/why": why[:250]}


def known_days(daily: dg.DailyPartitionsDefinition, now: datetime) -> set[str]:
    """Every partition there is."""
    return set(daily.get_partition_keys(current_time=now))


def days_alone(project: ProjectSettings, now: datetime) -> set[str]:
    """Days the schedule may ask for at any moment: two runs of one partition queue up behind each
    other (dagster.yaml), which a range run and a single one would not.
    """
    begin = now - project.overlap - timedelta(days=1)
    return set(days_touched(begin, now, project.timezone))


def _open(state: DocumentState, runs: RunsKnown) -> OpenDocument:
    pending = state.status is Status.PENDING
    number, created = runs.created(state.run_id)
    return OpenDocument(
        record_type=state.record_type,
        document_id=state.document_id,
        status=state.status.value,
        day=state.partition,
        reasons=state.reasons,
        references=state.references,
        run_id=state.run_id,
        # Judged by a run this instance does not know: as if long ago, so that it is replayed once.
        judged_from=runs.begun(state.run_id) or datetime.min.replace(tzinfo=UTC),
        run_number=number,
        run_created=created,
        unwritten_since=runs.ended(state) if pending else None,
        tries=runs.tries(state.run_id),
    )
