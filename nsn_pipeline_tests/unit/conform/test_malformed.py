"""One malformed input per line, and the reason code it must give.

Each is judged beside a good neighbour, which must be accepted whatever the input is.
"""

from typing import Any

import pytest

from nsn_pipeline.frames import values_of
from nsn_pipeline_tests.unit.conform.world import (
    CC_ROWS,
    CURRENCIES,
    GL_ROWS,
    bill,
    judge,
    line,
    main_line,
    order,
    order_line,
    posting,
    reasons,
    references,
    vendor,
)

OTHER_GL_ROWS = [row for row in GL_ROWS if row["account_number"] != "6420"]
LONG = "x" * 41
BAD_AMOUNTS = ["1,250.00", "£1250", "1250.00 GBP", "1.25e3", "--1250", "1250-", "(1250)", "abc",
               " 1250", "1250 ", "1 250", "0x4E2", "NaN", "inf", "1.123456789", "1" * 21,
               "1.250,00", "-", ".", "+", "٣٤", "12٣", "1250\n", "#REF!", "null"]  # fmt: skip
BAD_DATES = ["2026-02-30", "02/03/2026", "3.2.2026", "2026-3-2", "20260302", "2026-03-02T00:00:00Z",
             "2026-13-01", "0000-00-00", "tomorrow", "2026-03-32"]  # fmt: skip

HEADER: list[tuple[dict[str, Any], tuple[str, str | None, str]]] = [
    *(({"total": text}, ("UNREADABLE_AMOUNT", None, "total")) for text in BAD_AMOUNTS),
    *(({"transaction_date": text}, ("UNREADABLE_DATE", None, "transaction_date"))
      for text in BAD_DATES),
    *(({"due_date": text}, ("UNREADABLE_DATE", None, "due_date")) for text in BAD_DATES[:3]),
    ({"total": None}, ("MISSING_VALUE", None, "total")),
    ({"total": "-1250.01"}, ("TOTAL_MISMATCH", None, "total")),
    ({"total": "1250"}, ("TOTAL_MISMATCH", None, "total")),
    ({"vendor_id": None}, ("MISSING_SUPPLIER", None, "vendor_id")),
    ({"vendor_id": ""}, ("MISSING_SUPPLIER", None, "vendor_id")),
    ({"vendor_id": "999"}, ("MISSING_SUPPLIER", None, "vendor_id")),
    ({"currency_id": None}, ("UNKNOWN_CURRENCY", None, "currency_id")),
    ({"currency_id": "77"}, ("UNKNOWN_CURRENCY", None, "currency_id")),
    ({"status": "Z"}, ("UNKNOWN_CHOICE", None, "state")),
    ({"status": None}, ("MISSING_VALUE", None, "state")),
    ({"type": "VendPymt"}, ("UNKNOWN_CHOICE", None, "type")),
    ({"type": None}, ("MISSING_VALUE", None, "type")),
    ({"is_voided": "yes"}, ("UNREADABLE_VALUE", None, "is_voided")),
    ({"transaction_date": None}, ("MISSING_VALUE", None, "transaction_date")),
    ({"tranid": LONG}, ("TEXT_TOO_LONG", None, "tranid")),
    ({"transaction_number": "N" * 81}, ("TEXT_TOO_LONG", None, "transaction_number")),
]  # fmt: skip
LINE: list[tuple[dict[str, Any], tuple[str, str | None, str]]] = [
    *(({"amount": text}, ("UNREADABLE_AMOUNT", "1", "amount")) for text in BAD_AMOUNTS[:6]),
    ({"amount": None}, ("MISSING_VALUE", "1", "amount")),
    ({"quantity": "ten"}, ("UNREADABLE_VALUE", "1", "quantity")),
    ({"rate": "12%"}, ("UNREADABLE_AMOUNT", "1", "rate")),
    ({"sequence": "1.5"}, ("UNREADABLE_VALUE", "1", "sequence")),
    ({"is_main": "N"}, ("UNREADABLE_VALUE", "1", "is_main")),
    ({"is_tax": "0"}, ("UNREADABLE_VALUE", "1", "is_tax")),
    ({"posting_account_id": "716"}, ("MISSING_GL_ACCOUNT", "1", "account_id")),
    ({"posting_account_id": "900"}, ("MISSING_GL_ACCOUNT", "1", "account_id")),
    ({"posting_account_id": "404"}, ("MISSING_GL_ACCOUNT", "1", "account_id")),
    ({"posting_account_id": None}, ("MISSING_GL_ACCOUNT", "1", "account_id")),
    ({"department_id": "15"}, ("MISSING_COST_CENTER", "1", "department_id")),
    ({"department_id": "404"}, ("MISSING_COST_CENTER", "1", "department_id")),
    ({"line_id": None}, ("MISSING_VALUE", None, "line_id")),
    ({"line_id": "1^2", "sequence": "1"}, ("UNSAFE_KEY", "1^2", "line_id")),
]


