"""A day with every kind of bad bill: each has its outcome, and none stops its neighbours."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from nsn_pipeline.frames import records_of
from nsn_pipeline.sandbox.data.expectation import expected
from nsn_pipeline.sandbox.data.generator import generate
from nsn_pipeline.sandbox.netsuite.store import Store
from nsn_pipeline_tests.support.company import Company, company

pytestmark = pytest.mark.slow

DAY = "2026-03-05"
STAMP = f"{DAY} 15:00:00"
HOSTILE = "=SUM(1)^NQactive=true, \"q\" 'o' 😀 + - @"


@dataclass(frozen=True)
class Bad:
    """A copy of a good bill with something changed, and the reason it must be refused for."""

    number: int
    reason: str | None
    header: Mapping[str, str | None] = field(default_factory=dict)
    line: Mapping[str, str | None] = field(default_factory=dict)
    vendor: Mapping[str, str | None] = field(default_factory=dict)


CASES = {
    "unreadable_amount": Bad(90001, "UNREADABLE_AMOUNT", line={"foreignamount": "12,5o"}),
    "missing_total": Bad(90002, "MISSING_VALUE", {"foreigntotal": None}),
    "lines_that_do_not_add_up": Bad(90003, "TOTAL_MISMATCH", {"foreigntotal": "-0.01"}),
    "no_vendor": Bad(90004, "MISSING_SUPPLIER", {"entity": None}),
    "unknown_vendor": Bad(90005, "MISSING_SUPPLIER", {"entity": "99999"}),
    "unknown_currency": Bad(90006, "UNKNOWN_CURRENCY", {"currency": "99"}),
    "number_longer_than_its_column": Bad(90007, "TEXT_TOO_LONG", {"tranid": "N" * 41}),
    "no_lines": Bad(90008, "NO_LINES"),
    "memo_that_may_be_cut": Bad(90009, None, {"memo": "m" * 400}),
    "hostile_memo": Bad(90010, None, {"memo": HOSTILE}),
    "hostile_number": Bad(90011, None, {"tranid": HOSTILE[:40]}),
    "hostile_vendor_name": Bad(
        90012, None, {"entity": "9012"}, vendor={"companyname": HOSTILE, "entityid": "V9012"}
    ),
}
REFUSED = {name: case for name, case in CASES.items() if case.reason}


def plant(store: Store, template: str, case: Bad) -> None:
    """Copy the template bill with its lines and postings; values go past the store's checks."""
    number, offset = str(case.number), case.number * 100
    with store.transaction() as connection:

        def copy(table: str, where: str, change: Callable[[dict], Mapping[str, object]]) -> None:
            cursor = connection.execute(f'SELECT * FROM "{table}" WHERE {where}')
            names = [column[0] for column in cursor.description]
            for values in cursor.fetchall():
                row = dict(zip(names, values, strict=True))
                row |= change(row)
                marks = ", ".join("?" * len(row))
                quoted = ", ".join(f'"{name}"' for name in row)
                statement = f'INSERT INTO "{table}" ({quoted}) VALUES ({marks})'
                connection.execute(statement, [*row.values()])

        copy(
            "transaction",
            f"id = {template}",
            lambda _row: {
                "id": number, "tranid": f"BAD-{number}", "externalid": None,
                "transactionnumber": f"BAD{number}", "lastmodifieddate": STAMP, **case.header,
            },
        )  # fmt: skip
        main_only = case.reason == "NO_LINES"
        copy(
            "transactionline",
            f'"transaction" = {template}' + (" AND mainline = 'T'" if main_only else ""),
            lambda row: {
                "transaction": number, "uniquekey": offset + int(row["id"]),
                "linelastmodifieddate": STAMP, **(case.line if row["id"] == 1 else {}),
            },
        )  # fmt: skip
        copy(
            "transactionaccountingline",
            f'"transaction" = {template}' + (" AND transactionline = 0" if main_only else ""),
            lambda _row: {"transaction": number, "lastmodifieddate": STAMP},
        )
        if case.vendor:
            stamp = {"id": case.header["entity"], "externalid": None, "lastmodifieddate": STAMP}
            copy("vendor", "id = 3002", lambda _row: {**stamp, **case.vendor})


