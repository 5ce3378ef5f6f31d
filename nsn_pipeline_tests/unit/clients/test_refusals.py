"""How often a login that stays refused is tried, and what puts an end to it."""

import pytest

from nsn_pipeline.clients.refusals import LocalMemory, LoginGuard
from nsn_pipeline.clients.tba import TbaAuth, TbaCredentials
from nsn_pipeline.clients.tokens import BearerAuth, Token, basic_auth
from nsn_pipeline.errors import AuthenticationError, PermissionDeniedError
from nsn_pipeline_tests.unit.clients.support import Reply, rig

REFUSED = AuthenticationError("credentials refused")
HOUR = 3600
TBA = TbaAuth(TbaCredentials("key", "secret", "id", "secret"), realm="1234567")
NEVER_RENEWED = {"basic": basic_auth("user", "wrong"), "token-based": TBA}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def tries(guards, *, clock: Clock, hours: int) -> list[float]:
    """When somebody who would ask every minute does ask, and is refused; `guards` by turns."""
    asked: list[float] = []
    for minute in range(hours * 60):
        guard = guards(minute)
        clock.now = minute * 60.0
        try:
            guard.check()
        except AuthenticationError:
            continue
        asked.append(minute)
        guard.refused(REFUSED)
    return asked


@pytest.mark.parametrize("processes", [1, 7, 10_000])
def test_whoever_asks_every_minute_never_makes_five_failures_in_half_an_hour(processes) -> None:
    clock, memory = Clock(), LocalMemory()
    made = {n: LoginGuard(memory, now=clock) for n in range(min(processes, 300))}

    def in_turn(minute: int) -> LoginGuard:
        # A tick opens its connections anew: what it knows, it knows from the memory.
        return made[minute % processes] if processes == 1 else LoginGuard(memory, now=clock)

    asked = tries(in_turn, clock=clock, hours=5)
    assert asked[:5] == [0, 1, 6, 36, 66]
    windows = [sum(start <= one < start + 30 for one in asked) for start in range(5 * 60)]
    assert max(windows) == 3


def test_a_refusal_says_how_long_it_holds_and_what_ends_it() -> None:
    clock = Clock()
    guard = LoginGuard(now=clock)
    guard.refused(REFUSED)
    clock.now = 60
    guard.check()
    guard.refused(REFUSED)
    with pytest.raises(AuthenticationError) as told:
        guard.check()
    assert "credentials refused (refused 2 times with these credentials" in str(told.value)
    assert "not asked again for 5 min" in str(told.value)
    assert "`nsn doctor`" in str(told.value)


def test_answers_of_calls_that_were_under_way_count_once() -> None:
    clock = Clock()
    guard = LoginGuard(now=clock)
    for _ in range(8):
        guard.refused(REFUSED)
    held = guard.holding()
    assert held is not None
    assert held.count == 1


def test_a_login_that_works_again_starts_afresh_for_all() -> None:
    clock, memory = Clock(), LocalMemory()
    first = LoginGuard(memory, now=clock)
    first.refused(REFUSED)
    clock.now = 61
    first.check()
    first.accepted()
    assert memory.read() is None
    first.refused(REFUSED)
    held = first.holding()
    assert held is not None
    assert held.count == 1


def test_better_words_are_kept_for_a_refusal_that_holds_and_count_nothing() -> None:
    clock, memory = Clock(), LocalMemory()
    guard = LoginGuard(memory, now=clock)
    guard.refused(REFUSED)
    guard.explain("Set SERVICENOW_PASSWORD")
    kept = memory.read()
    assert kept is not None
    assert (kept.words, kept.count) == ("Set SERVICENOW_PASSWORD", 1)
    clock.now = 61
    guard.explain("of something else, later")
    assert memory.read() == kept


@pytest.mark.parametrize("auth", NEVER_RENEWED.values(), ids=NEVER_RENEWED)
def test_the_first_401_of_a_login_that_cannot_be_renewed_is_the_last_call(auth) -> None:
    r = rig([Reply(), Reply(401, {"error": {"message": "User Not Authenticated"}})], auth=auth)
    r.http.request("GET", "/first", idempotent=True)
    for _ in range(10):
        with pytest.raises(AuthenticationError, match="User Not Authenticated"):
            r.http.request("GET", "/next", idempotent=True)
    assert len(r.server.requests) == 2


def bearer() -> BearerAuth:
    return BearerAuth(lambda: Token("t", expires_at=2e6), key="k", now=lambda: 1e6)


def test_a_token_that_never_worked_is_not_sent_again() -> None:
    r = rig([Reply(401, {"error": "x"})], auth=bearer())
    for _ in range(10):
        with pytest.raises(AuthenticationError):
            r.http.request("GET", "/", idempotent=True)
    assert len(r.server.requests) == 2  # renewed once, repeated once


def test_one_call_of_many_that_is_answered_401_ends_nothing_for_the_others() -> None:
    """ServiceNow says 401 of single records, too; a token that worked was not wrong."""

    def answer(request) -> Reply:
        return Reply(401, {"error": "x"}) if "odd" in request.url else Reply()

    r = rig(answer, auth=bearer())
    r.http.request("GET", "/even", idempotent=True)
    with pytest.raises(AuthenticationError):
        r.http.request("GET", "/odd", idempotent=True)
    r.http.request("GET", "/even", idempotent=True)


def test_a_403_is_the_answer_of_a_login_that_works() -> None:
    memory = LocalMemory()
    guard = LoginGuard(memory, now=lambda: 100.0)
    guard.refused(REFUSED)
    late = LoginGuard(memory, now=lambda: 161.0)
    r = rig([Reply(403, {"error": {"message": "no"}})], auth=bearer(), guard=late)
    with pytest.raises(PermissionDeniedError):
        r.http.request("GET", "/", idempotent=True)
    assert memory.read() is None


def test_a_refusal_from_the_future_holds_nobody_up() -> None:
    """It was noted while the clock was ahead: after its correction nobody knows how old it is."""
    clock = [10_000.0]
    guard = LoginGuard(now=lambda: clock[0])
    guard.refused(AuthenticationError("no"))
    assert guard.holding() is not None
    clock[0] = 9_000.0
    assert guard.holding() is None
