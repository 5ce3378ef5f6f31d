"""Dimensions and references as a run must see them: read in this run, never yesterday's.

When the run materialised a snapshot asset, its landing file is used; otherwise (a backfill of
partitioned assets alone) it is read again, in memory. See docs/decisions/0002.
"""

from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

import pandas as pd

from nsn_pipeline.conform.crosswalk import Crosswalk, CrosswalkKind
from nsn_pipeline.connections import OVERRIDE_FILES, Connections
from nsn_pipeline.extract.references import read_references
from nsn_pipeline.frames import records_of, values_of
from nsn_pipeline.landing import Landing
from nsn_pipeline.orchestration.assets.netsuite import read_snapshot
from nsn_pipeline.profiles.mappings import Fault, reference_faults, refuse

REFERENCE_ASSETS = {"gl_account": "gl_accounts", "cost_center": "cost_centers"}
DIMENSION_ASSETS = {"gl_account": "gl_accounts", "cost_center": "departments"}


class Snapshots:
    """Lazily read; one object per step."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self.netsuite = cache(self._netsuite)
        self.reference = cache(self._reference)
        self.crosswalk = cache(self._crosswalk)
        self.unchecked = cache(self._unchecked)

    def base_currency(self) -> str:
        """The one base currency of an account without subsidiaries; "" where there are several."""
        if len(self.netsuite("subsidiaries")):
            return ""
        rows = records_of(self.netsuite("currencies"), ("symbol", "is_base"))
        found = [row["symbol"] for row in rows if row["is_base"]]
        return found[0] if len(found) == 1 else ""

    def decimals(self) -> dict[str, int]:
        """Decimals per currency code."""
        return _decimals(self.netsuite("currencies"))

    def _netsuite(self, name: str) -> pd.DataFrame:
        """A NetSuite dimension in canonical columns."""
        landed = self._landed(("netsuite", name))
        if landed is not None:
            return landed
        return read_snapshot(self._connections, name).to_pandas(types_mapper=pd.ArrowDtype)

    def _reference(self, kind: str) -> pd.DataFrame:
        """What ServiceNow holds of a reference kind."""
        landed = self._landed(("servicenow_reference", REFERENCE_ASSETS[kind]))
        if landed is not None:
            return landed
        connections = self._connections
        return read_references(connections.servicenow, connections.profile.references[kind])

    def faults(self, kind: CrosswalkKind) -> list[Fault]:
        """What both systems say against a mapping file, by its lines."""
        ids = {i for i in values_of(self.netsuite("subsidiaries"), "internal_id") if i}
        table = self._connections.profile.references[kind].table
        zone = ZoneInfo(self._connections.settings.project.timezone)
        return reference_faults(self.unchecked(kind), ids, table, datetime.now(zone).date())

    def _crosswalk(self, kind: CrosswalkKind) -> Crosswalk:
        """From NetSuite ids of a kind to ServiceNow codes and sys_ids.

        Raises ConfigurationError when its mapping file has faults: whatever step needs a crosswalk
        stops before anything is judged by it, also in a run without the mapping assets.
        """
        refuse(OVERRIDE_FILES[kind], self.faults(kind))
        return self.unchecked(kind)

    def _unchecked(self, kind: CrosswalkKind) -> Crosswalk:
        code_column = (
            "number" if kind == "gl_account" else self._connections.profile.cost_center_code
        )
        return Crosswalk.build(
            kind,
            dimension=self.netsuite(DIMENSION_ASSETS[kind]),
            reference=self.reference(kind),
            overrides=self._connections.overrides(kind),
            code_column=code_column,
        )

    def _landed(self, asset: tuple[str, ...]) -> pd.DataFrame | None:
        landing = self._connections.landing
        if landing.tags(asset, None).get("run_id") != self._connections.run_id:
            return None
        return landing.read(asset, None)


def landed_decimals(landing: Landing) -> dict[str, int]:
    """Decimals per currency code as they were last read, for showing amounts."""
    try:
        return _decimals(landing.read(("netsuite", "currencies"), None))
    except FileNotFoundError:
        return {}


def _decimals(currencies: pd.DataFrame) -> dict[str, int]:
    rows = records_of(currencies, ("symbol", "precision"))
    return {row["symbol"]: row["precision"] for row in rows if row["precision"] is not None}
