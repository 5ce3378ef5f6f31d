"""General-ledger postings of bills, credits, payments and journals."""

from pandera.pandas import Field
from pandera.typing import Series

from nsn_pipeline.records.changes import Changed
from nsn_pipeline.records.dtypes import Date, Instant, Money, Text
from nsn_pipeline.records.spec import Column, Join, Kind, RecordType, Source
from nsn_pipeline.records.sql import date_text, instant_text


class GlPosting(Changed):
    """One row per accounting line: what one document line did to one account in one book.

    Amounts are in the base currency of the line's subsidiary. `debit` and `credit` carry no sign
    and only one of them is present; `amount` is debit positive, credit negative.
    Key: (document_id, line_id, book_id). Source: docs/facts/netsuite.md 6.4.
    """

    document_id: Series[Text] = Field(nullable=True)
    line_id: Series[Text] = Field(nullable=True)
    book_id: Series[Text] = Field(nullable=True)
    account_id: Series[Text] = Field(nullable=True)
    debit: Series[Money] = Field(nullable=True)
    credit: Series[Money] = Field(nullable=True)
    amount: Series[Money] = Field(nullable=True)
    type: Series[Text] = Field(nullable=True)
    tranid: Series[Text] = Field(nullable=True)
    transaction_number: Series[Text] = Field(nullable=True)
    transaction_date: Series[Date] = Field(nullable=True)
    vendor_id: Series[Text] = Field(nullable=True)
    department_id: Series[Text] = Field(nullable=True)
    subsidiary_id: Series[Text] = Field(nullable=True)
    memo: Series[Text] = Field(nullable=True)
    modified_at: Series[Instant] = Field(nullable=True)


GL_POSTING = RecordType(
    name="gl_posting",
    asset="gl_postings",
    shape="posting",
    header=Source(
        table="transactionaccountingline",
        alias="tal",
        columns=(
            Column("document_id", "tal.transaction", Kind.ID, optional=False),
            Column("line_id", "tal.transactionline", Kind.ID, optional=False),
            Column("book_id", "tal.accountingbook", Kind.ID, optional=False),
            Column("account_id", "tal.account", Kind.ID, optional=False),
            Column("debit", "tal.debit", Kind.MONEY, optional=False),
            Column("credit", "tal.credit", Kind.MONEY, optional=False),
            Column("amount", "tal.amount", Kind.MONEY),
            Column("type", "t.type", Kind.ID, optional=False),
            Column("tranid", "t.tranid"),
            Column("transaction_number", "t.transactionnumber"),
            Column("transaction_date", date_text("t.trandate"), Kind.DATE, optional=False),
            Column("vendor_id", "t.entity", Kind.ID),
            Column("department_id", "tl.department", Kind.ID),
            Column("subsidiary_id", "tl.subsidiary", Kind.ID),  # absent outside OneWorld
            Column("memo", "tl.memo"),
            # The document's stamp, not the accounting line's: documents are re-read whole.
            Column("modified_at", instant_text("t.lastmodifieddate"), Kind.INSTANT, optional=False),
        ),
        key=("tal.transaction", "tal.transactionline", "tal.accountingbook"),
        joins=(
            Join("transaction", "t", "t.id = tal.transaction", optional=False),
            Join(
                "transactionline",
                "tl",
                "tl.transaction = tal.transaction AND tl.id = tal.transactionline",
                optional=False,
            ),
        ),
        # Description lines have rows without any amount (docs/facts/netsuite.md 6.4).
        where="t.posting = 'T' AND (tal.debit IS NOT NULL OR tal.credit IS NOT NULL)",
    ),
    lines=None,
    transaction_types=("VendBill", "VendCred", "VendPymt", "Journal"),
    schema=GlPosting,
    line_schema=None,
    netsuite_path="/app/accounting/transactions/transaction.nl?id={id}",
)
