import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from nsn_pipeline.errors import TransientError
from nsn_pipeline.state.connection import Connection
from nsn_pipeline.state.leases import (
    LONGEST_POLL_S,
    WORD_S,
    LeaseUnavailableError,
    RedisLimiter,
    named_lock,
    next_poll_s,
)
from nsn_pipeline.state.patience import Presence
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
limiter = RedisLimiter(connect(None, Path(sys.argv[1])).client, 'killed', 1, ttl_s=1.0, keeps=True)
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


def renew(client: redis.Redis, *tokens: str) -> None:
    limiter(client, ttl_s=60.0)._renewed(tokens)


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
    renew(client, "crashed")
    assert client.zrange("nsn:lease:test:slots", 0, -1) == ["next"], "gone is gone"
    give_up(client, "crashed")
    assert ask(client, "third") == 1, "a late release must not free somebody else's slot"


def test_a_crashed_holder_frees_its_slot_while_others_hold_theirs(client: redis.Redis) -> None:
    ask(client, "holder", limit=2)
    ask(client, "crashed", limit=2, ttl_ms=1)
    assert eventually(lambda: ask(client, "next", limit=2) == 0)
    assert ask(client, "third", limit=2) == 1


def test_renewed_leases_last_longer(client: redis.Redis) -> None:
    for token in ("a", "b", "c"):
        ask(client, token, limit=3, ttl_ms=5_000)
    renew(client, "a", "b")
    left = {t: s - client.time()[0] * 1000 for t, s in client.zrange(
        "nsn:lease:test:slots", 0, -1, withscores=True)}  # fmt: skip
    assert left["c"] < 6_000
    assert min(left["a"], left["b"]) > 50_000
    assert 50_000 < client.pttl("nsn:lease:test:slots") <= 60_000


def test_renewing_when_nothing_is_held_leaves_nothing_behind(client: redis.Redis) -> None:
    renew(client, "a")
    assert client.keys("*") == []


@pytest.mark.parametrize("way", ["slot", "held"])
def test_a_call_may_take_longer_than_a_lease_lasts(client: redis.Redis, way: str) -> None:
    slots = limiter(client, ttl_s=0.4, keeps=True)

    def expires_at() -> float:
        return client.zrange("nsn:lease:test:slots", 0, -1, withscores=True)[0][1]

    with getattr(slots, way)():
        first = expires_at()
        assert eventually(lambda: expires_at() >= first + 800)
    slots.close()
    assert eventually(lambda: client.keys("*") == [])


def test_a_killed_process_holds_the_others_up_for_one_life_of_a_lease(
    shared_server: Connection, shared_home: Path
) -> None:
    client = shared_server.client
    client.flushdb()
    killed = python(HOLDER, shared_home)
    assert says(killed) == "held"
    next_one = RedisLimiter(client, "killed", 1, wait_s=60.0)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next_one._taken)
        first = client.zrange("nsn:lease:killed:slots", 0, -1, withscores=True)[0][1]
        assert eventually(  # renewed while it lives
            lambda: client.zrange("nsn:lease:killed:slots", 0, -1, withscores=True)[0][1] > first
        )
        assert not waiting.done()
        end(killed, kill=True)
        token = waiting.result(60)
    next_one._give_up(token)
    assert client.keys("nsn:lease:*") == []


def test_who_waits_long_says_so_once(client: redis.Redis, caplog: pytest.LogCaptureFixture) -> None:
    ask(client, "holder")
    time = FakeTime()

    def long_pause(_: float) -> None:
        time.sleep(WORD_S / 2)

    waiting = limiter(client, wait_s=3 * WORD_S, clock=time.clock, sleep=long_pause)
    with caplog.at_level(logging.WARNING), pytest.raises(LeaseUnavailableError), waiting.slot():
        pass
    assert caplog.text.count("lease_waits name=test of=1 ahead=1") == 1


def test_renewals_ask_no_server_that_is_left_alone(client: redis.Redis) -> None:
    presence = Presence()
    presence.lost()
    ask(client, "a", ttl_ms=5_000)
    limiter(client, presence=presence)._renewed(["a"])
    assert client.pttl("nsn:lease:test:slots") <= 5_000


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
