"""Access tokens shared between processes through Redis, never in plain text.

Implements `clients.tokens.TokenCache`. The cache is a convenience: whatever goes wrong with it
(Redis gone, key changed, value damaged) costs a token request and never a run, so those cases are
logged once and then behave as a cache of this process alone.
"""

import contextlib
import json
import logging
import os
import stat
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import redis
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from nsn_pipeline.clients.tokens import Token
from nsn_pipeline.errors import ConfigurationError, NsnError, UnreachableError
from nsn_pipeline.state.connection import translated
from nsn_pipeline.state.leases import named_lock
from nsn_pipeline.state.patience import Presence

logger = logging.getLogger(__name__)

# A token request with its retries may take minutes when a vendor is slow. Whoever waits in vain
# asks without the lock: a second request does no harm.
LOCK_WAIT_S = 90.0


class UnusableKeyError(ConfigurationError):
    """The key that seals the cache is none, or must not be used: what is wrong, and its cure."""

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(f"{what}: {cure}")
        self.what = what
        self.cure = cure


class RedisTokenCache:
    """Tokens under `nsn:token:<key>`, encrypted, gone from Redis when they expire."""

    def __init__(
        self,
        client: redis.Redis,
        *,
        home: Path,
        master_key: str | None,
        master_key_file: Path | None = None,
        now: Callable[[], float] = time.time,
        lock_wait_s: float = LOCK_WAIT_S,
        presence: Presence | None = None,
    ) -> None:
        self._client = client
        self._cipher = load_cipher(master_key, home, master_key_file)
        self._now = now
        self._lock_wait_s = lock_wait_s
        self._presence = presence or Presence()
        self._own: dict[str, Token] = {}  # what this process put: used while Redis is away
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._noted: set[str] = set()

    def get(self, key: str) -> Token | None:
        """The shared token while it lasts; None when there is none that this process can read."""
        try:
            with self._asked("read a cached token"):
                sealed = self._client.get(_redis_key(key))
        except NsnError as error:
            self._note("token_cache_away", key, error)
            token = self._own.get(key)
        else:
            token = self._opened(key, str(sealed)) if sealed else None
        return token if token is not None and token.expires_at > self._now() else None

    def put(self, key: str, token: Token) -> None:
        """Share a token until it expires."""
        self._own[key] = token
        lasts_ms = int((token.expires_at - self._now()) * 1000)
        if lasts_ms <= 0:
            return
        content = [key, token.value, token.expires_at, token.refresh_at]
        sealed = self._cipher.encrypt(json.dumps(content).encode())
        try:
            with self._asked("cache a token"):
                self._client.set(_redis_key(key), sealed, px=lasts_ms)
        except NsnError as error:
            self._note("token_cache_away", key, error)

    @contextlib.contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Held by one thread of one process; of this process alone while Redis is away."""
        with self._locks[key], contextlib.ExitStack() as held:
            try:
                held.enter_context(self._shared_lock(key))
            except NsnError as error:
                self._note("token_lock_unavailable", key, error)
            yield

    def _shared_lock(self, key: str) -> contextlib.AbstractContextManager[object]:
        _stop_if_left_alone(self._presence)
        return named_lock(
            self._client,
            f"token:{key}",
            wait_s=self._lock_wait_s,
            presence=self._presence,
        )

    @contextlib.contextmanager
    def _asked(self, operation: str) -> Iterator[None]:
        _stop_if_left_alone(self._presence)
        with translated(operation):
            yield
        self._presence.answered()

    def _opened(self, key: str, sealed: str) -> Token | None:
        try:
            content = json.loads(self._cipher.decrypt(sealed.encode()))
            owner, value, expires_at, refresh_at = content
        except (InvalidToken, ValueError, TypeError) as error:
            self._note("token_cache_unreadable", key, error)
            return None
        if owner != key:  # a value moved to another key: do not send it to the wrong system
            return None
        return Token(value=value, expires_at=expires_at, refresh_at=refresh_at)

    def _note(self, event: str, key: str, error: Exception) -> None:
        if event not in self._noted:
            self._noted.add(event)
            logger.warning("%s key=%s error=%s", event, key, str(error) or type(error).__name__)


def _stop_if_left_alone(presence: Presence) -> None:
    if presence.is_left_alone():
        raise UnreachableError("left alone for a while, as it did not answer")


def _redis_key(key: str) -> str:
    return f"nsn:token:{key}"


def load_cipher(
    master_key: str | None, home: Path, master_key_file: Path | None = None
) -> MultiFernet:
    """The cipher of `load_keys`: the first encrypts, all decrypt."""
    return MultiFernet([Fernet(key) for key in load_keys(master_key, home, master_key_file)])


def load_keys(master_key: str | None, home: Path, master_key_file: Path | None = None) -> list[str]:
    """The keys of `master_key` (a comma list), or of its file.

    Without either, of the key file `home/keys/cache.key`, which is created when absent: a keyring
    is not asked for a cache.
    """
    if master_key:
        name, text = "NSN_MASTER_KEY", master_key
    elif master_key_file is not None:
        name, text = str(master_key_file), _key_text(master_key_file)
    else:
        path = home / "keys" / "cache.key"
        name, text = str(path), _key_text(path, create=True)
    keys = [key.strip() for key in text.split(",") if key.strip()]
    try:
        MultiFernet([Fernet(key) for key in keys])
    except ValueError:  # its cause may quote the key
        raise UnusableKeyError(
            f"{name} is not a key",
            "it must be 32 bytes in URL-safe base64, as printed by"
            ' python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key())"',
        ) from None
    return keys


def _key_text(path: Path, *, create: bool = False) -> str:
    try:
        if create and not path.exists():
            _create_key(path)
        _refuse_if_readable_by_others(path)
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UnusableKeyError(
            f"cannot use the key file {path} ({reason})",
            "see that it can be created there, or holds the key and can be read by this user"
            if create
            else "see that it holds the key and that this user can read it, or correct"
            " NSN_MASTER_KEY_FILE",
        ) from error


def _create_key(path: Path) -> None:
    """Whole or not at all: of several processes one wins, and all read the winner's key."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(unfinished, path)  # unlike rename, never replaces another process's key
    finally:
        Path(unfinished).unlink()


def _refuse_if_readable_by_others(path: Path) -> None:
    if sys.platform != "win32" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise UnusableKeyError(f"{path} can be read by others", "chmod 600 it, or delete it")
