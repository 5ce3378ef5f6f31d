"""A vendor's concurrency limit, kept across processes while Redis answers, and in each without it.

Losing Redis must not end hours of reading. Processes that no longer see each other may ask for more
than the vendor allows between them: it answers 429 before any work is done, and every caller paces
itself by that. Locks have no such stand-in: see `leases.named_lock`.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from nsn_pipeline.clients.retry import Limiter, LocalLimiter
from nsn_pipeline.errors import UnreachableError

logger = logging.getLogger(__name__)

_LEFT_ALONE_S = 15.0  # every try at a server that hangs may take as long


class FallbackLimiter:
    """`shared`, or a limiter of this process alone while the state server does not answer."""

    def __init__(
        self,
        shared: Limiter,
        *,
        name: str,
        limit: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shared = shared
        self._own = LocalLimiter(limit)
        self._name = name
        self._clock = clock
        self._lock = threading.Lock()
        self._away_until: float | None = None

    @contextmanager
    def slot(self) -> Iterator[None]:
        with ExitStack() as held:
            if self._is_left_alone() or not self._entered(held):
                held.enter_context(self._own.slot())
            yield

    def _entered(self, held: ExitStack) -> bool:
        try:
            held.enter_context(self._shared.slot())
        except UnreachableError as error:
            self._note_loss(error)
            return False
        self._note_return()
        return True

    def _is_left_alone(self) -> bool:
        """Now and then one caller tries the server again; it may have to wait for long."""
        with self._lock:
            if self._away_until is None:
                return False
            now = self._clock()
            if now < self._away_until:
                return True
            self._away_until = now + _LEFT_ALONE_S
            return False

    def _note_loss(self, error: Exception) -> None:
        with self._lock:
            is_news = self._away_until is None
            self._away_until = self._clock() + _LEFT_ALONE_S
        if is_news:
            logger.warning("limit_of_this_process_only name=%s error=%s", self._name, error)

    def _note_return(self) -> None:
        with self._lock:
            was_away, self._away_until = self._away_until is not None, None
        if was_away:
            logger.warning("limit_shared_again name=%s", self._name)
