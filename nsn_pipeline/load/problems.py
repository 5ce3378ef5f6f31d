"""What can go wrong with one record between planning and proof of its writing.

Pure. A record that fails is a value: it keeps ServiceNow's words and says what a person can do.
Broken systems are exceptions (`errors`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class LoadReason(StrEnum):
    """Stable codes: alerts and replay rely on them."""

    DUPLICATE_ID = "DUPLICATE_ID"
    UNSAFE_KEY = "UNSAFE_KEY"
    MISSING_HEADER = "MISSING_HEADER"
    DUPLICATE_IN_SERVICENOW = "DUPLICATE_IN_SERVICENOW"
    KEY_CONFLICT = "KEY_CONFLICT"
    MISSING_SUPPLIER = "MISSING_SUPPLIER"
    MISSING_PURCHASE_ORDER = "MISSING_PURCHASE_ORDER"
    MISSING_REFERENCE = "MISSING_REFERENCE"
    REFUSED_BY_SERVICENOW = "REFUSED_BY_SERVICENOW"
    NOT_STORED = "NOT_STORED"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"


@dataclass(frozen=True, slots=True)
class LoadProblem:
    """The same fields as a conform problem, so that both can stand in one list of rejections."""

    reason: LoadReason
    column: str
    value: str | None
    remedy: str  # what a person can do about it, in one sentence
    reference: str | None = None  # "vendor:451": what a cure would bring
    line_id: str | None = None


def duplicate_id(key: str, external_key: str) -> LoadProblem:
    return LoadProblem(
        LoadReason.DUPLICATE_ID,
        external_key,
        key,
        f"The extract holds {key} more than once, with different values: read the day again, "
        "and look at the record in NetSuite if it stays so.",
    )


def unsafe_key(key: str, external_key: str) -> LoadProblem:
    return LoadProblem(
        LoadReason.UNSAFE_KEY,
        external_key,
        key,
        "ServiceNow cannot look this key up (it is empty, holds a ^ or a control character, or "
        "begins or ends with a space): correct it in NetSuite, or choose another key in the "
        "profile.",
    )


def duplicate_in_servicenow(
    table: str, external_key: str, key: str, sys_ids: Iterable[str]
) -> LoadProblem:
    return LoadProblem(
        LoadReason.DUPLICATE_IN_SERVICENOW,
        external_key,
        key,
        f"{table} holds several records with {external_key} = {key} "
        f"({', '.join(sorted(sys_ids))}): keep one, clear the column on the others, and put a "
        "unique index on it.",
    )


def key_conflict(
    table: str, external_key: str, key: str, sys_id: str, other_key: str
) -> LoadProblem:
    return LoadProblem(
        LoadReason.KEY_CONFLICT,
        external_key,
        key,
        f"The record made for {key} ({table} {sys_id}) now carries {external_key} = {other_key}: "
        f"set it back to {key}, or delete that record if it is wrong.",
    )


_MISSING = {
    "vendor": (LoadReason.MISSING_SUPPLIER, "supplier"),
    "purchase_order": (LoadReason.MISSING_PURCHASE_ORDER, "purchase order"),
    "purchase_order_line": (LoadReason.MISSING_PURCHASE_ORDER, "purchase order line"),
}


def missing_reference(record_type: str, key: str, column: str) -> LoadProblem:
    reason, noun = _MISSING.get(
        record_type, (LoadReason.MISSING_REFERENCE, record_type.replace("_", " "))
    )
    return LoadProblem(
        reason,
        column,
        key,
        f"The {noun} {key} was not loaded: see its own problems, cure them, and replay this "
        "document.",
        reference=f"{record_type}:{key}",
    )


def missing_header(document_id: str) -> LoadProblem:
    return LoadProblem(
        LoadReason.MISSING_HEADER,
        "",
        document_id,
        f"Lines of {document_id} came without their document: read the day again.",
    )


def refused(words: str) -> LoadProblem:
    return LoadProblem(
        LoadReason.REFUSED_BY_SERVICENOW,
        "",
        words,
        f"ServiceNow refused the record: {words}. Meet or change the rule it names, then replay "
        "this document.",
    )


def not_stored(column: str, wanted: str, stored: str | None) -> LoadProblem:
    shows = "does not show the column" if stored is None else f"stored {stored!r}"
    return LoadProblem(
        LoadReason.NOT_STORED,
        column,
        wanted,
        f"ServiceNow accepted the record but {shows}: create the column or let the role write it, "
        "or give it `owner: servicenow` in the profile if ServiceNow computes it.",
    )


def outcome_unknown(words: str) -> LoadProblem:
    return LoadProblem(
        LoadReason.OUTCOME_UNKNOWN,
        "",
        words,
        f"ServiceNow never confirmed the record ({words}): run the partition again, which looks "
        "the record up before anything is sent.",
    )
