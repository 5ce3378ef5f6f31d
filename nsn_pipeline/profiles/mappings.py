"""Reads the crosswalk overrides a finance team edits: `mappings/gl_accounts.csv` and its twin.

A faulty file is refused whole, every fault with its line: an override that is read wrongly books
money on the wrong account.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pandera.errors import SchemaErrors
from pandera.pandas import DataFrameModel, Field, dataframe_check
from pandera.typing import Series

from nsn_pipeline.conform.crosswalk import OVERRIDE_COLUMNS, Crosswalk
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.records.arrow import column_of
from nsn_pipeline.records.dtypes import Text

_DAY = r"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}$"
_BEGINNING, _END = date.min, date.max
SHOWN_OFFICES = 20

Row = Mapping[str, str | None]
Fault = tuple[int, str]  # line of the file, what is wrong with it


class OverrideFile(DataFrameModel):
    """One line per override, everything as text, nothing for an empty cell.

    `netsuite_id` or `netsuite_code` says what is mapped (exactly one of them), `subsidiary_id` for
    which office (none: all of them), `servicenow_code` where to. `valid_from` and `valid_to` are
    inclusive days, compared with the document's transaction date.
    """

    netsuite_id: Series[Text] = Field(nullable=True, str_matches=r"^[0-9]+$")
    netsuite_code: Series[Text] = Field(nullable=True)
    subsidiary_id: Series[Text] = Field(nullable=True, str_matches=r"^[0-9]+$")
    servicenow_code: Series[Text] = Field(nullable=False)
    valid_from: Series[Text] = Field(nullable=True, str_matches=_DAY)
    valid_to: Series[Text] = Field(nullable=True, str_matches=_DAY)
    owner: Series[Text] = Field(nullable=True)
    note: Series[Text] = Field(nullable=True)

    @dataframe_check(name="give netsuite_id or netsuite_code, one of them")
    @classmethod
    def one_subject(cls, frame: pd.DataFrame) -> pd.Series:
        """Exactly one of the two, so that no line can mean two things."""
        by_id, by_code = (column_of(frame, f"netsuite_{how}").notna() for how in ("id", "code"))
        return by_id != by_code


def load_overrides(path: Path) -> pd.DataFrame:
    """The overrides as text columns, for `Crosswalk.build`; empty when there is no file.

    The index of the frame is the line of the file each row ends on.
    """
    if not path.exists():
        return _frame([], [])
    rows, lines, faults = _read(path)
    frame = _frame(rows, lines)
    try:
        OverrideFile.validate(frame, lazy=True)
    except SchemaErrors as error:
        faults.extend(_schema_faults(error))
    faults.extend(_date_faults(rows, lines))
    faults.extend(_overlaps(rows, lines))
    refuse(path.name, faults)
    return frame


def refuse(name: str, faults: Iterable[Fault]) -> None:
    """Raises ConfigurationError with every fault and its line, if there is any."""
    ordered = dict.fromkeys(f"line {line}: {text}" for line, text in sorted(faults))
    if ordered:
        listed = "\n  ".join(ordered)
        raise ConfigurationError(f"{name} has faults:\n  {listed}")


def reference_faults(
    crosswalk: Crosswalk, subsidiary_ids: Collection[str], table: str, today: date
) -> list[Fault]:
    """What only both systems can tell of a file: offices nobody knows, targets that do not exist.

    A line whose period is over blocks nothing: the code it named may have been retired since.
    """
    known = ", ".join(sorted(subsidiary_ids, key=lambda one: (len(one), one))[:SHOWN_OFFICES])
    offices = f"NetSuite has {known}" if known else "this account has none"
    faults: list[Fault] = [
        (o.line, f"subsidiary_id {o.subsidiary_id!r} is not a subsidiary in NetSuite ({offices})")
        for o in crosswalk.overrides
        if o.subsidiary_id and o.subsidiary_id not in subsidiary_ids
    ]
    faults += [
        (o.line, f"servicenow_code {o.servicenow_code!r} is not in {table} in ServiceNow")
        for o in crosswalk.dangling()
        if o.valid_to is None or o.valid_to >= today
    ]
    return sorted(faults)


def _frame(rows: Sequence[Row], lines: Sequence[int]) -> pd.DataFrame:
    dtype = pd.ArrowDtype(pa.string())
    columns = list(OVERRIDE_COLUMNS)
    return pd.DataFrame(list(rows), columns=columns, dtype=dtype, index=list(lines))


def _read(path: Path) -> tuple[list[Row], list[int], list[Fault]]:
    """Rows, the line each ends on, and faults of the file's own shape."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path.name} is not UTF-8: save it as CSV UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""))
    header = [name.strip() for name in next(reader, [])]
    wrong = sorted(set(header) ^ set(OVERRIDE_COLUMNS))
    if wrong or len(header) != len(set(header)):
        raise ConfigurationError(
            f"{path.name}: line 1 must name {', '.join(OVERRIDE_COLUMNS)} once each; "
            f"look at {', '.join(wrong) or 'the repeated ones'}"
        )
    rows, lines, faults = list[Row](), list[int](), list[Fault]()
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            faults.append((reader.line_num, f"has {len(cells)} cells, not {len(header)}"))
            continue
        lines.append(reader.line_num)
        rows.append({name: cell.strip() or None for name, cell in zip(header, cells, strict=True)})
    return rows, lines, faults


def _schema_faults(error: SchemaErrors) -> Iterator[Fault]:
    messages = {
        "str_matches": "is not a NetSuite internal id (digits)",
        "not_nullable": "is empty",
    }
    for case in error.failure_cases.drop_duplicates(["check", "index", "column"]).itertuples():
        line = int(case.index)
        check = str(case.check)
        if case.schema_context == "DataFrameSchema":
            yield line, check
        elif str(case.column).startswith("valid_"):
            yield line, f"{case.column} {case.failure_case!r} is not a day like 2026-03-31"
        else:
            told = next((text for key, text in messages.items() if check.startswith(key)), check)
            shown = "" if check == "not_nullable" else f" {case.failure_case!r}"
            yield line, f"{case.column}{shown} {told}"


def _date_faults(rows: Sequence[Row], lines: Sequence[int]) -> Iterator[Fault]:
    for row, line in zip(rows, lines, strict=True):
        start, end = _day(row["valid_from"]), _day(row["valid_to"])
        for name, day in (("valid_from", start), ("valid_to", end)):
            if row[name] and day is None:
                yield line, f"{name} {row[name]!r} is not a day like 2026-03-31"
        if start and end and end < start:
            yield line, f"valid_to {row['valid_to']} is before valid_from {row['valid_from']}"


def _overlaps(rows: Sequence[Row], lines: Sequence[int]) -> Iterator[Fault]:
    """Two lines for the same subject and office on the same day: which one would count?"""
    by_subject: dict[tuple[str | None, ...], list[tuple[date, date, int]]] = defaultdict(list)
    for row, line in zip(rows, lines, strict=True):
        start = _day(row["valid_from"]) or _BEGINNING
        end = _day(row["valid_to"]) or _END
        subject = (row["netsuite_id"], row["netsuite_code"], row["subsidiary_id"])
        by_subject[subject].append((start, end, line))
    for periods in by_subject.values():
        periods.sort()
        latest_end, latest_line = periods[0][1:]
        for start, end, line in periods[1:]:
            if start <= latest_end:
                yield line, f"maps the same row for the same days as line {latest_line}"
            if end > latest_end:
                latest_end, latest_line = end, line


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None
