"""ServiceNow tables and columns against the profile: there, readable, writable, fitting.

A column is judged by the dictionary with its whole class chain. What the dictionary does not show
this user is *unverified*, never *missing*.
"""

from collections.abc import Mapping, Sequence

from nsn_pipeline.clients.dictionary import ColumnInfo, parent_of
from nsn_pipeline.clients.encoded_query import Query
from nsn_pipeline.clients.servicenow import ServiceNowClient
from nsn_pipeline.doctor.finding import Checklist
from nsn_pipeline.doctor.needs import TableNeed, TargetNeed, merged
from nsn_pipeline.doctor.servicenow_login import deny_endpoints, is_endpoint_acl
from nsn_pipeline.errors import (
    AuthenticationError,
    MissingTableError,
    NsnError,
    PermissionDeniedError,
)

_TEXTS = frozenset(
    {"string", "url", "email", "phone_number_e164", "ph_number", "translated_text", "html",
     "string_full_utf8", "char", "choice", "multi_two_lines"}
)  # fmt: skip
_NUMBERS = frozenset({"decimal", "float", "integer", "longint", "numeric"})
_MONEY = frozenset({"currency", "price", "currency2", "fx_currency2_instance", "fx_currency"})
_FITS: dict[str, frozenset[str]] = {
    "text": _TEXTS,
    "key": frozenset({"string"}),
    "choice": _TEXTS | {"integer"},
    "flag": frozenset({"boolean"}),
    "integer": frozenset({"integer", "longint", "numeric", "decimal", "float"}),
    "decimal": _NUMBERS - {"integer", "longint"},
    "quantity": _NUMBERS,
    "money": _MONEY,
    "date": frozenset({"glide_date", "date", "due_date"}),
    "datetime": frozenset({"glide_date_time", "due_date", "datetime"}),
    "reference": frozenset({"reference"}),
}
_SUGGESTED = {
    "text": "String",
    "key": "String",
    "choice": "Choice",
    "flag": "True/False",
    "integer": "Integer",
    "decimal": "Decimal",
    "quantity": "Decimal",
    "money": "Currency",
    "date": "Date",
    "datetime": "Date/Time",
    "reference": "Reference",
}
# Documented as "strict read-only": forms lock them, scripts write them, and what REST does is not
# documented (docs/facts/servicenow.md 7.3).
_STRICT = {
    "proc_po": frozenset({"status"}),
    "proc_po_item": frozenset({"status", "purchase_order"}),
}
_PLUG_INS = {
    "proc_po": "Procurement (com.snc.procurement)",
    "proc_po_item": "Procurement (com.snc.procurement)",
    "itfm_gl_accounts": "Financial Management (Legacy), or another profile such as s2p",
    "sn_apo_invoice": "the application it belongs to, or choose another profile such as s2p",
    "sn_apo_invoice_line": "the application it belongs to, or choose another profile such as s2p",
}
_SCRIPT = "docs/connect-servicenow.md has a script that creates it"


def check_tables(
    checklist: Checklist, client: ServiceNowClient, needs: Mapping[str, TableNeed]
) -> list[str]:
    """Every table with its columns; returns the tables that can be read."""
    shown: dict[str, dict[str, ColumnInfo] | None] = {}
    denied: dict[str, PermissionDeniedError] = {}
    for need in needs.values():
        try:
            shown[need.table] = client.columns(need.table)
        except PermissionDeniedError as error:
            denied[need.table] = error
        except AuthenticationError:
            raise  # the next table would be refused too, and each refusal counts towards a lock
        except NsnError as error:
            _report_absent(checklist, need, error)
    if len(denied) == len(needs):
        # The same words keep a user off a single table, so they say "REST" only where all say so.
        if all(map(is_endpoint_acl, denied.values())):
            deny_endpoints(checklist)
        else:
            _report_all_denied(checklist, len(needs))
        return []
    for table in denied:
        _report_denied(checklist, table)
    _check_dictionary(checklist, shown)
    targets = _Targets(client)
    for table, columns in shown.items():
        checklist.ok(f"servicenow.table.{table}", "ServiceNow table", f"{table} answers")
        if columns is None:
            checklist.skip(f"servicenow.columns.{table}", "ServiceNow columns", "the dictionary")
        else:
            _check_columns(checklist, needs[table], columns, targets)
    return list(shown)


