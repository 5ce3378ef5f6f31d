"""The connections of a run: who may call now, and when nobody may.

A lane is held for the length of one call, and given up before its answer is read. How many there
are is the pacer's to say at any moment; the lease in `state.leases` bounds them once more, across
processes.
"""

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

from nsn_pipeline.clients.retry import RetryPolicy, next_delay_s
from nsn_pipeline.errors import ThrottledError
from nsn_pipeline.load.pacing import Outcome, Pacer

Answered = TypeVar("Answered")
SHORTEST_REST_S = 0.1  # `Retry-After: 0`, or a date that has passed, is no leave to hammer
_READERS = 2  # threads more than lanes work on a list: some read answers while others wait for one
_LISTS = 3  # lists worked on at a time: what is sent, what follows it, and what is looked up for it


class Lane:
    """Leave to make one call: `with` waits for it, and it ends there, or when it is `given_up`."""

    __slots__ = ("_lanes", "admitted", "in_flight", "is_held", "is_urgent")

    def __init__(self, lanes: "Lanes", *, is_urgent: bool) -> None:
        self._lanes = lanes
        self.is_urgent = is_urgent
        self.admitted = threading.Event()
        self.is_held = False
        self.in_flight = 0  # once given up: calls under way when this one ended, itself included

    def __enter__(self) -> Self:
        self._lanes.queue(self)
        try:
            self.admitted.wait()
        except BaseException:  # an interrupt
            self.give_up()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.give_up()

    def give_up(self) -> None:
        """Let the next one call. Once is enough, and more do no harm."""
        self._lanes.leave(self)


class Lanes:
    """Shared by all threads of a run. Whoever came first calls first; look-ups before all others,
    as what is sent next waits for them.
    """

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
        threads = _LISTS * (pacer.ceiling + _READERS)
        self.executor = ThreadPoolExecutor(threads, thread_name_prefix="load")
        self.clock = clock
        self._pacer = pacer
        self._policy = policy
        self._sleep = sleep
        self._jitter = jitter
        self._under_way = under_way  # calls with the server: a lane may still wait for its lease
        self._lock = threading.Lock()
        self._urgent: deque[Lane] = deque()
        self._others: deque[Lane] = deque()
        self._in_flight = 0
        self._resting = 0
        self._refusals = 0  # in a row, with nothing let through between them

    @property
    def connections(self) -> int:
        with self._lock:
            return self._pacer.connections

    @property
    def workers(self) -> int:
        """How many threads keep all lanes busy."""
        return self._pacer.ceiling + _READERS

    def lane(self, *, is_urgent: bool = False) -> Lane:
        """Leave to make one call; wait for it with `with`."""
        return Lane(self, is_urgent=is_urgent)

    def queue(self, lane: Lane) -> None:
        """Admit the lane as soon as it is its turn."""
        with self._lock:
            (self._urgent if lane.is_urgent else self._others).append(lane)
            self._admit()

    def leave(self, lane: Lane) -> None:
        with self._lock:
            if lane.is_held:
                lane.in_flight = self._with_the_server()
                lane.is_held = False
                self._in_flight -= 1
                self._admit()
            elif not lane.admitted.is_set():
                (self._urgent if lane.is_urgent else self._others).remove(lane)

    def batch_size(self, table: str, waiting: int) -> int:
        """How many records the next batch takes."""
        with self._lock:
            return max(1, min(self._pacer.batch_size(table, waiting), waiting))

    def answered(self, lane: Lane, table: str, asked: int, ran: int, seconds: float) -> None:
        """Tell what a call showed, whose lane is given up."""
        with self._lock:
            self._refusals = 0
            self._pacer.learn(Outcome(table, asked, ran, seconds, lane.in_flight))
            self._admit()  # perhaps there is one lane more

    def refused(self, table: str, asked: int, error: ThrottledError) -> float | None:
        """Tell of a 429, while the lane is still held; the seconds to `rest` once it is given up.

        None while others are in flight: fewer connections are the cure, and nobody waits. Raises
        `error` when ServiceNow asks for more patience than a run has, or lets nothing through any
        more.
        """
        with self._lock:
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
            with self._lock:
                self._resting -= 1
                self._admit()

    def look_up(self, table: str, call: Callable[[], Answered]) -> Answered:
        """Make one look-up, as often as it takes: a 429 tells of the server what it tells anywhere.

        `call` must not wait out a 429 itself: it would hold its lane and tell nobody.
        """
        while True:
            with self.lane(is_urgent=True) as lane:
                started = self.clock()
                try:
                    found = call()
                except ThrottledError as error:
                    rest_s = self.refused(table, 0, error)
                else:
                    lane.give_up()
                    self.answered(lane, table, 0, 0, self.clock() - started)
                    return found
            self.rest(rest_s)

    def close(self) -> None:
        self.executor.shutdown(wait=True, cancel_futures=True)

    def _with_the_server(self) -> int:
        """Calls under way just now, the one that has just ended included."""
        if self._under_way is None:
            return self._in_flight
        return min(self._in_flight, self._under_way() + 1)

    def _admit(self) -> None:
        while not self._resting and self._in_flight < self._pacer.connections:
            waiting = self._urgent or self._others
            if not waiting:
                return
            lane = waiting.popleft()
            lane.is_held = True
            self._in_flight += 1
            lane.admitted.set()
