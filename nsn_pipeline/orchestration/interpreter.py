"""Sets Python's interpreter up for a load step, in which many threads wait for answers.

* A load makes a few million small objects that reference counting frees by itself. The garbage
  collector would pass over them, and over all that was imported, each time some thousands are
  added: a fifth of the CPU of a load step.
* A thread whose answer has come waits until the one that computes lets go, by default 5 ms, several
  times a call; asked for after 1 ms, sixteen connections carry two to three percent more
  (docs/benchmarks.md).
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG, _MIDDLE, _OLD = 50_000, 20, 20  # Python's own: 700, 10, 10
_SWITCH_S = 0.001


@contextmanager
def set_up_for_loading() -> Iterator[None]:
    """Collect seldom, leave alone what was there before, and switch quickly, inside the block."""
    thresholds, switch_s = gc.get_threshold(), sys.getswitchinterval()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
    sys.setswitchinterval(_SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(switch_s)
        gc.set_threshold(*thresholds)
        gc.unfreeze()
