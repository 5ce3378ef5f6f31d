"""The asset checks of the gate: which there are per record type, and how a day's outcome fills
them.

Severity: a rejected document warns, because its neighbours go on; a broken schema or a lost row is
an error and stops everything downstream.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pandas as pd

from nsn_pipeline.amounts import NO_CURRENCY, amount_text
from nsn_pipeline.conform.control_totals import disagreements, lost_amounts, sums_to_write
from nsn_pipeline.conform.outcome import Amounts, Context, Documents, Outcome, problem_frame
from nsn_pipeline.conform.reasons import Reason
from nsn_pipeline.frames import records_of, rows_with, values_of
from nsn_pipeline.orchestration.reporting import TABLE_ROWS, CheckFigures, Listed, table_of
from nsn_pipeline.records.canonical import validate_schema
from nsn_pipeline.records.registry import REGISTRY

__all__ = [
    "CheckFigures",
    "Judged",
    "broken_schema",
    "figures",
    "ledger_problems",
    "schema_faults",
    "specs",
]

SCHEMA, NOTHING_LOST, VALUES = "schema_holds", "nothing_lost", "values_usable"
CONTROL_TOTALS, LEDGER = "control_totals", "agrees_with_ledger"
BLOCKING = frozenset({SCHEMA, NOTHING_LOST, CONTROL_TOTALS})
WITH_TOTALS = frozenset({"purchase_order", "vendor_bill", "gl_posting"})


@dataclass(frozen=True, slots=True)
class ReasonCheck:
    """A check that fails for documents with one of these reasons."""

    description: str
    reasons: frozenset[Reason]


REASON_CHECKS: Mapping[str, ReasonCheck] = {
    "gl_accounts_exist": ReasonCheck(
        "Every GL account resolves to one active account in ServiceNow.",
        frozenset(r for r in Reason if r.name.endswith("_GL_ACCOUNT")),
    ),
    "cost_centers_exist": ReasonCheck(
        "Every cost center resolves to one valid cost center in ServiceNow.",
        frozenset(r for r in Reason if r.name.endswith("_COST_CENTER")),
    ),
    "suppliers_known": ReasonCheck(
        "Every document names a vendor that may be written.", frozenset({Reason.MISSING_SUPPLIER})
    ),
    "amounts_agree": ReasonCheck(
        "Amounts are readable, lines add up to their header, postings balance.",
        frozenset(
            {
                Reason.UNREADABLE_AMOUNT,
                Reason.TOTAL_MISMATCH,
                Reason.UNBALANCED_POSTING,
                Reason.UNKNOWN_CURRENCY,
                Reason.NO_LINES,
                Reason.MISSING_HEADER,
            }
        ),
    ),
}
_BY_TYPE: Mapping[str, tuple[str, ...]] = {
    "gl_account": ("gl_accounts_exist",),
    "cost_center": ("cost_centers_exist",),
    "vendor": (),
    "purchase_order": tuple(REASON_CHECKS),
    "vendor_bill": tuple(REASON_CHECKS),
    "gl_posting": ("gl_accounts_exist", "cost_centers_exist", "amounts_agree"),
}


def specs(
    record_type: str, asset_key: dg.AssetKey, partitions: dg.PartitionsDefinition | None
) -> list[dg.AssetCheckSpec]:
    """The checks declared on a record type's gate."""
    described = {
        SCHEMA: "The extract has every canonical column with its type. Blocks what follows.",
        NOTHING_LOST: "Documents read = accepted + rejected. Blocks what follows.",
        CONTROL_TOTALS: (
            "Per currency: amounts read = accepted + rejected, and accepted headers = their lines "
            "(postings: debits = credits). Blocks what follows."
        ),
        **{name: REASON_CHECKS[name].description for name in _BY_TYPE[record_type]},
        VALUES: "Texts fit, dates and choices are known, nothing required is missing.",
        LEDGER: (
            "Every posted bill, at its exchange rate, is what the ledger has as payable for it."
        ),
    }
    if record_type not in WITH_TOTALS:
        del described[CONTROL_TOTALS]
    if record_type != "vendor_bill":
        del described[LEDGER]
    return [
        dg.AssetCheckSpec(
            name,
            asset=asset_key,
            description=description,
            partitions_def=partitions,
            blocking=name in BLOCKING,
        )
        for name, description in described.items()
    ]


