"""Derived columns of documents and their lines: what a profile may name beside NetSuite's own."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from nsn_pipeline.conform import amounts
from nsn_pipeline.conform.lookups import Lookups, look_up_text
from nsn_pipeline.conform.outcome import Context
from nsn_pipeline.conform.rows import Rows, flags
from nsn_pipeline.conform.values import present, true_where
from nsn_pipeline.records.arrow import pc
from nsn_pipeline.records.registry import REGISTRY
from nsn_pipeline.records.spec import MONEY_TYPE, Kind

# Accounts that hold no cost: the pseudo-account of purchase orders, and statistical units.
NOT_COST = frozenset({"NonPosting", "Stat"})

_NO_TEXT = pa.scalar(None, pa.string())
_ZERO = pa.scalar(0, MONEY_TYPE)


def currency_codes(ids: pa.Array, lookups: Lookups, base_currency: str) -> pa.Array:
    """ISO codes; `base_currency` only where NetSuite names no currency at all."""
    codes = look_up_text(ids, lookups.currency_codes)
    if not base_currency:
        return codes
    return pc.if_else(pc.invert(present(ids)), base_currency, codes)


def urls(record_type: str, base: str, ids: pa.Array) -> pa.Array:
    """Links a person can follow; empty without the address of the account."""
    before, _, after = REGISTRY[record_type].netsuite_path.partition("{id}")
    if not base:
        return pa.nulls(len(ids), pa.string())
    return pc.binary_join_element_wise(base.rstrip("/") + before, ids, after, "")


def document_columns(
    record_type: str, headers: Rows, lines: Rows, context: Context, lookups: Lookups
) -> None:
    """Add the derived header columns; `lines` still hold their main lines."""
    count = headers.count
    main = flags(lines["is_main"])
    cost = lines.take(np.flatnonzero(~main).astype(np.int64))
    columns = headers.columns
    columns["currency_code"] = currency_codes(
        columns["currency_id"], lookups, context.base_currency
    )
    columns["netsuite_url"] = urls(record_type, context.netsuite_ui, columns["internal_id"])
    columns["state"] = _state(headers)
    columns["subsidiary_id"] = _subsidiaries(lines, main, count)
    names = look_up_text(columns["subsidiary_id"], lookups.subsidiary_names)
    columns["subsidiary_name"] = pc.coalesce(names, columns["subsidiary_id"])
    columns["_received_total"] = columns["total"]
    columns["_line_sum"] = amounts.sums(cost["amount"], cost.doc, count)
    tax = cost.take(np.flatnonzero(flags(cost["is_tax"])).astype(np.int64))
    columns["tax_amount"] = amounts.narrow(amounts.sums(tax["amount"], tax.doc, count))
    columns["_day"] = columns["transaction_date"]
    columns["_subsidiary_id"] = columns["subsidiary_id"]
    if record_type == "purchase_order":
        columns["total"] = _order_total(columns["total"], columns["_line_sum"])
    else:
        columns["po_id"] = _first_order(cost, count)


def line_columns(lines: Rows, headers: Rows, context: Context) -> None:
    """Add the derived line columns; `lines` are without main lines."""
    columns = lines.columns
    for name in ("currency_code", "change_day", "brought_by", "_day"):
        columns[name] = headers.spread(name, lines.doc)
    columns["_subsidiary_id"] = pc.coalesce(
        columns["subsidiary_id"], headers.spread("subsidiary_id", lines.doc)
    )
    columns["account_id"] = _account(columns, context)
    columns["_is_description"] = _is_description(lines)
    columns["amount"] = pc.if_else(columns["_is_description"], _ZERO, columns["amount"])
    memo = pc.if_else(present(columns["memo"]), columns["memo"], _NO_TEXT)
    columns["description"] = pc.coalesce(memo, columns["item_name"])
    columns["line_number"] = columns["sequence"]
    columns["quantity"], columns["unit_price"] = amounts.price(
        columns["quantity"], columns["rate"], columns["amount"]
    )
    if "po_line_id" in columns:
        columns["po_line_key"] = pc.binary_join_element_wise(
            columns["po_id"], columns["po_line_id"], "-"
        )


def not_cost_accounts(context: Context) -> pa.Array:
    """Internal ids of accounts no posting on which is a cost."""
    rows = Rows.of(context.accounts, {"internal_id": Kind.ID, "type": Kind.ID})
    mask = true_where(pc.is_in(rows["type"], value_set=pa.array(sorted(NOT_COST))))
    return rows["internal_id"].filter(mask)


def _state(headers: Rows) -> pa.Array:
    """The status letter, also where it comes as `PurchOrd:B` (docs/facts/netsuite.md 6.2)."""
    letters = pc.replace_substring_regex(headers["status"], r"^[A-Za-z]+:", "")
    return pc.if_else(true_where(headers["is_voided"]), "voided", letters)


def _subsidiaries(lines: Rows, main: np.ndarray, count: int) -> pa.Array:
    """The main line's subsidiary; where it is not shown, the first line's."""
    mains = lines.take(np.flatnonzero(main).astype(np.int64))
    of_main = mains["subsidiary_id"].take(amounts.first_rows(mains.doc, count))
    of_first = lines["subsidiary_id"].take(amounts.first_rows(lines.doc, count))
    return pc.coalesce(of_main, of_first)


def _order_total(total: pa.Array, summed: pa.Array) -> pa.Array:
    """An order's total with the sign of its lines: NetSuite's own sign is not documented."""
    same = pc.equal(pc.abs(total.cast(amounts.SUM_TYPE)), pc.abs(summed))
    return pc.if_else(true_where(same), amounts.narrow(summed), total)


def _first_order(lines: Rows, count: int) -> pa.Array:
    """The order of the first line that bills one, by line sequence."""
    linked = np.flatnonzero(flags(present(lines["po_id"])))
    sequence = pc.fill_null(lines["sequence"], 2**40).to_numpy(zero_copy_only=False)
    ordered = linked[np.argsort(sequence[linked], kind="stable")].astype(np.int64)
    rows = lines.take(ordered)
    return rows["po_id"].take(amounts.first_rows(rows.doc, count))


def _account(columns: Mapping[str, pa.Array], context: Context) -> pa.Array:
    """The account a line posted to; before posting, the one it will: the line's or its item's."""
    candidates: list[pa.Array] = []
    if "posting_account_id" in columns:
        posted = columns["posting_account_id"]
        not_cost = pc.is_in(posted, value_set=not_cost_accounts(context))
        candidates.append(pc.if_else(true_where(not_cost), _NO_TEXT, posted))
    names = ("expense_account_id", "item_expense_account_id", "item_asset_account_id")
    candidates.extend(columns[name] for name in names)
    return pc.coalesce(*(pc.if_else(present(one), one, _NO_TEXT) for one in candidates))


def _is_description(lines: Rows) -> pa.Array:
    """Lines that only say something: neither an amount nor an account, so no cost to place."""
    columns = lines.columns
    no_amount = pc.and_(columns["amount"].is_null(), pc.invert(lines.unreadable("amount")))
    return pc.and_(no_amount, columns["account_id"].is_null())