def _report_absent(checklist: Checklist, need: TableNeed, error: NsnError) -> None:
    id_, title = f"servicenow.table.{need.table}", "ServiceNow table"
    if not isinstance(error, MissingTableError):
        checklist.failed_call(id_, title, error)
        return
    own = need.table.startswith("u_")
    remedy = f"Create the table: {_SCRIPT}."
    if not own:
        plug_in = _PLUG_INS.get(need.table, "the application it belongs to")
        remedy = f"Activate the plug-in: {plug_in}."
    checklist.fail(id_, title, f"{need.table} does not exist on this instance", remedy)


def _report_all_denied(checklist: Checklist, count: int) -> None:
    checklist.fail(
        "servicenow.tables",
        "ServiceNow tables",
        f"the login is good, and this user may read none of the {count} tables of the profile",
        "Give the integration user (with OAuth: the OAuth Application User) the roles listed in "
        "docs/connect-servicenow.md.",
    )


def _report_denied(checklist: Checklist, table: str) -> None:
    checklist.fail(
        f"servicenow.table.{table}",
        "ServiceNow table",
        f"{table} exists and this user may not read it",
        f"Give the integration user a role that reads and writes {table}, and tick 'Allow access "
        "to this table via web services' on the table.",
    )


def _check_dictionary(
    checklist: Checklist, shown: Mapping[str, dict[str, ColumnInfo] | None]
) -> None:
    title = "ServiceNow dictionary"
    remedy = (
        "Give the integration user read access to sys_db_object and sys_dictionary (role "
        "personalize_dictionary); loads are faster with it, too. Or compare the columns with "
        "docs/connect-servicenow.md by hand."
    )
    if not shown:
        checklist.skip("servicenow.dictionary", title, "a table that can be read")
    elif any(columns is None for columns in shown.values()):
        detail = "columns cannot be verified: the dictionary and the UI's metadata are closed"
        checklist.unverified("servicenow.dictionary", title, detail, remedy)
    elif any(_is_partial(columns) for columns in shown.values() if columns):
        detail = "unique indexes cannot be verified: the dictionary is closed to this user"
        checklist.unverified("servicenow.dictionary", title, detail, remedy)
    else:
        checklist.ok("servicenow.dictionary", title, "readable, with the whole class chain")


def _is_partial(columns: Mapping[str, ColumnInfo]) -> bool:
    return all(info.unique is None for info in columns.values())


class _Targets:
    """Which tables a table extends, asked only when a reference points to another than expected."""

    def __init__(self, client: ServiceNowClient) -> None:
        self._client = client

    def is_kind_of(self, table: str, ancestor: str) -> bool:
        seen: set[str] = set()
        if not table:  # the profile expects no table in particular
            return True
        while table and table not in seen:
            if table == ancestor:
                return True
            seen.add(table)
            query = Query().where("name", "=", table)
            try:
                fields = ("super_class", "super_class.name")
                pages = self._client.rows("sys_db_object", query=query, fields=fields)
                table = next((parent_of(row) or "" for page in pages for row in page), "")
            except NsnError:
                return False
        return False


