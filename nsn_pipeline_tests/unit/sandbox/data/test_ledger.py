"""The accounting rules of docs/facts/netsuite.md 6.2 to 6.5, over everything generated."""

from collections import defaultdict
from decimal import Decimal

import pytest

from nsn_pipeline.sandbox.data.tables import Row
from nsn_pipeline_tests.unit.sandbox.data.world import Tables, tables

CASES = [("small", 1, "multi"), ("tiny", 2, "multi"), ("tiny", 3, "single")]


@pytest.fixture(params=CASES, ids=lambda case: "-".join(map(str, case)))
def made(request: pytest.FixtureRequest) -> Tables:
    return tables(*request.param)


def money(row: Row, column: str) -> Decimal:
    return Decimal(row[column] or 0)


def of_type(made: Tables, *types: str) -> list[Row]:
    return [row for row in made["transaction"] if row["type"] in types]


def precision(made: Tables, currency: str | None) -> int:
    return int(str(made.by_id("currency")[str(currency)]["currencyprecision"]))


def places(text: str | None) -> int:
    return len((text or "").partition(".")[2])


def test_lines_of_a_bill_or_credit_add_up_to_its_total_exactly(made: Tables) -> None:
    lines = made.lines_of()
    for bill in of_type(made, "VendBill", "VendCred"):
        cost = [line for line in lines[str(bill["id"])] if line["mainline"] == "F"]
        main = [line for line in lines[str(bill["id"])] if line["mainline"] == "T"]
        assert cost
        assert len(main) == 1
        assert sum(money(line, "foreignamount") for line in cost) == -money(bill, "foreigntotal")
        assert money(main[0], "foreignamount") == money(bill, "foreigntotal")


def test_bill_totals_are_negative_and_credit_and_order_totals_positive(made: Tables) -> None:
    for bill in of_type(made, "VendBill"):
        assert money(bill, "foreigntotal") < 0 or bill["voided"] == "T"
    for document in of_type(made, "VendCred", "PurchOrd"):
        assert money(document, "foreigntotal") > 0


def test_lines_of_an_order_add_up_to_its_total(made: Tables) -> None:
    lines = made.lines_of()
    for order in of_type(made, "PurchOrd"):
        cost = [line for line in lines[str(order["id"])] if line["mainline"] == "F"]
        assert sum(money(line, "foreignamount") for line in cost) == money(order, "foreigntotal")
        assert all(money(line, "quantity") > 0 for line in cost if line["item"])


def test_amounts_have_the_precision_of_their_currency(made: Tables) -> None:
    documents = made.by_id("transaction")
    for line in made["transactionline"]:
        currency = documents[str(line["transaction"])]["currency"]
        assert places(line["foreignamount"]) == precision(made, currency)


def test_every_document_balances_in_every_book(made: Tables) -> None:
    sums: dict[tuple[str | None, str | None], Decimal] = defaultdict(Decimal)
    for posting in made["transactionaccountingline"]:
        sums[posting["transaction"], posting["accountingbook"]] += money(posting, "amount")
        debit, credit = posting["debit"], posting["credit"]
        assert debit is None or credit is None
        assert money(posting, "debit") >= 0
        assert money(posting, "credit") >= 0
        assert money(posting, "amount") == money(posting, "debit") - money(posting, "credit")
        assert (posting["account"] is None) == (debit is None and credit is None)
    assert set(sums.values()) == {0}


def test_the_primary_book_is_in_the_base_currency_of_the_subsidiary(made: Tables) -> None:
    offices = made.by_id("subsidiary") if "subsidiary" in made else {}
    lines = {(line["transaction"], line["id"]): line for line in made["transactionline"]}
    documents = made.by_id("transaction")
    for posting in made["transactionaccountingline"]:
        line = lines[posting["transaction"], posting["transactionline"]]
        document = documents[str(posting["transaction"])]
        if posting["accountingbook"] != "1" or posting["amount"] is None:
            continue
        base = offices[str(line["subsidiary"])]["currency"] if offices else "1"
        assert places(posting["amount"]) == precision(made, base)
        assert posting["amount"] == line["netamount"]
        if document["currency"] == base:
            assert Decimal(str(posting["amount"])) == money(line, "foreignamount")


