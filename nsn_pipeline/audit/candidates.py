"""What an unmapped code might be in ServiceNow, for a person to confirm. Never applied. Pure.

The crosswalk does not import this: a code resolves by override or exact match, and by nothing
that is worked out here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from nsn_pipeline.conform.crosswalk import Crosswalk, ReferenceRow

_APART = re.compile(r"[\W_]+")
_SHORTEST = 4  # characters a code must have for one wrong digit to mean anything


@dataclass(frozen=True, slots=True)
class Candidate:
    """One ServiceNow code that looks alike, and what makes it so."""

    code: str
    name: str
    why: str


def candidates(crosswalk: Crosswalk, internal_id: str) -> list[Candidate]:
    """The likeliest first: those alike in more than one way, then by code."""
    code, name = crosswalk.codes.get(internal_id), crosswalk.names.get(internal_id, "")
    found: list[tuple[int, Candidate]] = []
    for target, rows in crosswalk.rows.items():
        if target == code:
            continue  # the same code and yet unmapped: what it lacks, no mapping cures
        active = [row for row in rows if row.active]
        why = list(_alike(code, name, active[0])) if active else []
        if why:
            row = active[0]
            found.append((-len(why), Candidate(target, row.name, ", ".join(why))))
    return [one for _, one in sorted(found, key=lambda item: (item[0], item[1].code))]


def _alike(code: str | None, name: str, row: ReferenceRow) -> Iterator[str]:
    if _same_name(name, row.name):
        yield "same name"
    if not code:
        return
    ours, theirs = _plain(code), _plain(row.code)
    if ours == theirs:
        yield "same code but for case and punctuation"
    elif ours.lstrip("0") == theirs.lstrip("0") and ours.strip("0"):
        yield "same code but for leading zeros"
    elif len(ours) >= _SHORTEST and _one_apart(ours, theirs):
        shared = _words(name) & _words(row.name)
        if shared:  # neighbours in a dense chart differ in one digit: alone, that says nothing
            yield f"one character of the code differs, both names say {min(shared)}"


def _same_name(ours: str, theirs: str) -> bool:
    """Whole names, or their last parts: NetSuite writes `Parent : Child`."""
    wanted = {_plain(ours), _plain(ours.rpartition(":")[2])} - {""}
    return bool(wanted & {_plain(theirs), _plain(theirs.rpartition(":")[2])})


def _words(name: str) -> set[str]:
    """Words of some length in the last part of a name."""
    parts = _APART.split(name.rpartition(":")[2].casefold())
    return {part for part in parts if len(part) >= _SHORTEST}


def _plain(text: str) -> str:
    return _APART.sub("", text.casefold())


def _one_apart(one: str, other: str) -> bool:
    """One character replaced, added, left out, or two neighbours swapped."""
    short, long = sorted((one, other), key=len)
    if len(long) - len(short) > 1 or one == other:
        return False
    at = next(
        (n for n, pair in enumerate(zip(short, long, strict=False)) if pair[0] != pair[1]),
        len(short),
    )
    if len(short) < len(long):
        return short[at:] == long[at + 1 :]
    swapped = short[:at] + short[at + 1 : at + 2] + short[at : at + 1] + short[at + 2 :]
    return short[at + 1 :] == long[at + 1 :] or swapped == long
