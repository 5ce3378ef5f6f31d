"""A wrong currency of the reader's is noticed after a few amounts, not once per record."""

from decimal import Decimal

import pytest

from nsn_pipeline.conform.reasons import Reason
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.load.pacing import FixedPacer
from nsn_pipeline_tests.unit.load.fake_servicenow import FakeServiceNow
from nsn_pipeline_tests.unit.load.make import BILL, bill, frame, loader, resolver

INVOICE = "sn_apo_invoice"
MANY = 200


def reading_in(currency: str) -> FakeServiceNow:
    """A ServiceNow whose reader is shown amounts in a currency."""
    fake = FakeServiceNow()
    fake.seed("core_company", [{"sys_id": "v" * 32, "u_netsuite_id": "451"}])
    fake.converted, fake.reader_currency = {"total_amount": Decimal("0.92")}, currency
    return fake


def bills(*keys: int, total: str = "30.00"):
    # What is zero is shown as zero in every currency.
    totals = {str(key): "0.00" if key % 10 == 0 else total for key in keys}
    return frame(
        BILL,
        {
            key: bill(total_amount=f"USD;{text}", u_total_amount=text)
            for key, text in totals.items()
        },
    )


def load(fake: FakeServiceNow, rows, *, share: int = 50, connections: int = 2):
    pacer = FixedPacer(connections, 10)
    with loader(fake, share=share, pacer=pacer, reader_currency="USD") as writer:
        return writer.load(BILL, rows, resolver=resolver(fake))


@pytest.mark.parametrize("share", [8, 50, 1_000], ids=["small shares", "shares", "one share"])
@pytest.mark.parametrize("there", [False, True], ids=["created", "updated"])
def test_a_wrong_currency_stops_the_load_after_a_few_batches(share: int, *, there: bool) -> None:
    fake = reading_in("USD")
    if there:
        load(fake, bills(*range(MANY)))
        fake.writes.clear()
    fake.reader_currency = "EUR"
    with pytest.raises(ConfigurationError, match="set SERVICENOW_CURRENCY") as told:
        load(fake, bills(*range(MANY)), share=share)
    assert "'USD;30.00' as '27.6'" in str(told.value)
    # The third batch tells. Each of the four threads of two lanes may be busy with one more.
    assert 20 <= len(fake.writes) <= (2 + 4) * 10


def test_a_few_amounts_that_differ_fail_alone() -> None:
    fake = reading_in("EUR")
    result = load(fake, bills(*range(1, 10), *range(11, 20)))
    assert result.counts()["failed"] == 18
    assert {r.problems[0].reason for r in result.records.values()} == {Reason.NOT_STORED}


def test_one_amount_that_came_back_as_written_keeps_a_load_going() -> None:
    fake = reading_in("USD")
    fake.computed = {"total_amount": lambda row: _halved(row["u_total_amount"])}
    rows = bills(*range(1, MANY))
    rows.loc[rows["_key"] == "1", ["total_amount", "u_total_amount"]] = ["USD;7.00", "7.00"]
    result = load(fake, rows, connections=1)  # so that it is among the first to come back
    assert (result.counts()["created"], result.counts()["failed"]) == (1 + 19, 179)  # 19 are zero


def test_one_amount_that_is_there_as_written_keeps_a_load_going() -> None:
    """Documents that a rule changes for ever must not keep others from being written."""
    fake = reading_in("USD")
    load(fake, bills(*range(MANY), total="7.00"))
    fake.computed = {"total_amount": lambda row: _halved(row["u_total_amount"])}
    rows = bills(*range(MANY))
    rows.loc[rows["_key"] == "1", ["total_amount", "u_total_amount"]] = ["USD;7.00", "7.00"]
    result = load(fake, rows)
    assert (result.counts()["unchanged"], result.counts()["failed"]) == (1 + 20, 179)


def _halved(total: str) -> str:
    """A rule that spares 7.00."""
    return f"USD;{total}" if total == "7.00" else f"USD;{Decimal(total) / 2}"
