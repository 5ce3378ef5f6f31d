"""What ServiceNow would not have, kept per day beside what the gate refused.

Job state knows that a document failed and for which reasons; ServiceNow's own words and the remedy
are here, in the columns of the gate's `problems`.
"""

from collections.abc import Iterable
from typing import Any

import pandas as pd
import pyarrow as pa

from nsn_pipeline.conform.outcome import PROBLEM_COLUMNS
from nsn_pipeline.connections import Connections
from nsn_pipeline.frames import records_of
from nsn_pipeline.load.documents import DocumentRow
from nsn_pipeline.orchestration.assets.conformed import Conformed
from nsn_pipeline.records.spec import MONEY_TYPE

_TOLD = ("day", "tranid", "vendor", "subsidiary", "amount", "currency", "url")


def load_problems_path(names: Conformed) -> tuple[str, ...]:
    """Where the problems of a record type's loads land."""
    return ("loaded", names.asset, "problems")


def land_load_problems(
    connections: Connections, names: Conformed, day: str | None, failed: Iterable[DocumentRow]
) -> None:
    """Keep a day's failures; a day that loads whole leaves no file, unless it had one before."""
    failed = list(failed)
    landing, path = connections.landing, load_problems_path(names)
    if not failed and not landing.path(path, day).exists():
        return
    documents: dict[str, dict[str, Any]] = {}
    if failed:
        rows = records_of(landing.read(names.path("documents"), day), ("document_id", *_TOLD))
        documents = {row.pop("document_id"): row for row in rows}
    unknown: dict[str, Any] = dict.fromkeys(_TOLD)
    told: list[dict[str, Any]] = [
        documents.get(row.document_id, unknown)
        | {
            "record_type": names.record_type,
            "document_id": row.document_id,
            "reason": str(problem.reason),
            "line_id": problem.line_id,
            "column": problem.column,
            "value": problem.value,
            "remedy": problem.remedy,
            "reference": problem.reference,
        }
        for row in failed
        for problem in row.problems
    ]
    frame = _frame(told)
    landing.write_frame(path, day, frame, tags={"run_id": connections.run_id})


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    columns = {
        name: pa.array([row[name] for row in rows], MONEY_TYPE if name == "amount" else pa.string())
        for name in PROBLEM_COLUMNS
    }
    return pa.table(columns).to_pandas(types_mapper=pd.ArrowDtype)
