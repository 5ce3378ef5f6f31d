import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from nsn_pipeline.errors import UnreachableError
from nsn_pipeline.state.leases import LeaseUnavailableError
from nsn_pipeline.state.limits import FallbackLimiter
from nsn_pipeline.state.patience import Presence


class Shared:
    """A limiter of all processes whose server comes and goes."""

    def __init__(self, presence: Presence) -> None:
        self.presence = presence
        self.is_kept = False  # a slot of the last call, without a question to the server
        self.failure: Exception | None = None
        self.asked = 0
        self.held = 0

    @contextmanager
    def slot(self) -> Iterator[None]:
        self.asked += 1
        if not self.is_kept:
            if self.failure:
                raise self.failure
            self.presence.answered()
        self.held += 1
        try:
            yield
        finally:
            self.held -= 1


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def shared(clock: Clock) -> Shared:
    return Shared(Presence(clock=clock))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(shared: Shared) -> FallbackLimiter:
    return FallbackLimiter(shared, name="netsuite:1", limit=2, presence=shared.presence)


def test_the_shared_limit_is_kept_while_its_server_answers(
    limiter: FallbackLimiter, shared: Shared
) -> None:
    with limiter.slot():
        assert shared.held == 1
    assert shared.held == 0


def test_a_lost_server_leaves_the_limit_of_this_process(
    limiter: FallbackLimiter, shared: Shared, caplog: pytest.LogCaptureFixture
) -> None:
    shared.failure = UnreachableError("no answer")
    with ExitStack() as held:
        held.enter_context(limiter.slot())
        held.enter_context(limiter.slot())
        assert not limiter._own._places.acquire(blocking=False)
    assert shared.asked == 1  # once, and then left alone
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_one_caller_tries_again_and_all_share_when_it_is_back(
    limiter: FallbackLimiter, shared: Shared, clock: Clock
) -> None:
    shared.failure = UnreachableError("no answer")
    with limiter.slot():
        pass
    clock.now += 16
    with limiter.slot(), limiter.slot():
        assert shared.asked == 2
    shared.failure = None
    clock.now += 16
    with limiter.slot(), limiter.slot():
        assert shared.held == 2


def test_a_full_limit_is_no_lost_server(limiter: FallbackLimiter, shared: Shared) -> None:
    shared.failure = LeaseUnavailableError("no free slot")
    with pytest.raises(LeaseUnavailableError), limiter.slot():
        pass


def test_a_failure_of_the_work_is_not_taken_for_one_of_the_server(
    limiter: FallbackLimiter, shared: Shared
) -> None:
    with pytest.raises(UnreachableError, match="vendor"), limiter.slot():
        raise UnreachableError("the vendor is away")
    assert shared.held == 0
    with limiter.slot():
        assert shared.held == 1


def test_a_kept_slot_is_no_sign_of_life(
    limiter: FallbackLimiter,
    shared: Shared,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    shared.failure = UnreachableError("no answer")
    with limiter.slot():
        pass
    caplog.clear()
    clock.now += 20  # one caller may ask again, and gets a slot that was kept
    shared.is_kept = True
    with limiter.slot():
        pass
    assert shared.presence.is_away()
    assert caplog.records == []
