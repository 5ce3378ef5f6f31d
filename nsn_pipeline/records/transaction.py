"""Columns that purchase orders and vendor bills share, as both live in `transaction`."""

from pandera.pandas import DataFrameModel, Field
from pandera.typing import Series

from nsn_pipeline.records.changes import Changed
from nsn_pipeline.records.dtypes import Date, Flag, Instant, Integer, Money, Text
from nsn_pipeline.records.spec import Column, Join, Kind, Source
from nsn_pipeline.records.sql import date_text, instant_text


class TransactionHeader(Changed):
    """One row per document, as NetSuite holds it. Amounts are in transaction currency.

    `transaction_date` and `due_date` have no time zone and are never shifted.
    Source: docs/facts/netsuite.md 6.2.
    """

    internal_id: Series[Text] = Field(unique=True)
    type: Series[Text] = Field(nullable=True)
    tranid: Series[Text] = Field(nullable=True)  # typed by users: not unique, may be absent
    transaction_number: Series[Text] = Field(nullable=True)
    vendor_id: Series[Text] = Field(nullable=True)
    transaction_date: Series[Date] = Field(nullable=True)
    due_date: Series[Date] = Field(nullable=True)
    status: Series[Text] = Field(nullable=True)  # one letter; its meaning depends on `type`
    approval_status: Series[Text] = Field(nullable=True)
    is_posting: Series[Flag] = Field(nullable=True)
    is_voided: Series[Flag] = Field(nullable=True)
    currency_id: Series[Text] = Field(nullable=True)
    exchange_rate: Series[Money] = Field(nullable=True)
    total: Series[Money] = Field(nullable=True)
    unpaid: Series[Money] = Field(nullable=True)
    memo: Series[Text] = Field(nullable=True)
    other_reference: Series[Text] = Field(nullable=True)
    modified_at: Series[Instant] = Field(nullable=True)


class TransactionLine(DataFrameModel):
    """One row per line, the main line included. Amounts are in transaction currency.

    Debits are positive, credits negative: a bill's cost lines are positive and its main line, the
    payable side, negative; on a vendor credit both turn. Quantities are in the line's own unit,
    `rate` is the price of one. Key: (document_id, line_id).
    Source: docs/facts/netsuite.md 6.3.
    """

    document_id: Series[Text] = Field(nullable=True)
    line_id: Series[Text] = Field(nullable=True)
    unique_key: Series[Text] = Field(nullable=True)
    sequence: Series[Integer] = Field(nullable=True)
    is_main: Series[Flag] = Field(nullable=True)
    is_tax: Series[Flag] = Field(nullable=True)
    item_id: Series[Text] = Field(nullable=True)
    item_name: Series[Text] = Field(nullable=True)
    quantity: Series[Money] = Field(nullable=True)
    rate: Series[Money] = Field(nullable=True)
    amount: Series[Money] = Field(nullable=True)
    expense_account_id: Series[Text] = Field(nullable=True)
    item_expense_account_id: Series[Text] = Field(nullable=True)
    item_asset_account_id: Series[Text] = Field(nullable=True)
    memo: Series[Text] = Field(nullable=True)
    department_id: Series[Text] = Field(nullable=True)
    class_id: Series[Text] = Field(nullable=True)
    location_id: Series[Text] = Field(nullable=True)
    subsidiary_id: Series[Text] = Field(nullable=True)
    created_from_id: Series[Text] = Field(nullable=True)
    quantity_billed: Series[Money] = Field(nullable=True)
    quantity_received: Series[Money] = Field(nullable=True)
    is_closed: Series[Flag] = Field(nullable=True)
    modified_at: Series[Instant] = Field(nullable=True)


def header_source(*, negate_total: bool) -> Source:
    """Header read; `negate_total` where NetSuite's sign is the opposite of ours."""
    return Source(
        table="transaction",
        alias="t",
        columns=(
            Column("internal_id", "t.id", Kind.ID, optional=False),
            Column("type", "t.type", Kind.ID, optional=False),
            Column("tranid", "t.tranid"),
            Column("transaction_number", "t.transactionnumber"),
            Column("vendor_id", "t.entity", Kind.ID, optional=False),
            Column("transaction_date", date_text("t.trandate"), Kind.DATE, optional=False),
            Column("due_date", date_text("t.duedate"), Kind.DATE),
            Column("status", "t.status", Kind.ID, optional=False),
            Column("approval_status", "t.approvalstatus", Kind.ID),
            Column("is_posting", "t.posting", Kind.FLAG),
            Column("is_voided", "t.voided", Kind.FLAG),
            Column("currency_id", "t.currency", Kind.ID),  # absent without Multiple Currencies
            Column("exchange_rate", "t.exchangerate", Kind.RATE),
            Column("total", "t.foreigntotal", Kind.MONEY, negate=negate_total, optional=False),
            Column("unpaid", "t.foreignamountunpaid", Kind.MONEY),
            Column("memo", "t.memo"),
            Column("other_reference", "t.otherrefnum"),
            Column("modified_at", instant_text("t.lastmodifieddate"), Kind.INSTANT, optional=False),
        ),
        key=("t.id",),
    )


def line_source() -> Source:
    """Line read, main lines included: they carry the document's subsidiary."""
    modified_at = instant_text("tl.linelastmodifieddate")
    return Source(
        table="transactionline",
        alias="tl",
        columns=(
            Column("document_id", "tl.transaction", Kind.ID, optional=False),
            Column("line_id", "tl.id", Kind.ID, optional=False),
            Column("unique_key", "tl.uniquekey", Kind.ID),
            Column("sequence", "tl.linesequencenumber", Kind.INTEGER),
            Column("is_main", "tl.mainline", Kind.FLAG, optional=False),
            Column("is_tax", "tl.taxline", Kind.FLAG),
            Column("item_id", "tl.item", Kind.ID),
            Column("item_name", "i.itemid"),
            Column("quantity", "tl.quantity", Kind.QUANTITY),
            Column("rate", "tl.rate", Kind.RATE),
            Column("amount", "tl.foreignamount", Kind.MONEY, optional=False),
            Column("expense_account_id", "tl.expenseaccount", Kind.ID),
            Column("item_expense_account_id", "i.expenseaccount", Kind.ID),
            Column("item_asset_account_id", "i.assetaccount", Kind.ID),
            Column("memo", "tl.memo"),
            Column("department_id", "tl.department", Kind.ID),
            Column("class_id", "tl.class", Kind.ID),
            Column("location_id", "tl.location", Kind.ID),
            Column("subsidiary_id", "tl.subsidiary", Kind.ID),  # absent outside OneWorld
            Column("created_from_id", "tl.createdfrom", Kind.ID),
            Column("quantity_billed", "tl.quantitybilled", Kind.QUANTITY),
            Column("quantity_received", "tl.quantityshiprecv", Kind.QUANTITY),
            Column("is_closed", "tl.isclosed", Kind.FLAG),
            Column("modified_at", modified_at, Kind.INSTANT),
        ),
        key=("tl.transaction", "tl.id"),
        joins=(Join("item", "i", "i.id = tl.item"),),
    )