@dataclass(frozen=True)
class Result:
    synced: Company
    template: Mapping[str, str | None]
    invoices: Mapping[str, Mapping[str, str]]
    problems: Mapping[str, set[str]]
    remedies: Mapping[str, list[str]]
    neighbours: set[str]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory):
    with company(tmp_path_factory.mktemp("bad") / "home") as fresh:
        refused = expected(generate("tiny", 1)).rejected_bills
        of_day = fresh.netsuite(
            "SELECT id FROM \"transaction\" t WHERE type IN ('VendBill', 'VendCred') AND"
            " MAX(lastmodifieddate, (SELECT MAX(linelastmodifieddate) FROM transactionline l"
            ' WHERE l."transaction" = t.id))'
            f" BETWEEN '{DAY} 05:00:00' AND '2026-03-06 04:59:59'"  # the day in the company's zone
        )
        template = fresh.netsuite(
            "SELECT id, foreigntotal, entity FROM \"transaction\" t WHERE type = 'VendBill'"
            " AND posting = 'T' AND currency = 1 AND voided = 'F'"
            f" AND id NOT IN ({','.join(refused)}) AND NOT EXISTS"
            " (SELECT 1 FROM nexttransactionlinelink l WHERE l.nextdoc = t.id) ORDER BY id"
        )[0]
        assert template["id"]
        with fresh.netsuite_store() as store:
            for case in CASES.values():
                plant(store, template["id"], case)
        assert fresh.sync_day(DAY).success
        with fresh.connected() as connections:
            landed = connections.landing.read(("conformed", "invoices", "problems"), DAY)
        problems: dict[str, set[str]] = {}
        remedies: dict[str, list[str]] = {}
        for row in records_of(landed, ("document_id", "reason", "remedy")):
            problems.setdefault(row["document_id"], set()).add(row["reason"])
            remedies.setdefault(row["document_id"], []).append(row["remedy"])
        found = fresh.servicenow("sn_apo_invoice").values()
        yield Result(
            fresh,
            template,
            {row["u_netsuite_id"]: row for row in found},
            problems,
            remedies,
            {str(row["id"]) for row in of_day} - set(refused),
        )


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_bill_is_refused_with_its_reason_and_a_remedy(day: Result, name: str) -> None:
    case = REFUSED[name]
    assert case.reason in day.problems[str(case.number)]
    assert all(day.remedies[str(case.number)])
    assert str(case.number) not in day.invoices


def test_the_neighbours_of_bad_bills_are_loaded(day: Result) -> None:
    assert day.neighbours
    accepted = {str(case.number) for case in CASES.values() if case.reason is None}
    assert set(day.invoices) == day.neighbours | accepted


def test_lines_of_refused_bills_are_not_written(day: Result) -> None:
    lines = day.synced.servicenow("sn_apo_invoice_line").values()
    documents = {line["u_netsuite_id"].partition("-")[0] for line in lines}
    assert documents <= set(day.invoices)


def test_a_long_memo_is_cut_where_the_profile_allows_it(day: Result) -> None:
    invoice = day.invoices[str(CASES["memo_that_may_be_cut"].number)]
    text = invoice["short_description"]
    assert len(text) <= 160
    assert text.startswith("m" * 100)
    assert Decimal(invoice["u_total_amount"]) == -Decimal(day.template["foreigntotal"] or 0)


def test_texts_with_query_signs_quotes_and_emoji_arrive_as_they_are(day: Result) -> None:
    memo, number = (day.invoices[str(CASES[n].number)] for n in ("hostile_memo", "hostile_number"))
    assert memo["short_description"] == HOSTILE
    assert number["supplier_invoice_number"] == HOSTILE[:40]


def test_a_vendor_name_with_query_signs_quotes_and_emoji_arrives_once_as_it_is(
    day: Result,
) -> None:
    vendors = day.synced.servicenow("core_company")
    of_case = [s for s, row in vendors.items() if row.get("u_netsuite_id") == "9012"]
    assert len(of_case) == 1
    assert vendors[of_case[0]]["name"] == HOSTILE
    assert day.invoices["90012"]["supplier"] == of_case[0]
