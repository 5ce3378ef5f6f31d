from dataclasses import replace
from decimal import Decimal

import pandas as pd
import pytest

from nsn_pipeline.conform.outcome import Amounts
from nsn_pipeline.profiles.model import Converter, TargetColumn
from nsn_pipeline_tests.unit.conform.world import (
    SEED,
    bill,
    judge,
    line,
    main_line,
    order,
    order_line,
    posting,
    reasons,
    references,
)


def test_conflicting_lines_without_header_blame_no_other_document() -> None:
    stray = [line(document_id="77"), line(document_id="77", memo="other")]

    outcome = judge("vendor_bill", [bill()], [line(), *stray])

    assert outcome.accepted_ids == ["88412"]
    assert outcome.rejected_ids == ["77"]
    assert reasons(outcome) == [("MISSING_HEADER", None, "document_id")]


def test_document_belongs_to_the_office_of_its_main_line() -> None:
    headers = [bill("1"), bill("2")]
    lines = [
        line(document_id="1", subsidiary_id="1"),
        main_line("1", subsidiary_id="3"),
        line(document_id="2", subsidiary_id="1"),
    ]

    documents = judge("vendor_bill", headers, lines).documents

    assert documents["subsidiary"].to_list() == ["Leeds", "Parent"]


def test_line_without_subsidiary_is_resolved_for_the_office_of_its_document() -> None:
    mapped = [{"netsuite_code": "6420", "subsidiary_id": "3", "servicenow_code": "5800"}]

    outcome = judge(
        "vendor_bill",
        [bill()],
        [main_line(), line(subsidiary_id=None)],
        refs=references(gl_overrides=mapped),
    )

    assert outcome.lines is not None
    assert outcome.lines["gl_account"].to_list() == ["gl5800"]


def test_override_is_judged_on_the_day_of_each_document() -> None:
    mapped = [
        {"netsuite_code": "6420", "servicenow_code": "5800", "valid_from": "2026-03-01"},
        {"netsuite_code": "6420", "servicenow_code": "2000", "valid_to": "2026-02-28"},
    ]
    headers = [bill("1", transaction_date="2026-02-28"), bill("2", transaction_date="2026-03-01")]
    lines = [line(document_id="1"), line(document_id="2")]

    outcome = judge("vendor_bill", headers, lines, refs=references(gl_overrides=mapped))

    assert outcome.lines is not None
    assert outcome.lines["gl_account"].to_list() == ["gl2000", "gl5800"]


def test_bill_is_linked_to_the_order_of_its_first_linked_line_by_sequence() -> None:
    lines = [
        line("1", "250", sequence="3", po_id="88200", po_line_id="1"),
        line("2", "500", sequence="2", po_id="88100", po_line_id="4"),
        line("3", "500", sequence="1"),
    ]

    outcome = judge("vendor_bill", [bill()], lines)

    assert outcome.headers["purchase_order"].to_list() == ["ref:purchase_order:88100"]
    assert outcome.lines is not None
    assert outcome.lines["purchase_order_line"].to_list() == [
        "ref:purchase_order_line:88200-1",
        "ref:purchase_order_line:88100-4",
        "",
    ]


def test_pseudo_account_of_orders_is_no_posting_account() -> None:
    outcome = judge(
        "vendor_bill", [bill()], [line(posting_account_id="990", expense_account_id="58")]
    )

    assert outcome.lines is not None
    assert outcome.lines["gl_account"].to_list() == ["gl5800"]


def test_tax_is_summed_on_the_header() -> None:
    lines = [line(amount="1000"), line("2", "200", is_tax="T"), line("3", "50", is_tax="T")]

    outcome = judge("vendor_bill", [bill()], lines)

    assert outcome.headers["u_tax_amount"].to_list() == ["250.00"]


def test_required_cost_center_is_asked_of_cost_lines_but_not_of_tax_lines() -> None:
    target = SEED.targets["vendor_bill"]
    assert target.lines is not None
    columns = tuple(
        TargetColumn("cost_center", "department_id", Converter("reference", "cost_center"), True)
        if column.column == "cost_center"
        else column
        for column in target.lines.columns
    )
    strict = replace(target, lines=replace(target.lines, columns=columns))
    profile = replace(SEED, targets=SEED.targets | {"vendor_bill": strict})
    lines = [
        line("1", "1000", department_id=None),
        line("2", "250", department_id=None, is_tax="T"),
    ]

    outcome = judge("vendor_bill", [bill()], lines, profile=profile)

    assert reasons(outcome) == [("MISSING_COST_CENTER", "1", "department_id")]


