"""A document's life, attempt by attempt, from the entries that tell of it.

Pure. An attempt is what one run did with the document: the gate's verdict, what it sent, how that
ended. An attempt that sent something and never said how it ended belongs to a run that was cut
short; the next one finds in ServiceNow what became of it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nsn_pipeline.audit.trail_entry import Entry, Event

_ENDS: dict[Event, str] = {
    Event.REJECTED: "rejected",
    Event.STILL_REJECTED: "rejected",
    Event.FAILED: "failed",
    Event.STILL_FAILED: "failed",
    Event.WRITTEN: "written",
    Event.UNCHANGED: "unchanged",
    Event.NOTHING_TO_WRITE: "nothing to write",
    Event.RETIRED: "retired",
    Event.LEFT: "left",
}
_WHOLE = frozenset({"written", "unchanged", "retired"})  # every record of it was proven
STANDING = {
    "rejected": "rejected: it may not be written",
    "failed": "failed: it could not be written whole",
    "written": "in ServiceNow",
    "unchanged": "in ServiceNow",
    "nothing to write": "accepted: ServiceNow needs no record of it",
    "retired": "retired: gone from NetSuite",
    "left": "its record vanished from ServiceNow",
    "cut short": "not known: the run ended before it said how the write went",
    "accepted": "accepted, not written yet",
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one run did with a document."""

    run_id: str
    entries: tuple[Entry, ...]

    @property
    def at(self) -> datetime:
        return self.entries[0].at

    @property
    def told_at(self) -> int:
        """Where in the trail its last entry stands."""
        return max(entry.seq for entry in self.entries)

    @property
    def day(self) -> str | None:
        return next((entry.day for entry in self.entries if entry.day is not None), None)

    @property
    def outcome(self) -> str:
        """A key of `STANDING`."""
        ends = [_ENDS[entry.event] for entry in self.entries if entry.event in _ENDS]
        if ends:
            return ends[-1]
        return "cut short" if self.of(Event.SENDING) else "accepted"

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing to tell but the outcome."""
        return not any(entry.data for entry in self.entries)

    def of(self, event: Event) -> list[Entry]:
        return [entry for entry in self.entries if entry.event is event]


@dataclass(frozen=True, slots=True)
class Story:
    """Every attempt in the order they began, and how the document stands.

    It stands as the run left it that spoke of it last: of two at once, the one that began first may
    be the one that ends last.
    """

    record_type: str
    document_id: str
    attempts: tuple[Attempt, ...]

    @property
    def first_seen(self) -> datetime:
        return self.attempts[0].at

    @property
    def outcome(self) -> str:
        return self._told[-1].outcome

    @property
    def standing(self) -> str:
        return STANDING[self.outcome]

    @property
    def failing_since(self) -> datetime | None:
        """When the present failure began."""
        since: datetime | None = None
        for attempt in self._told:
            if attempt.outcome in {"rejected", "failed"}:
                since = since or attempt.at
            elif attempt.outcome not in {"accepted", "cut short", "left"}:
                since = None
        return since

    @property
    def document(self) -> dict[str, str]:
        """Number, vendor, office and amount as the last rejection told them; {} when none did."""
        told = [entry for attempt in self.attempts for entry in attempt.of(Event.REJECTED)]
        return dict(told[-1].data.get("document", {})) if told else {}

    @property
    def sys_ids(self) -> dict[str, dict[str, str]]:
        """The records it was written to: table -> external key -> sys_id."""
        return _sent_to(entry for entry, is_proven in self._sent() if is_proven)

    @property
    def unproven_sys_ids(self) -> dict[str, dict[str, str]]:
        """Those something was sent to, of which nothing says that they are there."""
        proven = self.sys_ids
        sent = _sent_to(entry for entry, is_proven in self._sent() if not is_proven)
        left = {
            table: {k: v for k, v in records.items() if proven.get(table, {}).get(k) != v}
            for table, records in sent.items()
        }
        return {table: records for table, records in left.items() if records}

    @property
    def _told(self) -> list[Attempt]:
        """The attempts by when they last spoke."""
        return sorted(self.attempts, key=lambda one: one.told_at)

    def _sent(self) -> Iterator[tuple[Entry, bool]]:
        """What was sent, and whether it was proven: by the end of its own attempt, or by that of
        one which began after it and so looked it up. One that ran beside it need not have.
        """
        whole = [one for one in self.attempts if one.outcome in _WHOLE]
        for attempt in self.attempts:
            for entry in attempt.of(Event.SENDING):
                yield (
                    entry,
                    any(
                        (one is attempt and one.told_at > entry.seq)
                        or one.entries[0].seq > entry.seq
                        for one in whole
                    ),
                )

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        since = self.failing_since
        return {
            "record_type": self.record_type,
            "document_id": self.document_id,
            "document": self.document,
            "first_seen": self.first_seen.isoformat(),
            "standing": self.outcome,
            "failing_since": since.isoformat() if since else None,
            "sys_ids": self.sys_ids,
            "unproven_sys_ids": self.unproven_sys_ids,
            "attempts": [
                {
                    "run": attempt.run_id,
                    "at": attempt.at.isoformat(),
                    "day": attempt.day,
                    "outcome": attempt.outcome,
                    "entries": [
                        {"seq": e.seq, "at": e.at.isoformat(), "event": e.event.value, **e.data}
                        for e in attempt.entries
                    ],
                }
                for attempt in self.attempts
            ],
        }


def _sent_to(entries: Iterable[Entry]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for entry in entries:
        for record in entry.data["records"]:
            if record["sys_id"]:
                found.setdefault(entry.data["table"], {})[record["key"]] = record["sys_id"]
    return found


def story(record_type: str, document_id: str, entries: Iterable[Entry]) -> Story | None:
    """The document's life; None when nothing tells of it."""
    by_run: dict[str, list[Entry]] = {}
    for entry in entries:
        by_run.setdefault(entry.run_id, []).append(entry)
    attempts = tuple(Attempt(run_id, tuple(found)) for run_id, found in by_run.items())
    return Story(record_type, document_id, attempts) if attempts else None


def condensed(attempts: Sequence[Attempt]) -> list[tuple[Attempt, list[Attempt]]]:
    """Attempts with those that only repeat their outcome put behind the first of them."""
    found: list[tuple[Attempt, list[Attempt]]] = []
    for attempt in attempts:
        last = found[-1] if found else None
        if last and attempt.is_plain and last[0].is_plain and attempt.outcome == last[0].outcome:
            last[1].append(attempt)
        else:
            found.append((attempt, []))
    return found


def cure_text(cure: dict[str, Any]) -> str:
    """One sentence: what made the difference."""
    what = cure.get("reference") or cure.get("column") or ""
    how = cure["how"]
    if how == "override":
        subject = cure.get("netsuite_code") or f"internal id {cure.get('netsuite_id')}"
        office = f", subsidiary {cure['subsidiary_id']}" if cure.get("subsidiary_id") else ""
        owner = f", owner {cure['owner']}" if cure.get("owner") else ""
        note = f' ("{cure["note"]}")' if cure.get("note") else ""
        return (
            f"{what}: {cure['file']} line {cure['line']} maps {subject}{office} to "
            f"{cure['servicenow_code']}{owner}{note}; it is sys_id {cure['sys_id']}"
        )
    if how == "account":
        code, sys_id = cure["servicenow_code"], cure["sys_id"]
        return f"{what}: ServiceNow has {code} usable now, sys_id {sys_id}"
    if how == "supplier":
        return f"{what}: the vendor itself is accepted now"
    return f"{what}: no longer found; the document or its references were corrected"
