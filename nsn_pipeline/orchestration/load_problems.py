"""What ServiceNow would not have, kept per day beside what the gate refused; the links that a day's
documents still lack; and where columns that are only compared differ.

Job state knows that a document failed and for which reasons; ServiceNow's own words and the remedy
are here, in the columns of the gate's `problems`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from nsn_pipeline.conform.outcome import problem_frame
from nsn_pipeline.connections import Connections
from nsn_pipeline.frames import records_of
from nsn_pipeline.load.drift import Difference
from nsn_pipeline.load.whole import DocumentRow
from nsn_pipeline.orchestration.assets.conformed import Conformed
from nsn_pipeline.orchestration.reporting import Listed

LINK_NOT_SET = "LINK_NOT_SET"  # no rejection: the document is loaded
_TOLD = ("day", "tranid", "vendor", "subsidiary", "amount", "currency", "url")


def load_problems_path(names: Conformed) -> tuple[str, ...]:
    """Where the problems of a record type's loads land."""
    return ("loaded", names.asset, "problems")


def land_load_problems(
    connections: Connections, names: Conformed, day: str | None, failed: Iterable[DocumentRow]
) -> Listed | None:
    """Keep a day's failures, and list them; None when there are none.

    A day that loads whole leaves no file, unless it had one before.
    """
    rows = (
        (
            row.document_id,
            {
                "reason": str(problem.reason),
                "line_id": problem.line_id,
                "column": problem.column,
                "value": problem.value,
                "remedy": problem.remedy,
                "reference": problem.reference,
            },
        )
        for row in failed
        for problem in row.problems
    )
    return _land(connections, names, load_problems_path(names), day, rows)


def land_links(
    connections: Connections, names: Conformed, day: str | None, unlinked: Iterable[DocumentRow]
) -> Listed | None:
    """The same, for documents that were loaded without a link."""
    rows = (
        (row.document_id, {"reason": LINK_NOT_SET, "remedy": " ".join(row.notes)})
        for row in unlinked
    )
    return _land(connections, names, ("loaded", names.asset, "links"), day, rows)


def land_differences(
    connections: Connections, names: Conformed, day: str | None, found: Sequence[Difference]
) -> Path | None:
    """Keep where a day's compared columns differ; the file, or None when they do not."""
    landing, path = connections.landing, ("loaded", names.asset, "differences")
    if not found and not landing.path(path, day).exists():
        return None
    told = [asdict(one) for one in found]
    columns = [one.name for one in fields(Difference)]
    table = pa.table({name: pa.array([row[name] for row in told], pa.string()) for name in columns})
    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    landing.write_frame(path, day, frame, tags={"run_id": connections.run_id})
    return landing.path(path, day) if found else None


def _land(
    connections: Connections,
    names: Conformed,
    path: tuple[str, ...],
    day: str | None,
    problems: Iterator[tuple[str, dict[str, Any]]],
) -> Listed | None:
    found = list(problems)
    landing = connections.landing
    if not found and not landing.path(path, day).exists():
        return None
    documents: dict[str, dict[str, Any]] = {}
    if found:
        rows = records_of(landing.read(names.path("documents"), day), ("document_id", *_TOLD))
        documents = {row.pop("document_id"): row for row in rows}
    told = [
        documents.get(document_id, {})
        | {"record_type": names.record_type, "document_id": document_id}
        | problem
        for document_id, problem in found
    ]
    frame = problem_frame(told)
    landing.write_frame(path, day, frame, tags={"run_id": connections.run_id})
    return Listed(frame, landing.path(path, day)) if found else None
