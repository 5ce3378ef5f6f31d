import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from nsn_pipeline.clients.tokens import BearerAuth, MemoryTokenCache, Token, basic_auth
from nsn_pipeline.errors import AuthenticationError, ServerFaultError, Where


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Source:
    """Hands out numbered tokens that last an hour and are due at fifty minutes."""

    def __init__(self, clock: Clock, name: str) -> None:
        self.clock = clock
        self.name = name
        self.calls = 0
        self.failure: Exception | None = None

    def __call__(self) -> Token:
        self.calls += 1
        if self.failure:
            raise self.failure
        now = self.clock.now
        return Token(f"{self.name}-{self.calls}", expires_at=now + 3600, refresh_at=now + 3000)


def make(cache=None, name: str = "token") -> tuple[BearerAuth, Source, Clock]:
    clock = Clock()
    source = Source(clock, name)
    return BearerAuth(source, key="k", cache=cache, now=clock), source, clock


def test_a_token_is_used_until_it_is_due() -> None:
    auth, source, clock = make()
    auth.ready()
    clock.now += 2999
    assert auth.ready().value == "token-1"
    clock.now += 1
    assert auth.ready().value == "token-2"
    assert source.calls == 2


def test_eight_threads_meeting_an_expired_token_make_one_call() -> None:
    auth, source, clock = make()
    auth.ready()
    clock.now += 4000
    start = threading.Barrier(8)
    values: list[str] = []

    def work() -> None:
        start.wait(5)
        values.append(auth.ready().value)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values == ["token-2"] * 8
    assert source.calls == 2


