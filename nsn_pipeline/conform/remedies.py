"""The sentences people read: what is wrong, where, and what cures it.

Each names number and name, the office, and the place to act, so that an accountant needs neither
this code nor NetSuite's internal ids to know what to do.
"""

from nsn_pipeline.conform.crosswalk import Crosswalk, Resolution
from nsn_pipeline.profiles.model import ReferenceTable

MAPPING_FILES = {
    "gl_account": "mappings/gl_accounts.csv",
    "cost_center": "mappings/cost_centers.csv",
}
_STATES = {
    "INACTIVE": ("inactive", "make it active"),
    "EXPIRED": ("not valid", "extend its validity"),
}
NOUNS = {"gl_account": "account", "cost_center": "department"}


def unresolved(
    crosswalk: Crosswalk,
    table: ReferenceTable,
    internal_id: str,
    found: Resolution,
    *,
    office: str,
    day: str,
) -> str:
    """Why an account or department of a line has no place in ServiceNow, and the cure."""
    noun, path = NOUNS[crosswalk.kind], MAPPING_FILES[crosswalk.kind]
    named = describe(crosswalk, internal_id)
    where = f" (office {office})" if office else ""
    what = "" if found.reason is None else found.reason.value.partition("_")[0]
    target = found.target_code or ""
    if internal_id not in crosswalk.codes:
        return (
            f"NetSuite shows no {noun} with internal id {internal_id}{where}: let the integration "
            f"role see it, or map the id in {path}."
        )
    if found.method == "override":
        subject = f"{path} maps {noun} {named}{where} to"
        return _override(subject, target, what, table, day)
    if found.code is None:
        return (
            f"{noun.capitalize()} {named}{where} has no code in NetSuite: give it one there, or "
            f"map its internal id {internal_id} in {path}."
        )
    if what == "AMBIGUOUS":
        return (
            f"{table.table} in ServiceNow has more than one usable row with {table.code} "
            f"{found.code}: keep one active for {noun} {named}{where}."
        )
    if what in _STATES:
        state, cure = _STATES[what]
        on = _on(day) if what == "EXPIRED" else ""
        return (
            f"{noun.capitalize()} {named}{where} is {state}{on} in {table.table} in ServiceNow: "
            f"{cure} there, or map it to another code in {path}."
        )
    return f"Add {noun} {named}{where} to {table.table} in ServiceNow, or map it in {path}."


def describe(crosswalk: Crosswalk, internal_id: str) -> str:
    """`7160 'Agency staff'`; the name alone when there is no number."""
    code, name = crosswalk.codes.get(internal_id), crosswalk.names.get(internal_id)
    quoted = f"'{name}'" if name else ""
    return " ".join(part for part in (code, quoted) if part) or f"with internal id {internal_id}"


def no_account(noun: str, *, office: str) -> str:
    where = f" (office {office})" if office else ""
    return (
        f"The line has no {noun} in NetSuite{where}: choose one on the line, or on the item it "
        "orders, and save."
    )


def missing_supplier(vendor_id: str, name: str) -> str:
    named = f"'{name}' (internal id {vendor_id})" if name else f"with internal id {vendor_id}"
    return (
        f"Vendor {named} is not among the accepted suppliers: cure the vendor's own rejection, or "
        "let the integration role see it."
    )


def too_precise(value: str, currency: str, places: int) -> str:
    allowed = {0: "no decimals", 1: "one decimal"}.get(places, f"{places} decimals")
    unit = currency or "the column"
    return f"{value} has more decimals than {unit} allows ({allowed}): correct it in NetSuite."


def _override(subject: str, target: str, what: str, table: ReferenceTable, day: str) -> str:
    if not target:
        return f"{subject} several codes at once: keep one line for each period."
    state, cure = {
        "AMBIGUOUS": ("has more than once", f"keep one {target} active there"),
        "INACTIVE": ("has as inactive", f"make {target} active there"),
        "EXPIRED": (f"has as not valid{_on(day)}", f"extend the validity of {target} there"),
    }.get(what, ("does not have", f"add {target} there"))
    return (
        f"{subject} {target}, which {table.table} in ServiceNow {state}: {cure}, or correct the "
        "mapping file."
    )


def _on(day: str) -> str:
    return f" on {day}" if day else ""
