"""Days of a real city's ledger, against figures worked out from its table files alone.

The data is not part of the repository; without it these tests are skipped.
"""

import csv
import gzip
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from nsn_pipeline_tests.support.company import Company, company

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "council_ap"
FIRST, LAST = date(2016, 10, 3), date(2016, 10, 5)
DATED = {"transaction": "lastmodifieddate", "transactionline": "linelastmodifieddate",
         "transactionaccountingline": "lastmodifieddate"}  # fmt: skip

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason="the council's ledger is not on this machine"),
]

Row = dict[str, str]


def read(path: Path) -> list[Row]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def cut(folder: Path) -> None:
    """The table files with the chosen days' documents only."""
    shutil.copytree(DATA / "servicenow", folder / "servicenow")
    (folder / "netsuite").mkdir()
    for file in (DATA / "netsuite").iterdir():
        stamp = DATED.get(file.name.partition(".")[0])
        if stamp is None:
            shutil.copy(file, folder / "netsuite" / file.name)
            continue
        rows = [r for r in read(file) if FIRST.isoformat() <= r[stamp][:10] <= LAST.isoformat()]
        with gzip.open(folder / "netsuite" / file.name, "wt", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


@dataclass(frozen=True)
class Ledger:
    """What the files say: bills, their lines with codes, and which may not be written."""

    bills: dict[str, Decimal]
    lines: dict[str, tuple[str, str, Decimal]]
    refused: frozenset[str]

    @classmethod
    def of(cls, folder: Path) -> "Ledger":
        netsuite, servicenow = folder / "netsuite", folder / "servicenow"
        accounts = {r["id"]: r["acctnumber"] for r in read(netsuite / "account.csv.gz")}
        centers = {r["id"]: r["externalid"] for r in read(netsuite / "department.csv.gz")}
        known = {r["account_number"] for r in read(servicenow / "itfm_gl_accounts.csv.gz")}
        valid = {r["code"] for r in read(servicenow / "cmn_cost_center.csv.gz")}
        bills = {
            r["id"]: -Decimal(r["foreigntotal"]) for r in read(netsuite / "transaction.csv.gz")
        }
        lines, refused = {}, set()
        for row in read(netsuite / "transactionline.csv.gz"):
            if row["mainline"] == "T":
                continue
            account, center = accounts[row["expenseaccount"]], centers.get(row["department"], "")
            key = f"{row['transaction']}-{row['id']}"
            lines[key] = (account, center, Decimal(row["foreignamount"]))
            if account not in known or (center and center not in valid):
                refused.add(row["transaction"])
        return cls(bills, lines, frozenset(refused))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("council")
    cut(folder / "data")
    return folder


@pytest.fixture(scope="module")
def synced(folder: Path) -> Iterator[Company]:
    with company(folder / "home", data=folder / "data") as council:
        outcome = council.sync(FIRST, LAST)
        assert outcome.success, outcome.errors
        yield council


@pytest.fixture(scope="module")
def ledger(folder: Path) -> Ledger:
    return Ledger.of(folder / "data")


def test_the_ledger_of_a_city_is_synced_to_the_penny(synced: Company, ledger: Ledger) -> None:
    assert ledger.refused
    invoices = {row["u_netsuite_id"]: row for row in synced.servicenow("sn_apo_invoice").values()}
    wanted = {n: total for n, total in ledger.bills.items() if n not in ledger.refused}
    assert len(invoices) == len(synced.servicenow("sn_apo_invoice"))
    assert {n: Decimal(row["u_total_amount"]) for n, row in invoices.items()} == wanted


def test_every_line_of_the_city_is_on_its_account_and_cost_center(
    synced: Company, ledger: Ledger
) -> None:
    accounts, centers = (
        {sys_id: row[column] for sys_id, row in synced.servicenow(table).items()}
        for table, column in (("itfm_gl_accounts", "account_number"), ("cmn_cost_center", "code"))
    )
    found = defaultdict(list)
    for row in synced.servicenow("sn_apo_invoice_line").values():
        codes = accounts[row["gl_account"]], centers.get(row.get("cost_center", ""), "")
        found[row["u_netsuite_id"]].append((*codes, Decimal(row["u_line_amount"])))
    assert found == {
        key: [line]
        for key, line in ledger.lines.items()
        if key.partition("-")[0] not in ledger.refused
    }
