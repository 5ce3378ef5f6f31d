"""CSV that a spreadsheet cannot take for formulas, and that loses nothing.

A cell that begins with `=`, `+`, `-`, `@`, a tab or a line break is run by spreadsheets when a file
is opened; vendors choose their own names, so such a cell may be an attack. It is written with an
apostrophe before it, as is a cell that begins with one, so that dropping one leading apostrophe
always gives back what was there. Plain numbers stay as they are: -120.50 is an amount.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)
# The full-width forms are folded to the plain ones by some versions.
_STARTS = tuple("=+-@\t\r\n'\uff1d\uff0b\uff0d\uff20")


def cell(text: str) -> str:
    """The text as it may stand in a CSV file."""
    if not text.startswith(_STARTS) or _NUMBER.fullmatch(text):
        return text
    return f"'{text}"


def plain(cell_text: str) -> str:
    """What a cell of such a file says."""
    return cell_text.removeprefix("'")


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> str:
    """A file with its header, for spreadsheets and programs alike."""
    out = io.StringIO(newline="")
    write_csv(out, columns, rows)
    return out.getvalue()


def write_csv(file: TextIO, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> int:
    """The same into a file opened with `newline=""`, row by row; returns how many rows."""
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(columns)
    count = 0
    for row in rows:
        writer.writerow([cell(row[name]) for name in columns])
        count += 1
    return count
