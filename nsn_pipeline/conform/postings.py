"""GL postings: judged per transaction, as half a transaction in a ledger is worse than none.

Rows on non-posting and statistical accounts are not cost: they are neither written nor judged. A
transaction of such rows alone is accepted with nothing to write.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nsn_pipeline.conform import amounts
from nsn_pipeline.conform.assemble import Register, assemble, frame_of, register
from nsn_pipeline.conform.collapse import collapse
from nsn_pipeline.conform.document_rows import not_cost_accounts, urls
from nsn_pipeline.conform.findings import Findings, Told
from nsn_pipeline.conform.lookups import Lookups, look_up_text
from nsn_pipeline.conform.mapper import Mapper, all_columns, cut_counts, received
from nsn_pipeline.conform.outcome import Context, Documents, Outcome
from nsn_pipeline.conform.reasons import Reason
from nsn_pipeline.conform.rows import Rows, flags
from nsn_pipeline.conform.usage import usage_of
from nsn_pipeline.conform.values import decimal_text, present, true_where
from nsn_pipeline.profiles.model import Profile, Target
from nsn_pipeline.records.arrow import pc
from nsn_pipeline.records.spec import MONEY_TYPE

# Transactions whose entity is a vendor by nature; a journal's may be anyone.
VENDOR_TRANSACTIONS = frozenset({"VendBill", "VendCred", "VendPymt"})

_ZERO = pa.scalar(0, MONEY_TYPE)


@dataclass(slots=True)
class Ledger:
    """`every` row read, with its transaction's position; `rows` those that are cost."""

    every: Rows
    rows: Rows
    ids: pa.Array
    findings: Findings

    @property
    def count(self) -> int:
        return len(self.ids)

    def first(self, name: str) -> pa.Array:
        """The value on the first row of each transaction."""
        return self.every[name].take(amounts.first_rows(self.every.doc, self.count))


def conform_postings(
    documents: Documents, target: Target, context: Context, profile: Profile
) -> Outcome:
    """Postings; see `conform.conform`."""
    lookups = Lookups.of(context)
    ledger = _ledger(Rows.of(documents.headers, received(target, profile)), context)
    rows, findings = ledger.rows, ledger.findings
    _derive(ledger, target, context, lookups)
    mapper = Mapper(
        target,
        profile,
        rows,
        all_columns(target, profile),
        context,
        lookups,
        findings,
        waived={"amount": rows["amount"].is_null()},  # told by _check_amounts
        lenient_vendors=pc.invert(
            true_where(pc.is_in(rows["type"], value_set=pa.array(sorted(VENDOR_TRANSACTIONS))))
        ),
    )
    mapper.check_readable("debit", "credit", "amount")
    _check_amounts(ledger)
    _check_currency(ledger)
    keys, columns = mapper.keys(), mapper.columns()
    _check_balance(ledger)
    rejected = findings.rejected(ledger.count)
    kept = ~rejected[rows.doc]
    meta = {
        "_key": keys,
        "_document_id": rows["document_id"],
        "_amount": rows["amount"],
        "_currency": rows["currency_code"],
        "_day": rows["change_day"],
        "_brought_by": rows["brought_by"],
    }
    return assemble(
        _register(target.record_type, ledger, context, lookups),
        findings,
        frame_of({**columns, **meta}, kept),
        None,
        skipped=amounts.counts(rows.doc, ledger.count) == 0,
        cut=cut_counts(mapper, kept),
        usage=usage_of(rows, rows["document_id"], pc.abs(rows["amount"])),  # turnover
    )


def _ledger(received_rows: Rows, context: Context) -> Ledger:
    found = collapse(received_rows, ["document_id", "line_id", "book_id"])
    every = received_rows.take(found.kept)
    every.line = every["line_id"]
    numbered, findings = _transactions(every["document_id"]), Findings()
    every.doc = numbered.doc
    conflicts = pa.array(np.isin(found.kept, found.conflicts))
    told = "NetSuite sent this posting twice with different content: read the day again."
    findings.add(
        every,
        conflicts,
        Reason.DUPLICATE_ID,
        "line_id",
        lambda row: Told(every["line_id"][row].as_py(), told),
    )
    not_cost = flags(pc.is_in(every["account_id"], value_set=not_cost_accounts(context)))
    rows = every.take(np.flatnonzero(~not_cost).astype(np.int64))
    return Ledger(every, rows, numbered.ids, findings)


@dataclass(frozen=True, slots=True)
class _Numbered:
    doc: npt.NDArray[np.int64]
    ids: pa.Array


def _transactions(ids: pa.Array) -> _Numbered:
    """Transactions numbered in the order they come; rows without an id are one transaction."""
    encoded = ids.dictionary_encode(null_encoding="encode")
    doc = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return _Numbered(doc, encoded.dictionary)


