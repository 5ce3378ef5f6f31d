"""What the documents of all days use, in one file: a run must not read its whole history again.

The gate keeps a small file per day and record type. Here they are rolled up, each document as its
newest day has it; only days whose file changed since are read again. The roll-up is a cache: lost,
it is built anew.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from nsn_pipeline.conform.usage import USAGE_SCHEMA
from nsn_pipeline.landing import Landing
from nsn_pipeline.records.arrow import pc

# Record types whose documents use accounts and cost centers, by conformed asset.
USED_BY = {
    "vendor_bill": "invoices",
    "purchase_order": "purchase_orders",
    "gl_posting": "gl_postings",
}
ROLLUP = ("audit", "usage")
_SOURCES = "nsn:sources"  # the files a roll-up is made of, each with its time and size
_ADDED = [("record_type", pa.string()), ("day", pa.string())]
ROLLUP_SCHEMA = pa.schema([*_ADDED, *USAGE_SCHEMA])

Sources = dict[str, list[int]]


def rolled_up(landing: Landing, *, keep: bool = True) -> pa.Table:
    """Every document's use of accounts and cost centers, as it was read last.

    Without `keep` the file is left as it is: a plan changes nothing of what a sync reads.
    """
    now = _sources(landing)
    before, table = _kept(landing)
    changed = [name for name, stamp in now.items() if before.get(name) != stamp]
    if not changed and len(before) == len(now):
        return table
    gone = [name for name in before if name not in now]
    fresh = [_fresh(landing, name) for name in changed]
    table = merged(table, fresh, [*changed, *gone])
    if keep:
        tags = {_SOURCES: json.dumps(now)}
        landing.write(ROLLUP, None, [table], schema=ROLLUP_SCHEMA, tags=tags)
    return table


def merged(table: pa.Table, fresh: Sequence[pa.Table], replaced: Sequence[str]) -> pa.Table:
    """A roll-up with these days' rows in place of the ones it had; `replaced` are `type/day`."""
    for name in replaced:
        record_type, _, day = name.partition("/")
        same_type = pc.equal(table["record_type"], record_type)
        same_day = pc.equal(table["day"], day)
        table = table.filter(pc.invert(pc.and_(same_type, same_day)))
    fresh_rows = pa.concat_tables([ROLLUP_SCHEMA.empty_table(), *fresh])
    # Only documents that were read again can have moved: the rest is not looked at one by one.
    met = pc.is_in(table["document_id"], pc.unique(fresh_rows["document_id"]))
    both = pa.concat_tables([table.filter(met), fresh_rows])
    keys = ["record_type", "document_id"]
    newest = both.group_by(keys).aggregate([("day", "max")])
    kept = both.join(newest, [*keys, "day"], [*keys, "day_max"], join_type="left semi")
    untouched = table.filter(pc.invert(met))
    return pa.concat_tables([untouched, kept.select(ROLLUP_SCHEMA.names)])


def _sources(landing: Landing) -> Sources:
    found: Sources = {}
    for record_type, asset in USED_BY.items():
        path = ("conformed", asset, "usage")
        for day in landing.partitions(path):
            about = landing.path(path, day).stat()
            found[f"{record_type}/{day or ''}"] = [about.st_mtime_ns, about.st_size]
    return found


def _kept(landing: Landing) -> tuple[Mapping[str, list[int]], pa.Table]:
    told = landing.tags(ROLLUP, None).get(_SOURCES)
    if told is None:
        return {}, ROLLUP_SCHEMA.empty_table()
    # One open: another step may put a newer file in its place between two.
    table = _read(landing.path(ROLLUP, None))
    metadata: Mapping[bytes, bytes] = table.schema.metadata
    return json.loads(metadata[_SOURCES.encode()]), table.cast(ROLLUP_SCHEMA)


def _fresh(landing: Landing, name: str) -> pa.Table:
    record_type, _, day = name.partition("/")
    table = _read(landing.path(("conformed", USED_BY[record_type], "usage"), day or None))
    told = [pa.array([value] * table.num_rows, pa.string()) for value in (record_type, day)]
    columns = [*told, *(table[field.name].cast(field.type) for field in USAGE_SCHEMA)]
    return pa.Table.from_arrays(columns, schema=ROLLUP_SCHEMA)


def _read(path: Path) -> pa.Table:
    return pq.ParquetFile(path).read()
