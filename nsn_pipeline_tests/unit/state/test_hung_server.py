"""A server that hangs (stopped, or behind a firewall that swallows packets) costs seconds once."""

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest
import redis

from nsn_pipeline.clients.tokens import Token
from nsn_pipeline.errors import ConfigurationError, UnreachableError
from nsn_pipeline.state import embedded
from nsn_pipeline.state.connection import Connection, connect
from nsn_pipeline.state.job_state import JobState
from nsn_pipeline.state.leases import LeaseUnavailableError, RedisLimiter, named_lock
from nsn_pipeline.state.limits import FallbackLimiter
from nsn_pipeline.state.patience import LEFT_ALONE_S, OneRetryLayer, Patience, Presence
from nsn_pipeline.state.tokens import RedisTokenCache
from nsn_pipeline_tests.unit.state.processes import eventually, server_pids

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="runs the embedded server")

BRIEF = Patience(connect_s=0.2, answer_s=0.2)
ONE_CALL_S = 2 * (BRIEF.connect_s + BRIEF.answer_s)  # a question and its second try
THREADS, CALLS = 8, 25
KEY = "netsuite:1:client"


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    with connect(None, tmp_path / "home", patience=BRIEF) as connection:
        yield connection


@contextmanager
def stopped(connection: Connection) -> Iterator[None]:
    """The server as it is when its machine swaps, or somebody pressed Ctrl-Z."""
    assert connection.embedded is not None
    (pid,) = server_pids(connection.embedded.directory.parent)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def shared_limiter(connection: Connection, limit: int = 4) -> RedisLimiter:
    return RedisLimiter(connection.client, "vendor", limit, presence=connection.presence)


def fallback(connection: Connection, limit: int = 4) -> FallbackLimiter:
    shared = shared_limiter(connection, limit)
    return FallbackLimiter(shared, name="vendor", limit=limit, presence=connection.presence)


@pytest.fixture
def onlooker(connection: Connection, tmp_path: Path) -> Iterator[redis.Redis]:
    """Another process: what it asks settles nothing of this one's."""
    del connection  # it is there first
    with connect(None, tmp_path / "home") as other:  # the server stays as long as this one does
        yield other.client


def held(client: redis.Redis) -> int:
    return client.zcard("nsn:lease:vendor:slots")


