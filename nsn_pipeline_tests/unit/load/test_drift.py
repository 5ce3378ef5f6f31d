"""Columns that are compared and never written."""

from decimal import Decimal

import pytest

from nsn_pipeline.load.documents import load_documents
from nsn_pipeline.load.drift import Drift, compare_only
from nsn_pipeline.load.plan import Wanted, plan
from nsn_pipeline.load.table import prepare
from nsn_pipeline.profiles.model import Target
from nsn_pipeline_tests.unit.load.fake_servicenow import FakeServiceNow
from nsn_pipeline_tests.unit.load.make import column, frame, load, loader, resolver

THING = Target(
    record_type="thing",
    table="u_thing",
    external_key="u_netsuite_id",
    key_from="{internal_id}",
    columns=(
        column("name"),
        column("colour", owner="compared"),
        column("quantity", "quantity", owner="compared"),
        column("total", "money(currency_code)", owner="compared"),
        column("vendor", "reference(vendor)", owner="compared"),
        column("first", owner="servicenow"),
    ),
)
WANTED = {"name": "a", "colour": "red", "quantity": "3", "total": "USD;9.50", "first": "x"}
ROW = {"sys_id": "f" * 32, "u_netsuite_id": "1", **WANTED, "total": "9.5000", "vendor": ""}


def drift(row: dict[str, str], *, reader_currency: str = "USD", **wanted: str) -> Drift:
    table = prepare(THING, reader_currency=reader_currency)
    return compare_only(table, "1", "1", {**WANTED, **wanted}, row)


def told(found: Drift) -> list[tuple[str, str, str]]:
    return [(one.column, one.netsuite, one.servicenow) for one in found.differences]


def test_values_that_mean_the_same_are_no_difference() -> None:
    found = drift({**ROW, "quantity": "3.000"})
    assert told(found) == []
    assert found.judged == {"colour": 1, "quantity": 1, "total": 1}
    assert found.not_judged == {"vendor": 1}  # NetSuite gave nothing that can be found


def test_a_difference_names_both_sides() -> None:
    found = drift({**ROW, "colour": "blue", "total": "10"})
    assert told(found) == [("colour", "red", "blue"), ("total", "USD;9.50", "10")]
    assert found.by_column() == {"colour": 1, "total": 1}
    assert found.differences[0].sys_id == "f" * 32


@pytest.mark.parametrize("reader_currency", ["EUR", ""], ids=["another", "not known"])
def test_amount_in_another_currency_than_the_readers_is_not_judged(reader_currency: str) -> None:
    found = drift({**ROW, "total": "8.77"}, reader_currency=reader_currency)
    assert told(found) == []
    assert found.not_judged["total"] == 1


def test_amount_that_names_its_currency_is_judged_by_it() -> None:
    assert told(drift({**ROW, "total": "USD;9.5"}, reader_currency="")) == []
    assert told(drift({**ROW, "total": "USD;9.6"}, reader_currency="")) != []


@pytest.mark.parametrize(
    ("present", "agrees"), [("9.5049", True), ("9.495", True), ("9.505", False), ("9.51", False)]
)
def test_computed_amount_is_compared_to_the_cent(present: str, agrees: bool) -> None:
    assert (told(drift({**ROW, "total": present})) == []) is agrees


def test_amount_that_is_not_there_differs_in_any_currency() -> None:
    assert told(drift({**ROW, "total": ""}, reader_currency="")) == [("total", "USD;9.50", "")]


def test_column_the_role_may_not_read_is_not_judged() -> None:
    row = {name: value for name, value in ROW.items() if name != "colour"}
    assert drift(row).not_judged["colour"] == 1


