"""Leases across processes: so many slots of a vendor's concurrency limit, or a lock by name.

A slot is an entry in a sorted set, scored with the instant at which it expires by the server's own
clock. It is not renewed in the background: choose `ttl_s` longer than the longest request (connect
plus read time-outs, and the retries made while holding it), because an expired slot is given to the
next caller. A holder that crashes keeps its slot until then, and no longer. Work without a natural
bound takes `named_lock` and calls `renew` between its steps.

Waiters queue in order of arrival. One that stops asking (killed, or paused for `PATIENCE_MS`) loses
its place, so that it cannot hold up the others.

A request that got no answer may be carried out yet, when a server that hung goes on: what it may
have taken is given back when the server answers again. What was not acquired is not released.
"""

import contextlib
import logging
import random
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import redis

from nsn_pipeline.errors import ConfigurationError, NotSentError, NsnError, UnreachableError, Where
from nsn_pipeline.state.connection import translated
from nsn_pipeline.state.kept_slots import KeptSlots
from nsn_pipeline.state.patience import Presence

logger = logging.getLogger(__name__)

SLOT_TTL_S = 300.0
WAIT_S = 900.0
PATIENCE_MS = 3_000
SHORTEST_POLL_S, LONGEST_POLL_S = 0.005, 0.25

# KEYS: slots, queue (order of arrival), seen (until when a waiter counts).
# 0 when the slot is ours, else how many places ahead of us have to become free.
ACQUIRE = """
local slots, queue, seen = KEYS[1], KEYS[2], KEYS[3]
local me, limit = ARGV[1], tonumber(ARGV[2])
local ttl_ms, patience_ms = tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

redis.call('ZREMRANGEBYSCORE', slots, '-inf', now_ms)
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', seen, '-inf', now_ms)) do
  redis.call('ZREM', queue, gone)
  redis.call('ZREM', seen, gone)
end
local mine = redis.call('ZSCORE', slots, me)  -- the answer to an earlier call was lost
if not mine then
  if not redis.call('ZSCORE', queue, me) then
    local last = redis.call('ZRANGE', queue, -1, -1, 'WITHSCORES')
    redis.call('ZADD', queue, last[2] and last[2] + 1 or 1, me)
  end
  local free = limit - redis.call('ZCARD', slots)
  local ahead = redis.call('ZRANK', queue, me)
  if ahead >= free then
    redis.call('ZADD', seen, now_ms + patience_ms, me)
    redis.call('PEXPIRE', queue, 2 * patience_ms)
    redis.call('PEXPIRE', seen, 2 * patience_ms)
    return ahead - math.max(free, 0) + 1
  end
  redis.call('ZREM', queue, me)
  redis.call('ZREM', seen, me)
end
redis.call('ZADD', slots, now_ms + ttl_ms, me)
local last = redis.call('ZRANGE', slots, -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', slots, string.format('%.0f', last[2]))
return 0
"""
# 1 when the slot was still ours: an expired one that nobody has taken since counts as ours
RENEW = """
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], now_ms + tonumber(ARGV[2]), ARGV[1])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', last[2]))
return 1
"""
RELEASE = """
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
return redis.call('ZREM', KEYS[1], ARGV[1])
"""


class LeaseUnavailableError(NotSentError):
    """Nobody gave up a slot, or the lock, within the time we were ready to wait."""


