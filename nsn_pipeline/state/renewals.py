"""Leases that outlive their holder by seconds only: what a process holds is renewed while it lives.

A lease without renewal would have to last as long as the longest call, and whoever follows a
process that was killed would stand still for as long.
"""

import logging
import threading
from collections.abc import Callable, Sequence

logger = logging.getLogger(__name__)


class Renewals:
    """Calls `renew` with all tokens held, every `every_s`, from a thread of its own.

    The thread begins with the first token and ends when it finds none. It is a daemon: a process
    that ends does not wait for it, and gives up what it holds or lets it expire.
    """

    def __init__(self, renew: Callable[[Sequence[str]], object], every_s: float) -> None:
        self._renew = renew
        self._every_s = every_s
        self._lock = threading.Lock()
        self._held: set[str] = set()
        self._thread: threading.Thread | None = None
        self._never = threading.Event()

    def hold(self, token: str) -> None:
        """Renew it from now on."""
        with self._lock:
            self._held.add(token)
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="lease-renewals", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # no more threads: the lease lasts as long as it was taken for
                    return
                self._thread = thread

    def let_go(self, token: str) -> None:
        """Renew it no more; one that is not held changes nothing."""
        with self._lock:
            self._held.discard(token)

    def _work(self) -> None:
        while True:
            self._never.wait(self._every_s)
            with self._lock:
                tokens = sorted(self._held)
                if not tokens:
                    self._thread = None
                    return
            try:
                self._renew(tokens)
            except Exception as error:  # noqa: BLE001  the next round tries again
                logger.warning("leases_not_renewed error=%s", error)
