import gzip
import json
from pathlib import Path

import pytest

from nsn_pipeline.sandbox.data.expectation import expected
from nsn_pipeline.sandbox.data.files import TableFileError, read_table, read_tables, write_tables
from nsn_pipeline.sandbox.data.generator import generate
from nsn_pipeline.sandbox.data.tables import Row
from nsn_pipeline_tests.unit.sandbox.data.world import tables

COUNCIL = Path(__file__).parents[5] / "shared" / "data" / "council_ap"


def put(directory: Path, name: str, content: str | bytes) -> Path:
    file = directory / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def collect(directory: Path) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for system, table, rows in read_tables(directory):
        found.setdefault(f"{system}/{table}", []).extend(rows)
    return found


@pytest.mark.parametrize("compress", [True, False], ids=["gzip", "plain"])
def test_generated_tables_come_back_from_files_as_they_were(tmp_path: Path, compress: bool) -> None:
    files = write_tables(tmp_path, generate("tiny", 1), compress=compress)
    found = collect(tmp_path)
    assert len(found) == len(files)
    for name, rows in found.items():
        assert rows == tables()[name.partition("/")[2]], name


def test_the_same_chunks_give_the_same_bytes(tmp_path: Path) -> None:
    first = write_tables(tmp_path / "a", generate("tiny", 1))
    second = write_tables(tmp_path / "b", generate("tiny", 1))
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]


def test_large_tables_come_in_pieces(tmp_path: Path) -> None:
    file = put(tmp_path, "vendor.csv", "id\n" + "1\n" * 12_000)
    assert [len(piece) for piece in read_table(file)] == [5000, 5000, 2000]


def test_empty_values_are_null_and_columns_of_the_customer_are_kept(tmp_path: Path) -> None:
    put(tmp_path, "netsuite/vendor.csv", '\ufeffID,CompanyName,custentity_x\n1,,"a,\nb"\n\n')
    assert collect(tmp_path) == {
        "netsuite/vendor": [{"id": "1", "companyname": None, "custentity_x": "a,\nb"}]
    }


def test_a_table_may_be_empty(tmp_path: Path) -> None:
    put(tmp_path, "netsuite/vendor.csv.gz", gzip.compress(b"id\n"))
    assert collect(tmp_path) == {"netsuite/vendor": []}


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("vendor.csv", "id,name\n1,a\n2\n", ["line 3", "column name", "1 values for 2 columns"]),
        ("vendor.csv", "id,name\n1,a,b\n", ["line 2", "3 values for 2 columns"]),
        ("vendor.csv", "id,na me\n", ["line 1", "column 2", "'na me' is not a column name"]),
        ("vendor.csv", "id,name,ID\n", ["line 1", "column id", "twice"]),
        ("vendor.csv", "", ["line 1", "no header row"]),
        ("vendor.csv", b"id\n\xff\n", ["not UTF-8"]),
        ("vendor.csv", 'id\n"1\n', ["line 2"]),
        ("vendor.csv", 'id\n"1"x\n', ["line 2", "expected after"]),
        ("vendor.csv", "id,name\n1,a\0b\n", ["line 2"]),
        ("vendor.csv.gz", b"id\n1\n", ["not a whole gzip file"]),
        (
            "vendor.csv.gz",
            gzip.compress(b"id\n" + b"1\n" * 999, mtime=0)[:-9],
            ["not a whole gzip file"],
        ),
        ("vendor.xlsx", "", ["is not named <table>.csv"]),
        ("ven dor.csv", "id\n", ["is not named <table>.csv"]),
    ],
)
def test_a_malformed_file_is_refused_with_its_place(
    tmp_path: Path, name: str, content: str | bytes, told: list[str]
) -> None:
    file = put(tmp_path, f"netsuite/{name}", content)
    with pytest.raises(TableFileError) as caught:
        collect(tmp_path)
    for part in [str(file), *told]:
        assert part in str(caught.value)


def test_the_line_is_told_where_earlier_records_span_lines(tmp_path: Path) -> None:
    put(tmp_path, "netsuite/vendor.csv", 'id,name\n1,"a\nb"\n2\n')
    with pytest.raises(TableFileError) as caught:
        collect(tmp_path)
    assert caught.value.line == 4


def test_a_table_given_twice_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "netsuite/vendor.csv", "id\n")
    put(tmp_path, "netsuite/vendor.csv.gz", gzip.compress(b"id\n"))
    with pytest.raises(TableFileError, match=r"same table as vendor\.csv"):
        read_tables(tmp_path)


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_directory_without_tables_is_refused_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(TableFileError, match=r"not a directory|holds no"):
        read_tables(tmp_path / name)


@pytest.mark.slow
@pytest.mark.skipif(not COUNCIL.is_dir(), reason="the council's data is not beside the checkout")
def test_the_council_files_load_and_give_what_they_say_they_give() -> None:
    said = json.loads((COUNCIL / "expected.json").read_text())
    outcome = expected(read_tables(COUNCIL))
    assert outcome.bills == said["bills"]
    assert outcome.vendors == said["vendors"]
    assert outcome.gl_postings == said["gl_postings"]
    assert len(outcome.rejected_bills) == said["rejected_bills"]