ORDER: list[tuple[dict[str, Any], tuple[str, str | None, str]]] = [
    *(({"total": text}, ("UNREADABLE_AMOUNT", None, "total")) for text in BAD_AMOUNTS[:4]),
    *(({"transaction_date": text}, ("UNREADABLE_DATE", None, "transaction_date"))
      for text in BAD_DATES[:4]),
    ({"due_date": "31/03/2026"}, ("UNREADABLE_DATE", None, "due_date")),
    ({"total": None}, ("MISSING_VALUE", None, "total")),
    ({"transaction_date": None}, ("MISSING_VALUE", None, "transaction_date")),
    ({"vendor_id": None}, ("MISSING_SUPPLIER", None, "vendor_id")),
    ({"vendor_id": "999"}, ("MISSING_SUPPLIER", None, "vendor_id")),
    ({"currency_id": None}, ("UNKNOWN_CURRENCY", None, "currency_id")),
    ({"currency_id": "GBP"}, ("UNKNOWN_CURRENCY", None, "currency_id")),
    ({"status": None}, ("MISSING_VALUE", None, "state")),
    ({"is_voided": "1"}, ("UNREADABLE_VALUE", None, "is_voided")),
    ({"tranid": "P" * 81}, ("TEXT_TOO_LONG", None, "tranid")),
]  # fmt: skip
ORDER_LINE: list[tuple[dict[str, Any], tuple[str, str | None, str]]] = [
    *(({"amount": text}, ("UNREADABLE_AMOUNT", "1", "amount")) for text in BAD_AMOUNTS[6:10]),
    ({"amount": None}, ("MISSING_VALUE", "1", "amount")),
    ({"quantity": "1,5"}, ("UNREADABLE_VALUE", "1", "quantity")),
    ({"rate": "45 GBP"}, ("UNREADABLE_AMOUNT", "1", "rate")),
    ({"item_expense_account_id": "716"}, ("MISSING_GL_ACCOUNT", "1", "account_id")),
    ({"item_expense_account_id": "900"}, ("MISSING_GL_ACCOUNT", "1", "account_id")),
    ({"department_id": "15"}, ("MISSING_COST_CENTER", "1", "department_id")),
    ({"is_main": "X"}, ("UNREADABLE_VALUE", "1", "is_main")),
]  # fmt: skip
SUPPLIER: list[tuple[dict[str, Any], tuple[str, str | None, str]]] = [
    ({"phone": "0" * 41}, ("TEXT_TOO_LONG", None, "phone")),
    ({"email": f"{'a' * 100}@x.example"}, ("TEXT_TOO_LONG", None, "email")),
    ({"legal_name": "x" * 256}, ("TEXT_TOO_LONG", None, "legal_name")),
    ({"entity_id": "V" * 81}, ("TEXT_TOO_LONG", None, "entity_id")),
    ({"is_inactive": "TRUE"}, ("UNREADABLE_VALUE", None, "is_inactive")),
    ({"internal_id": "4^51"}, ("UNSAFE_KEY", None, "internal_id")),
    ({"internal_id": "4,51"}, ("UNSAFE_KEY", None, "internal_id")),
]
POSTING: list[tuple[dict[str, Any], tuple[str, str | None, str]]] = [
    *(({"debit": text}, ("UNREADABLE_AMOUNT", "0", "debit")) for text in BAD_AMOUNTS[:5]),
    *(({"transaction_date": text}, ("UNREADABLE_DATE", "0", "transaction_date"))
      for text in BAD_DATES[:3]),
    ({"transaction_date": None}, ("MISSING_VALUE", "0", "transaction_date")),
    ({"department_id": "15"}, ("MISSING_COST_CENTER", "0", "department_id")),
    ({"account_id": "900"}, ("MISSING_GL_ACCOUNT", "0", "account_id")),
    ({"account_id": "404"}, ("MISSING_GL_ACCOUNT", "0", "account_id")),
    ({"account_id": None}, ("MISSING_GL_ACCOUNT", "0", "account_id")),
    ({"line_id": None}, ("MISSING_VALUE", None, "line_id")),
]  # fmt: skip