def _check_columns(
    checklist: Checklist, need: TableNeed, columns: Mapping[str, ColumnInfo], targets: _Targets
) -> None:
    uses = merged(need.uses)
    for name, wanted in uses.items():
        info = columns.get(name)
        if info is not None:
            _check_column(checklist, need.table, info, wanted, targets)
        elif any(use.kind != "wish" for use in wanted):
            _report_missing(checklist, need.table, wanted, is_partial=_is_partial(columns))
    written = {name for name, wanted in uses.items() if any(use.is_written for use in wanted)}
    unfed = sorted(
        name
        for name, info in columns.items()
        if need.creates and info.mandatory and not info.default_value and name not in written
    )
    absent = sorted(name for name in uses if name not in columns)
    spared = [name for name in absent if all(use.kind == "wish" for use in uses[name])]
    detail = f"{need.table}: {len(uses) - len(absent)} of {len(uses)} columns found"
    if spared:
        detail += f"; {', '.join(spared)} may be absent"
    if unfed:
        detail += f"; mandatory on forms and not written by us: {', '.join(unfed)}"
    checklist.ok(
        f"servicenow.columns.{need.table}", "ServiceNow columns", detail, mandatory=", ".join(unfed)
    )


def _report_missing(
    checklist: Checklist, table: str, wanted: Sequence[TargetNeed], *, is_partial: bool
) -> None:
    use = wanted[0]
    checklist.fail(
        f"servicenow.column.{table}.{use.column}",
        "ServiceNow column",
        f"{table}.{use.column} does not exist{', or is hidden from this user' * is_partial}: "
        + (
            "what is written to it would vanish silently"
            if any(one.is_written for one in wanted)
            else "there is nothing to compare with"
        ),
        f"Add the column to {table} as {_kind(use)} ({_SCRIPT}), or take it out of the profile.",
    )


def _kind(use: TargetNeed) -> str:
    suggested = _SUGGESTED.get(use.kind, "String")
    if use.reference:
        return f"{suggested} to {use.reference}"
    return f"{suggested} ({use.length})" if use.length else suggested


def _check_column(
    checklist: Checklist,
    table: str,
    info: ColumnInfo,
    wanted: Sequence[TargetNeed],
    targets: _Targets,
) -> None:
    """The first thing wrong with a column: one remedy usually cures the rest."""
    name = f"{table}.{info.name}"
    id_, title = f"servicenow.column.{name}", "ServiceNow column"
    for use in wanted:
        fits = _FITS.get(use.kind)
        if fits is not None and info.type and info.type not in fits:
            remedy = (
                f"Make {name} a column of type {_kind(use)}, or change its converter in the "
                "profile."
            )
            detail = f"{name} is of type {info.type}, which does not hold {use.kind} values"
            checklist.fail(id_, title, detail, remedy)
            return
        if info.reference and not targets.is_kind_of(use.reference, info.reference):
            checklist.fail(
                id_,
                title,
                f"{name} refers to {info.reference}, the profile expects {use.reference}",
                f"Make {name} a reference to {use.reference}, or correct the profile.",
            )
            return
        if info.type in _TEXTS and info.max_length and use.length > info.max_length:
            checklist.fail(
                id_,
                title,
                f"{name} holds {info.max_length} characters and {use.length} may be written: "
                "ServiceNow cuts the rest off silently",
                f"Raise the max length of {name} to {use.length}, or lower it in the profile.",
            )
            return
        if use.is_written and info.read_only:
            _report_read_only(checklist, table, info)
            return
        if use.unique and info.unique is False:
            checklist.fail(
                id_,
                title,
                f"{name} is our key and has no unique index: two writers could make duplicates",
                f"Tick Unique on {name} ({_SCRIPT}).",
            )
            return


def _report_read_only(checklist: Checklist, table: str, info: ColumnInfo) -> None:
    name = f"{table}.{info.name}"
    id_, title = f"servicenow.column.{name}", "ServiceNow column"
    if info.name in _STRICT.get(table, ()):
        checklist.unverified(
            id_,
            title,
            f"{name} is read-only on forms; whether REST may write it shows only when written",
            "Sync one document and look at the run's notes; a value that is not kept is named "
            "there.",
        )
        return
    checklist.fail(
        id_,
        title,
        f"{name} is read-only: ServiceNow drops what is written to it and answers success",
        f"Clear Read only on {name}, or take the column out of the profile.",
    )