def test_eight_threads_refused_with_one_token_make_one_call() -> None:
    auth, source, _ = make()
    refused = auth.ready().value
    threads = [threading.Thread(target=auth.renew, args=(refused,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert source.calls == 2


def renewed_by_eight(auth: BearerAuth, refused: str) -> list[str]:
    """What eight threads are told that were all refused with the same token."""

    def renew(_number: int) -> str:
        try:
            auth.renew(refused)
        except AuthenticationError as error:
            return str(error)
        return auth.ready().value

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(renew, range(8)))


def test_a_token_the_server_gives_again_is_asked_for_once() -> None:
    """ServiceNow stands by its token until it ends, also where it has just refused it."""
    auth, source, clock = make()
    refused = auth.ready().value
    source.calls = 0  # so that the next token is the same one
    assert renewed_by_eight(auth, refused) == [refused] * 8
    assert source.calls == 1
    clock.now += 61  # a refusal of another day is asked about again
    assert renewed_by_eight(auth, refused) == ["token-2"] * 8


def test_eight_threads_whose_credentials_are_refused_make_one_call_and_get_one_error() -> None:
    auth, source, clock = make()
    refused = auth.ready().value
    source.failure = AuthenticationError("no token", where=Where("ServiceNow", "POST /token", 401))
    assert renewed_by_eight(auth, refused) == ["ServiceNow POST /token HTTP 401: no token"] * 8
    assert source.calls == 2
    source.failure = None
    clock.now += 61
    assert renewed_by_eight(auth, refused) == ["token-3"] * 8


def test_a_late_answer_does_not_replace_a_token_that_came_meanwhile() -> None:
    cache = MemoryTokenCache()
    auth, source, clock = make(cache)
    newer = Token("newer", expires_at=clock.now + 7200, refresh_at=clock.now + 7000)

    def slow() -> Token:
        cache.put("k", newer)  # by a process that did not wait for the lock any longer
        return source()

    late = BearerAuth(slow, key="k", cache=cache, now=clock)
    assert late.ready() == newer
    assert auth.ready() == newer


def test_an_older_token_that_is_refused_late_renews_nothing() -> None:
    auth, source, _ = make()
    auth.renew(auth.ready().value)
    auth.renew("token-1")
    assert auth.ready().value == "token-2"
    assert source.calls == 2


def test_processes_share_a_token_through_the_cache() -> None:
    cache = MemoryTokenCache()
    first, _, _ = make(cache)
    second, source, _ = make(cache)
    assert first.ready() == second.ready()
    assert source.calls == 0


def test_a_refused_token_is_not_taken_back_from_the_cache() -> None:
    cache = MemoryTokenCache()
    make(cache, "first")[0].ready()
    second, _, _ = make(cache, "second")
    second.renew(second.ready().value)
    assert second.ready().value == "second-1"


def test_a_renewal_of_another_process_is_taken_over() -> None:
    cache = MemoryTokenCache()
    first, _, _ = make(cache, "first")
    second, source, _ = make(cache, "second")
    refused = first.ready().value
    assert second.ready().value == refused
    first.renew(refused)
    second.renew(refused)
    assert second.ready().value == "first-2"
    assert source.calls == 0


def test_a_failed_early_renewal_keeps_the_working_token_for_a_while() -> None:
    auth, source, clock = make()
    auth.ready()
    source.failure = ServerFaultError("down")
    clock.now += 3100
    assert auth.ready().value == "token-1"
    assert auth.ready().value == "token-1"
    assert source.calls == 2  # one failed try, then left alone
    source.failure = None
    clock.now += 31
    assert auth.ready().value == "token-3"


def test_an_expired_token_is_never_kept() -> None:
    auth, source, clock = make()
    auth.ready()
    source.failure = ServerFaultError("down")
    clock.now += 3600
    with pytest.raises(ServerFaultError):
        auth.ready()


REVOKED = AuthenticationError("revoked", where=Where("NetSuite", "POST /token", 400))


def test_a_refused_early_renewal_leaves_the_token_to_its_end_and_is_not_repeated(
    caplog: pytest.LogCaptureFixture,
) -> None:
    auth, source, clock = make()
    auth.ready()
    source.failure = REVOKED
    clock.now += 3100
    with caplog.at_level("WARNING"):
        assert auth.ready().value == "token-1"
    assert "token_not_renewed key=k left_s=500 NetSuite POST /token HTTP 400: revoked" in (
        caplog.text
    )
    for _ in range(49):
        clock.now += 10
        assert auth.ready().value == "token-1"
    assert source.calls == 2
    clock.now += 10
    with pytest.raises(AuthenticationError, match="revoked"):
        auth.ready()
    assert source.calls == 3


def test_what_another_process_keeps_after_a_refused_renewal_is_left_alone() -> None:
    cache = MemoryTokenCache()
    first, source, clock = make(cache)
    first.ready()
    source.failure = REVOKED
    clock.now += 3100
    first.ready()
    second = BearerAuth(source, key="k", cache=cache, now=clock)
    assert second.ready().value == "token-1"
    assert source.calls == 2


def test_a_process_that_finds_a_token_due_keeps_it_when_the_renewal_is_refused() -> None:
    cache = MemoryTokenCache()
    first, source, clock = make(cache)
    first.ready()
    source.failure = REVOKED
    clock.now += 3100
    assert BearerAuth(source, key="k", cache=cache, now=clock).ready().value == "token-1"


def test_a_renewal_after_the_server_refused_the_token_fails_when_it_is_refused() -> None:
    auth, source, clock = make()
    token = auth.ready().value
    source.failure = REVOKED
    clock.now += 3100
    auth.ready()
    with pytest.raises(AuthenticationError, match="revoked"):
        auth.renew(token)


def test_a_login_that_stays_refused_is_asked_for_less_and_less_often() -> None:
    auth, source, clock = make()
    source.failure = REVOKED
    asked: list[float] = []
    for _ in range(120 * 60 // 10):
        before = source.calls
        with pytest.raises(AuthenticationError):
            auth.ready()
        asked += [clock.now - 1000] if source.calls > before else []
        clock.now += 10
    assert asked == [0, 60, 360, 2160, 3960, 5760]


def test_a_login_that_worked_for_another_process_meanwhile_is_refused_for_the_first_time() -> None:
    cache = MemoryTokenCache()
    auth, source, clock = make(cache)
    source.failure = REVOKED
    with pytest.raises(AuthenticationError):
        auth.ready()
    cache.put("k", Token("other", expires_at=clock.now + 500, refresh_at=clock.now + 400))
    assert auth.ready().value == "other"
    clock.now += 600  # over, and refused again
    for since_s, calls in ((0, 2), (59, 2), (60, 3)):
        clock.now = 1600.0 + since_s
        with pytest.raises(AuthenticationError):
            auth.ready()
        assert source.calls == calls


def test_a_cached_token_without_a_due_time_is_renewed_a_minute_early() -> None:
    token = Token("x", expires_at=1000)
    assert token.is_fresh(939)
    assert not token.is_fresh(940)


def test_basic_auth_carries_any_password() -> None:
    request = requests.Request("GET", "https://a.test", auth=basic_auth("ü", "p€")).prepare()
    assert request.headers["Authorization"] == "Basic w7w6cOKCrA=="