def test_order_total_takes_the_sign_of_its_lines() -> None:
    outcome = judge("purchase_order", [order(total="-450")], [order_line()])

    assert outcome.headers["u_total_amount"].to_list() == ["450.00"]
    assert {code: one.accepted for code, one in outcome.amounts().items()} == {"GBP": 450}


def test_empty_partition_gives_frames_of_the_same_types() -> None:
    full, empty = judge("vendor_bill", [bill()], [line()]), judge("vendor_bill", [], [])

    assert empty.read == 0
    for name in ("headers", "lines", "problems", "documents"):
        left, right = getattr(full, name), getattr(empty, name)
        assert isinstance(left, pd.DataFrame)
        pd.testing.assert_series_equal(left.dtypes, right.dtypes)


def test_amounts_are_kept_apart_by_currency() -> None:
    headers = [bill("1"), bill("2", currency_id="5"), bill("3", vendor_id="999")]
    lines = [line(document_id=key) for key in "123"]

    outcome = judge("vendor_bill", headers, lines)

    assert outcome.amounts() == {
        "GBP": Amounts(Decimal(1250), Decimal(1250)),
        "JPY": Amounts(Decimal(1250), Decimal(0)),
    }


def test_custom_field_lands_without_python() -> None:
    target = SEED.targets["vendor_bill"]
    column = TargetColumn("u_project", "custbody_project", Converter("text", "5"))
    wider = replace(target, columns=(*target.columns, column))
    profile = replace(SEED, targets=SEED.targets | {"vendor_bill": wider})

    good = judge("vendor_bill", [bill(custbody_project="P-1")], [line()], profile=profile)
    bad = judge("vendor_bill", [bill(custbody_project="P-10000")], [line()], profile=profile)

    assert good.headers["u_project"].to_list() == ["P-1"]
    assert reasons(bad) == [("TEXT_TOO_LONG", None, "custbody_project")]


def test_posted_transaction_is_told_by_the_sum_of_its_debits() -> None:
    rows = [posting("0", account_id="111", credit="5"), posting("1", account_id="642", debit="5")]

    documents = judge("gl_posting", rows).documents

    assert documents["amount"].to_list() == [5]
    assert documents["tranid"].to_list() == ["INV-20417"]


def test_problem_says_who_where_and_how_much() -> None:
    outcome = judge("vendor_bill", [bill()], [main_line(), line(posting_account_id="716")])

    problem = outcome.problems.to_dict("records")[0]
    remedy = problem.pop("remedy")

    assert problem == {
        "record_type": "vendor_bill",
        "document_id": "88412",
        "day": "2026-03-02",
        "tranid": "INV-20417",
        "vendor": "Acme Ltd",
        "subsidiary": "Leeds",
        "amount": 1250,
        "currency": "GBP",
        "reason": "MISSING_GL_ACCOUNT",
        "line_id": "1",
        "column": "account_id",
        "value": "7160",
        "reference": "gl_account:7160",
        "url": "https://1234567.app.netsuite.com/app/accounting/transactions/transaction.nl?id=88412",
    }
    assert remedy == (
        "Add account 7160 'Agency staff' (office Leeds) to itfm_gl_accounts in ServiceNow, or map "
        "it in mappings/gl_accounts.csv."
    )


def compared(column: TargetColumn):
    """The seed profile with one more column on orders."""
    target = SEED.targets["purchase_order"]
    changed = replace(target, columns=(*target.columns, column))
    return replace(SEED, targets={**SEED.targets, "purchase_order": changed})


@pytest.mark.parametrize(
    ("converter", "source", "value"),
    [
        (Converter("text", "3"), "tranid", "PO-7 is too long"),
        (Converter("choice", "", (("A", "x"),)), "state", "B"),
        (Converter("reference", "gl_account"), "custbody_account", "716"),
        (Converter("decimal", "2"), "custbody_fee", "about ten"),
    ],
    ids=["too long", "unknown choice", "unmapped account", "unreadable"],
)
def test_value_for_comparison_alone_rejects_nothing(
    converter: Converter, source: str, value: str
) -> None:
    column = TargetColumn("u_extra", source, converter, owner="compared")
    row = order(**({source: value} if source != "state" else {"status": value}))

    outcome = judge("purchase_order", [row], [order_line()], profile=compared(column))

    assert outcome.accepted_ids == ["88100"]
    assert outcome.headers["u_extra"].isna().to_list() == [True]


def test_value_for_comparison_alone_is_converted_like_any_other() -> None:
    column = TargetColumn("total_cost", "total", Converter("money", "currency_code"),
                          owner="compared")  # fmt: skip

    outcome = judge("purchase_order", [order()], [order_line()], profile=compared(column))

    assert outcome.headers["total_cost"].to_list() == ["GBP;450.00"]
