# ruff: noqa: PLR2004  (made-up data is made of arbitrary numbers)
"""The ServiceNow side: its GL accounts and cost centers, and what it deliberately lacks.

The missing codes are stable, so that documentation, demos and tests can name them.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from nsn_pipeline.sandbox.data.chart import accounts
from nsn_pipeline.sandbox.data.company import Company, Shape
from nsn_pipeline.sandbox.data.organisation import departments
from nsn_pipeline.sandbox.data.tables import Chunk, Row, row

MISSING_GL_ACCOUNTS = ("6455", "7160")
MISSING_COST_CENTERS = ("CC-245", "CC-330")
EXPIRED_COST_CENTERS = ("CC-520",)
# The order in which documents run into them.
GAP_CODES = (
    MISSING_GL_ACCOUNTS[0],
    MISSING_COST_CENTERS[0],
    EXPIRED_COST_CENTERS[0],
    MISSING_GL_ACCOUNTS[1],
    MISSING_COST_CENTERS[1],
)
_EXPIRED_BEFORE = timedelta(days=120)  # well before any document of the window is dated


@dataclass(frozen=True, slots=True)
class KnownGaps:
    """Codes used by documents that ServiceNow cannot take; names as NetSuite has them."""

    gl_accounts: dict[str, str]
    cost_centers: dict[str, str]
    expired_cost_centers: dict[str, str]
    expired_on: date


def known_gaps(shape: Shape = "multi", *, first_day: date) -> KnownGaps:
    chart, centers = accounts(Company(shape)), departments(Company(shape))
    return KnownGaps(
        gl_accounts={code: chart[code].name for code in MISSING_GL_ACCOUNTS},
        cost_centers={code: centers[code].name for code in MISSING_COST_CENTERS},
        expired_cost_centers={code: centers[code].name for code in EXPIRED_COST_CENTERS},
        expired_on=first_day - _EXPIRED_BEFORE,
    )


def servicenow_tables(company: Company, first_day: date) -> Iterator[Chunk]:
    yield "servicenow", "itfm_gl_accounts", list(_gl_accounts(company))
    yield "servicenow", "cmn_cost_center", list(_cost_centers(company, first_day))
    yield "servicenow", "core_company", list(_companies())


def _gl_accounts(company: Company) -> Iterator[Row]:
    for account in accounts(company).values():
        if account.number is None or account.code in MISSING_GL_ACCOUNTS:
            continue
        # Every tenth name is out of date: a first sync has something to correct.
        name = account.name if int(account.code) % 100 != 20 else f"{account.name} (old)"
        yield row(
            "itfm_gl_accounts",
            sys_id=_sys_id("gl", account.code),
            account_number=account.code,
            account_name=name,
        )
    # Only ServiceNow knows this one; nothing in NetSuite points at it.
    yield row(
        "itfm_gl_accounts",
        sys_id=_sys_id("gl", "8000"),
        account_number="8000",
        account_name="Statistical Hours",
    )


def _cost_centers(company: Company, first_day: date) -> Iterator[Row]:
    for center in departments(company).values():
        if center.code in MISSING_COST_CENTERS:
            continue
        expired = center.code in EXPIRED_COST_CENTERS
        yield row(
            "cmn_cost_center",
            sys_id=_sys_id("cc", center.code),
            code=center.code,
            name=center.name,
            valid_from=f"{first_day - timedelta(days=1500)} 00:00:00",
            valid_to=f"{first_day - _EXPIRED_BEFORE} 00:00:00" if expired else None,
        )


def _companies() -> Iterator[Row]:
    """Companies that were there before: not ours, some with a name one of our vendors has too."""
    known = (
        ("Contoso Computers", "true", "false", "Redmond", "US"),
        ("Fabrikam Furniture", "true", "false", "Leeds", "GB"),
        ("Twin Peaks Logistics", "true", "false", "Snoqualmie", "US"),
        ("Northwind Customers", "false", "true", "Tacoma", "US"),
        ("Harrow Castings", "false", "false", "Akron", "US"),
    )
    for name, vendor, customer, city, country in known:
        yield row(
            "core_company",
            sys_id=_sys_id("company", name),
            name=name,
            vendor=vendor,
            customer=customer,
            city=city,
            country=country,
        )


def _sys_id(*parts: str) -> str:
    """The same 32 hex digits for the same thing, so that a re-seeded instance keeps its ids."""
    return hashlib.md5("|".join(parts).encode(), usedforsecurity=False).hexdigest()
