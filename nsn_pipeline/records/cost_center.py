"""Departments, which ServiceNow knows as cost centers: matched, never created there."""

from pandera.pandas import DataFrameModel, Field
from pandera.typing import Series

from nsn_pipeline.records.dtypes import Flag, Text
from nsn_pipeline.records.spec import Column, Kind, RecordType, Source


class CostCenter(DataFrameModel):
    """One row per department. No amounts.

    NetSuite departments have no code of their own: the profile's `cost_center_code` names the
    column that holds it. Source: docs/facts/netsuite.md 6.1.
    """

    internal_id: Series[Text] = Field(unique=True)
    name: Series[Text] = Field(nullable=True)
    full_name: Series[Text] = Field(nullable=True)
    parent_id: Series[Text] = Field(nullable=True)
    is_inactive: Series[Flag] = Field(nullable=True)
    subsidiary_ids: Series[Text] = Field(nullable=True)
    external_id: Series[Text] = Field(nullable=True)


COST_CENTER = RecordType(
    name="cost_center",
    asset="departments",
    shape="dimension",
    header=Source(
        table="department",
        alias="d",
        columns=(
            Column("internal_id", "d.id", Kind.ID, optional=False),
            Column("name", "d.name"),
            Column("full_name", "d.fullname"),
            Column("parent_id", "d.parent", Kind.ID),
            Column("is_inactive", "d.isinactive", Kind.FLAG),
            Column("subsidiary_ids", "d.subsidiary"),
            Column("external_id", "d.externalid"),
        ),
        key=("d.id",),
    ),
    lines=None,
    transaction_types=(),
    schema=CostCenter,
    line_schema=None,
    netsuite_path="/app/common/otherlists/departmenttype.nl?id={id}",
)
