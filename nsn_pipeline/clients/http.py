"""One HTTP caller for both vendors: pooled connections, limits, retries, classified errors.

Nothing here knows SuiteQL or the Table API. Every answer that is not a usable success is raised as
an error of `errors.py`. A request marked `idempotent=False` is repeated only while it is certain
that the server has not acted on it (no connection, 401, 429); otherwise `OutcomeUnknownError`.
"""

import ipaddress
import logging
import random as random_module
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.utils import get_environ_proxies
from urllib3.exceptions import NewConnectionError

from nsn_pipeline.clients.answers import Answer, judge, unknown_if_unsafe
from nsn_pipeline.clients.echoes import credential_of, form_secrets, secrets_of
from nsn_pipeline.clients.logins import Login, NoCredentialsError, Probe
from nsn_pipeline.clients.refusals import LoginGuard
from nsn_pipeline.clients.retry import Limiter, LocalLimiter, RetryPolicy, next_delay_s
from nsn_pipeline.errors import (
    AuthenticationError,
    ConfigurationError,
    NsnError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RequestRefusedError,
    ThrottledError,
    TransientError,
    UnexpectedResponseError,
    UnreachableError,
    Where,
)

__all__ = ["Http", "HttpStats", "Limiter", "LocalLimiter", "RetryPolicy", "next_delay_s"]

_log = logging.getLogger(__name__)
_POOL = 64  # connections kept open; limiters, not the pool, bound what is in flight
_REQUEST_ID_HEADERS = ("X-N-OperationId", "X-Transaction-ID", "X-Request-Id", "X-Correlation-Id")


@runtime_checkable
class Renewable(Protocol):
    """Credentials that can be had afresh, such as a bearer token."""

    def ready(self) -> object:
        """Get what is needed before a place in the limiter is taken."""
        ...

    def renew(self, refused: str) -> None:
        """Replace the credentials, unless another thread has already replaced `refused`."""
        ...

    def anew(self) -> None:
        """Replace the credentials whatever is at hand."""
        ...


@dataclass(frozen=True, slots=True)
class HttpStats:
    """What was sent so far: calls include repeats."""

    calls: int = 0
    retries: int = 0
    throttled: int = 0
    renewals: int = 0


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    url: str
    options: dict[str, Any] = field(repr=False)  # the form of a token request holds secrets
    where: Where
    idempotent: bool = True
    patient: bool = True
    returned: Collection[int] = ()
    secrets: tuple[str, ...] = field(default=(), repr=False)


def new_session() -> requests.Session:
    """Build a session that keeps connections and nothing else.

    No cookies: ServiceNow serialises calls that share a session and drops what queues up behind
    them with a 202 (docs/facts/servicenow.md 1.2). No environment: `.netrc` would replace our
    credentials, and a CA bundle is a setting of ours.
    """
    session = requests.Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.mount("https://", HTTPAdapter(pool_connections=4, pool_maxsize=_POOL))
    session.mount("http://", HTTPAdapter(pool_connections=4, pool_maxsize=_POOL))
    return session


