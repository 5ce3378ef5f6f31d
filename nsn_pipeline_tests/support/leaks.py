"""Looks for secrets in everything a run leaves behind, however they were dressed up.

A secret is searched for as it is, percent-encoded, escaped as JSON, in hex, in base64 wherever it
may stand in the encoded text, and cut short; a PEM key line by line. Files are looked through as
they are and unpacked: gzip, Parquet, SQLite cells, and what is compressed inside those.
"""

import base64
import gzip
import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pyarrow as pa
import pyarrow.parquet as pq
import redis

_SHORTEST = 12  # fewer characters of a secret may well be found by chance
_CUT = 16  # of a secret that was cut short: its end, as beginnings are often alike
_PEM_LINE = 40
_CELLS = 5000


@dataclass(frozen=True, slots=True)
class Leak:
    """Which secret was found where, and in which dress; never the secret itself."""

    secret: str
    place: str
    form: str


def needles(secret: str) -> dict[bytes, str]:
    """What to look for, and what each form is called."""
    if "-----BEGIN" in secret:
        lines = [line for line in secret.splitlines() if not line.startswith("-----")]
        return {line.encode(): "a line of PEM" for line in lines if len(line) >= _PEM_LINE}
    assert len(secret) >= _SHORTEST, "too short to tell from chance"
    found: dict[bytes, str] = {}
    for text, cut in ((secret, ""), (secret[-_CUT:], "the end of it, ")):
        found |= {form: cut + name for form, name in _dressed(text)}
    return {form: name for form, name in found.items() if len(form) >= _SHORTEST}


def _dressed(text: str) -> Iterator[tuple[bytes, str]]:
    raw = text.encode()
    yield raw, "plain"
    yield quote(text, safe="").encode(), "percent-encoded"
    yield quote_plus(text).encode(), "as a form"
    for is_ascii in (True, False):
        inner = json.dumps(text, ensure_ascii=is_ascii)[1:-1]
        yield inner.encode(), "as JSON"
        # Dagster keeps events as JSON, and JSON in those.
        yield json.dumps(inner, ensure_ascii=is_ascii)[1:-1].encode(), "as JSON in JSON"
    yield repr(text)[1:-1].encode(), "as repr"
    yield raw.hex().encode(), "hex"
    yield raw.hex().upper().encode(), "hex"
    for before in range(3):  # where the secret may begin within a group of three bytes
        coded = base64.b64encode(b"\0" * before + raw)
        whole = coded[-(-before * 4 // 3) if before else 0 : (before + len(raw)) // 3 * 4]
        yield whole, "base64"
        yield whole.translate(bytes.maketrans(b"+/", b"-_")), "base64"


class Scanner:
    """Looks for many secrets at once. `secrets` names them: reports show names only."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._needles = [
            (form, name, dress)
            for name, secret in secrets.items()
            for form, dress in needles(secret).items()
        ]
        self.looked_at = 0  # bytes, unpacked ones included

    def in_bytes(self, content: bytes, place: str) -> set[Leak]:
        self.looked_at += len(content)
        return {Leak(name, place, dress) for form, name, dress in self._needles if form in content}

    def in_file(self, path: Path) -> set[Leak]:
        place = str(path)
        found = self.in_bytes(place.encode(), f"the name of {place}")
        content = path.read_bytes()
        for view in _views(content, path):
            found |= self.in_bytes(view, place)
        return found

    def in_folders(self, *folders: Path) -> set[Leak]:
        """Every file below; sockets and links to elsewhere are no content."""
        found: set[Leak] = set()
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                if path.is_file() and not path.is_symlink():
                    found |= self.in_file(path)
        return found

    def in_redis(self, client: redis.Redis) -> set[Leak]:
        found: set[Leak] = set()
        for key in client.scan_iter("*", count=1000):
            held = b"\0".join([_bytes(key), *map(_bytes, _redis_values(client, key))])
            found |= self.in_bytes(held, f"Redis {key!r}")
        return found


def _views(content: bytes, path: Path) -> Iterator[bytes]:
    yield content
    if content[:2] == b"\x1f\x8b":
        yield gzip.decompress(content)
    elif content[:4] == b"PAR1":
        yield from _parquet(path)
    elif content[:15] == b"SQLite format 3":
        yield from _sqlite(path)


def _parquet(path: Path) -> Iterator[bytes]:
    table = pq.read_table(path)
    for column in table.columns:
        kind = column.type
        is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        values = column if is_text else map(str, column.to_pylist())
        yield "\n".join(str(value) for value in values).encode()


def _sqlite(path: Path) -> Iterator[bytes]:
    """Cells, as a long one is scattered over pages; and what is compressed in them."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (name,) in names.fetchall():
            cells = _cells(database.execute(f'SELECT * FROM "{name}"'))
            # Searched many at a time: one by one, the searching costs more than the job.
            while some := b"\0".join(islice(cells, _CELLS)):
                yield some


def _cells(rows: Iterable[tuple[Any, ...]]) -> Iterator[bytes]:
    for row in rows:
        for cell in row:
            if isinstance(cell, str | bytes):
                yield _bytes(cell) or b"\0"
            if isinstance(cell, bytes):
                yield _inflated(cell) or b"\0"


def _inflated(content: bytes) -> bytes:
    try:
        return zlib.decompress(content)
    except zlib.error:
        return b""


def _redis_values(client: redis.Redis, key: Any) -> Iterable[Any]:
    kind = _bytes(client.type(key)).decode()
    if kind == "hash":
        return [part for pair in client.hgetall(key).items() for part in pair]
    read: dict[str, Any] = {
        "string": lambda: [client.get(key)],
        "set": lambda: client.smembers(key),
        "list": lambda: client.lrange(key, 0, -1),
        "zset": lambda: client.zrange(key, 0, -1),
    }
    return read[kind]()


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()
