"""How much of what documents use is mapped: by count and by amount, per office. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa

from nsn_pipeline.conform.crosswalk import Crosswalk, Override
from nsn_pipeline.frames import records_of

COVERAGE_COLUMNS = (
    "kind",
    "code",
    "internal_id",
    "name",
    "subsidiary",
    "record_type",
    "currency",
    "method",
    "target_code",
    "reason",
    "documents",
    "lines",
    "amount",
)


@dataclass(slots=True)
class Covered:
    """What one code of one office is used for by one record type, and where it lands today."""

    kind: str
    internal_id: str
    code: str
    name: str
    subsidiary: str
    record_type: str
    currency: str
    method: str
    target_code: str
    reason: str  # empty: mapped
    documents: set[str] = field(default_factory=set[str])
    lines: int = 0
    amount: Decimal = Decimal(0)


def covered(
    crosswalk: Crosswalk, usage: Mapping[str, pd.DataFrame], subsidiaries: Mapping[str, str]
) -> list[Covered]:
    """Every use by record type, resolved as the crosswalk stands now.

    `usage` holds `conform.usage` frames, each document as it was read last.
    """
    found: dict[tuple[str, ...], Covered] = {}
    for record_type, frame in usage.items():
        rows = [row for row in records_of(frame) if row["kind"] == crosswalk.kind]
        text = pd.ArrowDtype(pa.string())
        resolved = crosswalk.resolve(
            pd.Series([row["internal_id"] for row in rows], dtype=text),
            pd.Series([row["subsidiary_id"] for row in rows], dtype=text),
            pd.Series([row["date"] for row in rows], dtype=pd.ArrowDtype(pa.date32())),
        )
        for row, one in zip(rows, records_of(resolved), strict=True):
            key = (
                row["internal_id"],
                one["code"] or "",
                crosswalk.names.get(row["internal_id"], ""),
                subsidiaries.get(row["subsidiary_id"], row["subsidiary_id"] or ""),
                record_type,
                row["currency"] or "",
                one["method"],
                one["target_code"] or "",
                one["reason"] or "",
            )
            entry = found.setdefault(key, Covered(crosswalk.kind, *key))
            entry.documents.add(row["document_id"])
            entry.lines += row["lines"]
            entry.amount += row["amount"] or 0
    return sorted(
        found.values(), key=lambda c: (c.code, c.internal_id, c.subsidiary, c.record_type)
    )


@dataclass(slots=True)
class OfficeCoverage:
    """One office, record type and currency: how much is mapped and how much is not."""

    subsidiary: str
    record_type: str
    currency: str
    codes: set[str] = field(default_factory=set[str])
    unmapped_codes: set[str] = field(default_factory=set[str])
    lines: int = 0
    unmapped_lines: int = 0
    amount: Decimal = Decimal(0)
    unmapped_amount: Decimal = Decimal(0)


def by_office(rows: Iterable[Covered]) -> list[OfficeCoverage]:
    """Offices with something unmapped first."""
    found: dict[tuple[str, str, str], OfficeCoverage] = {}
    for row in rows:
        key = row.subsidiary, row.record_type, row.currency
        office = found.setdefault(key, OfficeCoverage(*key))
        office.codes.add(row.internal_id)
        office.lines += row.lines
        office.amount += row.amount
        if row.reason:
            office.unmapped_codes.add(row.internal_id)
            office.unmapped_lines += row.lines
            office.unmapped_amount += row.amount
    return sorted(found.values(), key=lambda o: (not o.unmapped_codes, o.record_type, o.subsidiary))


@dataclass(slots=True)
class AtStake:
    """What waits for one code, over all offices."""

    internal_id: str
    documents: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set[str]))
    amounts: dict[str, dict[str, Decimal]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Decimal))
    )

    def counts(self) -> dict[str, int]:
        return {record_type: len(ids) for record_type, ids in self.documents.items()}


def at_stake(rows: Iterable[Covered]) -> dict[str, AtStake]:
    """Unmapped uses by NetSuite id; amounts are of the lines on it, not of whole documents."""
    found: dict[str, AtStake] = {}
    for row in rows:
        if row.reason:
            entry = found.setdefault(row.internal_id, AtStake(row.internal_id))
            entry.documents[row.record_type] |= row.documents
            entry.amounts[row.record_type][row.currency] += row.amount
    return found


def unused(crosswalk: Crosswalk, usage: Iterable[pd.DataFrame]) -> list[Override]:
    """Overrides that no document read so far comes under, the ones without a subject included."""
    uses: dict[str, set[tuple[str | None, date | None]]] = defaultdict(set)
    for frame in usage:
        for row in records_of(frame, ("kind", "internal_id", "subsidiary_id", "date")):
            if row["kind"] == crosswalk.kind:
                uses[row["internal_id"]].add((row["subsidiary_id"], row["date"]))
    by_code: dict[str | None, list[str]] = defaultdict(list)
    for internal_id, code in crosswalk.codes.items():
        by_code[code].append(internal_id)

    def is_used(one: Override) -> bool:
        ids = [one.netsuite_id] if one.netsuite_id else by_code.get(one.netsuite_code, [])
        return any(
            one.subsidiary_id in {None, office} and one.applies(day)
            for internal_id in ids
            for office, day in uses.get(internal_id, ())
        )

    return [one for one in crosswalk.overrides if not is_used(one)]


def rows_of(found: Iterable[Covered]) -> list[dict[str, Any]]:
    """One row per code, office, record type and currency, under `COVERAGE_COLUMNS`."""
    return [
        {name: getattr(one, name) for name in COVERAGE_COLUMNS} | {"documents": len(one.documents)}
        for one in found
    ]
