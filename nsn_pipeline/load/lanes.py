"""The connections of a run: who may call now, and when nobody may.

A lane is held for the length of one call. How many there are is the pacer's to say at any moment;
the lease in `state.leases` bounds them once more, across processes.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from nsn_pipeline.clients.retry import RetryPolicy, next_delay_s
from nsn_pipeline.errors import ThrottledError
from nsn_pipeline.load.pacing import Outcome, Pacer

Answered = TypeVar("Answered")
SHORTEST_REST_S = 0.1  # `Retry-After: 0`, or a date that has passed, is no leave to hammer


class Lanes:
    """Shared by all threads of a run."""

    def __init__(
        self,
        pacer: Pacer,
        *,
        policy: RetryPolicy,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.perf_counter,
        under_way: Callable[[], int] | None = None,
    ) -> None:
        # More threads than lanes: three shares are under way, and look up beside what is sent.
        self.executor = ThreadPoolExecutor(3 * pacer.ceiling, thread_name_prefix="load")
        self.clock = clock
        self._pacer = pacer
        self._policy = policy
        self._sleep = sleep
        self._jitter = jitter
        self._under_way = under_way  # calls with the server: a lane may still wait for its lease
        self._changed = threading.Condition()
        self._in_flight = 0
        self._resting = 0
        self._refusals = 0  # in a row, with nothing let through between them

    @property
    def ceiling(self) -> int:
        return self._pacer.ceiling

    @property
    def connections(self) -> int:
        with self._changed:
            return self._pacer.connections

    @contextmanager
    def lane(self) -> Iterator[None]:
        """Wait for a lane and hold it for one call."""
        with self._changed:
            self._changed.wait_for(self._is_open)
            self._in_flight += 1
        try:
            yield
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()

    def batch_size(self, table: str, waiting: int) -> int:
        """How many records the next batch takes."""
        with self._changed:
            return max(1, min(self._pacer.batch_size(table, waiting), waiting))

    def answered(self, table: str, asked: int, ran: int, seconds: float) -> None:
        """Tell what a batch showed; while its lane is still held."""
        with self._changed:
            self._refusals = 0
            self._pacer.learn(Outcome(table, asked, ran, seconds, self._with_the_server()))

    def refused(self, table: str, asked: int, error: ThrottledError) -> float | None:
        """Tell of a 429, while the lane is still held; the seconds to `rest` once it is given up.

        None while others are in flight: fewer connections are the cure, and nobody waits. Raises
        `error` when ServiceNow asks for more patience than a run has, or lets nothing through any
        more.
        """
        with self._changed:
            in_flight = self._with_the_server()
            self._pacer.learn(Outcome(table, asked, 0, 0.0, in_flight, throttled=True))
            if error.retry_after_s is None and in_flight > 1:
                return None
            if not self._resting:  # refused together is refused once
                self._refusals += 1
            delay_s = next_delay_s(self._refusals, error, self._policy, jitter=self._jitter())
            if delay_s is None:
                raise error
            self._resting += 1
            return max(delay_s, SHORTEST_REST_S)

    def rest(self, seconds: float | None) -> None:
        """Sit out what `refused` returned; every lane stays closed meanwhile."""
        if seconds is None:
            return
        try:
            self._sleep(seconds)
        finally:
            with self._changed:
                self._resting -= 1
                self._changed.notify_all()

    def look_up(self, table: str, call: Callable[[], Answered]) -> Answered:
        """Make one look-up, as often as it takes: a 429 tells of the server what it tells anywhere.

        `call` must not wait out a 429 itself: it would hold its lane and tell nobody.
        """
        while True:
            with self.lane():
                started = self.clock()
                try:
                    found = call()
                except ThrottledError as error:
                    rest_s = self.refused(table, 0, error)
                else:
                    self.answered(table, 0, 0, self.clock() - started)
                    return found
            self.rest(rest_s)

    def close(self) -> None:
        self.executor.shutdown(wait=True, cancel_futures=True)

    def _with_the_server(self) -> int:
        """Calls under way just now, the one that has just ended included."""
        if self._under_way is None:
            return self._in_flight
        return min(self._in_flight, self._under_way() + 1)

    def _is_open(self) -> bool:
        return not self._resting and self._in_flight < self._pacer.connections
