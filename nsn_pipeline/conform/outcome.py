"""What goes into conforming and what comes out of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa

from nsn_pipeline.conform.crosswalk import Crosswalk
from nsn_pipeline.records.arrow import arrow_of, column_of
from nsn_pipeline.records.spec import MONEY_TYPE

PROBLEM_COLUMNS = (
    "record_type",
    "document_id",
    "day",
    "tranid",
    "vendor",
    "subsidiary",
    "amount",
    "currency",
    "reason",
    "line_id",
    "column",
    "value",
    "remedy",
    "reference",
    "url",
)
DOCUMENT_COLUMNS = (
    "document_id",
    "status",
    "day",
    "brought_by",
    "tranid",
    "vendor",
    "subsidiary",
    "amount",
    "currency",
    "url",
)
_SUMMED = pa.schema([("currency", pa.string()), ("rejected", pa.bool_()), ("amount", MONEY_TYPE)])
ACCEPTED, REJECTED, SKIPPED = "accepted", "rejected", "skipped"


def problem_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Problems in `PROBLEM_COLUMNS`, `amount` as a decimal; what a row does not say is empty."""
    columns = {
        name: pa.array(
            [row.get(name) for row in rows], MONEY_TYPE if name == "amount" else pa.string()
        )
        for name in PROBLEM_COLUMNS
    }
    return pa.table(columns).to_pandas(types_mapper=pd.ArrowDtype)


@dataclass(frozen=True, slots=True)
class Documents:
    """Canonical rows of one record type; `lines` is None for types that have none."""

    headers: pd.DataFrame
    lines: pd.DataFrame | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """Everything a document is judged against, all of it read in the same run.

    `vendors` are the internal ids of the vendors that were accepted in this partition.
    `base_currency` is for accounts without Multiple Currencies only: their documents name no
    currency, so the setting says which one it is. `netsuite_ui` is the address people use.
    """

    accounts: pd.DataFrame
    departments: pd.DataFrame
    subsidiaries: pd.DataFrame
    currencies: pd.DataFrame
    vendor_names: Mapping[str, str]
    gl_crosswalk: Crosswalk
    cc_crosswalk: Crosswalk
    vendors: AbstractSet[str] = frozenset()
    netsuite_ui: str = ""
    base_currency: str = ""


@dataclass(frozen=True, slots=True)
class Amounts:
    """Sums of one currency; read = accepted + rejected."""

    accepted: Decimal = Decimal(0)
    rejected: Decimal = Decimal(0)

    @property
    def read(self) -> Decimal:
        return self.accepted + self.rejected


@dataclass(frozen=True, slots=True)
class Outcome:
    """Accepted rows ready to be planned, and every problem of every other document.

    `read`, `accepted` and `rejected` count documents (postings: transactions) and always add up.
    `skipped` is the part of `accepted` for which there is nothing to write. `documents` has one row
    per document read, `status` being accepted, rejected or skipped. `cut` counts texts shortened
    where the profile allows it, by target column. `usage` says which accounts and departments the
    documents use (`conform.usage`); None for types that use none.
    """

    record_type: str
    headers: pd.DataFrame
    lines: pd.DataFrame | None
    problems: pd.DataFrame
    documents: pd.DataFrame
    cut: Mapping[str, int] = field(default_factory=dict[str, int])
    usage: pd.DataFrame | None = None

    @property
    def read(self) -> int:
        return len(self.documents)

    @property
    def accepted(self) -> int:
        return self.read - self.rejected

    @property
    def rejected(self) -> int:
        return self._statuses().count(REJECTED)

    @property
    def skipped(self) -> int:
        return self._statuses().count(SKIPPED)

    @property
    def accepted_ids(self) -> list[str]:
        return [key for key, status in self._ids() if status != REJECTED]

    @property
    def rejected_ids(self) -> list[str]:
        return [key for key, status in self._ids() if status == REJECTED]

    def amounts(self) -> dict[str, Amounts]:
        """Sums per currency code; documents whose currency is unknown stand under ""."""
        found: dict[str, Amounts] = {}
        table = pa.table(
            {
                "currency": arrow_of(self.documents, "currency").fill_null(""),
                "rejected": [status == REJECTED for status in self._statuses()],
                "amount": arrow_of(self.documents, "amount"),
            },
            schema=_SUMMED,
        )
        sums = table.group_by(["currency", "rejected"]).aggregate([("amount", "sum")])
        for row in sums.to_pylist():
            amount = row["amount_sum"]
            if amount is None:
                continue
            now = found.get(row["currency"], Amounts())
            found[row["currency"]] = (
                Amounts(now.accepted, now.rejected + amount)
                if row["rejected"]
                else Amounts(now.accepted + amount, now.rejected)
            )
        return dict(sorted(found.items()))

    def reasons(self) -> dict[str, int]:
        """Rejected documents per reason; one with two reasons counts for both."""
        columns = (column_of(self.problems, name) for name in ("document_id", "reason"))
        pairs = set(zip(*columns, strict=True))
        return dict(sorted(Counter(reason for _, reason in pairs).items()))

    def summary(self) -> dict[str, object]:
        """Figures for logs, checks and metadata: JSON types only, amounts as plain text."""
        return {
            "read": self.read,
            "accepted": self.accepted,
            "rejected": self.rejected,
            "skipped": self.skipped,
            "headers_to_write": len(self.headers),
            "lines_to_write": 0 if self.lines is None else len(self.lines),
            "texts_cut": sum(self.cut.values()),
            "reasons": self.reasons(),
            "amounts": {
                currency: {"accepted": _plain(one.accepted), "rejected": _plain(one.rejected)}
                for currency, one in self.amounts().items()
            },
        }

    def _statuses(self) -> list[str]:
        return column_of(self.documents, "status").to_list()

    def _ids(self) -> list[tuple[str, str]]:
        ids = arrow_of(self.documents, "document_id").to_pylist()
        return [(key or "", status) for key, status in zip(ids, self._statuses(), strict=True)]


def _plain(amount: Decimal) -> str:
    """At least two decimals, no exponent, no zeros that say nothing."""
    text = f"{amount:f}"
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0").ljust(2, "0")
    return f"{whole}.{fraction}"
