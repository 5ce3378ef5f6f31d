"""Checks the chain of a trail, line by line, and says where it does not hold.

Pure: lines come in, findings go out. One fault is reported once: after it the chain is taken up
again from what the next lines themselves say.
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nsn_pipeline.audit.trail_entry import NO_HASH, chained, decode, split

_SEQ = re.compile(rb'^{"seq":(\d+),')
_HEALED = b'"event":"healed"'
_ENTRY = re.compile(rb',"hash":"[0-9a-f]{64}"}[^\n]')  # no crash leaves bytes like these


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a segment, as it stands there, with its line break where it has one."""

    segment: str
    number: int  # from 1, within the segment
    raw: bytes


@dataclass(frozen=True, slots=True)
class Anchor:
    """The end of the trail as it was noted elsewhere: an entry that must be there, unchanged."""

    seq: int
    hash: str
    source: str


@dataclass(frozen=True, slots=True)
class ChainFault:
    """Where the chain does not hold, and what that means."""

    kind: str  # "changed", "unreadable", "missing", "damaged", "rewritten", "cut off"
    segment: str
    line: int
    seq: int | None
    detail: str


@dataclass(slots=True)
class Verification:
    """The whole check. `notes` tell what is harmless: writes torn by a crash, and healed since."""

    entries: int = 0
    bytes: int = 0
    segments: list[str] = field(default_factory=list[str])
    seq: int = 0
    hash: str = NO_HASH
    faults: list[ChainFault] = field(default_factory=list[ChainFault])
    notes: list[str] = field(default_factory=list[str])
    anchors: list[Anchor] = field(default_factory=list[Anchor])

    @property
    def intact(self) -> bool:
        return not self.faults


def verify(lines: Iterable[Line], anchors: Sequence[Anchor] = ()) -> Verification:
    """Walk the whole chain. Reads each line once and keeps none."""
    walk = _Walk(_by_seq(anchors))
    for line in lines:
        walk.take(line)
    walk.end(anchors)
    return walk.result


