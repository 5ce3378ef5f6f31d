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

SHARE = 2_000  # records: forty full batches, so that a share is long beside its own read-back
_ABREAST = 2


class Course:
    """What the shares of one load know of each other.

    Once it is halted, whoever works on a share stops at the next good moment. Shares tell it what
    the server showed, so that no share takes its own bad luck for the server's state.
    """

    def __init__(self, *, parts: int = 1) -> None:
        self.is_alone = parts == 1
        self._halted = threading.Event()
        self._lock = threading.Lock()
        self._answers = 0
        self._keeps_keys = False

    @property
    def is_halted(self) -> bool:
        return self._halted.is_set()

    @property
    def answers(self) -> int:
        """How many calls that write were answered, whatever the answers said."""
        with self._lock:
            return self._answers

    @property
    def keeps_keys(self) -> bool:
        """Whether any creation came back with its key."""
        with self._lock:
            return self._keeps_keys

    def halt(self) -> None:
        self._halted.set()

    def answered(self) -> None:
        with self._lock:
            self._answers += 1

    def kept_key(self) -> None:
        with self._lock:
            self._keeps_keys = True


@dataclass(frozen=True, slots=True)
class Share(Generic[Item]):
    """Part of a list."""

    items: Sequence[Item]
    follows: int  # items of later shares
    course: Course
    is_late: bool = False  # others are worked on before it is begun


def shares(items: Sequence[Item], size: int) -> list[Share[Item]]:
    """Cut a list; an empty one is one empty share."""
    starts = range(0, max(len(items), 1), size)
    course = Course(parts=len(starts))
    return [
        Share(
            items[start : start + size],
            follows=max(len(items) - start - size, 0),
            course=course,
            is_late=index >= _ABREAST,
        )
        for index, start in enumerate(starts)
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
            parts[0].course.halt()
            executor.shutdown(wait=False, cancel_futures=True)
            raise


def _halting(share: Share[Item], work: Callable[[Share[Item]], Outcome]) -> Outcome:
    try:
        return work(share)
    except BaseException:
        share.course.halt()
        raise
