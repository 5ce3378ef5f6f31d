"""`<key file>.old`: the keys that a key file held before, and which NSN_HOMEs want none of them.

Other homes that share the key file still open their credentials with these keys, until they are
rotated as well. A home that was rotated refuses them: a copy of its credentials from before then,
restored, is not to open again (docs/decisions/0024). The record of that is kept here, beside the
keys and not in the home: restoring the home would restore the time before it.
"""

import json
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nsn_pipeline.credentials.private_files import read_private, replace_private
from nsn_pipeline.errors import ConfigurationError

KeyId = str


@dataclass(frozen=True, slots=True)
class PreviousKeys:
    """What the file holds. `refused`: by home, the ids of keys it refuses, and since which day."""

    keys: tuple[str, ...] = field(default=(), repr=False)
    refused: Mapping[str, Mapping[KeyId, str]] = field(
        default_factory=dict[str, Mapping[KeyId, str]]
    )

    def refused_by(self, home: Path | None) -> Mapping[KeyId, str]:
        return {} if home is None else self.refused.get(_name(home), {})

    def with_keys(self, keys: Iterable[str]) -> "PreviousKeys":
        return PreviousKeys(tuple(dict.fromkeys((*keys, *self.keys))), self.refused)

    def refusing(self, home: Path, ids: Iterable[KeyId], day: str) -> "PreviousKeys":
        """As they are, but for this home none of `ids` from `day` on."""
        known = self.refused_by(home)
        its = {one: known.get(one, day) for one in ids}
        return PreviousKeys(self.keys, {**self.refused, _name(home): its})


def previous_keys(path: Path) -> Path:
    """Where a rotation leaves the keys that a key file held before, whatever links lead to it."""
    real = path.resolve()
    return real.with_name(f"{real.name}.old")


def read_previous(path: Path) -> PreviousKeys:
    """Nothing when no rotation has left anything. Raises ConfigurationError on a damaged file."""
    old = previous_keys(path)
    try:
        text = read_private(old).decode("ascii", errors="replace").strip()
    except FileNotFoundError:
        return PreviousKeys()
    if not text.startswith("{"):  # as an earlier version left it
        return PreviousKeys(tuple(part.strip() for part in text.split(",") if part.strip()))
    try:
        content = json.loads(text)
        refused = {home: dict(ids) for home, ids in content["refused"].items()}
        return PreviousKeys(tuple(content["keys"]), refused)
    except (ValueError, KeyError, TypeError, AttributeError):  # its cause may quote the keys
        pass
    raise ConfigurationError(
        f"{old} is damaged. Restore it from a copy; or delete it, when every NSN_HOME that shares "
        f"{path} has been rotated"
    )


def write_previous(path: Path, previous: PreviousKeys) -> None:
    content = {"keys": previous.keys, "refused": previous.refused}
    replace_private(previous_keys(path), f"{json.dumps(content, indent=1)}\n".encode())


def _name(home: Path) -> str:
    """Containers that share a key file all have the same path: their host tells them apart."""
    return f"{socket.gethostname()}:{home.resolve()}"