class _Walk:
    """Where the walk stands: the last entry that held, and what came after it that did not."""

    def __init__(self, anchors: Mapping[int, Sequence[Anchor]]) -> None:
        self.result = Verification(anchors=[one for found in anchors.values() for one in found])
        self._anchors = anchors
        self._good = NO_HASH  # the hash of the last entry that held
        self._previous: Collection[str] = {NO_HASH}  # what the next may follow; empty: anything
        self._lost = False  # whether the last line may have swallowed others
        self._seq = 0
        self._bad = bytearray()  # bytes since the last entry that held
        self._bad_faults: list[ChainFault] = []
        # The same since the last line that is an entry, though a changed one.
        self._changed_hash = ""
        self._since = bytearray()
        self._since_faults: list[ChainFault] = []

    def take(self, line: Line) -> None:
        result = self.result
        result.bytes += len(line.raw)
        if not result.segments or result.segments[-1] != line.segment:
            result.segments.append(line.segment)
        text = line.raw.removesuffix(b"\n")
        parts = split(text)
        seq = _seq_of(text)
        if parts is None or seq is None:
            self._unreadable(line)
            return
        body, stated = parts
        if self._heals(line, body, stated, seq):
            return
        follows = self._follows(body, stated)
        expected = self._seq + 1
        in_order = seq == expected
        if not self._previous or (follows and in_order) or (self._lost and not in_order):
            self._hold(line, seq, stated)
        elif in_order:
            self._changed(line, body, stated, seq)
        elif self._follows(_renumbered(body, seq, expected), stated):
            self._changed(line, body, stated, expected)  # nothing but its number
        else:
            self._out_of_order(line, seq, stated)

    def end(self, anchors: Sequence[Anchor]) -> None:
        result = self.result
        torn, faults = (
            (self._since, self._since_faults)
            if self._changed_hash
            else (self._bad, self._bad_faults)
        )
        if torn and not torn.endswith(b"\n") and len(faults) == 1 and not _ENTRY.search(torn):
            # What a crash leaves: the last write, not whole. The next run heals it.
            result.faults.remove(faults[0])
            result.notes.append(
                f"the last write to {faults[0].segment} was torn by a crash "
                f"({len(torn)} bytes): the next run notes it and goes on"
            )
        for anchor in anchors:
            if anchor.seq > result.seq:
                lost = ChainFault(
                    "cut off",
                    result.segments[-1] if result.segments else "",
                    0,
                    anchor.seq,
                    f"entries {result.seq + 1} to {anchor.seq} are missing at the end: "
                    f"{anchor.source} knows entry {anchor.seq}",
                )
                result.faults.append(lost)

    def _follows(self, body: bytes, stated: str) -> bool:
        return any(chained(previous, body) == stated for previous in self._previous)

    def _hold(self, line: Line, seq: int, stated: str) -> None:
        result = self.result
        result.entries += 1
        result.seq, result.hash = seq, stated
        self._seq, self._good, self._previous = seq, stated, {stated}
        self._lost = False
        self._bad.clear()
        self._bad_faults.clear()
        self._since_anew("")
        for anchor in self._anchors.get(seq, ()):
            if anchor.hash != stated:
                detail = f"{anchor.source} knows entry {seq} with another hash: it was rewritten"
                result.faults.append(
                    ChainFault("rewritten", line.segment, line.number, seq, detail)
                )

    def _unreadable(self, line: Line) -> None:
        what = "is not a whole entry" if line.raw.endswith(b"\n") else "ends in the middle"
        self._fault(line, "unreadable", None, f"the line {what}")
        self._previous = frozenset()

    def _changed(self, line: Line, body: bytes, stated: str, seq: int) -> None:
        detail = "the line is not what was written: its content or its hash was changed"
        self._fault(line, "changed", seq, detail)
        # Which of the two was changed shows in the next line, which follows one of these.
        hashes = {chained(previous, body) for previous in self._previous}
        self._previous = {stated, *hashes}
        self._lost = not _is_entry(line.raw)
        self._since_anew("" if self._lost else stated)
        self._seq = seq
        self.result.entries += 1
        self.result.seq, self.result.hash = seq, stated

    def _out_of_order(self, line: Line, seq: int, stated: str) -> None:
        if seq > self._seq:
            detail = f"entries {self._seq + 1} to {seq - 1} are missing before this line"
        else:
            detail = f"entry {seq} stands where entry {self._seq + 1} belongs"
        self._fault(line, "missing", seq, detail)
        self._hold(line, seq, stated)

    def _fault(self, line: Line, kind: str, seq: int | None, detail: str) -> None:
        fault = ChainFault(kind, line.segment, line.number, seq, detail)
        self.result.faults.append(fault)
        self._bad_faults.append(fault)
        self._bad += line.raw
        self._since += line.raw
        self._since_faults.append(fault)

    def _since_anew(self, digest: str) -> None:
        self._changed_hash = digest
        self._since.clear()
        self._since_faults.clear()

    def _heals(self, line: Line, body: bytes, stated: str, seq: int) -> bool:
        """Whether the line is the note a later run made of bytes that were not whole."""
        if _HEALED not in body:
            return False
        if chained(self._good, body) == stated:
            torn, faults = bytes(self._bad), self._bad_faults
        elif self._changed_hash and chained(self._changed_hash, body) == stated:
            torn, faults = bytes(self._since), self._since_faults
        else:
            return False
        data = decode(line.raw).data
        if data.get("bytes") != len(torn) or data.get("sha256") != _sha256(torn):
            return False
        result = self.result
        for fault in faults:
            result.faults.remove(fault)
        if data.get("lines") or data.get("known") or _ENTRY.search(torn):
            self._damage(line, seq, data)
        else:
            result.notes.append(
                f"{line.segment} line {line.number}: a write torn by a crash "
                f"({len(torn)} bytes), noted by run {decode(line.raw).run_id}"
            )
        self._hold(line, seq, stated)
        return True

    def _damage(self, line: Line, seq: int, data: Mapping[str, object]) -> None:
        known, lines = data.get("known"), data.get("lines")
        if known:
            detail = f"entries {self._seq + 1} to {known} were written once and are gone"
        elif lines:
            detail = f"{lines} whole lines before this one had been changed"
        else:
            detail = "the line break of the entry before this one had been changed"
        detail += f", as the run that wrote entry {seq} found"
        self.result.faults.append(ChainFault("damaged", line.segment, line.number, seq, detail))


def healed_data(torn: bytes, known: int | None = None) -> dict[str, object]:
    """What a `healed` entry says of the bytes before it; `known`: last entry noted elsewhere."""
    data: dict[str, object] = {
        "bytes": len(torn),
        "sha256": _sha256(torn),
        "lines": torn.count(b"\n"),
    }
    return data if known is None else {**data, "known": known}


def taken_up(raw: bytes, seq: int, digest: str) -> tuple[int, str] | None:
    """Number and hash of a whole line after the entry `seq`; None when the line is none.

    A line that was changed is an entry still, and a fault that `verify` names: what follows is
    chained to what the line itself says.
    """
    parts = split(raw.removesuffix(b"\n"))
    if parts is None or not _is_entry(raw):
        return None
    body, stated = parts
    own = decode(raw).seq
    if chained(digest, body) == stated:
        return own, stated
    if not raw.endswith(b"\n"):
        return None
    if chained(digest, _renumbered(body, own, seq + 1)) == stated:
        return seq + 1, stated  # nothing but its number was changed
    return (own, stated) if own > seq else None


def _by_seq(anchors: Iterable[Anchor]) -> dict[int, list[Anchor]]:
    found: dict[int, list[Anchor]] = {}
    for anchor in anchors:
        found.setdefault(anchor.seq, []).append(anchor)
    return found


def _seq_of(text: bytes) -> int | None:
    found = _SEQ.match(text)
    return int(found.group(1)) if found else None


def _renumbered(body: bytes, seq: int, other: int) -> bytes:
    return body.replace(b'{"seq":%d,' % seq, b'{"seq":%d,' % other, 1)


def _is_entry(raw: bytes) -> bool:
    try:
        decode(raw)
    except ValueError:
        return False
    return True


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
