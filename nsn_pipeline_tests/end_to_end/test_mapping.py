"""Mapping files in a run: a broken one stops it before its first write; coverage adds up."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from nsn_pipeline.orchestration.assets.audit import COVERAGE
from nsn_pipeline.sandbox.data.gaps import MISSING_GL_ACCOUNTS
from nsn_pipeline_tests.end_to_end.conftest import FirstSync, Open, check_results
from nsn_pipeline_tests.support.company import FIRST, LAST, Company

pytestmark = pytest.mark.slow

HEADER = "netsuite_id,netsuite_code,subsidiary_id,servicenow_code,valid_from,valid_to,owner,note"
DAY = "2026-03-04"


def write(home: Path, kind: str, *lines: str) -> None:
    path = home / "mappings" / f"{kind}.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join((HEADER, *lines)) + "\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("kind", "line", "told"),
    [
        (
            "gl_accounts",
            f",{MISSING_GL_ACCOUNTS[0]},,NOPE,,,,",
            "'NOPE' is not in itfm_gl_accounts",
        ),
        ("cost_centers", ",CC-245,77,CC-240,,,,", "subsidiary_id '77' is not a subsidiary"),
        ("cost_centers", ",CC-245,,,,,,", "servicenow_code is empty"),
    ],
    ids=["dangling target", "unknown subsidiary", "unreadable line"],
)
def test_a_broken_file_stops_the_run_before_anything_is_written(
    opened: Open, kind: str, line: str, told: str
) -> None:
    company = opened()
    write(company.home, kind, line)

    result = company.sync_day(DAY)

    assert not result.success
    assert company.writes == []
    failed = [r for r in check_results(company) if r.check == "file_holds" and not r.passed]
    assert [r.asset for r in failed] == [f"mapping/{kind}"]
    assert told in last_check(company, kind)
    assert "line 2" in last_check(company, kind)


def last_check(company: Company, kind: str) -> str:
    key = dg.AssetCheckKey(dg.AssetKey(["mapping", kind]), "file_holds")
    history = company.instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    evaluation: Any = history[0].event.dagster_event.event_specific_data  # pyright: ignore[reportOptionalMemberAccess]
    return evaluation.description


def test_a_line_whose_period_is_over_blocks_nothing_and_is_flagged(
    first_sync: FirstSync, opened: Open
) -> None:
    company = opened(first_sync.home)
    write(company.home, "gl_accounts", f",{MISSING_GL_ACCOUNTS[0]},,NOPE,,2020-12-31,,")
    assert company.sync_day(DAY).success
    flagged = {
        r.check: r.passed
        for r in check_results(company)
        if r.asset == "mapping/gl_accounts" and r.check != "all_mapped"
    }
    assert flagged == {"file_holds": True, "overrides_point_somewhere": False}


def test_coverage_is_what_bills_use_office_by_office_to_the_penny(
    first_sync: FirstSync, opened: Open
) -> None:
    company = opened(first_sync.home)
    assert company.sync(FIRST, LAST).success
    event = company.instance.get_latest_materialization_event(COVERAGE)
    assert event is not None
    assert event.asset_materialization is not None
    table = event.asset_materialization.metadata["gl_accounts_coverage"].value
    found = {
        (row["office"], row["currency"]): Decimal(row["amount"].replace(",", ""))
        for row in (record.data for record in table.records)
        if row["of"] == "bills"
    }
    wanted: dict[tuple[str, str], Decimal] = {}
    for row in bill_lines(company):
        key = row["office"], row["symbol"]
        wanted[key] = wanted.get(key, Decimal(0)) + Decimal(row["foreignamount"] or 0)
    assert found == wanted


def bill_lines(company: Company) -> list[Mapping[str, Any]]:
    return list(
        company.netsuite(
            "SELECT s.name AS office, c.symbol, tl.foreignamount FROM transactionline tl"
            ' JOIN "transaction" t ON t.id = tl."transaction"'
            " JOIN subsidiary s ON s.id = tl.subsidiary JOIN currency c ON c.id = t.currency"
            " WHERE t.type IN ('VendBill', 'VendCred') AND tl.mainline = 'F'"
            " AND tl.foreignamount IS NOT NULL"
        )
    )
