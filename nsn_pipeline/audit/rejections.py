"""The list of open rejections: what may not be written, why, what cures it, and since when.

Pure: how a list is filtered, grouped and put into rows. Where it comes from is
`orchestration.open_rejections`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from nsn_pipeline.amounts import money_text, plain_amount
from nsn_pipeline.conform.reasons import Problem

OpenStatus = Literal["rejected", "failed"]

CSV_COLUMNS = (
    "record_type",
    "document_id",
    "tranid",
    "vendor",
    "subsidiary",
    "amount",
    "currency",
    "status",
    "reason",
    "line",
    "column",
    "value",
    "remedy",
    "reference",
    "failing_since",
    "age_days",
    "partition",
    "netsuite",
)
# What people count in: bills first, as that is where the money is.
NOUNS = {
    "vendor_bill": ("bill", "bills"),
    "purchase_order": ("purchase order", "purchase orders"),
    "gl_posting": ("GL transaction", "GL transactions"),
    "vendor": ("vendor", "vendors"),
    "gl_account": ("GL account", "GL accounts"),
    "cost_center": ("cost center", "cost centers"),
}
_SUBJECTS = {
    "gl_account": "GL account",
    "cost_center": "Cost center",
    "vendor": "Vendor",
    "purchase_order": "Purchase order",
    "purchase_order_line": "Purchase order line",
}


@dataclass(frozen=True, slots=True)
class Rejection:
    """One document that is not in ServiceNow as NetSuite has it, with all its problems.

    `status` is rejected (it may not be written) or failed (ServiceNow would not have it). `since`
    is when it was first seen failing; `day` its partition, empty for GL accounts and cost centers.
    """

    record_type: str
    document_id: str
    status: OpenStatus
    day: str
    since: datetime
    run_id: str
    problems: tuple[Problem, ...]
    tranid: str = ""
    vendor: str = ""
    subsidiary: str = ""
    amount: Decimal | None = None
    currency: str = ""
    url: str = ""

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(str(problem.reason) for problem in self.problems))

    def age_days(self, now: datetime) -> int:
        return max((now - self.since).days, 0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A filter; what is empty lets everything through.

    A document is shown whole, with all its problems, when one of them is asked for. `codes` are
    written `7160` or `gl_account:7160`; `vendor` and `subsidiary` match any part of the name.
    """

    reasons: frozenset[str] = frozenset()
    codes: frozenset[str] = frozenset()
    record_types: frozenset[str] = frozenset()
    vendor: str = ""
    subsidiary: str = ""
    older_than: timedelta | None = None
    min_amount: Decimal | None = None

    def matches(self, one: Rejection, now: datetime) -> bool:
        return (
            (not self.record_types or one.record_type in self.record_types)
            and self.vendor.casefold() in one.vendor.casefold()
            and self.subsidiary.casefold() in one.subsidiary.casefold()
            and (self.older_than is None or now - one.since > self.older_than)
            and (self.min_amount is None or abs(one.amount or Decimal(0)) >= self.min_amount)
            and any(self._asks_for(problem) for problem in one.problems)
        )

    def _asks_for(self, problem: Problem) -> bool:
        if self.reasons and str(problem.reason) not in self.reasons:
            return False
        if not self.codes:
            return True
        reference = problem.reference or ""
        return reference in self.codes or reference.partition(":")[2] in self.codes


def chosen(rejections: Iterable[Rejection], wanted: Wanted, now: datetime) -> list[Rejection]:
    """Those asked for, bills before orders before the rest, the largest amount first."""
    order = {name: number for number, name in enumerate(NOUNS)}
    found = [one for one in rejections if wanted.matches(one, now)]
    return sorted(
        found,
        key=lambda one: (
            order.get(one.record_type, len(order)),
            -abs(one.amount or Decimal(0)),
            len(one.document_id),
            one.document_id,
        ),
    )


@dataclass(slots=True)
class Group:
    """Everything that one cure would free, or that fails for one reason without a single cure.

    A document with two problems stands in two groups.
    """

    reason: str
    reference: str
    remedy: str
    since: datetime
    documents: Counter[str] = field(default_factory=Counter[str])
    offices: Counter[str] = field(default_factory=Counter[str])
    amounts: defaultdict[str, dict[str, Decimal]] = field(
        default_factory=lambda: defaultdict(dict[str, Decimal])
    )  # record type -> currency -> sum

    @property
    def label(self) -> str:
        """`GL account 7160`, `Cost center 4411 (inactive)`, `Total mismatch`."""
        kind, _, code = self.reference.partition(":")
        if not code:
            return self.reason.replace("_", " ").capitalize()
        what = self.reason.partition("_")[0].lower()
        named = f"{_SUBJECTS.get(kind, kind)} {code.removeprefix('#')}"
        return named if what == "missing" else f"{named} ({what})"

    @property
    def lead(self) -> str:
        """The record type that says most about what is at stake: bills if there are any."""
        return next(name for name in NOUNS if self.documents[name])

    def add(self, one: Rejection) -> None:
        self.documents[one.record_type] += 1
        self.since = min(self.since, one.since)
        if one.subsidiary:
            self.offices[one.subsidiary] += 1
        if one.amount is not None:
            sums = self.amounts[one.record_type]
            sums[one.currency] = sums.get(one.currency, Decimal(0)) + one.amount


