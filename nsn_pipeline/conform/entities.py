"""Vendors: one row each, nothing to add up."""

import numpy as np
import pyarrow as pa

from nsn_pipeline.conform.assemble import assemble, frame_of, register
from nsn_pipeline.conform.collapse import collapse
from nsn_pipeline.conform.converters import unknown_currency
from nsn_pipeline.conform.document_rows import currency_codes, urls
from nsn_pipeline.conform.findings import Findings, Told
from nsn_pipeline.conform.lookups import Lookups
from nsn_pipeline.conform.mapper import Mapper, all_columns, cut_counts, received
from nsn_pipeline.conform.outcome import Context, Documents, Outcome
from nsn_pipeline.conform.reasons import Reason
from nsn_pipeline.conform.rows import Rows
from nsn_pipeline.conform.values import present, true_where
from nsn_pipeline.profiles.model import Profile, Target
from nsn_pipeline.records.arrow import pc
from nsn_pipeline.records.spec import MONEY_TYPE

_NO_TEXT = pa.scalar(None, pa.string())


def conform_entities(
    documents: Documents, target: Target, context: Context, profile: Profile
) -> Outcome:
    """Vendors as suppliers; see `conform.conform`."""
    lookups, findings = Lookups.of(context), Findings()
    every = Rows.of(documents.headers, received(target, profile))
    found = collapse(every, ["internal_id"])
    rows = every.take(found.kept)
    rows.doc = np.arange(rows.count, dtype=np.int64)
    _derive(rows, target, context, lookups)
    ids = rows["internal_id"]
    twice = pa.array(np.isin(found.kept, found.conflicts))
    findings.add(rows, twice, Reason.DUPLICATE_ID, "internal_id", lambda row: _twice(ids, row))
    if "currency_code" in target.sources:
        unknown = pc.and_(present(rows["currency_id"]), rows["currency_code"].is_null())
        tell = unknown_currency(rows["currency_id"])
        findings.add(rows, unknown, Reason.UNKNOWN_CURRENCY, "currency_id", tell)
    mapper = Mapper(target, profile, rows, all_columns(target, profile), context, lookups, findings)
    mapper.check_readable("is_person")
    keys, columns = mapper.keys(), mapper.columns()
    accepted = ~findings.rejected(rows.count)
    meta = {
        "_key": keys,
        "_document_id": ids,
        "_amount": pa.nulls(rows.count, MONEY_TYPE),
        "_currency": rows["currency_code"],
        "_day": rows["change_day"],
        "_brought_by": rows["brought_by"],
    }
    told = register(
        target.record_type,
        pc.coalesce(rows["name"], ids),
        {},
        document_id=ids,
        day=rows["change_day"],
        brought_by=rows["brought_by"],
        tranid=rows["entity_id"],
        currency=rows["currency_code"],
        url=rows["netsuite_url"],
    )
    frame = frame_of({**columns, **meta}, accepted)
    return assemble(told, findings, frame, None, cut=cut_counts(mapper, accepted))


def _derive(rows: Rows, target: Target, context: Context, lookups: Lookups) -> None:
    columns = rows.columns
    columns["name"] = supplier_names(rows)
    # Only a vendor marked inactive is inactive; an account that hides the mark has none.
    columns["is_active"] = pc.invert(true_where(columns["is_inactive"]))
    columns["currency_code"] = currency_codes(
        columns["currency_id"], lookups, context.base_currency
    )
    columns["netsuite_url"] = urls(target.record_type, context.netsuite_ui, columns["internal_id"])


def supplier_names(rows: Rows) -> pa.Array:
    """Company name, or "first last" of a person; then the alternative name, then the code.

    Persons have no company name (docs/facts/netsuite.md 9.13).
    """
    company, alternative, code = (
        _shown(rows[name]) for name in ("company_name", "alt_name", "entity_id")
    )
    first, last = _shown(rows["first_name"]), _shown(rows["last_name"])
    # Not null_handling="skip": pyarrow 26 leaves out rows in which everything is null.
    both = pc.binary_join_element_wise(pc.fill_null(first, ""), pc.fill_null(last, ""), " ")
    person = _shown(pc.utf8_trim(both, " "))
    is_person = true_where(rows["is_person"])
    return pc.coalesce(
        pc.if_else(is_person, person, company),
        pc.if_else(is_person, company, person),
        alternative,
        code,
    )


def _shown(text: pa.Array) -> pa.Array:
    """Null where there is nothing but blanks."""
    return pc.if_else(present(pc.utf8_trim_whitespace(text)), text, _NO_TEXT)


def _twice(ids: pa.Array, row: int) -> Told:
    return Told(
        ids[row].as_py(),
        "NetSuite sent this vendor twice with different content: read the day again.",
    )
