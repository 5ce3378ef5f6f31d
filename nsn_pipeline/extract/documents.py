"""Which transactions belong to which day, and their rows, read whole.

A transaction belongs to exactly one partition: the day of its *latest* change, header or line. One
that changed again after the window has moved on to a later partition; reading it here too would
only write it twice.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pandas as pd
import pyarrow as pa

from nsn_pipeline.clients.netsuite import NetSuiteClient
from nsn_pipeline.clients.suiteql import changed_between, changed_since
from nsn_pipeline.errors import MissingColumnError, MissingTableError
from nsn_pipeline.extract.window import Window
from nsn_pipeline.records.canonical import canonical_schema, to_canonical
from nsn_pipeline.records.registry import REGISTRY
from nsn_pipeline.records.spec import Column, Join, Kind, RecordType, Source

UTC_TEXT = 'TO_CHAR(SYS_EXTRACT_UTC({}),\'YYYY-MM-DD"T"HH24:MI:SS"Z"\')'

HEADER_STAMPS = Source(
    table="transaction",
    alias="t",
    columns=(
        Column("internal_id", "t.id", Kind.ID, optional=False),
        Column("changed_at", UTC_TEXT.format("t.lastmodifieddate"), Kind.INSTANT, optional=False),
    ),
    key=("t.id",),
)
LINE_STAMPS = Source(
    table="transactionline",
    alias="tl",
    columns=(
        Column("document_id", "tl.transaction", Kind.ID, optional=False),
        Column("line_id", "tl.id", Kind.ID, optional=False),
        Column(
            "changed_at", UTC_TEXT.format("tl.linelastmodifieddate"), Kind.INSTANT, optional=False
        ),
    ),
    key=("tl.transaction", "tl.id"),
    joins=(Join("transaction", "t", "t.id = tl.transaction", optional=False),),
    # A line stamp no later than its header's says nothing that the header's does not.
    where="tl.linelastmodifieddate > t.lastmodifieddate",
)
POSTING_ACCOUNTS = Source(
    table="transactionaccountingline",
    alias="tal",
    columns=(
        Column("document_id", "tal.transaction", Kind.ID, optional=False),
        Column("line_id", "tal.transactionline", Kind.ID, optional=False),
        Column("book_id", "tal.accountingbook", Kind.ID, optional=False),
        Column("posting_account_id", "tal.account", Kind.ID, optional=False),
    ),
    key=("tal.transaction", "tal.transactionline", "tal.accountingbook"),
    where="tal.account IS NOT NULL",
)
ORDER_LINKS = Source(
    table="nexttransactionlinelink",
    alias="l",
    columns=(
        Column("document_id", "l.nextdoc", Kind.ID, optional=False),
        Column("line_id", "l.nextline", Kind.ID, optional=False),
        Column("po_id", "l.previousdoc", Kind.ID, optional=False),
        Column("po_line_id", "l.previousline", Kind.ID, optional=False),
    ),
    key=("l.nextdoc", "l.nextline", "l.previousdoc", "l.previousline"),
    # The same order and bill are also joined by ShipRcpt rows (docs/facts/netsuite.md 6.5).
    where="l.linktype = 'OrdBill' AND l.previoustype = 'PurchOrd'",
)
BOOKS = Source(
    table="accountingbook",
    alias="ab",
    columns=(Column("internal_id", "ab.id", Kind.ID, optional=False),),
    key=("ab.id",),
    where="ab.isprimary = 'T'",
)
PRIMARY_BOOK = "1"  # as NetSuite numbers it
BOOK_COLUMN = "tal.accountingbook"


REREADS = 3  # one that changes more often while it is read is not written (`as_of`, decision 0022)

Complete = Callable[[pa.Table, Sequence[str]], pa.Table]


@dataclass(frozen=True, slots=True)
class Touched:
    """The transactions of a window by day; `moved_on` changed again after its end."""

    by_day: Mapping[str, tuple[str, ...]]
    changed_at: Mapping[str, datetime]
    moved_on: int

    def ids(self, day: str) -> tuple[str, ...]:
        return self.by_day.get(day, ())


@dataclass(slots=True)
class Reader:
    """Reads whole documents through one client; remembers the account's primary book."""

    client: NetSuiteClient
    _book: str = ""
    _books_are_one: bool = False

    def touched(
        self, window: Window, transaction_types: Sequence[str], *, posting: bool
    ) -> Touched:
        """Every transaction whose latest change, header or line, lies in the window.

        `transaction_types` may be empty for all types. Ids and one stamp each are all that is kept.
        """
        latest = self._header_stamps(window, transaction_types, posting=posting)
        for document, stamp in self._line_stamps(window, transaction_types, posting=posting):
            latest[document] = max(stamp, latest.get(document, stamp))
        by_day: dict[str, list[str]] = defaultdict(list)
        moved_on = 0
        for document in sorted(latest, key=int):
            if latest[document] in window:
                by_day[window.day_of(latest[document])].append(document)
            else:
                moved_on += 1
        return Touched({day: tuple(ids) for day, ids in by_day.items()}, latest, moved_on)

    def documents(
        self,
        record: RecordType,
        ids: Sequence[str],
        changed_at: Mapping[str, datetime],
        day: str,
        *,
        complete: Complete | None = None,
    ) -> tuple[pa.Table, pa.Table]:
        """Headers and lines that belong together; `complete` adds columns to the lines.

        Headers are read last, so a header newer than the stamp it was found by gives away a
        document that was edited meanwhile: it is read again, so that no old line stands under a new
        header. Column `as_of` is the last change the lines are known to hold; a header newer than
        it stays when the document never held still, and the load step leaves such a document alone.
        """
        brought = [identifier for identifier in ids if identifier not in changed_at]
        known = {**self.stamps(brought), **{i: changed_at[i] for i in ids if i in changed_at}}
        days = (changed_at, day)
        headers, lines = self._documents(record, ids, known, days, complete)
        for _ in range(REREADS):
            torn = _newer(headers, known)
            if not torn:
                break
            known |= torn
            again = self._documents(record, list(torn), known, days, complete)
            headers = pa.concat_tables([_without(headers, "internal_id", torn), again[0]])
            lines = pa.concat_tables([_without(lines, "document_id", torn), again[1]])
        return headers, lines

    def stamps(self, ids: Sequence[str]) -> dict[str, datetime]:
        """The latest change, header or line, of those of these transactions that are there."""
        latest: dict[str, datetime] = {}
        if not ids:
            return latest
        for page in self.client.rows_in(HEADER_STAMPS, "t.id", ids):
            latest.update((row["internal_id"], _instant(row["changed_at"])) for row in page)
        try:
            for page in self.client.rows_in(LINE_STAMPS, "tl.transaction", ids):
                for row in page:
                    document, stamp = row["document_id"], _instant(row["changed_at"])
                    latest[document] = max(stamp, latest.get(document, stamp))
        except MissingColumnError:
            pass  # noted when the window was read
        return latest

    def vendor_stamps(self, ids: Sequence[str]) -> dict[str, datetime]:
        """The latest change of those of these vendors that are there."""
        vendors = REGISTRY["vendor"].header
        columns = ("internal_id", "modified_at")
        pages = self.client.rows_in(vendors, f"{vendors.alias}.id", ids, columns=columns)
        return {
            row["internal_id"]: _instant(row["modified_at"])
            for page in pages
            for row in page
            if row.get("modified_at")
        }

    def _documents(
        self,
        record: RecordType,
        ids: Sequence[str],
        known: Mapping[str, datetime],
        days: tuple[Mapping[str, datetime], str],
        complete: Complete | None,
    ) -> tuple[pa.Table, pa.Table]:
        lines = self.lines(record, ids)
        if complete is not None:
            lines = complete(lines, ids)
        changed_at, day = days
        changed = {
            identifier: stamp for identifier, stamp in known.items() if identifier in changed_at
        }
        table = self._rows(record.header, f"{record.header.alias}.id", ids)
        return mark_change(table, "internal_id", changed, day, as_of=known), lines

    def lines(self, record: RecordType, ids: Sequence[str]) -> pa.Table:
        """All lines of the documents, main line included."""
        assert record.lines is not None  # noqa: S101 - only documents are asked for lines
        return self._rows(record.lines, f"{record.lines.alias}.transaction", ids)

    def postings(
        self, record: RecordType, ids: Sequence[str], changed_at: Mapping[str, datetime], day: str
    ) -> pa.Table:
        """GL rows of the primary accounting book; other books repeat every amount."""
        table = self._of_primary_book(record.header, ids)
        return mark_change(table, "document_id", changed_at, day)

    def with_accounts_and_orders(self, lines: pa.Table, ids: Sequence[str]) -> pa.Table:
        """Bill lines with the account each posted to and the order each bills."""
        return self.with_order_links(self.with_posting_accounts(lines, ids), ids)

    def with_posting_accounts(self, lines: pa.Table, ids: Sequence[str]) -> pa.Table:
        """Bill lines with the GL account they posted to; empty while a bill is not posting."""
        accounts = self._of_primary_book(POSTING_ACCOUNTS, ids)
        unique = _first_per(accounts, ["document_id", "line_id"], ["posting_account_id"])
        return _left_join(lines, unique, ["document_id", "line_id"])

    def with_order_links(self, lines: pa.Table, ids: Sequence[str]) -> pa.Table:
        """Bill lines with the purchase order and order line they bill, where NetSuite says so."""
        try:
            links = self._rows(ORDER_LINKS, "l.nextdoc", ids)
        except (MissingTableError, MissingColumnError):
            self.client.note(
                "nexttransactionlinelink is not readable: purchase orders of bills are taken from "
                "transactionline.createdfrom, without their lines"
            )
            links = _created_from(lines)
        unique = _first_per(links, ["document_id", "line_id"], ["po_id", "po_line_id"])
        return _left_join(lines, unique, ["document_id", "line_id"])

    def _header_stamps(
        self, window: Window, types: Sequence[str], *, posting: bool
    ) -> dict[str, datetime]:
        condition, params = changed_between("t.lastmodifieddate", window.start, window.end)
        where, params = _of_types(condition, params, types, posting=posting)
        latest: dict[str, datetime] = {}
        for page in self.client.pages(HEADER_STAMPS, where=where, params=params):
            latest.update((row["internal_id"], _instant(row["changed_at"])) for row in page)
        return latest

    def _line_stamps(
        self, window: Window, types: Sequence[str], *, posting: bool
    ) -> Iterator[tuple[str, datetime]]:
        # No upper bound: a later line edit is how we know that a document has moved on.
        condition, params = changed_since("tl.linelastmodifieddate", window.start)
        where, params = _of_types(condition, params, types, posting=posting)
        try:
            for page in self.client.pages(LINE_STAMPS, where=where, params=params):
                yield from ((row["document_id"], _instant(row["changed_at"])) for row in page)
        except MissingColumnError:
            self.client.note(
                "transactionline.linelastmodifieddate is not readable: only header changes are seen"
            )

    def _of_primary_book(self, source: Source, ids: Sequence[str]) -> pa.Table:
        """Accounting lines of one book; without Multi-Book they carry no book at all."""
        if not self._books_are_one:
            self._book = self._book or self._read_primary_book()
            where, params = f"{BOOK_COLUMN} = ?", (self._book,)
            try:
                return self._rows(source, "tal.transaction", ids, where=where, params=params)
            except MissingColumnError as error:
                if not error.name.endswith("accountingbook"):
                    raise
            self._books_are_one = True
            self.client.note(
                "transactionaccountingline.accountingbook is not available: the account is taken "
                f"to keep one book, book {PRIMARY_BOOK}"
            )
        # Were there several books after all, keys would repeat, and the client refuses that.
        return _with_book(self._rows(_without_book(source), "tal.transaction", ids), source)

    def _read_primary_book(self) -> str:
        try:
            books = [row["internal_id"] for page in self.client.pages(BOOKS) for row in page]
        except (MissingTableError, MissingColumnError):
            books = []
        if books:
            return books[0]
        # A role that may not read the book table still sees its id on accounting lines
        # (docs/facts/netsuite.md 6.1).
        self.client.note("accountingbook is not readable: the primary book is taken to be book 1")
        return PRIMARY_BOOK

    def _rows(
        self,
        source: Source,
        column: str,
        ids: Sequence[str],
        *,
        where: str = "",
        params: Sequence[str] = (),
    ) -> pa.Table:
        pages = self.client.rows_in(source, column, ids, where=where, params=params) if ids else ()
        return canonical_pages(pages, source)


