"""Columns that conforming works out; a profile may name them beside NetSuite's own.

`BASES` says which received columns stand behind a derived one: when one of them cannot be read,
the derived value is not known either.
"""

from nsn_pipeline.profiles.model import source_of
from nsn_pipeline.records.spec import Kind

_DOCUMENT = {
    "currency_code": Kind.TEXT,  # ISO code of the document's currency
    "netsuite_url": Kind.TEXT,
    "state": Kind.ID,  # the status letter, or "voided"
    "tax_amount": Kind.MONEY,  # sum of the tax lines
    "subsidiary_id": Kind.ID,  # of the main line: headers have none that every account shows
    "subsidiary_name": Kind.TEXT,
}
_LINE = {
    "currency_code": Kind.TEXT,
    "description": Kind.TEXT,  # the line's memo, else its item
    "unit_price": Kind.RATE,
    "line_number": Kind.INTEGER,
    "account_id": Kind.ID,  # the GL account that counts for the line
}

DERIVED: dict[str, dict[str, Kind]] = {
    "vendor": {
        "name": Kind.TEXT,
        "is_active": Kind.FLAG,
        "currency_code": Kind.TEXT,
        "netsuite_url": Kind.TEXT,
    },
    "gl_account": {
        "code": Kind.TEXT,
        "account_name": Kind.TEXT,
        "is_active": Kind.FLAG,
        "netsuite_url": Kind.TEXT,
    },
    "cost_center": {"code": Kind.TEXT, "is_active": Kind.FLAG, "netsuite_url": Kind.TEXT},
    "purchase_order": _DOCUMENT,
    "purchase_order_line": _LINE,
    # The first order a bill's lines bill, and the order line each of them bills.
    "vendor_bill": {**_DOCUMENT, "po_id": Kind.ID},
    "vendor_bill_line": {**_LINE, "po_line_key": Kind.ID},
    "gl_posting": {
        "currency_code": Kind.TEXT,  # base currency of the line's subsidiary
        "document_number": Kind.TEXT,
        "subsidiary_name": Kind.TEXT,
        "netsuite_url": Kind.TEXT,
    },
}

BASES: dict[str, tuple[str, ...]] = {
    "state": ("is_voided",),
    "tax_amount": ("is_tax",),
    "is_active": ("is_inactive",),
    "unit_price": ("rate", "quantity", "amount"),
    "line_number": ("sequence",),
}

# Added by the extract: not part of any SELECT, so not in `Source.columns`.
EXTRACTED: dict[str, dict[str, Kind]] = {
    "vendor_bill_line": {
        "posting_account_id": Kind.ID,
        "po_id": Kind.ID,
        "po_line_id": Kind.ID,
    },
}
CHANGE: dict[str, Kind] = {"change_day": Kind.TEXT, "brought_by": Kind.TEXT}


def received_kinds(record_type: str) -> dict[str, Kind]:
    """Columns that come from NetSuite or the extract, with their kinds."""
    kinds = {column.name: column.kind for column in source_of(record_type).columns}
    return kinds | EXTRACTED.get(record_type, {})


def all_kinds(record_type: str) -> dict[str, Kind]:
    """Every column a profile may name for a record type or its lines ("vendor_bill_line")."""
    return received_kinds(record_type) | DERIVED.get(record_type, {})
