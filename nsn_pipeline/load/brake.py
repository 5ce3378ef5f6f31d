"""How much one run may retire of one table without being told so.

Pure. A source that suddenly shows less, a role that lost its view, a wrong filter: all look like
deletions, so a run that would retire much more than people delete in a day does not
(docs/decisions/0014).
"""

from dataclasses import dataclass

# As many rows as one edited document may lose: no share of a small table is held against them.
FEW = 5


@dataclass(frozen=True, slots=True)
class Limits:
    """`allowed` is the number a person has looked at and said yes to, per table and run."""

    max_share: float = 0.10
    max_count: int = 500
    allowed: int = 0


def needs_base(limits: Limits, wanted: int) -> bool:
    """Whether the decision depends on how many records the table holds."""
    return max(limits.allowed, FEW) < wanted <= limits.max_count


def refusal(limits: Limits, table: str, *, wanted: int, held: int) -> str | None:
    """Why `wanted` records of a table that holds `held` of ours are left alone; None to go on."""
    if wanted <= limits.allowed:
        return None
    if wanted > limits.max_count:
        why = f"more than NSN_RETIRE_MAX_COUNT = {limits.max_count:,}"
    elif wanted > FEW and wanted > limits.max_share * held:
        why = f"{wanted} of {held:,} are more than NSN_RETIRE_MAX_SHARE = {limits.max_share:g}"
    else:
        return None
    records = "record" if wanted == 1 else "records"
    return (
        f"this run would retire {wanted:,} {records} of {table} ({why}). If NetSuite is right, run "
        f"the days again with --allow-retire {wanted}"
    )
