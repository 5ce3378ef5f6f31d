"""What a person does to a transaction: totals, main line, GL impact and stamps follow."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from nsn_pipeline.sandbox.netsuite.edits import Edits
from nsn_pipeline.sandbox.netsuite.store import Store, StoreError

NOW = 1_783_000_000.0
STAMP = "2026-07-02 13:46:40"
OLD = "2026-03-02T07:30:00Z"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store(tmp_path / "a.db", clock=lambda: NOW)
    found.create_schema()
    found.insert("account", [{"id": "1"}, {"id": "2"}])
    found.insert(
        "transaction",
        [
            {"id": "5", "type": "VendBill", "recordtype": "vendorbill", "tranid": "INV-5",
             "status": "A", "approvalstatus": "2", "posting": "T", "voided": "F",
             "foreigntotal": "-125", "foreignamountunpaid": "125", "lastmodifieddate": OLD},
            {"id": "6", "type": "PurchOrd", "recordtype": "purchaseorder", "status": "B",
             "posting": "F", "foreigntotal": "30", "lastmodifieddate": OLD},
        ],
    )  # fmt: skip
    found.insert(
        "transactionline",
        [
            _line("5", "0", "-125", "T"), _line("5", "1", "100", "F"), _line("5", "2", "25", "F"),
            _line("6", "0", "-30", "T"), _line("6", "1", "20", "F"), _line("6", "2", "10", "F"),
        ],
    )  # fmt: skip
    found.insert(
        "transactionaccountingline",
        [_posting("0", "-250"), _posting("1", "200"), _posting("2", "50")],
    )
    yield found
    found.close()


def _line(transaction: str, line: str, amount: str, main: str) -> dict[str, str]:
    return {"transaction": transaction, "id": line, "uniquekey": f"{transaction}{line}",
            "linesequencenumber": line, "mainline": main, "foreignamount": amount,
            "netamount": amount, "rate": amount, "linelastmodifieddate": OLD}  # fmt: skip


def _posting(line: str, amount: str) -> dict[str, str | None]:
    value = Decimal(amount)
    return {"accountingbook": "1", "transaction": "5", "transactionline": line, "account": "1",
            "debit": amount if value > 0 else None,
            "credit": str(-value) if value < 0 else None,
            "amount": amount, "netamount": amount, "lastmodifieddate": OLD}  # fmt: skip


def rows(store: Store, sql: str) -> list[tuple[Any, ...]]:
    return store.connection().execute(sql).fetchall()


def header(store: Store, transaction: int, *columns: str) -> tuple[Any, ...]:
    names = ", ".join(columns)
    return rows(store, f'SELECT {names} FROM "transaction" WHERE id = {transaction}')[0]


def balanced(store: Store, transaction: int) -> bool:
    sums = [
        sum(Decimal(row[0] or 0) for row in rows(store, sql))
        for sql in (
            f'SELECT foreignamount FROM transactionline WHERE "transaction" = {transaction}',
            f'SELECT amount FROM transactionaccountingline WHERE "transaction" = {transaction}',
        )
    ]
    return sums == [0, 0]


def test_a_removed_line_leaves_no_trace_but_in_the_sums_and_the_headers_stamp(
    store: Store,
) -> None:
    Edits(store).delete_line("5", "2")
    lines = 'SELECT id, foreignamount FROM transactionline WHERE "transaction" = 5 ORDER BY id'
    assert rows(store, lines) == [(0, "-100"), (1, "100")]
    assert header(store, 5, "foreigntotal", "foreignamountunpaid", "lastmodifieddate") == (
        "-100", "100", STAMP,
    )  # fmt: skip
    impact = "SELECT transactionline, debit, credit FROM transactionaccountingline ORDER BY 1"
    assert rows(store, impact) == [(0, None, "200"), (1, "200", None)]
    assert balanced(store, 5)
    assert rows(store, "SELECT * FROM deletedrecord") == []


def test_an_orders_total_has_the_sign_of_its_lines(store: Store) -> None:
    Edits(store).delete_line("6", "1")
    assert header(store, 6, "foreigntotal") == ("10",)


def test_a_line_entered_again_has_another_id_and_the_same_place(store: Store) -> None:
    fresh = Edits(store).replace_line("5", "1")
    assert fresh == "3"
    lines = (
        'SELECT id, linesequencenumber, foreignamount FROM transactionline WHERE "transaction" = 5'
    )
    found = {row[0]: (str(row[1]), row[2]) for row in rows(store, lines)}
    assert found == {0: ("0", "-125"), 2: ("2", "25"), 3: ("1", "100")}
    assert header(store, 5, "foreigntotal") == ("-125",)
    assert balanced(store, 5)
    postings = "SELECT transactionline, amount FROM transactionaccountingline ORDER BY 1"
    assert rows(store, postings) == [(0, "-250"), (2, "50"), (3, "200")]


def test_lines_in_another_order_keep_all_but_their_number(store: Store) -> None:
    Edits(store).reorder_lines("5")
    lines = 'SELECT id, linesequencenumber FROM transactionline WHERE "transaction" = 5 ORDER BY id'
    assert [(row[0], str(row[1])) for row in rows(store, lines)] == [(0, "0"), (1, "2"), (2, "1")]
    assert header(store, 5, "lastmodifieddate") == (STAMP,)


def test_a_void_leaves_lines_at_zero_and_gl_rows_without_amounts(store: Store) -> None:
    Edits(store).void("5")
    assert header(store, 5, "voided", "posting", "foreigntotal") == ("T", "T", "0")
    assert {row[0] for row in rows(store, "SELECT foreignamount FROM transactionline"
                                          ' WHERE "transaction" = 5')} == {"0"}  # fmt: skip
    impact = "SELECT DISTINCT account, debit, credit, amount FROM transactionaccountingline"
    assert rows(store, impact) == [(None, None, None, None)]


def test_a_closed_order_keeps_its_amounts(store: Store) -> None:
    Edits(store).close("6")
    assert header(store, 6, "status", "foreigntotal") == ("H", "30")


def test_a_reopened_bill_has_no_gl_impact(store: Store) -> None:
    Edits(store).reopen("5")
    assert header(store, 5, "status", "posting") == ("D", "F")
    assert rows(store, "SELECT * FROM transactionaccountingline") == []


def test_a_deletion_is_recorded(store: Store) -> None:
    Edits(store).delete("5")
    told = "SELECT recordid, type, name, deleteddate FROM deletedrecord"
    assert rows(store, told) == [(5, "vendorbill", "INV-5", STAMP)]
    assert rows(store, 'SELECT * FROM transactionline WHERE "transaction" = 5') == []


@pytest.mark.parametrize(
    ("action", "transaction", "line"),
    [("delete-line", "5", "0"), ("delete-line", "5", "9"), ("void", "77", ""), ("void", "x", ""),
     ("close", "5", ""), ("reopen", "6", "")],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_and_changes_nothing(
    store: Store, action: str, transaction: str, line: str
) -> None:
    before = store.data_version
    with pytest.raises(StoreError):
        Edits(store).actions[action](transaction, line)
    assert store.data_version == before
