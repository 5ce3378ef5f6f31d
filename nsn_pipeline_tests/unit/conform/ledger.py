"""The council ledger of the shared data folder as canonical frames; absent elsewhere."""

import csv
import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa

from nsn_pipeline.conform.crosswalk import Crosswalk
from nsn_pipeline.conform.outcome import Context, Documents
from nsn_pipeline.conform.references import reference_frame
from nsn_pipeline.profiles.model import Profile
from nsn_pipeline.records.canonical import to_canonical
from nsn_pipeline.records.registry import LOOKUPS, REGISTRY
from nsn_pipeline.records.spec import Source

ROOT = Path(__file__).parents[4] / "shared" / "data" / "council_ap"


def expected() -> dict[str, object]:
    return json.loads((ROOT / "expected.json").read_text())


def rows(system: str, table: str) -> Iterator[dict[str, str]]:
    """Rows as the API would send them: nulls left out."""
    with gzip.open(ROOT / system / f"{table}.csv.gz", "rt", encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            yield {name: value for name, value in row.items() if value}


def canonical(table: str, source: Source, renamed: Mapping[str, str]) -> pa.Table:
    """`renamed` gives the canonical name of each CSV column."""
    records = [
        {renamed[name]: value for name, value in row.items() if name in renamed}
        for row in rows("netsuite", table)
    ]
    return to_canonical(records, source)


def frame(table: pa.Table, **extra: list[str | None]) -> pd.DataFrame:
    for name, values in extra.items():
        table = table.append_column(name, pa.array(values, pa.string()))
    return table.to_pandas(types_mapper=pd.ArrowDtype)


HEADER = {
    "id": "internal_id", "type": "type", "tranid": "tranid",
    "transactionnumber": "transaction_number",
    "entity": "vendor_id", "trandate": "transaction_date", "duedate": "due_date",
    "status": "status", "posting": "is_posting", "voided": "is_voided", "currency": "currency_id",
    "exchangerate": "exchange_rate", "foreigntotal": "total", "memo": "memo",
    "lastmodifieddate": "modified_at",
}  # fmt: skip
LINE = {
    "transaction": "document_id", "id": "line_id", "uniquekey": "unique_key",
    "linesequencenumber": "sequence", "mainline": "is_main", "taxline": "is_tax", "item": "item_id",
    "quantity": "quantity", "rate": "rate", "foreignamount": "amount",
    "expenseaccount": "expense_account_id", "memo": "memo", "department": "department_id",
    "subsidiary": "subsidiary_id", "linelastmodifieddate": "modified_at",
}  # fmt: skip
POSTING = {
    "transaction": "document_id", "transactionline": "line_id", "accountingbook": "book_id",
    "account": "account_id", "debit": "debit", "credit": "credit", "amount": "amount",
}  # fmt: skip
ACCOUNT = {"id": "internal_id", "acctnumber": "number", "accttype": "type", "fullname": "full_name",
           "isinactive": "is_inactive", "issummary": "is_summary"}  # fmt: skip
DEPARTMENT = {"id": "internal_id", "name": "name", "fullname": "full_name",
              "isinactive": "is_inactive", "externalid": "external_id"}  # fmt: skip
SUBSIDIARY = {
    "id": "internal_id",
    "name": "name",
    "fullname": "full_name",
    "currency": "currency_id",
}
CURRENCY = {"id": "internal_id", "symbol": "symbol", "currencyprecision": "precision"}
VENDOR = {"id": "internal_id", "entityid": "entity_id", "companyname": "company_name",
          "isperson": "is_person", "isinactive": "is_inactive",
          "currency": "currency_id"}  # fmt: skip


def bills() -> Documents:
    header = canonical("transaction", REGISTRY["vendor_bill"].header, HEADER)
    days = [stamp.date().isoformat() for stamp in header["modified_at"].to_pylist()]
    source = REGISTRY["vendor_bill"].lines
    assert source is not None
    lines = canonical("transactionline", source, LINE)
    accounts = {
        (row["transaction"], row["transactionline"]): row["account"]
        for row in rows("netsuite", "transactionaccountingline")
    }
    posted = [
        accounts.get(key)
        for key in zip(lines["document_id"].to_pylist(), lines["line_id"].to_pylist(), strict=True)
    ]
    nothing = [None] * lines.num_rows
    return Documents(
        frame(header, change_day=days, brought_by=["change"] * len(days)),
        frame(lines, posting_account_id=posted, po_id=nothing, po_line_id=nothing),
    )


def vendors() -> Documents:
    return Documents(frame(canonical("vendor", REGISTRY["vendor"].header, VENDOR)))


def postings(of_bills: Documents) -> Documents:
    source = REGISTRY["gl_posting"].header
    table = frame(canonical("transactionaccountingline", source, POSTING))
    headers = of_bills.headers.set_index("internal_id")
    taken = [
        "type",
        "tranid",
        "transaction_number",
        "transaction_date",
        "vendor_id",
        "change_day",
        "brought_by",
    ]
    table = table.drop(columns=[name for name in taken if name in table.columns])
    table = table.join(headers[taken], on="document_id")
    assert of_bills.lines is not None
    lines = of_bills.lines[["document_id", "line_id", "department_id", "subsidiary_id", "memo"]]
    table = table.drop(columns=["department_id", "subsidiary_id", "memo"])
    return Documents(table.merge(lines, on=["document_id", "line_id"], how="left"))


def context(profile: Profile) -> Context:
    accounts = frame(canonical("account", REGISTRY["gl_account"].header, ACCOUNT))
    departments = frame(canonical("department", REGISTRY["cost_center"].header, DEPARTMENT))
    vendor_rows = list(rows("netsuite", "vendor"))

    def crosswalk(kind: str, dimension: pd.DataFrame, code_column: str) -> Crosswalk:
        table = profile.references[kind]
        found = [
            {**row, table.name: row["name"], "sys_id": f"{kind}-{row[table.code]}"}
            for row in rows("servicenow", table.table)
        ]
        reference = reference_frame(table, found)
        return Crosswalk.build(kind, dimension, reference, pd.DataFrame(), code_column)

    return Context(
        accounts=accounts,
        departments=departments,
        subsidiaries=frame(canonical("subsidiary", LOOKUPS["subsidiaries"], SUBSIDIARY)),
        currencies=frame(canonical("currency", LOOKUPS["currencies"], CURRENCY)),
        vendor_names={row["id"]: row.get("companyname", "") for row in vendor_rows},
        gl_crosswalk=crosswalk("gl_account", accounts, "number"),
        cc_crosswalk=crosswalk("cost_center", departments, profile.cost_center_code),
        vendors=frozenset(row["id"] for row in vendor_rows),
        netsuite_ui="https://1234567.app.netsuite.com",
    )
