"""The landing files: one Parquet file per asset and partition, written atomically.

An asset key is a path (`netsuite/vendor_bills`), a partition a file name (`2016-10-03.parquet`); an
unpartitioned snapshot is `snapshot.parquet`. Files of different account pairs never share a folder.
Losing them loses no business data: a partition is read again from NetSuite.
"""

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from nsn_pipeline.errors import PermanentError

SNAPSHOT = "snapshot"


class StaleInputError(PermanentError):
    """A file another run wrote: carrying on from it could write old data over newer."""

    def __init__(self, asset: str, partition: str | None) -> None:
        super().__init__(
            f"{asset} {partition or ''} was not written by this run: a replay reads NetSuite anew. "
            "Run the whole day (job daily_sync, or select everything upstream as well)"
        )


@dataclass(frozen=True, slots=True)
class Landing:
    """Reads and writes landing files below `root`."""

    root: Path

    def path(self, asset: Sequence[str], partition: str | None) -> Path:
        """Where the file of an asset's partition is, written or not."""
        return self.root.joinpath(*asset) / f"{partition or SNAPSHOT}.parquet"

    def write(
        self,
        asset: Sequence[str],
        partition: str | None,
        tables: Iterable[pa.Table],
        *,
        schema: pa.Schema,
        tags: Mapping[str, str] | None = None,
    ) -> int:
        """Write tables one after the other, so that only one is in memory; returns the number of
        rows.

        The file appears under its name only when it is complete. `tags` are kept in the file's own
        metadata.
        """
        target = self.path(asset, partition)
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.stem}.", suffix=".tmp")
        os.close(handle)
        staging = Path(name)
        rows = 0
        tagged = schema.with_metadata({**(schema.metadata or {}), **(tags or {})})
        try:
            with pq.ParquetWriter(staging, tagged, compression="zstd") as writer:
                for table in tables:
                    writer.write_table(table.cast(schema).replace_schema_metadata(tagged.metadata))
                    rows += table.num_rows
            staging.replace(target)
        finally:
            staging.unlink(missing_ok=True)
        return rows

    def write_frame(
        self,
        asset: Sequence[str],
        partition: str | None,
        frame: pd.DataFrame,
        *,
        tags: Mapping[str, str] | None = None,
    ) -> int:
        """Write one arrow-backed frame."""
        table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
        return self.write(asset, partition, [table], schema=table.schema, tags=tags)

    def read(
        self,
        asset: Sequence[str],
        partition: str | None,
        *,
        run_id: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """An arrow-backed frame. Raises FileNotFoundError when the partition was never landed.

        With `run_id`, raises StaleInputError unless that run wrote the file.
        """
        if run_id is not None and self.tags(asset, partition).get("run_id") != run_id:
            raise StaleInputError("/".join(asset), partition)
        chosen = None if columns is None else list(columns)
        table = pq.ParquetFile(self.path(asset, partition)).read(chosen)
        return table.to_pandas(types_mapper=pd.ArrowDtype)

    def partitions(self, asset: Sequence[str]) -> list[str | None]:
        """The partitions an asset has files for, oldest first; None is the snapshot."""
        names = sorted(path.stem for path in self.path(asset, None).parent.glob("*.parquet"))
        return [None if name == SNAPSHOT else name for name in names]

    def rows(self, asset: Sequence[str], partition: str | None) -> int:
        """How many rows a file has, without reading them; none when there is no such file."""
        try:
            return pq.read_metadata(self.path(asset, partition)).num_rows
        except FileNotFoundError:
            return 0

    def written_at(self, asset: Sequence[str], partition: str | None) -> datetime:
        """When a file was written. Raises FileNotFoundError when it never was."""
        return datetime.fromtimestamp(self.path(asset, partition).stat().st_mtime, UTC)

    def tags(self, asset: Sequence[str], partition: str | None) -> dict[str, str]:
        """The tags a file was written with; empty when there is no such file."""
        try:
            metadata = pq.read_schema(self.path(asset, partition)).metadata or {}
        except FileNotFoundError:
            return {}
        return {key.decode(): value.decode() for key, value in metadata.items()}
