"""A refused login is not tried again too soon, by this process or by any other.

NetSuite locks a token after five failures within half an hour, ServiceNow a user by its own policy
(docs/decisions/0023). So the first refusal holds for a minute, the same again for five, then for
half an hour: three tries in any thirty minutes, whoever makes them, and a person may put things
right at the vendor meanwhile.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from nsn_pipeline.errors import AuthenticationError

GAPS_S = (60.0, 300.0, 1800.0)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the vendor said, when (epoch seconds), and how often it has said so in a row."""

    words: str
    at: float
    count: int = 1

    @property
    def until(self) -> float:
        """Until then the answer is taken as known."""
        return self.at + GAPS_S[min(self.count, len(GAPS_S)) - 1]


class RefusalMemory(Protocol):
    """Where processes that use the same credentials tell each other of a refusal."""

    def read(self) -> Refusal | None: ...
    def keep(self, refusal: Refusal) -> None: ...
    def forget(self) -> None: ...


class LocalMemory:
    """Remembers within one process."""

    def __init__(self) -> None:
        self._refusal: Refusal | None = None

    def read(self) -> Refusal | None:
        return self._refusal

    def keep(self, refusal: Refusal) -> None:
        self._refusal = refusal

    def forget(self) -> None:
        self._refusal = None


class LoginGuard:
    """Stands before the calls of one login; safe to share between threads.

    The memory is read once, when the first call is about to go out: a process whose login works
    asks nobody again.
    """

    def __init__(
        self, memory: RefusalMemory | None = None, *, now: Callable[[], float] = time.time
    ) -> None:
        self._memory = memory or LocalMemory()
        self._now = now
        self._lock = threading.Lock()
        self._is_read = False
        self._last: Refusal | None = None
        self._was_accepted = False

    def holding(self) -> Refusal | None:
        """The refusal that still holds, if there is one."""
        with self._lock:
            if not self._is_read:
                self._last, self._is_read = self._memory.read(), True
            last = self._last
            return last if last is not None and self._holds(last) else None

    def _holds(self, refusal: Refusal) -> bool:
        """One from the future was noted while a clock was ahead: nobody knows how old it is."""
        return refusal.at <= self._now() < refusal.until

    def check(self) -> None:
        """Raise AuthenticationError instead of sending what would be refused again."""
        held = self.holding()
        if held is not None:
            raise AuthenticationError(self.told(held))

    def told(self, refusal: Refusal) -> str:
        """Its words, and when it will be tried again."""
        minutes = max(1, round((refusal.until - self._now()) / 60))
        return (
            f"{refusal.words} (refused {_times(refusal.count)} with these credentials and not "
            f"asked again for {minutes} min, as repeated refusals lock the user out; other "
            "credentials are tried at once, and so are these after `nsn credentials set`, or a "
            "`nsn doctor` that finds the login in order)"
        )

    def refused(self, error: AuthenticationError, *, renewable: bool) -> None:
        """Take note. One call of a renewable login that worked before says nothing of the rest."""
        with self._lock:
            if renewable and self._was_accepted:
                return
            last, now = self._last, self._now()
            if last is not None and self._holds(last):
                return  # sent before the first refusal was known
            self._last = Refusal(str(error), now, 1 if last is None else last.count + 1)
            self._is_read = True
            self._memory.keep(self._last)

    def explain(self, words: str) -> None:
        """Better words for what was refused just now: what to do about it."""
        with self._lock:
            if self._last is not None and self._holds(self._last):
                self._last = replace(self._last, words=words)
                self._memory.keep(self._last)

    def accepted(self) -> None:
        """The login works: what was remembered is over."""
        if self._was_accepted and self._last is None:
            return
        with self._lock:
            self._was_accepted = True
            if self._last is not None:
                self._last = None
                self._memory.forget()

    def forget(self) -> None:
        """Ask afresh: a person says that something changed."""
        with self._lock:
            self._last, self._is_read = None, True
            self._memory.forget()


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
