"""The audit trail on disk: append-only segments of JSON Lines, chained, below one folder per pair.

    trail-000001.jsonl   the entries; a new segment begins when one has reached its size
    lock                 held exclusively while entries are added: several processes write at once
    index.sqlite         derived, see `trail_index`

A batch is written in one go and synced to the disk before `append` returns. What a crash leaves of
a write stays where it is: the next writer ends the line and notes its bytes in an entry of its own;
nothing is ever removed (docs/decisions/0016). The end of the trail is also noted in Redis, so
that entries missing at the end are found. Apart from that the trail needs no Redis.
"""

import contextlib
import os
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from nsn_pipeline.audit.trail_chain import (
    Anchor,
    Line,
    Verification,
    healed_data,
    taken_up,
    verify,
)
from nsn_pipeline.audit.trail_entry import (
    NO_HASH,
    Draft,
    Entry,
    Event,
    chained,
    decode,
    documents_digest,
    encode,
    split,
)
from nsn_pipeline.errors import PermanentError, Where
from nsn_pipeline.state.file_locks import Deadline, exclusive
from nsn_pipeline.state.trail_index import Known, Place, TrailIndex

SEGMENT_BYTES = 64 * 1024 * 1024
LOCK_WAIT_S = 120.0
_TAIL_BYTES = 256 * 1024
_INDEXED_AT_ONCE = 5_000
_WHERE = Where("audit trail", "append")


