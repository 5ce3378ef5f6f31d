import threading

import pytest

from nsn_pipeline.clients.retry import LocalLimiter, RetryPolicy, next_delay_s
from nsn_pipeline.errors import ServerFaultError, ThrottledError

POLICY = RetryPolicy(max_attempts=5, base_s=1, max_delay_s=10)


@pytest.mark.parametrize(
    ("attempt", "jitter", "expected"),
    [(1, 0.0, 0.5), (1, 1.0, 1.0), (2, 1.0, 2.0), (4, 1.0, 8.0)],
)
def test_waits_double_and_are_spread_by_jitter(attempt, jitter, expected) -> None:
    assert next_delay_s(attempt, ServerFaultError("x"), POLICY, jitter=jitter) == expected


def test_waits_never_pass_the_ceiling() -> None:
    policy = RetryPolicy(max_attempts=20, base_s=1, max_delay_s=10)
    assert next_delay_s(15, ServerFaultError("x"), policy, jitter=1.0) == 10


def test_gives_up_after_the_last_attempt() -> None:
    assert next_delay_s(5, ServerFaultError("x"), POLICY, jitter=0.0) is None


def test_the_servers_own_advice_is_followed_exactly() -> None:
    error = ThrottledError("x", retry_after_s=7)
    assert next_delay_s(1, error, POLICY, jitter=0.3) == 7


def test_advice_beyond_the_ceiling_is_left_to_the_schedule() -> None:
    error = ThrottledError("x", retry_after_s=3600)
    assert next_delay_s(1, error, POLICY, jitter=0.3) is None


def test_local_limiter_bounds_what_is_in_flight() -> None:
    limiter = LocalLimiter(2)
    running, most = [0], [0]
    lock, both_in = threading.Lock(), threading.Barrier(2, timeout=5)

    def work() -> None:
        with limiter.slot():
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
            both_in.wait()
            with lock:
                running[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 2
