"""What type checkers cannot see of pyarrow and pandas, in one place."""

from typing import Any, cast

import pandas as pd
import pyarrow as pa
import pyarrow.compute as _compute

# Its functions are generated when it is imported.
pc: Any = _compute


def column_of(frame: pd.DataFrame, name: str) -> pd.Series:
    """One column; `frame[name]` alone could be a frame, as far as its type says."""
    return cast("pd.Series", frame[name])


def arrow_of(frame: pd.DataFrame, name: str) -> pa.Array:
    """One column as one arrow array."""
    array = pa.array(frame[name], from_pandas=True)
    return one_chunk(array) if isinstance(array, pa.ChunkedArray) else array


def one_chunk(values: pa.ChunkedArray) -> pa.Array:
    """All chunks in one; arrow's own `combine_chunks` may give several."""
    return pa.concat_arrays(values.chunks) if values.num_chunks else pa.nulls(0, values.type)
