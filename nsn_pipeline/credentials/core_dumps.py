"""A process that holds credentials leaves no core dump: the kernel would write all its memory."""

import contextlib
import sys


def forbid_core_dumps() -> None:
    """Lower this process's limit, and so its children's, to nothing; the hard limit stays.

    Who needs a dump to chase a crash can raise it again in a running process (`prlimit --core`).
    """
    if sys.platform == "win32":  # no such limit there
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
