"""A city's half-year, refused, cured and replayed, held against its table files alone.

Run it: `python -m nsn_pipeline_tests.benchmarks.council_replay`, some ten minutes. It needs the
ledger that `test_council` looks for, and stops at the first figure that is not as it should be.
One bill of our copy is put on account 7160 beside its missing cost center, since none of the
half-year waits for both. The figures in `docs/replay.md` are its.
"""

import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from nsn_pipeline.orchestration.open_rejections import open_rejections
from nsn_pipeline.orchestration.runs import DAYS_PER_RUN, windows
from nsn_pipeline.state.job_state import Status
from nsn_pipeline.state.trail import Trail
from nsn_pipeline_tests.benchmarks.trail import flipped
from nsn_pipeline_tests.end_to_end.test_council import DATA, Ledger, read
from nsn_pipeline_tests.end_to_end.test_council_replay import (
    CENTER,
    CODE,
    bills,
    cut,
    replayed,
    without,
)
from nsn_pipeline_tests.support.company import Company, company

WRITING = {"POST", "PUT", "PATCH", "DELETE"}
DIMENSIONS = {"gl_account", "cost_center"}


@dataclass(slots=True)
class Asked:
    """What both systems were asked for since the last step was told."""

    calls: Counter[str] = field(default_factory=Counter[str])
    creates: Counter[str] = field(default_factory=Counter[str])  # of invoices, by the whole run
    started: float = field(default_factory=time.monotonic)

    def netsuite(self, request: Any) -> None:
        self.calls["reads of NetSuite"] += request.path.endswith("/suiteql")

    def servicenow(self, request: Any) -> None:
        if "/table/" not in request.path:
            self.calls["batches"] += request.path.endswith("/batch")
            return
        written = request.method in WRITING
        self.calls["records written" if written else "reads of ServiceNow"] += 1
        if request.method == "POST" and request.path.endswith("/sn_apo_invoice"):
            self.creates[json.loads(request.body)["u_netsuite_id"]] += 1

    def tell(self, step: str, **figures: object) -> None:
        """Print a step and what it cost, and begin anew."""
        print(f"{step} ({time.monotonic() - self.started:,.0f} s)")
        for name, figure in {**self.calls, **figures}.items():
            print(f"  {name}: {figure:,}" if isinstance(figure, int) else f"  {name}: {figure}")
        self.calls.clear()
        self.started = time.monotonic()


def same(what: str, found: object, wanted: object) -> None:
    """Raise AssertionError unless both are equal."""
    if found != wanted:
        raise AssertionError(f"{what}: {str(found)[:300]} instead of {str(wanted)[:300]}")


def refusals(city: Company) -> tuple[int, Decimal, dict[str, set[str]]]:
    """Open bills, their amount, and which bills wait for each code."""
    with city.connected() as connections:
        found = open_rejections(connections, city.instance)
    mine = [one for one in found.rejections if one.record_type == "vendor_bill"]
    waiting: dict[str, set[str]] = {}
    for one in mine:
        for reference in {problem.reference for problem in one.problems if problem.reference}:
            waiting.setdefault(reference, set()).add(one.document_id)
    return len(mine), sum((abs(one.amount or Decimal(0)) for one in mine), Decimal(0)), waiting


def waiting_by_files(ledger: Ledger, folder: Path) -> dict[str, set[str]]:
    """The same from the table files alone."""
    known = {r["account_number"] for r in read(folder / "servicenow" / "itfm_gl_accounts.csv.gz")}
    valid = {r["code"] for r in read(folder / "servicenow" / "cmn_cost_center.csv.gz")}
    found: dict[str, set[str]] = {}
    for key, (account, center, _) in ledger.lines.items():
        document_id = key.partition("-")[0]
        if account not in known:
            found.setdefault(f"gl_account:{account}", set()).add(document_id)
        if center and center not in valid:
            found.setdefault(f"cost_center:{center}", set()).add(document_id)
    return found


def add(city: Company, references: set[str]) -> None:
    """An administrator adds what is missing."""
    for reference in sorted(references):
        kind, _, code = reference.partition(":")
        if kind == "gl_account":
            row: Mapping[str, str] = {"account_number": code, "account_name": "Added"}
            city.add_to_servicenow("itfm_gl_accounts", row)
        else:
            city.add_to_servicenow("cmn_cost_center", {"code": code, "name": "Added"})


