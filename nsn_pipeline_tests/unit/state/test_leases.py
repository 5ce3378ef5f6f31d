import logging
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import redis

from nsn_pipeline.errors import TransientError, UnreachableError
from nsn_pipeline.state.connection import Connection
from nsn_pipeline.state.leases import (
    LONGEST_POLL_S,
    RENEWALS,
    TTL_S,
    WORD_S,
    LeaseUnavailableError,
    RedisLimiter,
    named_lock,
    next_poll_s,
)
from nsn_pipeline.state.patience import Patience, Presence
from nsn_pipeline.state.renewals import SHORTEST_PAUSE_S
from nsn_pipeline_tests.unit.state.processes import end, eventually, python, says

CROWD = """
import sys, threading
from pathlib import Path
from nsn_pipeline.state.connection import connect
from nsn_pipeline.state.leases import RedisLimiter
connection = connect(None, Path(sys.argv[1]))
client = connection.client
limiter = RedisLimiter(client, 'crowd', 5, keeps=sys.argv[2] == 'keeps')
def work():
    for _ in range(10):
        with limiter.slot():
            client.rpush('in_flight', client.incr('now'))
            client.decr('now')
threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""
HOLDER = """
import sys
from pathlib import Path
from nsn_pipeline.state.connection import connect
from nsn_pipeline.state.leases import RedisLimiter
limiter = RedisLimiter(connect(None, Path(sys.argv[1])).client, 'killed', 1, ttl_s=5.0, keeps=True)
with limiter.slot():
    print('held', flush=True)
    sys.stdin.read()
"""


class FakeTime:
    """A clock that only `sleep` moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def limiter(client: redis.Redis, limit: int = 1, **options: object) -> RedisLimiter:
    time = FakeTime()
    defaults: dict[str, object] = {"clock": time.clock, "sleep": time.sleep, "wait_s": 1.0}
    return RedisLimiter(client, "test", limit, **(defaults | options))


def ask(
    client: redis.Redis,
    token: str,
    *,
    limit: int = 1,
    patience_ms: int = 60_000,
    ttl_ms: int = 60_000,
) -> int:
    slots = limiter(client)
    return slots._acquire(keys=slots._keys, args=[token, limit, ttl_ms, patience_ms])


def renew(client: redis.Redis, *tokens: str) -> list[str]:
    """Those that are gone."""
    return limiter(client, ttl_s=60.0)._gone(tokens)


def expiries(client: redis.Redis, name: str = "test") -> dict[str, float]:
    """Who holds slots, and until when."""
    return dict(client.zrange(f"nsn:lease:{name}:slots", 0, -1, withscores=True))


def now_ms(client: redis.Redis) -> float:
    seconds, micros = client.time()
    return seconds * 1000 + micros / 1000


def give_up(client: redis.Redis, token: str) -> None:
    slots = limiter(client)
    slots._release(keys=slots._keys, args=[token])


@pytest.mark.parametrize("way", ["gives up", "keeps"])
def test_a_limit_holds_over_processes_and_threads(
    shared_server: Connection, shared_home: Path, way: str
) -> None:
    client = shared_server.client
    client.flushdb()
    users = [python(CROWD, shared_home, way) for _ in range(3)]
    for user in users:
        user.communicate(timeout=60)
        assert user.returncode == 0
    in_flight = [int(number) for number in client.lrange("in_flight", 0, -1)]
    assert len(in_flight) == 3 * 4 * 10
    assert 1 < max(in_flight) <= 5
    assert client.keys("nsn:lease:*") == []


def test_slots_up_to_the_limit_are_free_and_a_released_one_is_free_again(
    client: redis.Redis,
) -> None:
    slots = limiter(client, 2)
    with slots.slot():
        for _ in range(2):
            with slots.slot(), pytest.raises(LeaseUnavailableError), slots.slot():
                pass


def test_waiting_ends_after_the_time_allowed(client: redis.Redis) -> None:
    time = FakeTime()
    with limiter(client).slot():
        waiting = limiter(client, wait_s=7.0, clock=time.clock, sleep=time.sleep)
        with pytest.raises(TransientError, match="no free slot of 1 within 7 s"), waiting.slot():
            pass
        assert 7.0 <= time.now < 7.0 + 2 * LONGEST_POLL_S
    assert client.keys("*") == []


def test_waiters_are_served_in_order_of_arrival(client: redis.Redis) -> None:
    assert [ask(client, token) for token in ("holder", "first", "second")] == [0, 1, 2]
    give_up(client, "holder")
    assert ask(client, "second") == 1
    assert ask(client, "first") == 0
    assert ask(client, "second") == 1
    give_up(client, "first")
    assert ask(client, "second") == 0


