"""Purchase orders and their lines."""

from nsn_pipeline.records.spec import RecordType
from nsn_pipeline.records.transaction import (
    TransactionHeader,
    TransactionLine,
    header_source,
    line_source,
)


class PurchaseOrder(TransactionHeader):
    """One row per purchase order.

    The sign of `total` is not documented for orders (docs/facts/netsuite.md 6.2), so only its
    magnitude is ever used; the sign is that of the lines, which are positive for an order.
    """


class PurchaseOrderLine(TransactionLine):
    """One row per order line. Orders never post, so the account is the line's or its item's."""


PURCHASE_ORDER = RecordType(
    name="purchase_order",
    asset="purchase_orders",
    shape="document",
    header=header_source(negate_total=False),
    lines=line_source(),
    transaction_types=("PurchOrd",),
    schema=PurchaseOrder,
    line_schema=PurchaseOrderLine,
    netsuite_path="/app/accounting/transactions/purchord.nl?id={id}",
)
