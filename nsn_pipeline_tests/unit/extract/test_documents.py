"""Documents are read whole, also while somebody edits them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from nsn_pipeline.extract.documents import HEADER_STAMPS, LINE_STAMPS, Reader
from nsn_pipeline.records.registry import REGISTRY

RECORD = REGISTRY["purchase_order"]
DAY = "2026-03-02"


def at(second: int) -> datetime:
    return datetime(2026, 3, 2, 10, 0, second, tzinfo=UTC)


class EditedWhileRead:
    """A NetSuite in which document 1 is edited after its lines were read, `edits` times."""

    def __init__(self, edits: int) -> None:
        self.edits = edits
        self.version = 0
        self.reads = 0
        self.notes: list[str] = []

    def stamp(self, identifier: str) -> str:
        return f"2026-03-02T10:00:{self.version if identifier == '1' else 0:02}Z"

    def rows_in(
        self, source: Any, column: str, values: Sequence[str], **_: Any
    ) -> Iterator[list[dict[str, str]]]:
        if source is LINE_STAMPS:
            yield []
        elif source is HEADER_STAMPS:
            yield [{"internal_id": i, "changed_at": self.stamp(i)} for i in values]
        elif source is RECORD.lines:
            self.reads += 1
            yield [
                {"document_id": i, "line_id": "1", "is_main": "F", "memo": f"v{self.version}"}
                for i in values
            ]
            if self.edits and "1" in values:
                self.edits -= 1
                self.version += 1
        else:
            yield [
                {
                    "internal_id": i,
                    "memo": f"v{self.version}",
                    "modified_at": self.stamp(i),
                }
                for i in values
            ]


def read(client: EditedWhileRead) -> tuple[dict[str, str], dict[str, str]]:
    reader = Reader(client)  # pyright: ignore[reportArgumentType] - behaves as one
    stamps = {"1": at(0), "2": at(0)}
    headers, lines = reader.documents(RECORD, ["1", "2"], stamps, DAY)
    rows = headers.to_pylist()
    assert sorted(row["internal_id"] for row in rows) == ["1", "2"]
    assert {row["change_day"] for row in rows} == {DAY}
    return (
        {row["internal_id"]: row["memo"] for row in rows},
        {row["document_id"]: row["memo"] for row in lines.to_pylist()},
    )


def test_document_edited_between_its_lines_and_its_header_is_read_again() -> None:
    headers, lines = read(EditedWhileRead(edits=1))
    assert headers["1"] == lines["1"] == "v1"


def test_document_that_nobody_edits_is_read_once() -> None:
    client = EditedWhileRead(edits=0)
    read(client)
    assert client.reads == 1


def test_document_that_never_holds_still_does_not_hold_up_the_others() -> None:
    client = EditedWhileRead(edits=100)
    headers, _ = read(client)
    assert set(headers) == {"1", "2"}
    assert client.reads <= 5


def test_an_order_brought_by_reference_is_read_again_when_it_is_edited_meanwhile() -> None:
    client = EditedWhileRead(edits=1)
    headers, lines = Reader(client).documents(RECORD, ["1"], {}, DAY)  # pyright: ignore[reportArgumentType]
    (header,), (line,) = headers.to_pylist(), lines.to_pylist()
    assert header["memo"] == line["memo"] == "v1"
    assert (header["brought_by"], header["changed_at"]) == ("reference", None)
    assert header["as_of"] == at(1)


def test_a_document_that_never_holds_still_is_known_by_an_older_change_than_its_header() -> None:
    """So the load step, which asks NetSuite for the latest change, leaves it to a later read."""
    for changed_at in ({"1": at(0)}, {}):
        client = EditedWhileRead(edits=100)
        headers, _ = Reader(client).documents(RECORD, ["1"], changed_at, DAY)  # pyright: ignore[reportArgumentType]
        (header,) = headers.to_pylist()
        assert header["as_of"] < header["modified_at"]
