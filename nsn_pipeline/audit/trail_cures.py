"""What made the difference when a document passes that was rejected before.

Pure. Evidence, not guesses: a reference is said to be cured by an override or by a ServiceNow row
only when a line of the document's own, with its office and its day, is led there by the crosswalk,
and when its accepted rows, where there are any, carry that sys_id.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from nsn_pipeline.conform.crosswalk import Crosswalk, Override
from nsn_pipeline.conform.remedies import MAPPING_FILES
from nsn_pipeline.frames import records_of

Told = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Use:
    """An account or department as a document names it: validity and office decide where to."""

    kind: str
    internal_id: str
    subsidiary_id: str | None
    day: date | None


@dataclass(frozen=True, slots=True)
class Way:
    """Where the crosswalk leads one use of a reference."""

    sys_id: str
    told: Told


def ways(
    crosswalk: Crosswalk, overrides: pd.DataFrame, reference: str, uses: Iterable[Use]
) -> list[Way]:
    """Where the uses of a reference of the crosswalk's kind are led now, each way once.

    `overrides` are the rows of the mapping file; its index holds the line of each.
    """
    found: dict[tuple[str, int | None], Way] = {}
    for use in uses:
        if use.kind != crosswalk.kind or crosswalk.reference(use.internal_id) != reference:
            continue
        one = crosswalk.resolve_one(use.internal_id, use.subsidiary_id, use.day)
        if one.sys_id is None:
            continue
        if one.override is None:
            told: Told = {"how": "account", "servicenow_code": one.target_code}
        else:
            told = _override(crosswalk.kind, one.override, overrides)
        line = None if one.override is None else one.override.line
        found.setdefault((one.sys_id, line), Way(one.sys_id, told))
    return list(found.values())


def _override(kind: str, override: Override, overrides: pd.DataFrame) -> Told:
    """The line as an accountant knows it; who owns it stands in the file alone."""
    told: Told = {"how": "override", "file": MAPPING_FILES[kind], "line": override.line}
    names = ("netsuite_id", "netsuite_code", "subsidiary_id", "servicenow_code")
    told |= {name: value for name in names if (value := getattr(override, name))}
    for row in records_of(overrides.loc[overrides.index == override.line]):
        if row["servicenow_code"] == override.servicenow_code:  # not edited since it was applied
            told |= {name: row[name] for name in ("owner", "note") if row[name]}
    return told


def cures(
    problems: Sequence[Mapping[str, Any]],
    waits_for: Collection[str],
    *,
    accepted: bool,
    holds: Collection[str],
    lead: Callable[[str], Sequence[Way]],
    suppliers: Collection[str],
) -> list[Told]:
    """What became of each earlier problem, one entry per cause.

    `waits_for` are the references still missing; `holds` the texts in the document's accepted rows.
    Of a document that is rejected again, which has none, only references that are no longer missing
    are told: its other problems stand in the new rejection.
    """
    told: dict[tuple[str, str], Told] = {}
    for problem in problems:
        reference = problem.get("reference", "")
        if reference and reference in waits_for:
            continue
        if not reference and not accepted:
            continue
        key = (problem["reason"], reference or problem.get("column", ""))
        if key not in told:
            told[key] = {
                "reason": problem["reason"],
                **(
                    {"reference": reference} if reference else {"column": problem.get("column", "")}
                ),
                **_how(reference, holds, lead, suppliers),
            }
    return list(told.values())


def _how(
    reference: str,
    holds: Collection[str],
    lead: Callable[[str], Sequence[Way]],
    suppliers: Collection[str],
) -> Told:
    kind, _, key = reference.partition(":")
    if kind == "vendor":
        return {"how": "supplier"} if key in suppliers else {"how": "changed"}
    found = lead(reference) if reference else []
    for way in found:
        if not holds or way.sys_id in holds:
            return {**way.told, "sys_id": way.sys_id}
    return {"how": "changed"}  # the document no longer names it, or its own data were corrected
