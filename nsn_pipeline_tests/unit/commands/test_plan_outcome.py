"""Why planned changes were never sent."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nsn_pipeline.audit.trail_entry import NO_HASH, Draft, Entry, Event
from nsn_pipeline.commands.plan_outcome import NAMED, LeftOut, left_out
from nsn_pipeline.load.plan import Change
from nsn_pipeline.load.plan_document import PlannedChange
from nsn_pipeline.state.trail import Trail

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


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (Event.UNCHANGED, (2, 0, 0)),
        (Event.WRITTEN, (2, 0, 0)),
        (Event.STILL_FAILED, (0, 2, 0)),
    ],
)
def test_a_list_that_repeats_an_earlier_runs_says_of_whom_it_tells(
    tmp_path: Path, event: Event, told: tuple[int, int, int]
) -> None:
    """The trail stores it as a pointer to the entry that lists the same documents."""
    trail = Trail(tmp_path, owner={})
    for run in ("yesterdays", "ours"):
        trail.append([Draft(event, run, "vendor_bill", "2026-03-02", documents=("1", "2"))])
    of_another_day = Draft(event, "ours", "vendor_bill", "2026-03-03", documents=("8", "9"))
    trail.append([of_another_day])
    entries = list(trail.entries())
    assert [one.same_as is not None for one in entries] == [False, False, True, False]
    found = left_out([planned("1"), planned("2")], entries, ["ours"])
    assert (len(found.unneeded), len(found.failed), len(found.not_met)) == told
    trail.close()


def test_each_reason_is_one_note_that_names_the_first() -> None:
    found = LeftOut(unneeded=[planned(str(n)) for n in range(NAMED + 2)], failed=[planned("99")])
    first, second = found.notes()
    assert first.startswith("12 planned changes were no longer needed")
    assert first.endswith(f"update {TABLE} {NAMED - 1} and 2 more)")
    assert second.endswith(f"(update {TABLE} 99)")
    assert list(LeftOut().notes()) == []
