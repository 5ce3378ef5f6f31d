"""Control totals of a day, counted from what was read and from what would be written, apart from
the judging in between.

Two questions. Did any money get lost between reading and writing? That is our own arithmetic, and
it must hold. Does the ledger say the same as the bills? That is NetSuite's, and a difference is
shown, not judged: rounding of converted amounts is not documented (docs/decisions/0020).
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

import pandas as pd

from nsn_pipeline.conform.lookups import Lookups
from nsn_pipeline.conform.outcome import REJECTED, Context, Outcome
from nsn_pipeline.conform.reasons import Reason
from nsn_pipeline.frames import records_of, rows_with, values_of

ZERO = Decimal(0)
HALF_A_RATE_DIGIT = Decimal("5e-9")  # rates come with up to eight decimals
DEFAULT_PLACES = 2


def lost_amounts(headers: pd.DataFrame, outcome: Outcome) -> list[str]:
    """Sums that do not agree, as sentences; none when nothing is lost.

    `headers` is the extract. Magnitudes are compared, as the sign of an order's total is not
    documented; a document that came twice with different content has no total to count.
    """
    told: list[str] = []
    if outcome.record_type == "gl_posting":
        off = {c: total for c, total in _sums(outcome.headers).items() if total}
        return [
            f"accepted postings in {c or '?'} do not balance: {total:f}" for c, total in off.items()
        ]
    twice = rows_with(outcome.problems, "reason", {str(Reason.DUPLICATE_ID)})
    conflicting = set(values_of(twice, "document_id"))
    read = _magnitudes(headers, "internal_id", "total", conflicting)
    judged = _magnitudes(outcome.documents, "document_id", "amount", conflicting)
    if read != judged:
        told.append(f"read {read:f}, judged {judged:f}")
    accepted = rows_with(outcome.documents, "status", {REJECTED}, inside=False)
    compared = {"accepted": _sums(accepted, "amount", "currency"), **sums_to_write(outcome)}
    for currency in sorted({currency for sums in compared.values() for currency in sums}):
        found = {what: sums.get(currency, ZERO) for what, sums in compared.items()}
        if len(set(found.values())) > 1:
            differ = ", ".join(f"{what} {total:f}" for what, total in found.items())
            told.append(f"{currency or '?'}: {differ}")
    return told


def sums_to_write(outcome: Outcome) -> dict[str, Mapping[str, Decimal]]:
    """Per kind of row, sums per currency code; none for postings, which net to nothing."""
    if outcome.record_type == "gl_posting":
        return {}
    sums = {"headers to write": _sums(outcome.headers)}
    if outcome.lines is not None:
        sums["lines to write"] = _sums(outcome.lines)
    return sums


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A posted bill whose payable in the ledger is not what the bill says."""

    document_id: str
    bill: Decimal  # in the bill's currency
    rate: Decimal
    expected: Decimal  # in the office's currency
    posted: Decimal | None  # None: no posting came
    currency: str  # the office's

    @property
    def remedy(self) -> str:
        if self.posted is None:
            return (
                "The bill is posted, but none of its postings came: let the integration role see "
                "them, then read the day again."
            )
        return (
            f"The bill says {self.bill.normalize():f} at a rate of {self.rate.normalize():f}, so "
            f"{self.expected.normalize():f} {self.currency} payable; the ledger has "
            f"{self.posted.normalize():f} {self.currency}: open the bill's GL impact in NetSuite."
        )


def disagreements(
    bills: pd.DataFrame, lines: pd.DataFrame, postings: pd.DataFrame, context: Context
) -> Iterator[Disagreement]:
    """Posted bills and credits against their payable side in the primary book.

    The payable side is what posted on the main lines: credit on a bill, debit on a credit. The
    bill's total at its exchange rate must be that, exactly where the rate is 1, else within the
    rounding of each posting and of the rate.
    """
    lookups = Lookups.of(context)
    main, offices = _main_lines(lines)
    posted: dict[str, Decimal] = defaultdict(Decimal)
    counts: dict[str, int] = defaultdict(int)
    for row in records_of(postings, ("document_id", "line_id", "debit", "credit")):
        document_id = row["document_id"]
        counts[document_id] += 1
        if (document_id, row["line_id"]) in main:
            posted[document_id] += (row["credit"] or ZERO) - (row["debit"] or ZERO)
    columns = ("internal_id", "total", "exchange_rate", "is_posting", "is_voided")
    for bill in records_of(bills, columns):
        document_id, total = bill["internal_id"], bill["total"]
        if total is None or not bill["is_posting"] or bill["is_voided"]:
            continue
        rate: Decimal = bill["exchange_rate"] or Decimal(1)
        currency = lookups.subsidiary_currencies.get(offices.get(document_id, ""), "")
        currency = currency or context.base_currency
        unit = Decimal(1).scaleb(-lookups.places.get(currency, DEFAULT_PLACES))
        expected = (total * rate).quantize(unit)
        allowed = ZERO
        if rate != 1:
            allowed = unit / 2 * (counts[document_id] + 1) + abs(total) * HALF_A_RATE_DIGIT
        found = posted[document_id] if counts[document_id] else None
        if found is None and not total:
            continue
        if found is None or abs(found - total * rate) > allowed:
            yield Disagreement(document_id, total, rate, expected, found, currency)


def _main_lines(lines: pd.DataFrame) -> tuple[set[tuple[str, str]], dict[str, str]]:
    """Keys of the main lines, and the office of each document."""
    main: set[tuple[str, str]] = set()
    offices: dict[str, str] = {}
    for row in records_of(lines, ("document_id", "line_id", "is_main", "subsidiary_id")):
        if row["is_main"]:
            main.add((row["document_id"], row["line_id"]))
            offices[row["document_id"]] = row["subsidiary_id"] or ""
    return main, offices


def _sums(
    frame: pd.DataFrame, amount: str = "_amount", currency: str = "_currency"
) -> Mapping[str, Decimal]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for row in records_of(frame, (amount, currency)):
        sums[row[currency] or ""] += row[amount] or ZERO
    return sums


def _magnitudes(
    frame: pd.DataFrame, key: str, amount: str, without: Collection[str | None]
) -> Decimal:
    """Sum of the amounts without their signs, each document once."""
    found = {row[key]: row[amount] for row in records_of(frame, (key, amount))}
    return sum((abs(v) for k, v in found.items() if v is not None and k not in without), ZERO)
