"""Vendors: the people and companies bills come from."""

from pandera.pandas import Field
from pandera.typing import Series

from nsn_pipeline.records.changes import Changed
from nsn_pipeline.records.dtypes import Flag, Instant, Text
from nsn_pipeline.records.spec import Column, Kind, RecordType, Source
from nsn_pipeline.records.sql import instant_text


class Vendor(Changed):
    """One row per vendor, as NetSuite holds it. No amounts.

    Persons (`is_person`) have first and last names and no company name. `entity_id` is the vendor
    code, which on accounts without auto-numbering is the name itself.
    Source: docs/facts/netsuite.md 6.1.
    """

    internal_id: Series[Text] = Field(unique=True)
    entity_id: Series[Text] = Field(nullable=True)
    company_name: Series[Text] = Field(nullable=True)
    alt_name: Series[Text] = Field(nullable=True)
    first_name: Series[Text] = Field(nullable=True)
    last_name: Series[Text] = Field(nullable=True)
    legal_name: Series[Text] = Field(nullable=True)
    is_person: Series[Flag] = Field(nullable=True)
    email: Series[Text] = Field(nullable=True)
    phone: Series[Text] = Field(nullable=True)
    url: Series[Text] = Field(nullable=True)
    currency_id: Series[Text] = Field(nullable=True)
    terms_id: Series[Text] = Field(nullable=True)
    account_number: Series[Text] = Field(nullable=True)
    is_inactive: Series[Flag] = Field(nullable=True)
    external_id: Series[Text] = Field(nullable=True)
    created_at: Series[Instant] = Field(nullable=True)
    modified_at: Series[Instant] = Field(nullable=True)


VENDOR = RecordType(
    name="vendor",
    asset="vendors",
    shape="entity",
    header=Source(
        table="vendor",
        alias="v",
        columns=(
            Column("internal_id", "v.id", Kind.ID, optional=False),
            Column("entity_id", "v.entityid", optional=False),
            Column("company_name", "v.companyname"),
            Column("alt_name", "v.altname"),
            Column("first_name", "v.firstname"),
            Column("last_name", "v.lastname"),
            Column("legal_name", "v.legalname"),
            Column("is_person", "v.isperson", Kind.FLAG),
            Column("email", "v.email"),
            Column("phone", "v.phone"),
            Column("url", "v.url"),
            Column("currency_id", "v.currency", Kind.ID),  # absent without Multiple Currencies
            Column("terms_id", "v.terms", Kind.ID),
            Column("account_number", "v.accountnumber"),
            Column("is_inactive", "v.isinactive", Kind.FLAG),
            Column("external_id", "v.externalid"),
            Column("created_at", instant_text("v.datecreated"), Kind.INSTANT),
            Column("modified_at", instant_text("v.lastmodifieddate"), Kind.INSTANT, optional=False),
        ),
        key=("v.id",),
    ),
    lines=None,
    transaction_types=(),
    schema=Vendor,
    line_schema=None,
    netsuite_path="/app/common/entity/vendor.nl?id={id}",
)
