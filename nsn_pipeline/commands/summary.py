"""What a range of days came to, told to a finance engineer.

Read, accepted and rejected are counted from the landing files, each document once however many days
or runs brought it; created and updated come from the load steps of the runs.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

import pandas as pd

from nsn_pipeline.audit.trail_privacy import Privacy
from nsn_pipeline.frames import records_of, rows_with, values_of
from nsn_pipeline.landing import Landing
from nsn_pipeline.orchestration.assets.conformed import CONFORMED, Conformed
from nsn_pipeline.orchestration.runs import RunOutcome
from nsn_pipeline.orchestration.snapshots import landed_decimals
from nsn_pipeline.profiles.model import Profile, Target

ZERO = Decimal(0)
WRITTEN = ("created", "updated", "failed")
RETIRED = ("retired", "not_retired")


@dataclass(slots=True)
class Money:
    """Accepted and rejected amounts of one currency."""

    accepted: Decimal = ZERO
    rejected: Decimal = ZERO


@dataclass(slots=True)
class Counted:
    """Documents of one record type; every document once."""

    read: int = 0
    accepted: int = 0
    rejected: int = 0
    amounts: dict[str, Money] = field(default_factory=dict)

    def add(self, status: str, amount: object, currency: object) -> None:
        """Count one document."""
        self.read += 1
        is_rejected = status == "rejected"
        self.rejected += is_rejected
        self.accepted += not is_rejected
        if isinstance(amount, Decimal):
            code = currency if isinstance(currency, str) else ""
            money = self.amounts.setdefault(code, Money())
            if is_rejected:
                money.rejected += amount
            else:
                money.accepted += amount


@dataclass(slots=True)
class TableCounts:
    """What became of the records of one ServiceNow table."""

    table: str
    records: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0
    retired: int = 0
    not_retired: int = 0  # gone from NetSuite, and still there: held by the brake, or refused


@dataclass(slots=True)
class TypeSummary:
    """One record type over the whole range."""

    record_type: str
    counted: Counted = field(default_factory=Counted)
    by_month: dict[str, Counted] = field(default_factory=dict)
    tables: list[TableCounts] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rejection:
    """One rejected document and the first of its problems."""

    record_type: str
    document_id: str
    tranid: str
    vendor: str
    subsidiary: str
    amount: Decimal | None
    currency: str
    reasons: tuple[str, ...]
    remedy: str
    url: str


@dataclass(slots=True)
class Missing:
    """One cure and the documents that wait for it."""

    reference: str
    remedy: str
    documents: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Summary:
    """A whole `nsn sync`."""

    first_day: str
    last_day: str
    runs: list[str]
    types: list[TypeSummary] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0
    decimals: dict[str, int] = field(default_factory=dict)  # per currency code

    @property
    def written(self) -> int:
        """Records created, updated or retired, lines included."""
        return sum(t.created + t.updated + t.retired for kind in self.types for t in kind.tables)

    @property
    def rejected(self) -> int:
        """Rejected documents of all record types."""
        return sum(kind.counted.rejected for kind in self.types)

    @property
    def has_findings(self) -> bool:
        """Whether a person has something to do."""
        return self.rejected > 0 or any(
            t.failed or t.not_retired for kind in self.types for t in kind.tables
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data; amounts as decimal text."""
        told = asdict(self) | {"written": self.written, "rejected": self.rejected}
        # `asdict` makes a Counter of its items, and not of its counts.
        told["missing"] = [
            {"reference": m.reference, "remedy": m.remedy, "documents": dict(m.documents)}
            for m in self.missing
        ]
        return _plain(told)


def summarize(
    landing: Landing, profile: Profile, days: Sequence[str], outcomes: Sequence[RunOutcome]
) -> Summary:
    """Gather what the runs landed and what their load steps reported.

    Remedies quote values, and a summary is printed into logs: those of private columns are withheld
    here. `nsn rejections` has them, for whoever is to correct the document.
    """
    summary = Summary(days[0], days[-1], [outcome.run_id for outcome in outcomes])
    missing: dict[str, Missing] = {}
    privacy = Privacy.of(profile)
    for names in CONFORMED.values():
        kind = TypeSummary(names.record_type)
        parts = _parts(profile.targets[names.record_type])
        records: Counter[str] = Counter()
        for day, documents in _documents(landing, names, days, summary.runs):
            _count(kind, day, documents)
            ids = set(values_of(documents, "document_id"))
            _read_problems(landing, names, day, ids, summary, missing, privacy)
            _count_records(landing, names, day, documents, records)
        tables = [
            _table_counts(part.table, records[name], outcomes)
            for name, part in parts.items()
            if any(f"servicenow/{part.table}" in outcome.totals for outcome in outcomes)
        ]
        if kind.counted.read or any(table.retired or table.not_retired for table in tables):
            kind.tables = tables
        summary.types.append(kind)
    summary.missing = sorted(
        missing.values(), key=lambda one: (-one.documents.total(), one.reference)
    )
    summary.notes = sorted(
        {
            note
            for outcome in outcomes
            for totals in outcome.totals.values()
            for note in str(totals.get("notes", "")).split("; ")
            if note
        }
    )
    summary.errors = [error for outcome in outcomes for error in outcome.errors]
    summary.decimals = landed_decimals(landing)
    return summary


