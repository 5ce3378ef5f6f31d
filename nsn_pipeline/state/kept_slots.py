"""Slots of a limit between two calls of one process.

To take a slot and to give it back are two questions to the state server for every call, and both
hold the connection up. Whoever calls again at once uses the slot that the call before it had: for
`KEEP_S` since it was taken, so that other processes have their turn, and as long as it does not lie
idle for `IDLE_S`.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

logger = logging.getLogger(__name__)

KEEP_S = 2.0
IDLE_S = 0.05
_QUIET_ROUNDS = 40  # of looking for idle slots, and finding none kept, before looking ends


@dataclass(frozen=True, slots=True)
class KeptSlot:
    """A slot by its token, when it was taken, and since when nobody uses it."""

    token: str
    taken_at: float
    idle_since: float = 0.0

    def is_fresh(self, now: float) -> bool:
        """Whether it may be kept for one call more."""
        return now - self.taken_at < KEEP_S


class KeptSlots:
    """Those of one limiter. `acquire` and `give_up` are questions to the state server."""

    def __init__(
        self,
        acquire: Callable[[], str],
        give_up: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._acquire = acquire
        self._give_up = give_up
        self._clock = clock
        self._changed = threading.Condition()
        self._kept: list[KeptSlot] = []
        self._waiting = 0  # threads of this process that ask for one
        self._watcher: threading.Thread | None = None
        self._is_closed = False

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a slot for one call."""
        slot = self._taken() or self._acquired()
        try:
            yield
        finally:
            self._put(slot)

    def close(self) -> None:
        """Give up what is kept, and keep nothing more."""
        with self._changed:
            self._is_closed = True
            kept, self._kept = self._kept, []
            watcher = self._watcher
            self._changed.notify_all()
        try:
            self._give_up_all(kept)
        finally:
            if watcher is not None:
                watcher.join()

    def give_up_idle(self) -> int:
        """Give up what nobody used for `IDLE_S`; how many are still kept."""
        with self._changed:
            latest = self._clock() - IDLE_S
            idle = [slot for slot in self._kept if slot.idle_since <= latest]
            self._kept = [slot for slot in self._kept if slot.idle_since > latest]
            left = len(self._kept)
        self._give_up_all(idle)
        return left

    def _taken(self) -> KeptSlot | None:
        with self._changed:
            now = self._clock()  # once: a slot that ages between two looks would be in neither list
            old = [slot for slot in self._kept if not slot.is_fresh(now)]
            self._kept = [slot for slot in self._kept if slot.is_fresh(now)]
        self._give_up_all(old)  # before one is taken: it must not be lost with an error here
        with self._changed:  # one that has grown old meanwhile serves one call more
            return self._kept.pop() if self._kept else None

    def _give_up_all(self, slots: Iterable[KeptSlot]) -> None:
        """Each of them, whatever becomes of the others."""
        with ExitStack() as rest:
            for slot in slots:
                rest.callback(self._give_up, slot.token)

    def _acquired(self) -> KeptSlot:
        with self._changed:
            self._waiting += 1
        try:
            return KeptSlot(self._acquire(), self._clock())
        finally:
            with self._changed:
                self._waiting -= 1

    def _put(self, slot: KeptSlot) -> None:
        with self._changed:
            now = self._clock()
            # Who waits stands in the queue at the state server, and gets it there.
            if slot.is_fresh(now) and not self._waiting and not self._is_closed:
                self._kept.append(replace(slot, idle_since=now))
                if self._is_watched():
                    return
                self._kept.pop()
        self._give_up(slot.token)

    def _is_watched(self) -> bool:
        """Whether somebody looks after idle slots; begins it if need be."""
        if self._watcher is None:
            # No daemon: a process that ends waits until its slots are given up.
            watcher = threading.Thread(target=self._watch, name="kept-slots")
            try:
                watcher.start()
            except RuntimeError:  # no more threads: the call is done, and must not fail for it
                return False
            self._watcher = watcher
        return True

    def _watch(self) -> None:
        quiet = 0
        try:
            while True:
                try:
                    quiet = 0 if self.give_up_idle() else quiet + 1
                except Exception as error:  # noqa: BLE001  the others are looked after all the same
                    logger.warning("slot_not_given_up error=%s", error)
                with self._changed:
                    if not self._kept and (self._is_closed or quiet > _QUIET_ROUNDS):
                        self._watcher = None
                        return
                    self._changed.wait(IDLE_S)
        except BaseException:  # the next call begins it again
            with self._changed:
                self._watcher = None
            raise
