"""Seeded draws that give the same values on every Python version and in every process.

Only `Random.random()` is used: the language promises its sequence for a seed, while the algorithms
of `choice`, `sample` and friends may change between versions.
"""

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draw:
    def __init__(self, seed: int, stream: int = 0) -> None:
        self._random = random.Random(seed * 1_000_003 + stream)

    def integer(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self._random.random() * (high - low + 1))

    def chance(self, share: float) -> bool:
        return self._random.random() < share

    def pick(self, among: Sequence[T]) -> T:
        return among[int(self._random.random() * len(among))]

    def favour_first(self, among: Sequence[T]) -> T:
        """Pick with early elements far likelier, the way a few vendors get most of the bills."""
        position = self._random.random()
        return among[int(position * position * len(among))]