class Http:
    """Calls one system; safe to share between threads."""

    def __init__(
        self,
        *,
        system: str,
        base_url: str,
        auth: AuthBase | None = None,
        guard: LoginGuard | None = None,
        probe: Probe | None = None,
        policy: RetryPolicy = RetryPolicy(),  # noqa: B008 (frozen)
        limiter: Limiter | None = None,
        timeout_s: tuple[float, float] = (10, 120),
        verify: str | bool = True,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = random_module.random,
        now: Callable[[], float] = time.time,
        session_factory: Callable[[], requests.Session] = new_session,
    ) -> None:
        self.system = system
        self.base_url = _checked_base_url(system, base_url)
        self._auth = auth
        self._renewable = auth if isinstance(auth, Renewable) else None
        self._login = self._login_of(guard or LoginGuard(now=now), probe) if auth else None
        self._policy = policy
        self._limiter = limiter
        self._sleep = sleep
        self._random = random
        self._now = now
        self._session = session_factory()
        self._fixed = {
            "timeout": timeout_s,
            "verify": verify,
            # A redirect would carry the request, and perhaps its secrets, to another place.
            "allow_redirects": False,
            "proxies": _proxies(self.base_url),
        }
        self._counts: Counter[str] = Counter()
        self._under_way = 0
        self._count_lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Http(system={self.system!r}, base_url={self.base_url!r})"

    def request(
        self,
        method: str,
        path: str,
        *,
        idempotent: bool,
        params: Mapping[str, str] | None = None,
        json: object = None,
        data: Mapping[str, str] | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        returned: Collection[int] = (),
        patient: bool = True,
    ) -> requests.Response:
        """Send one request until it succeeds or is hopeless; statuses in `returned` are not judged.

        A success is a 2xx with a parsable JSON body free of an `error`, or a 204. Without patience
        a 429 is raised at once: the caller slows down as a whole, and sends again when it likes.
        """
        options = {"params": dict(params or {}), "json": json, "data": data, "headers": headers}
        call = replace(
            self._call(method, path, options),
            idempotent=idempotent,
            patient=patient,
            returned=returned,
            secrets=tuple(form_secrets(data)),
        )
        try:
            return self._until_done(call)
        except NoCredentialsError as error:
            raise error.reason from error.reason.__cause__

    def stats(self) -> HttpStats:
        with self._count_lock:
            return HttpStats(**self._counts)

    @property
    def under_way(self) -> int:
        """Calls that are with the server now; whoever waits for a place is not."""
        with self._count_lock:
            return self._under_way

    def close(self) -> None:
        self._session.close()

    def _login_of(self, guard: LoginGuard, probe: Probe | None) -> Login:
        return Login(guard, probe, ask=self._ask, is_renewable=self._renewable is not None)

    def _call(self, method: str, path: str, options: dict[str, Any]) -> _Call:
        headers = {"Accept": "application/json", **(options.get("headers") or {})}
        return _Call(
            method=method,
            url=f"{self.base_url}{path}",
            options={**options, "headers": headers},
            where=Where(self.system, f"{method} {path.partition('?')[0]}"),
        )

    def _until_done(self, call: _Call) -> requests.Response:
        attempt = 1
        while True:
            try:
                return self._guarded(call)
            except TransientError as error:
                if isinstance(error, ThrottledError):
                    self._count("throttled")
                    if not call.patient:
                        raise
                delay = next_delay_s(attempt, error, self._policy, jitter=self._random())
                if delay is None:
                    raise
                self._count("retries")
                _log.warning(
                    "http_retry call=%s attempt=%d delay_s=%.2f cause=%s",
                    call.where, attempt, delay, type(error).__name__,
                )  # fmt: skip
                self._sleep(delay)
                attempt += 1

    def _guarded(self, call: _Call) -> requests.Response:
        """One attempt, unless this login was refused just now; its answer tells of the login."""
        login = self._login
        if login is None:
            return self._attempt(call)
        login.admit()
        sent_at = login.guard.now()
        try:
            response = self._attempt(call)
        except NoCredentialsError as error:
            login.no_token(error)
            raise
        except AuthenticationError as error:
            login.refused(error)
            raise
        except (PermissionDeniedError, RequestRefusedError):
            login.guard.accepted(sent_at=sent_at)
            raise
        login.guard.accepted(sent_at=sent_at)
        return response

    def _ask(self, probe: Probe, renews: bool) -> NsnError | None:
        """What the probe is answered, asked once; first of all for a new token if it `renews`."""
        options = {"params": probe.params, "data": probe.data, "headers": probe.headers}
        call = self._call(probe.method, probe.path, options)
        try:
            if renews:
                self._get_credentials(anew=True)
            return self._judged(call, self._exchange(call))
        except NoCredentialsError as error:
            if isinstance(error.reason, AuthenticationError):
                return error.reason
            raise

    def _attempt(self, call: _Call) -> requests.Response:
        """Send once, and once more with fresh credentials when the first ones were refused.

        A 401 is decided before any work is done, so the replay is safe for writes as well. It does
        not prove expiry either (docs/facts/netsuite.md 2): a second 401 is final.
        """
        response = self._exchange(call)
        stale = response.status_code == HTTPStatus.UNAUTHORIZED
        if stale and self._renewable is not None:
            self._count("renewals")
            self._get_credentials(refused=credential_of(response.request))
            # With a new token a login that has not worked yet asks first: is it this call alone?
            if self._login is None or not self._login.is_refused_everywhere():
                response = self._exchange(call)
        if response.status_code in call.returned:
            return response
        error = self._judged(call, response)
        if error is None:
            return response
        raise error if call.idempotent else unknown_if_unsafe(error)

    def _judged(self, call: _Call, response: requests.Response) -> NsnError | None:
        where = replace(call.where, status=response.status_code, request_id=_request_id(response))
        answer = Answer(response.status_code, response.headers, response.content)
        secrets = (*call.secrets, *secrets_of(response.request))
        return judge(answer, where, now=self._now(), secrets=secrets)

    def _exchange(self, call: _Call) -> requests.Response:
        self._get_credentials()
        with self._limiter.slot() if self._limiter else nullcontext():
            self._count("calls", under_way=1)
            try:
                return self._send(call)
            finally:
                self._count("calls", 0, under_way=-1)

    def _get_credentials(self, refused: str = "", *, anew: bool = False) -> None:
        """Have credentials at hand; getting them has its own retries, which must not multiply."""
        if self._renewable is None:
            return
        try:
            if anew:
                self._renewable.anew()
            elif refused:
                self._renewable.renew(refused)
            else:
                self._renewable.ready()
        except (TransientError, AuthenticationError) as error:
            raise NoCredentialsError(error) from error

    def _send(self, call: _Call) -> requests.Response:
        try:
            return self._session.request(
                call.method, call.url, auth=self._auth, **call.options, **self._fixed
            )
        except (requests.exceptions.InvalidHeader, requests.exceptions.InvalidURL) as error:
            # Not chained: the library quotes the header, which may be the credentials.
            raise ConfigurationError(
                f"the request cannot be sent ({type(error).__name__})", where=call.where
            ) from None
        except requests.exceptions.RequestException as error:
            raise self._lost(call, error) from error

    def _lost(self, call: _Call, error: Exception) -> NsnError:
        """What a broken exchange means, by whether the server can have seen the request."""
        kind = type(error).__name__
        if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)):
            return ConfigurationError(
                "the server's certificate is not trusted: set NSN_CA_BUNDLE when a private CA or "
                "a proxy signs it",
                where=call.where,
            )
        if _never_sent(error):
            host = urlsplit(self.base_url).hostname
            return UnreachableError(f"no connection to {host} ({kind})", where=call.where)
        if call.idempotent:
            return UnreachableError(f"no complete answer ({kind})", where=call.where)
        return OutcomeUnknownError(
            f"the connection broke after sending ({kind}): the write may have happened",
            where=call.where,
        )

    def _count(self, what: str, number: int = 1, *, under_way: int = 0) -> None:
        with self._count_lock:
            self._counts[what] += number
            self._under_way += under_way


