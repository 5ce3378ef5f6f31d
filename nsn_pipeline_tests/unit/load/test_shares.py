"""Long lists are loaded in shares, side by side: as one load, once each, told of in order."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from nsn_pipeline.audit.trail_entry import Event
from nsn_pipeline.audit.trail_privacy import Privacy
from nsn_pipeline.clients.servicenow import Found
from nsn_pipeline.conform.reasons import Reason
from nsn_pipeline.errors import ConfigurationError, PermissionDeniedError, UnreachableError
from nsn_pipeline.load.pacing import FixedPacer
from nsn_pipeline.load.plan import Change
from nsn_pipeline.load.sender import Sender, Sent
from nsn_pipeline.load.shares import Course, Share, shares, worked
from nsn_pipeline.load.table import Table
from nsn_pipeline.state.trail import Trail
from nsn_pipeline.state.trail_recorder import TrailRecorder
from nsn_pipeline_tests.unit.load.fake_servicenow import FakeServiceNow
from nsn_pipeline_tests.unit.load.make import VENDOR, loader, resolver, vendors

TABLE = "core_company"
MANY = vendors(**{f"v{number}": f"Vendor {number}" for number in range(95)})


def test_shares_cover_the_list_and_know_what_follows() -> None:
    cut = shares(list(range(7)), 3)
    assert [(list(part.items), part.follows, part.is_late) for part in cut] == [
        ([0], 6, False),  # soon prepared, so that the connections have something to do
        ([1, 2, 3], 3, False),
        ([4, 5, 6], 0, False),
    ]
    assert [part.is_late for part in shares([0, 1, 2, 3], 1)] == [False, False, False, True]
    assert [list(part.items) for part in shares([], 3)] == [[]]
    assert [list(part.items) for part in shares([0, 1, 2], 3)] == [[0, 1, 2]]


def test_shares_are_sent_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second share is ready while the first has its first batches out, and waits."""
    fake = FakeServiceNow()
    find, call, send = fake.find, fake.batch, Sender.send
    looked_up, told = threading.Event(), threading.Event()
    left: dict[str, list[int]] = {}
    senders: list[Sender] = []

    def look_up(table: str, key: str, values: Sequence[str], fields: Sequence[str]) -> Found:
        found = find(table, key, values, fields)
        if "v10" in values:
            looked_up.set()
        return found

    def tell(_table: Table, changes: Sequence[Change]) -> None:
        if changes[0].key == "v0":
            assert looked_up.wait(5)
        if changes[0].key == "v10":
            told.set()

    def batch(requests, **also):
        assert told.wait(5)
        return call(requests, **also)

    def watched(sender: Sender, changes: Sequence[Change]) -> Sent:
        left.setdefault(changes[0].key, [len(other._waiting) for other in senders])
        senders.append(sender)
        return send(sender, changes)

    fake.find, fake.batch = look_up, batch
    monkeypatch.setattr(Sender, "send", watched)
    with loader(fake, share=20, pacer=FixedPacer(2, 1), before_send=tell) as load:
        result = load.load(VENDOR, MANY, resolver=resolver(fake))
    assert result.counts()["created"] == 95
    assert list(left) == ["v0", "v10", "v30", "v50", "v70", "v90"]
    assert not any(sum(one) for one in left.values())  # nothing of earlier shares waits


def test_a_share_with_nothing_to_send_lets_no_other_pass_those_before_it() -> None:
    overtaken = threading.Event()
    order: list[int] = []

    def work(share: Share[int]) -> int:
        (item,) = share.items
        if item == 1:
            return item  # nothing to tell, nothing to send
        if item == 0:
            overtaken.wait(0.3)  # time enough for a share that does not wait its turn
        share.to_tell.wait()
        order.append(item)
        overtaken.set()
        share.to_tell.pass_on()
        share.to_send.wait()
        return item

    assert list(worked(shares([0, 1, 2, 3], 1), work)) == [0, 1, 2, 3]
    assert order == [0, 2, 3]


