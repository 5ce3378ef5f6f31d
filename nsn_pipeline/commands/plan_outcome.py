"""What became of the changes of a saved plan: those that were never sent, and why.

The trail knows: what is sent is written down before, and how each document ended after it.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from nsn_pipeline.audit.trail_entry import Entry, Event
from nsn_pipeline.load.plan_document import PlannedChange

NAMED = 10  # changes named in one note
_AS_WANTED = {Event.WRITTEN, Event.UNCHANGED, Event.RETIRED}
_FAILED = {Event.FAILED, Event.STILL_FAILED}
_ENDS = _AS_WANTED | _FAILED
_WHY = (
    "were no longer needed when they were due: ServiceNow held that already",
    "were left out because their documents failed: `nsn rejections` says why",
    "were not met: their documents changed in NetSuite meanwhile, or a run ended early",
)


@dataclass(slots=True)
class LeftOut:
    """Planned changes that were never sent."""

    unneeded: list[PlannedChange] = field(default_factory=list[PlannedChange])
    failed: list[PlannedChange] = field(default_factory=list[PlannedChange])
    not_met: list[PlannedChange] = field(default_factory=list[PlannedChange])

    def notes(self) -> Iterator[str]:
        """A sentence for each of the three, where there is any."""
        for found, why in zip((self.unneeded, self.failed, self.not_met), _WHY, strict=True):
            if found:
                named = ", ".join(
                    f"{one.change.kind} {one.table} {one.change.key}" for one in found[:NAMED]
                )
                more = f" and {len(found) - NAMED:,} more" if len(found) > NAMED else ""
                yield f"{len(found):,} planned changes {why} ({named}{more})"


def left_out(
    changes: Iterable[PlannedChange], entries: Iterable[Entry], run_ids: Collection[str]
) -> LeftOut:
    """Sort the changes that these runs never sent; of each document the last word counts."""
    sent: set[tuple[str, str]] = set()
    ended: dict[tuple[str, str], Event] = {}
    for entry, documents in _with_documents(entries):
        if entry.run_id not in run_ids:
            continue
        if entry.event is Event.SENDING:
            sent.update((entry.data["table"], record["key"]) for record in entry.data["records"])
        elif entry.event in _ENDS:
            for document in documents:
                ended[entry.record_type, document] = entry.event
    result = LeftOut()
    for one in changes:
        if one.identity in sent:
            continue
        event = ended.get((one.record_type, one.change.document_id))
        if event in _AS_WANTED:
            result.unneeded.append(one)
        else:
            (result.failed if event in _FAILED else result.not_met).append(one)
    return result


def _with_documents(entries: Iterable[Entry]) -> Iterator[tuple[Entry, Sequence[str]]]:
    """Each entry with the documents it tells of, where it tells how they ended.

    A list that repeats the last one of its event, day and record type names that entry instead,
    which may be of any run (`state.trail`): of each the last list is kept in mind, and no more.
    """
    last: dict[tuple[str, str | None, Event], tuple[int, Sequence[str]]] = {}
    for entry in entries:
        documents: Sequence[str] = ()
        if entry.event in _ENDS:
            kind = (entry.record_type, entry.day, entry.event)
            if entry.documents:
                documents = entry.documents
                last[kind] = (entry.seq, documents)
            elif entry.same_as is not None:
                seq, listed = last.get(kind, (None, ()))
                documents = listed if seq == entry.same_as else ()
            elif entry.document_id is not None:
                documents = (entry.document_id,)
        yield entry, documents
