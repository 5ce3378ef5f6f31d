"""How much one run may retire of one table without being told so.

Pure. A source that suddenly shows less, a role that lost its view, a wrong filter: all look like
deletions, so a run that would retire much more than people delete in a day does not
(docs/decisions/0014). The same holds for records that NetSuite ends and keeps: voids, closed
orders, vendors made inactive. They are many more on an ordinary day, so they have limits of their
own (docs/decisions/0027).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

Deed = Literal["retire", "end"]

# As many rows a day as an edited document may lose: no share of a small table is held against them.
FEW = 5
FEW_ENDED = 25  # orders that somebody closes one by one on an ordinary day


@dataclass(frozen=True, slots=True)
class Limits:
    """`allowed` is the number a person has looked at and said yes to, per table and run.

    `few` pass whatever share of the table they are.
    """

    max_share: float = 0.10
    max_count: int = 500
    allowed: int = 0
    few: int = FEW
    deed: Deed = "retire"

    def cannot_pass(self, wanted: int) -> bool:
        """Whether so many are too many whatever the table holds."""
        return wanted > max(self.allowed, self.max_count)


class Today(Protocol):
    """What runs have retired of a table today without anybody's leave."""

    def count(self, deed: Deed, table: str) -> int: ...

    def add(self, deed: Deed, table: str, records: int) -> int:
        """Count these as well, or fewer; the count that comes of it, at one go."""
        ...


@dataclass(frozen=True, slots=True)
class Brake:
    """Judges one run's retirements table by table, and remembers what it let pass.

    What passes is counted before it is done: a run that dies over it has counted too much rather
    than too little, and two runs at once see each other. A plan counts nothing.
    """

    limits: Limits
    today: Today
    plan_only: bool = False

    def refusal(self, table: str, wanted: int, held: Callable[[], int]) -> str | None:
        """Why `wanted` records of a table are left alone; None to go on.

        `held` counts the records of ours that the table holds; asked only when it decides.
        """
        if not wanted or wanted <= self.limits.allowed:
            return None
        if self.plan_only:
            earlier = self.today.count(self.limits.deed, table)
        else:
            earlier = self.today.add(self.limits.deed, table, wanted) - wanted
        passes = False
        try:
            base = held() if needs_base(self.limits, wanted + earlier) else 0
            why = refusal(self.limits, table, wanted=wanted, held=base, earlier=earlier)
            passes = why is None
        finally:
            if not passes:
                self.not_done(table, wanted, wanted)
        return why

    def not_done(self, table: str, wanted: int, left: int) -> None:
        """Give back `left` of the `wanted` records that were judged: they are as they were.

        What a person allowed was never held against the day.
        """
        if left and wanted > self.limits.allowed and not self.plan_only:
            self.today.add(self.limits.deed, table, -left)


def needs_base(limits: Limits, wanted: int) -> bool:
    """Whether the decision depends on how many records the table holds."""
    return max(limits.allowed, limits.few) < wanted <= limits.max_count


def refusal(limits: Limits, table: str, *, wanted: int, held: int, earlier: int = 0) -> str | None:
    """Why `wanted` records of a table that holds `held` of ours are left alone; None to go on.

    Those of `earlier` runs of the day count with them: five rows a run are a table a day.
    """
    if wanted <= limits.allowed:
        return None
    total = wanted + earlier
    prefix = f"NSN_{limits.deed.upper()}_MAX"
    if total > limits.max_count:
        why = f"more than {prefix}_COUNT = {limits.max_count:,}"
    elif total > limits.few and total > limits.max_share * held:
        why = f"{total:,} of {held:,} are more than {prefix}_SHARE = {limits.max_share:g}"
    else:
        return None
    records = "record" if wanted == 1 else "records"
    today = f" after {earlier:,} earlier today" if earlier else ""
    return (
        f"this run would {limits.deed} {wanted:,} {records} of {table}{today} ({why}). If NetSuite "
        f"is right, run the days again with --allow-retire {wanted}"
    )


def lost_office(table: str, document_id: str, office: str, records: int) -> str:
    """Why one document keeps rows that it no longer has in NetSuite."""
    noun = "record" if records == 1 else "records"
    return (
        f"this run would retire {records:,} {noun} of {table}, all that {document_id} has of "
        f"{office}, and the rest stays. A role that does not see {office} would see the same: look "
        f"at {document_id} in NetSuite. If it is right, run the days again with --allow-retire "
        f"{records}"
    )
