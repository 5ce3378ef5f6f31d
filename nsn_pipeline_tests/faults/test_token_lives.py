"""A job that outlives its tokens: no record fails, and no token is asked for without need.

One clock, which both simulators and our clients read, runs on with every request: hours pass in
seconds, and a token dies between any two pages. It prints the counts.
"""

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from nsn_pipeline.clients.tokens import BearerAuth
from nsn_pipeline.connections import Connections
from nsn_pipeline.doctor.needs import source_needs, target_needs
from nsn_pipeline.orchestration.runs import RunOutcome
from nsn_pipeline.profiles.loader import load_profile
from nsn_pipeline.sandbox import systems
from nsn_pipeline.sandbox.netsuite.oauth2 import TOKEN_PATH, TokenService
from nsn_pipeline.sandbox.servicenow.oauth import Authority
from nsn_pipeline_tests.support.company import company

NETSUITE_LIFE_S, SERVICENOW_LIFE_S = 3600, 1800
RENEWED_AFTER_S = 3000  # NetSuite, 50 of 60 minutes: never in the middle of a page
# What every request takes on the simulated clock. While one of a long list is on its way, eight
# others may be sent and answered (`NetSuiteClient.rows_in`): within the ten minutes that a token
# has left when the next one is due.
STEP_S = 60.0
IN_FLIGHT = 8  # to ServiceNow

TABLE = {
    "netsuite": re.compile(r"\b(?:FROM|JOIN) ([a-z]+)\b"),
    "servicenow": re.compile(r"/api/now/(?:table|stats)/(\w+)"),
}
# Read to tell what is there, and named in the guide; nothing of the profile lives in them.
PLATFORM = {"sys_db_object", "sys_dictionary"}

pytestmark = pytest.mark.slow


class Clock:
    """Simulated time. It starts now, as certificates are valid now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = time.time()
        self._holders = 0
        self._due = 0.0

    def __call__(self) -> float:
        with self._lock:
            return self._now

    def advance(self) -> None:
        with self._lock:
            self._due += STEP_S
            self._run_on()

    @contextmanager
    def held(self) -> Iterator[None]:
        """It stands still meanwhile, and then makes up for it."""
        with self._lock:
            self._holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                self._run_on()

    def _run_on(self) -> None:
        if not self._holders:
            self._now += self._due
            self._due = 0.0


class Long:
    """What a long job did: its outcome, and when each side was asked for a token."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.started = self.clock()
        self.outcomes: list[RunOutcome] = []
        self.asked: dict[str, list[float]] = {"netsuite": [], "servicenow": []}
        self.last_call: dict[str, float] = {}
        self.calls: Counter[str] = Counter()
        self.tables: dict[str, set[str]] = {"netsuite": set(), "servicenow": set()}
        self.issued: dict[str, int] = {}
        self.refused: dict[str, int] = {}

    @property
    def hours(self) -> float:
        return (self.clock() - self.started) / 3600

    def note(self, system: str, token_path: str, request: Any) -> None:
        asked = request.body.decode(errors="replace") if system == "netsuite" else request.path
        self.tables[system] |= set(TABLE[system].findall(asked))
        if getattr(request, "batch_item", None) is not None:
            return  # part of a call, not a call
        self.calls[system] += 1
        if request.path == token_path:
            # At once, so that a call sent with the last of a token's life arrives after its end.
            self.asked[system].append(self.clock())
            return
        self.clock.advance()
        self.last_call[system] = self.clock()


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Long:
    told = Long()
    authorities: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        for name in ("create_netsuite", "create_servicenow"):
            patch.setattr(systems, name, partial(_kept, getattr(systems, name), authorities))
        patch.setattr(
            "nsn_pipeline.orchestration.resources.Connections",
            partial(Connections, now=told.clock),
        )
        # An exchange of tokens takes no minutes: a life is counted from its beginning, and calls
        # that arrive at the server meanwhile would make it look shorter than it is.
        obtain = BearerAuth._obtain

        def at_once(self: BearerAuth, *, refused: str) -> Any:
            with told.clock.held():
                return obtain(self, refused=refused)

        patch.setattr(BearerAuth, "_obtain", at_once)
        refusals = _counted_refusals(patch)
        with company(
            tmp_path_factory.mktemp("long") / "home",
            netsuite={"fault_hook": partial(told.note, "netsuite", TOKEN_PATH)},
            servicenow={"fault_hook": partial(told.note, "servicenow", "/oauth_token.do")},
            clock=told.clock,
        ) as simulated:
            for first, last in ((2, 3), (4, 5)):
                outcome = simulated.sync(date(2026, 3, first), date(2026, 3, last))
                told.outcomes.append(outcome)
    netsuite, servicenow = authorities
    told.issued = {
        "netsuite": netsuite.state.tokens.issued,
        "servicenow": servicenow.state.gateway.authority.issued,
    }
    told.refused = refusals
    print("tokens:", told.issued, "calls:", dict(told.calls), "hours:", told.hours)
    return told


def _kept(create: Any, made: list[Any], *arguments: Any, **options: Any) -> Any:
    made.append(create(*arguments, **options))
    return made[-1]


def _counted_refusals(patch: pytest.MonkeyPatch) -> dict[str, int]:
    counts = {"netsuite": 0, "servicenow": 0}

    def counted(system: str, check: Any) -> Any:
        def wrapper(*arguments: Any) -> Any:
            try:
                return check(*arguments)
            except Exception:
                counts[system] += 1
                raise

        return wrapper

    patch.setattr(TokenService, "check", counted("netsuite", TokenService.check))
    patch.setattr(Authority, "authenticate", counted("servicenow", Authority.authenticate))
    return counts


def test_the_job_crosses_three_lives_on_either_side_and_no_record_fails(long: Long) -> None:
    assert [outcome.errors for outcome in long.outcomes] == [(), ()]
    assert long.issued["netsuite"] > 3
    assert long.issued["servicenow"] > 3
    totals = [figures for outcome in long.outcomes for figures in outcome.totals.values()]
    assert sum(figures.get("failed", 0) for figures in totals) == 0
    assert sum(figures.get("created", 0) for figures in totals) > 100


def test_every_token_that_was_asked_for_was_needed(long: Long) -> None:
    """One call per life; the lives are as long as they may be."""
    for system, life_s in (("netsuite", RENEWED_AFTER_S), ("servicenow", SERVICENOW_LIFE_S)):
        asked = long.asked[system]
        assert len(asked) == long.issued[system]
        assert [b - a for a, b in pairwise(asked) if b - a < life_s] == []
        worked_s = long.last_call[system] - asked[0]
        assert long.issued[system] <= worked_s // life_s + 1


def test_no_netsuite_token_ends_in_the_middle_of_a_page(long: Long) -> None:
    assert long.refused["netsuite"] == 0


def test_a_servicenow_token_that_ends_on_the_way_costs_each_call_one_repeat(long: Long) -> None:
    assert 0 < long.refused["servicenow"] <= long.issued["servicenow"] * IN_FLIGHT


def test_every_table_a_job_touches_is_one_the_doctor_examines(long: Long) -> None:
    profile = load_profile("seed")
    assert len(long.tables["netsuite"]) > 8
    assert long.tables["netsuite"] <= set(source_needs(profile))
    assert len(long.tables["servicenow"]) > 6
    assert long.tables["servicenow"] <= set(target_needs(profile)) | PLATFORM