def ids(cases: list[tuple[dict[str, Any], Any]]) -> list[str]:
    return [f"{next(iter(changed.items()))}" for changed, _ in cases]


def test_the_good_bill_that_the_cases_spoil_is_accepted() -> None:
    outcome = judge("vendor_bill", [bill()], [main_line(), line()])

    assert (outcome.accepted, outcome.rejected, reasons(outcome)) == (1, 0, [])


# A good document of each type, on other accounts than the cases spoil: headers, lines.
NEIGHBOURS: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]] | None]] = {
    "vendor_bill": (
        [bill("99001")],
        [main_line("99001"),
         line(document_id="99001", posting_account_id="58", department_id="14")]),
    "purchase_order": ([order("99002")], [order_line(document_id="99002")]),
    "vendor": ([vendor("452", entity_id="V452", company_name="Bolt GmbH")], None),
    "gl_posting": (
        [posting("0", document_id="99003", account_id="58", debit="5"),
         posting("1", document_id="99003", account_id="111", credit="5")], None),
    "gl_account": ([{"internal_id": "58", "number": "5800", "type": "Expense"}], None),
    "cost_center": ([{"internal_id": "14", "name": "Sales", "external_id": "CC-14"}], None),
}  # fmt: skip


def rejected_beside_a_neighbour(
    record_type: str,
    headers: list[dict[str, Any]],
    lines: list[dict[str, Any]] | None = None,
    **changed: Any,
) -> list[tuple[str, str | None, str]]:
    """The reasons a spoiled document is rejected for; its neighbour must come through."""
    near_headers, near_lines = NEIGHBOURS[record_type]
    together = None if lines is None else [*lines, *(near_lines or [])]
    outcome = judge(record_type, [*headers, *near_headers], together, refs=references(**changed))

    neighbour = near_headers[0].get("document_id", near_headers[0].get("internal_id"))
    if lines is not None or near_lines is None:  # without any lines at all it can be no better
        assert outcome.accepted_ids == [neighbour]
        assert set(outcome.headers["_document_id"]) == {neighbour}
        assert outcome.lines is None or set(outcome.lines["_document_id"]) == {neighbour}
    assert outcome.read == outcome.accepted + outcome.rejected
    of = values_of(outcome.problems, "document_id")
    remedies = values_of(outcome.problems, "remedy")
    assert all(remedy.strip().endswith(".") for remedy in remedies), remedies
    return [told for told, one in zip(reasons(outcome), of, strict=True) if one != neighbour]


@pytest.mark.parametrize(("changed", "expected"), HEADER, ids=ids(HEADER))
def test_bad_bill_header_is_rejected_for_that_reason_alone(
    changed: dict[str, Any], expected: tuple[str, str | None, str]
) -> None:
    found = rejected_beside_a_neighbour("vendor_bill", [bill(**changed)], [main_line(), line()])
    assert found == [expected]


@pytest.mark.parametrize(("changed", "expected"), LINE, ids=ids(LINE))
def test_bad_bill_line_rejects_its_bill_for_that_reason_alone(
    changed: dict[str, Any], expected: tuple[str, str | None, str]
) -> None:
    lines = [main_line(), line(**changed)]
    assert rejected_beside_a_neighbour("vendor_bill", [bill()], lines) == [expected]


@pytest.mark.parametrize(("changed", "expected"), ORDER, ids=ids(ORDER))
def test_bad_order_header_is_rejected_for_that_reason_alone(
    changed: dict[str, Any], expected: tuple[str, str | None, str]
) -> None:
    found = rejected_beside_a_neighbour("purchase_order", [order(**changed)], [order_line()])
    assert found == [expected]


@pytest.mark.parametrize(("changed", "expected"), ORDER_LINE, ids=ids(ORDER_LINE))
def test_bad_order_line_rejects_its_order_for_that_reason_alone(
    changed: dict[str, Any], expected: tuple[str, str | None, str]
) -> None:
    found = rejected_beside_a_neighbour("purchase_order", [order()], [order_line(**changed)])
    assert found == [expected]


@pytest.mark.parametrize(("changed", "expected"), SUPPLIER, ids=ids(SUPPLIER))
def test_bad_vendor_is_rejected_for_that_reason_alone(
    changed: dict[str, Any], expected: tuple[str, str | None, str]
) -> None:
    assert rejected_beside_a_neighbour("vendor", [vendor(**changed)]) == [expected]


