"""Which open documents a cure concerns, and which days have to run for them.

Pure: it is told what is open, how references resolve now and when documents last changed. A replay
is always a whole day, read, mapped and written anew; nothing here touches a stored payload.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from nsn_pipeline.conform.crosswalk import Crosswalk, Override, ReferenceRow
from nsn_pipeline.conform.remedies import MAPPING_FILES

Key = tuple[str, str]  # record type, document id

CODES = ("gl_account", "cost_center")  # kinds of references that the crosswalk resolves
# These may stand in a day because a document of the day names them (docs/decisions/0001).
BROUGHT_BY_REFERENCE = frozenset({"vendor", "purchase_order"})
NOUNS = {
    "gl_account": "GL account",
    "cost_center": "cost center",
    "vendor": "vendor",
    "purchase_order": "purchase order",
    "purchase_order_line": "purchase order line",
}
_LINE = "_line"


@dataclass(frozen=True, slots=True)
class OpenDocument:
    """A document that is refused, failed, or loaded without a link it should have."""

    record_type: str
    document_id: str
    status: str
    day: str  # the partition it was last judged in; "" for dimensions, which have none
    reasons: tuple[str, ...]
    references: tuple[str, ...]
    run_id: str
    judged_from: datetime  # when the run that judged it began: what it knew is no older
    # Dagster's own count of that run, which no clock moves, and when it was created.
    run_number: int = 0
    run_created: datetime | None = None
    # Of one accepted and never written: when its run ended, and how many had failed before that.
    unwritten_since: datetime | None = None
    tries: int = 0

    @property
    def key(self) -> Key:
        """What tells it apart."""
        return self.record_type, self.document_id

    @property
    def name(self) -> str:
        """As people type it."""
        return f"{self.record_type}:{self.document_id}"


@dataclass(frozen=True, slots=True)
class Cure:
    """How something that documents wait for resolves now.

    `today`: it does, for a document of today. `ever`: it does for one of some date. `digest`
    changes with anything that the answer depends on.
    """

    reference: str
    today: bool
    ever: bool
    words: str
    digest: str

    @property
    def sentence(self) -> str:
        """`GL account 7160 is now in ServiceNow`."""
        return f"{named(self.reference)} {self.words}"


@dataclass(frozen=True, slots=True)
class Seen:
    """Since when a reference is known to resolve as it does now. `due`: worth a replay.

    `partly`: it was first seen to resolve for other dates only, which may be as it always was.
    `runs`: the number of the newest run there was then.
    """

    digest: str
    since: datetime
    due: bool
    partly: bool = False
    runs: int = 0


@dataclass(frozen=True, slots=True)
class Latest:
    """When NetSuite last changed a record, header or line; for one that does not post, its header
    alone: that is the change by which a run of the day finds it.
    """

    changed_at: datetime
    unposted_at: datetime | None = None


@dataclass(slots=True)
class Placement:
    """Documents by the day that reads them now, and those NetSuite neither shows nor tells to be
    deleted: no day is known to read them, and they stay open.
    """

    by_day: dict[str, list[OpenDocument]] = field(default_factory=lambda: defaultdict(list))
    moved: dict[Key, str] = field(default_factory=dict)  # to another day than they were judged in
    unseen: list[OpenDocument] = field(default_factory=list)


# --- how references resolve -----------------------------------------------------------------------


def kind_of(reference: str) -> str:
    """`gl_account` of `gl_account:7160`."""
    return reference.partition(":")[0]


def named(reference: str) -> str:
    """`GL account 7160`, `vendor 451`."""
    kind, _, key = reference.partition(":")
    return f"{NOUNS.get(kind, kind.replace('_', ' '))} {key}"


def codes_wanted(crosswalk: Crosswalk, references: Iterable[str]) -> set[str]:
    """The ServiceNow codes that decide whether these references resolve."""
    return {
        code
        for reference in references
        if kind_of(reference) == crosswalk.kind
        for code in _targets(crosswalk, reference, _overrides(crosswalk, reference))
    }


def code_cure(crosswalk: Crosswalk, reference: str, on: date) -> Cure:
    """How a GL account or cost center resolves, by the rows and overrides it depends on."""
    overrides = _overrides(crosswalk, reference)
    rows = [
        row
        for code in sorted(_targets(crosswalk, reference, overrides))
        for row in crosswalk.rows.get(code, ())
    ]
    if not _ids(crosswalk, reference) and any(crosswalk.codes.values()):
        # Renumbered in NetSuite since: its documents are on another code now. (A dimension without
        # any code proves nothing.)
        return Cure(reference, True, True, "is no longer a code in NetSuite", _digest("renumbered"))
    today = crosswalk.cured(reference, on)
    ever = today or any(crosswalk.cured(reference, day) for day in _days_of(rows, overrides))
    facts = [*map(str, overrides)]
    facts += [f"{r.code} {r.sys_id} {r.active} {r.valid_from} {r.valid_to}" for r in rows]
    return Cure(reference, today, ever, _how(crosswalk, reference, on), _digest(*facts))


def record_of(reference: str) -> Key:
    """The document whose loading a reference waits for: of an order's line, the order."""
    kind, _, key = reference.partition(":")
    if kind.endswith(_LINE):
        return kind.removesuffix(_LINE), key.rpartition("-")[0] or key
    return kind, key