def _derive(ledger: Ledger, target: Target, context: Context, lookups: Lookups) -> None:
    for rows in (ledger.every, ledger.rows):
        columns = rows.columns
        own = look_up_text(columns["subsidiary_id"], lookups.subsidiary_currencies)
        if context.base_currency:
            own = pc.if_else(
                pc.invert(present(columns["subsidiary_id"])), context.base_currency, own
            )
        columns["currency_code"] = own
        names = look_up_text(columns["subsidiary_id"], lookups.subsidiary_names)
        columns["subsidiary_name"] = pc.coalesce(names, columns["subsidiary_id"])
        columns["document_number"] = pc.coalesce(columns["tranid"], columns["transaction_number"])
        columns["netsuite_url"] = urls(
            target.record_type, context.netsuite_ui, columns["document_id"]
        )
        columns["_day"] = columns["transaction_date"]
        columns["_subsidiary_id"] = columns["subsidiary_id"]
        columns["_received_amount"] = columns["amount"]
        columns["amount"] = _signed(rows)


def _signed(rows: Rows) -> pa.Array:
    """Debit less credit; null when neither is there."""
    debit, credit = rows["debit"], rows["credit"]
    difference = pc.subtract(pc.fill_null(debit, _ZERO), pc.fill_null(credit, _ZERO))
    some = pc.or_(debit.is_valid(), credit.is_valid())
    return amounts.narrow(
        pc.if_else(some, difference, pa.scalar(None, difference.type)).cast(amounts.SUM_TYPE)
    )


def _check_amounts(ledger: Ledger) -> None:
    rows, findings = ledger.rows, ledger.findings
    bad = pc.or_(rows.unreadable("debit"), rows.unreadable("credit"))
    gone = pc.and_(rows["amount"].is_null(), pc.invert(bad))
    told = Told(None, "The posting has neither debit nor credit: open and save the document.")
    findings.add(rows, gone, Reason.MISSING_VALUE, "amount", lambda _row: told)
    differ = pc.not_equal(pc.abs(rows["_received_amount"]), pc.abs(rows["amount"]))
    differ = pc.and_(true_where(differ), pc.invert(bad))

    def tell(row: int) -> Told:
        said = decimal_text(rows["_received_amount"].slice(row, 1), 8, trim=True)[0].as_py()
        own = decimal_text(rows["amount"].slice(row, 1), 8, trim=True)[0].as_py()
        return Told(
            said,
            f"The posting's amount is {said} but debit less credit is {own}: open and save the "
            "document in NetSuite.",
        )

    findings.add(rows, differ, Reason.TOTAL_MISMATCH, "amount", tell)


def _check_currency(ledger: Ledger) -> None:
    rows = ledger.rows
    unknown = rows["currency_code"].is_null()

    def tell(row: int) -> Told:
        office = rows["subsidiary_name"][row].as_py() or ""
        where = f"Subsidiary {office}" if office else "The posting's subsidiary"
        return Told(
            office or None,
            f"{where} has no base currency that NetSuite shows: let the integration role see "
            "subsidiaries and currencies, or set the base currency.",
        )

    ledger.findings.add(rows, unknown, Reason.UNKNOWN_CURRENCY, "subsidiary_id", tell)


def _check_balance(ledger: Ledger) -> None:
    """Debits equal credits in every transaction and book; otherwise some row was not shown."""
    rows, findings = ledger.rows, ledger.findings
    pairs = pa.table({"doc": pa.array(rows.doc), "book": rows["book_id"]})
    number = pairs.to_pandas().groupby(["doc", "book"], dropna=False, sort=False).ngroup()
    group = number.to_numpy(np.int64)
    count = int(group.max()) + 1 if len(group) else 0
    totals = amounts.sums(rows["amount"], group, count)
    incomplete = np.zeros(count, bool)
    incomplete[group[flags(rows["amount"].is_null())]] = True
    off = flags(pc.not_equal(totals, pa.scalar(0, amounts.SUM_TYPE))) & ~incomplete
    # Told once per book, on its first row and of the whole transaction.
    first = amounts.first_rows(group, count).to_numpy(zero_copy_only=False)
    at = first[off].astype(np.int64)
    told = rows.take(at)
    told.line = None

    def tell(row: int) -> Told:
        difference = decimal_text(
            amounts.narrow(totals.take(pa.array(group[at[row : row + 1]]))), 8, trim=True
        )[0].as_py()
        return Told(
            difference,
            f"Debits and credits differ by {difference}: let the integration role see every line "
            "of the document, then read the day again.",
        )

    every = pa.array(np.ones(len(at), bool))
    findings.add(told, every, Reason.UNBALANCED_POSTING, "amount", tell)


def _register(record_type: str, ledger: Ledger, context: Context, lookups: Lookups) -> Register:
    rows = ledger.rows  # statistical units are no money
    debits = amounts.sums(pc.fill_null(rows["debit"], _ZERO), rows.doc, ledger.count)
    return register(
        record_type,
        ledger.first("vendor_id"),
        lookups.vendor_names,
        document_id=ledger.ids,
        day=ledger.first("change_day"),
        brought_by=ledger.first("brought_by"),
        tranid=ledger.first("document_number"),
        subsidiary=ledger.first("subsidiary_name"),
        amount=amounts.narrow(debits),
        currency=ledger.first("currency_code"),
        url=urls(record_type, context.netsuite_ui, ledger.ids),
    )
