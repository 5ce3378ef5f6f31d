"""Extract assets: what NetSuite holds, landed as Parquet, one file per day of change time.

No judgement happens here. Rows are kept as received beside their typed columns, and every touched
document is read whole. A partition also brings the purchase orders its bills bill and the vendors
its documents name, so that any day can be replayed on its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import dagster as dg
import pyarrow as pa

from nsn_pipeline.clients.suiteql import changed_between
from nsn_pipeline.connections import Connections
from nsn_pipeline.errors import MissingTableError
from nsn_pipeline.extract.documents import Reader, canonical_pages, mark_change
from nsn_pipeline.extract.window import Window
from nsn_pipeline.frames import values_of
from nsn_pipeline.orchestration.reporting import (
    column_schema,
    report_partition,
    report_totals,
)
from nsn_pipeline.orchestration.resources import OWNERS, SystemsResource
from nsn_pipeline.profiles.model import Profile, custom_columns
from nsn_pipeline.records.canonical import canonical_schema
from nsn_pipeline.records.registry import LOOKUPS, REGISTRY
from nsn_pipeline.records.spec import RecordType, Source

GROUP = "netsuite_extract"
KINDS = {"netsuite", "suiteql", "parquet"}
SNAPSHOTS: Mapping[str, Source] = {
    "gl_accounts": REGISTRY["gl_account"].header,
    "departments": REGISTRY["cost_center"].header,
    **LOOKUPS,
}


def key(name: str) -> dg.AssetKey:
    """The asset key of something NetSuite holds."""
    return dg.AssetKey(["netsuite", name])


def netsuite_assets(
    daily: dg.DailyPartitionsDefinition, profile: Profile
) -> list[dg.AssetsDefinition]:
    """All extract assets, with the custom fields that the profile names."""
    return [
        *(_snapshot(name, source) for name, source in SNAPSHOTS.items()),
        _vendor_bills(daily, _with_custom_fields(REGISTRY["vendor_bill"], profile)),
        _purchase_orders(daily, _with_custom_fields(REGISTRY["purchase_order"], profile)),
        _vendors(daily, _with_custom_fields(REGISTRY["vendor"], profile)),
        _gl_postings(daily, _with_custom_fields(REGISTRY["gl_posting"], profile)),
    ]


def _with_custom_fields(record: RecordType, profile: Profile) -> RecordType:
    def extended(source: Source, record_type: str) -> Source:
        added = tuple(custom_columns(profile, record_type))
        return replace(source, columns=(*source.columns, *added)) if added else source

    lines = None if record.lines is None else extended(record.lines, f"{record.name}_line")
    return replace(record, header=extended(record.header, record.name), lines=lines)


def read_snapshot(connections: Connections, name: str) -> pa.Table:
    """A dimension, read whole: its change stamps are unreliable, and it is small.

    An account without the feature (OneWorld, departments) has no such table: the snapshot is empty.
    """
    source = SNAPSHOTS[name]
    try:
        return canonical_pages(connections.netsuite.pages(source), source)
    except MissingTableError as error:
        connections.netsuite.note(f"{source.table} is not available, read as empty: {error.detail}")
        return canonical_schema(source).empty_table()


def _snapshot(name: str, source: Source) -> dg.AssetsDefinition:
    @dg.asset(
        key=key(name),
        group_name=GROUP,
        kinds=KINDS,
        owners=OWNERS,
        description=f"Every row of NetSuite's `{source.table}` table, read whole on each run.",
        metadata={"dagster/column_schema": column_schema(canonical_schema(source), {})},
    )
    def snapshot(
        context: dg.AssetExecutionContext, systems: SystemsResource
    ) -> dg.MaterializeResult[Any]:
        with systems.opened_to_read(context) as connections:
            table = read_snapshot(connections, name)
            connections.landing.write(
                ("netsuite", name),
                None,
                [table],
                schema=table.schema,
                tags={"run_id": context.run.run_id},
            )
            return dg.MaterializeResult(
                metadata={"dagster/row_count": table.num_rows, **_call_figures(connections)}
            )

    return snapshot


def _document_specs(record: RecordType, deps: Sequence[dg.AssetKey]) -> list[dg.AssetSpec]:
    types = ", ".join(record.transaction_types)
    assert record.lines is not None  # noqa: S101 - called for documents only
    lines = record.asset.removesuffix("s") + "_lines"
    return [
        _spec(record.asset, record.header, f"Headers of {types} changed on the day.", deps),
        _spec(lines, record.lines, f"All lines of the day's {record.asset}.", deps),
    ]


def _spec(name: str, source: Source, description: str, deps: Sequence[dg.AssetKey]) -> dg.AssetSpec:
    return dg.AssetSpec(
        key(name),
        deps=list(deps),
        group_name=GROUP,
        kinds=KINDS,
        owners=OWNERS,
        description=description,
        metadata={"dagster/column_schema": column_schema(canonical_schema(source), {})},
    )


def _vendor_bills(daily: dg.DailyPartitionsDefinition, record: RecordType) -> dg.AssetsDefinition:

    @dg.multi_asset(
        name="netsuite_vendor_bills",
        specs=_document_specs(record, []),
        partitions_def=daily,
    )
    def vendor_bills(
        context: dg.AssetExecutionContext, systems: SystemsResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        window = Window.over(context.partition_keys, daily.timezone)
        with systems.opened_to_read(context) as connections:
            reader = Reader(connections.netsuite)
            touched = reader.touched(window, record.transaction_types, posting=False)
            rows = 0
            for day in window.days:
                ids = touched.ids(day)
                headers, lines = reader.documents(
                    record,
                    ids,
                    touched.changed_at,
                    day,
                    complete=reader.with_accounts_and_orders,
                )
                rows += _land(context, connections, record.asset, day, headers, asked=len(ids))
                _land(context, connections, "vendor_bill_lines", day, lines)
            _report(context, connections, record, rows=rows, moved_on=touched.moved_on)
        yield from _done(record.asset, "vendor_bill_lines")

    return vendor_bills


def _purchase_orders(
    daily: dg.DailyPartitionsDefinition, record: RecordType
) -> dg.AssetsDefinition:

    @dg.multi_asset(
        name="netsuite_purchase_orders",
        specs=_document_specs(record, [key("vendor_bill_lines")]),
        partitions_def=daily,
    )
    def purchase_orders(
        context: dg.AssetExecutionContext, systems: SystemsResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        window = Window.over(context.partition_keys, daily.timezone)
        with systems.opened_to_read(context) as connections:
            reader = Reader(connections.netsuite)
            touched = reader.touched(window, record.transaction_types, posting=False)
            rows = 0
            for day in window.days:
                changed = touched.ids(day)
                billed = connections.landing.read(
                    ("netsuite", "vendor_bill_lines"), day, run_id=context.run.run_id
                )
                ids = _union(changed, [po for po in values_of(billed, "po_id") if po])
                stamps = _of(touched.changed_at, changed)
                headers, lines = reader.documents(record, ids, stamps, day)
                rows += _land(context, connections, record.asset, day, headers, asked=len(ids))
                _land(context, connections, "purchase_order_lines", day, lines)
            _report(context, connections, record, rows=rows, moved_on=touched.moved_on)
        yield from _done(record.asset, "purchase_order_lines")

    return purchase_orders


def _vendors(daily: dg.DailyPartitionsDefinition, record: RecordType) -> dg.AssetsDefinition:

    @dg.multi_asset(
        name="netsuite_vendors",
        specs=[
            _spec(
                record.asset,
                record.header,
                "Vendors changed on the day, and those its documents name.",
                [key("vendor_bills"), key("purchase_orders"), key("gl_postings")],
            )
        ],
        partitions_def=daily,
    )
    def vendors(
        context: dg.AssetExecutionContext, systems: SystemsResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        window = Window.over(context.partition_keys, daily.timezone)
        with systems.opened_to_read(context) as connections:
            changed = _changed_vendors(connections, record, window)
            days = {
                day: _union(
                    [vendor for vendor, stamp in changed.items() if window.day_of(stamp) == day],
                    _named_vendors(connections, day),
                )
                for day in window.days
            }
            wanted = _union(*days.values())
            pages = connections.netsuite.rows_in(record.header, f"{record.header.alias}.id", wanted)
            table = canonical_pages(pages, record.header)
            stamps = table.column("modified_at").to_pylist()
            as_of = dict(zip(table.column("internal_id").to_pylist(), stamps, strict=True))
            for day, ids in days.items():
                wanted_here = set(ids)
                chosen = [v in wanted_here for v in table.column("internal_id").to_pylist()]
                of_day = {v: s for v, s in changed.items() if window.day_of(s) == day}
                rows = mark_change(
                    table.filter(pa.array(chosen, pa.bool_())),
                    "internal_id",
                    of_day,
                    day,
                    as_of=as_of,
                )
                _land(context, connections, record.asset, day, rows)
            _report(context, connections, record, rows=table.num_rows, moved_on=0)
        yield from _done(record.asset)

    return vendors


def _gl_postings(daily: dg.DailyPartitionsDefinition, record: RecordType) -> dg.AssetsDefinition:

    @dg.multi_asset(
        name="netsuite_gl_postings",
        specs=[
            _spec(
                record.asset,
                record.header,
                "GL rows (primary book), changed on the day, of "
                + ", ".join(record.transaction_types),
                [],
            )
        ],
        partitions_def=daily,
    )
    def gl_postings(
        context: dg.AssetExecutionContext, systems: SystemsResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        window = Window.over(context.partition_keys, daily.timezone)
        with systems.opened_to_read(context) as connections:
            reader = Reader(connections.netsuite)
            touched = reader.touched(window, record.transaction_types, posting=True)
            rows = 0
            for day in window.days:
                postings = reader.postings(record, touched.ids(day), touched.changed_at, day)
                rows += _land(context, connections, record.asset, day, postings)
            _report(context, connections, record, rows=rows, moved_on=touched.moved_on)
        yield from _done(record.asset)

    return gl_postings


def _changed_vendors(
    connections: Connections, record: RecordType, window: Window
) -> dict[str, datetime]:
    stamp = f"{record.header.alias}.lastmodifieddate"
    where, params = changed_between(stamp, window.start, window.end)
    table = canonical_pages(
        connections.netsuite.pages(record.header, where=where, params=params), record.header
    )
    ids, stamps = table.column("internal_id").to_pylist(), table.column("modified_at").to_pylist()
    return dict(zip(ids, stamps, strict=True))


def _named_vendors(connections: Connections, day: str) -> list[str]:
    named: list[str] = []
    for asset in ("vendor_bills", "purchase_orders", "gl_postings"):
        frame = connections.landing.read(("netsuite", asset), day, run_id=connections.run_id)
        named.extend(vendor for vendor in values_of(frame, "vendor_id") if vendor)
    return named


def _land(
    context: dg.AssetExecutionContext,
    connections: Connections,
    name: str,
    day: str,
    table: pa.Table,
    *,
    asked: int | None = None,
) -> int:
    """Write one day's file and its figures; returns the number of rows.

    `asked` is how many documents were asked for: the gate compares it with what came.
    """
    tags = {"run_id": context.run.run_id} | ({} if asked is None else {"asked": str(asked)})
    connections.landing.write(("netsuite", name), day, [table], schema=table.schema, tags=tags)
    figures: dict[str, int] = {"dagster/row_count": table.num_rows}
    if "brought_by" in table.column_names:
        referenced = table.column("brought_by").to_pylist().count("reference")
        figures |= {"changed": table.num_rows - referenced, "brought_by_reference": referenced}
    report_partition(context, key(name), day, figures)
    return table.num_rows


def _report(
    context: dg.AssetExecutionContext,
    connections: Connections,
    record: RecordType,
    *,
    rows: int,
    moved_on: int,
) -> None:
    """The run's totals: `moved_on` changed again after the window and belongs to a later day."""
    figures = {"rows": rows, "moved_on": moved_on, **_call_figures(connections)}
    report_totals(context, key(record.asset), figures)


def _done(*names: str) -> Iterator[dg.MaterializeResult[Any]]:
    yield from (dg.MaterializeResult(asset_key=key(name)) for name in names)


def _call_figures(connections: Connections) -> dict[str, int | str]:
    stats = connections.call_stats("netsuite")
    notes = connections.netsuite.notes
    figures: dict[str, int | str] = {"netsuite_calls": stats.calls, "retries": stats.retries}
    return figures | ({"notes": "; ".join(notes)} if notes else {})


def _union(*groups: Sequence[str]) -> list[str]:
    return sorted({identifier for group in groups for identifier in group}, key=int)


def _of(changed_at: Mapping[str, datetime], ids: Sequence[str]) -> dict[str, datetime]:
    return {identifier: changed_at[identifier] for identifier in ids}
