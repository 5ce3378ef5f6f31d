"""What ServiceNow holds of GL accounts and cost centers: the lists every document is checked
against.
"""

from collections.abc import Mapping

import pandas as pd
import pyarrow as pa

from nsn_pipeline.clients.servicenow import ServiceNowClient
from nsn_pipeline.profiles.model import ReferenceTable

REFERENCE_SCHEMA = pa.schema(
    [
        pa.field("code", pa.string()),
        pa.field("sys_id", pa.string(), nullable=False),
        pa.field("name", pa.string()),
        pa.field("active", pa.bool_(), nullable=False),
        pa.field("valid_from", pa.string()),
        pa.field("valid_to", pa.string()),
    ]
)
_TRUE = {"true", "1"}


def read_references(client: ServiceNowClient, reference: ReferenceTable) -> pd.DataFrame:
    """Every row of a reference table, in `REFERENCE_SCHEMA`; validity dates are `YYYY-MM-DD` or
    null.
    """
    fields = [
        name
        for name in (
            "sys_id",
            reference.code,
            reference.name,
            reference.active,
            reference.inactive,
            reference.valid_from,
            reference.valid_to,
        )
        if name
    ]
    pages = client.rows(reference.table, query=None, fields=fields)
    rows = [_row(row, reference) for page in pages for row in page]
    table = pa.Table.from_pylist(rows, schema=REFERENCE_SCHEMA)
    return table.to_pandas(types_mapper=pd.ArrowDtype)


def _row(row: Mapping[str, str], reference: ReferenceTable) -> dict[str, object]:
    return {
        "code": row.get(reference.code) or None,
        "sys_id": row["sys_id"],
        "name": row.get(reference.name or "") or None,
        "active": _is_active(row, reference),
        "valid_from": _day(row.get(reference.valid_from or "")),
        "valid_to": _day(row.get(reference.valid_to or "")),
    }


def _is_active(row: Mapping[str, str], reference: ReferenceTable) -> bool:
    # A column nobody filled, or that the user may not read, does not make an account inactive.
    if reference.inactive and row.get(reference.inactive):
        return row[reference.inactive].lower() not in _TRUE
    if reference.active and row.get(reference.active):
        return row[reference.active].lower() in _TRUE
    return True


def _day(text: str | None) -> str | None:
    """The day of a date or date-time column."""
    return text[:10] if text else None
