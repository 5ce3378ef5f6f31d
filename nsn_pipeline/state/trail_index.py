"""The index of a trail: which entries tell of a document, and how it stood in the last of them.

An SQLite file beside the segments. Derived: it is made again from them whenever it is missing, of
another layout, damaged, or does not end where they did. Only a holder of the trail's lock writes
it.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from typing import Any, NamedTuple, Self

from nsn_pipeline.audit.trail_entry import (
    Entry,
    Event,
    data_digest,
    documents_digest,
    instant_text,
)

LAYOUT = "1"
ASKED_AT_ONCE = 500
_VALUES_AT_ONCE = 900  # SQLite before 3.32 takes 999 in a statement
_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE types (code INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE entries (seq INTEGER PRIMARY KEY, segment INTEGER NOT NULL, offset INTEGER NOT NULL,
  length INTEGER NOT NULL, same_as INTEGER);
CREATE INDEX repeats ON entries (same_as) WHERE same_as IS NOT NULL;
CREATE TABLE mentions (type INTEGER NOT NULL, id TEXT NOT NULL, seq INTEGER NOT NULL,
  PRIMARY KEY (type, id, seq)) WITHOUT ROWID;
CREATE TABLE sets (type INTEGER NOT NULL, day TEXT NOT NULL, event TEXT NOT NULL,
  digest TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (type, day, event)) WITHOUT ROWID;
CREATE TABLE documents (type INTEGER NOT NULL, id TEXT NOT NULL, first_at TEXT NOT NULL,
  state TEXT NOT NULL, failing_since TEXT, digest TEXT, problems_seq INTEGER,
  PRIMARY KEY (type, id)) WITHOUT ROWID;
CREATE INDEX failing ON documents (type, state) WHERE state <> 'ok';
"""
# How a document stands after an entry; what is not here changes nothing.
_STATE = {
    Event.REJECTED: "rejected",
    Event.STILL_REJECTED: "rejected",
    Event.CURED: "cured",
    Event.FAILED: "failed",
    Event.STILL_FAILED: "failed",
    Event.NOTHING_TO_WRITE: "ok",
    Event.WRITTEN: "ok",
    Event.UNCHANGED: "ok",
    Event.RETIRED: "ok",
}
_TELLS_PROBLEMS = (Event.REJECTED, Event.FAILED)


@dataclass(frozen=True, slots=True)
class Known:
    """How a document stood in the last entry that told of it."""

    first_at: str
    state: str  # "ok", "rejected", "cured" (past the gate, not written yet), "failed"
    failing_since: str | None
    digest: str | None  # of its last problems
    problems_seq: int | None


class Place(NamedTuple):
    """Where an entry stands."""

    seq: int
    segment: int
    offset: int
    length: int


