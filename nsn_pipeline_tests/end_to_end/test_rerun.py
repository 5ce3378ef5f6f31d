"""What a run of days that were synced before costs, and what load assets tell of each day."""

import re
from collections import Counter
from math import ceil
from typing import Any
from urllib.parse import parse_qs

import pytest

from nsn_pipeline.profiles.loader import load_profile
from nsn_pipeline_tests.end_to_end.conftest import FirstSync, Open
from nsn_pipeline_tests.end_to_end.test_sync import written
from nsn_pipeline_tests.support.company import WEEK

pytestmark = pytest.mark.slow

KEY, KEYS_CHARS = "u_netsuite_id", 6_000  # of keys in a query; a URL of 8,000 holds a little more
PARENTS = {"purchase_order": "proc_po", "invoice": "sn_apo_invoice"}  # looked up by sys_id
# Each step looks its own records up once, and once each kind of record that they refer to. Lines
# and postings are read below their documents, which shows as well what is gone, and not by key
# again; and once more for those NetSuite says are deleted or post nothing.
LOOKUPS = {
    ("core_company", KEY): 4,  # their own, and for orders, bills and postings
    ("proc_po", KEY): 3,  # their own, for bills, and deleted ones
    ("proc_po_item", KEY): 1,  # for the lines of bills
    ("proc_po_item", "purchase_order"): 2,
    ("sn_apo_invoice", KEY): 2,
    ("sn_apo_invoice_line", KEY): 0,
    ("sn_apo_invoice_line", "invoice"): 2,
    ("u_netsuite_gl_posting", KEY): 0,
    ("u_netsuite_gl_posting", "u_netsuite_transaction"): 2,
}
# What is read besides, by the table it is about. The columns of a table are asked for in three
# calls: is it there, its class, its dictionary.
COLUMNS = 3
PRE_FLIGHT = COLUMNS + 1  # and one row, to see which columns the role is shown
BESIDES = {
    **dict.fromkeys(("core_company", "proc_po", "sn_apo_invoice"), PRE_FLIGHT),
    # once more: only where the dictionary calls keys unique is a row below its document enough
    **dict.fromkeys(
        ("proc_po_item", "sn_apo_invoice_line", "u_netsuite_gl_posting"), PRE_FLIGHT + COLUMNS
    ),
    # all rows for the crosswalk of the gate, and those of this run's codes
    **dict.fromkeys(("itfm_gl_accounts", "cmn_cost_center"), PRE_FLIGHT + 2),
}


def test_an_unchanged_week_costs_no_more_reads_than_look_ups_and_no_write(
    first_sync: FirstSync, opened: Open
) -> None:
    asked: Counter[tuple[str, str]] = Counter()
    others: list[str] = []
    rest: Counter[str] = Counter()  # by the table they are about

    def note(request: Any) -> None:
        _, found, table = request.path.partition("/api/now/table/")
        query = parse_qs(request.query).get("sysparm_query", [""])[0]
        if request.method == "GET" and (table, query.partition("IN")[0]) in LOOKUPS:
            asked[table, query.partition("IN")[0]] += 1
        elif found and query and table in {name for name, _ in LOOKUPS}:
            others.append(f"{request.method} {table} {query}")
        elif request.method != "GET" and "oauth" not in request.path:
            others.append(f"{request.method} {request.path}")
        elif "oauth" not in request.path:
            about = re.match(r"name(?:=|IN)(\w+)", query) if table.startswith("sys_") else None
            rest[about[1] if about else table or request.path] += 1

    company = opened(first_sync.home, servicenow={"fault_hook": note})
    outcome = company.sync()
    assert outcome.success, outcome.errors
    allowed = {}
    for (table, column), times in LOOKUPS.items():
        keys = [*written(company.home, table)]
        if column in PARENTS:
            keys = [row["sys_id"] for row in written(company.home, PARENTS[column]).values()]
        allowed[table, column] = times * ceil(sum(len(key) + 3 for key in keys) / KEYS_CHARS)
    assert {k: n for k, n in asked.items() if n > allowed[k]} == {}
    assert {about: n for about, n in rest.items() if n > BESIDES.get(about, 0)} == {}
    assert others == []  # no batch, no write, no record read one by one


def test_load_assets_tell_of_each_day_what_was_planned_with_a_sample(
    first_sync: FirstSync,
) -> None:
    profile = load_profile("seed")
    created: Counter[str] = Counter()
    sampled: Counter[str] = Counter()
    for kind in ("vendor", "purchase_order", "vendor_bill", "gl_posting"):
        target = profile.targets[kind]
        for part in (target, *([target.lines] if target.lines else [])):
            days = first_sync.outcome.by_day[f"servicenow/{part.table}"]
            assert set(days) == set(WEEK)
            rows = written(first_sync.home, part.table)
            texts = {
                one.column
                for one in part.columns
                if one.converter.name == "text" and one.owner == "netsuite"
            }
            for figures in days.values():
                planned = figures["plan"]
                assert set(planned) == {"kinds", "fields"}
                created[part.table] += planned["kinds"].get("create", 0)
                assert ("changes" in figures) == (planned["kinds"].get("create", 0) > 0)
                for record in figures["changes"].records if "changes" in figures else ():
                    row = record.data
                    assert (row["key"] in rows, row["old"]) == (True, "")
                    if row["column"] in texts and kind != "vendor":
                        assert rows[row["key"]][row["column"]] == row["new"]
                        sampled[part.table] += 1
            assert created[part.table] >= len(rows) > 0  # one that came on two days is told on both
    assert sampled["sn_apo_invoice"] > 0
