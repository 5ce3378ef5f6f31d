"""Mapping assets: how every GL account and cost center resolves, what that is worth, what to do."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa

from nsn_pipeline.amounts import amount_text, money_text
from nsn_pipeline.audit.rejections import NOUNS, counted
from nsn_pipeline.conform.crosswalk import CrosswalkKind
from nsn_pipeline.connections import OVERRIDE_FILES, Connections
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.frames import values_of
from nsn_pipeline.orchestration.assets import netsuite, servicenow_reference
from nsn_pipeline.orchestration.mapping_view import MappingView, mapping_view, read_usage
from nsn_pipeline.orchestration.reporting import (
    TABLE_ROWS,
    CheckFigures,
    report_checks,
    table_of,
    text_columns,
)
from nsn_pipeline.orchestration.resources import OWNERS, SystemsResource
from nsn_pipeline.orchestration.snapshots import (
    DIMENSION_ASSETS,
    REFERENCE_ASSETS,
    Snapshots,
)
from nsn_pipeline.profiles.mappings import refuse
from nsn_pipeline.profiles.model import Profile

GROUP = "mapping"
FILE_HOLDS, ALL_MAPPED, OVERRIDES = "file_holds", "all_mapped", "overrides_point_somewhere"
COVERAGE_COLUMNS = (
    "internal_id", "subsidiary_id", "code", "name", "method", "target_code", "sys_id", "reason",
)  # fmt: skip


def key(kind: str) -> dg.AssetKey:
    """The asset key of a crosswalk."""
    return dg.AssetKey(["mapping", REFERENCE_ASSETS[kind]])


def mapping_assets(profile: Profile) -> list[dg.AssetsDefinition]:
    """One crosswalk per reference kind."""
    return [_mapping(profile, "gl_account"), _mapping(profile, "cost_center")]


def _mapping(profile: Profile, kind: CrosswalkKind) -> dg.AssetsDefinition:
    asset_key = key(kind)
    table = profile.references[kind].table
    file = f"mappings/{OVERRIDE_FILES[kind]}"

    @dg.multi_asset(
        name=f"mapping_{REFERENCE_ASSETS[kind]}",
        specs=[
            dg.AssetSpec(
                asset_key,
                deps=[
                    netsuite.key(DIMENSION_ASSETS[kind]),
                    netsuite.key("subsidiaries"),
                    netsuite.key("currencies"),
                    servicenow_reference.key(kind),
                ],
                group_name=GROUP,
                kinds={"csv", "parquet"},
                owners=OWNERS,
                description=(
                    f"From NetSuite {DIMENSION_ASSETS[kind]} to `{table}`: override in `{file}`, "
                    "else exact code match, else nothing. Amounts are of the documents read by the "
                    "runs before; `audit/coverage` has them with this run's."
                ),
                metadata={"dagster/column_schema": text_columns(COVERAGE_COLUMNS)},
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                FILE_HOLDS,
                asset=asset_key,
                blocking=True,
                description=(
                    f"Every line of `{file}` can be read, overlaps no other, names an office of "
                    "NetSuite and a code of ServiceNow. Blocks the run before its first write."
                ),
            ),
            dg.AssetCheckSpec(
                ALL_MAPPED, asset=asset_key, description="Every code that may be needed resolves."
            ),
            dg.AssetCheckSpec(
                OVERRIDES,
                asset=asset_key,
                description="Every override is of use: its row, its code and documents exist.",
            ),
        ],
    )
    def crosswalk(
        context: dg.AssetExecutionContext, systems: SystemsResource
    ) -> Iterator[dg.MaterializeResult[Any] | dg.Output[None]]:
        with systems.opened(context.run.run_id) as connections:
            try:
                view = mapping_view(connections, kind, read_usage(connections))
                refuse(file, view.faults)
            except ConfigurationError as error:
                broken = CheckFigures(FILE_HOLDS, False, str(error), dg.AssetCheckSeverity.ERROR)
                yield from report_checks(context, asset_key, {None: [broken]})
                return
            _land(connections, view)
            decimals = Snapshots(connections).decimals()
        results = [
            CheckFigures(
                FILE_HOLDS,
                passed=True,
                description=f"{len(view.crosswalk.overrides)} overrides",
                severity=dg.AssetCheckSeverity.ERROR,
                metadata={"overrides": len(view.crosswalk.overrides)},
            ),
            _all_mapped(view, decimals),
            _overrides(view),
        ]
        yield dg.MaterializeResult(asset_key=asset_key, metadata=figures(view, decimals))
        yield from report_checks(context, asset_key, {None: results})

    return crosswalk


def _land(connections: Connections, view: MappingView) -> None:
    frame = view.codes.astype(pd.ArrowDtype(pa.string()))
    tags = {"run_id": connections.run_id}
    connections.landing.write_frame(
        ("mapping", REFERENCE_ASSETS[view.kind]), None, frame, tags=tags
    )


def figures(view: MappingView, decimals: Mapping[str, int]) -> dict[str, Any]:
    """Counts by method, and coverage by count and by amount per office."""
    methods = Counter(values_of(view.codes, "method"))
    return {
        "dagster/row_count": len(view.codes),
        **{f"by_{method}": count for method, count in methods.items()},
        "unmapped": len(view.unmapped),
        "coverage": office_table(view, decimals),
        "unmapped_codes": code_table(view, decimals),
    }


def office_table(view: MappingView, decimals: Mapping[str, int]) -> dg.TableMetadataValue:
    """One row per office, record type and currency; postings are turnover in the office's own."""
    names = ("office", "of", "currency", "codes", "unmapped", "lines", "lines unmapped", "amount",
             "amount unmapped")  # fmt: skip
    rows = [
        {
            "office": one.subsidiary,
            "of": NOUNS[one.record_type][1],
            "currency": one.currency,
            "codes": str(len(one.codes)),
            "unmapped": str(len(one.unmapped_codes)),
            "lines": f"{one.lines:,}",
            "lines unmapped": f"{one.unmapped_lines:,}",
            "amount": amount_text(one.amount, one.currency, decimals),
            "amount unmapped": amount_text(one.unmapped_amount, one.currency, decimals),
        }
        for one in view.offices
    ]
    return table_of(names, rows)


