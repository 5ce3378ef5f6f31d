"""The scanner finds a secret that was let slip on purpose, however it is dressed or packed."""

import base64
import gzip
import json
import random
import sqlite3
import string
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, urlencode

import fakeredis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from nsn_pipeline_tests.support.leaks import Scanner, needles

SECRET = 'can"ary/+= %ü secret\\9f3k2'
PEM = (
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    .decode()
)
FILLER = "".join(random.Random(1).choices(string.ascii_letters, k=20_000))  # noqa: S311


@pytest.fixture
def scanner() -> Scanner:
    return Scanner({"secret": SECRET, "key": PEM})


def basic(user: str) -> bytes:
    return base64.b64encode(f"{user}:{SECRET}".encode())


@pytest.mark.parametrize(
    "content",
    [
        f"token={SECRET}!".encode(),
        urlencode({"client_secret": SECRET}).encode(),
        quote(SECRET, safe="").encode(),
        json.dumps({"deep": json.dumps({"er": SECRET})}).encode(),
        basic("u"),
        basic("us"),
        basic("use"),
        base64.urlsafe_b64encode(b"::" + SECRET.encode()),
        SECRET.encode().hex().encode(),
        f"...{SECRET[-18:]}".encode(),
        repr({"password": SECRET}).encode(),
    ],
    ids=["plain", "form", "percent", "nested-json", "basic-1", "basic-2", "basic-3", "urlsafe",
         "hex", "cut", "repr"],
)  # fmt: skip
def test_a_secret_is_found_in_any_dress(scanner: Scanner, content: bytes) -> None:
    found = scanner.in_bytes(b"before " + content + b" after", "here")
    assert {leak.secret for leak in found} == {"secret"}


@pytest.mark.parametrize("dressed", [PEM, json.dumps(PEM), PEM.replace("\n", "\\n"), repr(PEM)])
def test_a_key_is_found_by_its_lines(scanner: Scanner, dressed: str) -> None:
    assert {leak.secret for leak in scanner.in_bytes(dressed.encode(), "here")} == {"key"}


def test_harmless_content_is_no_leak(scanner: Scanner) -> None:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    text = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert scanner.in_bytes(FILLER.encode() + text, "here") == set()


def test_a_secret_too_short_to_tell_from_chance_is_refused() -> None:
    with pytest.raises(AssertionError, match="too short"):
        needles("tiny")


def text_file(path: Path) -> None:
    path.write_text(f"{FILLER}{SECRET}")


def named_file(path: Path) -> None:
    path.with_name(f"log-{quote(SECRET, safe='')}").touch()


def zipped(path: Path) -> None:
    path.write_bytes(gzip.compress(f"{FILLER}{SECRET}".encode()))


def parquet(path: Path) -> None:
    rows = pa.table({"n": [1, 2], "text": ["a", f"{FILLER}{SECRET} in a cell"]})
    pq.write_table(rows, path, compression="zstd", write_statistics=False)
    assert SECRET.encode() not in path.read_bytes()


def parquet_note(path: Path) -> None:
    rows = pa.table({"n": [1]}).replace_schema_metadata({"note": SECRET})
    pq.write_table(rows, path, compression="zstd")


def long_cell(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE t (body)")
        database.execute("INSERT INTO t VALUES (?)", (f"{FILLER[:4060]}{SECRET}{FILLER}",))


def zipped_cell(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE snapshots (body BLOB)")
        packed = zlib.compress(f"{FILLER}{SECRET}".encode())
        database.execute("INSERT INTO snapshots VALUES (?)", (packed,))


@pytest.mark.parametrize(
    "plant",
    [text_file, named_file, zipped, parquet, parquet_note, long_cell, zipped_cell],
    ids=lambda plant: plant.__name__,
)
def test_a_secret_is_found_in_any_packing(
    scanner: Scanner, tmp_path: Path, plant: Callable[[Path], None]
) -> None:
    (tmp_path / "deep").mkdir()
    plant(tmp_path / "deep" / "file")
    assert {leak.secret for leak in scanner.in_folders(tmp_path)} == {"secret"}
    assert scanner.looked_at


def test_a_secret_is_found_in_every_kind_of_redis_value(scanner: Scanner) -> None:
    client = fakeredis.FakeRedis(decode_responses=True)
    assert scanner.in_redis(client) == set()
    client.set("a", SECRET)
    client.hset("b", SECRET, "1")
    client.hset("c", "1", SECRET)
    client.sadd("d", SECRET)
    client.rpush("e", SECRET)
    client.zadd("f", {SECRET: 1})
    client.set(f"g:{SECRET}", "1")
    places = {leak.place for leak in scanner.in_redis(client)}
    assert {place[7] for place in places} == set("abcdefg")
