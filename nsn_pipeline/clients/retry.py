"""When a failed call is tried again: one pure decision, and the local stand-in for call limits."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from nsn_pipeline.errors import TransientError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """At most `max_attempts` calls; waits double from `base_s` and never pass `max_delay_s`."""

    max_attempts: int = 6
    base_s: float = 0.5
    max_delay_s: float = 60.0


def next_delay_s(
    attempt: int, error: TransientError, policy: RetryPolicy, *, jitter: float
) -> float | None:
    """Seconds to wait after failed `attempt` (1-based), or None to give up; `jitter` in [0, 1)."""
    if attempt >= policy.max_attempts:
        return None
    if error.retry_after_s is not None:  # sooner is refused again; far later is the schedule's job
        return error.retry_after_s if error.retry_after_s <= policy.max_delay_s else None
    return min(policy.base_s * 2 ** (attempt - 1), policy.max_delay_s) * (0.5 + jitter / 2)


class Limiter(Protocol):
    """Bounds how many calls are in flight; both vendors count across processes."""

    def slot(self) -> AbstractContextManager[None]:
        """Wait for a free place and hold it for the length of the block."""
        ...


class LocalLimiter:
    """Bounds the calls of this process alone; `state.leases` bounds them across processes."""

    def __init__(self, limit: int) -> None:
        self._places = threading.BoundedSemaphore(limit)

    @contextmanager
    def slot(self) -> Iterator[None]:
        with self._places:
            yield