@dataclass(slots=True)
class RedisLimiter:
    """At most `limit` holders of `name` at any time, over all processes that use this server."""

    client: redis.Redis
    name: str
    limit: int
    ttl_s: float = SLOT_TTL_S
    wait_s: float = WAIT_S
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random
    presence: Presence = field(default_factory=Presence)
    keeps: bool = False  # slots from one call to the next; then close it
    _kept: KeptSlots = field(init=False)
    _keys: list[str] = field(init=False)
    _acquire: Any = field(init=False)
    _renew: Any = field(init=False)
    _release: Any = field(init=False)

    def __post_init__(self) -> None:
        self._kept = KeptSlots(self._taken, self._give_up)
        self._keys = [f"nsn:lease:{self.name}:{part}" for part in ("slots", "queue", "seen")]
        self._acquire = self.client.register_script(ACQUIRE)
        self._renew = self.client.register_script(RENEW)
        self._release = self.client.register_script(RELEASE)

    @contextlib.contextmanager
    def slot(self) -> Iterator[None]:
        """Hold one slot; waits at most `wait_s`, then LeaseUnavailableError."""
        with self._kept.slot() if self.keeps else self.held():
            yield

    @contextlib.contextmanager
    def held(self) -> Iterator["Lease"]:
        """As `slot`, for holders that renew."""
        token = self._taken()
        try:
            yield Lease(self, token)
        finally:
            self._give_up(token)

    def close(self) -> None:
        """Give up kept slots."""
        self._kept.close()

    def _taken(self) -> str:
        token = uuid.uuid4().hex
        try:
            self._wait(token)
        except UnreachableError:
            self.presence.owe(lambda: self._released(token))
            raise
        except ConfigurationError:  # refused: nothing was taken
            raise
        except BaseException:  # out of patience, or interrupted: a place in the queue is held
            self._give_up(token)
            raise
        return token

    def _wait(self, token: str) -> None:
        end = self.clock() + self.wait_s
        arguments = [token, self.limit, round(self.ttl_s * 1000), PATIENCE_MS]
        while True:
            with translated(f"lease {self.name}"):
                ahead = int(self._acquire(keys=self._keys, args=arguments))
            self.presence.answered()
            if not ahead:
                return
            if self.clock() >= end:
                raise LeaseUnavailableError(
                    f"no free slot of {self.limit} within {self.wait_s:g} s",
                    where=Where("state server", f"lease {self.name}"),
                )
            self.sleep(next_poll_s(ahead, jitter=self.jitter()))

    def _give_up(self, token: str) -> None:
        if self.presence.is_away():
            self.presence.owe(lambda: self._released(token))
            return
        try:
            self._released(token)
        except NsnError as error:  # the work is done, and the slot frees itself after its ttl
            logger.warning("lease_not_released name=%s error=%s", self.name, error)
            if isinstance(error, UnreachableError):
                self.presence.owe(lambda: self._released(token))

    def _released(self, token: str) -> None:
        with translated(f"release {self.name}"):
            self._release(keys=self._keys, args=[token])


@dataclass(frozen=True, slots=True)
class Lease:
    """A slot or lock being held."""

    limiter: RedisLimiter
    token: str

    def renew(self) -> bool:
        """Hold it for another `ttl_s`; False when it expired and may be someone else's."""
        limiter = self.limiter
        with translated(f"renew {limiter.name}"):
            return bool(
                limiter._renew(  # noqa: SLF001  two halves of one thing
                    keys=limiter._keys[:1],  # noqa: SLF001
                    args=[self.token, round(limiter.ttl_s * 1000)],
                )
            )


def next_poll_s(ahead: int, *, jitter: float) -> float:
    """Pause before asking again; the first in the queue asks most often. `jitter` in [0, 1)."""
    return min(SHORTEST_POLL_S * ahead, LONGEST_POLL_S) * (0.5 + jitter)


def named_lock(
    client: redis.Redis,
    name: str,
    ttl_s: float,
    *,
    wait_s: float = WAIT_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    jitter: Callable[[], float] = random.random,
    presence: Presence | None = None,
) -> contextlib.AbstractContextManager[Lease]:
    """One holder of `name` at a time; `wait_s=0` asks once. Renew it when work outlasts `ttl_s`."""
    return RedisLimiter(
        client,
        f"lock:{name}",
        1,
        ttl_s,
        wait_s,
        clock=clock,
        sleep=sleep,
        jitter=jitter,
        presence=presence or Presence(),
    ).held()
