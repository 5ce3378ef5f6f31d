"""How steps report: figures per partition, check results per partition, and totals per run.

Dagster drops the partition from check results of a run over several days (docs/facts/dagster.md 2),
so results are logged here as events that name their day, one way for single days and wide windows
alike.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import dagster as dg
import pandas as pd
import pyarrow as pa
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus as _Status,
)

from nsn_pipeline.amounts import amount_text
from nsn_pipeline.frames import records_of, rows_with
from nsn_pipeline.orchestration.planning import is_plan
from nsn_pipeline.profiles.model import Target

TOTALS_LABEL = "run_totals"
JUDGED_IN = "judged_in_run"  # of a result that a plan said again: the run whose result it is
TABLE_ROWS = 200  # rows of failing documents shown in a check; the rest are in the landing file


@dataclass(frozen=True, slots=True)
class CheckFigures:
    """One check's result for one day."""

    name: str
    passed: bool
    description: str
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listed:
    """A day's problems, all of them, and the file that holds them."""

    problems: pd.DataFrame
    file: Path

    def metadata(self, decimals: Mapping[str, int]) -> dict[str, dg.MetadataValue]:
        """The first of them as a table, and where all are."""
        return {
            "documents": problem_table(self.problems, decimals),
            "all_problems_of_the_day": dg.MetadataValue.path(str(self.file)),
        }

    def of(self, documents: Collection[str]) -> "Listed":
        """Those of some documents; the file holds more."""
        return Listed(rows_with(self.problems, "document_id", documents), self.file)

    @property
    def shown(self) -> str:
        """What to say behind their number."""
        many = len(self.problems) > TABLE_ROWS
        return f", the first {TABLE_ROWS} problems shown" if many else ""


def report_partition(
    context: dg.AssetExecutionContext,
    asset_key: dg.AssetKey,
    day: str | None,
    metadata: Mapping[str, Any],
) -> None:
    """Attach figures to one day's materialisation of one asset (or to an unpartitioned one)."""
    context.add_asset_metadata(metadata, asset_key=asset_key, partition_key=day)


def report_totals(
    context: dg.AssetExecutionContext, asset_key: dg.AssetKey, metadata: Mapping[str, Any]
) -> None:
    """Log a run's totals for an asset: a document met on several days counts once."""
    context.log_event(
        dg.AssetObservation(asset_key=asset_key, description=TOTALS_LABEL, metadata=dict(metadata))
    )


def report_checks(
    context: dg.AssetExecutionContext,
    asset_key: dg.AssetKey,
    results: Mapping[str | None, Sequence[CheckFigures]],
) -> Iterator[dg.Output[None]]:
    """Log every day's check results, then mark the checks as done for the step.

    A plan logs none of its own: what it found is not what was done, and must not turn a day's check
    green. What stands is said again (`_standing`).
    Raises dg.Failure after all are logged when one has severity ERROR: what reads this asset must
    not run.
    """
    broken: list[str] = []
    planning = is_plan(context.run)
    judged = _materialized(context, asset_key, [d for d in results if d])
    if planning:
        for evaluation in _standing(context, asset_key, results, judged):
            context.log_event(evaluation)
    for day, figures in results.items():
        for check in figures:
            evaluation: Any = (  # `log_event` takes it, its annotation does not say so
                dg.AssetCheckEvaluation(
                    asset_key=asset_key,
                    check_name=check.name,
                    passed=check.passed,
                    severity=check.severity,
                    description=check.description,
                    metadata={k: _metadata_value(v) for k, v in check.metadata.items()},
                    partition=day,
                    target_materialization_data=judged.get(day or ""),
                )
            )
            if not planning:
                context.log_event(evaluation)
            if not check.passed and check.severity == dg.AssetCheckSeverity.ERROR:
                broken.append(f"{day or 'snapshot'} {check.name}: {check.description}")
    if broken:
        raise dg.Failure(
            description="a blocking check failed; nothing downstream was written: "
            + "; ".join(broken),
            allow_retries=False,
        )
    outputs = context.assets_def.node_check_specs_by_output_name
    for output_name, spec in outputs.items():
        if spec.key in context.selected_asset_check_keys:
            yield dg.Output(None, output_name=output_name)


