"""Mapping assets: how every GL account and cost center resolves today, and which do not."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa

from nsn_pipeline.conform.crosswalk import Crosswalk
from nsn_pipeline.frames import records_of, rows_with, values_of
from nsn_pipeline.orchestration.assets import netsuite, servicenow_reference
from nsn_pipeline.orchestration.reporting import CheckFigures, report_checks, text_columns
from nsn_pipeline.orchestration.resources import OWNERS, SystemsResource
from nsn_pipeline.orchestration.snapshots import (
    DIMENSION_ASSETS,
    REFERENCE_ASSETS,
    Snapshots,
)
from nsn_pipeline.profiles.model import Profile

GROUP = "mapping"
SHOWN = 200
COVERAGE_COLUMNS = (
    "internal_id", "subsidiary_id", "code", "name", "method", "target_code", "sys_id", "reason",
)  # fmt: skip


def key(kind: str) -> dg.AssetKey:
    """The asset key of a crosswalk."""
    return dg.AssetKey(["mapping", REFERENCE_ASSETS[kind]])


def mapping_assets(profile: Profile) -> list[dg.AssetsDefinition]:
    """One crosswalk per reference kind."""
    return [_mapping(profile, kind) for kind in REFERENCE_ASSETS]


def _mapping(profile: Profile, kind: str) -> dg.AssetsDefinition:
    asset_key = key(kind)
    table = profile.references[kind].table

    @dg.multi_asset(
        name=f"mapping_{REFERENCE_ASSETS[kind]}",
        specs=[
            dg.AssetSpec(
                asset_key,
                deps=[netsuite.key(DIMENSION_ASSETS[kind]), servicenow_reference.key(kind)],
                group_name=GROUP,
                kinds={"csv", "parquet"},
                owners=OWNERS,
                description=(
                    f"From NetSuite {DIMENSION_ASSETS[kind]} to `{table}`: override in "
                    f"`mappings/{REFERENCE_ASSETS[kind]}.csv`, else exact code match, else nothing."
                ),
                metadata={"dagster/column_schema": text_columns(COVERAGE_COLUMNS)},
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                "all_mapped", asset=asset_key, description="Every active code resolves."
            ),
            dg.AssetCheckSpec(
                "overrides_point_somewhere",
                asset=asset_key,
                description="No override names a code that ServiceNow does not have.",
            ),
        ],
    )
    def crosswalk(
        context: dg.AssetExecutionContext, systems: SystemsResource
    ) -> Iterator[dg.MaterializeResult[Any] | dg.Output[None]]:
        with systems.opened(context.run.run_id) as connections:
            built = Snapshots(connections).crosswalk(kind)
            coverage = built.coverage(datetime.now(UTC).date())
            frame = coverage.astype(pd.ArrowDtype(pa.string()))
            connections.landing.write_frame(
                ("mapping", REFERENCE_ASSETS[kind]),
                None,
                frame,
                tags={"run_id": context.run.run_id},
            )
        methods = Counter(values_of(coverage, "method"))
        yield dg.MaterializeResult(
            asset_key=asset_key,
            metadata={
                "dagster/row_count": len(coverage),
                **{f"by_{method}": count for method, count in methods.items()},
            },
        )
        results = [_all_mapped(coverage), _overrides(built)]
        yield from report_checks(context, asset_key, {None: results})

    return crosswalk


def _all_mapped(coverage: pd.DataFrame) -> CheckFigures:
    missing = rows_with(coverage, "sys_id", {None})
    columns = ["code", "name", "target_code", "reason"]
    rows = [
        {name: value or "" for name, value in row.items()}
        for row in records_of(missing, columns)[:SHOWN]
    ]
    schema = dg.TableSchema([dg.TableColumn(name) for name in columns])
    return CheckFigures(
        "all_mapped",
        passed=missing.empty,
        description=f"{len(missing)} of {len(coverage)} codes have no counterpart in ServiceNow",
        metadata={
            "unmapped": len(missing),
            "codes": dg.MetadataValue.table([dg.TableRecord(row) for row in rows], schema=schema),
        },
    )


def _overrides(crosswalk: Crosswalk) -> CheckFigures:
    dangling = crosswalk.dangling()
    return CheckFigures(
        "overrides_point_somewhere",
        passed=not dangling,
        description=", ".join(sorted({override.servicenow_code for override in dangling}))
        or "every override names a code that exists",
        metadata={"dangling": len(dangling)},
    )
