"""How much of what documents use is mapped: by count and by amount, per office. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa

from nsn_pipeline.conform.crosswalk import Crosswalk, Override
from nsn_pipeline.records.arrow import pc

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
    documents: int
    lines: int
    amount: Decimal


def resolved(crosswalk: Crosswalk, usage: pa.Table) -> pa.Table:
    """The usage of this kind, with where each row lands as the crosswalk stands now.

    `usage` holds `conform.usage` rows with their record type, each document as it was read last.
    """
    table = usage.filter(pc.equal(usage["kind"], crosswalk.kind))
    asked = table.select(["internal_id", "subsidiary_id", "date"]).to_pandas(
        types_mapper=pd.ArrowDtype
    )
    found = crosswalk.resolve(asked["internal_id"], asked["subsidiary_id"], asked["date"])
    for name in ("code", "method", "target_code", "reason"):
        told = pa.array(found[name], pa.string())
        table = table.append_column(name, pc.fill_null(told, ""))
    return table


def covered(
    crosswalk: Crosswalk, table: pa.Table, subsidiaries: Mapping[str, str]
) -> list[Covered]:
    """Uses of `resolved` by code, office, record type and currency."""
    keys = ["internal_id", "code", "subsidiary_id", "record_type", "currency", "method",
            "target_code", "reason"]  # fmt: skip
    sums = [("document_id", "count_distinct"), ("lines", "sum"), ("amount", "sum")]
    found = [
        Covered(
            kind=crosswalk.kind,
            internal_id=row["internal_id"],
            code=row["code"],
            name=crosswalk.names.get(row["internal_id"], ""),
            subsidiary=subsidiaries.get(row["subsidiary_id"], row["subsidiary_id"] or ""),
            record_type=row["record_type"],
            currency=row["currency"] or "",
            method=row["method"],
            target_code=row["target_code"],
            reason=row["reason"],
            documents=row["document_id_count_distinct"],
            lines=row["lines_sum"],
            amount=row["amount_sum"] or Decimal(0),
        )
        for row in table.group_by(keys).aggregate(sums).to_pylist()
    ]
    return sorted(found, key=lambda c: (c.code, c.internal_id, c.subsidiary, c.record_type))


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
    documents: Counter[str] = field(default_factory=Counter[str])  # by record type
    amounts: dict[str, dict[str, Decimal]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Decimal))
    )


def at_stake(table: pa.Table) -> dict[str, AtStake]:
    """Unmapped rows of `resolved` by NetSuite id; amounts are of the lines on it, not of whole
    documents.
    """
    waiting = table.filter(pc.not_equal(table["reason"], ""))
    keys = ["internal_id", "record_type"]
    found: dict[str, AtStake] = {}
    counts = waiting.group_by(keys).aggregate([("document_id", "count_distinct")])
    for row in counts.to_pylist():
        entry = found.setdefault(row["internal_id"], AtStake(row["internal_id"]))
        entry.documents[row["record_type"]] = row["document_id_count_distinct"]
    sums = waiting.group_by([*keys, "currency"]).aggregate([("amount", "sum")])
    for row in sums.to_pylist():
        amounts = found[row["internal_id"]].amounts[row["record_type"]]
        amounts[row["currency"] or ""] += row["amount_sum"] or 0
    return found


def unused(crosswalk: Crosswalk, table: pa.Table) -> list[Override]:
    """Overrides that no document read so far comes under, the ones without a subject included."""
    by_code: dict[str | None, list[str]] = defaultdict(list)
    for internal_id, code in crosswalk.codes.items():
        by_code[code].append(internal_id)

    def ids_of(one: Override) -> list[str]:
        return [one.netsuite_id] if one.netsuite_id else by_code.get(one.netsuite_code, [])

    named = sorted({internal_id for one in crosswalk.overrides for internal_id in ids_of(one)})
    of_them = table.filter(pc.is_in(table["internal_id"], pa.array(named, pa.string())))
    uses: dict[str, set[tuple[str | None, date | None]]] = defaultdict(set)
    distinct = of_them.group_by(["internal_id", "subsidiary_id", "date"]).aggregate([])
    for row in distinct.to_pylist():
        uses[row["internal_id"]].add((row["subsidiary_id"], row["date"]))

    def is_used(one: Override) -> bool:
        return any(
            one.subsidiary_id in {None, office} and one.applies(day)
            for internal_id in ids_of(one)
            for office, day in uses.get(internal_id, ())
        )

    return [one for one in crosswalk.overrides if not is_used(one)]


def rows_of(found: Iterable[Covered]) -> list[dict[str, Any]]:
    """One row per code, office, record type and currency, under `COVERAGE_COLUMNS`."""
    return [{name: getattr(one, name) for name in COVERAGE_COLUMNS} for one in found]
