"""Collects every problem of every document; the only place that loops, and only over bad rows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nsn_pipeline.conform.reasons import Problem, Reason
from nsn_pipeline.conform.rows import Rows, flags


@dataclass(frozen=True, slots=True)
class Told:
    """What is said about one bad row."""

    value: str | None
    remedy: str
    reference: str | None = None


@dataclass(slots=True)
class Findings:
    """Problems by document position, in the order they were found, each said once."""

    _by_doc: dict[int, dict[tuple[Reason, str | None, str], tuple[int, Problem]]] = field(
        default_factory=dict[int, dict[tuple[Reason, str | None, str], tuple[int, Problem]]]
    )

    def add(
        self,
        rows: Rows,
        mask: pa.Array,
        reason: Reason,
        column: str,
        tell: Callable[[int], Told],
    ) -> None:
        """One problem per row where `mask` is true; `tell` words it, given the row's position."""
        for row in np.flatnonzero(flags(mask)).tolist():
            line = None if rows.line is None else rows.line[row].as_py()
            told = tell(row)
            problem = Problem(reason, line, column, told.value, told.remedy, told.reference)
            self.put(int(rows.doc[row]), problem, row)

    def put(self, doc: int, problem: Problem, row: int = 0) -> None:
        """`row` tells lines without an id apart."""
        known = self._by_doc.setdefault(doc, {})
        line = problem.line_id if problem.line_id is not None else f"row {row}"
        known.setdefault((problem.reason, line, problem.column), (len(known), problem))

    def rejected(self, count: int) -> npt.NDArray[np.bool_]:
        """Which of `count` documents have any problem."""
        mask = np.zeros(count, bool)
        mask[list(self._by_doc)] = True
        return mask

    def of(self, doc: int) -> list[Problem]:
        return [problem for _, problem in self._by_doc.get(doc, {}).values()]

    def __iter__(self) -> Iterator[tuple[int, Problem]]:
        for doc in sorted(self._by_doc):
            for problem in self.of(doc):
                yield doc, problem
