"""The notes of the trail's end in Dagster: one instance may have seen several account pairs."""

from pathlib import Path

import pytest

from nsn_pipeline.audit.trail_entry import Draft, Event
from nsn_pipeline.orchestration.trail import end_note, noted_head
from nsn_pipeline.state.trail import Trail


def trail_of(base: Path, instance: str) -> Trail:
    owner = {"account": "1234567", "instance": instance, "profile": "seed"}
    trail = Trail(base / ".".join(owner.values()), owner=owner)
    trail.append([Draft(Event.ACCEPTED, "r1", "vendor_bill", documents=("1",))])
    return trail


def test_a_note_of_another_pair_is_no_trail_that_is_gone(tmp_path: Path) -> None:
    sandbox, real = trail_of(tmp_path, "sandbox"), trail_of(tmp_path, "live")
    assert noted_head(end_note(real), real) == real.head()
    assert noted_head(end_note(sandbox), real) is None


def test_an_earlier_trail_of_the_same_pair_is(tmp_path: Path) -> None:
    gone = trail_of(tmp_path / "gone", "live")
    assert noted_head(end_note(gone), trail_of(tmp_path, "live")) == gone.head()


def test_a_note_without_owner_counts_for_its_own_trail_alone(tmp_path: Path) -> None:
    sandbox, real = trail_of(tmp_path, "sandbox"), trail_of(tmp_path, "live")
    assert noted_head(str(real.head()), real) == real.head()
    assert noted_head(str(sandbox.head()), real) is None


@pytest.mark.parametrize("text", ["", "x", "a:b:c", "a:b:c:d", "::0:"])
def test_what_is_no_note_is_none(tmp_path: Path, text: str) -> None:
    assert noted_head(text, trail_of(tmp_path, "live")) is None
