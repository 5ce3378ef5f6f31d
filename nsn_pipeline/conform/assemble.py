"""From judged rows to an `Outcome`: who is accepted, and what is told about the others."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from nsn_pipeline.conform.findings import Findings
from nsn_pipeline.conform.lookups import look_up_text
from nsn_pipeline.conform.outcome import (
    ACCEPTED,
    DOCUMENT_COLUMNS,
    PROBLEM_COLUMNS,
    REJECTED,
    SKIPPED,
    Outcome,
)
from nsn_pipeline.records.arrow import pc
from nsn_pipeline.records.spec import MONEY_TYPE

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Register:
    """What is told about every document read, by document position."""

    record_type: str
    columns: Mapping[str, pa.Array]  # DOCUMENT_COLUMNS but for the status

    @property
    def count(self) -> int:
        return len(self.columns["document_id"])


def register(
    record_type: str, vendor_ids: pa.Array, names: Mapping[str, str], **columns: pa.Array
) -> Register:
    """`vendor_ids` are shown by name; a column that is not given is empty."""
    count = len(columns["document_id"])
    vendor = look_up_text(vendor_ids, names)
    known: dict[str, pa.Array] = {"vendor": pc.coalesce(vendor, vendor_ids), **columns}
    for name in DOCUMENT_COLUMNS:
        if name not in known and name != "status":
            known[name] = pa.nulls(count, MONEY_TYPE if name == "amount" else pa.string())
    return Register(record_type, known)


def assemble(
    documents: Register,
    findings: Findings,
    headers: pd.DataFrame,
    lines: pd.DataFrame | None,
    *,
    skipped: Mask | None = None,
    cut: Mapping[str, int],
    usage: pd.DataFrame | None = None,
) -> Outcome:
    """`headers` and `lines` hold accepted rows only."""
    rejected = findings.rejected(documents.count)
    status = np.where(rejected, REJECTED, ACCEPTED).astype(object)
    if skipped is not None:
        status[~rejected & skipped] = SKIPPED
    columns = {**documents.columns, "status": pa.array(status, pa.string())}
    return Outcome(
        record_type=documents.record_type,
        headers=headers,
        lines=lines,
        problems=_problems(documents, findings),
        documents=frame_of({name: columns[name] for name in DOCUMENT_COLUMNS}),
        cut=dict(cut),
        usage=usage,
    )


def frame_of(columns: Mapping[str, pa.Array], kept: Mask | None = None) -> pd.DataFrame:
    """Arrow-backed frame, so that its types are the same for every partition, empty ones too."""
    table = pa.table(dict(columns))
    if kept is not None:
        table = table.filter(pa.array(kept))
    return table.to_pandas(types_mapper=pd.ArrowDtype)


def _problems(documents: Register, findings: Findings) -> pd.DataFrame:
    docs: list[int] = []
    told: dict[str, list[str | None]] = {
        name: [] for name in ("reason", "line_id", "column", "value", "remedy", "reference")
    }
    for doc, problem in findings:
        docs.append(doc)
        told["reason"].append(problem.reason.value)
        told["line_id"].append(problem.line_id)
        told["column"].append(problem.column)
        told["value"].append(problem.value)
        told["remedy"].append(problem.remedy)
        told["reference"].append(problem.reference)
    at = pa.array(docs, pa.int64())
    columns: dict[str, pa.Array] = {
        name: pa.array(values, pa.string()) for name, values in told.items()
    }
    columns["record_type"] = pa.array([documents.record_type] * len(docs), pa.string())
    for name in set(PROBLEM_COLUMNS) - set(columns):
        columns[name] = documents.columns[name].take(at)
    return frame_of({name: columns[name] for name in PROBLEM_COLUMNS})
