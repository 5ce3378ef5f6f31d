"""What a replay needs to know, gathered: what is open, what is there now, where documents are.

The sensor and `nsn replay` both ask here; what follows from the answers is decided in
`audit/replay.py`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import cast
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd

from nsn_pipeline.audit import replay
from nsn_pipeline.audit.replay import Cure, Key, Latest, OpenDocument, Placement
from nsn_pipeline.conform.crosswalk import Crosswalk, CrosswalkKind
from nsn_pipeline.connections import Connections
from nsn_pipeline.errors import NsnError
from nsn_pipeline.extract.latest import latest_transactions, latest_vendors
from nsn_pipeline.extract.references import look_up_references
from nsn_pipeline.orchestration.assets.netsuite import read_snapshot
from nsn_pipeline.orchestration.assets.servicenow import loaded_by_day
from nsn_pipeline.orchestration.snapshots import DIMENSION_ASSETS
from nsn_pipeline.state.job_state import DocumentState, JobState, Status

OPEN = (Status.REJECTED, Status.FAILED, Status.PENDING)
REPLAY_TAG = "nsn/lane"  # limited in dagster.yaml: a large replay leaves room for the schedule
REPLAY_LANE = "replay"
DIMENSIONS = frozenset(replay.CODES)
FEW = 3  # a code's own row waits for it, too; more than these are documents of days
# A role that lost its right to see transactions must not close what is open.
BRAKE_COUNT, BRAKE_SHARE = 10, 0.5
RUNS_READ = 500


@dataclass(slots=True)
class Replays:
    """One look at everything, over connections that are open."""

    connections: Connections
    instance: dg.DagsterInstance
    _begun: dict[str, datetime] = field(default_factory=dict)

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

    def open(self) -> list[OpenDocument]:
        """Everything refused, failed, never finished, or loaded without a link."""
        state = self.connections.job_state
        unlinked = [
            one
            for reference in state.missing_references()
            for one in state.waiting_for(reference)
            if one.status is Status.LOADED
        ]
        found = {(one.record_type, one.document_id): one for one in unlinked}
        for record_type in state.counts():
            for status in OPEN:
                ids = state.ids_by_status(record_type, status)
                states = state.get_many(record_type, ids)
                found |= {(record_type, one): states[one] for one in ids if one in states}
        return self.opened(found.values())

    def opened(self, states: Iterable[DocumentState]) -> list[OpenDocument]:
        """States with the beginning of the run that judged them."""
        listed = list(states)
        self._learn({state.run_id for state in listed})
        return [_open(state, self._begun) for state in listed]

    def _learn(self, run_ids: Collection[str]) -> None:
        wanted = sorted(run_id for run_id in run_ids if run_id not in self._begun)
        for start in range(0, len(wanted), RUNS_READ):
            chosen = dg.RunsFilter(run_ids=wanted[start : start + RUNS_READ])
            for record in self.instance.get_run_records(chosen):
                begun = record.start_time or record.create_timestamp.timestamp()
                self._begun[record.dagster_run.run_id] = datetime.fromtimestamp(begun, UTC)

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
        """The day that reads each document now, by NetSuite's own stamps; two calls per 900."""
        client = self.connections.netsuite
        vendors = [one for one in documents if one.record_type == "vendor"]
        others = [one for one in documents if one.record_type != "vendor"]
        latest: dict[Key, Latest] = {}
        for group, ask in ((vendors, latest_vendors), (others, latest_transactions)):
            stamps = ask(client, sorted({one.document_id for one in group}, key=int))
            latest |= {
                one.key: stamps[one.document_id] for one in group if one.document_id in stamps
            }
        zone = ZoneInfo(self.connections.settings.project.timezone)
        placed = replay.place(
            documents,
            latest,
            lambda stamp: stamp.astimezone(zone).date().isoformat(),
            known=known,
            loaded=self._loaded_days(),
        )
        if len(placed.gone) >= max(BRAKE_COUNT, len(documents) * BRAKE_SHARE):
            raise TooManyGoneError(len(placed.gone), len(documents))
        return placed

    def _loaded_days(self) -> set[str]:
        key = loaded_by_day(self.connections.profile)[0]
        return set(self.instance.get_materialized_partitions(key))

    def close(self, gone: Iterable[tuple[OpenDocument, str]]) -> None:
        """Documents that NetSuite no longer has are no longer open; trail and job state say so.

        Only what nobody judged meanwhile is closed.
        """
        state, run_id, now = self.connections.job_state, self.connections.run_id, datetime.now(UTC)
        closed: dict[tuple[str, str], list[DocumentState]] = {}
        for document, reason in gone:
            known = state.get(document.record_type, document.document_id)
            if known is not None and known.run_id == document.run_id:
                closed.setdefault((document.record_type, known.partition), []).append(
                    replace(
                        known,
                        status=Status.RETIRED,
                        run_id=run_id,
                        updated_at=now,
                        reasons=(reason,),
                        references=(),
                    )
                )
        for (record_type, day), states in closed.items():
            ids = [one.document_id for one in states]
            self.connections.recorder.retired(record_type, day or None, ids)
            state.record(states)


class TooManyGoneError(NsnError):
    """NetSuite does not show most of what is open: rather a lost right than lost documents."""

    def __init__(self, gone: int, asked: int) -> None:
        super().__init__(
            f"NetSuite shows {asked - gone} of {asked} open documents only: nothing was "
            "replayed or closed. Check what the integration role may see (`nsn doctor`)"
        )


def replay_tags(why: str) -> dict[str, str]:
    """What runs of a replay carry: a lane to limit them by, and why they are."""
    return {REPLAY_TAG: REPLAY_LANE, "nsn/why": why[:250]}


def known_days(daily: dg.DailyPartitionsDefinition, now: datetime) -> set[str]:
    """Every partition there is."""
    return set(daily.get_partition_keys(current_time=now))


def _open(state: DocumentState, begun: Mapping[str, datetime]) -> OpenDocument:
    return OpenDocument(
        record_type=state.record_type,
        document_id=state.document_id,
        status=state.status.value,
        day=state.partition,
        reasons=state.reasons,
        references=state.references,
        run_id=state.run_id,
        # Judged by a run this instance does not know: as if long ago, so that it is replayed once.
        judged_from=begun.get(state.run_id, datetime.min.replace(tzinfo=UTC)),
    )