def record_cure(reference: str, content: str | None) -> Cure:
    """How a supplier or an order resolves; `content` is a digest of what was loaded, or None."""
    there = content is not None
    return Cure(reference, there, there, "is now loaded", _digest(content or ""))


def watched(
    cures: Iterable[Cure], seen: Mapping[str, Seen], now: datetime, runs: int
) -> dict[str, Seen]:
    """What to remember until the next look; `now` and the newest run are of after this one.

    Whatever lets it resolve for some date counts: an account may have been re-opened for a past
    period only. Where that does not help a document, it is replayed in vain once.
    """
    found: dict[str, Seen] = {}
    for cure in cures:
        before = seen.get(cure.reference)
        if before is not None and before.digest == cure.digest:
            # Fewer runs than there were: they were wiped, and numbers are given again.
            found[cure.reference] = replace(before, runs=min(before.runs, runs))
        else:
            partly = cure.ever and not cure.today and before is None
            found[cure.reference] = Seen(cure.digest, now, cure.today or cure.ever, partly, runs)
    return found


def due(documents: Iterable[OpenDocument], seen: Mapping[str, Seen]) -> list[OpenDocument]:
    """Documents whose last judgement did not know how a reference resolves now.

    A run that began after the change was first seen has judged with it: what it refused again is
    left alone until something changes again.
    """
    return [
        document
        for document in documents
        if any(
            (known := seen.get(reference)) is not None
            and known.due
            and (not known.partly or refused_as_missing(document, reference))
            and not _judged_with(document, known)
            for reference in document.references
        )
    ]


def _judged_with(document: OpenDocument, known: Seen) -> bool:
    """Whether its run began after the change was first seen.

    A run that was there before, and by its own clock was not, ran while the clock was ahead: when
    it began is not known. What waited in a queue began later than it was created.
    """
    if document.run_number > known.runs:
        return True
    ahead = document.run_created is not None and document.run_created > known.since
    return document.judged_from >= known.since and not ahead


def refused_as_missing(document: OpenDocument, reference: str) -> bool:
    """Whether its run found no such code at all: one that resolves for any date is news to it.

    One refused as inactive has met the code as it may still be.
    """
    kind = kind_of(reference).upper()
    return f"MISSING_{kind}" in document.reasons and f"INACTIVE_{kind}" not in document.reasons


def packed(seen: Mapping[str, Seen], after: str = "") -> str:
    """The cursor of the sensor: `after` is the day that the last tick came to."""
    rows = {
        reference: [
            *(known.digest, known.since.timestamp()),
            *(int(known.due), int(known.partly), known.runs),
        ]
        for reference, known in sorted(seen.items())
    }
    return json.dumps({"seen": rows, "after": after}, separators=(",", ":"))


def unpacked(cursor: str | None) -> tuple[dict[str, Seen], str]:
    """What a cursor remembers; one of another layout remembers nothing, which costs one replay."""
    try:
        known = json.loads(cursor or "{}")
        seen = {
            str(reference): Seen(
                str(digest),
                datetime.fromtimestamp(since, UTC),
                bool(is_due),
                bool(partly),
                int(runs),
            )
            for reference, (digest, since, is_due, partly, runs) in known["seen"].items()
        }
        return seen, str(known["after"])
    except (ValueError, TypeError, AttributeError, KeyError):
        return {}, ""


def portion(
    documents: Iterable[OpenDocument], after: str, most: int
) -> tuple[list[OpenDocument], str]:
    """The first `most` documents by day, beginning behind `after`, and the day that this came to;
    "" when it came to the end. Round by round, none is left out for ever.
    """
    ordered = sorted(documents, key=lambda one: (one.day <= after, one.day, one.key))
    if len(ordered) <= most:
        return ordered, ""
    return ordered[:most], ordered[most - 1].day


# --- where documents are read ---------------------------------------------------------------------


def place(
    documents: Iterable[OpenDocument],
    latest: Mapping[Key, Latest],
    deleted: Mapping[Key, datetime],
    day_of: Callable[[datetime], str],
    *,
    known: Collection[str],
    loaded: Collection[str],
) -> Placement:
    """Find the day that reads each document as NetSuite holds it now.

    `known` are all partitions, `loaded` those that were ever loaded. A vendor or order that stands
    in a day because a document there names it may itself have last changed on a day that nobody
    asked for: it is then read where it was judged, never by beginning a history on its own.
    A document that was deleted, or does not post any more, is closed by the day of that change: its
    run has the evidence (docs/decisions/0019).
    """
    placed = Placement()
    for document in documents:
        now = latest.get(document.key)
        if now is None:
            at = deleted.get(document.key)
            day = "" if at is None else day_of(at)
            if day not in known:
                placed.unseen.append(document)
                continue
        elif document.record_type == "gl_posting" and now.unposted_at is not None:
            day = day_of(now.unposted_at)
        else:
            day = day_of(now.changed_at)
        by_reference = now and document.record_type in BROUGHT_BY_REFERENCE and day not in loaded
        if day not in known or by_reference:
            day = document.day
        if day != document.day:
            placed.moved[document.key] = day
        placed.by_day[day].append(document)
    return placed


