"""NetSuite behind the login: tables, columns, features, limits, dates and books.

A feature that is off and a permission that is missing get the same answer (docs/facts/netsuite.md
4.6); they are told apart by whether the columns that point to a table are gone as well.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from nsn_pipeline.clients.degrade import read_refusal
from nsn_pipeline.clients.netsuite import NetSuiteClient
from nsn_pipeline.clients.suiteql import probe
from nsn_pipeline.doctor.finding import Checklist
from nsn_pipeline.doctor.needs import SourceNeed
from nsn_pipeline.errors import (
    MissingTableError,
    NsnError,
    RequestRefusedError,
    ServerFaultError,
)

# By table, as docs/connect-netsuite.md names them (a test compares): tab > permission, permission.
PERMISSIONS = {
    "vendor": "Lists > Vendors",
    "account": "Lists > Accounts",
    "department": "Lists > Departments",
    "subsidiary": "Lists > Subsidiaries",
    "currency": "Lists > Currency",
    "item": "Lists > Items",
    "accountingbook": "Setup > Accounting Book",
    "transaction": "Transactions > Find Transaction, Purchase Order, Bills, Vendor Credits",
    "transactionline": "Transactions > Find Transaction, Purchase Order, Bills, Vendor Credits",
    "transactionaccountingline": "Transactions > Find Transaction, Bills, Vendor Credits; "
    "Lists > Accounts",
    "nexttransactionlinelink": "Transactions > Find Transaction, Purchase Order, Bills",
    "deletedrecord": "Setup > Deleted Records",
}


@dataclass(frozen=True, slots=True)
class _Feature:
    """What vanishes when a feature is off, and what that means for us."""

    name: str
    table: str
    columns: frozenset[str]
    meaning: str
    remedy: str = ""  # empty: nothing to do, the account is simply built that way


FEATURES = (
    _Feature(
        "Departments",
        "department",
        frozenset({"department"}),
        "no line names a department, so no cost center is found",
        "Enable Departments under Setup > Company > Enable Features, or take cost_center out of "
        "the profile.",
    ),
    _Feature("Classes", "classification", frozenset({"class"}), "lines have no class"),
    _Feature("Locations", "location", frozenset({"location"}), "lines have no location"),
    _Feature(
        "OneWorld", "subsidiary", frozenset({"subsidiary"}), "the account has one company only"
    ),
    _Feature(
        "Multiple Currencies",
        "currency",
        frozenset({"currency", "exchangerate"}),
        "documents name no currency",
        "Set NSN_BASE_CURRENCY to the ISO code of the account's currency.",
    ),
    _Feature("Multi-Book", "accountingbook", frozenset({"accountingbook"}), "there is one book"),
)


@dataclass(slots=True)
class Survey:
    """What the account does not show."""

    tables: set[str] = field(default_factory=set[str])
    columns: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    crashing: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])


def survey(client: NetSuiteClient, needs: Mapping[str, SourceNeed]) -> Survey:
    """Ask for every table with all columns at once, and only on a refusal one by one."""
    found = Survey()
    for need in needs.values():
        if client.can_read(need.table):
            _survey_columns(client, need, found)
        else:
            found.tables.add(need.table)
    return found


def _survey_columns(client: NetSuiteClient, need: SourceNeed, found: Survey) -> None:
    left = set(need.columns)
    while left:
        columns = ", ".join(f"x.{name} AS c{n}" for n, name in enumerate(sorted(left)))
        try:
            client.query(f"SELECT {columns} FROM {need.table} x WHERE ROWNUM <= 1")  # noqa: S608 - names of ours
        except RequestRefusedError as error:
            missing = read_refusal(error.detail)
            name = missing.column.rpartition(".")[2] if missing else ""
            if name not in left:
                _survey_each(client, need.table, left, found)
                return
            found.columns.add((need.table, name))
            left.discard(name)
        except ServerFaultError:
            _survey_each(client, need.table, left, found)
            return
        else:
            return


def _survey_each(client: NetSuiteClient, table: str, columns: Iterable[str], found: Survey) -> None:
    for name in sorted(columns):
        try:
            client.query(probe(table, name))
        except RequestRefusedError:
            found.columns.add((table, name))
        except ServerFaultError:
            found.crashing.add((table, name))


def check_tables(
    checklist: Checklist,
    needs: Mapping[str, SourceNeed],
    found: Survey,
    *,
    base_currency: str,
) -> None:
    """Features first, as each explains several gaps; then tables, then single columns."""
    explained = _check_features(checklist, needs, found, base_currency)
    for need in needs.values():
        if need.table in found.tables:
            if need.table not in explained:
                _report_table(checklist, need)
            continue
        gone = sorted(c for t, c in found.columns | found.crashing if t == need.table)
        for column in gone:
            if f"{need.table}.{column}" not in explained:
                crashes = (need.table, column) in found.crashing
                _report_column(checklist, need, column, crashes=crashes)
        checklist.ok(
            f"netsuite.table.{need.table}",
            "NetSuite table",
            f"{need.table}: {len(need.columns) - len(gone)} of {len(need.columns)} columns",
        )


def _check_features(
    checklist: Checklist, needs: Mapping[str, SourceNeed], found: Survey, base_currency: str
) -> set[str]:
    """Features that are off; returns the tables and columns whose absence that explains."""
    explained: set[str] = set()
    for feature in FEATURES:
        wanted = {
            (need.table, column)
            for need in needs.values()
            for column in need.columns
            if column in feature.columns and need.table not in found.tables
        }
        table_gone = feature.table in found.tables or feature.table not in needs
        id_ = f"netsuite.feature.{re.sub(r'[ -]', '_', feature.name.lower())}"
        if not (table_gone and wanted and wanted <= found.columns):
            if wanted:
                checklist.ok(id_, "NetSuite feature", f"{feature.name} is on", on=True)
            continue
        explained |= {feature.table, *(f"{table}.{column}" for table, column in wanted)}
        words = f"{feature.name} is off: {feature.meaning}"
        required = sorted(f"{t}.{c}" for t, c in wanted if needs[t].columns[c])
        if required:
            words = f"{words}, and {', '.join(required)} cannot be read"
            checklist.fail(
                id_, "NetSuite feature", words, feature.remedy or f"Enable {feature.name}."
            )
        elif feature.table == "currency":
            if base_currency:
                checklist.ok(id_, "NetSuite feature", f"{words}; taken to be {base_currency}")
            else:
                checklist.fail(id_, "NetSuite feature", words, feature.remedy)
        elif feature.remedy:
            checklist.warn(id_, "NetSuite feature", words, feature.remedy)
        else:
            checklist.ok(id_, "NetSuite feature", words, on=False)
    return explained


def _report_table(checklist: Checklist, need: SourceNeed) -> None:
    permission = PERMISSIONS.get(need.table, need.table)
    id_, title = f"netsuite.table.{need.table}", "NetSuite table"
    remedy = f"Give the integration's role the permission {permission} (View)."
    if need.required:
        detail = f"{need.table} is hidden from the role, and nothing can be synced without it"
        checklist.fail(id_, title, detail, remedy)
    else:
        detail = f"{need.table} is hidden from the role: what it would tell is read as empty"
        checklist.warn(id_, title, detail, remedy)


def _report_column(checklist: Checklist, need: SourceNeed, column: str, *, crashes: bool) -> None:
    id_, title = f"netsuite.column.{need.table}.{column}", "NetSuite column"
    name = f"{need.table}.{column}"
    what = "makes NetSuite fail (UNEXPECTED_ERROR)" if crashes else "is hidden or unknown"
    permission = PERMISSIONS.get(need.table, need.table)
    custom = "Correct the field's script id in the profile, or let the role see the field."
    remedy = (
        custom
        if column.startswith("cust")
        else f"Enable the feature it belongs to, or give the role {permission} (View)."
    )
    if need.columns[column]:
        checklist.fail(id_, title, f"{name} {what}, and a run fails without it", remedy)
    else:
        checklist.warn(id_, title, f"{name} {what}: it is read as empty", remedy)


def check_concurrency(checklist: Checklist, client: NetSuiteClient, configured: int) -> None:
    title = "NetSuite concurrency"
    limit = client.concurrency_limit()
    if limit is None:
        checklist.unverified(
            "netsuite.concurrency",
            title,
            f"only administrators are told the account's limit; {configured} are used",
            "Look under Setup > Integration > Integration Governance and set NETSUITE_CONCURRENCY.",
            configured=configured,
        )
    elif limit < configured:
        checklist.warn(
            "netsuite.concurrency",
            title,
            f"the account allows {limit} requests in flight and {configured} are configured",
            f"Set NETSUITE_CONCURRENCY to {limit} or less.",
            limit=limit,
            configured=configured,
        )
    else:
        checklist.ok(
            "netsuite.concurrency",
            title,
            f"{configured} of {limit} requests in flight",
            limit=limit,
            configured=configured,
        )


def check_dates(
    checklist: Checklist, client: NetSuiteClient, readable: Iterable[str], now: float
) -> None:
    """The connection's zone and date format: facts, as everything is asked for in exact UTC."""
    title = "NetSuite dates"
    text = "SELECT TO_CHAR(SYSDATE,'YYYY-MM-DD HH24:MI:SS') AS here, SYSDATE AS raw FROM"
    for table in readable:
        try:
            rows = client.query(f"{text} {table} x WHERE ROWNUM <= 1")
            here = datetime.fromisoformat(rows[0]["here"]).replace(tzinfo=UTC)
        except (NsnError, IndexError, KeyError, ValueError):
            continue
        hours = round((here.timestamp() - now) / 900) / 4
        checklist.ok(
            "netsuite.dates",
            title,
            f"raw dates look like {rows[0].get('raw', '?')}, the connection is at UTC{hours:+g}: "
            "all are asked for as text in exact UTC",
            raw=rows[0].get("raw", ""),
            utc_offset_h=hours,
        )
        return
    checklist.unverified("netsuite.dates", title, "no table has a row to ask the date with")


def check_books(checklist: Checklist, client: NetSuiteClient) -> None:
    """Which book is the primary one: postings of the others repeat every amount."""
    title = "NetSuite accounting books"
    try:
        rows = client.query("SELECT x.id AS id, x.isprimary AS isprimary FROM accountingbook x")
    except MissingTableError:
        checklist.ok(
            "netsuite.books", title, "not readable: book 1, NetSuite's first, is taken as primary"
        )
        return
    except NsnError as error:
        checklist.unverified("netsuite.books", title, str(error))
        return
    primary = [row.get("id", "") for row in rows if row.get("isprimary") == "T"]
    if len(primary) != 1 and rows:
        checklist.warn(
            "netsuite.books",
            title,
            f"{len(primary)} books are marked primary",
            "Let the role see every accounting book (Setup > Accounting Book, View).",
        )
    else:
        book = primary[0] if primary else "1"
        words = f"book {book} is the primary one of {len(rows)}"
        checklist.ok("netsuite.books", title, words, books=len(rows), primary=book)
