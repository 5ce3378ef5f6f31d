"""The benchmark's own machinery, at tiny sizes: what it reports is checked, never how fast."""

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import adaptive, council, reading, records, report, writing
from benchmarks.__main__ import main

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def quiet(_line: str) -> None:
    pass


def test_every_client_writes_every_record_once_and_is_reported_beside_its_bound(
    tmp_path: Path,
) -> None:
    sizes = writing.Sizes(ours=120, batched=30, bare=30, threads=16, loop=2, rounds=1)
    results = writing.run(tmp_path, sizes, say=quiet)
    rows = {row["client"]: row for row in results["rows"]}
    assert {case.name for case in writing.CASES} <= rows.keys()
    assert rows["PySNC insert loop"]["x_pysnc_loop"] == 1.0
    assert all(0 < row["of_bound"] < 1.05 for row in rows.values())
    path = tmp_path / "results.json"
    report.save({"write": results}, path)
    assert json.loads(path.read_text())["write"]["rows"]
    out = StringIO()
    report.show(Console(file=out, width=80), {"write": results})
    assert "PySNC insert loop" in out.getvalue()
    assert "…" not in out.getvalue()


def test_adaptive_run_against_a_lower_limit_loses_nothing(tmp_path: Path) -> None:
    results = adaptive.run(tmp_path, 150, say=quiet)
    assert [row["client"] for row in results["rows"]][-1] == "adaptive, ceiling 16"


def test_every_reader_reads_every_row(tmp_path: Path) -> None:
    results = reading.run(tmp_path, 1_500, 1, say=quiet)
    assert {"nsn_pipeline", "netsuite (PyPI)"} <= {row["client"] for row in results["rows"]}


def test_a_record_that_is_missing_twice_or_wrong_fails_the_run() -> None:
    wanted = records.bodies(3)
    kept = [{**record, "sys_id": str(n)} for n, record in enumerate(wanted)]
    records.check(wanted, {records.TABLE: kept})
    for faulty in (kept[1:], [*kept, kept[0]], [{**kept[0], "memo": "x"}, *kept[1:]]):
        with pytest.raises(AssertionError):
            records.check(wanted, {records.TABLE: faulty})


def test_the_ledger_is_skipped_where_it_is_not(tmp_path: Path) -> None:
    assert council.find_data(tmp_path) is None
    out = tmp_path / "results.json"
    arguments = ["--only", "council", "--data", str(tmp_path), "--output", str(out), "--quick"]
    assert main(arguments) == 0
    assert "skipped" in json.loads(out.read_text())["council"]