def _newer(headers: pa.Table, known: Mapping[str, datetime]) -> dict[str, datetime]:
    """Documents whose header changed after the stamp they are known by, with the new stamp."""
    ids = headers.column("internal_id").to_pylist()
    stamps = headers.column("modified_at").to_pylist()
    return {
        identifier: stamp
        for identifier, stamp in zip(ids, stamps, strict=True)
        if stamp is not None and identifier in known and stamp > known[identifier]
    }


def _without(table: pa.Table, column: str, ids: Collection[str]) -> pa.Table:
    keep = [identifier not in ids for identifier in table.column(column).to_pylist()]
    return table.filter(pa.array(keep, pa.bool_()))


def canonical_pages(pages: Iterable[list[dict[str, str]]], source: Source) -> pa.Table:
    """All pages as one canonical table; the schema stands even when there is no row."""
    tables = [to_canonical(page, source) for page in pages]
    return pa.concat_tables([canonical_schema(source).empty_table(), *tables])


def _without_book(source: Source) -> Source:
    return replace(
        source,
        columns=tuple(column for column in source.columns if column.sql != BOOK_COLUMN),
        key=tuple(expression for expression in source.key if expression != BOOK_COLUMN),
    )


def _with_book(table: pa.Table, source: Source) -> pa.Table:
    """The table with the book column where the schema of `source` has it."""
    schema = canonical_schema(source)
    at = schema.get_field_index("book_id")
    return table.add_column(at, schema.field(at), pa.array([PRIMARY_BOOK] * len(table)))


