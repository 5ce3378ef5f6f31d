"""Works through a long list in shares: one is prepared and one is proven while one is sent.

Without it the connections are idle whenever records are compared, hashed or read back. Shares are
sent in turn: side by side they would also end, and be prepared, side by side.
"""

import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Generic, TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

SHARE = 2_000  # records: forty full batches, so that a share is long beside its own read-back
_ABREAST = 3


class Course:
    """What the shares of one load know of each other.

    Once it is halted, whoever works on a share stops at the next good moment. Shares tell it what
    the server showed, so that no share takes its own bad luck for the server's state.
    """

    def __init__(self, *, parts: int = 1) -> None:
        self.is_alone = parts == 1
        self._halted = threading.Event()
        self._begun = threading.Event()
        self._lock = threading.Lock()
        self._answers = 0
        self._keeps_keys = False
        self._other_amounts = 0
        self._shows_amounts = False

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

    @property
    def shows_amounts(self) -> bool:
        """Whether any amount was seen as it is in the currency we take for the reader's."""
        with self._lock:
            return self._shows_amounts

    def halt(self) -> None:
        self._halted.set()
        self._begun.set()

    def begin(self) -> None:
        """The first share is planned: until then the others would only take the processor from it,
        and nothing is sent.
        """
        self._begun.set()

    def wait_until_begun(self) -> None:
        self._begun.wait()

    def answered(self) -> None:
        with self._lock:
            self._answers += 1

    def kept_key(self) -> None:
        with self._lock:
            self._keeps_keys = True

    def showed_amount(self) -> None:
        with self._lock:
            self._shows_amounts = True

    def showed_another(self) -> int:
        """A written amount came back as another one: how many have so far."""
        with self._lock:
            self._other_amounts += 1
            return self._other_amounts


class Turn:
    """A share's place in a queue: it waits for those before it, and lets the next one go."""

    def __init__(self, free: threading.Event | None = None) -> None:
        self._free = free  # None: nobody is before it
        self._next = threading.Event()

    def following(self) -> "Turn":
        """The place behind this one."""
        return Turn(self._next)

    def wait(self) -> None:
        """Until the share before has passed on."""
        if self._free is not None:
            self._free.wait()

    def pass_on(self) -> None:
        """Let the next share go; once is enough, and more do no harm."""
        self._next.set()


@dataclass(frozen=True, slots=True)
class Share(Generic[Item]):
    """Part of a list. It tells of its changes, and sends them, in turn."""

    items: Sequence[Item]
    follows: int  # items of later shares
    course: Course
    is_late: bool = False  # others are worked on before it is begun
    to_tell: Turn = field(default_factory=Turn)
    to_send: Turn = field(default_factory=Turn)


def shares(items: Sequence[Item], size: int) -> list[Share[Item]]:
    """Cut a list; an empty one is one empty share.

    The first is half as long: until it is prepared, nothing can be sent.
    """
    first = size if len(items) <= size else max(size // 2, 1)
    starts = [0, *range(first, len(items), size)]
    course = Course(parts=len(starts))
    cut: list[Share[Item]] = []
    for index, (start, end) in enumerate(pairwise([*starts, len(items)])):
        last = cut[-1] if cut else None
        share = Share(
            items[start:end],
            follows=len(items) - end,
            course=course,
            is_late=index >= _ABREAST,
            to_tell=last.to_tell.following() if last else Turn(),
            to_send=last.to_send.following() if last else Turn(),
        )
        cut.append(share)
    return cut


def worked(
    parts: Sequence[Share[Item]], work: Callable[[Share[Item]], Outcome]
) -> Generator[Outcome]:
    """The outcomes in order. After a failure no share is begun, and those under way are waited for;
    so they are when it is closed before the end.

    A single share is worked on in the calling thread.
    """
    if len(parts) == 1:
        yield _halting(parts[0], work)
        return
    with ThreadPoolExecutor(_ABREAST, thread_name_prefix="share") as executor:
        futures = [executor.submit(_halting, parts[0], work)]
        try:
            parts[0].course.wait_until_begun()
            futures += [executor.submit(_halting, part, work) for part in parts[1:]]
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
    finally:
        share.course.begin()
        for turn in (share.to_tell, share.to_send):
            if not share.course.is_halted:  # with nothing to send, it still is in its place
                turn.wait()
            turn.pass_on()
