"""The end of the trail as Redis remembers it: what is cut off the trail's end is missed there.

    nsn:{account}:{instance}:{profile}:trail    hash: trail id -> "<sequence>:<hash>"

Losing it costs nothing but that check, until the next entry is written.
"""

from collections.abc import Callable, Mapping
from typing import Any

import redis

from nsn_pipeline.state.connection import translated


class RedisAnchors:
    """`prefix` is that of the job state of the same account pair and profile.

    `connect` is called on first use: who only reads the trail needs no Redis.
    """

    def __init__(self, connect: Callable[[], redis.Redis], prefix: str) -> None:
        self._connect = connect
        self._key = f"{prefix}trail"

    def read(self) -> Mapping[str, tuple[int, str]]:
        """Sequence and hash of the last entry, per trail id."""
        with translated("read the end of the audit trail"):
            found: Any = self._connect().hgetall(self._key)
        anchors: dict[str, tuple[int, str]] = {}
        for trail_id, text in found.items():
            seq, _, digest = text.partition(":")
            anchors[trail_id] = (int(seq), digest)
        return anchors

    def write(self, trail_id: str, seq: int, digest: str) -> None:
        """Note the last entry; only a holder of the trail's lock calls this."""
        with translated("note the end of the audit trail"):
            self._connect().hset(self._key, trail_id, f"{seq}:{digest}")
