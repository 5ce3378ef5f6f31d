"""Every record type and look-up there is; assets, checks and CLI choices follow from here."""

from nsn_pipeline.records.cost_center import COST_CENTER
from nsn_pipeline.records.gl_account import GL_ACCOUNT
from nsn_pipeline.records.gl_posting import GL_POSTING
from nsn_pipeline.records.purchase_order import PURCHASE_ORDER
from nsn_pipeline.records.spec import Column, Kind, RecordType, Source
from nsn_pipeline.records.vendor import VENDOR
from nsn_pipeline.records.vendor_bill import VENDOR_BILL

# In the order they are written: a document's references come before the document.
REGISTRY: dict[str, RecordType] = {
    record_type.name: record_type
    for record_type in (GL_ACCOUNT, COST_CENTER, VENDOR, PURCHASE_ORDER, VENDOR_BILL, GL_POSTING)
}

# Small tables that give meaning to ids on documents. Both may be absent: subsidiaries outside
# OneWorld, currencies without Multiple Currencies (docs/facts/netsuite.md 6).
LOOKUPS: dict[str, Source] = {
    "subsidiaries": Source(
        table="subsidiary",
        alias="s",
        columns=(
            Column("internal_id", "s.id", Kind.ID, optional=False),
            Column("name", "s.name"),
            Column("full_name", "s.fullname"),
            Column("currency_id", "s.currency", Kind.ID),
            Column("is_inactive", "s.isinactive", Kind.FLAG),
        ),
        key=("s.id",),
    ),
    "currencies": Source(
        table="currency",
        alias="c",
        columns=(
            Column("internal_id", "c.id", Kind.ID, optional=False),
            Column("symbol", "c.symbol", optional=False),
            Column("name", "c.name"),
            Column("precision", "c.currencyprecision", Kind.INTEGER),
            Column("is_base", "c.isbasecurrency", Kind.FLAG),
            Column("is_inactive", "c.isinactive", Kind.FLAG),
        ),
        key=("c.id",),
    ),
}
