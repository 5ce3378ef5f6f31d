"""A slot goes from one call of a process to the next, and never lies idle for long."""

import itertools
import threading

import pytest
import redis

from nsn_pipeline.state.kept_slots import IDLE_S, KEEP_S, KeptSlots
from nsn_pipeline.state.leases import RedisLimiter
from nsn_pipeline_tests.unit.state.processes import eventually

Kept = tuple[KeptSlots, list[str], list[float]]


@pytest.fixture
def no_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is the test's: nobody looks for idle slots but itself."""
    monkeypatch.setattr(KeptSlots, "_watch", lambda _: None)


def kept() -> Kept:
    """Slots, what was asked of the state server, and a clock that the test sets."""
    asked: list[str] = []
    now = [100.0]

    def acquire() -> str:
        asked.append(f"acquire {len(asked)}")
        return asked[-1]

    slots = KeptSlots(acquire, lambda token: asked.append(f"give up {token}"), clock=lambda: now[0])
    return slots, asked, now


@pytest.mark.usefixtures("no_watch")
def test_calls_one_after_the_other_use_one_slot() -> None:
    slots, asked, _ = kept()
    for _ in range(3):
        with slots.slot():
            pass
    assert asked == ["acquire 0"]
    slots.close()
    assert asked == ["acquire 0", "give up acquire 0"]


@pytest.mark.usefixtures("no_watch")
def test_calls_side_by_side_use_a_slot_each() -> None:
    slots, asked, _ = kept()
    with slots.slot(), slots.slot():
        pass
    assert asked == ["acquire 0", "acquire 1"]


@pytest.mark.usefixtures("no_watch")
def test_a_slot_that_was_kept_long_goes_to_others_first() -> None:
    slots, asked, now = kept()
    with slots.slot():
        now[0] += KEEP_S - 0.01
    with slots.slot():
        pass
    now[0] += 0.01
    with slots.slot():
        pass
    assert asked == ["acquire 0", "give up acquire 0", "acquire 2"]
    with slots.slot():
        now[0] += KEEP_S  # nor is one kept that is older when its call ends
    assert asked[3:] == ["give up acquire 2"]


@pytest.mark.usefixtures("no_watch")
@pytest.mark.parametrize("looks", range(2, 12))
def test_no_slot_is_lost_while_time_passes_between_two_looks_at_the_clock(looks: int) -> None:
    """It is renewed as long as the process lives, and nobody has it."""
    held: set[int] = set()
    tokens, ticks = itertools.count(), itertools.count()

    def acquire() -> str:
        held.add(token := next(tokens))
        return str(token)

    slots = KeptSlots(
        acquire,
        lambda token: held.remove(int(token)),
        clock=lambda: KEEP_S / looks * next(ticks),  # a slot is old at the look of that number
    )
    for _ in range(50):
        with slots.slot():
            pass
    slots.close()
    assert held == set()
    assert next(tokens) > 1, "some slot grew old"


@pytest.mark.usefixtures("no_watch")
def test_an_idle_slot_is_given_up() -> None:
    slots, asked, now = kept()
    with slots.slot():
        pass
    now[0] += IDLE_S / 2
    assert slots.give_up_idle() == 1
    now[0] += IDLE_S
    assert slots.give_up_idle() == 0
    assert asked == ["acquire 0", "give up acquire 0"]


@pytest.mark.usefixtures("no_watch")
def test_a_slot_is_idle_from_the_end_of_its_call() -> None:
    slots, asked, now = kept()
    with slots.slot():
        now[0] += 2 * IDLE_S
    assert slots.give_up_idle() == 1
    assert asked == ["acquire 0"]


@pytest.mark.usefixtures("no_watch")
def test_an_error_of_one_that_is_given_up_loses_none_of_the_others() -> None:
    held: set[str] = set()
    now = [100.0]
    broken = ["0", "1"]

    def acquire() -> str:
        held.add(token := str(len(held)))
        return token

    def give_up(token: str) -> None:
        held.discard(token)
        if token in broken:
            broken.remove(token)
            raise RuntimeError("no such error is expected")

    slots = KeptSlots(acquire, give_up, clock=lambda: now[0])
    with slots.slot(), slots.slot():
        now[0] += KEEP_S / 2
        with slots.slot():
            pass
    now[0] += KEEP_S / 2
    with pytest.raises(RuntimeError), slots.slot():
        pass
    assert (held, broken) == ({"2"}, []), "two grew old, and are given up both"
    slots.close()
    assert held == set()


