"""Cuts long lists of keys into queries that fit a URL."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from nsn_pipeline.clients.encoded_query import Query

_MAX_URL = 8000  # servers in between give up on longer ones
_URL_OVERHEAD = 700  # everything in a look-up's URL but fields and values


@dataclass(frozen=True, slots=True)
class KeyList:
    """The values one query of a look-up asks for."""

    key: str
    values: list[str]

    @property
    def query(self) -> Query:
        if len(self.values) == 1:
            return Query().where(self.key, "=", self.values[0])
        return Query().where_in(self.key, self.values)

    def halves(self) -> "tuple[KeyList, KeyList]":
        half = len(self.values) // 2
        return KeyList(self.key, self.values[:half]), KeyList(self.key, self.values[half:])


def key_lists(key: str, values: Sequence[str], fields: Sequence[str]) -> list[KeyList]:
    """IN lists short enough for a URL and about equally long; a comma needs a query of its own."""
    room = _MAX_URL - _URL_OVERHEAD - len(quote(",".join(fields), safe=""))
    lists = [KeyList(key, [value]) for value in values if "," in value]
    listed = [value for value in values if "," not in value]
    costs = [_quoted_length(value) + len("%2C") for value in listed]
    total = sum(costs)
    even = total / (total // room + 1)  # a short last query would cost a whole call
    chunk: list[str] = []
    used = 0
    for value, cost in zip(listed, costs, strict=True):
        if chunk and (used + cost > room or used >= even):
            lists.append(KeyList(key, chunk))
            chunk, used = [], 0
        chunk.append(value)
        used += cost
    if chunk:
        lists.append(KeyList(key, chunk))
    return lists


def lists_by_version(versions: Mapping[str, str]) -> list[tuple[str, KeyList]]:
    """Lists of sys_ids of one version, short enough for a query each."""
    by_version: dict[str, list[str]] = {}
    for sys_id, version in versions.items():
        by_version.setdefault(version, []).append(sys_id)
    return [
        (version, ids)
        for version, of_version in by_version.items()
        for ids in key_lists("sys_id", of_version, ["sys_id"])
    ]


def _quoted_length(value: str) -> int:
    plain = value.isascii() and value.isalnum()
    return len(value) if plain else len(quote(value, safe=""))


def folded(text: str) -> str:
    """Text as a case- and accent-insensitive database would compare it."""
    decomposed = unicodedata.normalize("NFKD", text.strip().casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))
