"""The open list: what a filter lets through, how groups add up, what a row says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from nsn_pipeline.audit.rejections import (
    CSV_COLUMNS,
    Rejection,
    Wanted,
    chosen,
    counted,
    day_text,
    grouped,
    rows,
    to_json,
    totals,
)
from nsn_pipeline.conform.reasons import Problem, Reason

NOW = datetime(2026, 10, 20, 12, tzinfo=UTC)
GBP = {"GBP": 2, "JPY": 0}


def missing(code: str = "7160", line: str | None = "1") -> Problem:
    return Problem(
        Reason.MISSING_GL_ACCOUNT, line, "account_id", code, f"Add {code}.", f"gl_account:{code}"
    )


TOTAL = Problem(Reason.TOTAL_MISMATCH, None, "total", "10", "Save it again.")


def rejection(document_id: str = "1", **changed: Any) -> Rejection:
    settings: dict[str, Any] = {
        "record_type": "vendor_bill",
        "status": "rejected",
        "day": "2026-10-03",
        "since": datetime(2026, 10, 3, 8, tzinfo=UTC),
        "run_id": "r1",
        "problems": (missing(),),
        "vendor": "Acme Ltd",
        "subsidiary": "Leeds",
        "amount": Decimal("100.00"),
        "currency": "GBP",
        "url": "https://netsuite/1",
    }
    return Rejection(document_id=document_id, **(settings | changed))


LIST = [
    rejection("1"),
    rejection("2", amount=Decimal("-900.00"), vendor="Bolt GmbH", subsidiary="Berlin"),
    rejection("3", problems=(missing(), missing("9170"), TOTAL), amount=None),
    rejection("4", problems=(TOTAL,), since=datetime(2025, 12, 1, tzinfo=UTC)),
    rejection("5", record_type="purchase_order", amount=Decimal(5000), currency="JPY"),
    rejection("7160", record_type="gl_account", amount=None, subsidiary="", day="", vendor=""),
]

FILTERS: dict[str, tuple[Wanted, list[str]]] = {
    "nothing asked": (Wanted(), ["2", "1", "4", "3", "5", "7160"]),
    "a reason, shown with all its problems": (
        Wanted(reasons=frozenset({"TOTAL_MISMATCH"})), ["4", "3"]),
    "a code": (Wanted(codes=frozenset({"9170"})), ["3"]),
    "a code with its kind": (Wanted(codes=frozenset({"gl_account:9170"})), ["3"]),
    "the same code of another kind": (Wanted(codes=frozenset({"cost_center:9170"})), []),
    "a part of a code is another code": (Wanted(codes=frozenset({"716"})), []),
    "reason and code must meet in one problem": (
        Wanted(reasons=frozenset({"TOTAL_MISMATCH"}), codes=frozenset({"7160"})), []),
    "part of a vendor's name in any case": (Wanted(vendor="BOLT"), ["2"]),
    "an office": (Wanted(subsidiary="berlin"), ["2"]),
    "a record type": (Wanted(record_types=frozenset({"gl_account"})), ["7160"]),
    "older than": (Wanted(older_than=timedelta(days=30)), ["4"]),
    "not older than its very age": (
        Wanted(older_than=NOW - datetime(2025, 12, 1, tzinfo=UTC)), []),
    "an amount, credits by their size": (Wanted(min_amount=Decimal(900)), ["2", "5"]),
    "no amount is none": (
        Wanted(min_amount=Decimal(1), reasons=frozenset({"MISSING_GL_ACCOUNT"})), ["2", "1", "5"]),
}  # fmt: skip


@pytest.mark.parametrize("case", list(FILTERS))
def test_filter_lets_through_what_is_asked_for_largest_bills_first(case: str) -> None:
    wanted, expected = FILTERS[case]
    assert [one.document_id for one in chosen(LIST, wanted, NOW)] == expected


def test_groups_count_a_document_once_for_each_of_its_cures() -> None:
    groups = {group.label: group for group in grouped(LIST)}

    assert list(groups) == ["GL account 7160", "Total mismatch", "GL account 9170"]
    first = groups["GL account 7160"]
    assert dict(first.documents) == {"vendor_bill": 3, "purchase_order": 1, "gl_account": 1}
    assert first.amounts["vendor_bill"] == {"GBP": Decimal("-800.00")}
    assert first.amounts["purchase_order"] == {"JPY": Decimal(5000)}
    assert dict(first.offices) == {"Leeds": 3, "Berlin": 1}
    assert groups["Total mismatch"].since == datetime(2025, 12, 1, tzinfo=UTC)
    assert dict(groups["GL account 9170"].documents) == {"vendor_bill": 1}


def test_two_bad_lines_of_one_bill_are_one_bill() -> None:
    group = grouped([rejection(problems=(missing(line="1"), missing(line="2")))])[0]

    assert dict(group.documents) == {"vendor_bill": 1}
    assert group.amounts["vendor_bill"] == {"GBP": Decimal("100.00")}


def test_group_reads_as_an_accountant_says_it() -> None:
    group = grouped([rejection(str(n), amount=Decimal("4622.38")) for n in range(412)])[0]
    text = f"{group.label}: {counted(group.documents, group.amounts, GBP)[0]}"
    assert f"{text}, since {day_text(group.since, NOW)}" == (
        "GL account 7160: 412 bills, 1,904,420.56 GBP, since 3 Oct"
    )


@pytest.mark.parametrize(
    ("reason", "reference", "label"),
    [
        ("INACTIVE_COST_CENTER", "cost_center:4411", "Cost center 4411 (inactive)"),
        ("AMBIGUOUS_GL_ACCOUNT", "gl_account:7160", "GL account 7160 (ambiguous)"),
        ("MISSING_GL_ACCOUNT", "gl_account:#642", "GL account 642"),
        ("MISSING_SUPPLIER", "vendor:451", "Vendor 451"),
        ("REFUSED_BY_SERVICENOW", None, "Refused by servicenow"),
    ],
)
def test_label_names_what_is_missing_or_wrong(
    reason: str, reference: str | None, label: str
) -> None:
    problem = Problem(Reason(reason), None, "", None, "Do it.", reference)
    assert grouped([rejection(problems=(problem,))])[0].label == label


def test_the_cure_for_all_offices_is_told_where_there_is_one() -> None:
    problem = replace(missing(), remedy="Add 7160 (office Leeds).")
    of_office = rejection(problems=(problem,))
    of_account = rejection("716", record_type="gl_account", subsidiary="", amount=None)
    for order in ([of_office, of_account], [of_account, of_office]):
        assert grouped(order)[0].remedy == "Add 7160."


def test_totals_take_every_document_once() -> None:
    summary = totals(LIST)

    assert summary.count == 6
    assert summary.documents == {"vendor_bill": 4, "purchase_order": 1, "gl_account": 1}
    assert summary.amounts == {
        "vendor_bill": {"GBP": Decimal("-700.00")}, "purchase_order": {"JPY": Decimal(5000)},
    }  # fmt: skip
    assert summary.oldest == datetime(2025, 12, 1, tzinfo=UTC)
    assert totals([]).oldest is None


def test_every_problem_has_a_row_with_everything_that_is_known() -> None:
    told = list(rows(LIST, NOW))

    assert len(told) == sum(len(one.problems) for one in LIST)
    assert all(tuple(row) == CSV_COLUMNS for row in told)
    assert told[0]["age_days"] == 17
    assert [row["reason"] for row in told if row["document_id"] == "3"] == [
        "MISSING_GL_ACCOUNT", "MISSING_GL_ACCOUNT", "TOTAL_MISMATCH",
    ]  # fmt: skip


def test_json_keeps_amounts_as_text_at_their_currencys_decimals() -> None:
    told = to_json([rejection(amount=Decimal("1250.5")), LIST[4], LIST[5]], NOW, GBP)

    assert [one["amount"] for one in told] == ["1250.50", "5000", None]
    assert told[0]["problems"][0]["remedy"] == "Add 7160."


@pytest.mark.parametrize(
    ("since", "text"),
    [
        (datetime(2026, 10, 3, tzinfo=UTC), "3 Oct"),
        (datetime(2025, 1, 31, tzinfo=UTC), "31 Jan 2025"),
    ],
)
def test_a_day_of_another_year_names_it(since: datetime, text: str) -> None:
    assert day_text(since, NOW) == text
