"""Leases that outlive their holder by seconds only: what a process holds is renewed while it lives.

A lease without renewal would have to last as long as the longest call, and whoever follows a
process that was killed would stand still for as long.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence

logger = logging.getLogger(__name__)

SHORTEST_PAUSE_S = 0.2  # after a question that took as long as a period


class Renewals:
    """Calls `renew` with all tokens held, every `every_s`, from a thread of its own.

    `renew` returns those that are gone. The thread begins with the first token and ends when it
    finds none. It is a daemon: a process that ends does not wait for it, and gives up what it holds
    or lets it expire.
    """

    def __init__(
        self, name: str, renew: Callable[[Sequence[str]], Collection[str]], every_s: float
    ) -> None:
        self._name = name
        self._renew = renew
        self._every_s = every_s
        self._lock = threading.RLock()  # the collector may end a block in here, and let go
        self._held: set[str] = set()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._is_failing = False  # as the log has it

    @property
    def held(self) -> frozenset[str]:
        """What is renewed."""
        with self._lock:
            return frozenset(self._held)

    def hold(self, token: str) -> None:
        """Renew it from now on."""
        with self._lock:
            self._held.add(token)
            is_at_work = self._thread is not None and self._thread.is_alive()
            if is_at_work or self._ended.is_set():
                return
            self._thread = threading.Thread(target=self._work, name="lease-renewals", daemon=True)
            with contextlib.suppress(RuntimeError):  # no more threads: it lasts as it was taken
                self._thread.start()

    def let_go(self, token: str) -> None:
        """Renew it no more; one that is not held changes nothing."""
        with self._lock:
            self._held.discard(token)

    def close(self) -> None:
        """Renew nothing more: the connection may be closed."""
        self._ended.set()

    def _work(self) -> None:
        pause_s = self._every_s
        while not self._ended.wait(pause_s):
            with self._lock:
                tokens = sorted(self._held)
                if not tokens:
                    self._thread = None
                    return
            began = time.monotonic()
            self._round(tokens)
            left_s = self._every_s - (time.monotonic() - began)
            pause_s = max(left_s, min(SHORTEST_PAUSE_S, self._every_s))

    def _round(self, tokens: Sequence[str]) -> None:
        try:
            gone = self._renew(tokens)
        except Exception as error:  # noqa: BLE001  the next round tries again
            if not self._is_failing:
                self._is_failing = True
                logger.warning("leases_not_renewed name=%s error=%s", self._name, error)
            return
        self._is_failing = False
        with self._lock:
            lost = self._held.intersection(gone)  # and not given up meanwhile
            self._held -= lost
        for _ in lost:
            logger.warning("lease_lost name=%s", self._name)