class TrailIndex:
    """Open it with `at`, which refuses (returns None for) what cannot be trusted."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    @classmethod
    def at(cls, path: Path) -> Self | None:
        """The index in this file, or None when there is none of this layout."""
        if not path.exists():
            return None
        connection = _opened(path)
        try:
            found = connection.execute("SELECT value FROM meta WHERE name = 'layout'").fetchone()
            if found == (LAYOUT,):
                return cls(connection)
        except sqlite3.DatabaseError:
            pass
        connection.close()
        return None

    @classmethod
    def new(cls, path: Path) -> Self:
        """An empty index in place of what is there.

        Emptied in one transaction: other processes may have the file open, and go on with it. Only
        a file that is no database is removed.
        """
        try:
            return cls._emptied(path)
        except sqlite3.OperationalError:
            raise  # locked, or no room: to remove it would harm who has it open
        except sqlite3.DatabaseError:
            pass
        for one in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            one.unlink(missing_ok=True)
        return cls._emptied(path)

    @classmethod
    def _emptied(cls, path: Path) -> Self:
        connection = _opened(path)
        try:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                tables = "SELECT name FROM sqlite_schema WHERE type = 'table'"
                for (name,) in connection.execute(tables).fetchall():
                    connection.execute(f'DROP TABLE "{name}"')
                for statement in _SCHEMA.split(";"):
                    connection.execute(statement)
                index = cls(connection)
                index._say("layout", LAYOUT)
        except sqlite3.Error:
            connection.close()
            raise
        return index

    def close(self) -> None:
        self._db.close()

    def end(self) -> tuple[int, int, int, str]:
        """Segment and offset up to which it is made, and sequence and hash of the last entry."""
        found = dict(self._db.execute("SELECT name, value FROM meta").fetchall())
        return (
            int(found.get("segment", 0)),
            int(found.get("offset", 0)),
            int(found.get("seq", 0)),
            found.get("hash", ""),
        )

    def add(self, entries: Iterable[tuple[Entry, Place]]) -> None:
        """Take in the entries that follow, all of them or none."""
        with self._db:
            last: tuple[Entry, Place] | None = None
            for plain, some in groupby(entries, key=_is_plain):
                told = list(some)
                last = told[-1]
                if plain:
                    self._add_plain(told)
                else:
                    for entry, place in told:
                        self._add(entry, place)
            if last is not None:
                entry, place = last
                self._say("segment", str(place.segment))
                self._say("offset", str(place.offset + place.length))
                self._say("seq", str(entry.seq))
                self._say("hash", entry.hash)

    def place(self, seq: int) -> Place | None:
        row = self._db.execute(
            "SELECT seq, segment, offset, length FROM entries WHERE seq = ?", (seq,)
        ).fetchone()
        return None if row is None else Place(*row)

    def mentions(self, record_type: str, document_id: str) -> list[Place]:
        """Every entry that tells of a document, those included that only repeat another's list."""
        rows = self._db.execute(
            """
            WITH own AS (SELECT seq FROM mentions WHERE type = ? AND id = ?)
            SELECT seq, segment, offset, length FROM entries WHERE seq IN own OR same_as IN own
            ORDER BY seq
            """,
            (self._type(record_type), document_id),
        )
        return [Place(*row) for row in rows]

    def known(self, record_type: str, ids: Sequence[str]) -> dict[str, Known]:
        """How these documents stood, those of which anything is told."""
        code = self._type(record_type)
        found: dict[str, Known] = {}
        for start in range(0, len(ids), ASKED_AT_ONCE):
            part = ids[start : start + ASKED_AT_ONCE]
            marks = ",".join("?" * len(part))
            query = (
                "SELECT id, first_at, state, failing_since, digest, problems_seq FROM documents"  # noqa: S608 - marks only
                f" WHERE type = ? AND id IN ({marks})"
            )
            for document_id, *told in self._db.execute(query, (code, *part)):
                found[document_id] = Known(*told)
        return found

    def last_set(self, record_type: str, day: str | None, event: Event) -> tuple[str, int] | None:
        """Digest and entry of the last list of this event, day and record type."""
        row: Any = self._db.execute(
            "SELECT digest, seq FROM sets WHERE type = ? AND day = ? AND event = ?",
            (self._type(record_type), day or "", event.value),
        ).fetchone()
        return row

    def counts(self) -> Mapping[str, int]:
        """Entries and documents told of."""
        names = ("entries", "mentions", "documents")
        with closing(self._db.cursor()) as cursor:
            return {
                name: cursor.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # noqa: S608 - fixed names
                for name in names
            }

    def _add_plain(self, told: Sequence[tuple[Entry, Place]]) -> None:
        """The same as one by one: none of them changes what another says."""
        self._insert(
            "OR REPLACE INTO entries",
            "(?, ?, ?, ?, NULL)",
            [(place.seq, place.segment, place.offset, place.length) for _, place in told],
        )
        codes = {name: self._code(name) for name in {entry.record_type for entry, _ in told}}
        keys = [(codes[entry.record_type], entry.document_id, entry) for entry, _ in told]
        self._mention([(code, one, entry.seq) for code, one, entry in keys])
        self._know([(code, one, instant_text(entry.at)) for code, one, entry in keys])

    def _mention(self, rows: Sequence[tuple[int, str | None, int]]) -> None:
        self._insert("OR IGNORE INTO mentions", "(?, ?, ?)", rows)

    def _know(self, rows: Sequence[tuple[int, str | None, str]]) -> None:
        """Documents that were not told of before; how those stand that were stays."""
        marks = "(?, ?, ?, 'ok', NULL, NULL, NULL)"
        self._insert("OR IGNORE INTO documents", marks, rows)

    def _insert(self, what: str, marks: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Many rows a statement.

        With every statement this thread hands Python's interpreter lock over to those that send
        meanwhile, and waits to get it back; `executemany` runs one statement a row.
        """
        at_once = _VALUES_AT_ONCE // marks.count("?")
        for start in range(0, len(rows), at_once):
            part = rows[start : start + at_once]
            statement = f"INSERT {what} VALUES {','.join([marks] * len(part))}"  # noqa: S608 - marks only
            self._db.execute(statement, list(chain.from_iterable(part)))

    def _add(self, entry: Entry, place: Place) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)",
            (entry.seq, place.segment, place.offset, place.length, entry.same_as),
        )
        if not entry.record_type:
            return
        code = self._code(entry.record_type)
        at = instant_text(entry.at)
        if entry.same_as is not None:
            self._repeat(entry, code, at)
            return
        documents = entry.documents
        if documents:
            self._db.execute(
                "INSERT OR REPLACE INTO sets VALUES (?, ?, ?, ?, ?)",
                (code, entry.day or "", entry.event.value, documents_digest(documents), entry.seq),
            )
        elif entry.document_id is not None:
            documents = (entry.document_id,)
        self._mention([(code, one, entry.seq) for one in documents])
        self._know([(code, one, at) for one in documents])
        self._stand(entry, code, documents, at)

    def _stand(self, entry: Entry, code: int, documents: Sequence[str], at: str) -> None:
        state = _STATE.get(entry.event)
        if state is None:
            return
        if state == "ok":
            for start in range(0, len(documents), ASKED_AT_ONCE):
                part = documents[start : start + ASKED_AT_ONCE]
                self._db.execute(
                    "UPDATE documents SET state = 'ok', failing_since = NULL, digest = NULL,"  # noqa: S608 - marks only
                    f" problems_seq = NULL WHERE type = ? AND id IN ({','.join('?' * len(part))})"
                    " AND state <> 'ok'",
                    (code, *part),
                )
            return
        keys = [(code, one) for one in documents]
        self._db.executemany(
            "UPDATE documents SET state = ?, failing_since = coalesce(failing_since, ?)"
            " WHERE type = ? AND id = ?",
            [(state, at, *key) for key in keys],
        )
        if entry.event in _TELLS_PROBLEMS:
            digest = data_digest({"problems": entry.data.get("problems", [])})
            self._db.executemany(
                "UPDATE documents SET digest = ?, problems_seq = ? WHERE type = ? AND id = ?",
                [(digest, entry.seq, *key) for key in keys],
            )

    def _repeat(self, entry: Entry, code: int, at: str) -> None:
        """What an entry that lists the documents of an earlier one changes: rarely anything."""
        if _STATE.get(entry.event) == "ok":
            listed = self._db.execute(
                "SELECT d.id FROM documents d JOIN mentions m"
                " ON m.type = d.type AND m.id = d.id AND m.seq = ?"
                " WHERE d.type = ? AND d.state <> 'ok'",
                (entry.same_as, code),
            ).fetchall()
            self._stand(entry, code, [one for (one,) in listed], at)

    def _code(self, record_type: str) -> int:
        self._db.execute("INSERT OR IGNORE INTO types (name) VALUES (?)", (record_type,))
        row = self._db.execute("SELECT code FROM types WHERE name = ?", (record_type,))
        return row.fetchone()[0]

    def _type(self, record_type: str) -> int | None:
        """Asked every time: another process may have added it, or made the index again."""
        row = self._db.execute("SELECT code FROM types WHERE name = ?", (record_type,)).fetchone()
        return None if row is None else row[0]

    def _say(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))


def _is_plain(told: tuple[Entry, Place]) -> bool:
    """Whether an entry tells of one document, and not how it stands."""
    entry, _ = told
    return (
        entry.event not in _STATE
        and entry.same_as is None
        and bool(entry.record_type)
        and entry.document_id is not None
        and not entry.documents
    )


def _opened(path: Path) -> sqlite3.Connection:
    # One thread at a time, and not always the same: who sends a share tells of it (`load.writer`).
    connection = sqlite3.connect(
        path, timeout=60, isolation_level="IMMEDIATE", check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