@pytest.mark.usefixtures("no_watch")
def test_a_slot_of_a_call_that_failed_is_kept_and_after_the_end_none_is() -> None:
    slots, asked, _ = kept()
    with pytest.raises(RuntimeError), slots.slot():
        raise RuntimeError
    with slots.slot():
        slots.close()
    assert asked == ["acquire 0", "give up acquire 0"]


@pytest.mark.usefixtures("no_watch")
def test_a_thread_that_waits_at_the_state_server_is_not_passed_over() -> None:
    given_up = threading.Event()
    asks = threading.Event()
    tokens = iter("ab")

    def acquire() -> str:
        token = next(tokens)
        if token == "b":
            asks.set()
            assert given_up.wait(5)
        return token

    slots = KeptSlots(acquire, lambda _: given_up.set())
    with slots.slot():
        waiting = threading.Thread(target=_one_call, args=(slots,))
        waiting.start()
        assert asks.wait(5)
    waiting.join(5)
    assert given_up.is_set()


def test_without_another_thread_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    slots, asked, _ = kept()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_more)
        with slots.slot():
            pass
        slots.close()
    assert asked == ["acquire 0", "give up acquire 0"]


def test_slots_are_given_up_without_being_asked_for(client: redis.Redis) -> None:
    limiter = RedisLimiter(client, "test", 2, keeps=True)
    with limiter.slot(), limiter.slot():
        assert client.zcard("nsn:lease:test:slots") == 2
    assert client.zcard("nsn:lease:test:slots") <= 2
    assert eventually(lambda: client.zcard("nsn:lease:test:slots") == 0)
    with limiter.slot():  # looked after again
        pass
    assert eventually(lambda: client.zcard("nsn:lease:test:slots") == 0)
    limiter.close()


def test_an_idle_slot_is_given_up_though_another_could_not_be() -> None:
    """Nobody may call again."""
    tokens = iter("ab")
    given_up: list[str] = []
    done = threading.Event()

    def give_up(token: str) -> None:
        given_up.append(token)
        if token == "a":
            raise RuntimeError("no such error is expected")
        done.set()

    slots = KeptSlots(lambda: next(tokens), give_up)
    first, second = slots.slot(), slots.slot()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert eventually(lambda: given_up == ["a"])
    second.__exit__(None, None, None)
    assert done.wait(5)
    slots.close()


def test_after_the_end_nothing_is_asked_any_more() -> None:
    """The state server may be gone by then."""
    may_go_on = threading.Event()
    asked: list[str] = []
    is_asked = threading.Event()

    def give_up(token: str) -> None:
        is_asked.set()
        assert may_go_on.wait(5)
        asked.append(token)

    slots = KeptSlots(lambda: "a", give_up)
    _one_call(slots)
    assert is_asked.wait(5)  # by who looks for idle ones
    end = threading.Thread(target=slots.close)
    end.start()
    end.join(0.05)
    assert end.is_alive()
    may_go_on.set()
    end.join(5)
    assert asked == ["a"]


def test_another_process_gets_its_turn(client: redis.Redis) -> None:
    """One that calls all the time keeps a slot for a while, not for ever."""
    busy = RedisLimiter(client, "test", 1, keeps=True)
    other = RedisLimiter(client, "test", 1, keeps=True, wait_s=60.0)
    done = threading.Event()

    def calls() -> None:
        while not done.is_set():
            _one_call(busy)

    thread = threading.Thread(target=calls)
    thread.start()
    try:
        with other.slot():
            done.set()
    finally:
        done.set()
        thread.join(10)
        busy.close()
        other.close()
    assert client.keys("nsn:lease:*:slots") == []


def _one_call(slots: KeptSlots | RedisLimiter) -> None:
    with slots.slot():
        pass
