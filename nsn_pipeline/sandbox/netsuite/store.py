"""The account's data: one SQLite file, with the load and administration surface of the simulator.

Writes go through one lock and one transaction each, and move `data_version`, which every cache
keys on. Readers have a connection per thread (WAL: they never wait for a writer).
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path

from nsn_pipeline.sandbox.netsuite.functions import register_decimals
from nsn_pipeline.sandbox.netsuite.kinds import LOADERS, Kind, Stored, utc_text
from nsn_pipeline.sandbox.netsuite.tables import CUSTOM_RECORD, TABLES, Column, Table, parse_columns

Row = Mapping[str, str | None]
_CUSTOM_PREFIXES = ("custbody", "custcol", "custentity", "custrecord", "custitem")
_SQL_TYPES = {Kind.INT: "INTEGER", Kind.NUM: "TEXT COLLATE DEC"}
_STATISTICS_AFTER_ROWS = 5_000
# The children that go with a transaction when it is deleted.
_CHILDREN = (
    ("transactionline", "transaction"),
    ("transactionaccountingline", "transaction"),
    ("nexttransactionlinelink", "nextdoc"),
    ("nexttransactionlinelink", "previousdoc"),
)
_UNLOGGED = frozenset({"transactionline", "transactionaccountingline", "nexttransactionlinelink",
                       "deletedrecord", "vendorsubsidiaryrelationship"})  # fmt: skip


class StoreError(ValueError):
    """Rows or names that do not fit the account's tables."""