def spans(
    days: Iterable[str], *, longest: int, alone: Collection[str] = ()
) -> list[tuple[str, ...]]:
    """Unbroken runs of at most `longest` days; no day is added to fill a gap.

    Days of `alone` stay on their own: another run may want one of them at the same time.
    """
    found: list[list[str]] = []
    for day in sorted(set(days)):
        last = found[-1] if found else None
        follows = last is not None and _next(last[-1]) == day and len(last) < longest
        if last is not None and follows and day not in alone and last[-1] not in alone:
            last.append(day)
        else:
            found.append([day])
    return [tuple(span) for span in found]


def failure_key(days: Sequence[str], documents: Iterable[OpenDocument]) -> str:
    """Names one failure: these documents, as these runs left them, read on these days.

    Until one of them is judged again it stays the same, and it is asked for once.
    """
    parts = sorted(f"{document.name}@{document.run_id}" for document in documents)
    return _digest(*days, "|", *parts)


# --- words ----------------------------------------------------------------------------------------


def announced(
    cures: Iterable[Cure], by_day: Mapping[str, Sequence[OpenDocument]], verb: str = "requested"
) -> list[str]:
    """`GL account 7160 is now in ServiceNow: 412 documents of 87 days requested`."""
    lines: list[tuple[int, str]] = []
    for cure in cures:
        counts = {
            day: sum(cure.reference in document.references for document in documents)
            for day, documents in by_day.items()
        }
        total = sum(counts.values())
        if total:
            days = sum(count > 0 for count in counts.values())
            told = f"{counted(total, 'document')} of {counted(days, 'day')} {verb}"
            lines.append((total, f"{cure.sentence}: {told}"))
    return [line for _, line in sorted(lines, key=lambda one: (-one[0], one[1]))]


def unwritten_text(by_day: Mapping[str, Iterable[OpenDocument]], verb: str = "requested") -> str:
    """`12 accepted documents of 2 days were never written: requested`; "" for none."""
    counts = [
        sum(one.unwritten_since is not None for one in documents) for documents in by_day.values()
    ]
    if not any(counts):
        return ""
    days = counted(sum(count > 0 for count in counts), "day")
    were = "was" if sum(counts) == 1 else "were"
    return f"{counted(sum(counts), 'accepted document')} of {days} {were} never written: {verb}"


def unseen_text(documents: Sequence[OpenDocument]) -> str:
    """What to say of documents that NetSuite does not show; "" for none."""
    if not documents:
        return ""
    names = ", ".join(one.name for one in documents[:3])
    more = f" and {len(documents) - 3:,} more" if len(documents) > 3 else ""  # noqa: PLR2004
    return (
        f"NetSuite does not show {counted(len(documents), 'document')} ({names}{more}): deleted, "
        "or hidden from the role. Left open"
    )


def counted(number: int, noun: str) -> str:
    """`1 day`, `87 days`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


# --- inside ---------------------------------------------------------------------------------------


def _ids(crosswalk: Crosswalk, reference: str) -> list[str]:
    key = reference.partition(":")[2]
    if key.startswith("#"):
        return [key[1:]]
    return [internal_id for internal_id, code in crosswalk.codes.items() if code == key]


def _codes(crosswalk: Crosswalk, reference: str) -> set[str]:
    """The NetSuite codes of a reference: itself, or what its internal id was given since."""
    found = {crosswalk.codes.get(internal_id) for internal_id in _ids(crosswalk, reference)}
    return {code for code in found if code}


def _overrides(crosswalk: Crosswalk, reference: str) -> list[Override]:
    ids, codes = set(_ids(crosswalk, reference)), _codes(crosswalk, reference)
    return [
        override
        for override in crosswalk.overrides
        if override.netsuite_id in ids or override.netsuite_code in codes
    ]


def _targets(crosswalk: Crosswalk, reference: str, overrides: Iterable[Override]) -> set[str]:
    return _codes(crosswalk, reference) | {override.servicenow_code for override in overrides}


def _days_of(rows: Iterable[ReferenceRow], overrides: Iterable[Override]) -> set[date]:
    """Days on which validity begins or ends: between them nothing changes."""
    dated: list[ReferenceRow | Override] = [*rows, *overrides]
    ends = {day for one in dated for day in (one.valid_from, one.valid_to)}
    return {day for day in ends if day is not None}


def _how(crosswalk: Crosswalk, reference: str, on: date) -> str:
    found = [crosswalk.resolve_one(one, None, on) for one in _ids(crosswalk, reference)]
    if any(one.sys_id and one.method == "exact" for one in found):
        return "is now in ServiceNow"
    if _overrides(crosswalk, reference):
        return f"is now mapped in {MAPPING_FILES[crosswalk.kind]}"
    return "was changed in ServiceNow"


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).hexdigest()


def _next(day: str) -> str:
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()
