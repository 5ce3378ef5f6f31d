"""Rows of the master tables: what documents refer to."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from nsn_pipeline.sandbox.data.catalogue import GAP_ITEM, TERMS, items
from nsn_pipeline.sandbox.data.company import PARENT, Company
from nsn_pipeline.sandbox.data.organisation import CLASSES, LOCATIONS
from nsn_pipeline.sandbox.data.periods import Window, accounting_periods, iso
from nsn_pipeline.sandbox.data.tables import Chunk, Row, flag, row
from nsn_pipeline.sandbox.data.vendors import Vendor
from nsn_pipeline.sandbox.data.world import World

_CITIES = {"US": "1-216", "GB": "44-114", "DE": "49-234", "JP": "81-52"}


def master_tables(world: World) -> Iterator[Chunk]:
    company, window = world.company, world.window
    yield "netsuite", "currency", list(_currencies(company))
    if company.multi:
        yield "netsuite", "subsidiary", list(_subsidiaries(company, window))
        yield "netsuite", "accountingbook", list(_books())
    yield "netsuite", "accountingperiod", list(accounting_periods(window))
    yield "netsuite", "account", list(_accounts(world))
    yield "netsuite", "department", list(_departments(world))
    yield "netsuite", "classification", list(_places("classification", world))
    yield "netsuite", "location", list(_places("location", world))
    terms = [row("term", id=term.id, name=term.name, isinactive="F") for term in TERMS]
    yield "netsuite", "term", terms
    yield "netsuite", "item", list(_items(world))
    yield "netsuite", "vendor", [_vendor(one, world) for one in world.vendors]
    if company.multi:
        yield "netsuite", "vendorsubsidiaryrelationship", list(_relationships(world.vendors))


def _stamp(window: Window) -> str:
    """Masters last changed in the small hours of the first day, before anyone works."""
    return iso(window.day_start(window.first) + timedelta(minutes=30))


def _currencies(company: Company) -> Iterator[Row]:
    for currency in company.currencies:
        yield row(
            "currency",
            id=currency.id,
            symbol=currency.symbol,
            name=currency.name,
            displaysymbol=currency.sign,
            currencyprecision=str(currency.precision),
            exchangerate=format(currency.in_usd, "f"),
            isbasecurrency=flag(currency is PARENT.currency),
            isinactive=flag(currency.inactive),
        )


def _subsidiaries(company: Company, window: Window) -> Iterator[Row]:
    for office in company.offices:
        child = office is not PARENT
        yield row(
            "subsidiary",
            id=office.id,
            name=office.name,
            fullname=f"{PARENT.name} : {office.name}" if child else office.name,
            legalname=office.legal_name,
            parent=PARENT.id if child else None,
            currency=office.currency.id,
            country=office.country,
            iselimination=flag(office.elimination),
            isinactive="F",
            lastmodifieddate=_stamp(window),
        )


def _books() -> Iterator[Row]:
    yield row("accountingbook", id="1", name="Primary Accounting Book", isprimary="T")
    yield row("accountingbook", id="2", name="IFRS (EUR)", isprimary="F")


def _accounts(world: World) -> Iterator[Row]:
    for account in world.accounts.values():
        label = f"{account.number} {account.name}" if account.number else account.name
        yield row(
            "account",
            id=account.id,
            acctnumber=account.number,
            accttype=account.type,
            fullname=account.full_name,
            accountsearchdisplayname=label,
            accountsearchdisplaynamecopy=account.name,
            displaynamewithhierarchy=account.full_name,
            description=f"{account.name}, group chart" if account.summary else None,
            parent=account.parent.id if account.parent else None,
            isinactive=flag(account.inactive),
            issummary=flag(account.summary),
            eliminate=flag(account.eliminate),
            sspecacct="PurchOrd" if account.type == "NonPosting" else None,
            currency=account.offices[0].currency.id if account.type == "Bank" else None,
            subsidiary=world.company.subsidiary_ids(account.offices),
            includechildren=flag(len(account.offices) > 1),
            externalid=f"ACCT-{account.code}" if account.number else None,
            # Change stamps of dimensions are null on some rows (`docs/facts/netsuite.md` 6.1).
            lastmodifieddate=_stamp(world.window) if int(account.id) % 4 else None,
        )


def _departments(world: World) -> Iterator[Row]:
    for department in world.departments.values():
        yield row(
            "department",
            id=department.id,
            name=department.name,
            fullname=department.full_name,
            parent=department.parent.id if department.parent else None,
            isinactive=flag(department.inactive),
            includechildren="F",
            subsidiary=world.company.subsidiary_ids(department.offices),
            externalid=department.code,
            lastmodifieddate=_stamp(world.window) if int(department.id) % 5 else None,
        )


def _places(table: str, world: World) -> Iterator[Row]:
    for place in CLASSES if table == "classification" else LOCATIONS:
        offices = tuple(one for one in place.offices if one in world.company.offices)
        if place.offices and not offices:
            continue
        yield row(
            table,
            id=place.id,
            name=place.name,
            fullname=place.name,
            isinactive="F",
            includechildren="F",
            subsidiary=world.company.subsidiary_ids(offices),
            externalid=place.code,
            lastmodifieddate=_stamp(world.window),
        )


def _items(world: World) -> Iterator[Row]:
    accounts = world.accounts
    for item in (*items(), GAP_ITEM):
        yield row(
            "item",
            id=item.id,
            itemid=item.code,
            displayname=item.name,
            fullname=item.code,
            itemtype=item.kind,
            subtype=None if item.stocked else "Purchase",
            purchasedescription=item.name,
            expenseaccount=accounts[item.expense].id if item.expense else None,
            assetaccount=accounts[item.asset].id if item.asset else None,
            incomeaccount=accounts["4010"].id if item.stocked else None,
            isinactive="F",
            externalid=item.code,
            lastmodifieddate=_stamp(world.window),
        )


def _vendor(vendor: Vendor, world: World) -> Row:
    number = int(vendor.id)
    window = world.window
    changed = window.clamp(window.first + timedelta(days=number % 11))
    stamp = window.day_start(changed) + timedelta(seconds=1800 + number * 37 % 70_000)
    slug = f"vendor{number}"
    return row(
        "vendor",
        id=vendor.id,
        entityid=vendor.code,
        companyname=vendor.company,
        altname=vendor.name,
        isperson=flag(vendor.person),
        firstname=vendor.first,
        lastname=vendor.last,
        legalname=vendor.company if number % 3 == 0 else None,
        printoncheckas=vendor.name if number % 7 == 0 else None,
        email=f"accounts@{slug}.example" if number % 4 else None,
        phone=f"+{_CITIES[vendor.office.country]}-555-0{number % 1000:03d}" if number % 5 else None,
        url=f"https://{slug}.example" if number % 6 == 1 else None,
        currency=vendor.currency.id,
        terms=vendor.term,
        payablesaccount=world.accounts["2010"].id if vendor.sister else None,
        accountnumber=f"C{number * 7}" if number % 2 else None,
        isinactive=flag(vendor.inactive),
        externalid=f"VEND-{number}" if number % 3 else None,
        datecreated=iso(window.day_start(window.first) - timedelta(days=200 + number % 900)),
        lastmodifieddate=iso(stamp),
        representingsubsidiary=vendor.sister.id if vendor.sister else None,
    )


def _relationships(vendors: Iterable[Vendor]) -> Iterator[Row]:
    """Some vendors serve two subsidiaries: joining this table multiplies them."""
    number = 0
    for vendor in vendors:
        offices = [vendor.office] if vendor.office is PARENT else [vendor.office, PARENT]
        for office in offices[: 1 + int(vendor.id) % 2]:
            number += 1
            yield row(
                "vendorsubsidiaryrelationship",
                id=str(number),
                entity=vendor.id,
                subsidiary=office.id,
                isprimarysub=flag(office is vendor.office),
                primarycurrency=vendor.currency.id,
                balance="0",
            )
