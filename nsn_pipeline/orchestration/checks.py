"""The asset checks of the gate: which there are per record type, and how a day's outcome fills
them.

Severity: a rejected document warns, because its neighbours go on; a broken schema or a lost row is
an error and stops everything downstream.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from nsn_pipeline.conform.outcome import Documents, Outcome
from nsn_pipeline.conform.reasons import Reason
from nsn_pipeline.frames import rows_with, values_of
from nsn_pipeline.orchestration.reporting import CheckFigures, problem_table
from nsn_pipeline.records.canonical import validate_schema
from nsn_pipeline.records.registry import REGISTRY

__all__ = ["CheckFigures", "broken_schema", "figures", "schema_faults", "specs"]

SCHEMA, NOTHING_LOST, VALUES = "schema_holds", "nothing_lost", "values_usable"


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
        **{name: REASON_CHECKS[name].description for name in _BY_TYPE[record_type]},
        VALUES: "Texts fit, dates and choices are known, nothing required is missing.",
    }
    return [
        dg.AssetCheckSpec(
            name,
            asset=asset_key,
            description=description,
            partitions_def=partitions,
            blocking=name in {SCHEMA, NOTHING_LOST},
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
    results.extend(
        CheckFigures(name, passed=False, description="not judged: the schema does not hold")
        for name in (NOTHING_LOST, *_BY_TYPE[record_type], VALUES)
    )
    return results


def figures(
    record_type: str,
    documents: Documents,
    outcome: Outcome,
    *,
    decimals: Mapping[str, int],
    asked: int | None,
) -> list[CheckFigures]:
    """All check results of one day.

    `decimals` maps currency codes to their number of decimals; `asked` is how many documents the
    extract knew of and asked for.
    """
    return [
        _error(SCHEMA, passed=True, description="every canonical column is there"),
        _nothing_lost(record_type, documents, outcome, asked),
        *(
            _reason_check(name, REASON_CHECKS[name].reasons, outcome, decimals)
            for name in _BY_TYPE[record_type]
        ),
        _reason_check(VALUES, _other_reasons(record_type), outcome, decimals),
    ]


def _nothing_lost(
    record_type: str, documents: Documents, outcome: Outcome, asked: int | None
) -> CheckFigures:
    """Counted from the extract itself, not from the outcome that is being checked.

    A document that was deleted between being listed and being read is missing, too: the next run
    no longer lists it.
    """
    id_column = "document_id" if REGISTRY[record_type].shape == "posting" else "internal_id"
    ids = {value or "" for value in values_of(documents.headers, id_column)}
    if documents.lines is not None:
        ids |= {value or "" for value in values_of(documents.lines, "document_id")}
    judged = set(outcome.accepted_ids) | set(outcome.rejected_ids)
    lost = sorted(ids - judged)
    summary: dict[str, Any] = outcome.summary()
    came = len({value for value in values_of(documents.headers, id_column) if value})
    missing = 0 if asked is None else max(asked - came, 0)
    adds_up = outcome.accepted + outcome.rejected == outcome.read == len(judged)
    return _error(
        NOTHING_LOST,
        passed=not lost and adds_up and not missing,
        description=(
            f"read {len(ids)}, accepted {outcome.accepted}, rejected {outcome.rejected}"
            + (f"; not judged: {', '.join(lost[:20])}" if lost else "")
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
            "amounts": dg.MetadataValue.json(summary["amounts"]),
        },
    )


def _reason_check(
    name: str, reasons: frozenset[Reason], outcome: Outcome, decimals: Mapping[str, int]
) -> CheckFigures:
    problems = rows_with(outcome.problems, "reason", {str(reason) for reason in reasons})
    failing = len(set(values_of(problems, "document_id")))
    return CheckFigures(
        name,
        passed=not failing,
        description=(
            f"{failing} of {outcome.read} documents are refused"
            if failing
            else f"all {outcome.read} documents pass"
        ),
        metadata={
            "documents_refused": failing,
            "problems": len(problems),
            "documents": problem_table(problems, decimals),
        },
    )


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