class Store:
    """Tables of one account; safe to share between threads, and between processes on one file."""

    def __init__(
        self,
        path: Path | str,
        *,
        clock: Callable[[], float] = time.time,
        configure: Callable[[sqlite3.Connection], None] = register_decimals,
    ) -> None:
        self.path = Path(path)
        self.clock = clock
        self._configure = configure
        self._local = threading.local()
        self._write_lock = threading.RLock()
        self._opened: list[sqlite3.Connection] = []
        self._catalogue: tuple[int, dict[str, Table]] = (-1, {})

    # -- connections ---------------------------------------------------------------------------

    def connection(self) -> sqlite3.Connection:
        """This thread's connection."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = sqlite3.connect(
                self.path, isolation_level=None, timeout=60, check_same_thread=False
            )
            found.execute("PRAGMA journal_mode = WAL")
            found.execute("PRAGMA synchronous = OFF")  # a sandbox outlives crashes of its own only
            found.execute("PRAGMA cache_size = -65536")
            self._configure(found)
            self._local.connection = found
            self._opened.append(found)
        return found

    def close(self) -> None:
        """Close every thread's connection; the store is of no use afterwards."""
        for connection in self._opened:
            with suppress(sqlite3.Error):
                connection.close()
        self._opened.clear()
        self._local = threading.local()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One write transaction; the data version moves if it commits."""
        with self._write_lock:
            connection = self.connection()
            if connection.in_transaction:  # nested: the outermost one commits
                yield connection
                return
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("UPDATE ns_meta SET value = value + 1 WHERE name = 'version'")
            except BaseException:
                connection.execute("ROLLBACK")
                self._catalogue = (-1, {})
                raise
            connection.execute("COMMIT")

    @property
    def data_version(self) -> int:
        """Grows with every committed write, by whatever process."""
        row = self.connection().execute("SELECT value FROM ns_meta WHERE name = 'version'")
        return int(row.fetchone()[0])

    # -- schema --------------------------------------------------------------------------------

    def create_schema(self) -> None:
        """Create what is not there yet; an existing file keeps its rows."""
        with self._write_lock:
            connection = self.connection()
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS ns_meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL)"
            )
            connection.execute("INSERT OR IGNORE INTO ns_meta VALUES ('version', 1), ('schema', 0)")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS ns_custom (tbl TEXT, name TEXT, kind TEXT, ref TEXT,"
                " PRIMARY KEY (tbl, name))"
            )
            for table in TABLES.values():
                for statement in _ddl(table):
                    connection.execute(statement)
            connection.execute("COMMIT")

    def tables(self) -> dict[str, Table]:
        """All tables by name, custom fields and custom records included."""
        connection = self.connection()
        row = connection.execute("SELECT value FROM ns_meta WHERE name = 'schema'").fetchone()
        version, known = self._catalogue
        if version == row[0]:
            return known
        extra: dict[str, dict[str, Column]] = {}
        for name, column, kind, ref in connection.execute(
            "SELECT tbl, name, kind, ref FROM ns_custom ORDER BY rowid"
        ):
            columns = extra.setdefault(name, {})
            if column:
                columns[column] = Column(column, Kind(kind), ref)
        found = {name: table.with_columns(extra.pop(name, {})) for name, table in TABLES.items()}
        found |= {name: _custom_record(name).with_columns(rest) for name, rest in extra.items()}
        self._catalogue = (row[0], found)
        return found

    def table(self, name: str) -> Table:
        """One table, or StoreError."""
        found = self.tables().get(name)
        if found is None:
            raise StoreError(f"there is no table {name!r}")
        return found

    def add_custom_record(self, name: str, fields: Mapping[str, str] | None = None) -> None:
        """A custom record type; `fields` maps `custrecord_...` to a kind, or `int>table`."""
        if not name.startswith("customrecord"):
            raise StoreError(f"custom record names start with 'customrecord': {name!r}")
        with self.transaction() as connection:
            if name not in self.tables():
                connection.execute("INSERT INTO ns_custom VALUES (?, '', 'text', NULL)", (name,))
                for statement in _ddl(_custom_record(name)):
                    connection.execute(statement)
                self._schema_changed(connection)
            for field, notation in (fields or {}).items():
                kind, _, ref = notation.partition(">")
                self.add_custom_column(name, field, kind or "text", ref or None)

    def add_custom_column(
        self, table: str, name: str, kind: str = "text", ref: str | None = None
    ) -> None:
        """A custom field; a field that is there already stays as it is."""
        if not name.startswith(_CUSTOM_PREFIXES) or not name.isidentifier():
            raise StoreError(
                f"{table} has no column {name!r}; only custom fields (cust...) may be added"
            )
        if name in self.table(table).columns:
            return
        with self.transaction() as connection:
            column = Column(name, Kind(kind), ref)
            connection.execute(
                "INSERT INTO ns_custom VALUES (?, ?, ?, ?)", (table, name, column.kind.value, ref)
            )
            connection.execute(f'ALTER TABLE "{table}" ADD COLUMN {_column_ddl(column)}')
            self._schema_changed(connection)

    @staticmethod
    def _schema_changed(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE ns_meta SET value = value + 1 WHERE name = 'schema'")

    # -- rows ----------------------------------------------------------------------------------

    def insert(self, table: str, rows: Iterable[Row], *, replace: bool = False) -> int:
        """Load text rows: empty is null, T/F flags, `...Z` instants, decimal text, ISO dates.

        Unknown custom fields are added as text. Anything else that does not fit raises
        StoreError with the row, the column and the value; then nothing of the call is kept.
        """
        if table.startswith("customrecord") and table not in self.tables():
            self.add_custom_record(table)
        target = self.table(table)
        ignore = target.view_of is not None
        if target.view_of is not None:
            # The mirror tables hold the same pairs: what is there already is no news.
            if "previousline" not in target.columns:
                raise StoreError(f"{table} is derived from {target.view_of}: load that one")
            target = self.table(target.view_of)
        verb = "INSERT OR REPLACE" if replace else "INSERT OR IGNORE" if ignore else "INSERT"
        count = 0
        with self.transaction() as connection:
            for names, group in groupby(rows, key=tuple):
                converters = self._converters(target.name, names)
                sql = (
                    f'{verb} INTO "{target.name}" ({", ".join(map(_quoted, names))}) '
                    f"VALUES ({', '.join('?' * len(names))})"
                )
                batch = [
                    _convert(target, converters, row, count + index)
                    for index, row in enumerate(group, start=1)
                ]
                try:
                    connection.executemany(sql, batch)
                except sqlite3.IntegrityError as error:
                    raise StoreError(f"{table}: {error}") from error
                count += len(batch)
        if count >= _STATISTICS_AFTER_ROWS:
            self.optimize()
        return count

    def update_row(
        self, table: str, key: Row | str | int, changes: Row, *, stamp: bool = True
    ) -> None:
        """Change one row; `stamp` moves its modification instant, as an edit in NetSuite does."""
        target = self.table(table)
        values: dict[str, str | None] = dict(changes)
        converters = self._converters(table, tuple(values))
        stored = dict(
            zip(values, _convert(target, converters, values, 1, partial=True), strict=True)
        )
        stamp_column = "lastmodified" if target.custom else target.stamp
        if stamp and stamp_column and stamp_column not in stored:
            stored[stamp_column] = utc_text(self.clock())
        where, bound = self._where(target, key)
        assignments = ", ".join(f"{_quoted(column)} = ?" for column in stored)
        with self.transaction() as connection:
            done = connection.execute(
                f'UPDATE "{table}" SET {assignments} WHERE {where}',
                (*stored.values(), *bound),
            )
            if done.rowcount != 1:
                raise StoreError(f"{table} has no row {key!r}")

    def delete_row(self, table: str, key: Row | str | int) -> None:
        """Hard-delete a record: afterwards only `deletedrecord` knows. Deleted lines leave no
        trace.
        """
        target = self.table(table)
        where, bound = self._where(target, key)
        with self.transaction() as connection:
            found = connection.execute(f'SELECT * FROM "{table}" WHERE {where}', bound)
            names = [item[0] for item in found.description]
            row = found.fetchone()
            if row is None:
                raise StoreError(f"{table} has no row {key!r}")
            old = dict(zip(names, row, strict=True))
            connection.execute(f'DELETE FROM "{table}" WHERE {where}', bound)
            if table == "transaction":
                for child, column in _CHILDREN:
                    connection.execute(f'DELETE FROM "{child}" WHERE "{column}" = ?', (old["id"],))
            if table not in _UNLOGGED:
                self._log_deletion(connection, target, old)

    def _log_deletion(
        self, connection: sqlite3.Connection, table: Table, old: Mapping[str, Stored]
    ) -> None:
        name = next(
            (old[c] for c in ("tranid", "entityid", "itemid", "name", "fullname") if old.get(c)),
            None,
        )
        sort = old.get("recordtype") if table.name == "transaction" else table.name
        connection.execute(
            "INSERT INTO deletedrecord (recordid, type, scriptid, name, deleteddate, context,"
            " iscustomrecord, iscustomlist, iscustomtransaction)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, 'F', 'F')",
            (old["id"], sort, table.name if table.custom else None, name, utc_text(self.clock()),
             "UIF", "T" if table.custom else "F"),
        )  # fmt: skip

    def optimize(self) -> None:
        """Let SQLite look at the data again, so that it picks good indexes."""
        with self._write_lock:
            self.connection().execute("ANALYZE")

    # -- helpers -------------------------------------------------------------------------------

    def _converters(
        self, table: str, names: Sequence[str]
    ) -> list[tuple[str, Callable[[str], Stored]]]:
        columns = self.table(table).columns
        for name in names:
            if name not in columns:
                self.add_custom_column(table, name)
        columns = self.table(table).columns
        return [(name, LOADERS[columns[name].kind]) for name in names]

    @staticmethod
    def _where(table: Table, key: Row | str | int) -> tuple[str, tuple[Stored, ...]]:
        if isinstance(key, str | int):
            key = {"id": str(key)}
        unknown = [name for name in key if name not in table.columns]
        if unknown or not key:
            raise StoreError(f"{table.name} has no columns {unknown} to find a row by")
        bound = tuple(
            None if value is None else LOADERS[table.columns[name].kind](value)
            for name, value in key.items()
        )
        return " AND ".join(f"{_quoted(name)} IS ?" for name in key), bound


def _convert(
    table: Table,
    converters: list[tuple[str, Callable[[str], Stored]]],
    row: Row,
    number: int,
    *,
    partial: bool = False,
) -> tuple[Stored, ...]:
    values: list[Stored] = []
    for name, convert in converters:
        text = row[name]
        try:
            values.append(None if text is None or text == "" else convert(text))
        except ValueError as error:
            raise StoreError(f"{table.name} row {number}, column {name}: {error}") from error
    if not partial:
        given = {name: value for (name, _), value in zip(converters, values, strict=True)}
        for name in table.key:
            if given.get(name) is None:
                raise StoreError(f"{table.name} row {number}: the key column {name} is empty")
    return tuple(values)


def _quoted(name: str) -> str:
    return f'"{name}"'


def _column_ddl(column: Column) -> str:
    kind = _SQL_TYPES.get(column.kind, "TEXT")
    return f'"{column.name}" {kind}{" NOT NULL" if column.key else ""}'


def _custom_record(name: str) -> Table:
    return Table(
        name,
        parse_columns(CUSTOM_RECORD),
        "{r}.name",
        (("lastmodified",),),
        "lastmodified",
        custom=True,
    )


def _ddl(table: Table) -> list[str]:
    if table.view_of:
        names = ", ".join(map(_quoted, table.columns))
        distinct = "" if "previousline" in table.columns else "DISTINCT "
        query = f'SELECT {distinct}{names} FROM "{table.view_of}"'
        return [f'CREATE VIEW IF NOT EXISTS "{table.name}" AS {query}']
    body = [_column_ddl(column) for column in table.columns.values()]
    if table.key:
        body.append(f"PRIMARY KEY ({', '.join(map(_quoted, table.key))})")
    statements = [f'CREATE TABLE IF NOT EXISTS "{table.name}" ({", ".join(body)})']
    if "externalid" in table.columns:
        statements.append(_index(table.name, ("externalid",)))
    statements += [_index(table.name, columns) for columns in table.indexes]
    if table.unique:
        statements.append(_index(table.name, table.unique, "UNIQUE "))
    return statements


def _index(table: str, columns: tuple[str, ...], unique: str = "") -> str:
    return (
        f'CREATE {unique}INDEX IF NOT EXISTS "ix_{table}_{"_".join(columns)}" '
        f'ON "{table}" ({", ".join(map(_quoted, columns))})'
    )
