"""One way to reach the state server: `REDIS_URL` when given, the embedded server otherwise.

Nothing here logs or raises the password of a URL. How long it is waited for, and what is tried
again, is in `patience`.
"""

import contextlib
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import redis
from redis.connection import UnixDomainSocketConnection
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
)

from nsn_pipeline.errors import ConfigurationError, NsnError, UnreachableError, Where
from nsn_pipeline.state.embedded import EmbeddedServer, acquire
from nsn_pipeline.state.patience import OneRetryLayer, Patience, Presence

logger = logging.getLogger(__name__)

SCHEMES = ("redis", "rediss", "unix")
LAST_WORDS_S = 3.0  # at the end of a process; a question that is under way then ends by itself
_CODE = re.compile(r"[A-Z]{3,16}(?=\s)")
_HELLO_UNKNOWN = re.compile(r"(ERR )?unknown command\W+hello\b", re.IGNORECASE)


@dataclass(slots=True)
class Connection:
    """A client and what belongs to it; close it when the process no longer needs the state."""

    client: redis.Redis
    server: str  # where it is, fit for logs
    notes: tuple[str, ...] = ()  # what an operator should know about this server
    embedded: EmbeddedServer | None = None
    presence: Presence = field(default_factory=Presence)  # whether it answers

    def close(self) -> None:
        """Give back what is owed, as far as that is quick; then let go."""
        try:
            self.presence.settle(within_s=LAST_WORDS_S)
        except Exception as error:  # noqa: BLE001  work that is done does not fail for this
            logger.warning("state_not_settled error=%s", type(error).__name__)
        finally:
            self.client.close()
            if self.embedded is not None:
                self.embedded.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def connect(redis_url: str | None, home: Path, *, patience: Patience | None = None) -> Connection:
    """A checked connection to the server of `redis_url`, or to the embedded one under `home`.

    Raises ConfigurationError for a wrong URL, refused credentials or an unusable server,
    UnreachableError when nothing answers.
    """
    presence = Presence()
    behaviour = _behaviour(presence, patience or Patience())
    if not redis_url:
        return _embedded(home, presence, behaviour)
    place = redacted(redis_url)
    try:
        client = redis.Redis.from_url(redis_url, decode_responses=True, **behaviour)
    except (ValueError, TypeError):  # their text may quote parts of the password
        raise ConfigurationError(f"REDIS_URL is not a valid URL ({place})") from None
    try:
        with translated(f"connect to {place}"):
            notes = _inspect(client)
    except BaseException:
        client.close()
        raise
    return Connection(client, place, notes, presence=presence)


def redacted(url: str) -> str:
    """The URL without user, password and options.

    A `/`, `?` or `#` in a password ends the address for a parser, and the rest of the password
    would stand where path and options are: nothing after an `@` out of place is shown.
    """
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an unreadable address"
    if parts.scheme not in SCHEMES:
        return f"must start with one of {', '.join(f'{scheme}://' for scheme in SCHEMES)}"
    if "@" in f"{parts.path}{parts.query}{parts.fragment}":
        return "an unreadable address (escape /, ?, # and @ in the password)"
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


@contextlib.contextmanager
def translated(operation: str) -> Iterator[None]:
    """Raise this package's errors for those of the Redis client."""
    try:
        yield
    except redis.RedisError as error:
        # Not chained: redis-py opens each connection with `HELLO 3 AUTH user password`, and a
        # server or proxy that does not know the command quotes it back.
        raise _as_nsn_error(error, operation) from None


def _as_nsn_error(error: redis.RedisError, operation: str) -> NsnError:
    where = Where("state server", operation)
    match error:
        case AuthenticationError() | AuthorizationError():
            return ConfigurationError("user or password of REDIS_URL is refused", where=where)
        case NoPermissionError():
            return ConfigurationError("this Redis user may not run the command", where=where)
        case OutOfMemoryError():
            return ConfigurationError("the server is full: raise its maxmemory", where=where)
        case ReadOnlyError():
            return ConfigurationError("REDIS_URL names a read-only replica", where=where)
        case redis.ConnectionError() | redis.TimeoutError():  # also: still loading its data
            return UnreachableError(
                f"no answer ({type(error).__name__}): see that the state server runs and can be"
                " reached (`nsn doctor` tells); a repeated run writes nothing twice",
                where=where,
            )
        case _:
            return ConfigurationError(_refusal(error), where=where)


def _refusal(error: redis.RedisError) -> str:
    """The code an answer starts with; its text may quote what was sent."""
    if _HELLO_UNKNOWN.match(str(error)):
        return "the server is too old: Redis 6.2 or later is needed (HELLO is unknown to it)"
    code = _CODE.match(str(error))
    return f"refused ({code[0] if code else type(error).__name__})"


def _behaviour(presence: Presence, patience: Patience) -> dict[str, Any]:
    return {
        "socket_timeout": patience.answer_s,
        "socket_connect_timeout": patience.connect_s,
        "health_check_interval": 30,  # firewalls drop idle connections without a word
        "retry": OneRetryLayer(presence),
    }


def _inspect(client: redis.Redis) -> tuple[str, ...]:
    """Refuse a server that cannot hold the state; note what would endanger it."""
    client.ping()
    try:
        info: dict[str, Any] = client.info()  # pyright: ignore[reportAssignmentType]  sync client
    except redis.ResponseError:  # some hosted servers allow data commands only
        return ("the server does not tell its settings: its eviction policy must be noeviction",)
    if info.get("redis_mode") == "cluster":
        raise ConfigurationError("REDIS_URL names a cluster: a single server is needed")
    if info.get("role") == "slave":
        raise ConfigurationError("REDIS_URL names a read-only replica")
    policy = info.get("maxmemory_policy")
    if policy == "noeviction":
        return ()
    if policy is None:
        return ("the server does not tell its eviction policy: it must be noeviction",)
    return (f"maxmemory-policy is {policy}: under memory pressure job state would vanish",)


class _RevivingConnection(UnixDomainSocketConnection):
    """A connection that starts the embedded server again when it was killed under its users."""

    def __init__(self, *, embedded: EmbeddedServer, **options: Any) -> None:
        super().__init__(**options)
        self._embedded = embedded

    def _connect(self) -> Any:
        try:
            return super()._connect()
        except OSError:
            self._embedded.ensure_running()
            return super()._connect()


def _embedded(home: Path, presence: Presence, behaviour: dict[str, Any]) -> Connection:
    server = acquire(home)
    pool = redis.ConnectionPool(
        connection_class=_RevivingConnection,  # pyright: ignore[reportArgumentType]  typed as TCP
        embedded=server,
        path=server.socket_path,
        decode_responses=True,
        **behaviour,
    )
    return Connection(redis.Redis.from_pool(pool), server.url, embedded=server, presence=presence)
