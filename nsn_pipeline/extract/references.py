"""Reads the GL accounts and cost centers of ServiceNow, which every document is checked against."""

import pandas as pd

from nsn_pipeline.clients.servicenow import ServiceNowClient
from nsn_pipeline.conform.references import reference_frame
from nsn_pipeline.profiles.model import ReferenceTable


def read_references(client: ServiceNowClient, table: ReferenceTable) -> pd.DataFrame:
    """Every row of a reference table, in the crosswalk's columns."""
    pages = client.rows(table.table, fields=table.fields)
    return reference_frame(table, (row for page in pages for row in page))
