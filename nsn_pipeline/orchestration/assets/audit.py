"""Audit assets: what is open across all days, refreshed by every run, after its last write."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd
import pyarrow as pa

from nsn_pipeline.amounts import money_text
from nsn_pipeline.audit.coverage import COVERAGE_COLUMNS, rows_of
from nsn_pipeline.audit.rejections import (
    CSV_COLUMNS,
    Group,
    Totals,
    Wanted,
    chosen,
    counted,
    day_text,
    grouped,
    offices_text,
    rows,
    totals,
)
from nsn_pipeline.conform.crosswalk import CrosswalkKind
from nsn_pipeline.orchestration.assets import conformed
from nsn_pipeline.orchestration.assets.mapping import code_table, headline, office_table
from nsn_pipeline.orchestration.assets.servicenow import load_keys
from nsn_pipeline.orchestration.mapping_view import mapping_view, read_usage
from nsn_pipeline.orchestration.open_rejections import OpenList, open_rejections
from nsn_pipeline.orchestration.reporting import TABLE_ROWS, CheckFigures, report_checks, table_of
from nsn_pipeline.orchestration.resources import OWNERS, SystemsResource
from nsn_pipeline.orchestration.snapshots import REFERENCE_ASSETS, Snapshots, landed_decimals
from nsn_pipeline.orchestration.usage_rollup import USED_BY
from nsn_pipeline.profiles.model import Profile
from nsn_pipeline.records.spec import MONEY_TYPE

GROUP = "audit"
COVERAGE = dg.AssetKey(["audit", "coverage"])
REJECTIONS = dg.AssetKey(["audit", "rejections"])
NONE_OPEN = "none_open"
# Documents whose amounts are money to be paid; a posting repeats a bill's amount in the ledger.
PAYABLE = ("vendor_bill", "purchase_order")
_TYPES = {
    "amount": MONEY_TYPE,
    "failing_since": pa.timestamp("us", tz="UTC"),
    "age_days": pa.int64(),
    "documents": pa.int64(),
    "lines": pa.int64(),
}
_SHOWN = ("what", "waiting", "at stake", "offices", "since", "days", "remedy")


def audit_assets(profile: Profile) -> list[dg.AssetsDefinition]:
    """The last of the lineage."""
    return [_coverage(), _rejections(profile)]


def _coverage() -> dg.AssetsDefinition:
    kinds: tuple[CrosswalkKind, ...] = ("gl_account", "cost_center")

    @dg.asset(
        key=COVERAGE,
        deps=[
            conformed.key(names.asset)
            for names in conformed.CONFORMED.values()
            if names.record_type in USED_BY
        ],
        group_name=GROUP,
        kinds={"parquet"},
        owners=OWNERS,
        description=(
            "How much of what the documents of all days use is mapped, by count and by amount per "
            "office: GL accounts and cost centers as their crosswalks stand in this run. One row "
            "per code, office, record type and currency."
        ),
        metadata={
            "dagster/column_schema": dg.TableSchema(
                [
                    dg.TableColumn(name, type=str(_TYPES.get(name, pa.string())))
                    for name in COVERAGE_COLUMNS
                ]
            )
        },
    )
    def coverage(
        context: dg.AssetExecutionContext, systems: SystemsResource
    ) -> dg.MaterializeResult[Any]:
        told: dict[str, Any] = {}
        listed: list[dict[str, Any]] = []
        with systems.opened(context.run.run_id) as connections:
            decimals = Snapshots(connections).decimals()
            usage = read_usage(connections)
            for kind in kinds:
                view = mapping_view(connections, kind, usage)
                listed.extend(rows_of(view.uses))
                name = REFERENCE_ASSETS[kind]
                told |= {
                    name: headline(view, decimals),
                    f"{name}_unmapped": len(view.unmapped),
                    f"{name}_coverage": office_table(view, decimals),
                    f"{name}_unmapped_codes": code_table(view, decimals),
                }
            connections.landing.write_frame(
                tuple(COVERAGE.path),
                None,
                _frame_of(COVERAGE_COLUMNS, listed),
                tags={"run_id": context.run.run_id},
            )
        return dg.MaterializeResult(metadata={"dagster/row_count": len(listed), **told})

    return coverage


def _rejections(profile: Profile) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="audit_rejections",
        specs=[
            dg.AssetSpec(
                REJECTIONS,
                deps=[key for target in profile.targets.values() for key in load_keys(target)],
                group_name=GROUP,
                kinds={"redis", "parquet"},
                owners=OWNERS,
                description=(
                    "Every document of every day that may not be written to ServiceNow, or could "
                    "not be: one row per problem, with what cures it and since when it fails. "
                    "In the terminal: `nsn rejections`."
                ),
                metadata={
                    "dagster/column_schema": dg.TableSchema(
                        [
                            dg.TableColumn(name, type=str(_TYPES.get(name, pa.string())))
                            for name in CSV_COLUMNS
                        ]
                    )
                },
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                NONE_OPEN, asset=REJECTIONS, description="No document of any day waits for a cure."
            )
        ],
    )
    def rejections(
        context: dg.AssetExecutionContext, systems: SystemsResource
    ) -> Iterator[dg.MaterializeResult[Any] | dg.Output[None]]:
        with systems.opened(context.run.run_id) as connections:
            zone = ZoneInfo(connections.settings.project.timezone)
            now = datetime.now(UTC).astimezone(zone)
            found = open_rejections(connections, context.instance, finishing=context.run.run_id)
            found.rejections = chosen(found.rejections, Wanted(), now)
            connections.landing.write_frame(
                tuple(REJECTIONS.path),
                None,
                _frame(found, now),
                tags={"run_id": context.run.run_id},
            )
            path = connections.landing.path(tuple(REJECTIONS.path), None)
            decimals = landed_decimals(connections.landing)
        summary, groups = totals(found.rejections), grouped(found.rejections)
        table = group_table(groups, decimals, now)
        figures = _figures(summary, decimals, now)
        for note in found.notes():
            context.log.warning(note)
        yield dg.MaterializeResult(
            asset_key=REJECTIONS,
            metadata={
                "dagster/row_count": sum(len(one.problems) for one in found.rejections),
                **figures,
                "to_cure": table,
                "file": dg.MetadataValue.path(str(path)),
                **({"notes": "; ".join(found.notes())} if found.notes() else {}),
            },
        )
        description = _description(summary, groups, decimals)
        if found.unwritten:
            description += f"; {found.unwritten:,} accepted documents were never written"
            figures["unwritten"] = dg.MetadataValue.int(found.unwritten)
        check = CheckFigures(
            NONE_OPEN,
            passed=not summary.count and not found.unwritten,
            description=description,
            # What to plot stands at the asset: here it would push the table out of sight.
            metadata={"open_documents": figures["open_documents"], "to_cure": table},
        )
        yield from report_checks(context, REJECTIONS, {None: [check]})

    return rejections


def group_table(
    groups: Sequence[Group], decimals: Mapping[str, int], now: datetime
) -> dg.TableMetadataValue:
    """One row per cure, the most documents first."""
    told = [
        {
            "what": group.label,
            "waiting": ", ".join(counted(group.documents)),
            "at stake": money_text(group.amounts.get(group.lead, {}), decimals),
            "offices": offices_text(group.offices),
            "since": day_text(group.since.astimezone(now.tzinfo), now),
            "days": str(max((now - group.since).days, 0)),
            "remedy": group.remedy,
        }
        for group in groups[:TABLE_ROWS]
    ]
    if len(groups) > TABLE_ROWS:
        rest = f"and {len(groups) - TABLE_ROWS} more: nsn rejections --group"
        told.append(dict.fromkeys(_SHOWN, "") | {"what": rest})
    return table_of(_SHOWN, told)


def _description(summary: Totals, groups: Sequence[Group], decimals: Mapping[str, int]) -> str:
    if not summary.count:
        return "nothing is open"
    money = {name: summary.amounts.get(name, {}) for name in PAYABLE}
    first = groups[0]
    return (
        f"open: {'; '.join(counted(summary.documents, money, decimals))}. Most wait for "
        f"{first.label}: {', '.join(counted(first.documents))}"
    )


def _figures(
    summary: Totals, decimals: Mapping[str, int], now: datetime
) -> dict[str, dg.MetadataValue]:
    """Numbers to plot, and the exact amounts beside them: a plot needs a float."""
    figures: dict[str, dg.MetadataValue] = {
        "open_documents": dg.MetadataValue.int(summary.count),
        **{
            f"open_{name}": dg.MetadataValue.int(count)
            for name, count in sorted(summary.documents.items())
        },
        "oldest_days": dg.MetadataValue.int(
            max((now - summary.oldest).days, 0) if summary.oldest else 0
        ),
    }
    for name in PAYABLE:
        sums = summary.amounts.get(name, {})
        for currency, amount in sums.items():
            figures[f"{name}_{currency}"] = dg.MetadataValue.float(float(amount))
        figures[f"{name}_at_stake"] = dg.MetadataValue.text(money_text(sums, decimals) or "none")
    return figures


def _frame(found: OpenList, now: datetime) -> pd.DataFrame:
    return _frame_of(CSV_COLUMNS, list(rows(found.rejections, now)))


def _frame_of(names: Sequence[str], listed: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    columns = {
        name: pa.array([row[name] for row in listed], _TYPES.get(name, pa.string()))
        for name in names
    }
    return pa.table(columns).to_pandas(types_mapper=pd.ArrowDtype)
