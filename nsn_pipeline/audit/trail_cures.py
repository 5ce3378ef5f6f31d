"""What made the difference when a document passes that was rejected before.

Pure. Evidence, not guesses: a reference is said to be cured by an override or by a ServiceNow row
only when the document's own accepted rows carry the sys_id that it leads to.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from nsn_pipeline.conform.crosswalk import Crosswalk
from nsn_pipeline.conform.remedies import MAPPING_FILES
from nsn_pipeline.frames import records_of

Told = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Way:
    """One way a reference may lead into ServiceNow."""

    sys_id: str
    told: Told


def ways(crosswalk: Crosswalk, overrides: pd.DataFrame, reference: str) -> list[Way]:
    """Where a reference of the crosswalk's kind may lead now, overrides first.

    `overrides` are the rows of the mapping file; its index holds the line of each.
    """
    kind, _, key = reference.partition(":")
    if kind != crosswalk.kind:
        return []
    ids = {key[1:]} if key.startswith("#") else _ids_of(crosswalk, key)
    codes = {crosswalk.codes.get(one) for one in ids} | (
        {key} if not key.startswith("#") else set()
    )
    found: list[Way] = []
    lines: Iterable[Any] = overrides.index.to_list()
    for line, row in zip(lines, records_of(overrides), strict=True):
        if row["netsuite_id"] in ids or (row["netsuite_code"] and row["netsuite_code"] in codes):
            told: Told = {"how": "override", "file": MAPPING_FILES[kind], "line": int(line)}
            names = ("netsuite_id", "netsuite_code", "subsidiary_id", "servicenow_code")
            told |= {name: row[name] for name in (*names, "owner", "note") if row[name]}
            found += _to(crosswalk, row["servicenow_code"] or "", told)
    for code in codes:
        if code:
            found += _to(crosswalk, code, {"how": "account", "servicenow_code": code})
    return found


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
    Where there are none, a reference is cured by any way it has. Of a document that is rejected
    again only cured references are told: its other problems stand in the new rejection.
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


def _to(crosswalk: Crosswalk, code: str, told: Told) -> list[Way]:
    return [Way(row.sys_id, told) for row in crosswalk.rows.get(code, ()) if row.active]


def _ids_of(crosswalk: Crosswalk, code: str) -> set[str]:
    return {one for one, own in crosswalk.codes.items() if own == code}
