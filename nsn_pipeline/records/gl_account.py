"""GL accounts of the chart of accounts: matched with ServiceNow's, never created there."""

from pandera.pandas import DataFrameModel, Field
from pandera.typing import Series

from nsn_pipeline.records.dtypes import Flag, Text
from nsn_pipeline.records.spec import Column, Kind, RecordType, Source


class GlAccount(DataFrameModel):
    """One row per account. No amounts.

    `number` is the code people use; it may be absent, as numbering is optional. `subsidiary_ids` is
    one text of ids joined by comma and space. Source: docs/facts/netsuite.md 6.1.
    """

    internal_id: Series[Text] = Field(unique=True)
    number: Series[Text] = Field(nullable=True)
    type: Series[Text] = Field(nullable=True)
    full_name: Series[Text] = Field(nullable=True)
    display_name: Series[Text] = Field(nullable=True)
    description: Series[Text] = Field(nullable=True)
    parent_id: Series[Text] = Field(nullable=True)
    is_inactive: Series[Flag] = Field(nullable=True)
    is_summary: Series[Flag] = Field(nullable=True)
    subsidiary_ids: Series[Text] = Field(nullable=True)
    external_id: Series[Text] = Field(nullable=True)


GL_ACCOUNT = RecordType(
    name="gl_account",
    asset="gl_accounts",
    shape="dimension",
    header=Source(
        table="account",
        alias="a",
        columns=(
            Column("internal_id", "a.id", Kind.ID, optional=False),
            Column("number", "a.acctnumber"),
            Column("type", "a.accttype", Kind.ID),
            Column("full_name", "a.fullname"),
            Column("display_name", "a.accountsearchdisplayname"),
            Column("description", "a.description"),
            Column("parent_id", "a.parent", Kind.ID),
            Column("is_inactive", "a.isinactive", Kind.FLAG),
            Column("is_summary", "a.issummary", Kind.FLAG),
            Column("subsidiary_ids", "a.subsidiary"),
            Column("external_id", "a.externalid"),
        ),
        key=("a.id",),
    ),
    lines=None,
    transaction_types=(),
    schema=GlAccount,
    line_schema=None,
    netsuite_path="/app/accounting/account/account.nl?id={id}",
)
