"""docs/reasons.md tells every reason code, and none that does not exist."""

import re
from pathlib import Path

import pytest

from nsn_pipeline.conform.reasons import Reason

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reasons.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| `")
]
BY_CODE = {row[0].strip("`"): row for row in ROWS}


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_meaning_severity_cure_and_remedy(reason: Reason) -> None:
    assert reason.value in BY_CODE, f"{reason.value} has no row in docs/reasons.md: add one"
    _, meaning, severity, who, remedy = BY_CODE[reason.value]
    assert meaning
    assert severity in {"rejected", "failed", "held"}
    assert who
    assert re.search(r"[a-z].*\.$", remedy), remedy


def test_no_code_is_told_twice_or_does_not_exist() -> None:
    assert sorted(BY_CODE) == sorted(reason.value for reason in Reason)
    assert len(BY_CODE) == len(ROWS)
