import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from nsn_pipeline.sandbox.data.generator import DEFAULT_FIRST_DAY, SIZES, generate
from nsn_pipeline.sandbox.data.tables import COLUMNS
from nsn_pipeline.sandbox.problems import SeedError
from nsn_pipeline_tests.unit.sandbox.data.world import tables

SHAPES = ("multi", "single")
DIGEST = """
import hashlib, json
from nsn_pipeline.sandbox.data.generator import generate
print(hashlib.sha256(json.dumps(list(generate("tiny", 7))).encode()).hexdigest())
"""


def digest(seed: int) -> str:
    return hashlib.sha256(json.dumps(list(generate("tiny", seed))).encode()).hexdigest()


def test_the_same_seed_gives_the_same_rows_in_another_process_with_other_hashes() -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "TZ": "Asia/Tokyo"}
    other = subprocess.run(
        [sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True, env=environment
    )
    assert other.stdout.strip() == digest(7)


def test_another_seed_gives_other_rows() -> None:
    assert digest(7) != digest(8)


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_a_size_has_the_orders_and_bills_it_promises(size: str) -> None:
    kinds = Counter(row["type"] for row in tables(size)["transaction"])
    assert kinds["PurchOrd"] == SIZES[size].orders
    assert kinds["VendBill"] == SIZES[size].bills
    assert len(tables(size)["vendor"]) == SIZES[size].vendors


def test_days_only_spread_the_documents() -> None:
    short = [
        row
        for _, table, rows in generate("tiny", 1, days=2)
        for row in rows
        if table == "transaction"
    ]
    kinds = Counter(row["type"] for row in short)
    assert (kinds["PurchOrd"], kinds["VendBill"]) == (30, 60)
    assert max(str(row["lastmodifieddate"]) for row in short) < "2026-03-04T05:00:00Z"


@pytest.mark.parametrize("arguments", [{"size": "huge"}, {"size": "tiny", "days": 0}])
def test_an_impossible_request_is_refused(arguments: dict) -> None:
    with pytest.raises(SeedError, match=r"size|days"):
        generate(seed=1, **arguments)


def test_every_row_has_exactly_the_columns_of_its_table() -> None:
    for table, rows in tables().items():
        for row in rows:
            assert tuple(row) == COLUMNS[table]
            assert "" not in row.values(), f"{table}: null is None, never an empty text"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("table", "column", "target"),
    [
        ("transaction", "entity", "vendor"),
        ("transaction", "currency", "currency"),
        ("transaction", "postingperiod", "accountingperiod"),
        ("transaction", "terms", "term"),
        ("transactionline", "transaction", "transaction"),
        ("transactionline", "item", "item"),
        ("transactionline", "expenseaccount", "account"),
        ("transactionline", "department", "department"),
        ("transactionline", "class", "classification"),
        ("transactionline", "location", "location"),
        ("transactionline", "subsidiary", "subsidiary"),
        ("transactionline", "createdfrom", "transaction"),
        ("transactionaccountingline", "account", "account"),
        ("transactionaccountingline", "transaction", "transaction"),
        ("vendor", "currency", "currency"),
        ("account", "parent", "account"),
        ("department", "parent", "department"),
        ("item", "assetaccount", "account"),
        ("nexttransactionlinelink", "previousdoc", "transaction"),
        ("nexttransactionlinelink", "nextdoc", "transaction"),
    ],
)
def test_references_resolve(shape: str, table: str, column: str, target: str) -> None:
    made = tables("small", 1, shape)
    if target not in made:
        assert shape == "single"
        assert {row[column] for row in made[table]} == {None}
        return
    known = made.by_id(target).keys()
    assert {row[column] for row in made[table]} - {None} <= known


def test_keys_are_unique() -> None:
    made = tables("small")
    for table, key in {
        "transaction": ("id",),
        "transactionline": ("transaction", "id"),
        "transactionaccountingline": ("accountingbook", "transaction", "transactionline"),
        "nexttransactionlinelink": (
            "previousdoc",
            "previousline",
            "nextdoc",
            "nextline",
            "linktype",
        ),
        "vendor": ("id",),
        "account": ("id",),
        "accountingperiod": ("id",),
    }.items():
        counted = Counter(tuple(row[column] for column in key) for row in made[table])
        assert counted.most_common(1)[0][1] == 1, table
    keys = [row["uniquekey"] for row in made["transactionline"]]
    assert len(set(keys)) == len(keys)