def json_object(response: requests.Response, where: Where) -> dict[str, Any]:
    """The answer's JSON object; `Http` has already refused everything unparsable."""
    data = response.json() if response.content else None
    if not isinstance(data, dict):
        raise UnexpectedResponseError("a JSON object was expected", where=where)
    return data


def _checked_base_url(system: str, base_url: str) -> str:
    told = f"{system}: the base URL must be https://<host>, without a login"
    try:
        parts = urlsplit(base_url.strip())
        _ = parts.port  # read here, as `https://host:abc` is refused only then
    except ValueError:  # its text may quote what stands before the @
        raise ConfigurationError(told) from None
    plain_allowed = parts.scheme == "http" and is_loopback(parts.hostname or "")
    # Also `https://:secret@host`, which names no user, and a password whose / ends the host.
    has_login = "@" in base_url
    if not parts.hostname or has_login or not (parts.scheme == "https" or plain_allowed):
        raise ConfigurationError(told)
    return base_url.strip().rstrip("/")


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _proxies(base_url: str) -> dict[str, str]:
    """Environment proxies, except for loopback: a proxy cannot reach this machine's own ports."""
    if is_loopback(urlsplit(base_url).hostname or ""):
        return {}
    return dict(get_environ_proxies(base_url))


def _never_sent(error: Exception) -> bool:
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.ProxyError):
        return True
    return any(isinstance(cause, NewConnectionError) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Every exception behind `error`: requests and urllib3 wrap them as arguments and reasons."""
    waiting: list[BaseException] = [error]
    seen: set[int] = set()
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        around = (current.__cause__, current.__context__, getattr(current, "reason", None))
        waiting += [item for item in (*around, *current.args) if isinstance(item, BaseException)]


def _request_id(response: requests.Response) -> str | None:
    return next((response.headers[h] for h in _REQUEST_ID_HEADERS if h in response.headers), None)