def test_only_posting_documents_have_posting_rows_and_orders_never_post(made: Tables) -> None:
    documents = made.by_id("transaction")
    accounts = made.by_id("account")
    with_rows = {str(posting["transaction"]) for posting in made["transactionaccountingline"]}
    for number, document in documents.items():
        if document["type"] == "PurchOrd":
            assert document["posting"] == "F"
        else:
            assert (number in with_rows) == (document["posting"] == "T")
    pseudo = {
        (accounts[str(posting["account"])]["accttype"], posting["accountingbook"])
        for posting in made["transactionaccountingline"]
        if documents[str(posting["transaction"])]["type"] == "PurchOrd"
    }
    assert pseudo == {("NonPosting", "1")}


def test_a_bill_waiting_for_approval_has_no_posting_rows(made: Tables) -> None:
    waiting = [bill for bill in of_type(made, "VendBill") if bill["status"] == "D"]
    assert waiting
    assert {(bill["posting"], bill["approvalstatus"]) for bill in waiting} == {("F", "1")}


def test_paid_bills_have_a_payment_of_their_amount_linked(made: Tables) -> None:
    paid = defaultdict(Decimal)
    for link in made["nexttransactionlinelink"]:
        if link["linktype"] == "Payment":
            paid[link["previousdoc"]] += money(link, "foreignamount")
    for bill in of_type(made, "VendBill"):
        expected = -money(bill, "foreigntotal") if bill["status"] == "B" else 0
        assert paid[bill["id"]] == expected == money(bill, "foreignamountpaid")
        assert money(bill, "foreignamountunpaid") == -money(bill, "foreigntotal") - expected


def test_order_lines_are_billed_by_what_the_linked_bill_lines_take(made: Tables) -> None:
    lines = {(line["transaction"], line["id"]): line for line in made["transactionline"]}
    taken: dict[tuple[str | None, str | None], Decimal] = defaultdict(Decimal)
    for link in made["nexttransactionlinelink"]:
        if link["linktype"] == "OrdBill":
            bill_line = lines[link["nextdoc"], link["nextline"]]
            assert bill_line["createdfrom"] is not None
            assert bill_line["foreignamount"] == link["foreignamount"]
            key = link["previousdoc"], link["previousline"]
            taken[key] += money(bill_line, "quantity")
    orders = {order["id"] for order in of_type(made, "PurchOrd")}
    for key, line in lines.items():
        if key[0] in orders and line["quantitybilled"] is not None:
            assert money(line, "quantitybilled") == taken[key]
            assert money(line, "quantityshiprecv") <= money(line, "quantity")


def test_both_link_tables_hold_the_same_pairs_and_some_pairs_come_twice(made: Tables) -> None:
    assert made["nexttransactionlinelink"] == made["previoustransactionlinelink"]
    kinds = defaultdict(set)
    for link in made["nexttransactionlinelink"]:
        if link["nexttype"] == "VendBill":
            kinds[link["previousdoc"], link["nextdoc"]].add(link["linktype"])
    assert {"OrdBill"} in kinds.values()
    assert {"OrdBill", "ShipRcpt"} in kinds.values()


def test_stock_is_billed_to_accrued_purchases_while_the_item_names_another_account() -> None:
    made = tables("small")
    accounts, items = made.by_id("account"), made.by_id("item")
    bills = {bill["id"] for bill in of_type(made, "VendBill")}
    stock = [
        line
        for line in made["transactionline"]
        if line["transaction"] in bills
        and line["item"]
        and items[line["item"]]["itemtype"] == "InvtPart"
    ]
    assert stock
    assert {accounts[str(line["expenseaccount"])]["acctnumber"] for line in stock} <= {
        "2110",
        "6455",
    }


def test_the_second_book_uses_other_accounts_for_some_lines() -> None:
    books: dict[tuple[str | None, str | None], dict[str | None, str | None]] = defaultdict(dict)
    for posting in tables("small")["transactionaccountingline"]:
        key = posting["transaction"], posting["transactionline"]
        books[key][posting["accountingbook"]] = posting["account"]
    both = [accounts for accounts in books.values() if len(accounts) == 2]
    assert any(accounts["1"] != accounts["2"] for accounts in both)
    assert any(accounts["1"] == accounts["2"] for accounts in both)
