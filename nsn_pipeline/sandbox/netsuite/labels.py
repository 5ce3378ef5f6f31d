"""Display texts of coded columns: what BUILTIN.DF answers for them (docs/facts/netsuite.md 6.2)."""

TYPE_LABELS = {
    "PurchOrd": "Purchase Order",
    "VendBill": "Bill",
    "VendCred": "Bill Credit",
    "VendPymt": "Bill Payment",
    "ItemRcpt": "Item Receipt",
    "Journal": "Journal",
}
APPROVAL_LABELS = {"1": "Pending Approval", "2": "Approved", "3": "Rejected"}
STATUS_LABELS = {
    "PurchOrd": {
        "A": "Pending Supervisor Approval",
        "B": "Pending Receipt",
        "C": "Rejected by Supervisor",
        "D": "Partially Received",
        "E": "Pending Billing/Partially Received",
        "F": "Pending Bill",
        "G": "Fully Billed",
        "H": "Closed",
    },
    "VendBill": {"A": "Open", "B": "Paid In Full", "D": "Pending Approval"},
    "VendCred": {"A": "Open", "B": "Fully Applied"},
    "Journal": {"A": "Pending Approval", "B": "Approved for Posting"},
}


def status_label(kind: str | None, status: str | None) -> str | None:
    """`Bill : Open` for ("VendBill", "A")."""
    if status is None:
        return None
    label = STATUS_LABELS.get(kind or "", {}).get(status, status)
    return f"{TYPE_LABELS.get(kind or '', kind or '')} : {label}"


def code_label(column: str, value: str | None) -> str | None:
    """The display text of a code, or the code itself where no text is known."""
    if value is None:
        return None
    labels = {"type": TYPE_LABELS, "approvalstatus": APPROVAL_LABELS}.get(column, {})
    return labels.get(str(value), str(value))
