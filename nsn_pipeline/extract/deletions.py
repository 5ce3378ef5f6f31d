"""What NetSuite says is gone: the deletions it recorded, and transactions that post nothing.

A deleted record leaves only a row in `deletedrecord` (docs/facts/netsuite.md 6.1). How its `type`
is spelled for orders, bills and vendors is not documented, so every spelling that is known counts,
and a record is gone only when NetSuite does not find it in the same run.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pyarrow as pa

from nsn_pipeline.clients.netsuite import MAX_PAGE, NetSuiteClient, Row
from nsn_pipeline.clients.suiteql import changed_between, in_list, select
from nsn_pipeline.errors import MissingColumnError, MissingTableError
from nsn_pipeline.extract.documents import HEADER_STAMPS, UTC_TEXT
from nsn_pipeline.extract.window import Window
from nsn_pipeline.records.registry import REGISTRY
from nsn_pipeline.records.spec import Column, Kind, Source

DELETED = Source(
    table="deletedrecord",
    alias="d",
    columns=(
        Column("record_id", "d.recordid", Kind.ID, optional=False),
        Column("type", "d.type", Kind.ID),
        Column("script_id", "d.scriptid", Kind.ID),
        Column("record_type_id", "d.recordtypeid", Kind.ID),
        Column("name", "d.name"),
        Column("deleted_at", UTC_TEXT.format("d.deleteddate"), Kind.INSTANT, optional=False),
    ),
    key=("d.recordid",),
)
SCHEMA = pa.schema(
    [
        ("record_id", pa.string()),
        ("record_type", pa.string()),  # ours; empty when the deletion is none of ours
        ("netsuite_type", pa.string()),
        ("name", pa.string()),
        ("deleted_at", pa.timestamp("us", tz="UTC")),
        ("is_gone", pa.bool_()),
    ]
)
UNPOSTED_SCHEMA = pa.schema([("document_id", pa.string())])

_ORDER = ("purchaseorder", "purchord")
_BILL = ("vendorbill", "vendbill", "bill", "vendorcredit", "vendcred", "billcredit")
_PAYMENT = ("vendorpayment", "vendpymt", "billpayment")
_JOURNAL = ("journalentry", "journal", "intercompanyjournalentry", "advintercompanyjournalentry")
# Spellings of `type` and `scriptid`, lower case without blanks, hyphens and underscores.
SPELLINGS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(_ORDER, ("purchase_order",)),
    **dict.fromkeys(_BILL, ("vendor_bill", "gl_posting")),
    **dict.fromkeys((*_PAYMENT, *_JOURNAL), ("gl_posting",)),
    **dict.fromkeys(("vendor", "supplier"), ("vendor",)),
    "transaction": ("purchase_order", "vendor_bill", "gl_posting"),
}
_SECOND = timedelta(seconds=1)
_SILENT = ("t.posting = 'F' OR t.voided = 'T'", "t.posting = 'F'")  # not all accounts show `voided`
ASKED = 300  # ids at a time: other kinds of records may have the same ids, and a page is all we get


@dataclass(frozen=True, slots=True)
class Deletion:
    """One record of one of our types that was deleted; `is_gone` once NetSuite does not find it."""

    record_id: str
    record_type: str
    netsuite_type: str
    name: str | None
    deleted_at: datetime
    is_gone: bool = False


def read_deletions(
    client: NetSuiteClient, window: Window, own_spellings: Mapping[str, str]
) -> dict[str, list[Deletion]] | None:
    """Deletions by day, those of other kinds of records under record type ""; None when the role
    may not see any.

    `own_spellings` maps further spellings of a type to a record type (`NSN_DELETED_TYPES`).
    """
    try:
        rows = _rows(client, window.start, window.end)
    except (MissingTableError, MissingColumnError):
        return None
    spellings = _spellings(own_spellings)
    found = [deletion for row in rows for deletion in _deletions(row, spellings)]
    present = {name: _present(client, name, found) for name in {one.record_type for one in found}}
    by_day: dict[str, list[Deletion]] = {day: [] for day in window.days}
    for one in found:
        is_gone = one.record_type != "" and one.record_id not in present[one.record_type]
        by_day[window.day_of(one.deleted_at)].append(replace(one, is_gone=is_gone))
    return by_day


def deleted_at(
    client: NetSuiteClient, record_type: str, ids: Sequence[str], own_spellings: Mapping[str, str]
) -> dict[str, datetime]:
    """When NetSuite recorded the deletion of these; empty when the role may not see any."""
    spellings = _spellings(own_spellings)
    found: dict[str, datetime] = {}
    for start in range(0, len(ids), ASKED):
        wanted = in_list("d.recordid", ids[start : start + ASKED])
        try:
            rows = _page(client, wanted.where, wanted.params)
        except (MissingTableError, MissingColumnError):
            return {}
        for deletion in (one for row in rows for one in _deletions(row, spellings)):
            if deletion.record_type == record_type:
                known = found.get(deletion.record_id, deletion.deleted_at)
                found[deletion.record_id] = max(known, deletion.deleted_at)
    return found


def deletion_table(deletions: Iterable[Deletion]) -> pa.Table:
    """As it is landed."""
    return pa.Table.from_pylist(
        [{name: getattr(one, name) for name in SCHEMA.names} for one in deletions], schema=SCHEMA
    )


def read_unposted(
    client: NetSuiteClient, window: Window, transaction_types: Sequence[str]
) -> dict[str, list[str]]:
    """Transactions changed in the window that NetSuite shows as not posting, or voided, by day.

    That a transaction has no GL rows is no evidence by itself: a role that lost its view sees none
    either. This is.
    """
    condition, params = changed_between("t.lastmodifieddate", window.start, window.end)
    types = f"t.type IN ({', '.join('?' * len(transaction_types))})"
    by_day: dict[str, list[str]] = {day: [] for day in window.days}
    for silent in _SILENT:
        where = f"({condition}) AND {types} AND ({silent})"
        pages = client.pages(HEADER_STAMPS, where=where, params=(*params, *transaction_types))
        try:
            rows = [row for page in pages for row in page]
        except MissingColumnError:
            continue
        for row in rows:
            day = window.day_of(datetime.fromisoformat(row["changed_at"]))
            by_day[day].append(row["internal_id"])
        return by_day
    client.note("transaction.posting is not readable: postings that are gone stay in ServiceNow")
    return by_day


def still_unposted(client: NetSuiteClient, ids: Sequence[str]) -> set[str]:
    """Which of these transactions NetSuite shows as not posting, or voided, at this moment."""
    for silent in _SILENT if ids else ():
        try:
            pages = client.rows_in(HEADER_STAMPS, "t.id", ids, where=f"({silent})")
            return {row["internal_id"] for page in pages for row in page}
        except MissingColumnError:
            continue
    return set()


def still_present(client: NetSuiteClient, record_type: str, ids: Sequence[str]) -> set[str]:
    """Which of these records, said to be deleted, NetSuite finds at this moment."""
    source = REGISTRY["vendor"].header if record_type == "vendor" else HEADER_STAMPS
    pages = client.rows_in(source, f"{source.alias}.id", ids, columns=("internal_id",))
    return {row["internal_id"] for page in pages for row in page}


def _spellings(own: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    return {**SPELLINGS, **{_plain(word): (name,) for word, name in own.items()}}


def _rows(client: NetSuiteClient, start: datetime, end: datetime) -> list[Row]:
    """Every deletion of the span, which is halved until a part of it fits one page.

    The table has no key that is known to be unique, so it cannot be paged by one.
    """
    condition, params = changed_between("d.deleteddate", start, end)
    counted = client.query(
        f"SELECT COUNT(*) AS deletions FROM deletedrecord d WHERE {condition}",  # noqa: S608
        params,
    )
    count = int(counted[0]["deletions"])
    if count == 0:
        return []
    if count > MAX_PAGE and end - start > _SECOND:
        middle = (start + (end - start) / 2).replace(microsecond=0)
        middle = max(middle, start + _SECOND)
        return [*_rows(client, start, middle), *_rows(client, middle, end)]
    return _page(client, condition, params)


def _page(client: NetSuiteClient, condition: str, params: Sequence[str]) -> list[Row]:
    source = DELETED
    while True:
        statement = select(source, where=condition, params=params)
        try:
            return client.query(statement.text, statement.params)
        except MissingColumnError as error:
            missing = error.name.rpartition(".")[2]
            columns = tuple(c for c in source.columns if not c.sql.endswith(f".{missing}"))
            if len(columns) == len(source.columns):
                raise
            source = replace(source, columns=columns)


def _deletions(row: Row, spellings: Mapping[str, tuple[str, ...]]) -> list[Deletion]:
    said = [row[name] for name in ("type", "script_id", "record_type_id") if row.get(name)]
    names = next((spellings[_plain(word)] for word in said if _plain(word) in spellings), ("",))
    at = datetime.fromisoformat(row["deleted_at"])
    told = " ".join(said)
    return [Deletion(row["record_id"], name, told, row.get("name"), at) for name in names]


def _plain(word: str) -> str:
    return "".join(letter for letter in word.lower() if letter not in " _-")


def _present(client: NetSuiteClient, record_type: str, found: Sequence[Deletion]) -> set[str]:
    """Which of the records NetSuite still finds: deleted and made again, or not of this type."""
    if not record_type:
        return set()
    ids = [one.record_id for one in found if one.record_type == record_type]
    return still_present(client, record_type, ids)
