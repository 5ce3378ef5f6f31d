"""Table files: `DIR/netsuite/<table>.csv[.gz]` and `DIR/servicenow/<table>.csv[.gz]`.

One header row of column names, empty = null, UTF-8, comma. Columns the product does not know are
kept: a customer's own columns belong to the table. Files are streamed both ways, so their size does
not matter, and a malformed one is refused with file, line and column.
"""

import csv
import gzip
import io
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from nsn_pipeline.sandbox.data.tables import Chunk, Row, System
from nsn_pipeline.sandbox.problems import SeedError

SYSTEMS: tuple[System, ...] = ("netsuite", "servicenow")
_CHUNK_ROWS = 5000
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FIELD_LIMIT = 4_000_000  # ServiceNow's longest strings; the csv module stops at 131072 otherwise


class TableFileError(SeedError):
    """A file of `--data` that cannot be read as a table; the message names the place."""

    def __init__(
        self, file: Path, problem: str, *, line: int | None = None, column: str | None = None
    ) -> None:
        where = str(file)
        if line is not None:
            where += f", line {line}"
        if column is not None:
            where += f", column {column}"
        super().__init__(f"{where}: {problem}")
        self.file, self.line, self.column = file, line, column


def find_tables(directory: Path) -> list[tuple[System, str, Path]]:
    """(system, table, file) of every table file, in a stable order.

    Anything else beside the two folders is ignored; inside them a file that is no table is refused,
    as a misspelt extension would otherwise mean missing data.
    """
    if not directory.is_dir():
        raise TableFileError(directory, "is not a directory")
    found: dict[tuple[System, str], Path] = {}
    for system in SYSTEMS:
        for file in sorted((directory / system).glob("[!.]*")):
            table = file.name.removesuffix(".gz").removesuffix(".csv")
            is_table = file.name in {f"{table}.csv", f"{table}.csv.gz"}
            if not is_table or _NAME.fullmatch(table) is None:
                raise TableFileError(file, "is not named <table>.csv or <table>.csv.gz")
            if (system, table.lower()) in found:
                other = found[system, table.lower()]
                raise TableFileError(file, f"is the same table as {other.name}")
            found[system, table.lower()] = file
    if not found:
        raise TableFileError(directory, "holds no netsuite/*.csv[.gz] or servicenow/*.csv[.gz]")
    return [(system, table, file) for (system, table), file in found.items()]


def read_tables(directory: Path) -> Iterator[Chunk]:
    """Every table of a directory, in pieces; the directory is checked before the first piece."""
    tables = find_tables(directory)
    return ((system, table, rows) for system, table, file in tables for rows in read_table(file))


def read_table(file: Path) -> Iterator[list[Row]]:
    """The rows of one file, a few thousand at a time; at least one piece, even if it is empty."""
    csv.field_size_limit(max(csv.field_size_limit(), _FIELD_LIMIT))
    with _open(file) as stream:
        reader = csv.reader(stream, strict=True)
        records = _records(file, reader)
        _, header = next(records, (1, []))
        columns = _columns(file, header)
        piece: list[Row] = []
        yielded = False
        for line, record in records:
            piece.append(_row(file, line, columns, record))
            if len(piece) >= _CHUNK_ROWS:
                yield piece
                piece, yielded = [], True
        if piece or not yielded:
            yield piece


def _open(file: Path) -> IO[str]:
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding="utf-8-sig", newline="")
    return file.open(encoding="utf-8-sig", newline="")


def _records(file: Path, reader: Any) -> Iterator[tuple[int, list[str]]]:
    """(line on which the record starts, fields), with read errors told in the file's terms."""
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise TableFileError(file, str(error), line=line) from error
        except UnicodeDecodeError as error:
            raise TableFileError(file, f"is not UTF-8: {error.reason}", line=line) from error
        except (EOFError, gzip.BadGzipFile) as error:
            raise TableFileError(file, f"is not a whole gzip file: {error}", line=line) from error
        if record:  # blank lines at the end are an editor's doing
            yield line, record


def _columns(file: Path, header: list[str]) -> list[str]:
    if not header:
        raise TableFileError(file, "has no header row", line=1)
    columns = [name.strip().lower() for name in header]
    for position, (name, written) in enumerate(zip(columns, header, strict=True), start=1):
        if _NAME.fullmatch(name) is None:
            problem = f"{written!r} is not a column name"
            raise TableFileError(file, problem, line=1, column=str(position))
        if columns.index(name) != position - 1:
            raise TableFileError(file, "the column appears twice", line=1, column=name)
    return columns


def _row(file: Path, line: int, columns: list[str], record: list[str]) -> Row:
    if len(record) != len(columns):
        missing = columns[len(record)] if len(record) < len(columns) else None
        problem = f"{len(record)} values for {len(columns)} columns"
        raise TableFileError(file, problem, line=line, column=missing)
    for column, value in zip(columns, record, strict=True):
        if "\0" in value:
            raise TableFileError(file, "holds a NUL character", line=line, column=column)
    return {column: value or None for column, value in zip(columns, record, strict=True)}


def write_tables(directory: Path, chunks: Iterable[Chunk], *, compress: bool = True) -> list[Path]:
    """Write chunks in the form `read_tables` reads; the same chunks give the same bytes.

    A table's columns are those of its first row. One file per table stays open, so that chunks may
    come in any order.
    """
    writers: dict[tuple[System, str], Any] = {}
    files: list[Path] = []
    with ExitStack() as stack:
        for system, table, rows in chunks:
            if (system, table) not in writers:
                file = directory / system / f"{table}.csv{'.gz' if compress else ''}"
                file.parent.mkdir(parents=True, exist_ok=True)
                files.append(file)
                stream = stack.enter_context(_create(file))
                if not rows:
                    raise TableFileError(file, "cannot be written without a row to name columns")
                writer = csv.DictWriter(stream, list(rows[0]), restval="", lineterminator="\n")
                writer.writeheader()
                writers[system, table] = writer
            writers[system, table].writerows(rows)
    return files


class _Compressed(io.TextIOWrapper):
    """A gzip text stream without name and time in it: equal content gives equal bytes."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("wb")
        packed = gzip.GzipFile(filename="", mode="wb", fileobj=self._file, mtime=0)
        super().__init__(packed, encoding="utf-8", newline="")  # pyright: ignore[reportArgumentType]  # a GzipFile is a buffer in all but its stub

    def close(self) -> None:
        super().close()
        self._file.close()


def _create(file: Path) -> io.TextIOWrapper:
    if file.suffix == ".gz":
        return _Compressed(file)
    return file.open("w", encoding="utf-8", newline="")