def mark_change(
    table: pa.Table,
    id_column: str,
    changed_at: Mapping[str, datetime],
    day: str,
    *,
    as_of: Mapping[str, datetime] | None = None,
) -> pa.Table:
    """Add `change_day`, `changed_at`, `brought_by` (`change`, or `reference` when not in
    `changed_at`) and `as_of`, the latest change the row is known to hold.
    """
    ids = table.column(id_column).to_pylist()
    stamps = [changed_at.get(identifier) for identifier in ids]
    held = stamps if as_of is None else [as_of.get(identifier) for identifier in ids]
    return (
        table.append_column("change_day", pa.array([day] * len(stamps), pa.string()))
        .append_column("changed_at", pa.array(stamps, pa.timestamp("us", tz="UTC")))
        .append_column(
            "brought_by",
            pa.array(["reference" if stamp is None else "change" for stamp in stamps], pa.string()),
        )
        .append_column("as_of", pa.array(held, pa.timestamp("us", tz="UTC")))
    )


def _of_types(
    condition: str, params: Sequence[str], types: Sequence[str], *, posting: bool
) -> tuple[str, tuple[str, ...]]:
    parts, values = [condition], list(params)
    if types:
        parts.append(f"t.type IN ({', '.join('?' * len(types))})")
        values.extend(types)
    if posting:
        parts.append("t.posting = 'T'")
    return " AND ".join(parts), tuple(values)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _first_per(table: pa.Table, keys: list[str], values: list[str]) -> pd.DataFrame:
    frame = table.select([*keys, *values]).to_pandas(types_mapper=pd.ArrowDtype)
    return frame.drop_duplicates(keys, keep="first")


def _left_join(lines: pa.Table, right: pd.DataFrame, keys: list[str]) -> pa.Table:
    frame = lines.to_pandas(types_mapper=pd.ArrowDtype)
    joined = frame.merge(right, on=keys, how="left", validate="many_to_one")
    fields = [*lines.schema, *(pa.field(n, pa.string()) for n in right.columns if n not in keys)]
    return pa.Table.from_pandas(joined, schema=pa.schema(fields), preserve_index=False)


def _created_from(lines: pa.Table) -> pa.Table:
    created = lines.filter(lines.column("created_from_id").is_valid())
    columns = {
        "document_id": created.column("document_id"),
        "line_id": created.column("line_id"),
        "po_id": created.column("created_from_id"),
        "po_line_id": pa.nulls(created.num_rows, pa.string()),
    }
    return pa.table(columns)
