"""Bearer tokens: one at a time, renewed early, shared between threads and processes.

How a token is obtained is a callable (`grants.py`), where it is shared is a `TokenCache`
(`MemoryTokenCache` here, the encrypted Redis one in `state.tokens`).
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from requests import PreparedRequest
from requests.auth import AuthBase, HTTPBasicAuth

from nsn_pipeline.clients.refusals import GAPS_S, Refusal
from nsn_pipeline.errors import AuthenticationError, TransientError

_log = logging.getLogger(__name__)
_PATIENCE_S = 30.0  # how long a failed early renewal is left alone while the token still works
# How long a refused token that the server stands by is left alone: ServiceNow gives the same one
# again until it ends.
_REFUSED_S = GAPS_S[0]
_UNKNOWN_MARGIN_S = 60.0  # for a cached token that does not say when to renew it


@dataclass(frozen=True, slots=True)
class Token:
    """An access token. Instants are epoch seconds; `refresh_at` is when to ask for the next one."""

    value: str = field(repr=False)
    expires_at: float
    refresh_at: float | None = None

    def is_fresh(self, now: float) -> bool:
        due = self.refresh_at
        return now < (self.expires_at - _UNKNOWN_MARGIN_S if due is None else due)


class TokenCache(Protocol):
    """Where processes share a token, so that each does not ask for its own."""

    def get(self, key: str) -> Token | None: ...
    def put(self, key: str, token: Token) -> None: ...
    def lock(self, key: str) -> AbstractContextManager[None]:
        """Held while one process renews; the others then find the new token."""
        ...


class MemoryTokenCache:
    """Shares tokens within one process."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> Token | None:
        return self._tokens.get(key)

    def put(self, key: str, token: Token) -> None:
        self._tokens[key] = token

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        del key  # one lock is enough: a process talks to two systems
        with self._lock:
            yield


class BearerAuth(AuthBase):
    """Puts a current token on every request; however many threads ask, one fetches.

    `fetch` gets a new token. `key` names the token in the cache and must tell accounts, client ids
    and hosts apart.
    """

    def __init__(
        self,
        fetch: Callable[[], Token],
        *,
        key: str,
        cache: TokenCache | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._fetch = fetch
        self._key = key
        self._cache = cache or MemoryTokenCache()
        self._now = now
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._given_again = ("", 0.0)  # a refused token that the server stands by, since when
        self._no_login: tuple[AuthenticationError, Refusal] | None = None  # why there is none

    def __repr__(self) -> str:
        return f"BearerAuth(key={self._key!r})"

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        r.headers["Authorization"] = f"Bearer {self.ready().value}"
        return r

    def ready(self) -> Token:
        """The token to use now, fetched or renewed when due."""
        token = self._token
        if token is not None and token.is_fresh(self._now()):
            return token
        with self._lock:
            if self._token is None or not self._token.is_fresh(self._now()):
                self._token = self._obtain(refused="")
            return self._token

    def renew(self, refused: str) -> None:
        """Replace the token the server refused, unless that has been done already."""
        with self._lock:
            if self._token is not None and self._token.value != refused:
                return
            value, since = self._given_again
            if value == refused and self._now() < since + _REFUSED_S:
                return  # asked already: the call goes out once more and is told for good
            self._token = self._obtain(refused=refused)
            if self._token.value == refused:
                self._given_again = (refused, self._now())

    def anew(self) -> None:
        """Ask for a token whatever is at hand: it may have ended while nobody could use it."""
        with self._lock:
            held = self._cache.get(self._key) or self._token
            self._token = self._no_login = None  # neither is fallen back on
            self._token = self._obtain(refused="" if held is None else held.value)

    def _obtain(self, *, refused: str) -> Token:
        with self._cache.lock(self._key):
            cached = self._cache.get(self._key)
            if cached is not None and cached.value != refused and cached.is_fresh(self._now()):
                self._no_login = None
                return cached
            self._stop_if_refused_before()
            try:
                token = self._fetch()
            except TransientError:
                kept = self._kept(refused, cached, self._now() + _PATIENCE_S)
                if kept is None:
                    raise
                return kept
            except AuthenticationError as error:
                self._remember(error)
                kept = self._kept(refused, cached, math.inf)
                if kept is None:
                    raise
                left_s = kept.expires_at - self._now()
                _log.warning("token_not_renewed key=%s left_s=%.0f %s", self._key, left_s, error)
                return kept
            self._no_login = None
            return self._shared(token, instead_of=cached)

    def _remember(self, error: AuthenticationError) -> None:
        before = 0 if self._no_login is None else self._no_login[1].count
        self._no_login = (error, Refusal(str(error), self._now(), before + 1))

    def _stop_if_refused_before(self) -> None:
        """Of many threads without a token one asks, and all get its answer."""
        if self._no_login is not None:
            error, refusal = self._no_login
            if self._now() < refusal.until:
                raise error.again()

    def _shared(self, token: Token, *, instead_of: Token | None) -> Token:
        """Put it where processes share it, unless one that lasts longer has come meanwhile.

        The lock may have ended under a slow request: a late answer replaces no newer token.
        """
        latest = self._cache.get(self._key)
        came_meanwhile = latest is not None and latest != instead_of
        if latest is not None and came_meanwhile and latest.expires_at > token.expires_at:
            return latest
        self._cache.put(self._key, token)
        return token

    def _kept(self, refused: str, cached: Token | None, ask_again_at: float) -> Token | None:
        """The present token while it lasts: an early renewal that fails is no emergency.

        It goes back to where processes share it: they leave the renewal alone as well.
        """
        now = self._now()
        held = [one for one in (self._token, cached) if one is not None and one.value != refused]
        token = max(held, key=lambda one: one.expires_at, default=None)
        if token is None or now >= token.expires_at - 1:
            return None
        kept = replace(token, refresh_at=min(ask_again_at, token.expires_at - 1))
        return self._shared(kept, instead_of=cached)


def basic_auth(username: str, password: str) -> AuthBase:
    """HTTP Basic in UTF-8; the library's default cannot encode every password."""
    return HTTPBasicAuth(username.encode(), password.encode())
