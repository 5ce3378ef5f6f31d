"""Coverage adds up: by count and by amount, per office, as the crosswalk stands."""

from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa

from nsn_pipeline.audit.coverage import (
    Covered,
    at_stake,
    by_office,
    covered,
    resolved,
    rows_of,
    unused,
)
from nsn_pipeline.conform.crosswalk import Crosswalk
from nsn_pipeline.conform.usage import USAGE_SCHEMA
from nsn_pipeline_tests.unit.conform import world

OFFICES = {"1": "Parent", "3": "Leeds"}
DAY = date(2026, 3, 2)


def crosswalk(*mapped: dict[str, Any]) -> Crosswalk:
    context = world.context(world.references(gl_overrides=list(mapped)))
    return context.gl_crosswalk


def use(document: str, account: str, amount: str, **changed: Any) -> dict[str, Any]:
    row = {"document_id": document, "kind": "gl_account", "internal_id": account,
           "subsidiary_id": "3", "date": DAY, "currency": "GBP", "amount": Decimal(amount),
           "lines": 1}  # fmt: skip
    return row | changed


def usage(*rows: dict[str, Any], record_type: str = "vendor_bill") -> pa.Table:
    table = pa.Table.from_pylist(list(rows), USAGE_SCHEMA)
    return table.append_column("record_type", pa.array([record_type] * len(rows), pa.string()))


def covers(known: Crosswalk) -> list[Covered]:
    return covered(known, resolved(known, BILLS), OFFICES)


BILLS = usage(
    use("1", "642", "100"),
    use("1", "716", "20", lines=2),
    use("2", "716", "-5"),
    use("3", "716", "7", currency="EUR"),
    use("4", "642", "1000", subsidiary_id="1"),
    use("4", "12", "1000", kind="cost_center"),
)


def test_offices_show_what_is_mapped_and_what_is_not() -> None:
    found = covers(crosswalk())
    told = [
        (o.subsidiary, o.currency, len(o.codes), len(o.unmapped_codes), o.lines, o.unmapped_lines,
         o.amount, o.unmapped_amount)
        for o in by_office(found)
    ]  # fmt: skip
    assert told == [
        ("Leeds", "GBP", 2, 1, 4, 3, Decimal(115), Decimal(15)),
        ("Leeds", "EUR", 1, 1, 1, 1, Decimal(7), Decimal(7)),
        ("Parent", "GBP", 1, 0, 1, 0, Decimal(1000), Decimal(0)),
    ]
    assert sum(row["lines"] for row in rows_of(found)) == 6


def test_what_waits_for_a_code_counts_documents_once() -> None:
    orders = usage(use("9", "716", "3"), record_type="purchase_order")
    stake = at_stake(resolved(crosswalk(), pa.concat_tables([BILLS, orders])))
    assert list(stake) == ["716"]
    assert stake["716"].documents == {"purchase_order": 1, "vendor_bill": 3}
    assert stake["716"].amounts["vendor_bill"] == {"GBP": Decimal(15), "EUR": Decimal(7)}


def test_an_override_moves_its_office_to_mapped_and_no_other() -> None:
    mapped = crosswalk({"netsuite_code": "7160", "subsidiary_id": "3", "servicenow_code": "6420"})
    found = by_office(covers(mapped))
    assert not any(one.unmapped_codes for one in found)


def test_overrides_nobody_uses_are_told_with_why_they_could_be_needed() -> None:
    lines = [
        {"netsuite_code": "7160", "servicenow_code": "6420"},
        {"netsuite_id": "642", "subsidiary_id": "1", "servicenow_code": "6420"},
        {"netsuite_code": "5800", "servicenow_code": "6420"},
        {"netsuite_code": "7160", "subsidiary_id": "3", "servicenow_code": "6420",
         "valid_to": "2026-03-01"},
        {"netsuite_code": "nope", "servicenow_code": "6420"},
    ]  # fmt: skip
    mapped = crosswalk(*lines)
    idle = unused(mapped, resolved(mapped, BILLS))
    assert [mapped.overrides.index(one) for one in idle] == [2, 3, 4]
    assert [mapped.overrides.index(one) for one in mapped.subjectless()] == [4]


def test_the_gate_tells_what_its_documents_use_refused_ones_included() -> None:
    outcome = world.judge(
        "vendor_bill",
        [world.bill(total="-20")],
        [world.main_line(amount="-20"), world.line(amount="12", posting_account_id="716"),
         world.line("2", "8", posting_account_id="716", department_id=None)],
    )  # fmt: skip
    assert outcome.rejected == 1
    assert outcome.usage is not None
    told = sorted(
        (r["kind"], r["internal_id"], r["subsidiary_id"], r["amount"], r["lines"])
        for r in outcome.usage.to_dict("records")
    )
    assert told == [
        ("cost_center", "12", "3", Decimal(12), 1),
        ("gl_account", "716", "3", Decimal(20), 2),
    ]
