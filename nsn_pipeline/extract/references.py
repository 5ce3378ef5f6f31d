"""Reads the GL accounts and cost centers of ServiceNow, which every document is checked against."""

from collections.abc import Collection

import pandas as pd

from nsn_pipeline.clients.servicenow import ServiceNowClient
from nsn_pipeline.conform.references import reference_frame
from nsn_pipeline.load.plan import is_safe_key
from nsn_pipeline.profiles.model import ReferenceTable


def read_references(client: ServiceNowClient, table: ReferenceTable) -> pd.DataFrame:
    """Every row of a reference table, in the crosswalk's columns."""
    pages = client.rows(table.table, fields=table.fields)
    return reference_frame(table, (row for page in pages for row in page))


def look_up_references(
    client: ServiceNowClient, table: ReferenceTable, codes: Collection[str]
) -> pd.DataFrame:
    """Only the rows with these codes, in the crosswalk's columns: a call or two, not the table.

    A code that no query can carry is left out: whether its row is there is not known.
    """
    safe = sorted(code for code in codes if is_safe_key(code))
    if not safe:
        return reference_frame(table, ())
    found = client.lookup(table.table, table.code, safe, table.fields)
    return reference_frame(table, (row for rows in found.values() for row in rows))
