"""Works through a long list in shares, two at a time: one is prepared or proven while one is sent.

Without it the connections are idle whenever records are compared, hashed or read back.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

SHARE = 2_000  # records: twenty full batches, so that a share is long beside its own read-back
_ABREAST = 2


@dataclass(frozen=True, slots=True)
class Share(Generic[Item]):
    """Part of a list. Who works on it stops at the next good moment once `halted` is set."""

    items: Sequence[Item]
    follows: int  # items of later shares
    halted: threading.Event


def shares(items: Sequence[Item], size: int) -> list[Share[Item]]:
    """Cut a list; an empty one is one empty share."""
    halted = threading.Event()
    return [
        Share(items[start : start + size], max(len(items) - start - size, 0), halted)
        for start in range(0, max(len(items), 1), size)
    ]


def worked(
    parts: Sequence[Share[Item]], work: Callable[[Share[Item]], Outcome]
) -> Iterator[Outcome]:
    """The outcomes in order. After a failure no share is begun, and those under way are waited for.

    A single share is worked on in the calling thread.
    """
    if len(parts) == 1:
        yield _halting(parts[0], work)
        return
    with ThreadPoolExecutor(_ABREAST, thread_name_prefix="share") as executor:
        futures = [executor.submit(_halting, part, work) for part in parts]
        try:
            for future in futures:
                yield future.result()
        except BaseException:
            parts[0].halted.set()
            executor.shutdown(wait=False, cancel_futures=True)
            raise


def _halting(share: Share[Item], work: Callable[[Share[Item]], Outcome]) -> Outcome:
    try:
        return work(share)
    except BaseException:
        share.halted.set()
        raise
