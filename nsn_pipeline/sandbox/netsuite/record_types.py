"""Which records the REST record API serves, under which field names (docs/facts/netsuite.md 7)."""

from collections.abc import Mapping
from dataclasses import dataclass

from nsn_pipeline.sandbox.netsuite.kinds import Kind
from nsn_pipeline.sandbox.netsuite.scope import Catalogue
from nsn_pipeline.sandbox.netsuite.tables import Column, Table

_CAMEL = {
    name.lower(): name
    for name in [
        "acctName",
        "acctNumber",
        "acctType",
        "accountSearchDisplayName",
        "accountSearchDisplayNameCopy",
        "displayNameWithHierarchy",
        "fullName",
        "isInactive",
        "isSummary",
        "externalId",
        "lastModifiedDate",
        "lastModified",
        "includeChildren",
        "cashFlowRate",
        "generalRate",
        "sSpecAcct",
        "entityId",
        "companyName",
        "altName",
        "isPerson",
        "firstName",
        "middleName",
        "lastName",
        "legalName",
        "printOnCheckAs",
        "payablesAccount",
        "expenseAccount",
        "accountNumber",
        "dateCreated",
        "defaultBillingAddress",
        "representingSubsidiary",
    ]
}
_TABLES = {
    "account": "account",
    "department": "department",
    "classification": "classification",
    "location": "location",
    "vendor": "vendor",
}
# Transactions, by record API name and `recordtype`: they can be deleted here, and that is all.
TRANSACTIONS = {
    name: name.lower()
    for name in ("purchaseOrder", "vendorBill", "vendorCredit", "vendorPayment", "journalEntry")
}
# Text columns whose API form is a reference to a built-in list.
_LISTS = frozenset({"accttype", "generalrate", "cashflowrate", "sspecacct"})
_READ_ONLY = frozenset(
    {
        "id", "fullname", "accountsearchdisplayname", "accountsearchdisplaynamecopy",
        "displaynamewithhierarchy", "lastmodifieddate", "lastmodified", "created", "datecreated",
    }
)  # fmt: skip
_REQUIRED = {
    "account": ("acctname", "accttype"),
    "department": ("name",),
    "classification": ("name",),
    "location": ("name",),
}
_LABELS = {"acctname": "Name", "accttype": "Type", "name": "Name", "subsidiary": "Subsidiary",
           "companyname": "Company Name", "lastname": "Last Name"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record: its API name and the column behind it."""

    name: str
    column: Column
    read_only: bool
    listed: bool

    @property
    def custom(self) -> bool:
        """Whether the account added it."""
        return self.column.name.startswith("cust")


@dataclass(frozen=True, slots=True)
class RecordType:
    """A record type as this account has it."""

    name: str
    table: Table
    fields: Mapping[str, Field]
    required: tuple[str, ...]

    def label(self, column: str) -> str:
        """What the user interface calls a column."""
        return _LABELS.get(column, column)


def record_names(catalogue: Catalogue) -> list[str]:
    """The record types there are."""
    custom = [name for name, table in catalogue.tables.items() if table.custom]
    return [*_TABLES, *custom]


def record_type(catalogue: Catalogue, name: str) -> RecordType | None:
    """The record type called `name`, or None."""
    table = catalogue.tables.get(_TABLES.get(name, name if name.startswith("customrecord") else ""))
    if table is None:
        return None
    fields = {
        field.name: field
        for field in (
            Field(
                _CAMEL.get(column.name, column.name), column,
                column.name in _READ_ONLY, column.name in _LISTS,
            )
            for column in table.columns.values()
            if catalogue.has(table, column.name)
        )
    }  # fmt: skip
    required = _REQUIRED.get(name, ())
    if name in _TABLES and catalogue.has(table, "subsidiary"):
        required = (*required, "subsidiary")
    return RecordType(name, table, fields, required)


_TYPES = {Kind.INT: "integer", Kind.NUM: "number", Kind.FLAG: "boolean"}


def json_schema(record: RecordType, base_url: str) -> dict[str, object]:
    """What the metadata catalogue says about a record type."""
    properties: dict[str, object] = {
        "links": {"type": "array", "items": {"type": "object"}, "readOnly": True}
    }
    for field in record.fields.values():
        entry = _schema_of(field)
        if field.custom:
            entry["x-ns-custom-field"] = True
        if field.read_only:
            entry["readOnly"] = True
        properties[field.name] = {"title": field.name, "nullable": True, **entry}
    return {
        "$schema": "http://json-schema.org/draft-06/hyper-schema#",
        "$id": f"{base_url}/services/rest/record/v1/metadata-catalog/{record.name}",
        "type": "object",
        "properties": properties,
    }


def _schema_of(field: Field) -> dict[str, object]:
    column = field.column
    if column.name == "id":
        return {"type": "string"}
    if column.multi:
        return {"type": "object", "properties": {"items": {"type": "array"}}}
    if column.ref is not None or field.listed:
        text = {"type": "string"}
        return {"type": "object", "properties": {"id": text, "refName": text, "externalId": text}}
    if column.kind in {Kind.DATE, Kind.INSTANT}:
        return {"type": "string", "format": "date" if column.kind is Kind.DATE else "date-time"}
    return {"type": _TYPES.get(column.kind, "string")}
