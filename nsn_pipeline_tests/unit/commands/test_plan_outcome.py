"""Why planned changes were never sent."""

from datetime import UTC, datetime
from typing import Any

from nsn_pipeline.audit.trail_entry import NO_HASH, Entry, Event
from nsn_pipeline.commands.plan_outcome import NAMED, LeftOut, left_out
from nsn_pipeline.load.plan import Change
from nsn_pipeline.load.plan_document import PlannedChange

TABLE = "sn_apo_invoice"


def planned(key: str) -> PlannedChange:
    return PlannedChange(
        "vendor_bill", TABLE, Change("update", key, key, "a" * 32, {"memo": "New"}, {"memo": "Old"})
    )


def entry(event: Event, *documents: str, run: str = "ours", **data: Any) -> Entry:
    one, many = (documents[0], ()) if len(documents) == 1 else (None, documents)
    return Entry(
        1, datetime.now(UTC), event, run, "vendor_bill", None, one, many, None, data, NO_HASH
    )


def sending(key: str, run: str = "ours") -> Entry:
    return entry(Event.SENDING, key, run=run, table=TABLE, records=[{"key": key}])


def test_what_was_not_sent_is_sorted_by_how_its_document_ended() -> None:
    changes = [planned(key) for key in "1234567"]
    entries = [
        sending("1"),
        entry(Event.WRITTEN, "1", "2"),  # of 2 another part was sent
        entry(Event.UNCHANGED, "3"),
        entry(Event.FAILED, "4"),
        entry(Event.STILL_FAILED, "5", "3"),
        entry(Event.UNCHANGED, "3"),  # on a later day: the last word counts
        sending("6", run="another"),
        entry(Event.WRITTEN, "6", run="another"),
    ]
    found = left_out(changes, entries, ["ours"])
    told = [[one.change.key for one in of] for of in (found.unneeded, found.failed, found.not_met)]
    assert told == [["2", "3"], ["4", "5"], ["6", "7"]]


def test_each_reason_is_one_note_that_names_the_first() -> None:
    found = LeftOut(unneeded=[planned(str(n)) for n in range(NAMED + 2)], failed=[planned("99")])
    first, second = found.notes()
    assert first.startswith("12 planned changes were no longer needed")
    assert first.endswith(f"update {TABLE} {NAMED - 1} and 2 more)")
    assert second.endswith(f"(update {TABLE} 99)")
    assert list(LeftOut().notes()) == []
