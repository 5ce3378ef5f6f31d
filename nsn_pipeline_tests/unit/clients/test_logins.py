"""Whose doing a 401 is: one call's, or the login's; and what finding out may cost."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from requests.auth import AuthBase

from nsn_pipeline.clients import netsuite, servicenow
from nsn_pipeline.clients.logins import Probe
from nsn_pipeline.clients.refusals import GAPS_S, LOOK_AGAIN_S, LocalMemory, LoginGuard, Refusal
from nsn_pipeline.clients.tba import TbaAuth, TbaCredentials
from nsn_pipeline.clients.tokens import BearerAuth, MemoryTokenCache, Token, basic_auth
from nsn_pipeline.errors import AuthenticationError, NsnError, ServerFaultError
from nsn_pipeline_tests.unit.clients.support import Reply, Rig, rig

PROBE = Probe("GET", "/probe")
NO = Reply(401, {"error": {"message": "User Not Authenticated"}})
HALF_AN_HOUR = 1800.0
OTHERS = AuthenticationError("noted by another process")


class Vendor:
    """Answers all processes alike, on one clock, and keeps what it refused when."""

    def __init__(self) -> None:
        self.now = 10_000.0
        self.is_locked = False  # the login, as a whole
        self.odd = frozenset({"/odd"})  # paths that answer 401 to a good login
        self.gives_tokens = True
        self.probe_fails = False
        self.refused: list[tuple[float, str]] = []
        self.asked: list[str] = []

    def clock(self) -> float:
        return self.now

    def answer(self, request) -> Reply:
        path = request.url.removeprefix("https://example.test").partition("?")[0]
        self.asked.append(path)
        if path == PROBE.path and self.probe_fails:
            return Reply(503, {"error": "x"})
        if self.is_locked or path in self.odd:
            self.refused.append((self.now, path))
            return NO
        return Reply()

    def fetch(self) -> Token:
        if not self.gives_tokens:
            self.refused.append((self.now, "token"))
            raise AuthenticationError("no token")
        return Token(f"t{len(self.asked)}", expires_at=self.now + 1e6)

    def most_in_half_an_hour(self) -> int:
        starts = [at for at, _ in self.refused]
        return max(
            (sum(start <= at < start + HALF_AN_HOUR for at in starts) for start in starts),
            default=0,
        )


KINDS: dict[str, Callable[[Vendor], AuthBase]] = {
    "bearer": lambda vendor: BearerAuth(vendor.fetch, key="k", now=vendor.clock),
    "basic": lambda _: basic_auth("user", "password"),
    "token-based": lambda _: TbaAuth(TbaCredentials("k", "s", "i", "s"), realm="1"),
}
NEVER_RENEWED = ("basic", "token-based")


class Process:
    """One of many that share a memory."""

    def __init__(self, vendor: Vendor, memory: LocalMemory, kind: str) -> None:
        self.guard = LoginGuard(memory, now=vendor.clock)
        auth = KINDS[kind](vendor)
        self.rig: Rig = rig(vendor.answer, auth=auth, guard=self.guard, probe=PROBE, attempts=1)

    def get(self, path: str = "/even") -> bool:
        try:
            self.rig.http.request("GET", path, idempotent=True)
        except NsnError:
            return False
        return True


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
def memory() -> LocalMemory:
    return LocalMemory()


def test_a_first_call_that_is_refused_alone_stops_no_other(vendor, memory) -> None:
    """A token that is good elsewhere: its process goes on, and so do all others."""
    process = Process(vendor, memory, "bearer")
    assert not process.get("/odd")
    assert memory.read() is None
    assert vendor.asked == ["/odd", "/probe", "/odd"]  # the repeat with the new token
    assert process.get()
    assert Process(vendor, memory, "bearer").get()


def test_a_token_that_is_refused_everywhere_costs_a_call_and_a_probe(vendor, memory) -> None:
    vendor.is_locked = True
    process = Process(vendor, memory, "bearer")
    for _ in range(10):
        assert not process.get()
        assert not Process(vendor, memory, "bearer").get()
    assert vendor.asked == ["/even", "/probe"]
    kept = memory.read()
    assert kept is not None
    assert kept.count == 2
    assert kept.until == vendor.now + GAPS_S[1]


@pytest.mark.parametrize("kind", NEVER_RENEWED)
def test_a_first_call_that_is_refused_alone_is_found_out_a_minute_later(
    vendor, memory, kind: str
) -> None:
    """Each refusal of these counts towards a lock: nothing is asked at once."""
    first = Process(vendor, memory, kind)
    assert not first.get("/odd")
    assert vendor.asked == ["/odd"]
    assert not first.get()
    vendor.now += GAPS_S[0]
    assert Process(vendor, memory, kind).get()
    assert vendor.asked == ["/odd", "/probe", "/even"]
    assert memory.read() is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_login_that_has_worked_is_asked_about_when_one_call_is_refused(
    vendor, memory, kind: str
) -> None:
    process = Process(vendor, memory, kind)
    assert process.get()
    for _ in range(1000):
        assert not process.get("/odd")
        vendor.now += 0.5
    assert process.get()
    assert memory.read() is None
    probes = vendor.asked.count("/probe")
    assert 1 <= probes <= 1 + 1000 * 0.5 / GAPS_S[0], "at most one in a minute"


@pytest.mark.parametrize("kind", KINDS)
def test_a_login_that_ends_under_way_stops_all(vendor, memory, kind: str) -> None:
    process = Process(vendor, memory, kind)
    assert process.get()
    vendor.is_locked = True
    for _ in range(10):
        assert not process.get()
        assert not Process(vendor, memory, kind).get()
    assert not process.guard.works
    assert len(vendor.refused) == {"bearer": 3}.get(kind, 2)
    kept = memory.read()
    assert kept is not None
    assert kept.count == len(vendor.refused)


def test_no_token_is_the_login_itself_also_after_one_that_worked(vendor, memory) -> None:
    process = Process(vendor, memory, "bearer")
    assert process.get()
    vendor.gives_tokens, vendor.is_locked = False, True
    assert not process.get()
    kept = memory.read()
    assert kept is not None
    assert (kept.words, kept.count) == ("no token", 1)


@pytest.mark.parametrize("words", ["no token: mapping revoked", ""])
def test_the_try_after_a_refusal_does_not_use_a_token_that_may_have_ended(
    vendor, memory, words: str
) -> None:
    """Revoked, and put right within a minute: the next try sees it, by whichever process.

    With words, no token was given for a while; without, the refusal is of another cause.
    """
    tokens, revoked, cache = iter("abc"), set[str](), MemoryTokenCache()
    asked: list[str] = []
    gives = True

    def fetch() -> Token:
        asked.append("token")
        if not gives:
            raise AuthenticationError(words)
        return Token(next(tokens), expires_at=vendor.now + 1e6)

    def answer(request) -> Reply:
        given = request.headers["Authorization"].removeprefix("Bearer ")
        asked.append(given)
        return NO if given in revoked else Reply()

    def process() -> Process:
        made = Process(vendor, memory, "bearer")
        auth = BearerAuth(fetch, key="k", cache=cache, now=vendor.clock)
        made.rig = rig(answer, auth=auth, guard=made.guard, probe=PROBE, attempts=1)
        return made

    assert process().get()
    revoked.add("a")
    if words:
        gives = False
        assert not process().get()
        kept = memory.read()
        assert kept is not None
        assert kept.words == words
        gives = True
    else:
        LoginGuard(memory, now=vendor.clock).refused(OTHERS)
    vendor.now += GAPS_S[0] + 1
    asked.clear()
    assert process().get()
    assert asked == ["token", "b", "b"]  # the probe, and the call
    assert memory.read() is None


def test_a_login_that_is_still_refused_after_a_while_is_told_in_the_vendors_present_words(
    vendor, memory
) -> None:
    assert Process(vendor, memory, "bearer").get()
    vendor.gives_tokens, vendor.is_locked = False, True
    assert not Process(vendor, memory, "bearer").get()
    vendor.now += GAPS_S[0] + 1
    assert not Process(vendor, memory, "bearer").get()
    kept = memory.read()
    assert kept is not None
    assert kept.words == "no token"
    assert vendor.asked == ["/even"]


@pytest.mark.parametrize("error", [AuthenticationError("no token"), ServerFaultError("away")])
def test_a_new_token_that_is_not_given_does_not_bring_back_an_old_one(
    vendor, error: NsnError
) -> None:
    """Its own is older than the shared one, which another process got and goes on with."""
    cache, given = MemoryTokenCache(), iter("ab")
    fails: list[NsnError] = []

    def fetch() -> Token:
        if fails:
            raise fails[0]
        return Token(next(given), expires_at=vendor.now + 1e6)

    late, other = (BearerAuth(fetch, key="k", cache=cache, now=vendor.clock) for _ in range(2))
    late.ready()
    other.ready()
    other.renew("a")
    fails.append(error)
    with pytest.raises(type(error)):
        late.anew()
    shared = cache.get("k")
    assert shared is not None
    assert shared.value == "b"


def test_threads_that_are_refused_together_ask_once(vendor, memory) -> None:
    vendor.is_locked = True
    process = Process(vendor, memory, "bearer")
    together = Barrier(8)
    known = vendor.answer

    def answer(request) -> Reply:
        if "/even" in request.url:
            together.wait(20)
        return known(request)

    process.rig.server._replies = answer
    with ThreadPoolExecutor(8) as pool:
        assert not any(pool.map(lambda _: process.get(), range(8)))
    assert vendor.asked.count("/probe") == 1


def test_where_the_probe_gets_no_answer_the_refusal_stands(vendor, memory) -> None:
    vendor.is_locked = vendor.probe_fails = True
    assert not Process(vendor, memory, "bearer").get()
    assert vendor.asked == ["/even", "/probe", "/even"]
    kept = memory.read()
    assert kept is not None
    assert kept.count == 2
    vendor.now += GAPS_S[1]
    late = Process(vendor, memory, "bearer")
    with pytest.raises(ServerFaultError):
        late.rig.http.request("GET", "/even", idempotent=True)
    assert vendor.asked[3:] == ["/probe"], "the call waits for what the probe says"
    vendor.is_locked = vendor.probe_fails = False
    assert late.get()
    assert memory.read() is None


@pytest.mark.parametrize("tokens", [True, False], ids=["tokens given", "no tokens"])
@pytest.mark.parametrize("long_lived", [1, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_a_refused_login_is_refused_three_times_in_half_an_hour_probes_included(
    vendor, memory, kind: str, long_lived: int, tokens: bool
) -> None:
    """Whoever asks: processes that live on and remember, and new ones every minute."""
    vendor.is_locked, vendor.gives_tokens = True, tokens
    living = [Process(vendor, memory, kind) for _ in range(long_lived)]
    for _ in range(5 * 60):
        for process in (*living, Process(vendor, memory, kind)):
            assert not process.get()
        vendor.now += 60
    assert vendor.most_in_half_an_hour() == 3
    assert 11 <= len(vendor.refused) <= 13  # and it is tried again every half hour


def test_one_tries_when_a_refusal_has_held_and_the_others_wait(vendor, memory) -> None:
    """Two that know of it ask in the same instant: the second must not send its call."""
    vendor.is_locked = True
    first, second = (Process(vendor, memory, "basic") for _ in range(2))
    assert not first.get()
    assert not second.get()
    vendor.now += GAPS_S[0]
    known = vendor.answer

    def answer(request) -> Reply:
        if len(vendor.refused) == 1:
            assert not second.get(), "while the first one's probe is under way"
        return known(request)

    first.rig.server._replies = answer
    assert not first.get()
    assert [path for _, path in vendor.refused] == ["/even", "/probe"]


def noted(memory: LocalMemory, vendor: Vendor) -> None:
    LoginGuard(memory, now=vendor.clock).refused(OTHERS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_process_whose_login_works_ends_what_others_have_noted(vendor, memory, kind: str) -> None:
    process = Process(vendor, memory, kind)
    known = vendor.answer

    def answer(request) -> Reply:
        vendor.now += 1
        noted(memory, vendor)
        return known(request)

    process.rig.server._replies = answer
    assert process.get()
    assert memory.read() is not None, "noted after this call was sent: it tells nothing"
    process.rig.server._replies = known
    vendor.now += GAPS_S[0]
    assert process.get()
    assert memory.read() is None
    noted(memory, vendor)
    vendor.now += LOOK_AGAIN_S
    assert process.get()
    assert memory.read() is None


class CountingMemory(LocalMemory):
    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def read(self) -> Refusal | None:
        self.asked += 1
        return super().read()


def test_a_login_that_works_asks_the_memory_twice_and_then_every_ten_minutes(vendor) -> None:
    memory = CountingMemory()
    process = Process(vendor, memory, "bearer")
    for _ in range(500):
        assert process.get()
    assert memory.asked == 2  # before the first call, and after it
    for _ in range(60):
        vendor.now += 60
        assert process.get()
    assert memory.asked == 2 + 3600 / LOOK_AGAIN_S


def test_the_probes_are_reads_that_every_login_of_ours_needs(vendor, memory) -> None:
    asked: list[tuple[str, str, str]] = []

    def answer(request) -> Reply:
        asked.append((request.method, request.url, str(request.body)))
        return NO

    for system, probe in (
        ("netsuite", netsuite.LOGIN_PROBE),
        ("servicenow", servicenow.LOGIN_PROBE),
    ):
        auth = KINDS["bearer"](vendor)
        with pytest.raises(AuthenticationError):
            rig(answer, system=system, auth=auth, probe=probe).http.request(
                "GET", "/x", idempotent=True
            )
    (_, post, _, get) = asked
    assert post[0] == "POST"
    assert post[1] == "https://example.test/services/rest/query/v1/suiteql?limit=1&offset=0"
    assert "FROM transaction" in post[2]
    assert get[0] == "GET"
    assert get[1].startswith("https://example.test/api/now/table/sys_db_object?")
    assert "sysparm_limit=1" in get[1]