def by_threads(work: Callable[[], None]) -> float:
    """Seconds until eight threads have done their calls."""
    failures: list[BaseException] = []

    def calls() -> None:
        try:
            for _ in range(CALLS):
                work()
        except BaseException as error:  # noqa: BLE001  told to the test
            failures.append(error)

    threads = [threading.Thread(target=calls) for _ in range(THREADS)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    return time.monotonic() - began


def test_calls_of_many_threads_go_on_within_one_time_out(
    connection: Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    limiter = fallback(connection)
    tokens = RedisTokenCache(
        connection.client, home=tmp_path, master_key=None, presence=connection.presence
    )
    token = Token("plain", time.time() + 600, None)
    tokens.put(KEY, token)

    def call() -> None:
        with limiter.slot(), tokens.lock(KEY):
            assert tokens.get(KEY) == token

    with caplog.at_level(logging.WARNING), stopped(connection):
        taken_s = by_threads(call)
    # threads that began together wait together; the token's lock is asked for once more
    assert taken_s < 5 * ONE_CALL_S, f"{THREADS * CALLS} calls took {taken_s:.1f} s"
    events = [record.getMessage().split()[0] for record in caplog.records]
    assert events.count("limit_of_this_process_only") == 1


def test_a_thread_asks_now_and_then_and_all_share_when_it_goes_on(connection: Connection) -> None:
    limiter = fallback(connection)
    with stopped(connection):
        with limiter.slot():
            pass
        assert connection.presence.is_away()
    connection.presence._left_alone_s = 0.0
    connection.presence.lost()
    with limiter.slot():
        assert held(connection.client) == 1
    assert not connection.presence.is_away()
    assert held(connection.client) == 0


def test_what_a_stopped_server_takes_late_is_given_back(
    connection: Connection, onlooker: redis.Redis
) -> None:
    """It carries out what is in its socket when it goes on, for callers that have long gone."""
    shared = shared_limiter(connection, limit=1)
    with shared.slot():  # the server knows the script, and a connection is open
        pass
    with stopped(connection), pytest.raises(UnreachableError), shared.slot():
        pytest.fail("nothing was acquired")
    assert eventually(lambda: held(onlooker) == 1), "taken for nobody"
    with shared.slot():
        assert held(onlooker) == 1
    assert held(onlooker) == 0


def test_renewals_ask_a_server_that_is_left_alone_and_their_answer_counts_for_all(
    connection: Connection,
) -> None:
    shared = shared_limiter(connection)
    shared._renewals._every_s = 0.05
    with shared.held():
        (before,) = expiries(connection.client)
        with stopped(connection):
            assert eventually(connection.presence.is_away)
        assert eventually(lambda: not connection.presence.is_away())
        assert eventually(lambda: expiries(connection.client) > [before])
    assert held(connection.client) == 0


def expiries(client: redis.Redis) -> list[float]:
    return [score for _, score in client.zrange("nsn:lease:vendor:slots", 0, -1, withscores=True)]


def owing(connection: Connection) -> FallbackLimiter:
    """A limiter whose slots were given back while the server, which is back now, was away."""
    limiter = fallback(connection, limit=2)
    with ExitStack() as held_slots:
        held_slots.enter_context(limiter.slot())
        held_slots.enter_context(limiter.slot())
        connection.presence.lost()
    return limiter


def test_the_first_answer_of_any_kind_gives_back_what_is_owed_and_lets_all_ask(
    connection: Connection, onlooker: redis.Redis
) -> None:
    limiter = owing(connection)
    assert held(onlooker) == 2
    connection.client.ping()
    assert not connection.presence.is_away(), "nobody waits for the fifteen seconds to pass"
    assert held(onlooker) == 0
    with limiter.slot():
        assert held(onlooker) == 1


def test_an_open_connection_that_asked_nothing_is_no_answer(connection: Connection) -> None:
    """Before each command the client makes sure of the connection: that alone proves nothing."""
    connection.client.ping()
    connection.presence.lost()
    lent = connection.client.connection_pool.get_connection()
    connection.client.connection_pool.release(lent)
    assert connection.presence.is_away()


def test_slots_owed_are_given_back_when_the_connection_is_closed(
    connection: Connection, onlooker: redis.Redis
) -> None:
    owing(connection)
    assert held(onlooker) == 2
    connection.close()
    assert held(onlooker) == 0


def test_closing_costs_one_time_out_when_the_server_hangs_and_never_fails(
    connection: Connection, tmp_path: Path
) -> None:
    user = connect(connection.server, tmp_path / "user", patience=BRIEF)
    for number in range(4):
        user.presence.owe(partial(shared_limiter(user)._released, f"token {number}"))
    with stopped(connection):
        began = time.monotonic()
        user.close()
        assert time.monotonic() - began < 1.5 * ONE_CALL_S
    presence = Presence()
    presence.owe(lambda: 1 / 0)
    Connection(redis.Redis(), "nowhere", presence=presence).close()


def test_what_was_not_acquired_is_not_released(connection: Connection) -> None:
    shared = shared_limiter(connection)
    with stopped(connection):
        began = time.monotonic()
        with pytest.raises(UnreachableError), shared.slot():
            pytest.fail("nothing was acquired")
        assert time.monotonic() - began < 1.5 * ONE_CALL_S


def test_a_place_in_the_queue_is_given_up_by_one_that_waits_no_longer(
    connection: Connection,
) -> None:
    with named_lock(connection.client, "run"):
        with (
            pytest.raises(LeaseUnavailableError),
            named_lock(connection.client, "run", wait_s=0, presence=connection.presence),
        ):
            pass
        assert connection.client.keys("nsn:lease:lock:run:queue") == []


@pytest.mark.parametrize("work", ["job state", "lock"])
def test_work_that_needs_it_fails_in_bounded_time_and_says_what_to_do(
    connection: Connection, work: str
) -> None:
    state = JobState.open(connection.client, account="1", instance="dev", profile="seed")
    works: dict[str, Callable[[], object]] = {
        "job state": state.counts,
        "lock": lambda: named_lock(connection.client, "run").__enter__(),
    }
    with stopped(connection):
        began = time.monotonic()
        with pytest.raises(UnreachableError, match="see that the state server runs"):
            works[work]()
        assert time.monotonic() - began < 1.5 * ONE_CALL_S
    works[work]()


def test_an_embedded_server_that_hangs_when_a_step_begins_is_named(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "LISTEN_S", 0.05)
    with stopped(connection):
        began = time.monotonic()
        with pytest.raises(UnreachableError, match=r"runs and does not answer(.|\n)*kill -CONT"):
            connect(None, tmp_path / "home")
        assert time.monotonic() - began < 5


def test_a_server_that_swallows_what_it_gets_is_unreachable_in_bounded_time(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        began = time.monotonic()
        with pytest.raises(UnreachableError, match="no answer"):
            connect(url, tmp_path, patience=BRIEF)
        assert time.monotonic() - began < 1.5 * ONE_CALL_S


class Hanging:
    """Each question costs a whole time-out to connect and to answer, on a clock of its own."""

    def __init__(self, error: Exception) -> None:
        self.now = 0.0
        self.asked = 0
        self.error = error
        self.presence = Presence(clock=lambda: self.now)
        self.layer = OneRetryLayer(self.presence, sleep=self.passes)

    def passes(self, seconds: float) -> None:
        self.now += seconds

    def ask(self) -> None:
        """As the client nests it: a command, in it the health check, in it the connection."""

        def connects() -> None:
            self.asked += 1
            if isinstance(self.error, redis.TimeoutError):
                self.now += Patience().connect_s + Patience().answer_s
            raise self.error

        def nested(depth: int) -> Callable[[], object]:
            if depth == 0:
                return connects
            return lambda: self.layer.call_with_retry(nested(depth - 1), lambda _: None)

        with pytest.raises(type(self.error)):
            nested(3)()


def test_by_default_a_server_that_hangs_is_waited_for_seconds_not_minutes() -> None:
    server = Hanging(redis.TimeoutError())
    server.ask()
    assert server.asked == 2
    assert server.now < 13.0
    assert server.now < LEFT_ALONE_S, "one asks, and is back before the next is sent"
    first_s = server.now
    server.ask()
    assert server.asked == 3, "known to be away: a question is asked once"
    most_s = Patience().connect_s + Patience().answer_s
    assert server.now - first_s <= most_s + 1e-9  # a sum of floats


def test_a_broken_connection_is_tried_again_for_about_a_second() -> None:
    server = Hanging(redis.ConnectionError())
    server.ask()
    assert server.asked == 4
    assert server.now < 1.5


def test_a_refused_password_is_sent_once_and_is_no_lost_server() -> None:
    server = Hanging(redis.AuthenticationError())
    server.ask()
    assert server.asked == 1
    assert not server.presence.is_away()


def test_of_many_callers_one_is_sent_to_ask() -> None:
    now = 0.0
    presence = Presence(clock=lambda: now)
    assert not any(presence.is_left_alone() for _ in range(3))
    presence.lost()
    assert all(presence.is_left_alone() for _ in range(3))
    now = LEFT_ALONE_S
    assert [presence.is_left_alone() for _ in range(4)] == [False, True, True, True]
    presence.answered()
    assert not any(presence.is_left_alone() for _ in range(3))


def test_a_release_that_is_refused_holds_up_no_other_and_is_not_tried_for_ever() -> None:
    presence = Presence()
    tried: list[str] = []

    def refused() -> None:
        tried.append("refused")
        raise ConfigurationError("this Redis user may not run the command")

    presence.owe(refused)
    presence.owe(lambda: tried.append("released"))
    presence.answered()
    presence.answered()
    assert tried == ["refused", "released"]


def test_a_question_from_before_an_answer_tells_nothing_by_failing() -> None:
    now = 0.0
    presence = Presence(clock=lambda: now)
    layer = OneRetryLayer(presence, sleep=lambda _: None)

    def ask_for(seconds: float, *, meanwhile: Callable[[], None] = lambda: None) -> None:
        def times_out() -> None:
            nonlocal now
            now += seconds
            meanwhile()
            raise redis.TimeoutError

        presence.lost()  # away: the question is asked once
        with pytest.raises(redis.TimeoutError):
            layer.call_with_retry(times_out, lambda _: None)

    ask_for(6.0, meanwhile=presence.answered)
    assert not presence.is_away(), "another thread's question was answered since"
    ask_for(6.0)
    assert presence.is_away()


def test_deeds_that_are_owed_do_not_begin_each_other() -> None:
    """Each is a question that gets its answer: a thousand would be a thousand calls deep."""
    presence = Presence()
    layer = OneRetryLayer(presence)
    done: list[int] = []
    for number in range(900):
        deed = partial(layer.call_with_retry, partial(done.append, number), lambda _: None)
        presence.owe(lambda deed=deed: (deed(), presence.answered()))
    presence.answered()
    assert done == list(range(900))


def test_settling_ends_when_its_time_is_over() -> None:
    now = 0.0
    presence = Presence(clock=lambda: now)

    def takes_a_second() -> None:
        nonlocal now
        now += 1

    for _ in range(10):
        presence.owe(takes_a_second)
    presence.settle(within_s=3)
    assert now == 3
    presence.settle()
    assert now == 10
