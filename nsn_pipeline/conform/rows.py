"""Typed columns by position: the form in which frames are judged.

Whatever frame comes in, each column asked for is there with its canonical type; text that could
not be typed stays beside it, so that nothing is lost between reading and judging.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from nsn_pipeline.conform.values import present, true_where
from nsn_pipeline.records.arrow import arrow_of, column_of, pc
from nsn_pipeline.records.canonical import typed
from nsn_pipeline.records.spec import ARROW_TYPES, Column, Kind

Positions = npt.NDArray[np.int64]


@dataclass(slots=True)
class Rows:
    """Columns of equal length; `doc` is the position of each row's document, `line` its line id.

    `raw` is the text as received and `bad` where it could not be read: both stay as they are when a
    column is worked on.
    """

    count: int
    columns: dict[str, pa.Array]
    raw: dict[str, pa.Array] = field(default_factory=dict[str, pa.Array])
    bad: dict[str, pa.Array] = field(default_factory=dict[str, pa.Array])
    doc: Positions = field(default_factory=lambda: np.zeros(0, np.int64))
    line: pa.Array | None = None

    @classmethod
    def of(cls, frame: pd.DataFrame, kinds: Mapping[str, Kind]) -> "Rows":
        """The columns named in `kinds`; one that the frame lacks is empty."""
        rows = cls(count=len(frame), columns={}, doc=np.arange(len(frame), dtype=np.int64))
        for name, kind in kinds.items():
            received = _array(frame, f"raw_{name}", pa.string())
            values = _array(frame, name, ARROW_TYPES[kind])
            if values is None:  # not of its kind: read it as text, as if it had just arrived
                text = _as_text(column_of(frame, name))
                values = typed(text, Column(name, "", kind))
                received = text if received is None or received.null_count else received
            rows.columns[name] = values
            if received is not None and kind not in {Kind.TEXT, Kind.ID}:
                rows.raw[name] = received
                rows.bad[name] = pc.and_(present(received), values.is_null())
        return rows

    def __getitem__(self, name: str) -> pa.Array:
        return self.columns[name]

    def unreadable(self, name: str) -> pa.Array:
        """Where something was received that could not be typed."""
        return self.bad[name] if name in self.bad else pa.array(np.zeros(self.count, bool))

    def take(self, positions: Positions) -> "Rows":
        """These rows only, in this order."""
        indices = pa.array(positions)
        return Rows(
            count=len(positions),
            columns={name: values.take(indices) for name, values in self.columns.items()},
            raw={name: values.take(indices) for name, values in self.raw.items()},
            bad={name: values.take(indices) for name, values in self.bad.items()},
            doc=self.doc[positions] if len(self.doc) else self.doc,
            line=None if self.line is None else self.line.take(indices),
        )

    def spread(self, name: str, doc: Positions) -> pa.Array:
        """A document's value on each of its lines: `doc` holds document positions."""
        return self.columns[name].take(pa.array(doc))

    def series(self, name: str) -> pd.Series:
        return arrow_series(self.columns[name])


def arrow_series(values: pa.Array) -> pd.Series:
    return pd.Series(pd.array(values, dtype=pd.ArrowDtype(values.type)))


def joined(parts: Iterable[pa.Array]) -> pa.Array:
    return pa.concat_arrays(list(parts))


def flags(mask: pa.Array) -> npt.NDArray[np.bool_]:
    """An arrow mask as numpy, unknown counted as false."""
    return true_where(mask).to_numpy(zero_copy_only=False)


def _array(frame: pd.DataFrame, name: str, wanted: pa.DataType) -> pa.Array | None:
    """The column with its type; null when absent, None when it cannot be had that way."""
    if name not in frame.columns:
        return pa.nulls(len(frame), wanted) if not name.startswith("raw_") else None
    try:
        values = arrow_of(frame, name)
        if values.type == wanted:
            return values
        if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
            return values.cast(wanted) if pa.types.is_string(wanted) else None
        # Floats never become money, and numbers never become text unseen.
        return None if pa.types.is_floating(values.type) else values.cast(wanted)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None


def _as_text(values: pd.Series) -> pa.Array:
    texts = [None if _is_nothing(value) else _shown(value) for value in values.to_list()]
    return pa.array(texts, pa.string())


def _is_nothing(value: object) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or value != value  # noqa: PLR0124 - NaN


def _shown(value: object) -> str:
    text = ("T" if value else "F") if isinstance(value, bool) else str(value)
    return text.encode("utf-8", "replace").decode("utf-8")
