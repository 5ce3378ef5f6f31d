"""Half a year of a city's real accounts payable gives exactly what its expected.json says."""

from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest

from nsn_pipeline.conform.conform import conform
from nsn_pipeline.conform.outcome import Documents, Outcome
from nsn_pipeline.profiles.loader import load_profile
from nsn_pipeline_tests.unit.conform import ledger

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ledger.ROOT.is_dir(), reason="the shared ledger is not here"),
]

SEED = load_profile("seed")


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    context, bills = ledger.context(SEED), ledger.bills()
    documents = {
        "vendor": ledger.vendors(),
        "vendor_bill": bills,
        "gl_posting": ledger.postings(bills),
        "gl_account": Documents(context.accounts),
        "cost_center": Documents(context.departments),
    }
    return {
        name: conform(one, SEED.targets[name], context, SEED) for name, one in documents.items()
    }


def test_bills_and_amounts_are_exact(outcomes: dict[str, Outcome]) -> None:
    outcome, expected = outcomes["vendor_bill"], ledger.expected()
    amounts = outcome.amounts()["GBP"]

    assert outcome.read == expected["bills"]
    assert outcome.rejected == expected["rejected_bills"]
    assert amounts.read == Decimal(str(expected["amount"]))
    assert amounts.rejected == Decimal(str(expected["rejected_amount"]))


def test_every_month_is_exact(outcomes: dict[str, Outcome]) -> None:
    found: dict[str, Any] = defaultdict(lambda: [0, 0, Decimal(0), Decimal(0)])
    documents = outcomes["vendor_bill"].documents
    for day, status, amount in zip(
        documents["day"], documents["status"], documents["amount"], strict=True
    ):
        month, bad = found[day[:7]], status == "rejected"
        month[0] += 1
        month[1] += bad
        month[2] += amount
        month[3] += amount if bad else 0

    assert {month: list(values) for month, values in found.items()} == {
        month: [
            values["bills"],
            values["rejected"],
            Decimal(values["amount"]),
            Decimal(values["rejected_amount"]),
        ]
        for month, values in ledger.expected()["by_month"].items()
    }


def test_exactly_the_missing_codes_are_named(outcomes: dict[str, Outcome]) -> None:
    expected = ledger.expected()

    for name, missing in (
        ("gl_account", expected["missing_gl_accounts"]),
        ("cost_center", expected["missing_cost_centers"]),
    ):
        assert sorted(outcomes[name].problems["value"].to_list()) == missing
    references = set(outcomes["vendor_bill"].problems["reference"].to_list())
    assert references <= {
        *(f"gl_account:{code}" for code in expected["missing_gl_accounts"]),
        *(f"cost_center:{code}" for code in expected["missing_cost_centers"]),
    }


def test_postings_follow_their_bills(outcomes: dict[str, Outcome]) -> None:
    bills, postings = outcomes["vendor_bill"], outcomes["gl_posting"]

    assert set(postings.rejected_ids) == set(bills.rejected_ids)
    assert len(postings.headers) == len(bills.headers) + len(bills.lines)
    assert outcomes["vendor"].accepted == ledger.expected()["vendors"]