def code_table(view: MappingView, decimals: Mapping[str, int]) -> dg.TableMetadataValue:
    """Codes that lead nowhere, what waits for them, and what they might be."""
    names = ("code", "name", "reason", "waiting", "at stake", "might be")
    rows = [
        {
            "code": one.code or f"(id {one.internal_id})",
            "name": one.name,
            "reason": one.reason,
            "waiting": ", ".join(counted(one.stake.documents)),
            "at stake": money_text(one.stake.amounts.get("vendor_bill", {}), decimals),
            "might be": "; ".join(f"{c.code} '{c.name}' ({c.why})" for c in one.candidates),
        }
        for one in view.unmapped[:TABLE_ROWS]
    ]
    if len(view.unmapped) > TABLE_ROWS:
        rest = f"and {len(view.unmapped) - TABLE_ROWS} more: nsn mapping suggest"
        rows.append(dict.fromkeys(names, "") | {"name": rest})
    return table_of(names, rows)


def headline(view: MappingView, decimals: Mapping[str, int]) -> str:
    """`12 of 160 codes unmapped, worth 431,200.00 GBP in bills and 1,000.00 GBP in orders`."""
    codes = len(set(values_of(view.codes, "internal_id")) - view.needless)
    if not view.unmapped:
        return f"all {codes} codes are mapped"
    worth: list[str] = []
    for record_type, noun in (("vendor_bill", "bills"), ("purchase_order", "orders")):
        sums: defaultdict[str, Decimal] = defaultdict(Decimal)
        for one in view.offices:
            if one.record_type == record_type and one.unmapped_codes:
                sums[one.currency] += one.unmapped_amount
        if sums:
            worth.append(f"{money_text(sums, decimals)} in {noun}")
    told = f"{len(view.unmapped)} of {codes} codes unmapped"
    return f"{told}, worth {' and '.join(worth)}" if worth else told


def _all_mapped(view: MappingView, decimals: Mapping[str, int]) -> CheckFigures:
    return CheckFigures(
        ALL_MAPPED,
        passed=not view.unmapped,
        description=headline(view, decimals),
        metadata={"unmapped": len(view.unmapped), "codes": code_table(view, decimals)},
    )


def _overrides(view: MappingView) -> CheckFigures:
    names = ("line", "maps", "office", "to", "look at it because")
    rows = [
        {
            "line": str(one.line),
            "maps": one.subject,
            "office": view.subsidiaries.get(one.subsidiary_id or "", "all"),
            "to": one.servicenow_code,
            "look at it because": why,
        }
        for one, why in view.flags.items()
    ]
    return CheckFigures(
        OVERRIDES,
        passed=not rows,
        description=f"{len(rows)} of {len(view.crosswalk.overrides)} overrides need a look",
        metadata={"flagged": len(rows), "overrides": table_of(names, rows)},
    )
