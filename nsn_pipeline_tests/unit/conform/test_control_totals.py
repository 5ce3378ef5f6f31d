"""A bill against what the ledger has for it: equal to the penny, or within rounding, or told."""

from dataclasses import replace
from typing import Any

import pytest

from nsn_pipeline.conform.control_totals import Disagreement, disagreements, lost_amounts
from nsn_pipeline.records.registry import REGISTRY
from nsn_pipeline_tests.unit.conform import world
from nsn_pipeline_tests.unit.conform.world import bill, judge, line, main_line, posting


def found(
    header: dict[str, Any], postings: list[dict[str, Any]], *, amount: str = "-1250"
) -> list[Disagreement]:
    record, ledger = REGISTRY["vendor_bill"], REGISTRY["gl_posting"]
    assert record.lines is not None
    lines = [main_line(amount=amount), line()]
    return list(
        disagreements(
            world.canonical([header], record.header),
            world.canonical(lines, record.lines),
            world.canonical(postings, ledger.header),
            world.context(world.references()),
        )
    )


def posted(payable: str, *costs: str) -> list[dict[str, Any]]:
    rows = [posting("0", credit=payable, account_id="111")]
    return rows + [posting(str(n), debit=cost, account_id="642") for n, cost in enumerate(costs, 1)]


AGREE = {
    "the same": (bill(), posted("1250", "1250")),
    "tax and two lines on the other side": (bill(), posted("1250", "1000", "50", "200")),
    "converted, to the penny": (bill(exchange_rate="0.85"), posted("1062.50", "1062.50")),
    "converted, a penny of rounding": (
        bill(total="-100.01", exchange_rate="0.333333"), posted("33.34", "33.33", "0.01")),
    "converted, as far off as its rate's last digit": (
        bill(total="-999999999.99", exchange_rate="0.12345678"),
        posted("123456783.00", "123456783.00")),
    "waiting for approval": (bill(is_posting="F"), []),
    "voided": (bill(is_voided="T"), []),
    "over nothing": (bill(total="0"), []),
    "without a total, which is its own problem": (bill(total=None), posted("1250", "1250")),
    "a credit": (
        bill(type="VendCred", total="1250"),
        [posting("0", debit="1250"), posting("1", credit="1250")]),
}  # fmt: skip


@pytest.mark.parametrize("case", list(AGREE))
def test_bill_that_agrees_with_its_postings(case: str) -> None:
    assert found(*AGREE[case]) == []


DIFFER = {
    "a penny off": (
        bill(), posted("1249.99", "1249.99"), "so 1250 GBP payable; the ledger has 1249.99"),
    "postings balance over another amount": (
        bill(), posted("125", "125"), "the ledger has 125 GBP"),
    "posted in the wrong direction": (
        bill(), [posting("0", debit="1250"), posting("1", credit="1250")], "the ledger has -1250"),
    "converted at another rate": (
        bill(exchange_rate="0.85"), posted("1087.50", "1087.50"), "at a rate of 0.85"),
    "posted, but no posting came": (bill(), [], "none of its postings came"),
    "the main line's posting did not come": (
        bill(), [posting("1", debit="1250")], "the ledger has 0 GBP"),
    "voided in name only": (bill(is_voided="F"), [], "none of its postings came"),
}  # fmt: skip


@pytest.mark.parametrize("case", list(DIFFER))
def test_bill_that_differs_from_its_postings_says_both_amounts(case: str) -> None:
    header, postings, told = DIFFER[case]
    differences = found(header, postings)
    assert [one.document_id for one in differences] == ["88412"]
    assert told in differences[0].remedy


def test_accepted_postings_balance_in_every_currency() -> None:
    rows = posted("1250", "1250")
    outcome = judge("gl_posting", rows)
    frame = world.canonical(rows, REGISTRY["gl_posting"].header)
    assert outcome.accepted == 1
    assert lost_amounts(frame, outcome) == []
    half = replace(outcome, headers=outcome.headers[1:])
    assert lost_amounts(frame, half) == ["accepted postings in GBP do not balance: 1250.00000000"]


def test_a_document_sent_twice_with_different_totals_is_not_a_lost_amount() -> None:
    headers = [bill(), bill(total="-1251")]
    outcome = judge("vendor_bill", headers, [main_line(), line()])
    frame = world.canonical(headers, REGISTRY["vendor_bill"].header)
    assert outcome.rejected == 1
    assert lost_amounts(frame, outcome) == []
