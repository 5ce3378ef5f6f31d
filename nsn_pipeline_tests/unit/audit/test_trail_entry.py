import hashlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsn_pipeline.audit.trail_entry import (
    NO_HASH,
    Draft,
    Event,
    chained,
    data_digest,
    decode,
    documents_digest,
    encode,
    packed,
    split,
    unpacked,
)

NOON = datetime(2026, 3, 2, 12, 0, 0, 42, tzinfo=UTC)
DRAFT = Draft(
    Event.REJECTED, "run-1", "vendor_bill", "2026-03-02", "4086607",
    data={"problems": [{"reason": "MISSING_GL_ACCOUNT", "value": '7160 "é"\n'}]},
)  # fmt: skip

IDS = st.lists(
    st.one_of(
        st.integers(0, 10**17).map(str), st.sampled_from(["007", "", "1-3", "a^b", "٣", "é"])
    ),
    unique=True,
)


def test_an_entry_is_read_as_it_was_written() -> None:
    line, written = encode(DRAFT, seq=12, at=NOON, previous=NO_HASH)
    entry = decode(line)
    assert entry == written
    assert (entry.seq, entry.at) == (12, NOON)
    for name in ("event", "run_id", "record_type", "day", "document_id", "documents", "data"):
        assert getattr(entry, name) == getattr(DRAFT, name)


def test_an_entry_is_one_line_and_its_hash_can_be_worked_out_with_sha256_alone() -> None:
    line, entry = encode(DRAFT, seq=12, at=NOON, previous="ab" * 32)
    digest = entry.hash
    assert line.count(b"\n") == 1
    body = line.decode().removesuffix(f',"hash":"{digest}"}}\n') + "}"
    assert hashlib.sha256(("ab" * 32 + body).encode()).hexdigest() == digest


def test_a_change_of_any_byte_changes_the_hash() -> None:
    line, digest = encode(DRAFT, seq=1, at=NOON, previous=NO_HASH)
    parts = split(line[:-1])
    assert parts is not None
    for position in range(len(parts[0])):
        changed = bytearray(parts[0])
        changed[position] ^= 1
        assert chained(NO_HASH, bytes(changed)) != digest


def test_instants_are_written_in_utc() -> None:
    east = NOON.astimezone(timezone(timedelta(hours=9)))
    assert encode(DRAFT, seq=1, at=east, previous=NO_HASH) == encode(
        DRAFT, seq=1, at=NOON, previous=NO_HASH
    )


@pytest.mark.parametrize("line", [b"", b"{}", b"[1]", b"null", b'{"seq":1}', b"\x00\x00", b'"x"'])
def test_what_is_no_entry_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - orjson's own words differ
        decode(line)


@given(ids=IDS)
def test_packed_ids_are_the_same_ids(ids: list[str]) -> None:
    assert sorted(unpacked(packed(ids))) == sorted(ids)


def test_consecutive_ids_take_no_room() -> None:
    ids = [str(number) for number in range(4_000_000, 4_010_000)]
    assert packed(ids) == {"spans": [[4_000_000, 4_009_999]]}
    assert packed(["1", "2", "9", "007"]) == {"ids": ["1", "2", "9", "007"]}


@given(ids=IDS)
def test_the_digest_of_ids_does_not_depend_on_their_order(ids: list[str]) -> None:
    assert documents_digest(ids) == documents_digest(ids[::-1])


def test_digests_tell_content_apart() -> None:
    assert documents_digest(["1", "23"]) != documents_digest(["12", "3"])
    assert data_digest({"a": 1, "b": 2}) == data_digest({"b": 2, "a": 1}) != data_digest({"a": 1})
