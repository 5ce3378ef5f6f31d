"""Rows that came twice: the same content is one row, different content is a problem."""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from nsn_pipeline.conform.rows import Positions, Rows

# How a row came into the partition says nothing about its content.
_CIRCUMSTANCES = frozenset({"change_day", "brought_by"})


@dataclass(frozen=True, slots=True)
class Collapsed:
    """`kept` positions, one per key; `conflicts` are those of them whose twin differs."""

    kept: Positions
    conflicts: Positions


def collapse(rows: Rows, key: Sequence[str]) -> Collapsed:
    """Keep one row per key, a changed one rather than a referenced one.

    Rows without a whole key are all kept: nothing says that they are the same.
    """
    frame = pd.DataFrame({name: rows.series(name) for name in key})
    whole = frame.notna().all(axis=1).to_numpy(bool)
    twins = np.flatnonzero(frame.duplicated(keep=False).to_numpy(bool) & whole)
    if not len(twins):
        return Collapsed(np.arange(rows.count, dtype=np.int64), np.zeros(0, np.int64))
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for row in twins.tolist():
        groups[tuple(rows[name][row].as_py() for name in key)].append(row)
    dropped: set[int] = set()
    conflicts: list[int] = []
    for members in groups.values():
        kept = _representative(rows, members)
        dropped.update(row for row in members if row != kept)
        if len({_content(rows, row) for row in members}) > 1:
            conflicts.append(kept)
    every = np.arange(rows.count, dtype=np.int64)
    kept_rows = every[~np.isin(every, list(dropped))]
    return Collapsed(kept_rows, np.array(sorted(conflicts), np.int64))


def _representative(rows: Rows, members: list[int]) -> int:
    if "brought_by" in rows.columns:
        changed = (row for row in members if rows["brought_by"][row].as_py() == "change")
        return next(changed, members[0])
    return members[0]


def _content(rows: Rows, row: int) -> tuple[object, ...]:
    typed = [
        values[row].as_py() for name, values in rows.columns.items() if name not in _CIRCUMSTANCES
    ]
    return (*typed, *(values[row].as_py() for values in rows.raw.values()))