def grouped(rejections: Iterable[Rejection]) -> list[Group]:
    """By what is missing, the most documents first; each document once in each of its groups."""
    groups: dict[tuple[str, str], Group] = {}
    for one in rejections:
        keys = {(str(p.reason), p.reference or ""): p for p in reversed(one.problems)}
        for key, problem in keys.items():
            group = groups.setdefault(key, Group(*key, problem.remedy, one.since))
            group.add(one)
            if not one.subsidiary:  # an account's own rejection names the cure for all offices
                group.remedy = problem.remedy
    return sorted(groups.values(), key=lambda g: (-g.documents.total(), g.reference, g.reason))


@dataclass(frozen=True, slots=True)
class Totals:
    """How much is open: every document once."""

    documents: Mapping[str, int]  # by record type
    amounts: Mapping[str, Mapping[str, Decimal]]  # record type -> currency -> sum
    oldest: datetime | None

    @property
    def count(self) -> int:
        return sum(self.documents.values())


def totals(rejections: Iterable[Rejection]) -> Totals:
    """Counts and sums of the list."""
    counts: Counter[str] = Counter()
    amounts: defaultdict[str, dict[str, Decimal]] = defaultdict(dict)
    oldest: datetime | None = None
    for one in rejections:
        counts[one.record_type] += 1
        oldest = one.since if oldest is None else min(oldest, one.since)
        if one.amount is not None:
            sums = amounts[one.record_type]
            sums[one.currency] = sums.get(one.currency, Decimal(0)) + one.amount
    return Totals(dict(counts), dict(amounts), oldest)


def counted(
    documents: Mapping[str, int],
    amounts: Mapping[str, Mapping[str, Decimal]] | None = None,
    decimals: Mapping[str, int] | None = None,
) -> list[str]:
    """`412 bills`, `3 purchase orders`; with amounts `412 bills, 1,904,220.00 GBP`."""
    return [
        ", ".join(
            part
            for part in (
                f"{documents[name]:,} {nouns[documents[name] != 1]}",
                money_text((amounts or {}).get(name, {}), decimals or {}),
            )
            if part
        )
        for name, nouns in NOUNS.items()
        if documents.get(name)
    ]


def offices_text(offices: Mapping[str, int]) -> str:
    """`Japan (5), Americas (4)`, the most documents first."""
    ordered = sorted(offices.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} ({count:,})" for name, count in ordered)


def day_text(since: datetime, now: datetime) -> str:
    """`3 Oct`; with its year when that is not this one. Both in the zone people work in."""
    text = f"{since.day} {since:%b}"
    return text if since.year == now.year else f"{text} {since.year}"


def rows(rejections: Iterable[Rejection], now: datetime) -> Iterator[dict[str, Any]]:
    """One row per problem, under `CSV_COLUMNS`; amounts stay Decimal, times datetime."""
    for one in rejections:
        for problem in one.problems:
            yield {
                "record_type": one.record_type,
                "document_id": one.document_id,
                "tranid": one.tranid,
                "vendor": one.vendor,
                "subsidiary": one.subsidiary,
                "amount": one.amount,
                "currency": one.currency,
                "status": one.status,
                "reason": str(problem.reason),
                "line": problem.line_id or "",
                "column": problem.column,
                "value": problem.value or "",
                "remedy": problem.remedy,
                "reference": problem.reference or "",
                "failing_since": one.since,
                "age_days": one.age_days(now),
                "partition": one.day,
                "netsuite": one.url,
            }


def to_json(
    rejections: Sequence[Rejection], now: datetime, decimals: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Plain data: amounts as decimal text at their currency's decimals, times as ISO 8601."""
    return [
        {
            "record_type": one.record_type,
            "document_id": one.document_id,
            "tranid": one.tranid,
            "vendor": one.vendor,
            "subsidiary": one.subsidiary,
            "amount": None
            if one.amount is None
            else plain_amount(one.amount, one.currency, decimals),
            "currency": one.currency,
            "status": one.status,
            "failing_since": one.since.isoformat(),
            "age_days": one.age_days(now),
            "partition": one.day,
            "run_id": one.run_id,
            "netsuite": one.url,
            "problems": [
                {
                    "reason": str(problem.reason),
                    "line": problem.line_id,
                    "column": problem.column,
                    "value": problem.value,
                    "remedy": problem.remedy,
                    "reference": problem.reference,
                }
                for problem in one.problems
            ],
        }
        for one in rejections
    ]
