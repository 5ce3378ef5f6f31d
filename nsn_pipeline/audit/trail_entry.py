"""One line of the audit trail: what it says, its bytes, and the hash that chains it to the last.

    {"seq":12,"at":"2026-03-02T10:00:00.123456Z","run":"...","day":"2026-03-02","type":"vendor_bill",
     "event":"rejected","id":"4086607", ... ,"hash":"<sha256>"}

The hash covers the hash of the line before and the very bytes of this line up to `,"hash"`, so that
a line is checked as it stands in the file, without a canonical form to agree on: sha256(previous
hash + line without its hash). See docs/decisions/0016.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from nsn_pipeline.audit.trail_privacy import may_hold_iban, without_ibans

NO_HASH = "0" * 64
_END = re.compile(rb',"hash":"([0-9a-f]{64})"}$')
_SPAN = 3  # consecutive numbers worth writing as a span


class Event(StrEnum):
    """What an entry tells. Codes that exports rely on: add to them, never rename one."""

    STARTED = "started"  # the first entry: which trail, and whose
    HEALED = "healed"  # the entries after the last good one were not whole when the next came
    ACCEPTED = "accepted"  # the gate let these documents through
    NOTHING_TO_WRITE = "nothing_to_write"  # accepted, and ServiceNow needs no record of it
    REJECTED = "rejected"  # one document, every problem
    STILL_REJECTED = "still_rejected"  # these documents, for the same problems as before
    CURED = "cured"  # one document passed the gate: what made the difference
    SENDING = "sending"  # one document, one table: field by field, before it is sent
    WRITTEN = "written"  # these documents are proven in ServiceNow, after something was sent
    UNCHANGED = "unchanged"  # these documents were in ServiceNow as wanted: nothing was sent
    FAILED = "failed"  # one document could not be written whole, every problem
    STILL_FAILED = "still_failed"
    LEFT = "left"  # the row to keep in step vanished from ServiceNow meanwhile
    RETIRED = "retired"  # these documents are gone from NetSuite, and were retired in ServiceNow


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be written down: about one document, or about many to which the same happened."""

    event: Event
    run_id: str
    record_type: str = ""
    day: str | None = None
    document_id: str | None = None
    documents: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Entry(NamedTuple):  # one for every record sent, and a dataclass takes twice as long to make
    """A draft that stands in the trail. `same_as` names the entry that lists its documents."""

    seq: int
    at: datetime
    event: Event
    run_id: str
    record_type: str
    day: str | None
    document_id: str | None
    documents: tuple[str, ...]
    same_as: int | None
    data: Mapping[str, Any]
    hash: str


def encode(
    draft: Draft, *, seq: int, at: datetime, previous: str, same_as: int | None = None
) -> tuple[bytes, Entry]:
    """The line with its line break, and the entry that it is."""
    fields: dict[str, Any] = {"seq": seq, "at": instant_text(at), "run": draft.run_id}
    if draft.day is not None:
        fields["day"] = draft.day
    if draft.record_type:
        fields["type"] = draft.record_type
    fields["event"] = draft.event.value
    if draft.document_id is not None:
        fields["id"] = draft.document_id
    if same_as is not None:
        fields["same_as"] = same_as
    elif draft.documents:
        fields["of"] = packed(draft.documents)
    data = draft.data
    if data:
        fields["data"] = data
    body = orjson.dumps(fields)
    if data and may_hold_iban(body):
        data = fields["data"] = without_ibans(data)
        body = orjson.dumps(fields)
    digest = chained(previous, body)
    entry = Entry(
        seq=seq,
        at=at,
        event=draft.event,
        run_id=draft.run_id,
        record_type=draft.record_type,
        day=draft.day,
        document_id=draft.document_id,
        documents=unpacked(fields["of"]) if "of" in fields else (),
        same_as=same_as,
        data=data,
        hash=digest,
    )
    return body[:-1] + b',"hash":"' + digest.encode() + b'"}\n', entry


def decode(line: bytes) -> Entry:
    """The entry of a line, its hash taken on trust. Raises ValueError when it is none."""
    try:
        fields: dict[str, Any] = orjson.loads(line)
        return Entry(
            seq=int(fields["seq"]),
            at=datetime.fromisoformat(fields["at"]),
            event=Event(fields["event"]),
            run_id=fields["run"],
            record_type=fields.get("type", ""),
            day=fields.get("day"),
            document_id=fields.get("id"),
            documents=unpacked(fields.get("of", {})),
            same_as=fields.get("same_as"),
            data=fields.get("data", {}),
            hash=fields["hash"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from error


def split(line: bytes) -> tuple[bytes, str] | None:
    """What the hash covers of a line without its line break, and the hash it states."""
    found = _END.search(line)
    return None if found is None else (line[: found.start()] + b"}", found.group(1).decode())


def chained(previous: str, body: bytes) -> str:
    """The hash of a body that follows an entry with the hash `previous`."""
    return hashlib.sha256(previous.encode() + body).hexdigest()


def packed(documents: Sequence[str]) -> dict[str, Any]:
    """Ids in short: runs of consecutive numbers as [first, last], everything else as it is."""
    numbers = sorted({int(one) for one in documents if _is_plain_number(one)})
    others = sorted({one for one in documents if not _is_plain_number(one)})
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    short = [span for span in spans if span[1] - span[0] + 1 < _SPAN]
    ids = [str(number) for first, last in short for number in range(first, last + 1)]
    long = [span for span in spans if span[1] - span[0] + 1 >= _SPAN]
    return {name: value for name, value in (("ids", [*ids, *others]), ("spans", long)) if value}


def unpacked(of: Mapping[str, Any]) -> tuple[str, ...]:
    """The ids that `packed` put together, in the order people count."""
    ids: list[str] = list(of.get("ids", ()))
    for first, last in of.get("spans", ()):
        ids.extend(str(number) for number in range(first, last + 1))
    return tuple(sorted(ids, key=lambda one: (len(one), one)))


def documents_digest(documents: Sequence[str]) -> str:
    """The same for the same ids, in any order."""
    return hashlib.sha256(orjson.dumps(sorted(set(documents)))).hexdigest()[:32]


def data_digest(data: Mapping[str, Any]) -> str:
    """The same for the same content."""
    return hashlib.sha256(orjson.dumps(data, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


@lru_cache(maxsize=64)  # all entries of a call carry one instant
def instant_text(at: datetime) -> str:
    """UTC, with microseconds, so that texts sort as instants do."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _is_plain_number(text: str) -> bool:
    """Whether the text is what its number is written as: "007" is not."""
    return text.isascii() and text.isdigit() and len(text) < 16 and str(int(text)) == text  # noqa: PLR2004 - exact in any JSON reader
