"""What the extract adds to every row that belongs to a partition."""

from pandera.pandas import DataFrameModel, Field
from pandera.typing import Series

from nsn_pipeline.records.dtypes import Instant, Text


class Changed(DataFrameModel):
    """Columns the extract adds to headers and postings; NetSuite knows none of them.

    `change_day` is the partition (YYYY-MM-DD in NSN_TIMEZONE). `brought_by` says why the row is in
    it: its own change, or because a changed document names it. `changed_at` is the latest of the
    header's and its lines' stamps.
    """

    change_day: Series[Text] = Field(nullable=True)
    brought_by: Series[Text] = Field(isin=["change", "reference"], nullable=True)
    changed_at: Series[Instant] = Field(nullable=True)
