"""Column types of the pandera models: one name per canonical kind."""

from typing import Annotated

import pandas as pd
import pyarrow as pa

Text = Annotated[pd.ArrowDtype, pa.string()]
Date = Annotated[pd.ArrowDtype, pa.date32()]
Instant = Annotated[pd.ArrowDtype, pa.timestamp("us", tz="UTC")]
Money = Annotated[pd.ArrowDtype, pa.decimal128(28, 8)]
Integer = Annotated[pd.ArrowDtype, pa.int64()]
Flag = Annotated[pd.ArrowDtype, pa.bool_()]
