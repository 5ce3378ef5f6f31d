"""The gate's own arithmetic: what came in is accepted or rejected, and all that was listed came."""

import pandas as pd
import pyarrow as pa
import pytest

from nsn_pipeline.conform.outcome import DOCUMENT_COLUMNS, PROBLEM_COLUMNS, Documents, Outcome
from nsn_pipeline.orchestration.checks import NOTHING_LOST, figures
from nsn_pipeline.records.spec import MONEY_TYPE


def outcome_of(statuses: dict[str, str]) -> Outcome:
    kinds = dict.fromkeys(DOCUMENT_COLUMNS, pd.ArrowDtype(pa.string()))
    kinds["amount"] = pd.ArrowDtype(MONEY_TYPE)
    rows = [
        dict.fromkeys(DOCUMENT_COLUMNS) | {"document_id": identifier, "status": status}
        for identifier, status in statuses.items()
    ]
    documents = pd.DataFrame(rows, columns=list(DOCUMENT_COLUMNS)).astype(kinds)
    problems = pd.DataFrame(columns=list(PROBLEM_COLUMNS))
    return Outcome("vendor_bill", pd.DataFrame(), pd.DataFrame(), problems, documents)


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
    documents = Documents(pd.DataFrame({"internal_id": came}), pd.DataFrame({"document_id": came}))
    results = figures("vendor_bill", documents, outcome_of(judged), decimals={}, asked=asked)
    check = next(result for result in results if result.name == NOTHING_LOST)
    assert check.passed is passes
    assert check.severity.value == "ERROR"