def test_newcomers_do_not_pass_the_queue_when_several_slots_are_free(client: redis.Redis) -> None:
    tokens = ("a", "b", "c", "d")
    assert [ask(client, token, limit=2) for token in tokens] == [0, 0, 1, 2]
    give_up(client, "a")
    give_up(client, "b")
    assert ask(client, "e", limit=2) == 1
    assert ask(client, "d", limit=2) == 0
    assert ask(client, "c", limit=2) == 0


def test_a_waiter_that_stops_asking_loses_its_place(client: redis.Redis) -> None:
    ask(client, "holder")
    assert ask(client, "killed", patience_ms=1) == 1
    ask(client, "second")
    give_up(client, "holder")
    assert eventually(lambda: ask(client, "second") == 0)


def test_an_acquire_that_arrives_twice_takes_one_slot(client: redis.Redis) -> None:
    assert ask(client, "a") == 0
    assert ask(client, "a") == 0
    assert client.zcard("nsn:lease:test:slots") == 1


def test_a_crashed_holder_frees_its_slot_after_the_ttl(client: redis.Redis) -> None:
    ask(client, "crashed", ttl_ms=1)
    assert eventually(lambda: ask(client, "next") == 0)
    assert renew(client, "crashed", "next") == ["crashed"]
    assert list(expiries(client)) == ["next"], "gone is gone"
    give_up(client, "crashed")
    assert ask(client, "third") == 1, "a late release must not free somebody else's slot"


def test_a_crashed_holder_frees_its_slot_while_others_hold_theirs(client: redis.Redis) -> None:
    ask(client, "holder", limit=2)
    ask(client, "crashed", limit=2, ttl_ms=1)
    assert eventually(lambda: ask(client, "next", limit=2) == 0)
    assert ask(client, "third", limit=2) == 1


def test_renewed_leases_last_longer(client: redis.Redis) -> None:
    for token in ("a", "b", "c"):
        ask(client, token, limit=3, ttl_ms=30_000)
    assert renew(client, "a", "b") == []
    until = expiries(client)
    assert min(until["a"], until["b"]) > until["c"] + 20_000
    assert 30_000 < client.pttl("nsn:lease:test:slots") <= 60_000


def test_an_expired_lease_that_nobody_has_taken_is_renewed(client: redis.Redis) -> None:
    ask(client, "other", limit=2)
    ask(client, "late", limit=2, ttl_ms=1)
    assert eventually(lambda: now_ms(client) > expiries(client)["late"])
    assert renew(client, "late") == []
    assert expiries(client)["late"] > now_ms(client)


def test_an_expired_lease_that_was_the_last_is_gone(client: redis.Redis) -> None:
    ask(client, "late", ttl_ms=1)
    assert eventually(lambda: client.keys("*") == [])
    assert renew(client, "late") == ["late"]
    assert client.keys("*") == []


def test_renewing_when_nothing_is_held_leaves_nothing_behind(client: redis.Redis) -> None:
    assert renew(client, "a") == ["a"]
    assert client.keys("*") == []