def test_compared_column_is_never_sent_neither_on_create_nor_on_update() -> None:
    wanted = Wanted("1", "1", dict(WANTED))
    (create,) = plan(prepare(THING), [wanted], {}, instance="dev1").changes
    assert create.values == {"name": "a", "first": "x", "u_netsuite_id": "1"}
    present = {"1": [{**ROW, "name": "b", "colour": "blue", "total": ""}]}
    result = plan(prepare(THING), [wanted], present, instance="dev1")
    assert result.changes[0].values == {"name": "a"}
    assert result.drift["1"].by_column() == {"colour": 1, "total": 1}


def test_difference_fails_nothing_and_writes_nothing() -> None:
    fake = FakeServiceNow()
    fake.seed("u_thing", [{**ROW, "colour": "blue"}])
    result = load(fake, frame(THING, {"1": WANTED}), target=THING)
    assert result.counts()["unchanged"] == 1
    assert fake.writes == []
    assert result.drift["1"].by_column() == {"colour": 1}


def test_null_in_a_compared_column_is_not_judged() -> None:
    fake = FakeServiceNow()
    fake.seed("u_thing", [ROW])
    rows = frame(THING, {"1": {**WANTED, "colour": None}})
    result = load(fake, rows, target=THING)
    assert result.drift["1"].not_judged["colour"] == 1


def test_unresolved_reference_that_is_only_compared_is_neither_fault_nor_note() -> None:
    fake = FakeServiceNow()
    fake.seed("u_thing", [ROW])
    result = load(fake, frame(THING, {"1": {**WANTED, "vendor": "ref:vendor:9"}}), target=THING)
    assert (result.records["1"].status, result.records["1"].notes) == ("unchanged", ())
    assert result.drift["1"].not_judged["vendor"] == 1


ORDER = Target(
    record_type="purchase_order",
    table="proc_po",
    external_key="u_netsuite_id",
    key_from="{internal_id}",
    columns=(
        column("u_currency", source="currency_code"),
        column("total_cost", "decimal(2)", owner="compared"),
    ),
    lines=Target(
        record_type="purchase_order",
        table="proc_po_item",
        external_key="u_netsuite_id",
        key_from="{document_id}-{line_id}",
        parent_column="purchase_order",
        columns=(column("purchase_order", "reference(parent)"), column("cost", "decimal(2)")),
    ),
)


def order_drift(fake: FakeServiceNow, total: str, cost: str, *, plan_only: bool = False) -> Drift:
    headers = frame(ORDER, {"7": {"u_currency": "USD", "total_cost": total}})
    assert ORDER.lines is not None
    lines = frame(ORDER.lines, {"7-1": {"purchase_order": "ref:parent:7", "cost": cost}})
    with loader(fake) as writer:
        result = load_documents(
            writer, ORDER, headers, lines, resolver=resolver(fake), plan_only=plan_only
        )
    found = Drift()
    for one in result.tables[0].drift.values():
        found.add(one)
    return found


def totalled() -> FakeServiceNow:
    """A ServiceNow that computes an order's total from its lines."""
    fake = FakeServiceNow()

    def compute() -> None:
        for order in fake.tables["proc_po"].values():
            lines = [
                Decimal(line["cost"])
                for line in fake.tables["proc_po_item"].values()
                if line["purchase_order"] == order["sys_id"]
            ]
            order["total_cost"] = str(sum(lines)) if lines else ""

    fake.after_batch = compute
    return fake


def test_computed_total_is_judged_after_the_lines_that_make_it() -> None:
    fake = totalled()
    assert order_drift(fake, "10.00", "10").by_column() == {}
    assert order_drift(fake, "12.00", "12.00").by_column() == {}  # it held 10 before
    assert told(order_drift(fake, "12.00", "11.99")) == [("total_cost", "12.00", "11.99")]


def test_a_plan_does_not_judge_what_it_would_change() -> None:
    fake = totalled()
    order_drift(fake, "10.00", "10")
    planned = order_drift(fake, "12.00", "12.00", plan_only=True)
    assert (planned.by_column(), planned.judged) == ({}, {})