def schema_faults(record_type: str, documents: Documents) -> list[str]:
    """Structural faults of an extract, as opposed to bad values in it."""
    record = REGISTRY[record_type]
    faults = validate_schema(documents.headers, record.schema)
    if documents.lines is not None and record.line_schema is not None:
        faults += [f"lines: {f}" for f in validate_schema(documents.lines, record.line_schema)]
    return faults


def broken_schema(record_type: str, faults: Sequence[str]) -> list[CheckFigures]:
    """The results of a day that could not be judged at all."""
    results = [_error(SCHEMA, passed=False, description="; ".join(faults))]
    names = [NOTHING_LOST, *_BY_TYPE[record_type], VALUES]
    names += [CONTROL_TOTALS] if record_type in WITH_TOTALS else []
    names += [LEDGER] if record_type == "vendor_bill" else []
    results.extend(
        CheckFigures(name, passed=False, description="not judged: the schema does not hold")
        for name in names
    )
    return results


@dataclass(frozen=True, slots=True)
class Judged:
    """One day as it was read and judged, and what is needed to tell about it.

    `asked` is how many documents the extract knew of and asked for; `decimals` maps currency codes
    to their number of decimals; `file` holds every problem of the day. `ledger` are the bills that
    are not what the ledger has, for bills only (`ledger_problems`).
    """

    record_type: str
    documents: Documents
    outcome: Outcome
    context: Context
    decimals: Mapping[str, int]
    file: Path
    asked: int | None = None
    ledger: Listed | None = None


def figures(day: Judged) -> list[CheckFigures]:
    """All check results of one day."""
    record_type = day.record_type
    results = [
        _error(SCHEMA, passed=True, description="every canonical column is there"),
        _nothing_lost(day),
        *(_reason_check(name, REASON_CHECKS[name].reasons, day) for name in _BY_TYPE[record_type]),
        _reason_check(VALUES, _other_reasons(record_type), day),
    ]
    if record_type in WITH_TOTALS:
        results.append(_control_totals(day))
    if record_type == "vendor_bill":
        results.append(_agrees_with_ledger(day))
    return results


def _nothing_lost(day: Judged) -> CheckFigures:
    """Counted from the extract itself, not from the outcome that is being checked.

    A document that was deleted between being listed and being read is missing, too: the next run
    no longer lists it.
    """
    documents, outcome, asked = day.documents, day.outcome, day.asked
    id_column = "document_id" if REGISTRY[day.record_type].shape == "posting" else "internal_id"
    ids = {value or "" for value in values_of(documents.headers, id_column)}
    if documents.lines is not None:
        ids |= {value or "" for value in values_of(documents.lines, "document_id")}
    judged = set(outcome.accepted_ids) | set(outcome.rejected_ids)
    lost = [document_id or "(no id)" for document_id in sorted(ids - judged)]
    came = len({value for value in values_of(documents.headers, id_column) if value})
    missing = 0 if asked is None else max(asked - came, 0)
    adds_up = outcome.accepted + outcome.rejected == outcome.read == len(judged)
    return _error(
        NOTHING_LOST,
        passed=not lost and adds_up and not missing,
        description=(
            f"read {len(ids)}, accepted {outcome.accepted}, rejected {outcome.rejected}"
            + (f"; {len(lost)} not judged: {', '.join(lost[:20])}" if lost else "")
            + (
                f"; {missing} that NetSuite listed did not come: run the day again"
                if missing
                else ""
            )
        ),
        metadata={
            "read": len(ids),
            "accepted": outcome.accepted,
            "rejected": outcome.rejected,
            **_not_judged(lost),
        },
    )


def _not_judged(documents: Sequence[str]) -> dict[str, dg.TableMetadataValue]:
    rows = [{"document": document_id} for document_id in documents[:TABLE_ROWS]]
    if len(documents) > TABLE_ROWS:
        rows.append({"document": f"and {len(documents) - TABLE_ROWS} more"})
    return {"not_judged": table_of(("document",), rows)} if rows else {}


