"""Documents that changed in NetSuite after this run read them: a later read writes them.

A load may begin hours after its run read NetSuite, and another run may have loaded a newer version
meanwhile. ServiceNow keeps no change stamp of ours and Redis may be lost, so NetSuite itself is
asked, right before writing and again right before retiring (docs/decisions/0022).
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime

import pandas as pd

from nsn_pipeline.connections import Connections
from nsn_pipeline.extract.documents import Reader
from nsn_pipeline.orchestration.assets.conformed import Conformed, stamps
from nsn_pipeline.records.registry import REGISTRY


class Moved:
    """Of one record type; `by_day` counts what was left to a later read."""

    def __init__(self, connections: Connections, names: Conformed) -> None:
        self._connections = connections
        self._names = names
        self._read: dict[str, dict[str, datetime | None]] = {}
        self.by_day: dict[str | None, set[str]] = defaultdict(set)

    def as_of(self, document_id: str, day: str | None) -> datetime | None:
        """The latest change that what this run read of the document on that day holds."""
        return None if day is None else self._read_on(day).get(document_id)

    def of(self, day_of: Mapping[str, str | None]) -> set[str]:
        """Which of these documents NetSuite shows with a newer change, or no longer at all."""
        days = {document: day for document, day in day_of.items() if day is not None}
        now = self._now(list(days))
        return {document for document, day in days.items() if self._has_moved(document, day, now)}

    def left_out(self, group: Collection[tuple[str | None, pd.DataFrame]]) -> dict[str, set[str]]:
        """Per day, the documents of these header frames that have moved on; counts them.

        A document may come with several days of the group, each read at its own moment.
        """
        by_day = {day: set(headers["_document_id"]) for day, headers in group if day is not None}
        now = self._now(sorted({one for documents in by_day.values() for one in documents}))
        moved = {
            day: {one for one in documents if self._has_moved(one, day, now)}
            for day, documents in by_day.items()
        }
        for day, documents in moved.items():
            self.count(day, documents)
        return moved

    def count(self, day: str | None, documents: Collection[str]) -> None:
        """Note that these were left to a later read."""
        self.by_day[day].update(documents)

    def _has_moved(self, document: str, day: str, now: Mapping[str, datetime]) -> bool:
        read, latest = self._read_on(day).get(document), now.get(document)
        return read is None or latest is None or latest > read

    def _read_on(self, day: str) -> dict[str, datetime | None]:
        if day not in self._read:
            self._read[day] = _stamps_read(self._connections, self._names, day)
        return self._read[day]

    def _now(self, ids: Collection[str]) -> dict[str, datetime]:
        reader = Reader(self._connections.netsuite)
        if self._names.record_type == "vendor":
            return reader.vendor_stamps(list(ids))
        return reader.stamps(list(ids))


def _stamps_read(
    connections: Connections, names: Conformed, day: str
) -> dict[str, datetime | None]:
    column = "document_id" if REGISTRY[names.record_type].shape == "posting" else "internal_id"
    headers = connections.landing.read(
        ("netsuite", names.headers), day, run_id=connections.run_id, columns=(column, "as_of")
    )
    return stamps(names.record_type, headers)
