"""A chain that holds is found whole; whatever is done to it is found, and where."""

from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsn_pipeline.audit.trail_chain import Anchor, Line, Verification, healed_data, verify
from nsn_pipeline.audit.trail_entry import NO_HASH, Draft, Event, encode

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def chain(count: int = 6) -> list[bytes]:
    lines: list[bytes] = []
    previous = NO_HASH
    for seq in range(1, count + 1):
        draft = Draft(Event.ACCEPTED, f"run{seq}", "vendor_bill", documents=(str(seq), "é"))
        line, entry = encode(draft, seq=seq, at=NOON, previous=previous)
        previous = entry.hash
        lines.append(line)
    return lines


def hash_of(line: bytes) -> str:
    return line[-67:-3].decode()


def check(content: bytes | Sequence[bytes], *anchors: Anchor) -> Verification:
    raw = content if isinstance(content, bytes) else b"".join(content)
    lines = [Line("one", n, text) for n, text in enumerate(BytesIO(raw), 1)]
    return verify(lines, anchors)


def places(found: Verification) -> list[tuple[str, int]]:
    return [(fault.kind, fault.line) for fault in found.faults]


def test_a_whole_chain_holds() -> None:
    lines = chain()
    found = check(lines, Anchor(6, hash_of(lines[-1]), "Redis"), Anchor(2, hash_of(lines[1]), "D"))
    assert (found.entries, found.seq, found.hash) == (6, 6, hash_of(lines[-1]))
    assert found.intact
    assert found.bytes == sum(map(len, lines))
    assert not found.notes


def test_an_empty_trail_holds() -> None:
    assert check(b"").intact


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_one_changed_byte_is_found_in_its_line(data: st.DataObject) -> None:
    """Wherever it is, line breaks and hashes included; no other line is blamed."""
    content = b"".join(chain())
    position = data.draw(st.integers(0, len(content) - 1))
    bit = data.draw(st.integers(0, 7))
    changed = bytearray(content)
    changed[position] ^= 1 << bit
    line = content[:position].count(b"\n") + 1
    found = check(bytes(changed))
    assert [fault.line for fault in found.faults] == [line]


def test_a_removed_line_is_found() -> None:
    lines = chain()
    found = check([*lines[:2], *lines[3:]])
    assert places(found) == [("missing", 3)]
    assert found.faults[0].detail == "entries 3 to 3 are missing before this line"


def test_lines_removed_at_the_beginning_are_found() -> None:
    assert places(check(chain()[2:])) == [("missing", 1)]


def test_lines_removed_at_the_end_are_found_by_who_remembers_them() -> None:
    lines = chain()
    assert check(lines[:4]).intact
    found = check(lines[:4], Anchor(6, hash_of(lines[-1]), "Redis"))
    assert [(f.kind, f.seq) for f in found.faults] == [("cut off", 6)]
    assert "entries 5 to 6 are missing at the end: Redis knows entry 6" in found.faults[0].detail


def test_a_chain_written_anew_is_found_by_who_remembers_the_old_one() -> None:
    old = chain()
    new: list[bytes] = []
    previous = NO_HASH
    for seq in range(1, 7):
        draft = Draft(Event.ACCEPTED, "forged", "vendor_bill", documents=(str(seq),))
        line, entry = encode(draft, seq=seq, at=NOON, previous=previous)
        previous = entry.hash
        new.append(line)
    assert check(new).intact
    assert places(check(new, Anchor(3, hash_of(old[2]), "Dagster"))) == [("rewritten", 3)]


@pytest.mark.parametrize("swapped", [(0, 1), (2, 3), (4, 5)])
def test_swapped_lines_are_found(swapped: tuple[int, int]) -> None:
    lines = chain()
    first, second = swapped
    lines[first], lines[second] = lines[second], lines[first]
    assert not check(lines).intact


def test_a_line_added_in_the_middle_is_found() -> None:
    lines = chain()
    assert places(check([*lines[:3], lines[2], *lines[3:]]))[0] == ("missing", 4)


def test_two_changed_lines_are_both_found() -> None:
    lines = chain()
    for number in (1, 4):
        lines[number] = lines[number].replace(b"vendor_bill", b"vendor_bull")
    assert places(check(lines)) == [("changed", 2), ("changed", 5)]


def test_two_changed_lines_in_a_row_are_both_found() -> None:
    lines = chain()
    for number in (2, 3):
        lines[number] = lines[number].replace(b"vendor_bill", b"vendor_bull")
    assert places(check(lines)) == [("changed", 3), ("changed", 4)]


def healed(lines: Sequence[bytes], good: int, torn: bytes, /, **more: object) -> bytes:
    draft = Draft(Event.HEALED, "next", data={**healed_data(torn), **more})
    return encode(draft, seq=good + 1, at=NOON, previous=hash_of(lines[good - 1]))[0]


def test_a_write_torn_at_the_end_is_a_note() -> None:
    lines = chain()
    found = check([*lines[:5], lines[5][:40]])
    assert found.intact
    assert "torn by a crash (40 bytes)" in found.notes[0]


def test_a_torn_write_that_the_next_run_noted_is_a_note() -> None:
    lines = chain()
    torn = lines[5][:40] + b"\n"
    note = healed(lines, 5, torn, lines=0)
    after, _ = encode(Draft(Event.ACCEPTED, "r"), seq=7, at=NOON, previous=hash_of(note))
    found = check([*lines[:5], torn, note, after])
    assert found.intact
    assert found.entries == 7
    assert "noted by run next" in found.notes[0]


def test_a_changed_end_that_a_run_went_on_from_stays_a_fault() -> None:
    lines = chain()
    changed = lines[5].replace(b"vendor_bill", b"vendor_bull")
    found = check([*lines[:5], changed, healed(lines, 5, changed)])
    assert places(found) == [("damaged", 7)]
    assert "1 whole lines before this one had been changed" in found.faults[0].detail


def test_a_cut_off_end_that_a_run_went_on_from_stays_a_fault() -> None:
    lines = chain()
    found = check([*lines[:4], healed(lines, 4, b"", known=6)])
    assert places(found) == [("damaged", 5)]
    assert "entries 5 to 6 were written once and are gone" in found.faults[0].detail


def test_a_note_does_not_cover_other_bytes_than_it_names() -> None:
    lines = chain()
    torn = lines[5][:40] + b"\n"
    note = healed(lines, 5, torn, lines=0)
    assert not check([*lines[:5], torn.replace(b"seq", b"sex"), note]).intact