@pytest.mark.parametrize(("changed", "expected"), POSTING, ids=ids(POSTING))
def test_bad_posting_rejects_its_transaction_for_that_reason_alone(
    changed: dict[str, Any], expected: tuple[str, str | None, str]
) -> None:
    row = posting("0", account_id="642", debit="5") | changed
    spoiled = {name: value for name, value in row.items() if value is not None}
    pair = [spoiled, posting("1", account_id="111", credit="5")]
    assert rejected_beside_a_neighbour("gl_posting", pair) == [expected]


ELSEWHERE = {
    "bill without any line": (
        ("vendor_bill", [bill()], []), {}, [("NO_LINES", None, "lines")]),
    "bill with its main line alone": (
        ("vendor_bill", [bill()], [main_line()]), {}, [("NO_LINES", None, "lines")]),
    "bill whose lines were never read": (
        ("vendor_bill", [bill()], None), {}, [("NO_LINES", None, "lines")]),
    "key with a caret": (
        ("vendor_bill", [bill("8^4")], [line(document_id="8^4")]), {},
        [("UNSAFE_KEY", None, "internal_id"), ("UNSAFE_KEY", "1", "line_id")]),
    "key with a comma": (("vendor", [vendor("1,2")]), {}, [("UNSAFE_KEY", None, "internal_id")]),
    "key with a line break": (
        ("vendor", [vendor("1\n2")]), {}, [("UNSAFE_KEY", None, "internal_id")]),
    "header without id": (
        ("vendor", [vendor(internal_id=None)]), {}, [("MISSING_VALUE", None, "internal_id")]),
    "same id, different content": (
        ("vendor", [vendor(), vendor(company_name="Other")]), {},
        [("DUPLICATE_ID", None, "internal_id")]),
    "same line, different content": (
        ("vendor_bill", [bill()], [line(), line(memo="Other")]), {},
        [("DUPLICATE_ID", "1", "line_id")]),
    "lines without their header": (
        ("vendor_bill", [], [line()]), {}, [("MISSING_HEADER", None, "document_id")]),
    "line that names no document": (
        ("vendor_bill", [], [line(document_id=None)]), {},
        [("MISSING_HEADER", None, "document_id")]),
    "vendor without any name": (
        ("vendor", [vendor(company_name=" ", entity_id=None)]), {},
        [("MISSING_VALUE", None, "name")]),
    "vendor in an unknown currency": (
        ("vendor", [vendor(currency_id="9")]), {}, [("UNKNOWN_CURRENCY", None, "currency_id")]),
    "vendor name too long": (
        ("vendor", [vendor(company_name="x" * 256)]), {}, [("TEXT_TOO_LONG", None, "name")]),
    "vendor flag unreadable": (
        ("vendor", [vendor(is_inactive="maybe")]), {},
        [("UNREADABLE_VALUE", None, "is_inactive")]),
    "yen with decimals": (
        ("vendor_bill", [bill(currency_id="5", total="-12.5")], [line(amount="12.5")]), {},
        [("UNREADABLE_AMOUNT", None, "total"), ("UNREADABLE_AMOUNT", "1", "amount")]),
    "pounds with three decimals": (
        ("vendor_bill", [bill(total="-0.005")], [line(amount="0.005")]), {},
        [("UNREADABLE_AMOUNT", None, "total"), ("UNREADABLE_AMOUNT", "1", "amount")]),
    "currency without an ISO code": (
        ("vendor_bill", [bill(currency_id="8")], [line()]),
        {"currencies": [*CURRENCIES, {"internal_id": "8", "symbol": "Pounds"}]},
        [("UNKNOWN_CURRENCY", None, "currency_id")]),
    "GL account twice in ServiceNow": (
        ("vendor_bill", [bill()], [line()]),
        {"gl_accounts": [*GL_ROWS, {"sys_id": "again", "account_number": "6420"}]},
        [("AMBIGUOUS_GL_ACCOUNT", "1", "account_id")]),
    "GL account inactive in ServiceNow": (
        ("vendor_bill", [bill()], [line()]),
        {"gl_accounts": [*OTHER_GL_ROWS,
                         {"sys_id": "a", "account_number": "6420", "active": "false"}]},
        [("INACTIVE_GL_ACCOUNT", "1", "account_id")]),
    "cost center twice in ServiceNow": (
        ("vendor_bill", [bill()], [line()]),
        {"cost_centers": [*CC_ROWS, {"sys_id": "again", "code": "CC-12"}]},
        [("AMBIGUOUS_COST_CENTER", "1", "department_id")]),
    "cost center expired the day before": (
        ("vendor_bill", [bill()], [line()]),
        {"cost_centers": [*CC_ROWS[1:],
                          {"sys_id": "a", "code": "CC-12", "valid_to": "2026-03-01 00:00:00"}]},
        [("EXPIRED_COST_CENTER", "1", "department_id")]),
    "code with a leading zero is another code": (
        ("vendor_bill", [bill()], [line()]),
        {"gl_accounts": [*OTHER_GL_ROWS, {"sys_id": "a", "account_number": "06420"}]},
        [("MISSING_GL_ACCOUNT", "1", "account_id")]),
    "override to a code that ServiceNow lacks": (
        ("vendor_bill", [bill()], [line()]),
        {"gl_overrides": [{"netsuite_code": "6420", "servicenow_code": "9999"}]},
        [("MISSING_GL_ACCOUNT", "1", "account_id")]),
    "two overrides at once": (
        ("vendor_bill", [bill()], [line()]),
        {"gl_overrides": [{"netsuite_code": "6420", "servicenow_code": "5800"},
                          {"netsuite_code": "6420", "servicenow_code": "2000"}]},
        [("AMBIGUOUS_GL_ACCOUNT", "1", "account_id")]),
    "order whose lines do not add up": (
        ("purchase_order", [order(total="-449")], [order_line()]), {},
        [("TOTAL_MISMATCH", None, "total")]),
    "order line without account": (
        ("purchase_order", [order()], [order_line(item_expense_account_id=None)]), {},
        [("MISSING_GL_ACCOUNT", "1", "account_id")]),
    "order in an unknown status": (
        ("purchase_order", [order(status="X")], [order_line()]), {},
        [("UNKNOWN_CHOICE", None, "state")]),
    "posting on an unknown account": (
        ("gl_posting", [posting("0", account_id="716", debit="5"),
                        posting("1", account_id="111", credit="5")]), {},
        [("MISSING_GL_ACCOUNT", "0", "account_id")]),
    "postings that do not balance": (
        ("gl_posting", [posting("0", account_id="642", debit="5"),
                        posting("1", account_id="111", credit="4")]), {},
        [("UNBALANCED_POSTING", None, "amount")]),
    "posting without an amount": (
        ("gl_posting", [posting("0", account_id="642")]), {},
        [("MISSING_VALUE", "0", "amount")]),
    "posting with an unreadable debit": (
        ("gl_posting", [posting("0", account_id="642", debit="1,0")]), {},
        [("UNREADABLE_AMOUNT", "0", "debit")]),
    "posting whose amount contradicts its debit": (
        ("gl_posting", [posting("0", account_id="642", debit="5", amount="6"),
                        posting("1", account_id="111", credit="5")]), {},
        [("TOTAL_MISMATCH", "0", "amount")]),
    "posting of a subsidiary without currency": (
        ("gl_posting", [posting("0", account_id="642", debit="0", subsidiary_id="88")]), {},
        [("UNKNOWN_CURRENCY", "0", "subsidiary_id")]),
    "bill posting of an unknown vendor": (
        ("gl_posting", [posting("0", account_id="642", debit="0", vendor_id="9")]), {},
        [("MISSING_SUPPLIER", "0", "vendor_id")]),
    "account that ServiceNow lacks": (
        ("gl_account", [{"internal_id": "716", "number": "7160", "type": "Expense"}]), {},
        [("MISSING_GL_ACCOUNT", None, "code")]),
    "department without a code": (
        ("cost_center", [{"internal_id": "16", "name": "X"}]), {},
        [("MISSING_COST_CENTER", None, "code")]),
    "two accounts with one code": (
        ("gl_account", [{"internal_id": "642", "number": "6420"},
                        {"internal_id": "643", "number": "6420"}]), {},
        [("DUPLICATE_ID", None, "code"), ("DUPLICATE_ID", None, "code")]),
}  # fmt: skip


@pytest.mark.parametrize("case", list(ELSEWHERE))
def test_malformed_input_gives_exactly_these_reasons(case: str) -> None:
    (record_type, *frames), changed, expected = ELSEWHERE[case]

    assert rejected_beside_a_neighbour(record_type, *frames, **changed) == expected


def test_there_are_enough_of_them_and_no_two_are_the_same() -> None:
    tables = {"bill": HEADER, "line": LINE, "order": ORDER, "order line": ORDER_LINE,
              "vendor": SUPPLIER, "posting": POSTING}  # fmt: skip
    cases = [(name, str(changed)) for name, table in tables.items() for changed, _ in table]
    cases += [("elsewhere", str(spoiled[:2])) for spoiled in ELSEWHERE.values()]
    assert len(set(cases)) == len(cases) >= 150
