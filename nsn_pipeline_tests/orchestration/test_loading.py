"""Memory is bounded in rows, and documents stay whole."""

from types import SimpleNamespace
from typing import Any, cast

import dagster as dg
import pandas as pd
import pytest

from nsn_pipeline.load.documents import DocumentResult
from nsn_pipeline.load.ledger import LoadResult, RecordResult
from nsn_pipeline.load.whole import DocumentRow
from nsn_pipeline.orchestration.assets import loading
from nsn_pipeline.orchestration.assets.load_outcome import Tally, count, figures_of, totals_of
from nsn_pipeline.orchestration.assets.loading import Loading, parts_of
from nsn_pipeline_tests.unit.load.make import ORDER, FreshDay


def rows(*documents: tuple[str, int]) -> pd.DataFrame:
    ids = [document for document, count in documents for _ in range(count)]
    return pd.DataFrame({"_document_id": ids, "_key": [f"{n}" for n in range(len(ids))]})


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "GROUP_ROWS", 10)


def test_a_day_of_many_lines_is_divided_between_documents() -> None:
    headers = rows(("1", 1), ("2", 1), ("3", 1), ("4", 1))
    lines = rows(("1", 4), ("2", 4), ("3", 30), ("4", 2))
    parts = list(parts_of("2026-03-04", headers, lines))
    assert [(list(h["_document_id"]), len(ln), held) for (_, h, ln), held in parts] == [
        (["1", "2"], 8, 10),
        (["3"], 30, 31),  # larger than a part, and never divided
        (["4"], 2, 3),
    ]


def test_postings_of_a_transaction_stay_together() -> None:
    parts = list(parts_of(None, rows(("1", 6), ("2", 6), ("3", 4)), None))
    assert [sorted(set(h["_document_id"])) for (_, h, _), _ in parts] == [["1"], ["2", "3"]]


def test_a_day_that_fits_is_passed_on_as_it_is() -> None:
    headers = rows(("1", 1), ("2", 1))
    ((part, held),) = parts_of("2026-03-04", headers, None)
    assert part[1] is headers
    assert held == 2


def test_what_was_to_end_and_did_not_is_not_held_against_the_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    today = FreshDay()
    project = SimpleNamespace(end_max_share=1.0, end_max_count=100)
    connections = SimpleNamespace(
        retired_today=today,
        loader=SimpleNamespace(held=lambda _target: 1_000),
        settings=SimpleNamespace(project=project),
    )
    moved = SimpleNamespace(left_out=lambda _days: {"2026-03-04": ["3"]})
    load = Loading(
        cast("Any", connections), ORDER, cast("Any", None), cast("Any", None), cast("Any", moved)
    )
    ends = ["1", "2", "3", "4"]
    ending = loading._Ending(load._limits)
    ending.documents = {one: DocumentRow(one, "planned", one, "") for one in ends}
    ending.days = [("2026-03-04", rows(*((one, 1) for one in ends)), None)]
    counted: list[int] = []

    def write(_self: Loading, group: list[loading.Day], *, may_end: bool) -> DocumentResult:
        assert may_end
        counted.append(today.count("end", ORDER.table))
        (day,) = group
        statuses = dict(zip(day[1]["_document_id"], ("updated", "failed", "updated"), strict=True))
        records = {one: RecordResult(one, one, status, one) for one, status in statuses.items()}
        return DocumentResult([], [LoadResult(ORDER.table, records)])

    monkeypatch.setattr(Loading, "_load", write)
    load._end(ending)
    assert counted == [4]  # before the deed
    assert today.count("end", ORDER.table) == 2  # one failed, and one changed in NetSuite since


def test_a_document_that_failed_is_told_once_although_it_also_lacks_a_link() -> None:
    tally, day = Tally(), ("2026-03-04", rows(("1", 1), ("2", 1)), None)
    told = [
        DocumentRow("1", "failed", "", "", notes=("order left empty",)),
        DocumentRow("2", "loaded", "s2", "", notes=("order left empty",)),
    ]
    count(tally, DocumentResult(told, [LoadResult(ORDER.table)]), [day])
    failed, unlinked = tally.failures["2026-03-04"], tally.unlinked["2026-03-04"]
    assert [row.document_id for row in failed] == ["1"]
    assert [row.document_id for row in unlinked] == ["2"]


def test_what_servicenow_did_not_take_for_a_column_of_its_own_is_noted_per_day_and_in_all() -> None:
    first, second = "2026-03-04", "2026-03-05"
    tally = Tally()
    days = [(first, rows(("1", 2)), None), (second, rows(("2", 1)), None)]
    days[1][1]["_key"] = ["9"]
    records = {
        key: RecordResult(key, document, "created", key, untaken=untaken)
        for key, document, untaken in (
            ("0", "1", ("due_by",)), ("1", "1", ("due_by", "ship_to")), ("9", "2", ("due_by",)),
        )
    }  # fmt: skip
    documents = [DocumentRow(document, "loaded", document, "") for document in ("1", "2")]
    count(tally, DocumentResult(documents, [LoadResult("proc_po", records)]), days)
    asset = dg.AssetKey(["servicenow", "proc_po"])
    told = str(totals_of(tally, asset)["notes"]).split("; ")
    assert [note.partition(" that were")[0] for note in told] == [
        "proc_po.due_by is empty in 3 new records",
        "proc_po.ship_to is empty in 1 new record",
    ]
    assert "in 2 new records" in str(figures_of(tally, asset, first)["notes"])
    assert "in 1 new record " in str(figures_of(tally, asset, second)["notes"])
    assert tally.unlinked[first] == []


def test_nothing_is_noted_where_all_was_taken() -> None:
    tally, day = Tally(), ("2026-03-04", rows(("1", 1)), None)
    count(
        tally,
        DocumentResult(
            [DocumentRow("1", "loaded", "s", "")],
            [LoadResult("proc_po", {"0": RecordResult("0", "1", "created", "s")})],
        ),
        [day],
    )
    assert "notes" not in totals_of(tally, dg.AssetKey(["servicenow", "proc_po"]))
