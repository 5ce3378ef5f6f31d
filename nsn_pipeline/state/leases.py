"""Leases across processes: so many slots of a vendor's concurrency limit, or a lock by name.

A slot is an entry in a sorted set, scored with the instant at which it expires by the server's own
clock. Its process renews it as long as it lives (`renewals`), however long the call takes. One that
is killed keeps its slots for `TTL_S`; one that is paused or cannot reach the server for that long
has lost them: a call too many at the vendor, who answers 429, or a lock that two hold.

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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis

from nsn_pipeline.errors import ConfigurationError, NotSentError, NsnError, UnreachableError, Where
from nsn_pipeline.state.connection import translated
from nsn_pipeline.state.kept_slots import KeptSlots
from nsn_pipeline.state.patience import Presence
from nsn_pipeline.state.renewals import Renewals

logger = logging.getLogger(__name__)

TTL_S = 20.0
RENEWALS = 4  # per life of a lease; one that waits in vain for its answer may take three of them
WAIT_S = 900.0
WORD_S = 10.0  # of waiting, before it is told
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
# Returns those that are gone: others asked since they expired, or the key expired with the last.
RENEW = """
local slots = KEYS[1]
local time = redis.call('TIME')
local until_ms = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])
local gone = {}
for n = 2, #ARGV do
  if redis.call('ZSCORE', slots, ARGV[n]) then
    redis.call('ZADD', slots, until_ms, ARGV[n])
  else
    gone[#gone + 1] = ARGV[n]
  end
end
local last = redis.call('ZRANGE', slots, -1, -1, 'WITHSCORES')
if last[2] then redis.call('PEXPIREAT', slots, string.format('%.0f', last[2])) end
return gone
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
    ttl_s: float = TTL_S
    wait_s: float = WAIT_S
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random
    presence: Presence = field(default_factory=Presence)
    keeps: bool = False  # slots from one call to the next; then close it
    _kept: KeptSlots = field(init=False)
    _renewals: Renewals = field(init=False)
    _is_told: bool = field(init=False, default=False)  # that it is waited for
    _keys: list[str] = field(init=False)
    _acquire: Any = field(init=False)
    _renew: Any = field(init=False)
    _release: Any = field(init=False)

    def __post_init__(self) -> None:
        self._kept = KeptSlots(self._taken, self._give_up)
        self._renewals = Renewals(self.name, self._gone, self.ttl_s / RENEWALS)
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
    def held(self) -> Iterator[None]:
        """As `slot`, and given up at the end of the block."""
        token = self._taken()
        try:
            yield
        finally:
            self._give_up(token)

    def close(self) -> None:
        """Give up kept slots, and renew nothing more."""
        try:
            self._kept.close()
        finally:
            self._renewals.close()

    def _taken(self) -> str:
        token = uuid.uuid4().hex
        try:
            self._wait(token)
            self._renewals.hold(token)
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
        began = self.clock()
        arguments = [token, self.limit, round(self.ttl_s * 1000), PATIENCE_MS]
        while True:
            with translated(f"lease {self.name}"):
                ahead = int(self._acquire(keys=self._keys, args=arguments))
            self.presence.answered()
            waited_s = self.clock() - began
            if not ahead:
                self._is_told = self._is_told and waited_s >= WORD_S
                return
            if waited_s >= self.wait_s:
                raise LeaseUnavailableError(
                    f"no free slot of {self.limit} within {self.wait_s:g} s",
                    where=Where("state server", f"lease {self.name}"),
                )
            if waited_s >= WORD_S and not self._is_told:
                self._is_told = True
                logger.warning(
                    "lease_waits name=%s of=%d ahead=%d: in use elsewhere, or by a process that "
                    "was killed just now",
                    *(self.name, self.limit, ahead),
                )
            self.sleep(next_poll_s(ahead, jitter=self.jitter()))

    def _give_up(self, token: str) -> None:
        self._renewals.let_go(token)
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

    def _gone(self, tokens: Sequence[str]) -> list[str]:
        """Renews these; also when the server is left alone, as it holds nobody up to ask."""
        with translated(f"renew {self.name}"):
            return self._renew(keys=self._keys[:1], args=[round(self.ttl_s * 1000), *tokens])


def next_poll_s(ahead: int, *, jitter: float) -> float:
    """Pause before asking again; the first in the queue asks most often. `jitter` in [0, 1)."""
    return min(SHORTEST_POLL_S * ahead, LONGEST_POLL_S) * (0.5 + jitter)


@contextlib.contextmanager
def named_lock(
    client: redis.Redis,
    name: str,
    *,
    wait_s: float = WAIT_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    jitter: Callable[[], float] = random.random,
    presence: Presence | None = None,
) -> Iterator[None]:
    """One holder of `name` at a time; `wait_s=0` asks once."""
    lock = RedisLimiter(
        client,
        f"lock:{name}",
        1,
        wait_s=wait_s,
        clock=clock,
        sleep=sleep,
        jitter=jitter,
        presence=presence or Presence(),
    )
    try:
        with lock.held():
            yield
    finally:
        lock.close()
