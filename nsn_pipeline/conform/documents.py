"""Purchase orders and vendor bills: a header with its whole line set, judged as one unit."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from nsn_pipeline.conform import amounts
from nsn_pipeline.conform.assemble import Register, assemble, frame_of, register
from nsn_pipeline.conform.collapse import collapse
from nsn_pipeline.conform.converters import unknown_currency
from nsn_pipeline.conform.document_rows import document_columns, line_columns, urls
from nsn_pipeline.conform.findings import Findings, Told
from nsn_pipeline.conform.lookups import Lookups
from nsn_pipeline.conform.mapper import Mapper, all_columns, cut_counts, received
from nsn_pipeline.conform.outcome import Context, Documents, Outcome
from nsn_pipeline.conform.reasons import Problem, Reason
from nsn_pipeline.conform.rows import Rows, flags, joined
from nsn_pipeline.conform.usage import usage_of
from nsn_pipeline.conform.values import true_where
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.profiles.model import Profile, Target
from nsn_pipeline.records.arrow import pc


@dataclass(slots=True)
class Batch:
    """All documents of a call: `headers` one row each, `lines` without main lines.

    Documents from position `headers.count` on are orphans: lines came, their header did not.
    """

    headers: Rows
    lines: Rows
    orphans: pa.Array  # their ids
    findings: Findings

    @property
    def count(self) -> int:
        return self.headers.count + len(self.orphans)


def conform_documents(
    documents: Documents, target: Target, context: Context, profile: Profile
) -> Outcome:
    """Headers with lines; see `conform.conform`."""
    if target.lines is None:
        raise ConfigurationError(f"target {target.record_type} of the profile has no lines")
    lookups = Lookups.of(context)
    batch = _batch(documents, target, target.lines, profile=profile, context=context)
    headers, lines, findings = batch.headers, batch.lines, batch.findings
    shared = {"profile": profile, "context": context, "lookups": lookups, "findings": findings}
    of_headers = Mapper(target=target, rows=headers, kinds=all_columns(target, profile), **shared)
    of_headers.check_readable("total")
    _check_headers(batch)
    keys, columns = of_headers.keys(), of_headers.columns()
    of_lines = Mapper(
        target=target.lines,
        rows=lines,
        kinds=all_columns(target.lines, profile),
        parent_type=target.record_type,
        parent_keys=keys.take(pa.array(lines.doc)),
        waived=_waived(lines),
        **shared,
    )
    of_lines.check_readable("amount", "is_main", "is_tax")
    _check_lines(batch)
    line_keys, line_values = of_lines.keys(), of_lines.columns()
    _check_totals(batch, target.record_type)
    accepted = ~findings.rejected(batch.count)[: headers.count]
    of_accepted = accepted[lines.doc]
    header_meta = _meta(headers, keys, headers["internal_id"], headers["total"])
    line_meta = _meta(lines, line_keys, lines["document_id"], lines["amount"])
    line_meta["_parent_key"] = keys.take(pa.array(lines.doc))
    return assemble(
        _register(target.record_type, batch, context, lookups),
        findings,
        frame_of({**columns, **header_meta}, accepted),
        frame_of({**line_values, **line_meta}, of_accepted),
        cut=cut_counts(of_headers, accepted) | cut_counts(of_lines, of_accepted),
        usage=usage_of(lines, headers.spread("internal_id", lines.doc), lines["amount"]),
    )


def _batch(
    documents: Documents, target: Target, line_target: Target, *, profile: Profile, context: Context
) -> Batch:
    findings = Findings()
    every = Rows.of(documents.headers, received(target, profile))
    found = collapse(every, ["internal_id"])
    headers = every.take(found.kept)
    headers.doc = np.arange(headers.count, dtype=np.int64)
    conflicts = pa.array(np.isin(found.kept, found.conflicts))
    findings.add(headers, conflicts, Reason.DUPLICATE_ID, "internal_id", _twice(headers))
    wanted = received(line_target, profile)
    frame = pd.DataFrame() if documents.lines is None else documents.lines
    lines, orphans = _lines(Rows.of(frame, wanted), headers, findings)
    document_columns(target.record_type, headers, lines, context, Lookups.of(context))
    main = flags(lines["is_main"])
    cost = lines.take(np.flatnonzero(~main).astype(np.int64))
    line_columns(cost, headers, context)
    return Batch(headers, cost, orphans, findings)


def _lines(rows: Rows, headers: Rows, findings: Findings) -> tuple[Rows, pa.Array]:
    """Lines with the position of their document, and the ids of documents without header."""
    found = collapse(rows, ["document_id", "line_id"])
    lines = rows.take(found.kept)
    lines.line = lines["line_id"]
    at = pc.index_in(lines["document_id"], value_set=headers["internal_id"], skip_nulls=True)
    stray = flags(at.is_null())
    lines.doc = pc.fill_null(at, 0).to_numpy(zero_copy_only=False).astype(np.int64)
    strays = lines.take(np.flatnonzero(stray).astype(np.int64))
    orphans = pc.unique(strays["document_id"])
    for number, document_id in enumerate(orphans.to_pylist()):
        findings.put(headers.count + number, _no_header(document_id))
    conflicts = np.isin(found.kept, found.conflicts) & ~stray
    lines_told = _line_twice(lines)
    findings.add(lines, pa.array(conflicts), Reason.DUPLICATE_ID, "line_id", lines_told)
    return lines.take(np.flatnonzero(~stray).astype(np.int64)), orphans


def _waived(lines: Rows) -> dict[str, pa.Array]:
    """Lines that may lack what the profile requires of the others."""
    described = lines["_is_description"]
    return {
        "account_id": described,
        "department_id": pc.or_(true_where(lines["is_tax"]), described),
        "unit_price": lines["amount"].is_null(),  # told once, of the amount
    }


def _check_headers(batch: Batch) -> None:
    headers, findings = batch.headers, batch.findings
    unknown = headers["currency_code"].is_null()
    tell = unknown_currency(headers["currency_id"])
    findings.add(headers, unknown, Reason.UNKNOWN_CURRENCY, "currency_id", tell)
    gone = pc.and_(headers["total"].is_null(), pc.invert(headers.unreadable("total")))
    told = Told(None, "NetSuite shows no total: open and save the document there.")
    findings.add(headers, gone, Reason.MISSING_VALUE, "total", lambda _row: told)


def _check_lines(batch: Batch) -> None:
    headers, lines, findings = batch.headers, batch.lines, batch.findings
    gone = pc.and_(lines["amount"].is_null(), pc.invert(lines.unreadable("amount")))
    told = Told(None, "The line has an account but no amount: enter one in NetSuite.")
    findings.add(lines, gone, Reason.MISSING_VALUE, "amount", lambda _row: told)
    empty = pa.array(amounts.counts(lines.doc, headers.count) == 0)
    told_empty = Told(
        None,
        "The document has no lines besides its total: enter its lines in NetSuite, or let the "
        "integration role see them.",
    )
    findings.add(headers, empty, Reason.NO_LINES, "lines", lambda _row: told_empty)


def _check_totals(batch: Batch, record_type: str) -> None:
    """Lines must add up to the header, exactly; orders are compared by magnitude."""
    headers, lines = batch.headers, batch.lines
    total = headers["_received_total"].cast(amounts.SUM_TYPE)
    summed = headers["_line_sum"]
    differ = pc.not_equal(total, summed)
    if record_type == "purchase_order":  # the sign of an order's total is not documented
        differ = pc.not_equal(pc.abs(total), pc.abs(summed))
    unknown = np.zeros(headers.count, bool)
    unknown[lines.doc[flags(lines["amount"].is_null())]] = True
    unknown |= amounts.counts(lines.doc, headers.count) == 0
    mask = pc.and_(true_where(differ), pa.array(~unknown))

    def tell(row: int) -> Told:
        code = headers["currency_code"][row].as_py() or ""
        said, added = _plain(total[row]), _plain(summed[row])
        return Told(
            said,
            f"The lines add up to {added} {code} and the document says {said} {code}: open and "
            "save it in NetSuite, or let the integration role see every line.",
        )

    batch.findings.add(headers, mask, Reason.TOTAL_MISMATCH, "total", tell)


def _meta(
    rows: Rows, keys: pa.Array, document_ids: pa.Array, amount: pa.Array
) -> dict[str, pa.Array]:
    """Columns beside those of the target, for planning, state and audit."""
    return {
        "_key": keys,
        "_document_id": document_ids,
        "_amount": amount,
        "_currency": rows["currency_code"],
        "_day": rows["change_day"],
        "_brought_by": rows["brought_by"],
    }


def _register(record_type: str, batch: Batch, context: Context, lookups: Lookups) -> Register:
    headers, extra = batch.headers, len(batch.orphans)
    days = pc.unique(headers["change_day"]).drop_null()
    # Lines carry no partition of their own; a call for one day says which it is.
    day = days[0] if len(days) == 1 else pa.scalar(None, pa.string())

    def with_orphans(name: str) -> pa.Array:
        values = headers[name]
        return joined([values, pa.nulls(extra, values.type)])

    ids = joined([headers["internal_id"], batch.orphans])
    orphan_urls = urls(record_type, context.netsuite_ui, batch.orphans)
    return register(
        record_type,
        with_orphans("vendor_id"),
        lookups.vendor_names,
        document_id=ids,
        day=joined([headers["change_day"], pa.array([day.as_py()] * extra, pa.string())]),
        brought_by=with_orphans("brought_by"),
        tranid=with_orphans("tranid"),
        subsidiary=with_orphans("subsidiary_name"),
        amount=with_orphans("total"),
        currency=with_orphans("currency_code"),
        url=joined([headers["netsuite_url"], orphan_urls]),
    )


def _plain(value: pa.Scalar) -> str:
    text = f"{value.as_py():f}"
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"


def _no_header(document_id: str | None) -> Problem:
    return Problem(
        Reason.MISSING_HEADER,
        None,
        "document_id",
        document_id,
        "Lines came without their document: read the day again; if it stays so, let the "
        "integration role see the document in NetSuite.",
    )


def _twice(headers: Rows) -> Callable[[int], Told]:
    return lambda row: Told(
        headers["internal_id"][row].as_py(),
        "NetSuite sent this document twice with different content: read the day again.",
    )


def _line_twice(lines: Rows) -> Callable[[int], Told]:
    return lambda row: Told(
        lines["line_id"][row].as_py(),
        "NetSuite sent this line twice with different content: read the day again.",
    )
