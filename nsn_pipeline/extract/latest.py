"""When NetSuite last changed records that are known by id: where a document is read now.

A document that was edited since it was judged has moved to a later day (docs/decisions/0001). One
that NetSuite does not name any more is deleted, or the role does not see it.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from nsn_pipeline.audit.replay import Latest
from nsn_pipeline.clients.netsuite import NetSuiteClient
from nsn_pipeline.errors import MissingColumnError
from nsn_pipeline.extract.documents import HEADER_STAMPS, LINE_STAMPS, UTC_TEXT
from nsn_pipeline.records.spec import Column, Kind, Source

HEADERS_NOW = replace(
    HEADER_STAMPS,
    columns=(*HEADER_STAMPS.columns, Column("posting", "t.posting", Kind.FLAG)),
)
VENDORS_NOW = Source(
    table="vendor",
    alias="v",
    columns=(
        Column("internal_id", "v.id", Kind.ID, optional=False),
        Column("changed_at", UTC_TEXT.format("v.lastmodifieddate"), Kind.INSTANT, optional=False),
    ),
    key=("v.id",),
)


def latest_transactions(client: NetSuiteClient, ids: Sequence[str]) -> dict[str, Latest]:
    """The latest stamp of each transaction, header or line; those that are gone are not named."""
    found: dict[str, Latest] = {}
    for page in client.rows_in(HEADERS_NOW, "t.id", ids):
        for row in page:
            stamp = datetime.fromisoformat(row["changed_at"])
            unposted = stamp if row.get("posting", "T") != "T" else None
            found[row["internal_id"]] = Latest(stamp, unposted)
    try:
        for page in client.rows_in(LINE_STAMPS, "tl.transaction", list(found)):
            for row in page:
                known = found[row["document_id"]]
                stamp = datetime.fromisoformat(row["changed_at"])
                if stamp > known.changed_at:
                    found[row["document_id"]] = replace(known, changed_at=stamp)
    except MissingColumnError:
        client.note("line change stamps are not readable: only header changes are seen")
    return found


def latest_vendors(client: NetSuiteClient, ids: Sequence[str]) -> dict[str, Latest]:
    """The change stamp of each vendor that is there."""
    return {
        row["internal_id"]: Latest(datetime.fromisoformat(row["changed_at"]))
        for page in client.rows_in(VENDORS_NOW, "v.id", ids)
        for row in page
    }
