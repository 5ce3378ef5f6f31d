"""The sys_id a record gets when we create it, known before it is sent.

ServiceNow honours a sys_id given on insert (docs/facts/servicenow.md 2.4), and it is the primary
key of every table. Two runs, or one run that repeats a request whose answer was lost, therefore ask
for the same row, and the database refuses the second.
"""

from functools import lru_cache
from hashlib import blake2b

_SCHEME = (
    b"nsn-sys-id-v1"  # changing it gives every record a new identity: never without a migration
)


def deterministic_sys_id(instance: str, table: str, external_key: str) -> str:
    """32 lower-case hex digits that depend on all three parts and on where one part ends.

    Host names know no case, so neither does `instance`.
    """
    digest = _begun(instance, table).copy()
    digest.update(_framed(external_key))
    return digest.hexdigest()


@lru_cache(maxsize=64)
def _begun(instance: str, table: str) -> "blake2b":
    digest = blake2b(digest_size=16, person=_SCHEME)
    digest.update(_framed(instance.lower()))
    digest.update(_framed(table))
    return digest


def _framed(part: str) -> bytes:
    encoded = part.encode()
    return len(encoded).to_bytes(4, "big") + encoded  # ("ab", "c") is not ("a", "bc")
