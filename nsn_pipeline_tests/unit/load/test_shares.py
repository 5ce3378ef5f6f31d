"""Long lists are loaded in shares, side by side: as one load, once each, told of in order."""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from nsn_pipeline.audit.trail_entry import Event
from nsn_pipeline.audit.trail_privacy import Privacy
from nsn_pipeline.errors import PermissionDeniedError
from nsn_pipeline.load.pacing import FixedPacer
from nsn_pipeline.load.plan import Change
from nsn_pipeline.load.shares import Share, shares, worked
from nsn_pipeline.load.table import Table
from nsn_pipeline.state.trail import Trail
from nsn_pipeline.state.trail_recorder import TrailRecorder
from nsn_pipeline_tests.unit.load.fake_servicenow import FakeServiceNow
from nsn_pipeline_tests.unit.load.make import VENDOR, loader, resolver, vendors

TABLE = "core_company"
MANY = vendors(**{f"v{number}": f"Vendor {number}" for number in range(95)})


def test_shares_cover_the_list_and_know_what_follows() -> None:
    cut = shares(list(range(7)), 3)
    assert [(list(part.items), part.follows) for part in cut] == [
        ([0, 1, 2], 4),
        ([3, 4, 5], 1),
        ([6], 0),
    ]
    assert [list(part.items) for part in shares([], 3)] == [[]]


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

    def batch(requests):
        if any("v3" in str(item.body) for item in requests):
            refused.set()
            raise PermissionDeniedError("Failed API level ACL Validation")
        refused.wait(5)  # so that the other share is under way when this one fails
        return send(requests)

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
            assert later.wait(5)
        else:
            later.set()
        return item

    assert list(worked(shares([0, 1, 2, 3], 1), work)) == [0, 1, 2, 3]
