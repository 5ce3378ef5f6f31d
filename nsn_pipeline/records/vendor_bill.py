"""Vendor bills and vendor credits with their lines."""

from pandera.pandas import Field
from pandera.typing import Series

from nsn_pipeline.records.dtypes import Text
from nsn_pipeline.records.spec import RecordType
from nsn_pipeline.records.transaction import (
    TransactionHeader,
    TransactionLine,
    header_source,
    line_source,
)


class VendorBill(TransactionHeader):
    """One row per vendor bill (VendBill) or vendor credit (VendCred).

    `total` is positive for a charge and negative for a credit: NetSuite stores bill totals negative
    and credit totals positive (docs/facts/netsuite.md 6.2), and the extract flips the sign.
    """


class VendorBillLine(TransactionLine):
    """One row per bill line. Cost lines are positive on a bill, negative on a credit.

    The extract adds `posting_account_id`, the account the line posted to in the primary book (null
    while the bill waits for approval), and the order line it bills, if any: `po_id`, `po_line_id`.
    """

    posting_account_id: Series[Text] = Field(nullable=True)
    po_id: Series[Text] = Field(nullable=True)
    po_line_id: Series[Text] = Field(nullable=True)


VENDOR_BILL = RecordType(
    name="vendor_bill",
    asset="vendor_bills",
    shape="document",
    header=header_source(negate_total=True),
    lines=line_source(),
    transaction_types=("VendBill", "VendCred"),
    schema=VendorBill,
    line_schema=VendorBillLine,
    # The general page: it finds bills and credits alike.
    netsuite_path="/app/accounting/transactions/transaction.nl?id={id}",
)
