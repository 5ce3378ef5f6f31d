"""What a share of changes leaves in the trail, against the plainest way to work out the same."""

import hashlib
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from nsn_pipeline.audit.trail_entry import NO_HASH, Draft, Event, encode
from nsn_pipeline.audit.trail_privacy import WITHHELD, Privacy, is_private_name, without_ibans
from nsn_pipeline.load.plan import Change
from nsn_pipeline.load.table import Table, prepare
from nsn_pipeline.profiles.loader import load_profile
from nsn_pipeline.state.trail import Trail
from nsn_pipeline.state.trail_index import Place, TrailIndex
from nsn_pipeline.state.trail_recorder import TrailRecorder

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
AT = "2026-03-02T12:00:00.000000Z"
TABLE = prepare(load_profile("seed").targets["vendor_bill"])
COLUMNS = ("memo", "number", "supplier", "u_note", "u_iban", "bank_reference")
PRIVATE = {"u_note", "u_iban", "bank_reference"}
PRIVACY = Privacy({TABLE.name: frozenset({"u_note"})}, frozenset())
IBANS = (
    *("DE89370400440532013000", "DE89 3704 0044 0532 0130 00", "de89370400440532013000"),
    *("DE\n89 3704-0044 0532 0130 00", "NO93\t8601\u200b1117947", "GB82 WEST 1234 5698 7654 32"),
    "DE\x1f8\u20609370400440532013000",
)
TEXTS = st.lists(
    st.one_of(
        st.sampled_from(IBANS),
        st.sampled_from(("", " ", "\n", '"', "\\", "\x01", "é", "IBAN ", "PO12345678901234567")),
        st.text(max_size=8),
        st.integers(0, 2**128 - 1).map("{:032x}".format),
    ),
    max_size=3,
).map("".join)
FIELDS = st.dictionaries(st.sampled_from(COLUMNS), TEXTS, max_size=len(COLUMNS))
CREATES = st.builds(
    Change, st.just("create"), TEXTS, st.sampled_from("1234"), TEXTS, FIELDS, st.just({})
)
OTHERS = st.builds(
    Change, st.sampled_from(("update", "retire")), TEXTS, st.sampled_from("1234"), TEXTS, FIELDS,
    FIELDS,
)  # fmt: skip
SHARES = st.lists(st.lists(st.one_of(CREATES, OTHERS), min_size=1, max_size=8), max_size=3)


def test_the_private_columns_are_what_these_tests_take_them_for() -> None:
    assert {one for one in COLUMNS if is_private_name(one)} | {"u_note"} == PRIVATE


def plain_record(change: Change) -> dict[str, Any]:
    fields: dict[str, list[str]] = {}
    for column in [*change.values, *(one for one in change.before if one not in change.values)]:
        both = change.before.get(column, ""), change.values.get(column, "")
        told = [WITHHELD if value and column in PRIVATE else value for value in both]
        if any(told):
            fields[column] = told
    return {"key": change.key, "sys_id": change.sys_id, "kind": change.kind, "fields": fields}


def plain_lines(
    seq: int, previous: str, table: Table, shares: Sequence[Sequence[Change]]
) -> Iterator[tuple[str, bytes]]:
    """Document and line: every text looked at, nothing left out because it is rarely needed."""
    for share in shares:
        for document_id in dict.fromkeys(change.document_id for change in share):
            records = [plain_record(one) for one in share if one.document_id == document_id]
            seq += 1
            fields = {"seq": seq, "at": AT, "run": "r1", "type": "vendor_bill", "event": "sending"}
            fields |= {"id": document_id}
            fields |= {"data": without_ibans({"table": table.name, "records": records})}
            body = orjson.dumps(fields)
            previous = hashlib.sha256(previous.encode() + body).hexdigest()
            yield document_id, body[:-1] + f',"hash":"{previous}"}}\n'.encode()


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


@settings(max_examples=60)
@given(SHARES)
def test_a_share_leaves_what_the_plainest_way_leaves(shares: list[list[Change]]) -> None:
    with tempfile.TemporaryDirectory() as home:
        trail = Trail(Path(home) / "trail", owner={}, clock=lambda: NOON)
        first = trail.append([Draft(Event.ACCEPTED, "r1", "vendor", documents=("9",))])
        path = trail.folder / "trail-000001.jsonl"
        begins = path.read_bytes()
        recorder = TrailRecorder(trail, run_id="r1", privacy=PRIVACY)
        for share in shares:
            recorder.sending(TABLE, share)
        expected = list(plain_lines(first.seq, first.hash, TABLE, shares))
        assert path.read_bytes() == begins + b"".join(line for _, line in expected)

        places: list[tuple[int, int, int, int, None]] = []
        offset = len(begins)
        for number, (_, line) in enumerate(expected, start=first.seq + 1):
            places.append((number, 1, offset, len(line), None))
            offset += len(line)
        index = trail.folder / "index.sqlite"
        told = rows(index, f"SELECT * FROM entries WHERE seq > {first.seq} ORDER BY seq")
        assert told == places
        mentions = [(one, seq) for seq, (one, _) in enumerate(expected, start=first.seq + 1)]
        query = f"SELECT id, seq FROM mentions WHERE seq > {first.seq} ORDER BY seq"
        assert rows(index, query) == mentions
        documents = {"9", *(document_id for document_id, _ in expected)}
        query = "SELECT id, first_at, state, failing_since, digest, problems_seq FROM documents"
        plain = [(one, AT, "ok", None, None, None) for one in documents]
        assert sorted(rows(index, query)) == sorted(plain)
        assert trail.verify().intact
        trail.close()


def failing_and_written(count: int) -> Iterator[Draft]:
    """Documents that fail, are sent again, and of which all but the last two come to stand."""
    ids = tuple(str(number) for number in range(count))
    told = ("r1", "vendor_bill")
    for one in ids:
        problems = [{"reason": "NOT_STORED", "value": one}]
        yield Draft(Event.FAILED, *told, "2026-03-02", one, data={"problems": problems})
    for one in (*ids, "new"):
        yield Draft(Event.SENDING, *told, document_id=one, data={"table": "t", "records": []})
    yield Draft(Event.WRITTEN, *told, "2026-03-02", documents=(*ids[:-2], "newer"))
    yield Draft(Event.STILL_FAILED, *told, "2026-03-02", documents=ids[-2:])


def test_many_entries_at_once_leave_the_index_as_one_by_one_do(tmp_path: Path) -> None:
    told: list[tuple[Any, Place]] = []
    offset, previous = 0, NO_HASH
    for seq, draft in enumerate(failing_and_written(1_250), start=1):
        line, entry = encode(draft, seq=seq, at=NOON, previous=previous)
        told.append((entry, Place(seq, 1 + seq // 1_300, offset, len(line))))
        offset, previous = offset + len(line), entry.hash
    at_once, singly = TrailIndex.new(tmp_path / "a.sqlite"), TrailIndex.new(tmp_path / "b.sqlite")
    at_once.add(told)
    for one in told:
        singly.add([one])
    for name in ("meta", "types", "entries", "mentions", "sets", "documents"):
        query = f"SELECT * FROM {name}"
        assert rows(tmp_path / "a.sqlite", query) == rows(tmp_path / "b.sqlite", query), name
    states = rows(tmp_path / "a.sqlite", "SELECT state, count(*) FROM documents GROUP BY state")
    assert dict(states) == {"failed": 2, "ok": 1_250}
    told_of = rows(tmp_path / "a.sqlite", "SELECT count(*) FROM mentions")
    assert told_of == [(1_250 + 1_251 + 1_249 + 2,)]
    at_once.close()
    singly.close()
