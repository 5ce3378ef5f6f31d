"""Memory is bounded in rows, and documents stay whole."""

import pandas as pd
import pytest

from nsn_pipeline.orchestration.assets import loading
from nsn_pipeline.orchestration.assets.loading import parts_of


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