def test_the_next_share_is_prepared_while_one_is_sent() -> None:
    fake = FakeServiceNow()
    send = fake.batch
    told = threading.Event()
    waited: list[bool] = []

    def tell(_table: Table, changes: Sequence[Change]) -> None:
        if changes[0].key == "v5":  # the second share, which was looked up and planned
            told.set()

    def batch(requests, **also):
        waited.append(told.wait(5))
        return send(requests, **also)

    fake.batch = batch
    with loader(fake, share=10, pacer=FixedPacer(2, 5), before_send=tell) as load:
        result = load.load(VENDOR, MANY, resolver=resolver(fake))
    assert result.counts()["created"] == 95
    assert all(waited)


def test_every_record_of_every_share_is_written_once_and_told_of_by_one_thread_at_a_time(
    tmp_path: Path,
) -> None:
    fake = FakeServiceNow()
    trail = Trail(tmp_path / "trail", owner={"instance": "dev1"})
    recorder = TrailRecorder(trail, run_id="run", privacy=Privacy({}, frozenset()))
    telling = threading.Lock()
    told: list[str] = []

    def before_send(table: Table, changes: Sequence[Change]) -> None:
        assert telling.acquire(blocking=False), "two threads tell at once"
        recorder.sending(table, changes)
        told.extend(change.key for change in changes)
        telling.release()

    with loader(fake, share=10, before_send=before_send, pacer=FixedPacer(4, 5)) as load:
        result = load.load(VENDOR, MANY, resolver=resolver(fake))
    assert result.counts()["created"] == 95
    assert {len(rows) for rows in fake.by_key(TABLE).values()} == {1}
    assert len(fake.by_key(TABLE)) == 95
    assert sorted(told) == sorted(MANY["_key"])
    assert list(result.records) == list(MANY["_key"])  # in the order they came in
    assert [change.key for change in result.plan.changes] == list(MANY["_key"])
    assert [entry.event for entry in trail.story("vendor", "v7")] == [Event.SENDING]
    assert trail.verify().intact
    trail.close()


def test_a_failure_of_one_share_ends_the_load_and_begins_no_other() -> None:
    fake = FakeServiceNow()
    refused = threading.Event()
    send = fake.batch

    def batch(requests, **also):
        if any("v12" in str(item.body) for item in requests):  # of the second share
            refused.set()
            raise PermissionDeniedError("Failed API level ACL Validation")
        refused.wait(5)  # so that the other share is under way when this one fails
        return send(requests, **also)

    fake.batch = batch
    with (
        loader(fake, share=10, pacer=FixedPacer(2, 10)) as load,
        pytest.raises(PermissionDeniedError),
    ):
        load.load(VENDOR, MANY, resolver=resolver(fake))
    assert len(fake.by_key(TABLE)) <= 20  # at most what was under way beside it


def test_outcomes_come_in_order_whichever_share_ends_first() -> None:
    later = threading.Event()

    def work(share: Share[int]) -> int:
        (item,) = share.items
        if item == 0:
            share.course.begin()
            assert later.wait(5)
        else:
            later.set()
        return item

    assert list(worked(shares([0, 1, 2, 3], 1), work)) == [0, 1, 2, 3]


def test_the_others_begin_when_the_first_is_planned_or_ends() -> None:
    order: list[str] = []
    other_began = threading.Event()

    def work(share: Share[int]) -> int:
        (item,) = share.items
        order.append(f"began {item}")
        if item:
            other_began.set()
        else:
            other_began.wait(0.3)  # time enough for a share that does not wait
            order.append("planned 0")
        return item

    assert list(worked(shares([0, 1], 1), work)) == [0, 1]
    assert order == ["began 0", "planned 0", "began 1"]


