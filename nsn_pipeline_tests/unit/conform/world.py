"""Small worlds to judge documents in: wire rows as NetSuite sends them, references beside them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from nsn_pipeline.conform.conform import conform
from nsn_pipeline.conform.crosswalk import OVERRIDE_COLUMNS, Crosswalk
from nsn_pipeline.conform.outcome import Context, Documents, Outcome
from nsn_pipeline.conform.references import reference_frame
from nsn_pipeline.profiles.loader import load_profile
from nsn_pipeline.profiles.model import Profile, custom_columns
from nsn_pipeline.records.canonical import to_canonical
from nsn_pipeline.records.registry import LOOKUPS, REGISTRY
from nsn_pipeline.records.spec import Source

Row = dict[str, Any]

SEED = load_profile("seed")
DAY = "2026-03-02"
ADDED = ("change_day", "brought_by", "posting_account_id", "po_id", "po_line_id")

ACCOUNTS: list[Row] = [
    {"internal_id": "111", "number": "2000", "type": "AcctPay", "full_name": "Accounts Payable"},
    {"internal_id": "642", "number": "6420", "type": "Expense", "full_name": "Hosting"},
    {"internal_id": "58", "number": "5800", "type": "Expense", "full_name": "Hardware"},
    {"internal_id": "716", "number": "7160", "type": "Expense", "full_name": "Agency staff"},
    {"internal_id": "900", "type": "Expense", "full_name": "Sundry"},
    {"internal_id": "990", "number": "PO", "type": "NonPosting", "full_name": "Purchase Orders"},
]
DEPARTMENTS: list[Row] = [
    {"internal_id": "12", "name": "IT", "full_name": "Group : IT", "external_id": "CC-12"},
    {"internal_id": "14", "name": "Sales", "full_name": "Sales", "external_id": "CC-14"},
    {"internal_id": "15", "name": "New office", "full_name": "New office", "external_id": "CC-15"},
]
SUBSIDIARIES: list[Row] = [
    {"internal_id": "1", "name": "Parent", "currency_id": "1"},
    {"internal_id": "3", "name": "Leeds", "currency_id": "1"},
]
CURRENCIES: list[Row] = [
    {"internal_id": "1", "symbol": "GBP", "precision": "2"},
    {"internal_id": "4", "symbol": "EUR", "precision": "2"},
    {"internal_id": "5", "symbol": "JPY", "precision": "0"},
    {"internal_id": "6", "symbol": "KWD", "precision": "3"},
]
GL_ROWS: list[Row] = [
    {"sys_id": f"gl{code}", "account_number": code, "account_name": name}
    for code, name in (("2000", "Payables"), ("6420", "Hosting"), ("5800", "Hardware"))
]
CC_ROWS: list[Row] = [
    {"sys_id": f"cc{code}", "code": code, "name": code} for code in ("CC-12", "CC-14")
]
VENDORS: dict[str, str] = {"451": "Acme Ltd", "452": "Bolt GmbH"}


def references(**changed: Any) -> dict[str, Any]:
    """What documents are judged against; name what differs."""
    return {
        "accounts": ACCOUNTS,
        "departments": DEPARTMENTS,
        "subsidiaries": SUBSIDIARIES,
        "currencies": CURRENCIES,
        "gl_accounts": GL_ROWS,
        "cost_centers": CC_ROWS,
        "gl_overrides": [],
        "cc_overrides": [],
        "vendors": VENDORS,
        "base_currency": "",
    } | changed


def frame(table: pa.Table) -> pd.DataFrame:
    return table.to_pandas(types_mapper=pd.ArrowDtype)


def canonical(rows: Sequence[Mapping[str, Any]], source: Source) -> pd.DataFrame:
    """Typed rows, with the columns that the extract adds where the rows have them."""
    table = to_canonical([dict(row) for row in rows], source)
    for name in ADDED:
        if name not in table.column_names and any(name in row for row in rows):
            values = pa.array([row.get(name) for row in rows], pa.string())
            table = table.append_column(name, values)
    return frame(table)


def context(refs: Mapping[str, Any], profile: Profile = SEED) -> Context:
    accounts = canonical(refs["accounts"], REGISTRY["gl_account"].header)
    departments = canonical(refs["departments"], REGISTRY["cost_center"].header)
    return Context(
        accounts=accounts,
        departments=departments,
        subsidiaries=canonical(refs["subsidiaries"], LOOKUPS["subsidiaries"]),
        currencies=canonical(refs["currencies"], LOOKUPS["currencies"]),
        vendor_names=refs["vendors"],
        gl_crosswalk=Crosswalk.build(
            "gl_account",
            accounts,
            reference_frame(profile.references["gl_account"], refs["gl_accounts"]),
            overrides(refs["gl_overrides"]),
            "number",
        ),
        cc_crosswalk=Crosswalk.build(
            "cost_center",
            departments,
            reference_frame(profile.references["cost_center"], refs["cost_centers"]),
            overrides(refs["cc_overrides"]),
            profile.cost_center_code,
        ),
        vendors=frozenset(refs["vendors"]),
        netsuite_ui="https://1234567.app.netsuite.com",
        base_currency=refs["base_currency"],
    )


def overrides(rows: Sequence[Row]) -> pd.DataFrame:
    dtype = pd.ArrowDtype(pa.string())
    return pd.DataFrame(rows, columns=list(OVERRIDE_COLUMNS), dtype=dtype)


def judge(
    record_type: str,
    headers: Sequence[Row],
    lines: Sequence[Row] | None = None,
    *,
    profile: Profile = SEED,
    refs: Mapping[str, Any] | None = None,
) -> Outcome:
    """Conform wire rows of one record type."""
    record, target = REGISTRY[record_type], profile.targets[record_type]
    line_frame = None
    if record.lines is not None and lines is not None:
        line_frame = canonical(lines, with_custom(record.lines, profile, f"{record_type}_line"))
    header_frame = canonical(headers, with_custom(record.header, profile, record_type))
    return conform(
        Documents(header_frame, line_frame), target, context(refs or references(), profile), profile
    )


def with_custom(source: Source, profile: Profile, record_type: str) -> Source:
    custom = custom_columns(profile, record_type)
    return Source(source.table, source.alias, (*source.columns, *custom), source.key)


def bill(internal_id: str = "88412", **changed: Any) -> Row:
    """An approved bill over 1250.00 GBP, as it comes over the wire (total negative)."""
    row = {
        "internal_id": internal_id, "type": "VendBill", "tranid": "INV-20417",
        "transaction_number": "VENDBILL1417", "vendor_id": "451", "transaction_date": DAY,
        "due_date": "2026-04-01", "status": "A", "is_posting": "T", "is_voided": "F",
        "currency_id": "1", "total": "-1250", "change_day": DAY, "brought_by": "change",
    }  # fmt: skip
    return _without_none(row | changed)


def main_line(document_id: str = "88412", amount: str = "-1250", **changed: Any) -> Row:
    row = {"document_id": document_id, "line_id": "0", "is_main": "T", "is_tax": "F",
           "amount": amount, "expense_account_id": "111", "subsidiary_id": "3"}  # fmt: skip
    return _without_none(row | changed)


def line(line_id: str = "1", amount: str | None = "1250", document_id: str = "88412",
         **changed: Any) -> Row:  # fmt: skip
    """A posted expense line on hosting, department IT."""
    row = {"document_id": document_id, "line_id": line_id, "sequence": line_id, "is_main": "F",
           "is_tax": "F", "amount": amount, "posting_account_id": "642", "department_id": "12",
           "subsidiary_id": "3", "memo": "Hosting March"}  # fmt: skip
    return _without_none(row | changed)


def order(internal_id: str = "88100", **changed: Any) -> Row:
    row = {
        "internal_id": internal_id, "type": "PurchOrd", "tranid": "PO-7", "vendor_id": "451",
        "transaction_date": DAY, "status": "B", "currency_id": "1", "total": "-450",
        "change_day": DAY, "brought_by": "change",
    }  # fmt: skip
    return _without_none(row | changed)


def order_line(line_id: str = "1", **changed: Any) -> Row:
    row = {"document_id": "88100", "line_id": line_id, "sequence": line_id, "is_main": "F",
           "is_tax": "F", "item_id": "310", "item_name": "Server", "quantity": "10", "rate": "45",
           "amount": "450", "item_expense_account_id": "58", "department_id": "14",
           "subsidiary_id": "3"}  # fmt: skip
    return _without_none(row | changed)


def posting(line_id: str, **changed: Any) -> Row:
    row = {"document_id": "88412", "line_id": line_id, "book_id": "1", "type": "VendBill",
           "tranid": "INV-20417", "transaction_date": DAY, "vendor_id": "451",
           "subsidiary_id": "3", "change_day": DAY, "brought_by": "change"}  # fmt: skip
    return _without_none(row | changed)


def vendor(internal_id: str = "451", **changed: Any) -> Row:
    row = {"internal_id": internal_id, "entity_id": "V451", "company_name": "Acme Ltd",
           "is_person": "F", "is_inactive": "F", "currency_id": "1", "change_day": DAY,
           "brought_by": "change"}  # fmt: skip
    return _without_none(row | changed)


def reasons(outcome: Outcome) -> list[tuple[str, str | None, str]]:
    """(reason, line, column) of every problem, in order."""
    rows = outcome.problems[["reason", "line_id", "column"]].astype(object)
    rows = rows.where(rows.notna(), None)
    return [tuple(row) for row in rows.to_numpy().tolist()]


def _without_none(row: Row) -> Row:
    """NetSuite leaves nulls out."""
    return {name: value for name, value in row.items() if value is not None}
