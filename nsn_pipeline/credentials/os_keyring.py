"""The operating system's keyring, and only a real one.

`keyring` is optional. Without a desktop it falls back to backends that fail, forget, or
(keyrings.alt) silently write plain text, so that only backends known to encrypt are accepted
(docs/facts/runtime.md 5).
"""

import importlib
from pathlib import Path
from typing import Any, Protocol

from nsn_pipeline.errors import ConfigurationError

_REAL = frozenset(
    f"keyring.backends.{name}"
    for name in ("macOS", "Windows", "SecretService", "libsecret", "kwallet")
)
_SERVICE = "nsn_pipeline"
_SHARED_ENTRY = "master-key"  # of every NSN_HOME of this user, until one has an entry of its own


class Keyring(Protocol):
    """Where the operating system keeps one text for us."""

    name: str

    def get(self) -> str | None: ...

    def put(self, text: str) -> None: ...


class OsKeyring:
    """The entry of one NSN_HOME in a keyring backend; its errors name their kind only.

    A rotation in one home must not shut another one out, so what is written goes to an entry of
    this home's own. What is read may still be the shared one.
    """

    def __init__(self, backend: Any, home: Path | None = None) -> None:
        self._backend = backend
        self._entry = _SHARED_ENTRY if home is None else f"{_SHARED_ENTRY} {home.resolve()}"
        self.name = type(backend).__module__

    def get(self) -> str | None:
        failure = ""
        try:
            own = self._backend.get_password(_SERVICE, self._entry)
            return own or self._backend.get_password(_SERVICE, _SHARED_ENTRY)
        except Exception as error:  # noqa: BLE001 - every backend has errors of its own
            failure = type(error).__name__
        raise ConfigurationError(f"the keyring ({self.name}) gave no answer: {failure}")

    def put(self, text: str) -> None:
        failure = ""
        try:
            self._backend.set_password(_SERVICE, self._entry, text)
        except Exception as error:  # noqa: BLE001 - see get; its message could hold the key
            failure = type(error).__name__
        if failure:
            raise ConfigurationError(f"the keyring ({self.name}) stored nothing: {failure}")


def find_os_keyring(home: Path | None = None) -> OsKeyring | None:
    """The first real backend, or None: also when the package `keyring` is not installed."""
    try:
        keyring = importlib.import_module("keyring")
    except ImportError:
        return None
    chosen = keyring.get_keyring()
    # A chain tries the next backend when one fails: it could end at a plain text one.
    is_chain = type(chosen).__module__ == "keyring.backends.chainer"
    for backend in chosen.backends if is_chain else [chosen]:
        if type(backend).__module__ in _REAL:
            return OsKeyring(backend, home)
    return None
