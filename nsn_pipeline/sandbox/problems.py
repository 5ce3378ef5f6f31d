"""What can go wrong around the sandbox itself; what it simulates going wrong is elsewhere."""


class SandboxError(Exception):
    """The sandbox cannot do what was asked of it; the message is meant for the person who asked."""


class SeedError(SandboxError):
    """The stores cannot be given the data that was asked for."""


class AlreadyRunningError(SandboxError):
    """Another sandbox serves this home."""


class SandboxStartError(SandboxError):
    """The child did not come up; the message ends with what it said last."""
