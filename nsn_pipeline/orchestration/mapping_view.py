"""How one kind of reference is mapped now: what the mapping assets and `nsn mapping` show.

Amounts are those of the documents read so far, each as it was read last: the gate keeps, per day,
which accounts and cost centers they use.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa

from nsn_pipeline.audit.candidates import Candidate, candidates
from nsn_pipeline.audit.coverage import (
    AtStake,
    Covered,
    OfficeCoverage,
    at_stake,
    by_office,
    covered,
    resolved,
    unused,
)
from nsn_pipeline.conform.crosswalk import Crosswalk, CrosswalkKind, Override
from nsn_pipeline.conform.dimensions import needless_ids
from nsn_pipeline.connections import Connections
from nsn_pipeline.frames import records_of
from nsn_pipeline.orchestration.snapshots import DIMENSION_ASSETS, Snapshots
from nsn_pipeline.orchestration.usage_rollup import rolled_up
from nsn_pipeline.profiles.mappings import Fault


@dataclass(frozen=True, slots=True)
class Unmapped:
    """One account or department that somebody may need and that leads nowhere."""

    internal_id: str
    code: str
    name: str
    reason: str
    stake: AtStake
    candidates: list[Candidate]


@dataclass(frozen=True)
class MappingView:
    """Built once per kind; `faults` block a run, everything else is shown."""

    kind: CrosswalkKind
    crosswalk: Crosswalk
    faults: list[Fault]
    usage: pa.Table
    subsidiaries: Mapping[str, str]
    needless: frozenset[str]
    today: date

    @cached_property
    def codes(self) -> pd.DataFrame:
        """How every code of NetSuite resolves today."""
        return self.crosswalk.coverage(self.today)

    @cached_property
    def resolved(self) -> pa.Table:
        return resolved(self.crosswalk, self.usage)

    @cached_property
    def uses(self) -> list[Covered]:
        return covered(self.crosswalk, self.resolved, self.subsidiaries)

    @cached_property
    def offices(self) -> list[OfficeCoverage]:
        return by_office(self.uses)

    @cached_property
    def unmapped(self) -> list[Unmapped]:
        """What waits for most first; rows nobody can need only where documents use them."""
        stakes = at_stake(self.resolved)
        reasons: dict[str, str] = {one.internal_id: one.reason for one in self.uses if one.reason}
        for row in records_of(self.codes, ("internal_id", "reason")):
            if row["reason"] and row["internal_id"] not in self.needless:
                reasons.setdefault(row["internal_id"], row["reason"])
        found = [
            Unmapped(
                internal_id,
                self.crosswalk.codes.get(internal_id) or "",
                self.crosswalk.names.get(internal_id, ""),
                reason,
                stakes.get(internal_id, AtStake(internal_id)),
                candidates(self.crosswalk, internal_id),
            )
            for internal_id, reason in reasons.items()
        ]
        return sorted(found, key=lambda one: (-one.stake.documents.total(), one.code))

    @cached_property
    def flags(self) -> dict[Override, str]:
        """Lines that are no fault, and yet somebody should look at."""
        known = self.crosswalk
        flagged: dict[Override, str] = {}
        if self.usage.num_rows:  # before the first document was read, nothing can have been used
            idle = unused(known, self.resolved)
            flagged |= dict.fromkeys(idle, "no document read so far uses it")
        flagged |= dict.fromkeys(known.subjectless(), "NetSuite shows no such row")
        flagged |= dict.fromkeys(known.dangling(), "its code is not in ServiceNow")
        return dict(sorted(flagged.items(), key=lambda item: item[0].line))


def read_usage(connections: Connections) -> pa.Table:
    """What documents use, as syncs read them; a plan looks there, too, and leaves all as it is."""
    return rolled_up(connections.landing_of_syncs, keep=not connections.is_plan)


def mapping_view(connections: Connections, kind: CrosswalkKind, usage: pa.Table) -> MappingView:
    """Reads both systems' rows, unless this run has landed them.

    Raises ConfigurationError when the mapping file itself cannot be read as one.
    """
    snapshots = Snapshots(connections)
    names = records_of(snapshots.netsuite("subsidiaries"), ("internal_id", "name"))
    return MappingView(
        kind=kind,
        crosswalk=snapshots.unchecked(kind),
        faults=snapshots.faults(kind),
        usage=usage,
        subsidiaries={row["internal_id"]: row["name"] or row["internal_id"] for row in names},
        needless=frozenset(needless_ids(snapshots.netsuite(DIMENSION_ASSETS[kind]))),
        today=datetime.now(ZoneInfo(connections.settings.project.timezone)).date(),
    )
