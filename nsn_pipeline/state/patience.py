"""How long the state server is waited for, and who asks while it does not answer.

A server that is gone refuses connections at once. One that hangs, or that a firewall cuts off,
costs a time-out per question, and every layer that asks again multiplies it. So there is one layer
that tries again (`OneRetryLayer`, below every command), and one note per connection pool of whether
the server answers (`Presence`), by which callers with a stand-in of their own do without.
"""

import contextlib
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import AuthorizationError
from redis.retry import Retry

from nsn_pipeline.errors import NsnError, UnreachableError

logger = logging.getLogger(__name__)

LEFT_ALONE_S = 15.0  # longer than a question with its second try takes, see Patience
QUICK_RETRIES = 3  # of refused and broken connections: over about a second, while a server restarts
SETTLE_S = 2.0  # of one caller's time, who may have leases to renew; the next one goes on
MOST_OWED = 1_000  # each owed release also happens by itself, when the slot expires
# The client has these among broken connections; a wrong password does not become right.
REFUSED = (redis.AuthenticationError, AuthorizationError)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds to wait for a connection and for an answer.

    The longest script handles 500 documents in a few milliseconds, the largest answer (the ids of
    200,000 documents) takes half a second on a busy machine: no command needs a longer bound of its
    own. No command blocks in the server.
    """

    connect_s: float = 3.0
    answer_s: float = 3.0


class Presence:
    """Whether the state server answers, as far as this process knows.

    What it says last counts: a question that was on its way when another got its answer tells
    nothing by failing.
    """

    def __init__(
        self,
        *,
        left_alone_s: float = LEFT_ALONE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._left_alone_s = left_alone_s
        self._clock = clock
        self._lock = threading.Lock()
        self._away_until: float | None = None
        self._answered_at = -math.inf
        self._owed: deque[Callable[[], object]] = deque(maxlen=MOST_OWED)
        self._settling = threading.Lock()

    def now(self) -> float:
        """The instant to give to `lost` when what is asked now fails."""
        return self._clock()

    def is_away(self) -> bool:
        """Known not to answer."""
        return self._away_until is not None

    def is_left_alone(self) -> bool:
        """Whether to do without it now; False also sends this one caller to ask again.

        While it is away one caller is sent per `left_alone_s`; all others do without. As long as
        leases are held, their renewals ask instead.
        """
        if self._away_until is None:
            return False
        with self._lock:
            if self._away_until is None:
                return False
            now = self._clock()
            if now < self._away_until:
                return True
            self._away_until = now + self._left_alone_s
            return False

    def lost(self, *, asked_at: float | None = None) -> None:
        """A question asked then (or just now) got no answer."""
        with self._lock:
            now = self._clock()
            if (now if asked_at is None else asked_at) >= self._answered_at:
                self._away_until = now + self._left_alone_s

    def answered(self) -> None:
        """A question got its answer: all may ask again, and what was owed is done now."""
        self._answered_at = self._clock()
        if self._away_until is not None:
            with self._lock:
                self._away_until = None
        if self._owed:
            self.settle(within_s=SETTLE_S)

    def owe(self, deed: Callable[[], object]) -> None:
        """Do this when the server answers again."""
        self._owed.append(deed)

    def settle(self, *, within_s: float = math.inf) -> None:
        """Do what is owed, until it is done, the server fails to answer, or the time is over.

        Each deed is itself a question that is answered: it must not begin on the others.
        """
        if not self._settling.acquire(blocking=False):
            return
        try:
            end = self._clock() + within_s
            while self._owed and self._clock() < end and self._settled_one():
                pass
        finally:
            self._settling.release()

    def _settled_one(self) -> bool:
        deed = self._owed.popleft()
        try:
            deed()
        except NsnError as error:
            if isinstance(error, UnreachableError):
                self._owed.append(deed)
                return False
            # Refused: it would be refused again, and hold up the others.
        return True


class OneRetryLayer(Retry):
    """Tries a command again after a broken connection, and nothing inside it once more.

    The Redis client retries commands, within each the health check and the connection, and within
    that the socket: a server that hangs would be waited for dozens of times. Here only the
    outermost of these tries again: a broken connection `QUICK_RETRIES` times, as that costs
    milliseconds; a time-out once, on a new connection, as firewalls drop idle ones without a word;
    and not at all when the server is known to be away. All scripts of this package do nothing new
    when they arrive twice.
    """

    def __init__(self, presence: Presence, *, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(
            ExponentialWithJitterBackoff(base=0.05, cap=0.5),
            QUICK_RETRIES,
            (redis.ConnectionError, redis.TimeoutError, TimeoutError),
        )
        self._pauses = ExponentialWithJitterBackoff(base=0.05, cap=0.5)
        self._presence = presence
        self._sleep = sleep
        self._thread = threading.local()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # each connection copies it, and all must know of each other

    def call_with_retry(
        self,
        do: Callable[[], Any],
        fail: Callable[..., Any],
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,
    ) -> Any:
        """Call `do`; after each failure `fail` cleans up."""
        failures = 0
        with self._outermost() as is_outermost:
            while True:
                asked_at = self._presence.now()
                try:
                    answer = do()
                    break
                except (redis.ConnectionError, redis.TimeoutError, TimeoutError) as error:
                    failures += 1
                    fail(error, failures) if with_failure_count else fail(error)
                    if (
                        not is_outermost
                        or isinstance(error, REFUSED)
                        or (is_retryable and not is_retryable(error))
                    ):
                        raise
                    if not self._is_worth_another(error, failures):
                        self._presence.lost(asked_at=asked_at)
                        raise
                    self._sleep(self._pauses.compute(failures))
        # To open a connection that is open already asks nothing, and gives nothing: no answer.
        if is_outermost and answer is not None:
            self._presence.answered()
        return answer

    def _is_worth_another(self, error: Exception, failures: int) -> bool:
        is_slow = isinstance(error, redis.TimeoutError | TimeoutError)
        return failures <= (1 if is_slow else QUICK_RETRIES) and not (
            is_slow and self._presence.is_away()
        )

    @contextlib.contextmanager
    def _outermost(self) -> Iterator[bool]:
        if getattr(self._thread, "is_inside", False):
            yield False
            return
        self._thread.is_inside = True
        try:
            yield True
        finally:
            self._thread.is_inside = False
