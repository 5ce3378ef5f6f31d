"""What became of the changes of a saved plan: those that were never sent, and why.

The trail knows: what is sent is written down before, and how each document ended after it.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from nsn_pipeline.audit.trail_entry import Entry, Event
from nsn_pipeline.load.plan_document import PlannedChange

NAMED = 10  # changes named in one note
_AS_WANTED = {Event.WRITTEN, Event.UNCHANGED, Event.RETIRED}
_FAILED = {Event.FAILED, Event.STILL_FAILED}
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
    for entry in entries:
        if entry.run_id not in run_ids:
            continue
        if entry.event is Event.SENDING:
            sent.update((entry.data["table"], record["key"]) for record in entry.data["records"])
        elif entry.event in _AS_WANTED | _FAILED:
            for document in entry.documents or (entry.document_id or "",):
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
