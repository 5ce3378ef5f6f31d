"""Keeps the garbage collector from looking through everything again and again while much is made.

A load makes a few million small objects that reference counting frees by itself. The collector
would pass over them, and over all that was imported, each time some thousands are added: a fifth
of the CPU of a load step (docs/benchmarks.md).
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG, _MIDDLE, _OLD = 50_000, 20, 20  # Python's own: 700, 10, 10


@contextmanager
def rare_collections() -> Iterator[None]:
    """Collect seldom, and leave alone what was there before, until the block ends."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
