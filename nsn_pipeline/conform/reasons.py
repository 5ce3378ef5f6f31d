"""Why a document may not be written: stable codes, and one problem as a value."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Codes that alerts, replay and reports rely on: add to them, never rename one."""

    MISSING_GL_ACCOUNT = "MISSING_GL_ACCOUNT"
    INACTIVE_GL_ACCOUNT = "INACTIVE_GL_ACCOUNT"
    EXPIRED_GL_ACCOUNT = "EXPIRED_GL_ACCOUNT"  # active, but not valid on the document's date
    AMBIGUOUS_GL_ACCOUNT = "AMBIGUOUS_GL_ACCOUNT"
    MISSING_COST_CENTER = "MISSING_COST_CENTER"
    INACTIVE_COST_CENTER = "INACTIVE_COST_CENTER"
    EXPIRED_COST_CENTER = "EXPIRED_COST_CENTER"
    AMBIGUOUS_COST_CENTER = "AMBIGUOUS_COST_CENTER"
    MISSING_SUPPLIER = "MISSING_SUPPLIER"
    MISSING_PURCHASE_ORDER = "MISSING_PURCHASE_ORDER"
    MISSING_VALUE = "MISSING_VALUE"
    UNREADABLE_AMOUNT = "UNREADABLE_AMOUNT"
    UNREADABLE_DATE = "UNREADABLE_DATE"
    UNREADABLE_VALUE = "UNREADABLE_VALUE"
    UNKNOWN_CURRENCY = "UNKNOWN_CURRENCY"
    UNKNOWN_CHOICE = "UNKNOWN_CHOICE"
    TEXT_TOO_LONG = "TEXT_TOO_LONG"
    TOTAL_MISMATCH = "TOTAL_MISMATCH"
    UNBALANCED_POSTING = "UNBALANCED_POSTING"
    NO_LINES = "NO_LINES"
    MISSING_HEADER = "MISSING_HEADER"  # lines whose document did not come with them
    DUPLICATE_ID = "DUPLICATE_ID"
    UNSAFE_KEY = "UNSAFE_KEY"
    # Found while writing, by `load`:
    DUPLICATE_IN_SERVICENOW = "DUPLICATE_IN_SERVICENOW"
    HIDDEN_IN_SERVICENOW = "HIDDEN_IN_SERVICENOW"  # counted by ServiceNow, and not shown to us
    KEY_CONFLICT = "KEY_CONFLICT"
    MISSING_REFERENCE = "MISSING_REFERENCE"
    REFUSED_BY_SERVICENOW = "REFUSED_BY_SERVICENOW"
    NOT_STORED = "NOT_STORED"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    NOT_IN_PLAN = "NOT_IN_PLAN"  # `nsn sync --plan` does what was planned and nothing else
    RETIREMENT_HELD = "RETIREMENT_HELD"  # gone from NetSuite, left alone in ServiceNow for now


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with one document.

    `remedy` is one sentence an accountant can act on. `reference` ("gl_account:7160") is there when
    a mapping or a new ServiceNow row would cure it: replay finds the document by it.
    """

    reason: Reason
    line_id: str | None
    column: str
    value: str | None
    remedy: str
    reference: str | None = None
