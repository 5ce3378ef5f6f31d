"""What can go wrong with one record between planning and proof of its writing.

Pure. A record that fails is a value: it keeps ServiceNow's words and says what a person can do.
Broken systems are exceptions (`errors`).
"""

from collections.abc import Iterable

from nsn_pipeline.conform.reasons import Problem, Reason


def duplicate_id(key: str, external_key: str) -> Problem:
    return Problem(
        Reason.DUPLICATE_ID,
        None,
        external_key,
        key,
        f"The extract holds {key} more than once, with different values: read the day again, "
        "and look at the record in NetSuite if it stays so.",
    )


def unsafe_key(key: str, external_key: str) -> Problem:
    return Problem(
        Reason.UNSAFE_KEY,
        None,
        external_key,
        key,
        "ServiceNow cannot look this key up (it is empty, holds a ^ or a control character, or "
        "begins or ends with a space): correct it in NetSuite, or choose another key in the "
        "profile.",
    )


def duplicate_in_servicenow(
    table: str, external_key: str, key: str, sys_ids: Iterable[str]
) -> Problem:
    return Problem(
        Reason.DUPLICATE_IN_SERVICENOW,
        None,
        external_key,
        key,
        f"{table} holds several records with {external_key} = {key} "
        f"({', '.join(sorted(sys_ids))}): keep one, clear the column on the others, and put a "
        "unique index on it.",
    )


def hidden_rows(table: str, external_key: str, key: str) -> Problem:
    return Problem(
        Reason.HIDDEN_IN_SERVICENOW,
        None,
        external_key,
        key,
        f"{table} counts rows with {external_key} = {key} and hides them from our role: grant it "
        "read access to all rows of the table, then replay this document.",
    )


def key_conflict(table: str, external_key: str, key: str, sys_id: str, other_key: str) -> Problem:
    return Problem(
        Reason.KEY_CONFLICT,
        None,
        external_key,
        key,
        f"The record made for {key} ({table} {sys_id}) now carries {external_key} = {other_key}: "
        f"set it back to {key}, or delete that record if it is wrong.",
    )


_MISSING = {
    "vendor": (Reason.MISSING_SUPPLIER, "supplier"),
    "purchase_order": (Reason.MISSING_PURCHASE_ORDER, "purchase order"),
    "purchase_order_line": (Reason.MISSING_PURCHASE_ORDER, "purchase order line"),
}


def missing_reference(record_type: str, key: str, column: str) -> Problem:
    reason, noun = _MISSING.get(
        record_type, (Reason.MISSING_REFERENCE, record_type.replace("_", " "))
    )
    return Problem(
        reason,
        None,
        column,
        key,
        f"The {noun} {key} was not loaded: see its own problems, cure them, and replay this "
        "document.",
        reference=f"{record_type}:{key}",
    )


def missing_header(document_id: str) -> Problem:
    return Problem(
        Reason.MISSING_HEADER,
        None,
        "",
        document_id,
        f"Lines of {document_id} came without their document: read the day again.",
    )


def refused(words: str) -> Problem:
    return Problem(
        Reason.REFUSED_BY_SERVICENOW,
        None,
        "",
        words,
        f"ServiceNow refused the record: {words}. Meet or change the rule it names, then replay "
        "this document.",
    )


def not_stored(column: str, wanted: str, stored: str | None) -> Problem:
    shows = "does not show the column" if stored is None else f"stored {stored!r}"
    return Problem(
        Reason.NOT_STORED,
        None,
        column,
        wanted,
        f"ServiceNow accepted the record but {shows}: create the column or let the role write it, "
        "or give it `owner: servicenow` in the profile if ServiceNow computes it.",
    )


def other_amount(column: str, wanted: str, stored: str, reader_currency: str) -> Problem:
    return Problem(
        Reason.NOT_STORED,
        None,
        column,
        wanted,
        f"ServiceNow accepted the record but stored {stored!r} for {wanted!r}: look for a business "
        "rule that changes the amount, or correct SERVICENOW_CURRENCY if our user is not shown "
        f"amounts in {reader_currency}.",
    )


def not_deleted(sys_id: str) -> Problem:
    return Problem(
        Reason.NOT_STORED,
        None,
        "sys_id",
        sys_id,
        f"ServiceNow says that {sys_id} is deleted or not there, and still shows it: let the role "
        "delete records of the table, or retire them otherwise in the profile.",
    )


def retirement_held(table: str, key: str, why: str) -> Problem:
    return Problem(
        Reason.RETIREMENT_HELD,
        None,
        "",
        key,
        f"NetSuite no longer has {key}, and {table} still does: {why}",
    )


def ending_held(table: str, key: str, why: str) -> Problem:
    return Problem(
        Reason.RETIREMENT_HELD,
        None,
        "",
        key,
        f"NetSuite shows {key} as void, closed or inactive, and {table} still shows it live: {why}",
    )


def not_planned(kind: str) -> Problem:
    return Problem(
        Reason.NOT_IN_PLAN,
        None,
        "",
        kind,
        f"The {kind} that is due now is not the one that was planned: NetSuite or ServiceNow "
        "changed meanwhile, and the record was left alone. Plan again.",
    )


def outcome_unknown(words: str) -> Problem:
    return Problem(
        Reason.OUTCOME_UNKNOWN,
        None,
        "",
        words,
        f"ServiceNow never confirmed the record ({words}): run the partition again, which looks "
        "the record up before anything is sent.",
    )
