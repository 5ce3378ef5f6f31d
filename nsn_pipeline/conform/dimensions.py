"""GL accounts and departments: matched with the rows ServiceNow has, never made there.

A NetSuite row that ServiceNow lacks is a rejection ("not in ServiceNow; add it there"), unless
nobody can need it: inactive rows, summary, non-posting and statistical accounts, and rows that an
override sends elsewhere. Those are accepted with nothing to write, and counted as `skipped`, so
that rows read are still accepted + rejected.
"""

import numpy as np
import pandas as pd
import pyarrow as pa

from nsn_pipeline.conform import remedies
from nsn_pipeline.conform.assemble import assemble, frame_of, register
from nsn_pipeline.conform.collapse import collapse
from nsn_pipeline.conform.crosswalk import Crosswalk, Resolution
from nsn_pipeline.conform.document_rows import NOT_COST, urls
from nsn_pipeline.conform.findings import Findings, Told
from nsn_pipeline.conform.lookups import Lookups
from nsn_pipeline.conform.mapper import Mapper, all_columns, cut_counts, received
from nsn_pipeline.conform.outcome import Context, Documents, Outcome
from nsn_pipeline.conform.reasons import Reason
from nsn_pipeline.conform.rows import Rows, flags
from nsn_pipeline.conform.values import present, true_where
from nsn_pipeline.frames import records_of
from nsn_pipeline.profiles.model import Profile, Target
from nsn_pipeline.records.arrow import pc
from nsn_pipeline.records.spec import MONEY_TYPE

_NO_TEXT = pa.scalar(None, pa.string())


def conform_dimension(
    documents: Documents, target: Target, context: Context, profile: Profile
) -> Outcome:
    """Accounts or departments; see `conform.conform`."""
    lookups, findings = Lookups.of(context), Findings()
    is_account = target.record_type == "gl_account"
    crosswalk = context.gl_crosswalk if is_account else context.cc_crosswalk
    every = Rows.of(documents.headers, received(target, profile))
    found = collapse(every, ["internal_id"])
    rows = every.take(found.kept)
    rows.doc = np.arange(rows.count, dtype=np.int64)
    _derive(rows, target, context, "number" if is_account else profile.cost_center_code)
    ids = rows["internal_id"]
    twice = pa.array(np.isin(found.kept, found.conflicts))
    findings.add(rows, twice, Reason.DUPLICATE_ID, "internal_id", lambda row: _twice(ids, row))
    absent, needless = _absent(rows, crosswalk, create=target.create)
    findings.add(
        rows,
        pa.array(absent & ~needless),
        crosswalk.reason("MISSING"),
        "code",
        lambda row: _missing(crosswalk, profile, ids[row].as_py()),
    )
    skipped = absent & needless
    written = rows.take(np.flatnonzero(~absent).astype(np.int64))
    mapper = Mapper(
        target, profile, written, all_columns(target, profile), context, lookups, findings
    )
    mapper.check_readable()
    keys, columns = mapper.keys(), mapper.columns()
    _check_ambiguous(written, crosswalk, profile, findings)
    accepted = ~findings.rejected(rows.count)
    meta = {
        "_key": keys,
        "_document_id": written["internal_id"],
        "_amount": pa.nulls(written.count, MONEY_TYPE),
        "_currency": pa.nulls(written.count, pa.string()),
        "_day": pa.nulls(written.count, pa.string()),
        "_brought_by": pa.nulls(written.count, pa.string()),
    }
    told = register(
        target.record_type,
        pa.nulls(rows.count, pa.string()),
        {},
        document_id=ids,
        tranid=rows["code"],
        url=rows["netsuite_url"],
    )
    kept = accepted[written.doc]
    return assemble(
        told,
        findings,
        frame_of({**columns, **meta}, kept),
        None,
        skipped=skipped,
        cut=cut_counts(mapper, kept),
    )


def _derive(rows: Rows, target: Target, context: Context, code_column: str) -> None:
    columns = rows.columns
    code = columns[code_column]
    columns["code"] = pc.if_else(present(code), code, _NO_TEXT)
    columns["is_active"] = pc.invert(true_where(columns["is_inactive"]))
    columns["netsuite_url"] = urls(target.record_type, context.netsuite_ui, columns["internal_id"])
    if target.record_type == "gl_account":
        columns["account_name"] = pc.coalesce(columns["full_name"], columns["display_name"])


def _absent(rows: Rows, crosswalk: Crosswalk, *, create: bool) -> tuple[np.ndarray, np.ndarray]:
    """Rows without a counterpart in ServiceNow, and those of them nobody needs there."""
    known = pc.is_in(rows["code"], value_set=pa.array(list(crosswalk.rows), pa.string()))
    has_code = flags(present(rows["code"]))
    absent = ~flags(known) if not create else ~has_code
    needless = flags(rows["is_inactive"])
    if "is_summary" in rows.columns:
        needless |= flags(rows["is_summary"])
        needless |= flags(pc.is_in(rows["type"], value_set=pa.array(sorted(NOT_COST))))
    for row in np.flatnonzero(absent & ~needless).tolist():
        needless[row] = _is_overridden(crosswalk, rows["internal_id"][row].as_py())
    return absent, needless


def needless_ids(dimension: pd.DataFrame) -> set[str]:
    """Rows nobody can need in ServiceNow: inactive, summary, non-posting and statistical ones."""
    columns = [name for name in ("is_inactive", "is_summary") if name in dimension.columns]
    types = "type" if "type" in dimension.columns else None
    rows = records_of(dimension, ["internal_id", *columns, *([types] if types else [])])
    return {
        row["internal_id"]
        for row in rows
        if any(row[name] for name in columns) or (types and row[types] in NOT_COST)
    }


def _is_overridden(crosswalk: Crosswalk, internal_id: str | None) -> bool:
    """Whether a mapping file sends the row to a code that ServiceNow has."""
    code = crosswalk.codes.get(internal_id or "")
    return any(
        override.servicenow_code in crosswalk.rows
        and (
            (override.netsuite_id is not None and override.netsuite_id == internal_id)
            or (override.netsuite_code is not None and override.netsuite_code == code)
        )
        for override in crosswalk.overrides
    )


def _check_ambiguous(
    rows: Rows, crosswalk: Crosswalk, profile: Profile, findings: Findings
) -> None:
    several = {code for code, found in crosswalk.rows.items() if len(found) > 1}
    mask = pc.is_in(rows["code"], value_set=pa.array(sorted(several), pa.string()))
    table = profile.references[crosswalk.kind]

    def tell(row: int) -> Told:
        code = rows["code"][row].as_py()
        return Told(
            code,
            f"{table.table} in ServiceNow has more than one row with {table.code} {code}: remove "
            "or renumber all but one.",
            f"{crosswalk.kind}:{code}",
        )

    findings.add(rows, mask, crosswalk.reason("AMBIGUOUS"), "code", tell)


def _missing(crosswalk: Crosswalk, profile: Profile, internal_id: str | None) -> Told:
    key = internal_id or ""
    code = crosswalk.codes.get(key)
    one = Resolution(code, None, None, crosswalk.reason("MISSING"), "unmapped")
    table = profile.references[crosswalk.kind]
    remedy = remedies.unresolved(crosswalk, table, key, one, office="", day="")
    return Told(code or internal_id, remedy, crosswalk.reference(key) if key else None)


def _twice(ids: pa.Array, row: int) -> Told:
    return Told(
        ids[row].as_py(), "NetSuite sent this row twice with different content: read again."
    )
