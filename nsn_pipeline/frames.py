"""Plain Python views of frames, typed once here: pandas' own types say "anything" everywhere."""

from collections.abc import Collection, Sequence
from typing import Any, cast

import pandas as pd


def values_of(frame: pd.DataFrame, column: str) -> list[Any]:
    """A column as a list, missing values as None."""
    values: Any = frame[column]
    return [None if pd.isna(value) else value for value in values.to_list()]


def records_of(frame: pd.DataFrame, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Rows as dictionaries, missing values as None."""
    names = list(frame.columns) if columns is None else list(columns)
    rows = zip(*(values_of(frame, name) for name in names), strict=True)
    return [dict(zip(names, row, strict=True)) for row in rows]


def rows_with(
    frame: pd.DataFrame, column: str, wanted: Collection[Any], *, inside: bool = True
) -> pd.DataFrame:
    """The rows whose column is (or, with `inside=False`, is not) among `wanted`."""
    known = set(wanted)
    values = values_of(frame, column)
    # By position: an empty list of booleans would be taken for a list of columns.
    positions = [n for n, value in enumerate(values) if (value in known) is inside]
    return cast("pd.DataFrame", frame.iloc[positions])
