"""A vendor's concurrency limit, kept across processes while Redis answers, and in each without it.

Losing Redis must not end hours of reading. Processes that no longer see each other may ask for more
than the vendor allows between them: it answers 429 before any work is done, and every caller paces
itself by that. Locks have no such stand-in: see `leases.named_lock`.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from nsn_pipeline.clients.retry import Limiter, LocalLimiter
from nsn_pipeline.errors import UnreachableError
from nsn_pipeline.state.patience import Presence

logger = logging.getLogger(__name__)


class FallbackLimiter:
    """`shared`, or a limiter of this process alone while the state server does not answer."""

    def __init__(
        self,
        shared: Limiter,
        *,
        name: str,
        limit: int,
        presence: Presence,
    ) -> None:
        self._shared = shared
        self._own = LocalLimiter(limit)
        self._name = name
        self._presence = presence
        self._lock = threading.Lock()
        self._is_alone = False  # as the log has it

    @contextmanager
    def slot(self) -> Iterator[None]:
        with ExitStack() as held:
            if self._presence.is_left_alone():
                self._note_alone("it did not answer just now")
                held.enter_context(self._own.slot())
            elif not self._entered(held):
                held.enter_context(self._own.slot())
            yield

    def _entered(self, held: ExitStack) -> bool:
        asked_at = self._presence.now()
        try:
            held.enter_context(self._shared.slot())
        except UnreachableError as error:
            self._presence.lost(asked_at=asked_at)
            self._note_alone(error)
            return False
        # That it answers is `shared`'s to say: a slot that it kept proves nothing.
        if not self._presence.is_away() and self._is_news(alone=False):
            logger.warning("limit_shared_again name=%s", self._name)
        return True

    def _note_alone(self, why: object) -> None:
        if self._is_news(alone=True):
            logger.warning("limit_of_this_process_only name=%s error=%s", self._name, why)

    def _is_news(self, *, alone: bool) -> bool:
        with self._lock:
            was, self._is_alone = self._is_alone, alone
        return was is not alone
