"""The file format: what is written to disk, and how a damaged file is told from a wrong key.

One JSON object: the version, the id of the key, the encrypted document, and a checksum over these.
Damage shows in the checksum before any key is tried, so that "wrong key" is only said of a whole
file. Without a line break at the end, every shorter file is a damaged one. Nothing here keeps text
it could not read in an exception.
"""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from nsn_pipeline.credentials.master_key import MasterKey
from nsn_pipeline.errors import ConfigurationError

VERSION = 1

Entries = dict[str, dict[str, SecretStr]]  # system -> field -> value


class WrongKeyError(ConfigurationError):
    """The file is whole, and was sealed with another key."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """The outside of the file: what can be known without a key."""

    key_id: str
    sealed: bytes = field(repr=False)


def to_bytes(entries: Entries, key: MasterKey) -> bytes:
    plain = {
        "version": VERSION,
        "systems": {
            system: {name: value.get_secret_value() for name, value in fields.items()}
            for system, fields in entries.items()
        },
    }
    sealed = key.seal(json.dumps(plain).encode()).decode()
    return json.dumps(
        {
            "version": VERSION,
            "key_id": key.key_id,
            "sealed": sealed,
            "checksum": _checksum(key.key_id, sealed),
        }
    ).encode()


def read_envelope(content: bytes, where: str) -> Envelope:
    """Raises ConfigurationError when the file is damaged, or of a later version."""
    outside = _json_object(content)
    if outside is None:
        raise _damaged(where)
    version, key_id, sealed = (outside.get(name) for name in ("version", "key_id", "sealed"))
    if isinstance(version, int) and version > VERSION:
        raise ConfigurationError(
            f"{where} was written by a newer nsn (format {version}, this one reads {VERSION}): "
            "update nsn"
        )
    is_whole = (
        version == VERSION
        and isinstance(key_id, str)
        and isinstance(sealed, str)
        and outside.get("checksum") == _checksum(key_id, sealed)
    )
    if not is_whole:
        raise _damaged(where)
    return Envelope(str(key_id), str(sealed).encode())


def open_envelope(envelope: Envelope, key: MasterKey, where: str) -> Entries:
    """Raises WrongKeyError when none of the keys sealed it."""
    if envelope.key_id in key.refused:
        raise WrongKeyError(
            f"{where} is a copy from before {key.refused[envelope.key_id]}: since "
            "`nsn credentials rotate` on that day the key it is encrypted with (key id "
            f"{envelope.key_id}) is refused. Nothing was changed. Restore a copy made since then, "
            "or delete the file and set the credentials again"
        )
    if envelope.key_id not in key.key_ids:
        raise WrongKeyError(
            f"the master key of {key.where} (key id {', '.join(key.key_ids)}) is not the one "
            f"{where} is encrypted with (key id {envelope.key_id}). Nothing was changed. Give that "
            "key; if it is lost, delete the file and set the credentials again"
        )
    plain = key.open_sealed(envelope.sealed)
    document = None if plain is None else _json_object(plain)
    entries = None if document is None else _entries(document.get("systems"))
    if entries is None:
        raise _damaged(where)
    return entries


def _entries(systems: object) -> Entries | None:
    if not isinstance(systems, dict):
        return None
    entries: Entries = {}
    for system, fields in systems.items():
        if not isinstance(fields, dict) or not all(isinstance(v, str) for v in fields.values()):
            return None
        entries[system] = {name: SecretStr(value) for name, value in fields.items()}
    return entries


def _json_object(content: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):  # a JSONDecodeError carries the whole text with it
        return None
    return found if isinstance(found, dict) else None


def _checksum(key_id: str, sealed: str) -> str:
    return hashlib.sha256(f"{VERSION}\n{key_id}\n{sealed}".encode()).hexdigest()


def _damaged(where: str) -> ConfigurationError:
    return ConfigurationError(
        f"{where} is damaged: it is incomplete or was altered. Nothing was changed. Restore it "
        "from a copy, or delete it and set the credentials again"
    )
