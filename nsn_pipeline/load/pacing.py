"""How much is asked of ServiceNow at once: learned from its answers, within a ceiling.

Pure: no clock, no threads. `Lanes` asks before each batch and tells every outcome, one at a time.

Two things are learned. How many calls may be in flight: a 429 names the limit by itself, because
what is still in flight was let through; from there one more is tried now and then, less often each
time it is refused. Where a level has held for some rounds, one 429 is chance until a second comes.
How many records fit a call: so many that it takes about ten seconds, a third of what a batch may
take, by the seconds a record took in this table (docs/facts/servicenow.md 3;
docs/decisions/0011-pace-follows-the-answers.md).
"""

import math
from dataclasses import dataclass, field
from typing import Protocol

LARGEST_BATCH = 50  # no limit is documented; more is unproven (docs/facts/servicenow.md 3)
FIRST_BATCH = 5  # nothing is known of the table's rules yet: safe up to 6 s a record
TARGET_S = 10.0
# Rounds a level must have held for its first 429 to be taken for chance. With 1 % of them at random
# about half are forgiven at sixteen connections; a limit that has fallen is found one call later.
FORGIVEN = 4
MOST_ROUNDS = 64  # between two tries of a level that is refused: 429s stay below 2 % of calls


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one call showed. `ran` counts items that were run, whatever came of them.

    A look-up asked for nothing to be run: it tells how many calls are borne, not how large.
    """

    table: str
    asked: int
    ran: int
    seconds: float
    in_flight: int  # calls under way when it ended, itself included
    throttled: bool = False


class Pacer(Protocol):
    """A policy: asked before each batch, told of each outcome."""

    @property
    def ceiling(self) -> int:
        """The most calls that may ever be in flight."""
        ...

    @property
    def connections(self) -> int:
        """The calls that may be in flight now."""
        ...

    def batch_size(self, table: str, waiting: int) -> int:
        """How many of the `waiting` records the next batch of this table takes."""
        ...

    def learn(self, outcome: Outcome) -> None: ...


@dataclass(frozen=True, slots=True)
class FixedPacer:
    """Always the same; for tests, and to measure what adapting is worth."""

    ceiling: int = 8
    size: int = 50

    @property
    def connections(self) -> int:
        return self.ceiling

    def batch_size(self, table: str, waiting: int) -> int:
        del table
        return min(self.size, waiting)

    def learn(self, outcome: Outcome) -> None: ...


@dataclass(slots=True)
class _Table:
    """What is known of one table: seconds a record takes, and the size batches are cut to."""

    record_s: float | None = None
    cap: float = math.inf
    even: int = 0
    cut_for: tuple[int, int] = (0, 0)  # size and connections that `even` was worked out for
    waiting: int = 0


@dataclass(slots=True)
class AdaptivePacer:
    """Starts at the ceiling with small batches, and follows what the server shows."""

    ceiling: int = 8
    largest: int = LARGEST_BATCH
    _level: int = field(init=False)
    _quiet: int = 0  # answers at full level since it changed, or a 429 of it was forgiven
    _rounds: int = 1  # how many rounds of quiet before one more connection is tried
    _trying: bool = False
    _tables: dict[str, _Table] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._level = self.ceiling

    @property
    def connections(self) -> int:
        return self._level

    def batch_size(self, table: str, waiting: int) -> int:
        """The size that fits, evened so that all connections end at about the same time."""
        known = self._tables.setdefault(table, _Table())
        size = self._fitting(known)
        if known.cut_for != (size, self._level) or waiting > known.waiting:
            rounds = -(-waiting // (size * self._level))
            known.even = -(-waiting // (rounds * self._level))
            known.cut_for = (size, self._level)
        known.waiting = waiting
        return min(known.even, waiting)

    def learn(self, outcome: Outcome) -> None:
        if outcome.throttled:
            self._refused(outcome.in_flight - 1)
            return
        self._let_through(outcome.in_flight)
        if not outcome.asked:
            return
        known = self._tables.setdefault(outcome.table, _Table())
        if outcome.ran < outcome.asked:  # the time or size limit, or the whole call was lost
            known.cap = max(1.0, outcome.ran or outcome.asked / 2)
        elif outcome.asked >= known.even:
            known.cap = min(self.largest, known.cap * 1.1 + 1)
        if outcome.ran:
            taken = outcome.seconds / outcome.ran
            before = taken if known.record_s is None else known.record_s
            weight = 0.5 if taken > before else 0.2  # believe bad news sooner
            known.record_s = before + weight * (taken - before)

    def _fitting(self, known: _Table) -> int:
        if known.record_s is None:
            return min(FIRST_BATCH, self.largest)
        room = TARGET_S / known.record_s if known.record_s > 0 else self.largest
        return max(1, int(min(room, known.cap, self.largest)))

    def _refused(self, still_in_flight: int) -> None:
        if self._quiet >= self._level * FORGIVEN:
            self._quiet = 0
            return
        if self._trying:
            self._rounds = min(self._rounds * 2, MOST_ROUNDS)
        self._trying = False
        self._level = min(self._level, max(1, still_in_flight))
        self._quiet = 0

    def _let_through(self, in_flight: int) -> None:
        """Count quiet at the full level only: an idle connection proves nothing."""
        if in_flight < self._level:
            return
        self._quiet += 1
        if self._trying and self._quiet >= self._level:  # one round: it holds
            self._trying = False
            self._rounds = 1
        if self._level < self.ceiling and self._quiet >= self._level * self._rounds:
            self._level += 1
            self._quiet = 0
            self._trying = True