def _control_totals(day: Judged) -> CheckFigures:
    """Counted from the extract and from what would be written, not from the judging in between."""
    faults = lost_amounts(day.documents.headers, day.outcome)
    amounts = day.outcome.amounts()
    figures = {
        f"{name}_{currency or 'unknown'}": float(getattr(sums, name))
        for currency, sums in amounts.items()
        for name in ("read", "accepted", "rejected")
    }
    told = "; ".join(
        f"{currency or NO_CURRENCY}: read {amount_text(one.read, currency, day.decimals)}, "
        f"rejected {amount_text(one.rejected, currency, day.decimals)}"
        for currency, one in amounts.items()
    )
    return _error(
        CONTROL_TOTALS,
        passed=not faults,
        description="; ".join(faults) if faults else told or "no amounts on this day",
        metadata={**figures, **_totals(day, amounts)},
    )


def _totals(day: Judged, amounts: Mapping[str, Amounts]) -> dict[str, dg.TableMetadataValue]:
    """What was judged, and what would be written of it; exact, as what is plotted is not.

    That what was read is what was judged is for the check to say.
    """
    to_write = sums_to_write(day.outcome)
    rows: list[dict[str, str]] = []
    for currency in sorted({*amounts, *(code for sums in to_write.values() for code in sums)}):
        judged = amounts.get(currency, Amounts())
        sums = {
            "judged": judged.read,
            "accepted": judged.accepted,
            "rejected": judged.rejected,
            **{what: sums.get(currency, Decimal(0)) for what, sums in to_write.items()},
        }
        texts = {name: amount_text(one, currency, day.decimals) for name, one in sums.items()}
        rows.append({"currency": currency or NO_CURRENCY, **texts})
    return {"totals": table_of(rows[0], rows)} if rows else {}


def ledger_problems(
    documents: Documents, outcome: Outcome, postings: pd.DataFrame, context: Context
) -> pd.DataFrame:
    """Bills that are not what the ledger has for them, in the columns of the gate's `problems`."""
    assert documents.lines is not None  # noqa: S101 - bills have lines
    found = disagreements(documents.headers, documents.lines, postings, context)
    remedies = {one.document_id: one.remedy for one in found}
    told = records_of(rows_with(outcome.documents, "document_id", set(remedies)))
    reason = {"record_type": outcome.record_type, "reason": "LEDGER_DIFFERS"}
    return problem_frame([one | reason | {"remedy": remedies[one["document_id"]]} for one in told])


def _agrees_with_ledger(day: Judged) -> CheckFigures:
    bills, differ = len(day.documents.headers), day.ledger
    return CheckFigures(
        LEDGER,
        passed=differ is None,
        description=(
            f"all {bills} bills agree with their postings, or are not posted"
            if differ is None
            else f"{len(differ.problems)} of {bills} bills are not what the ledger has for them"
            + differ.shown
        ),
        metadata={"differ": 0}
        if differ is None
        else {"differ": len(differ.problems), **differ.metadata(day.decimals)},
    )


def _reason_check(name: str, reasons: frozenset[Reason], day: Judged) -> CheckFigures:
    outcome = day.outcome
    problems = rows_with(outcome.problems, "reason", {str(reason) for reason in reasons})
    told = Listed(problems, day.file)
    failing = set(values_of(problems, "document_id"))
    metadata: dict[str, object] = {
        "documents_refused": len(failing),
        "problems": len(problems),
        **_at_stake(rows_with(outcome.documents, "document_id", failing)),
    }
    if failing:
        metadata |= told.metadata(day.decimals)
    return CheckFigures(
        name,
        passed=not failing,
        description=(
            f"{len(failing)} of {outcome.read} documents are refused{told.shown}"
            if failing
            else f"all {outcome.read} documents pass"
        ),
        metadata=metadata,
    )


def _at_stake(documents: pd.DataFrame) -> dict[str, float]:
    """Per currency, to plot: exact amounts are in the table and in `nsn rejections`."""
    sums: dict[str, Decimal] = {}
    for row in records_of(documents, ("amount", "currency")):
        if row["amount"] is not None:
            key = f"refused_{row['currency'] or 'unknown'}"
            sums[key] = sums.get(key, Decimal(0)) + row["amount"]
    return {name: float(total) for name, total in sorted(sums.items())}


def _other_reasons(record_type: str) -> frozenset[Reason]:
    covered = {reason for name in _BY_TYPE[record_type] for reason in REASON_CHECKS[name].reasons}
    return frozenset(set(Reason) - covered)


def _error(
    name: str, *, passed: bool, description: str, metadata: Mapping[str, object] | None = None
) -> CheckFigures:
    return CheckFigures(
        name,
        passed=passed,
        description=description,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata=metadata or {},
    )
