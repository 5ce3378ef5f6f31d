"""ServiceNow's own reference rows in the shape the crosswalk reads."""

from collections.abc import Iterable, Mapping

import pandas as pd
import pyarrow as pa

from nsn_pipeline.profiles.model import ReferenceTable

REFERENCE_COLUMNS = ("code", "sys_id", "name", "active", "valid_from", "valid_to")


def reference_frame(
    table: ReferenceTable, rows: Iterable[Mapping[str, str | None]]
) -> pd.DataFrame:
    """Rows of the Table API under the crosswalk's column names; `active` is "true" or "false".

    A column the instance does not have comes back as nothing and restricts nothing.
    """
    records = [
        {
            "code": row.get(table.code) or None,
            "sys_id": row.get("sys_id") or None,
            "name": row.get(table.name) or None,
            "active": _active(table, row),
            "valid_from": _optional(row, table.valid_from),
            "valid_to": _optional(row, table.valid_to),
        }
        for row in rows
    ]
    dtype = pd.ArrowDtype(pa.string())
    return pd.DataFrame(records, columns=list(REFERENCE_COLUMNS), dtype=dtype)


def _active(table: ReferenceTable, row: Mapping[str, str | None]) -> str:
    if table.inactive is not None:
        return "false" if (row.get(table.inactive) or "").lower() in {"true", "1"} else "true"
    if table.active is not None:
        return "false" if (row.get(table.active) or "").lower() in {"false", "0"} else "true"
    return "true"


def _optional(row: Mapping[str, str | None], column: str | None) -> str | None:
    return (row.get(column) or None) if column else None