class AnchorStore(Protocol):
    """A place apart from the trail that remembers how far it went."""

    def read(self) -> Mapping[str, tuple[int, str]]:
        """Sequence and hash of the last entry, per trail id."""
        ...

    def write(self, trail_id: str, seq: int, digest: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the trail."""

    trail_id: str
    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.trail_id}:{self.seq}:{self.hash}"


@dataclass(slots=True)
class _End:
    """Where the next entry goes."""

    segment: int
    offset: int  # the size of the segment
    seq: int
    hash: str
    torn: bytes = b""  # what follows the last good entry
    unended: bool = False  # the last line lacks its line break


class Trail:
    """The trail of one account pair and profile. Not for several threads at once."""

    def __init__(
        self,
        folder: Path,
        *,
        owner: Mapping[str, str],
        anchors: AnchorStore | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self.folder = folder
        self._owner = dict(owner)
        self._anchors = anchors
        self._clock = clock
        self._segment_bytes = segment_bytes
        self._end: _End | None = None
        self._trail_id = ""
        self._opened_index: TrailIndex | None = None

    def close(self) -> None:
        if self._opened_index is not None:
            self._opened_index.close()
            self._opened_index = None

    # --- writing ------------------------------------------------------------------------------

    def append(self, drafts: Iterable[Draft]) -> Head:
        """Add entries in this order, on disk when this returns.

        A list of documents that is the same as the last of its event, day and record type is
        written as a pointer to that entry.
        """
        wanted = list(drafts)
        if not wanted:
            return self.head()
        with self._locked():
            index = self._index()
            end = replace(self._end_to_write())  # the noted one stays true if this fails
            first, start = end.segment, end.offset
            lines: list[bytes] = []
            added: list[tuple[Entry, Place]] = []
            listed: dict[tuple[str, str | None, Event], tuple[str, int]] = {}
            at = self._clock()
            offset = start
            if end.unended:
                lines.append(b"\n")
                offset += 1
            known = self._known_elsewhere(end)
            preface = self._preface(end, wanted[0].run_id, known)
            end.seq = known or end.seq  # a number that was given once is never given again
            for draft in [*preface, *wanted]:
                same_as = _repeated(index, listed, draft, end.seq + 1)
                line, entry = encode(
                    draft, seq=end.seq + 1, at=at, previous=end.hash, same_as=same_as
                )
                end.seq, end.hash = entry.seq, entry.hash
                lines.append(line)
                added.append((entry, Place(end.seq, first, offset, len(line))))
                offset += len(line)
            content = b"".join(lines)
            self._write(first, content)
            end.offset, end.torn, end.unended = start + len(content), b"", False
            self._end = end
            with contextlib.suppress(sqlite3.Error):  # derived: caught up with by the next reader
                index.add(added)
            head = Head(self._id(), end.seq, end.hash)
            self._note_elsewhere(head)
        return head

    def _preface(self, end: _End, run_id: str, known: int | None) -> list[Draft]:
        """What must be said first: whose trail begins here, or that its end was not whole."""
        if end.seq == 0 and not end.torn:
            self._trail_id = uuid.uuid4().hex
            return [Draft(Event.STARTED, run_id, data={"trail": self._trail_id, **self._owner})]
        if end.torn or known:
            data = healed_data(end.torn + b"\n" * end.unended, known)
            data["lines"] = end.torn.count(b"\n")
            if end.seq == 0:
                self._trail_id = uuid.uuid4().hex
                data |= {"trail": self._trail_id, **self._owner}
            return [Draft(Event.HEALED, run_id, data=data)]
        return []

    def _note_elsewhere(self, head: Head) -> None:
        """Never backwards: what Redis knows beyond the end is the proof that it was there."""
        if self._anchors is None:
            return
        seq, _ = self._anchors.read().get(head.trail_id, (0, ""))
        if head.seq > seq:
            self._anchors.write(head.trail_id, head.seq, head.hash)

    def _known_elsewhere(self, end: _End) -> int | None:
        """The last entry Redis knows, when it is beyond the end: entries are missing there."""
        if self._anchors is None or end.seq == 0:
            return None
        seq, _ = self._anchors.read().get(self._id(), (0, ""))
        return seq if seq > end.seq else None

    def _write(self, segment: int, content: bytes) -> None:
        path = self._path(segment)
        new = not path.exists()
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        except OSError as error:
            self._end = None  # how much arrived is found out by looking
            raise PermanentError(
                f"cannot write {path}: {error.strerror}. Nothing is sent to ServiceNow that the "
                "audit trail cannot hold: make room, or correct the folder's permissions",
                where=_WHERE,
            ) from error
        finally:
            os.close(descriptor)
        if new:
            _sync_folder(self.folder)

    def _end_to_write(self) -> _End:
        """The end of the last segment, read again when another process has written since."""
        segments = self.segments()
        if not segments:
            return _End(1, 0, 0, NO_HASH)
        last = segments[-1]
        size = self._path(last).stat().st_size
        end = self._end
        if end is None or (end.segment, end.offset) != (last, size):
            end = self._read_end(last, size)
        if end.offset >= self._segment_bytes and not end.torn and not end.unended:
            return _End(last + 1, 0, end.seq, end.hash)
        return end

    def _read_end(self, segment: int, size: int) -> _End:
        tail = _read(self._path(segment), max(0, size - _TAIL_BYTES), size)
        lines = tail.splitlines(keepends=True)
        if len(lines) >= 3 and lines[-1].endswith(b"\n"):  # noqa: PLR2004 - the first may be cut
            previous, last = split(lines[-2][:-1]), split(lines[-1][:-1])
            if previous and last and chained(previous[1], last[0]) == last[1]:
                return _End(segment, size, decode(lines[-1]).seq, last[1])
        return self._search_end(segment, size)

    def _search_end(self, segment: int, size: int) -> _End:
        """The slow way, for a short segment or a torn end: walk the last segments forward."""
        good_seq, good_hash, torn = 0, NO_HASH, bytearray()
        before = [one for one in self.segments() if one < segment]
        for line in self._lines([*before[-1:], segment]):
            parts = split(line.raw.removesuffix(b"\n"))
            if line.number == 1 and good_seq == 0 and before and parts:
                # The first line of an earlier segment: its own word must do.
                good_seq, good_hash = decode(line.raw).seq, parts[1]
            elif found := taken_up(line.raw, good_seq, good_hash):
                good_seq, good_hash = found
                torn.clear()
            else:
                torn += line.raw
        unended = size > 0 and _read(self._path(segment), size - 1, size) != b"\n"
        return _End(segment, size, good_seq, good_hash, bytes(torn), unended)

    # --- reading ------------------------------------------------------------------------------

    def head(self) -> Head:
        """The end of the trail; sequence 0 when there is none yet."""
        segments = self.segments()
        if not segments:
            return Head("", 0, NO_HASH)
        end = self._read_end(segments[-1], self._path(segments[-1]).stat().st_size)
        return Head(self._id(), end.seq, end.hash)

    def known(self, record_type: str, ids: Sequence[str]) -> dict[str, Known]:
        """How these documents stood in the last entry that tells of each."""
        if not ids or not self.segments():
            return {}
        return self._caught_up().known(record_type, ids)

    def story(self, record_type: str, document_id: str) -> list[Entry]:
        """Every entry that tells of a document, in order."""
        if not self.segments():
            return []
        return list(self._entries_at(self._caught_up().mentions(record_type, document_id)))

    def entry(self, seq: int) -> Entry | None:
        """One entry by its number."""
        place = self._caught_up().place(seq) if self.segments() else None
        return None if place is None else next(self._entries_at([place]))

    def entries(self) -> Iterator[Entry]:
        """All of them, in order; lines that are none are left to `verify`."""
        for line in self._lines(self.segments()):
            with contextlib.suppress(ValueError):
                yield decode(line.raw)

    def verify(self, anchors: Sequence[Anchor] = ()) -> Verification:
        """Walk the whole chain and compare it with what was noted elsewhere."""
        with self._locked():  # a write under way would look torn
            noted, segments = self._noted(), self.segments()
            end = self._path(segments[-1]).stat().st_size if segments else 0
        return verify(self._lines(segments, end), [*noted, *anchors])

    def other_trails(self) -> dict[str, int]:
        """Trails of this pair and profile that Redis knows and this folder does not hold."""
        noted = {} if self._anchors is None else self._anchors.read()
        return {one: seq for one, (seq, _) in noted.items() if one != self._id()}

    def rebuild_index(self) -> Mapping[str, int]:
        """Make the index again from the segments."""
        with self._locked():
            self.close()
            self._opened_index = TrailIndex.new(self._index_path)
            self._catch_up(self._opened_index)
            return self._opened_index.counts()

    def segments(self) -> list[int]:
        """Numbers of the segments there are."""
        found = self.folder.glob("trail-[0-9]*.jsonl")
        return sorted(int(path.stem.removeprefix("trail-")) for path in found)

    # --- the index ----------------------------------------------------------------------------

    @property
    def _index_path(self) -> Path:
        return self.folder / "index.sqlite"

    def _caught_up(self) -> TrailIndex:
        with self._locked():
            return self._index()

    def _index(self) -> TrailIndex:
        """The index, made to end where the segments do. Needs the lock."""
        try:
            index = self._opened_index or TrailIndex.at(self._index_path)
            if index is not None and self._agrees(index):
                self._opened_index = index
                self._catch_up(index)
                return index
        except (sqlite3.Error, ValueError):
            pass  # damaged: it is derived, so it is made again
        self.close()
        self._opened_index = TrailIndex.new(self._index_path)
        self._catch_up(self._opened_index)
        return self._opened_index

    def _agrees(self, index: TrailIndex) -> bool:
        """Whether the entry the index ends with stands where the index says."""
        segment, offset, seq, digest = index.end()
        if seq == 0:
            return True
        place = index.place(seq)
        if place is None or not self._path(segment).exists():
            return False
        line = _read(self._path(segment), place.offset, offset)
        parts = split(line.removesuffix(b"\n"))
        return parts is not None and parts[1] == digest

    def _catch_up(self, index: TrailIndex) -> None:
        segment, offset, _, _ = index.end()
        batch: list[tuple[Entry, Place]] = []
        for number in self.segments():
            if number < segment:
                continue
            for line, at in self._placed(number, offset if number == segment else 0):
                with contextlib.suppress(ValueError):
                    entry = decode(line)
                    batch.append((entry, Place(entry.seq, number, at, len(line))))
                if len(batch) >= _INDEXED_AT_ONCE:
                    index.add(_once(batch))
                    batch.clear()
        if batch:
            index.add(_once(batch))

    # --- files --------------------------------------------------------------------------------

    def _id(self) -> str:
        """The id in the first entry; "" when that cannot be read."""
        if not self._trail_id and self.segments():
            first = next(self._lines(self.segments()[:1]), None)
            with contextlib.suppress(ValueError):
                self._trail_id = str(decode(first.raw).data.get("trail", "")) if first else ""
        return self._trail_id

    def _noted(self) -> list[Anchor]:
        noted = {} if self._anchors is None else self._anchors.read()
        seq, digest = noted.get(self._id(), (0, ""))
        return [Anchor(seq, digest, "Redis")] if seq else []

    def _entries_at(self, places: Iterable[Place]) -> Iterator[Entry]:
        for place in places:
            path = self._path(place.segment)
            yield decode(_read(path, place.offset, place.offset + place.length))

    def _lines(self, segments: Sequence[int], end: int | None = None) -> Iterator[Line]:
        """Every line, those of the last segment up to `end`."""
        for segment in segments:
            path = self._path(segment)
            limit = end if segment == segments[-1] else None
            for number, (raw, at) in enumerate(self._placed(segment, 0), start=1):
                if limit is not None and at >= limit:
                    return
                yield Line(path.name, number, raw)

    def _placed(self, segment: int, offset: int) -> Iterator[tuple[bytes, int]]:
        with self._path(segment).open("rb") as file:
            file.seek(offset)
            for raw in file:
                yield raw, offset
                offset += len(raw)

    def _path(self, segment: int) -> Path:
        return self.folder / f"trail-{segment:06}.jsonl"

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with exclusive(self.folder / "lock", Deadline(LOCK_WAIT_S, _WHERE)):
            yield


def _repeated(
    index: TrailIndex,
    listed: dict[tuple[str, str | None, Event], tuple[str, int]],
    draft: Draft,
    seq: int,
) -> int | None:
    """The entry that lists the same documents; notes this one as the last list otherwise."""
    if not draft.documents or draft.data:
        return None
    key = (draft.record_type, draft.day, draft.event)
    digest = documents_digest(draft.documents)
    last = listed.get(key) or index.last_set(*key)
    if last is not None and last[0] == digest:
        return last[1]
    listed[key] = (digest, seq)
    return None


def _once(batch: Sequence[tuple[Entry, Place]]) -> list[tuple[Entry, Place]]:
    """Of entries under one number (a damaged line, and the one that took its place) the last."""
    return list({entry.seq: (entry, place) for entry, place in batch}.values())


def _read(path: Path, start: int, end: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(end - start)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
