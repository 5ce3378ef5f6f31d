"""The trail on disk: what is appended is found again, whatever happens to process or files."""

import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import fakeredis
import pytest

from nsn_pipeline.audit.trail_entry import Draft, Event
from nsn_pipeline.errors import PermanentError
from nsn_pipeline.state import trail as trail_module
from nsn_pipeline.state.trail import Trail
from nsn_pipeline.state.trail_anchor import RedisAnchors

OWNER = {"account": "1234567", "instance": "dev1", "profile": "seed"}
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Clock:
    """A minute passes with every reading."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now


Open = Callable[..., Trail]


@pytest.fixture
def anchors() -> RedisAnchors:
    client = fakeredis.FakeRedis(server=fakeredis.FakeServer(), decode_responses=True)
    return RedisAnchors(lambda: client, "nsn:1234567:dev1:seed:")


@pytest.fixture
def opened(tmp_path: Path, anchors: RedisAnchors) -> Open:
    clock = Clock()

    def open_trail(**options: object) -> Trail:
        defaults = {"owner": OWNER, "anchors": anchors, "clock": clock}
        return Trail(tmp_path / "trail", **{**defaults, **options})

    return open_trail


def listing(event: Event, *documents: str, run: str = "r1", day: str = "2026-03-02") -> Draft:
    return Draft(event, run, "vendor_bill", day, documents=documents)


def rejected(document_id: str, value: str = "7160", run: str = "r1") -> Draft:
    problems = [{"reason": "MISSING_GL_ACCOUNT", "value": value}]
    return Draft(
        Event.REJECTED, run, "vendor_bill", "2026-03-02", document_id, data={"problems": problems}
    )


def events(trail: Trail, document_id: str = "1") -> list[tuple[str, str]]:
    return [(entry.event.value, entry.run_id) for entry in trail.story("vendor_bill", document_id)]


def segment(trail: Trail, number: int = 1) -> Path:
    return trail.folder / f"trail-{number:06}.jsonl"


def test_the_first_entry_says_whose_trail_it_is(opened: Open) -> None:
    trail = opened()
    head = trail.append([listing(Event.ACCEPTED, "1")])
    first, second = trail.entries()
    assert (first.seq, first.event, second.seq) == (1, Event.STARTED, 2)
    assert dict(first.data) == {"trail": head.trail_id, **OWNER}
    assert trail.verify().intact


def test_a_document_is_found_in_its_own_entries_and_in_lists(opened: Open) -> None:
    trail = opened()
    trail.append([rejected("1"), rejected("2"), listing(Event.ACCEPTED, "3", "4")])
    trail.append([listing(Event.WRITTEN, "1", "3", "4", run="r2")])
    assert events(trail, "1") == [("rejected", "r1"), ("written", "r2")]
    assert events(trail, "2") == [("rejected", "r1")]
    assert events(trail, "3") == [("accepted", "r1"), ("written", "r2")]
    assert events(trail, "5") == []
    assert trail.story("purchase_order", "1") == []


def test_the_same_list_again_is_a_pointer_and_still_an_attempt(opened: Open) -> None:
    trail = opened()
    many = [str(number) for number in range(0, 20_000, 2)]
    trail.append([listing(Event.UNCHANGED, *many)])
    before = segment(trail).stat().st_size
    for number in range(2, 5):
        trail.append([listing(Event.UNCHANGED, *reversed(many), run=f"r{number}")])
    assert segment(trail).stat().st_size - before < 3 * 300
    assert events(trail, "500") == [("unchanged", f"r{number}") for number in range(1, 5)]
    assert events(trail, "501") == []
    trail.append([listing(Event.UNCHANGED, *many[1:], run="r5")])
    trail.append([listing(Event.UNCHANGED, *many, run="r6")])
    assert [run for _, run in events(trail, "0")] == ["r1", "r2", "r3", "r4", "r6"]


def test_lists_of_other_days_and_events_are_told_apart(opened: Open) -> None:
    trail = opened()
    trail.append([listing(Event.UNCHANGED, "1"), listing(Event.ACCEPTED, "1")])
    trail.append([listing(Event.UNCHANGED, "1", day="2026-03-03")])
    assert [entry.same_as for entry in trail.entries()] == [None] * 4


STANDS: Mapping[str, tuple[list[Draft], tuple[str, int | None, bool]]] = {
    # events -> state, minute it fails since, whether its problems are known
    "accepted": ([listing(Event.ACCEPTED, "1")], ("ok", None, False)),
    "rejected": ([rejected("1")], ("rejected", 1, True)),
    "still rejected": (
        [rejected("1"), listing(Event.STILL_REJECTED, "1")], ("rejected", 1, True)),
    "rejected otherwise": ([rejected("1"), rejected("1", "9")], ("rejected", 1, True)),
    "past the gate": (
        [rejected("1"), Draft(Event.CURED, "r", "vendor_bill", None, "1")], ("cured", 1, True)),
    "written": ([rejected("1"), listing(Event.WRITTEN, "1")], ("ok", None, False)),
    "retired": ([rejected("1"), listing(Event.RETIRED, "1")], ("ok", None, False)),
    "rejected anew": (
        [rejected("1"), listing(Event.WRITTEN, "1"), rejected("1")], ("rejected", 3, True)),
    "unchanged by pointer": (
        [listing(Event.UNCHANGED, "1"), rejected("1"), listing(Event.UNCHANGED, "1")],
        ("ok", None, False)),
}  # fmt: skip


@pytest.mark.parametrize("case", list(STANDS))
@pytest.mark.parametrize("rebuilt", [False, True], ids=["as it grew", "made again"])
def test_how_a_document_stands_is_known(opened: Open, case: str, rebuilt: bool) -> None:
    drafts, (state, since, has_problems) = STANDS[case]
    trail = opened()
    for draft in drafts:
        trail.append([draft])
    if rebuilt:
        trail.rebuild_index()
    known = trail.known("vendor_bill", ["1", "2"])
    assert list(known) == ["1"]
    stood = known["1"]
    at = None if since is None else START + timedelta(minutes=since)
    failing = stood.failing_since and datetime.fromisoformat(stood.failing_since)
    assert (stood.state, failing) == (state, at)
    assert datetime.fromisoformat(stood.first_at) == START + timedelta(minutes=1)
    assert (stood.digest is not None, stood.problems_seq is not None) == (has_problems,) * 2


def test_a_trail_goes_on_over_segments_and_stays_one_chain(opened: Open) -> None:
    trail = opened(segment_bytes=2_000)
    for number in range(60):
        trail.append([listing(Event.ACCEPTED, str(number))])
    assert len(trail.segments()) > 3
    found = trail.verify()
    assert (found.intact, found.entries) == (True, 61)
    assert events(trail, "0") == [("accepted", "r1")]
    assert events(opened(segment_bytes=2_000), "59") == [("accepted", "r1")]
    shutil.move(segment(trail, 2), trail.folder / "elsewhere")
    assert [fault.kind for fault in trail.verify().faults] == ["missing"]


@pytest.mark.parametrize("harm", ["gone", "empty", "nonsense", "of another layout", "ahead"])
def test_the_index_is_made_again_when_it_cannot_be_trusted(opened: Open, harm: str) -> None:
    trail = opened()
    trail.append([listing(Event.ACCEPTED, "1", "2")])
    trail.append([rejected("1", run="r2")])
    trail.close()
    path = trail.folder / "index.sqlite"
    if harm == "gone":
        path.unlink()
    elif harm == "empty":
        path.write_bytes(b"")
    elif harm == "nonsense":
        path.write_bytes(b"nonsense" * 2_000)
    elif harm == "of another layout":
        index = trail_module.TrailIndex.at(path)
        assert index is not None
        with index._db:
            index._say("layout", "0")
        index.close()
    else:  # the segment was put back to an earlier state
        lines = segment(trail).read_bytes().splitlines(keepends=True)
        segment(trail).write_bytes(b"".join(lines[:2]))
    expected = [("accepted", "r1")] if harm == "ahead" else [("accepted", "r1"), ("rejected", "r2")]
    assert events(opened(), "1") == expected


def test_entries_added_by_others_are_seen(opened: Open) -> None:
    mine, theirs = opened(), opened()
    mine.append([listing(Event.ACCEPTED, "1")])
    theirs.append([listing(Event.WRITTEN, "1", run="r2")])
    mine.append([listing(Event.UNCHANGED, "1", run="r3")])
    for trail in (mine, theirs):
        assert [run for _, run in events(trail)] == ["r1", "r2", "r3"]
    assert mine.verify().intact


def write_from_a_process(folder: Path, name: str) -> None:
    trail = Trail(folder, owner=OWNER, segment_bytes=20_000)
    for number in range(25):
        trail.append([rejected(f"{name}{number}", run=name), listing(Event.ACCEPTED, name)])
    trail.close()


def test_several_processes_write_one_chain(tmp_path: Path, opened: Open) -> None:
    folder = tmp_path / "trail"
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        for done in [pool.submit(write_from_a_process, folder, name) for name in "abc"]:
            done.result(120)
    trail = opened(anchors=None)
    found = trail.verify()
    assert found.intact, found.faults
    assert found.entries == 1 + 3 * 25 * 2
    assert trail.known("vendor_bill", ["b24"])["b24"].state == "rejected"


@pytest.mark.parametrize("kept", [1, 20, -2, -1])
def test_a_write_torn_by_a_crash_is_healed_in_sight(opened: Open, kept: int) -> None:
    """`kept` bytes of the last entry reached the disk; -1 lacks its line break alone."""
    trail = opened()
    trail.append([listing(Event.ACCEPTED, "1")])
    whole = segment(trail).read_bytes()
    trail.append([rejected("1")])
    last = segment(trail).read_bytes()[len(whole) :]
    segment(trail).write_bytes(whole + last[:kept])
    after = opened(anchors=None)
    assert after.verify().intact
    after.append([listing(Event.STILL_REJECTED, "1", run="r2")])
    found = after.verify()
    assert found.intact, found.faults
    if kept == -1:  # whole but for its line break, so it counts
        assert [event for event, _ in events(after)] == ["accepted", "rejected", "still_rejected"]
        return
    assert "torn by a crash" in found.notes[0]
    assert segment(trail).read_bytes().startswith(whole + last[:kept])  # nothing is removed
    kinds = [entry.event.value for entry in after.entries()]
    assert kinds[-2:] == ["healed", "still_rejected"]
    assert [event for event, _ in events(after)] == ["accepted", "still_rejected"]


def test_a_changed_last_entry_does_not_pass_for_a_torn_one(opened: Open) -> None:
    trail = opened()
    trail.append([listing(Event.ACCEPTED, "1"), rejected("1")])
    content = segment(trail).read_bytes()
    segment(trail).write_bytes(content.replace(b"7160", b"7161"))
    assert [(f.kind, f.line) for f in opened().verify().faults] == [("changed", 3)]
    opened().append([listing(Event.WRITTEN, "1")])
    found = opened().verify()
    assert [(fault.kind, fault.line) for fault in found.faults] == [("changed", 3)]
    assert events(opened())[-1] == ("written", "r1")


def test_entries_cut_off_the_end_are_missed_by_redis(opened: Open) -> None:
    trail = opened()
    trail.append([listing(Event.ACCEPTED, "1"), rejected("1")])
    lines = segment(trail).read_bytes().splitlines(keepends=True)
    segment(trail).write_bytes(b"".join(lines[:2]))
    assert [fault.kind for fault in opened().verify().faults] == ["cut off"]
    opened().append([listing(Event.WRITTEN, "1")])
    found = opened().verify()  # going on does not make it good
    assert [fault.detail for fault in found.faults] == [
        "entries 3 to 3 were written once and are gone, as the run that wrote entry 4 found"
    ]
    assert [entry.seq for entry in opened().entries()] == [1, 2, 4, 5]  # no number twice


@pytest.mark.parametrize("line", [2, 4, 6])
@pytest.mark.parametrize("tail", [b"", b'{"seq":8,"at'], ids=["whole", "torn"])
def test_a_changed_byte_does_not_disown_the_entries_after_it(
    opened: Open, anchors: RedisAnchors, line: int, tail: bytes
) -> None:
    trail = opened()
    head = trail.append([rejected(str(number)) for number in range(1, 7)])
    lines = segment(trail).read_bytes().splitlines(keepends=True)
    lines[line] = lines[line].replace(b"7160", b"7161")
    segment(trail).write_bytes(b"".join(lines) + tail)
    trail.close()
    after = opened().append([listing(Event.WRITTEN, "1", run="r2")])
    assert after.seq == head.seq + 1 + bool(tail)
    assert anchors.read()[head.trail_id] == (after.seq, after.hash)
    found = opened().verify()
    assert [(fault.kind, fault.line) for fault in found.faults] == [("changed", line + 1)]
    assert len(found.notes) == bool(tail)
    assert [entry.seq for entry in opened().entries()] == list(range(1, after.seq + 1))
    assert events(opened(), "6") == [("rejected", "r1")]


def test_redis_is_never_told_of_an_earlier_end(opened: Open, anchors: RedisAnchors) -> None:
    trail = opened()
    head = trail.append([rejected("1")])
    anchors.write(head.trail_id, 1_000, "f" * 64)
    trail._note_elsewhere(head)
    assert anchors.read()[head.trail_id] == (1_000, "f" * 64)


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_changed_last_line_break_is_found_without_any_anchor(opened: Open, goes_on: bool) -> None:
    trail = opened(anchors=None)
    trail.append([rejected("1"), rejected("2")])
    content = segment(trail).read_bytes()
    segment(trail).write_bytes(content[:-1] + b"\x0b")
    trail.close()
    if goes_on:
        opened(anchors=None).append([listing(Event.WRITTEN, "1", run="r2")])
    found = opened(anchors=None).verify()
    assert [fault.kind for fault in found.faults] == ["damaged" if goes_on else "unreadable"]


def test_a_record_type_another_process_added_is_known(opened: Open) -> None:
    mine, theirs = opened(), opened()
    mine.append([listing(Event.ACCEPTED, "1")])
    theirs.append([listing(Event.ACCEPTED, "1")])
    inode = (mine.folder / "index.sqlite").stat().st_ino
    for trail in (mine, theirs):  # both know the file before the new types come
        assert trail.known("purchase_order", ["9"]) == {}
    mine.append([Draft(Event.REJECTED, "r1", "purchase_order", None, "9", data={"problems": []})])
    assert theirs.known("purchase_order", ["9"])["9"].state == "rejected"
    theirs.append([Draft(Event.REJECTED, "r1", "purchase_order", None, "8", data={"problems": []})])
    theirs.append([Draft(Event.REJECTED, "r1", "vendor", None, "7", data={"problems": []})])
    assert mine.known("vendor", ["7"])["7"].state == "rejected"
    assert (mine.folder / "index.sqlite").stat().st_ino == inode


def test_an_index_made_again_is_the_one_others_have_open(opened: Open) -> None:
    mine, theirs = opened(), opened()
    mine.append([listing(Event.ACCEPTED, "1")])
    assert theirs.known("vendor_bill", ["1"])
    inode = (mine.folder / "index.sqlite").stat().st_ino
    mine.rebuild_index()
    assert (mine.folder / "index.sqlite").stat().st_ino == inode
    theirs.append([rejected("1", run="r2")])
    assert mine.known("vendor_bill", ["1"])["1"].state == "rejected"


def test_what_cannot_be_put_into_words_leaves_the_end_where_it_was(opened: Open) -> None:
    trail = opened()
    trail.append([rejected("1")])
    broken = Draft(Event.REJECTED, "r1", "vendor_bill", None, "2", data={"problems": object()})
    with pytest.raises(TypeError):
        trail.append([rejected("3"), broken])
    trail.append([rejected("4")])
    assert trail.verify().intact
    assert [entry.seq for entry in trail.entries()] == [1, 2, 3]


def test_no_iban_reaches_the_trail_by_any_field(opened: Open) -> None:
    iban = "DE89370400440532013000"
    data = {
        "document": {"tranid": f"{iban} INV 1", "vendor": f"Acme {iban}"},
        "problems": [{"reason": "X", "reference": f"vendor:{iban}"}],
        "cured": [{"owner": f"x {iban.lower()} Y", "note": iban}],
        "records": [{"key": iban, "fields": {"memo": ("", f"{iban} THANKS")}}],
    }
    trail = opened()
    trail.append([Draft(Event.REJECTED, "r1", "vendor_bill", None, "2", data=data)])
    assert b"370400440532013000" not in segment(trail).read_bytes()
    assert segment(trail).read_bytes().count(b"[withheld]") == 7


def test_a_whole_trail_that_is_gone_is_missed_by_redis(opened: Open) -> None:
    trail = opened()
    gone = trail.append([listing(Event.ACCEPTED, "1")])
    shutil.rmtree(trail.folder)
    after = opened()
    new = after.append([listing(Event.ACCEPTED, "1")])
    assert new.trail_id != gone.trail_id
    assert after.other_trails() == {gone.trail_id: 2}


def test_a_lost_redis_is_not_taken_for_a_shortened_trail(opened: Open) -> None:
    opened().append([listing(Event.ACCEPTED, "1")])
    client = fakeredis.FakeRedis(server=fakeredis.FakeServer(), decode_responses=True)
    trail = opened(anchors=RedisAnchors(lambda: client, "nsn:"))
    assert trail.verify().intact
    trail.append([rejected("1")])
    assert trail.verify().intact
    assert [entry.event.value for entry in trail.entries()] == ["started", "accepted", "rejected"]


def test_what_cannot_be_written_stops_the_step(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail = opened()
    trail.append([listing(Event.ACCEPTED, "1")])

    def full(_descriptor: int, _content: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(trail_module.os, "write", full)
        with pytest.raises(PermanentError, match=r"No space left.*make room"):
            trail.append([rejected("1")])
    trail.append([rejected("1")])
    assert trail.verify().intact


def test_only_the_owner_may_read_the_trail(opened: Open) -> None:
    trail = opened()
    trail.append([listing(Event.ACCEPTED, "1")])
    assert trail.folder.stat().st_mode & 0o777 == 0o700
    assert segment(trail).stat().st_mode & 0o777 == 0o600


def test_nothing_to_say_makes_no_trail(opened: Open) -> None:
    trail = opened()
    assert trail.append([]).seq == 0
    assert not trail.folder.exists()
    assert trail.known("vendor_bill", ["1"]) == {}
    assert trail.verify().intact