def test_a_share_that_was_halted_while_it_planned_tells_of_nothing_and_sends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = FakeServiceNow()
    failed = threading.Event()
    told: list[str] = []
    look_up = fake.find

    def find(table: str, key: str, values: Sequence[str], fields: Sequence[str]) -> Found:
        if "v0" in values:
            failed.set()
            raise PermissionDeniedError("hidden")
        assert failed.wait(5)
        halted.wait(5)  # this share goes on only when the other has ended
        return look_up(table, key, values, fields)

    halted = threading.Event()
    fake.find = find
    monkeypatch.setattr(Course, "halt", _then(Course.halt, halted.set))

    def tell(_table: Table, changes: Sequence[Change]) -> None:
        told.extend(change.key for change in changes)

    with loader(fake, share=50, before_send=tell) as load, pytest.raises(PermissionDeniedError):
        load.load(VENDOR, MANY, resolver=resolver(fake))
    assert (told, fake.writes) == ([], [])


def test_one_lost_call_of_a_small_last_share_is_no_outage_while_the_others_are_answered() -> None:
    fake = FakeServiceNow()
    answered = threading.Event()
    send = fake.batch
    lost: list[str] = []

    def batch(requests, **also):
        if any("v94" in str(item.body) for item in requests) and not lost:
            lost.append("v94")
            assert answered.wait(5)
            raise UnreachableError("no connection")
        found = send(requests, **also)
        answered.set()
        return found

    fake.batch = batch
    with loader(fake, share=47, pacer=FixedPacer(2, 10)) as load:
        result = load.load(VENDOR, MANY, resolver=resolver(fake))
    assert (lost, result.counts()["created"]) == (["v94"], 95)


def test_a_server_that_answers_no_share_ends_the_load() -> None:
    fake = FakeServiceNow(call_errors=[UnreachableError("no connection")] * 100)
    with loader(fake, share=50) as load, pytest.raises(UnreachableError):
        load.load(VENDOR, MANY, resolver=resolver(fake))


def test_a_record_that_loses_its_key_alone_in_its_share_fails_alone() -> None:
    fake = FakeServiceNow()
    write = fake._write

    def loses(item):
        status, body = write(item)
        if "v94" in str(item.body):
            body["result"]["u_netsuite_id"] = ""
        return status, body

    fake._write = loses
    with loader(fake, share=63) as load:
        result = load.load(VENDOR, MANY, resolver=resolver(fake))
    assert (result.counts()["created"], result.counts()["failed"]) == (94, 1)
    assert result.records["v94"].problems[0].reason is Reason.NOT_STORED


def test_a_column_that_keeps_no_key_stops_a_load_of_several_shares() -> None:
    fake = FakeServiceNow(unknown_columns=["u_netsuite_id"])
    with loader(fake, share=50) as load, pytest.raises(ConfigurationError, match="keep the keys"):
        load.load(VENDOR, MANY, resolver=resolver(fake))


def _then(first: Callable[[Course], None], second: Callable[[], None]) -> Callable[[Course], None]:
    def both(course: Course) -> None:
        first(course)
        second()

    return both


def test_a_late_share_looks_up_again_what_it_would_change_and_nothing_else() -> None:
    """Rows handed to a load are as old as the shares before it took."""
    fake = FakeServiceNow(dictionary={TABLE: {"u_netsuite_id", "name"}})
    fake.unique_columns = {"u_netsuite_id"}
    with loader(fake, share=10) as load:
        load.load(VENDOR, MANY, resolver=resolver(fake))
        known = fake.by_key(TABLE)
        read = {key: [dict(row) for row in rows] for key, rows in known.items()}
        for row in (known["v3"][0], known["v93"][0]):
            row["name"] = "renamed by a person since"
        changed = MANY.copy()
        renamed = changed["_key"].isin(["v3", "v93"])
        changed.loc[renamed, "name"] = "as NetSuite has it now"
        fake.lookups.clear()
        result = load.load(VENDOR, changed, resolver=resolver(fake), known=read)
    before = {one.key: one.before for one in result.plan.changes if one.kind == "update"}
    assert before == {
        "v3": {"name": "Vendor 3"},  # of the first share, which begins at once
        "v93": {"name": "renamed by a person since"},
    }
    # Each is read back after its change; before it, only the row that may be old.
    assert Counter(values for _, _, values in fake.lookups) == {("v3",): 1, ("v93",): 2}
    assert result.counts()["updated"] == 2
