"""What ServiceNow holds of GL accounts and cost centers, as a snapshot: the lists documents are
checked against.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from nsn_pipeline.conform.references import REFERENCE_COLUMNS
from nsn_pipeline.extract.references import read_references
from nsn_pipeline.frames import records_of
from nsn_pipeline.orchestration.reporting import CheckFigures, report_checks, text_columns
from nsn_pipeline.orchestration.resources import OWNERS, SystemsResource
from nsn_pipeline.orchestration.snapshots import REFERENCE_ASSETS
from nsn_pipeline.profiles.model import Profile

GROUP = "servicenow_reference"


def key(kind: str) -> dg.AssetKey:
    """The asset key of a reference kind."""
    return dg.AssetKey(["servicenow_reference", REFERENCE_ASSETS[kind]])


def reference_assets(profile: Profile) -> list[dg.AssetsDefinition]:
    """One snapshot per reference kind of the profile."""
    return [_reference(profile, kind) for kind in REFERENCE_ASSETS]


def _reference(profile: Profile, kind: str) -> dg.AssetsDefinition:
    table = profile.references[kind]
    asset_key = key(kind)

    @dg.multi_asset(
        name=f"servicenow_reference_{REFERENCE_ASSETS[kind]}",
        specs=[
            dg.AssetSpec(
                asset_key,
                group_name=GROUP,
                kinds={"servicenow", "parquet"},
                owners=OWNERS,
                description=(
                    f"Every row of `{table.table}`: code (`{table.code}`), sys_id and validity. "
                    "Documents may only be written when their code is in this list."
                ),
                metadata={"dagster/column_schema": text_columns(REFERENCE_COLUMNS)},
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                "not_empty",
                asset=asset_key,
                blocking=True,
                description="An empty reference list is a broken read, not a reason to refuse all.",
            )
        ],
    )
    def reference(
        context: dg.AssetExecutionContext, systems: SystemsResource
    ) -> Iterator[dg.MaterializeResult[Any] | dg.Output[None]]:
        with systems.opened_to_read(context) as connections:
            frame = read_references(connections.servicenow, table)
            connections.landing.write_frame(
                ("servicenow_reference", REFERENCE_ASSETS[kind]),
                None,
                frame,
                tags={"run_id": context.run.run_id},
            )
        # A row without its code is of no use: the integration user may not read the column.
        rows = records_of(frame, ("code", "active"))
        active = sum(1 for row in rows if row["code"] and row["active"] == "true")
        yield dg.MaterializeResult(
            asset_key=asset_key, metadata={"dagster/row_count": len(frame), "active": active}
        )
        check = CheckFigures(
            "not_empty",
            passed=active > 0,
            description=(
                f"{active} of {len(frame)} rows of {table.table} are active and show their code "
                f"({table.code})"
            ),
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={"rows": len(frame), "active": active},
        )
        yield from report_checks(context, asset_key, {None: [check]})

    return reference