def _documents(
    landing: Landing, names: Conformed, days: Sequence[str], run_ids: Collection[str]
) -> Iterator[tuple[str | None, pd.DataFrame]]:
    """Each document once. The newest day wins: it judged the document as it was last."""
    seen: set[str] = set()
    partitions: Sequence[str | None] = [None] if names.unpartitioned else sorted(days, reverse=True)
    for day in partitions:
        path = names.path("documents")
        if landing.tags(path, day).get("run_id") not in run_ids:
            continue  # not judged by these runs: not selected, or a step before it failed
        documents = landing.read(path, day)
        fresh = rows_with(documents, "document_id", seen, inside=False)
        seen.update(values_of(fresh, "document_id"))
        yield day, fresh


def _count(kind: TypeSummary, day: str | None, documents: pd.DataFrame) -> None:
    month = None
    if day is not None and len(documents):
        month = kind.by_month.setdefault(day[:7], Counted())
    for row in records_of(documents, ("status", "amount", "currency")):
        kind.counted.add(row["status"], row["amount"], row["currency"])
        if month is not None:
            month.add(row["status"], row["amount"], row["currency"])


def _count_records(
    landing: Landing,
    names: Conformed,
    day: str | None,
    documents: pd.DataFrame,
    records: Counter[str],
) -> None:
    for part in ("headers", "lines") if names.has_lines else ("headers",):
        rows = landing.read(names.path(part), day)
        counted = set(values_of(documents, "document_id"))
        records[part] += len(rows_with(rows, "_document_id", counted))


def _read_problems(  # noqa: PLR0917
    landing: Landing,
    names: Conformed,
    day: str | None,
    ids: set[str],
    summary: Summary,
    missing: dict[str, Missing],
    privacy: Privacy,
) -> None:
    problems = rows_with(landing.read(names.path("problems"), day), "document_id", ids)
    by_document: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in records_of(problems):
        by_document[_text(row["document_id"])].append(row)
    for document_id, rows in by_document.items():
        first = rows[0]
        summary.rejections.append(
            Rejection(
                record_type=names.record_type,
                document_id=document_id,
                tranid=_text(first["tranid"]),
                vendor=_text(first["vendor"]),
                subsidiary=_text(first["subsidiary"]),
                amount=first["amount"] if isinstance(first["amount"], Decimal) else None,
                currency=_text(first["currency"]),
                reasons=tuple(dict.fromkeys(row["reason"] for row in rows)),
                remedy=_remedy(first, privacy),
                url=_text(first["url"]),
            )
        )
        for reference in dict.fromkeys(_text(row["reference"]) for row in rows):
            if reference:
                row = next(r for r in rows if _text(r["reference"]) == reference)
                entry = missing.setdefault(reference, Missing(reference, _remedy(row, privacy)))
                entry.documents[names.record_type] += 1


def _remedy(row: Mapping[str, Any], privacy: Privacy) -> str:
    _, remedy = privacy.problem(_text(row["column"]), None, _text(row["remedy"]))
    return remedy


def _parts(target: Target) -> dict[str, Target]:
    return {"headers": target} | ({"lines": target.lines} if target.lines else {})


def _table_counts(table: str, records: int, outcomes: Sequence[RunOutcome]) -> TableCounts:
    """Created, updated and failed as the runs reported them; the rest was already right.

    A record that several windows met is unchanged in the later ones, so unchanged cannot be summed.
    """
    sums: defaultdict[str, int] = defaultdict(int)
    for outcome in outcomes:
        totals = outcome.totals.get(f"servicenow/{table}", {})
        for name in (*WRITTEN, *RETIRED):
            sums[name] += totals.get(name, 0)
    return TableCounts(
        table=table,
        records=records,
        created=sums["created"],
        updated=sums["updated"],
        unchanged=max(records - sum(sums[name] for name in WRITTEN), 0),
        failed=sums["failed"],
        retired=sums["retired"],
        not_retired=sums["not_retired"],
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _plain(value: object) -> Any:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value
