"""The gate's own arithmetic: what came in is accepted or rejected, and all that was listed came."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from nsn_pipeline.conform.outcome import DOCUMENT_COLUMNS, PROBLEM_COLUMNS, Documents, Outcome
from nsn_pipeline.orchestration.checks import (
    CONTROL_TOTALS,
    NOTHING_LOST,
    CheckFigures,
    Judged,
    figures,
    ledger_problems,
)
from nsn_pipeline.orchestration.reporting import TABLE_ROWS, Listed
from nsn_pipeline.records.registry import REGISTRY
from nsn_pipeline.records.spec import MONEY_TYPE
from nsn_pipeline_tests.unit.conform import world


def outcome_of(statuses: dict[str, str]) -> Outcome:
    kinds = dict.fromkeys(DOCUMENT_COLUMNS, pd.ArrowDtype(pa.string()))
    kinds["amount"] = pd.ArrowDtype(MONEY_TYPE)
    rows = [
        dict.fromkeys(DOCUMENT_COLUMNS) | {"document_id": identifier, "status": status}
        for identifier, status in statuses.items()
    ]
    documents = pd.DataFrame(rows, columns=list(DOCUMENT_COLUMNS)).astype(kinds)
    problems = pd.DataFrame(columns=list(PROBLEM_COLUMNS))
    nothing = pd.DataFrame(columns=["_amount", "_currency"])
    return Outcome("vendor_bill", nothing, nothing, problems, documents)


@pytest.mark.parametrize(
    ("came", "judged", "asked", "passes"),
    [
        (["1", "2"], {"1": "accepted", "2": "rejected"}, 2, True),
        (["1", "2"], {"1": "accepted"}, 2, False),
        (["1", "2"], {"1": "accepted", "2": "accepted"}, 3, False),
        (["1"], {"1": "accepted"}, None, True),
        ([], {}, 0, True),
    ],
    ids=["all judged", "one not judged", "one listed did not come", "not counted", "empty day"],
)
def test_a_record_that_goes_missing_anywhere_fails_the_check(
    came: list[str], judged: dict[str, str], asked: int | None, passes: bool
) -> None:
    documents = Documents(headers_of(came), lines_of(came))
    check = of_name(NOTHING_LOST, day(documents, outcome_of(judged), asked=asked))
    assert check.passed is passes
    assert check.severity.value == "ERROR"


def test_every_record_that_was_not_judged_is_named() -> None:
    ids = ["", *(str(number) for number in range(1, 100))]
    check = of_name(NOTHING_LOST, day(Documents(headers_of(ids), None), outcome_of({})))
    told = {record.data["document"] for record in check.metadata["not_judged"].records}
    assert told == {"(no id)", *ids[1:]}
    assert "100 not judged: (no id), 1, 10," in check.description


def test_of_very_many_that_were_not_judged_the_table_says_how_many_more() -> None:
    ids = [str(number) for number in range(TABLE_ROWS + 7)]
    check = of_name(NOTHING_LOST, day(Documents(headers_of(ids), None), outcome_of({})))
    told = [record.data["document"] for record in check.metadata["not_judged"].records]
    assert told[-1] == "and 7 more"
    assert len(told) == TABLE_ROWS + 1


def headers_of(ids: list[str]) -> pd.DataFrame:
    columns = ("total", "exchange_rate", "is_posting", "is_voided")
    return pd.DataFrame({"internal_id": ids, **dict.fromkeys(columns)})


def lines_of(ids: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {"document_id": ids, **dict.fromkeys(("line_id", "is_main", "subsidiary_id"))}
    )


def judged_bills(**changed: Any) -> tuple[Documents, Outcome]:
    """A good bill and one on an account that ServiceNow lacks, as read and as judged."""
    headers = [world.bill(), world.bill("2", total="-99.5", **changed)]
    lines = [world.main_line(), world.line(), world.main_line("2", "-99.5"),
             world.line(amount="99.5", document_id="2", posting_account_id="716")]  # fmt: skip
    record = REGISTRY["vendor_bill"]
    assert record.lines is not None
    documents = Documents(
        world.canonical(headers, record.header), world.canonical(lines, record.lines)
    )
    return documents, world.judge("vendor_bill", headers, lines)


def test_control_totals_hold_for_what_the_gate_made_of_a_day() -> None:
    check = of_name(CONTROL_TOTALS, day(*judged_bills()))
    assert check.passed, check.description
    assert check.severity.value == "ERROR"
    totals = check.metadata.pop("totals")
    assert check.metadata == {"read_GBP": 1349.5, "accepted_GBP": 1250.0, "rejected_GBP": 99.5}
    assert [record.data for record in totals.records] == [
        {
            "currency": "GBP", "judged": "1,349.50", "accepted": "1,250.00", "rejected": "99.50",
            "headers to write": "1,250.00", "lines to write": "1,250.00",
        }
    ]  # fmt: skip
    assert check.description == "GBP: read 1,349.50, rejected 99.50"


def with_amount(frame: pd.DataFrame, column: str, amount: str) -> pd.DataFrame:
    first, *rest = frame[column].to_list()
    assert first is not None
    changed = pd.array([Decimal(amount), *rest], dtype=pd.ArrowDtype(MONEY_TYPE))
    return frame.assign(**{column: changed})


@pytest.mark.parametrize(
    ("part", "column"),
    [("documents", "amount"), ("headers", "_amount"), ("lines", "_amount")],
)
def test_a_sum_that_changed_between_reading_and_writing_blocks(part: str, column: str) -> None:
    documents, outcome = judged_bills()
    spoiled = replace(outcome, **{part: with_amount(getattr(outcome, part), column, "1250.01")})
    check = of_name(CONTROL_TOTALS, day(documents, spoiled))
    assert not check.passed
    assert "1250.01" in check.description or "1349.51" in check.description
    (row,) = [record.data for record in check.metadata["totals"].records]
    places = {"documents": "accepted", "headers": "headers to write", "lines": "lines to write"}
    told = {name: row[name] for name in places.values()}
    assert told == dict.fromkeys(places.values(), "1,250.00") | {places[part]: "1,250.01"}


@pytest.mark.parametrize(("judged", "told"), [(1, "1,250.00"), (0, "0.00")])
def test_a_document_missing_from_the_judgement_changes_the_sums(judged: int, told: str) -> None:
    documents, outcome = judged_bills()
    check = of_name(
        CONTROL_TOTALS, day(documents, replace(outcome, documents=outcome.documents[:judged]))
    )
    assert not check.passed
    (row,) = [record.data for record in check.metadata["totals"].records]
    assert (row["judged"], row["headers to write"]) == (told, "1,250.00")


def test_a_failing_check_tells_the_remedy_the_money_and_where_the_rest_is() -> None:
    check = of_name("gl_accounts_exist", day(*judged_bills()))
    assert not check.passed
    assert check.severity.value == "WARN"
    assert check.metadata["documents_refused"] == 1
    assert check.metadata["refused_GBP"] == 99.5
    assert check.metadata["all_problems_of_the_day"].value == "problems.parquet"
    row = check.metadata["documents"].records[0].data
    assert row["amount"] == "99.50 GBP"
    assert row["remedy"].startswith("Add account 7160 'Agency staff' (office Leeds) to")
    assert row["netsuite"].endswith("id=2")


def test_the_table_stops_at_200_and_says_so() -> None:
    documents, outcome = judged_bills()
    many = pd.concat([outcome.problems] * (TABLE_ROWS + 1), ignore_index=True)
    check = of_name("gl_accounts_exist", day(documents, replace(outcome, problems=many)))
    assert len(check.metadata["documents"].records) == TABLE_ROWS
    assert check.metadata["problems"] == TABLE_ROWS + 1
    assert f"the first {TABLE_ROWS} problems shown" in check.description


def of_name(name: str, judged: Judged) -> CheckFigures:
    return next(result for result in figures(judged) if result.name == name)


def test_bills_that_the_ledger_has_not_are_listed_like_problems_with_the_file_of_all() -> None:
    documents, outcome = judged_bills()
    postings = pd.DataFrame(columns=["document_id", "line_id", "debit", "credit"])
    context = world.context(world.references())
    problems = ledger_problems(documents, outcome, postings, context)
    assert list(problems.columns) == list(PROBLEM_COLUMNS)
    assert len(problems) == 2
    many = pd.concat([problems] * TABLE_ROWS, ignore_index=True)
    judged = replace(day(documents, outcome), ledger=Listed(many, Path("ledger.parquet")))
    check = of_name("agrees_with_ledger", judged)
    assert not check.passed
    assert f"the first {TABLE_ROWS} problems shown" in check.description
    assert check.metadata["all_problems_of_the_day"].value == "ledger.parquet"
    assert len(check.metadata["documents"].records) == TABLE_ROWS
    row = check.metadata["documents"].records[0].data
    assert (row["reason"], row["amount"]) == ("LEDGER_DIFFERS", "1,250.00 GBP")
    assert row["netsuite"].endswith("id=88412")


def day(documents: Documents, outcome: Outcome, *, asked: int | None = None) -> Judged:
    return Judged(
        "vendor_bill",
        documents,
        outcome,
        world.context(world.references()),
        decimals={"GBP": 2},
        file=Path("problems.parquet"),
        asked=asked,
    )