def test_a_single_entity_has_no_oneworld_or_multibook_tables() -> None:
    made = tables("tiny", 1, "single")
    assert not {"subsidiary", "accountingbook", "vendorsubsidiaryrelationship"} & made.keys()
    assert [row["symbol"] for row in made["currency"]] == ["USD"]
    assert {row["accountingbook"] for row in made["transactionaccountingline"]} == {"1"}


def test_changes_fall_within_the_window_and_on_each_of_its_days() -> None:
    zone = ZoneInfo("America/New_York")
    days = {
        datetime.fromisoformat(str(row["lastmodifieddate"])).astimezone(zone).date()
        for row in tables("small")["transaction"]
    }
    assert days == {date(2026, 3, day) for day in range(2, 9)}
    assert min(days) == DEFAULT_FIRST_DAY


def test_nothing_changes_before_it_was_created() -> None:
    for row in tables("small")["transaction"]:
        assert str(row["createddate"]) <= str(row["lastmodifieddate"])


def test_what_follows_from_an_order_is_not_older_than_the_order() -> None:
    made = tables("small")
    documents = made.by_id("transaction")
    for link in made["nexttransactionlinelink"]:
        before, after = documents[str(link["previousdoc"])], documents[str(link["nextdoc"])]
        assert str(before["createddate"]) <= str(after["createddate"])


@pytest.mark.parametrize(
    ("peculiarity", "present"),
    [
        ("every order status", {"A", "B", "C", "D", "E", "F", "G", "H"}),
        ("bills open, paid, pending", {"A", "B", "D"}),
    ],
)
def test_even_the_tiny_size_has_every_status(peculiarity: str, present: set[str]) -> None:
    kind = "PurchOrd" if "order" in peculiarity else "VendBill"
    assert {row["status"] for row in tables()["transaction"] if row["type"] == kind} == present


def test_the_small_size_has_the_peculiarities_that_break_integrations() -> None:
    made = tables("small")
    documents = made["transaction"]
    stamps = {row["id"]: str(row["lastmodifieddate"]) for row in documents}
    bills = [row for row in documents if row["type"] == "VendBill"]
    vendors = made.by_id("vendor")
    billed = {str(row["entity"]) for row in bills}
    assert any(row["voided"] == "T" for row in bills)
    assert any(row["isreversal"] == "T" for row in documents)
    assert any(row["intercoadj"] == "T" for row in documents)
    assert any(row["tranid"] is None for row in bills)
    assert len({row["tranid"] for row in bills}) < len(bills) - 1
    assert any(str(row["createddate"])[:10] < str(row["lastmodifieddate"])[:10] for row in bills)
    assert any(
        str(line["linelastmodifieddate"]) > stamps[line["transaction"]]
        for line in made["transactionline"]
    ), "a line edited after its header"
    assert {str(row["lastmodifieddate"])[11:] for row in documents} >= {"04:59:59Z", "05:00:00Z"}
    assert any(vendors[vendor]["isperson"] == "T" for vendor in billed)
    assert any(vendors[vendor]["isinactive"] == "T" for vendor in billed)
    assert any(vendors[vendor]["representingsubsidiary"] for vendor in billed)
    names = " ".join(str(row["companyname"]) for row in made["vendor"])
    assert all(mark in names for mark in ("^", '"', "✨", "=HYP", "+44", "-Zero", "@Work"))
    assert len(made["deletedrecord"]) > 5
    assert not {row["recordid"] for row in made["deletedrecord"]} & stamps.keys()
    assert {row["closed"] for row in made["accountingperiod"]} == {"T", "F"}


def test_individuals_have_no_company_name() -> None:
    people = [row for row in tables("small")["vendor"] if row["isperson"] == "T"]
    assert people
    assert all(row["companyname"] is None and row["firstname"] for row in people)
