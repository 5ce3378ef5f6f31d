"""Cures on two days of a real city's ledger, against figures worked out from its table files alone.

On the days chosen the ledger has one bill that waits for GL account 7160 and two for a cost center;
one of those is put on 7160 as well in our copy, since no bill of the half-year waits for both.
"""

import csv
import gzip
import io
import shutil
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from nsn_pipeline.commands.replay import ReplayReport, ReplayRequest, run_replay
from nsn_pipeline.state.job_state import DocumentState, Status
from nsn_pipeline_tests.end_to_end.test_council import DATA, DATED, Ledger, Row, read
from nsn_pipeline_tests.support.company import Company, company

FIRST, LAST = date(2016, 10, 20), date(2016, 10, 21)
CODE, CENTER = "7160", "38190"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason="the council's ledger is not on this machine"),
]


def write(path: Path, rows: list[Row]) -> None:
    with gzip.open(path, "wt", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def cut(folder: Path, first: date = FIRST, last: date = LAST) -> str:
    """The days' table files, one bill put on 7160 beside its missing cost center; its id."""
    shutil.copytree(DATA / "servicenow", folder / "servicenow")
    netsuite = folder / "netsuite"
    netsuite.mkdir()
    dated: dict[str, list[Row]] = {}
    for file in (DATA / "netsuite").iterdir():
        name = file.name.partition(".")[0]
        stamp = DATED.get(name)
        if stamp is None:
            shutil.copy(file, netsuite / file.name)
            continue
        days = first.isoformat(), last.isoformat()
        dated[name] = [row for row in read(file) if days[0] <= row[stamp][:10] <= days[1]]
    (account,) = {r["id"] for r in read(netsuite / "account.csv.gz") if r["acctnumber"] == CODE}
    centers = {r["id"] for r in read(netsuite / "department.csv.gz") if r["externalid"] == CENTER}
    line = min(
        (r for r in dated["transactionline"] if r["department"] in centers),
        key=lambda row: (row["transaction"], row["id"]),
    )
    line["expenseaccount"] = account
    for row in dated["transactionaccountingline"]:
        if (row["transaction"], row["transactionline"]) == (line["transaction"], line["id"]):
            row["account"] = account
    for name, rows in dated.items():
        write(netsuite / f"{name}.csv.gz", rows)
    return line["transaction"]


@pytest.fixture(scope="module")
def council(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Company, Ledger, str]]:
    folder = tmp_path_factory.mktemp("council-replay")
    both = cut(folder / "data")
    with company(folder / "home", data=folder / "data") as city:
        outcome = city.sync(FIRST, LAST)
        assert outcome.success, outcome.errors
        yield city, Ledger.of(folder / "data"), both


def states(city: Company, ids: set[str]) -> dict[str, DocumentState]:
    with city.connected() as connections:
        return connections.job_state.get_many("vendor_bill", sorted(ids))


def replayed(city: Company, *, everything: bool = False) -> ReplayReport:
    request = ReplayRequest(everything=everything)
    report = run_replay(Console(file=io.StringIO()), request, instance=city.instance)
    assert report.errors == []
    return report


def bills(city: Company) -> dict[str, Decimal]:
    """Totals by bill; a bill that is there twice fails."""
    found: dict[str, Decimal] = {}
    for row in city.servicenow("sn_apo_invoice").values():
        assert row["u_netsuite_id"] not in found
        found[row["u_netsuite_id"]] = Decimal(row["u_total_amount"])
    return found


def without(totals: dict[str, Decimal], refused: set[str]) -> dict[str, Decimal]:
    return {number: total for number, total in totals.items() if number not in refused}


def test_each_cure_brings_exactly_what_waited_for_it_and_the_last_one_all(
    council: tuple[Company, Ledger, str],
) -> None:
    """One test, because each step goes on from the one before."""
    city, ledger, both = council
    refused = set(ledger.refused)
    before = states(city, refused)
    waiting = {number for number, one in before.items() if f"gl_account:{CODE}" in one.references}
    with city.connected() as connections:
        rejected = connections.job_state.ids_by_status("vendor_bill", Status.REJECTED)
    assert (set(rejected), len(refused), len(waiting)) == (refused, 3, 2)
    assert bills(city) == without(ledger.bills, refused)
    assert replayed(city).selected == 0  # nothing has come

    city.add_to_servicenow("itfm_gl_accounts", {"account_number": CODE, "account_name": "Added"})
    report = replayed(city)
    assert report.days == sorted({before[number].partition for number in waiting})
    cured = waiting - {both}
    assert report.selected == 2 * len(waiting)  # each bill, and the postings of its transaction
    assert report.cured == 2 * len(cured)
    assert {(one.document_id, one.waits_for) for one in report.left} == {
        (both, (f"cost_center:{CENTER}",))
    }
    after = states(city, refused)
    assert {n for n, one in after.items() if one.status is Status.LOADED} == cured
    assert all(after[n].first_seen == before[n].first_seen for n in refused)
    assert after[both].failing_since == before[both].failing_since
    assert bills(city) == without(ledger.bills, refused - cured)

    city.add_to_servicenow("cmn_cost_center", {"code": CENTER, "name": "Added"})
    report = replayed(city, everything=True)
    assert [one for one in report.left if one.record_type in {"vendor_bill", "gl_posting"}] == []
    assert bills(city) == ledger.bills
    assert sum(bills(city).values()) == sum(ledger.bills.values())
    assert not any(one.status is not Status.LOADED for one in states(city, refused).values())
    lines = [row["u_netsuite_id"] for row in city.servicenow("sn_apo_invoice_line").values()]
    assert sorted(lines) == sorted(ledger.lines)
