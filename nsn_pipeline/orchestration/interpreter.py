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
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG, _MIDDLE, _OLD = 50_000, 20, 20  # Python's own: 700, 10, 10
_SWITCH_S = 0.001


class _Settings:
    """Those of the process, and how many loads need them changed: side by side, as in tests, loads
    end in any order, and the last one restores what the first one found.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loads = 0
        self._thresholds = gc.get_threshold()
        self._switch_s = sys.getswitchinterval()

    def change(self) -> None:
        with self._lock:
            self._loads += 1
            if self._loads > 1:
                return
            self._thresholds, self._switch_s = gc.get_threshold(), sys.getswitchinterval()
            gc.freeze()
            gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
            sys.setswitchinterval(_SWITCH_S)

    def restore(self) -> None:
        with self._lock:
            self._loads -= 1
            if self._loads:
                return
            sys.setswitchinterval(self._switch_s)
            gc.set_threshold(*self._thresholds)
            gc.unfreeze()


_settings = _Settings()


@contextmanager
def set_up_for_loading() -> Iterator[None]:
    """Collect seldom, leave alone what was there before, and switch quickly, inside the block."""
    _settings.change()
    try:
        yield
    finally:
        _settings.restore()
