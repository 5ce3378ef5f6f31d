"""How many records of a table runs have retired today, so that many small runs are not a large one.

Counted per UTC day in Redis, apart from job state. Lost with Redis, a day's count begins anew: each
run's own limits hold without it.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, cast

import redis

from nsn_pipeline.load.brake import Deed
from nsn_pipeline.state.connection import translated

KEPT_S = 2 * 24 * 3600


class RetiredToday:
    """Counters of one account, instance and profile: `<prefix>today:<day>:<deed>:<table>`.

    The day is that of its first use: what a step gives back after midnight, it counted before.
    """

    def __init__(
        self,
        client: redis.Redis,
        *,
        prefix: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._now = now
        self._day: date | None = None

    def count(self, deed: Deed, table: str) -> int:
        """What was retired (or ended) of this table since midnight, UTC."""
        with translated("count the day's retirements"):
            text = cast("Any", self._client.get(self._key(deed, table)))
        return int(text or 0)

    def add(self, deed: Deed, table: str, records: int) -> int:
        """Count these as well, or fewer; the count that comes of it, at one go."""
        key = self._key(deed, table)
        with translated("count the day's retirements"):
            pipeline = self._client.pipeline(transaction=True)
            pipeline.incrby(key, records)
            pipeline.expire(key, KEPT_S)
            total, _ = pipeline.execute()
        return int(total)

    def _key(self, deed: Deed, table: str) -> str:
        self._day = self._day or self._now().astimezone(UTC).date()
        return f"{self._prefix}today:{self._day}:{deed}:{table}"