@pytest.mark.parametrize("way", ["slot", "held"])
def test_a_lease_is_renewed_as_long_as_it_is_held(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr("nsn_pipeline.state.leases.RENEWALS", 6000)
    slots = limiter(client, ttl_s=60.0, keeps=True)
    seen: set[float] = set()
    with getattr(slots, way)():
        assert eventually(lambda: seen.update(expiries(client).values()) or len(seen) > 3)
    slots.close()
    assert eventually(lambda: client.keys("*") == [])
    assert slots._renewals.held == frozenset()


@pytest.mark.parametrize("fails", [False, True])
def test_after_the_end_nothing_is_renewed(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """A call that is still under way must not open the connection again."""
    slots = limiter(client, keeps=True)
    with slots.slot():
        thread = slots._renewals._thread
        assert thread is not None
        assert thread.is_alive()
        if fails:
            monkeypatch.setattr(slots._kept, "close", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError) if fails else nullcontext():
            slots.close()
        thread.join(10)
        assert not thread.is_alive()


def test_a_lock_leaves_no_thread_behind(client: redis.Redis) -> None:
    before = set(threading.enumerate())
    with named_lock(client, "run"):
        new = set(threading.enumerate()) - before
        assert [thread.name for thread in new] == ["lease-renewals"]
    for thread in new:
        thread.join(10)
        assert not thread.is_alive()


def test_a_killed_process_holds_the_others_up_for_one_life_of_a_lease(
    shared_server: Connection, shared_home: Path
) -> None:
    client = shared_server.client
    client.flushdb()
    killed = python(HOLDER, shared_home)
    assert says(killed) == "held"
    ((token, first),) = expiries(client, "killed").items()
    assert eventually(lambda: expiries(client, "killed")[token] > first)  # as long as it lives
    end(killed, kill=True)
    until = expiries(client, "killed")[token]
    next_one = RedisLimiter(client, "killed", 1, wait_s=60.0)
    with next_one.held():
        assert until <= now_ms(client) < until + 30_000  # seconds, on a busy machine
    assert client.keys("nsn:lease:*") == []


def test_a_lease_outlives_a_renewal_without_an_answer_and_not_a_minute() -> None:
    """A server that hangs is waited for to connect and to answer, and asked twice."""
    patience = Patience()
    unanswered_s = 2 * (patience.connect_s + patience.answer_s)
    assert TTL_S / RENEWALS + unanswered_s + SHORTEST_PAUSE_S < TTL_S < 30


def test_who_waits_long_says_so_once(client: redis.Redis, caplog: pytest.LogCaptureFixture) -> None:
    told: dict[float, bool] = {}
    time = FakeTime()

    def long_pause(_: float) -> None:
        told[time.now] = "lease_waits name=test of=1 ahead=1" in caplog.text
        time.sleep(WORD_S / 2)

    waiting = limiter(client, wait_s=2 * WORD_S, clock=time.clock, sleep=long_pause)

    def waits_in_vain() -> int:
        caplog.clear()
        with pytest.raises(LeaseUnavailableError), waiting.slot():
            pass
        return caplog.text.count("lease_waits")

    ask(client, "holder")
    with caplog.at_level(logging.WARNING):
        assert waits_in_vain() == 1
        assert told == {0.0: False, WORD_S / 2: False, WORD_S: True, 1.5 * WORD_S: True}
        assert waits_in_vain() == 0, "it was told"
        give_up(client, "holder")
        with waiting.slot():  # had at once
            pass
        ask(client, "holder")
        assert waits_in_vain() == 1


def test_what_was_not_had_is_not_renewed(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(**_: object) -> None:
        raise redis.ConnectionError

    slots = limiter(client)
    monkeypatch.setattr(slots, "_acquire", gone)
    with pytest.raises(UnreachableError), slots.slot():
        pass
    assert slots._renewals.held == frozenset()


def test_an_interrupt_between_having_a_slot_and_renewing_it_gives_it_back(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    slots = limiter(client)
    monkeypatch.setattr(slots._renewals, "hold", interrupted)
    with pytest.raises(KeyboardInterrupt), slots.slot():
        pass
    assert client.keys("*") == []


def test_slots_of_one_name_do_not_count_for_another(client: redis.Redis) -> None:
    with RedisLimiter(client, "netsuite", 1).slot(), RedisLimiter(client, "servicenow", 1).slot():
        pass


def test_a_slot_is_given_back_when_the_work_fails(client: redis.Redis) -> None:
    with pytest.raises(ZeroDivisionError), limiter(client).slot():
        raise ZeroDivisionError
    with limiter(client).slot():
        pass


def test_a_lock_has_one_holder_and_wait_zero_asks_once(client: redis.Redis) -> None:
    def never(_: float) -> None:
        pytest.fail("must not wait")

    with (
        named_lock(client, "run"),
        pytest.raises(LeaseUnavailableError),
        named_lock(client, "run", wait_s=0, sleep=never),
    ):
        pass
    with named_lock(client, "run", wait_s=0, sleep=never):
        pass


def test_finished_work_is_not_spoilt_by_a_release_that_fails(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def gone(**_: object) -> None:
        raise redis.ConnectionError

    slots = limiter(client)
    with caplog.at_level(logging.WARNING), slots.slot():
        monkeypatch.setattr(slots, "_release", gone)
    assert "lease_not_released name=test" in caplog.text
    assert slots._renewals.held == frozenset()


def test_a_slot_that_cannot_be_given_back_now_is_not_renewed(client: redis.Redis) -> None:
    presence = Presence()
    slots = limiter(client, presence=presence)
    with slots.slot():
        presence.lost()
    assert slots._renewals.held == frozenset()


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
def test_the_first_in_the_queue_asks_most_often(jitter: float) -> None:
    delays = [next_poll_s(ahead, jitter=jitter) for ahead in (1, 2, 10, 1000)]
    assert delays == sorted(set(delays))
    assert 0 < delays[0] < 0.01
    assert delays[-1] < 2 * LONGEST_POLL_S


def test_a_limiter_serves_as_the_clients_limiter(client: redis.Redis) -> None:
    slot: Callable[[], object] = limiter(client).slot
    with slot() as nothing:
        assert nothing is None