def _materialized(
    context: dg.AssetExecutionContext, asset_key: dg.AssetKey, days: Sequence[str]
) -> dict[str, AssetCheckEvaluationTargetMaterializationData]:
    """The materialisations that these days' results are about.

    The UI counts a day's result as out of date, and shows it as missing, unless it names the day's
    latest materialisation (docs/facts/dagster.md 2).
    """
    if not days:
        return {}
    latest = context.instance.get_latest_storage_id_by_partition(
        asset_key, dg.DagsterEventType.ASSET_MATERIALIZATION, set(days)
    )
    now = datetime.now(UTC).timestamp()
    return {
        day: AssetCheckEvaluationTargetMaterializationData(
            storage_id=storage_id, run_id=context.run.run_id, timestamp=now
        )
        for day, storage_id in latest.items()
    }


def _standing(
    context: dg.AssetExecutionContext,
    asset_key: dg.AssetKey,
    results: Mapping[str | None, Sequence[CheckFigures]],
    judged: Mapping[str, AssetCheckEvaluationTargetMaterializationData],
) -> Iterator[Any]:
    """The last result of each day's checks, about the materialisation that a plan just made.

    A plan reads a day and so materialises its assets anew; without this the day's results would be
    about an earlier materialisation, and the UI would show them as missing.
    """
    for day, figures in results.items():
        for check in figures:
            (record,) = context.instance.event_log_storage.get_asset_check_execution_history(
                dg.AssetCheckKey(asset_key, check.name),
                limit=1,
                status={_Status.SUCCEEDED, _Status.FAILED},
                partition_filter=PartitionKeyFilter(key=day),
            ) or (None,)
            event = record.event.dagster_event if record and record.event else None
            told: Any = event.event_specific_data if event else None
            if record is None or told is None:
                continue  # never judged: a plan judges it neither
            yield dg.AssetCheckEvaluation(
                asset_key=asset_key,
                check_name=check.name,
                passed=told.passed,
                severity=told.severity,
                description=told.description,
                metadata={JUDGED_IN: record.run_id, **told.metadata},
                partition=day,
                target_materialization_data=judged.get(day or ""),
            )


def problem_table(problems: pd.DataFrame, decimals: Mapping[str, int]) -> dg.TableMetadataValue:
    """Failing documents, the first `TABLE_ROWS`: what it is, why, the remedy, where to open it.

    `decimals` maps currency codes to their number of decimals.
    """
    # The page is narrower than the table: what a reader acts on comes before what scrolls away.
    columns = ("document", "vendor", "amount", "remedy", "reason", "line", "office", "netsuite")
    rows = [_problem_row(row, decimals) for row in records_of(problems.head(TABLE_ROWS))]
    return table_of(columns, rows)


def table_of(columns: Iterable[str], rows: Iterable[dict[str, Any]]) -> dg.TableMetadataValue:
    """A table of texts for the UI; each row has all `columns`."""
    schema = dg.TableSchema([dg.TableColumn(name) for name in columns])
    return dg.MetadataValue.table([dg.TableRecord(row) for row in rows], schema=schema)


def _problem_row(row: Mapping[str, Any], decimals: Mapping[str, int]) -> dict[str, str]:
    currency = row["currency"] or ""
    amount = row["amount"]
    return {
        "document": " ".join(part for part in (row["document_id"], row["tranid"]) if part),
        "vendor": row["vendor"] or "",
        "amount": "" if amount is None else f"{amount_text(amount, currency, decimals)} {currency}",
        "line": row["line_id"] or "",
        "reason": row["reason"],
        "remedy": row["remedy"],
        "office": row["subsidiary"] or "",
        "netsuite": row["url"] or "",
    }


def column_schema(fields: Iterable[pa.Field], descriptions: Mapping[str, str]) -> dg.TableSchema:
    """An asset's column schema for the UI."""
    return dg.TableSchema(
        [
            dg.TableColumn(f.name, type=str(f.type), description=descriptions.get(f.name))
            for f in fields
        ]
    )


def text_columns(names: Iterable[str]) -> dg.TableSchema:
    """The column schema of a file that holds text only."""
    return dg.TableSchema([dg.TableColumn(name, type="string") for name in names])


def target_columns(target: Target) -> dg.TableSchema:
    """A ServiceNow table's columns as the profile fills them."""
    return dg.TableSchema(
        [
            dg.TableColumn(
                column.column, type=str(column.converter), description=f"from {column.source}"
            )
            for column in target.columns
        ]
    )


def _metadata_value(value: object) -> dg.MetadataValue:
    if isinstance(value, dg.MetadataValue):
        return value
    if isinstance(value, int | float | str):
        return (
            dg.MetadataValue.int(value)
            if isinstance(value, int)
            else (
                dg.MetadataValue.float(value)
                if isinstance(value, float)
                else dg.MetadataValue.text(value)
            )
        )
    return dg.MetadataValue.json(cast("Mapping[str, Any]", value))
