"""A refused login is not tried again too soon, by this process or by any other.

NetSuite locks a token after five failures within half an hour, ServiceNow a user by its own policy
(docs/decisions/0023). So a refusal holds for a minute, the second for five, the third for half an
hour: three in any thirty minutes, whoever makes them, and a person may put things right at the
vendor meanwhile. When a refusal has held, one process tries; the others wait for what it learns.

What counts is a refused request. Whether a refusal is the login's, or the doing of one call, is
judged in `logins`.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from nsn_pipeline.errors import AuthenticationError

GAPS_S = (60.0, 300.0, 1800.0)
_CHANCES = 3  # against others that write at the same moment
LOOK_AGAIN_S = 600.0  # how often a process whose login works looks what others have noted


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
    def swap(self, seen: Refusal | None, refusal: Refusal | None) -> bool:
        """Put `refusal` (None: nothing) where `seen` still is; False when another one came."""
        ...


class LocalMemory:
    """Remembers within one process."""

    def __init__(self) -> None:
        self._refusal: Refusal | None = None
        self._lock = threading.Lock()

    def read(self) -> Refusal | None:
        return self._refusal

    def swap(self, seen: Refusal | None, refusal: Refusal | None) -> bool:
        with self._lock:
            if self._refusal != seen:
                return False
            self._refusal = refusal
            return True


class LoginGuard:
    """Stands before the calls of one login; safe to share between threads.

    The memory is read when the first call is about to go out, when a refusal has held its time,
    and, by a process whose login works, at its first success and every ten minutes: what others
    noted of a login that works is over.
    """

    def __init__(
        self, memory: RefusalMemory | None = None, *, now: Callable[[], float] = time.time
    ) -> None:
        self._memory = memory or LocalMemory()
        self._now = now
        self._lock = threading.Lock()
        self._is_read = False
        self._last: Refusal | None = None
        self._claim: Refusal | None = None  # the last one, as this process put it to try again
        self._works = False
        self._look_again_at = 0.0

    @property
    def works(self) -> bool:
        """Whether the login was accepted since it was last refused."""
        return self._works

    @property
    def is_doubtful(self) -> bool:
        """Whether a refusal is remembered, or it is not known yet whether one is."""
        return self._last is not None or not self._is_read

    def now(self) -> float:
        """The instant to give to `accepted` when what is sent now succeeds."""
        return self._now()

    def holding(self) -> Refusal | None:
        """The refusal that still holds, if there is one."""
        with self._lock:
            return self._held(self._known())

    def check(self) -> bool:
        """Raise AuthenticationError instead of sending what would be refused again.

        True for the one try after a refusal has held: it is this process's, over all processes.
        """
        with self._lock:
            last = self._known()
            while last is not None:
                held = self._held(last)
                if held is not None:
                    raise AuthenticationError(self.told(held))
                if last == self._claim or self._claims(last):
                    return True
                last = self._last = self._memory.read()
            return False

    def told(self, refusal: Refusal) -> str:
        """Its words, and when it will be tried again."""
        minutes = max(1, round((refusal.until - self._now()) / 60))
        return (
            f"{refusal.words} (refused {_times(refusal.count)} with these credentials and not "
            f"asked again for {minutes} min, as repeated refusals lock the user out; other "
            "credentials are tried at once, and so are these after `nsn credentials set`, or a "
            "`nsn doctor` that finds the login in order)"
        )

    def refused(self, error: AuthenticationError, *, times: int = 1) -> None:
        """Take note that the login is refused, as so many requests have shown."""
        with self._lock:
            if self._held(self._last) is not None:
                return  # sent before the first refusal was known
            self._last, self._claim = self._noted(str(error), times), None
            self._is_read, self._works = True, False

    def explain(self, words: str) -> None:
        """Better words for what was refused just now: what to do about it."""
        with self._lock:
            held = self._held(self._last)
            if held is not None:
                self._last = replace(held, words=words)
                self._memory.swap(held, self._last)

    def accepted(self, *, sent_at: float | None = None) -> None:
        """The login works: what was remembered when the call was sent is over, for all."""
        if self._works and self._last is None and self._now() < self._look_again_at:
            return
        with self._lock:
            now = self._now()
            stored = self._memory.read()
            if stored is not None and (now if sent_at is None else sent_at) < stored.at <= now:
                # Refused since: a call that is sent from now on tells.
                self._look_again_at = now + GAPS_S[0]
                self._works = self._works or self._last is None
                return
            if stored is not None:
                self._memory.swap(stored, None)
            self._last = self._claim = None
            self._is_read = self._works = True
            self._look_again_at = now + LOOK_AGAIN_S

    def forget(self) -> None:
        """It was found in order, elsewhere: begin afresh."""
        self._put(lambda _: None)

    def try_again(self) -> None:
        """A person says that something changed: the next try may be at once, and counts on."""
        self._put(lambda stored: replace(stored, at=0.0))

    def _put(self, changed: Callable[[Refusal], Refusal | None]) -> None:
        with self._lock:
            for _ in range(_CHANCES):
                stored = self._memory.read()
                self._last = None if stored is None else changed(stored)
                self._claim, self._is_read = None, True
                if stored is None or self._memory.swap(stored, self._last):
                    return

    def _noted(self, words: str, times: int) -> Refusal:
        """Added to what all have noted: one of another process holds the longer for it."""
        chances = _CHANCES
        while True:
            stored = self._memory.read()
            before = stored or self._last
            refusal = Refusal(words, self._now(), times + (before.count if before else 0))
            chances -= 1
            if self._memory.swap(stored, refusal) or not chances:
                return refusal

    def _known(self) -> Refusal | None:
        if not self._is_read:
            self._last, self._is_read = self._memory.read(), True
        return self._last

    def _held(self, refusal: Refusal | None) -> Refusal | None:
        """One from the future was noted while a clock was ahead: nobody knows how old it is."""
        if refusal is None or refusal == self._claim:
            return None
        return refusal if refusal.at <= self._now() < refusal.until else None

    def _claims(self, last: Refusal) -> bool:
        """Whether the try is ours: for the others it holds on, as long as it did."""
        claim = replace(last, at=self._now())
        if not self._memory.swap(last, claim):
            return False
        self._last = self._claim = claim
        return True


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