def main() -> None:
    """Go through it step by step."""
    expected = json.loads((DATA / "expected.json").read_text(encoding="utf-8"))
    first, last = (date.fromisoformat(expected[name]) for name in ("first_day", "last_day"))
    asked = Asked()
    with tempfile.TemporaryDirectory() as base:
        data = Path(base) / "data"
        both = cut(data, first, last)
        hooks = {side: {"fault_hook": getattr(asked, side)} for side in ("netsuite", "servicenow")}
        with company(Path(base) / "home", data=data, **hooks) as city:
            _walk(city, Ledger.of(data), data, both, expected, asked, (first, last))


def _walk(  # noqa: PLR0917
    city: Company,
    ledger: Ledger,
    data: Path,
    both: str,
    expected: Mapping[str, Any],
    asked: Asked,
    days: tuple[date, date],
) -> None:
    runs = list(windows(*days, DAYS_PER_RUN))
    for start, end in runs:
        outcome = city.sync(start, end)
        same(f"{start} to {end}", outcome.success, True)
    refused, amount, waiting = refusals(city)
    by_files = waiting_by_files(ledger, data)
    same("refused bills", refused, expected["rejected_bills"])
    same("refused amount", amount, Decimal(expected["rejected_amount"]))
    same("bills by missing code", waiting, by_files)
    same("bills in ServiceNow", bills(city), without(ledger.bills, set(ledger.refused)))
    asked.tell("first sync", runs=len(runs), refused=refused, amount=amount, codes=len(waiting))

    same("replay of nothing", replayed(city).selected, 0)
    asked.tell("replay, nothing cured")

    reference = f"gl_account:{CODE}"
    add(city, {reference})
    report = replayed(city)
    cured = by_files[reference] - {both}
    left = {one.document_id: one.waits_for for one in report.left}
    same("left after 7160", left, {both: (f"cost_center:{CENTER}",)})
    same("loaded after 7160", bills(city), without(ledger.bills, set(ledger.refused) - cured))
    asked.tell(f"{CODE} added", days=len(report.days), runs=report.planned_runs)

    add(city, set(by_files) - {reference})
    report = replayed(city)
    asked.tell("all others added", days=len(report.days), runs=report.planned_runs)
    same("open afterwards", refusals(city)[0], 0)
    same("replay of everything", replayed(city, everything=True).selected, 0)
    asked.tell("replay --all, nothing open")

    same("bills at the end", bills(city), ledger.bills)
    same("their sum", sum(ledger.bills.values()), Decimal(expected["amount"]))
    lines = city.servicenow("sn_apo_invoice_line").values()
    same("lines", sorted(r["u_netsuite_id"] for r in lines), sorted(ledger.lines))
    postings = city.servicenow("u_netsuite_gl_posting")
    same("postings", len(postings), expected["gl_postings"])
    same("requests per invoice", set(asked.creates.values()), {1})
    same("invoices asked for", set(asked.creates), set(ledger.bills))
    with city.connected() as connections:
        loaded = connections.job_state.ids_by_status("vendor_bill", Status.LOADED)
        same("job state", set(loaded), set(ledger.bills))
        _break(connections.trail)
    asked.tell("read back", bills=len(ledger.bills), amount=sum(ledger.bills.values()))


def _break(trail: Trail) -> None:
    """Verify a copy of the trail, flip a bit of it, and look for it."""
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base) / "trail"
        shutil.copytree(trail.folder, folder)
        copy = Trail(folder, owner=trail._owner)
        found = copy.verify()
        same("the chain holds", found.intact, True)
        where, broken = flipped(copy)
        print(f"trail: {found.entries:,} entries, {found.bytes:,} bytes; a bit flipped in {where}")
        (fault,) = broken.faults
        same("where the chain breaks", f"{fault.segment} line {fault.line}", where.split(" (")[0])
        print(f"  found: {fault.kind}, entry {fault.seq:,}")


if __name__ == "__main__":
    main()
