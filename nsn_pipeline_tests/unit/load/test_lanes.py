"""Who calls next, and when a lane is free again."""

import threading
from collections.abc import Iterator

import pytest

from nsn_pipeline.clients.retry import RetryPolicy
from nsn_pipeline.errors import ThrottledError
from nsn_pipeline.load.lanes import Lane, Lanes
from nsn_pipeline.load.pacing import AdaptivePacer, FixedPacer, Outcome, Pacer

TABLE = "proc_po"


class Callers(Lanes):
    """Lanes, and threads that make one call each and note it in `order`."""

    def __init__(self, pacer: Pacer) -> None:
        super().__init__(pacer, policy=RetryPolicy(), sleep=lambda _: None)
        self.order: list[str] = []
        self._threads: list[threading.Thread] = []
        self._queued = threading.Event()

    def queue(self, lane: Lane) -> None:
        super().queue(lane)
        self._queued.set()

    def call(self, name: str, *, is_urgent: bool = False) -> None:
        """Make a call; when this returns it has a lane or waits for one."""

        def work() -> None:
            with self.lane(is_urgent=is_urgent):
                self.order.append(name)

        self._queued.clear()
        thread = threading.Thread(target=work)
        thread.start()
        self._threads.append(thread)
        assert self._queued.wait(5)

    def end(self) -> None:
        while self._threads:
            self._threads.pop().join(5)


@pytest.fixture
def single() -> Iterator[Callers]:
    """One lane."""
    lanes = Callers(FixedPacer(1))
    yield lanes
    lanes.close()


def test_who_came_first_calls_first_and_look_ups_before_all_others(single: Callers) -> None:
    with single.lane():
        single.call("batch 1")
        single.call("batch 2")
        single.call("look-up", is_urgent=True)
        assert single.order == []
    single.end()
    assert single.order == ["look-up", "batch 1", "batch 2"]


def test_a_lane_is_free_as_soon_as_it_is_given_up(single: Callers) -> None:
    with single.lane() as lane:
        single.call("next")
        lane.give_up()
        single.end()
        assert single.order == ["next"]
    with single.lane():  # and was not given up twice
        single.call("last")
        assert single.order == ["next"]
    single.end()


def test_a_call_that_is_interrupted_while_it_waits_leaves_its_place(
    single: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    with single.lane():
        lane = single.lane()
        monkeypatch.setattr(lane.admitted, "wait", _interrupt)
        with pytest.raises(KeyboardInterrupt), lane:
            pass
        single.call("next")
    single.end()
    assert single.order == ["next"]


def test_an_answer_tells_how_many_calls_there_were_when_it_came() -> None:
    """Reading it takes a while, in which others begin and end."""
    told: list[Outcome] = []

    class Listening(FixedPacer):
        def learn(self, outcome: Outcome) -> None:
            told.append(outcome)

    lanes = Lanes(Listening(3), policy=RetryPolicy())
    with lanes.lane(), lanes.lane() as second, lanes.lane():
        second.give_up()
    lanes.answered(second, TABLE, 5, 5, 0.1)
    assert [outcome.in_flight for outcome in told] == [3]
    lanes.close()


def test_lanes_open_again_after_a_rest(single: Callers) -> None:
    with single.lane():
        rest_s = single.refused(TABLE, 5, ThrottledError("slow down", retry_after_s=7.0))
    single.call("next")
    assert single.order == []
    assert rest_s == 7.0
    single.rest(rest_s)
    single.end()
    assert single.order == ["next"]


def test_a_lane_more_lets_one_more_in() -> None:
    lanes = Callers(AdaptivePacer(2))
    with lanes.lane() as first, lanes.lane():
        lanes.refused(TABLE, 5, ThrottledError("no"))
        assert lanes.connections == 1
    with lanes.lane():
        lanes.call("next")
        assert lanes.order == []
        lanes.answered(first, TABLE, 5, 5, 0.1)  # quiet: one more is tried
        lanes.end()
        assert lanes.order == ["next"]
    lanes.close()


def _interrupt() -> None:
    raise KeyboardInterrupt
