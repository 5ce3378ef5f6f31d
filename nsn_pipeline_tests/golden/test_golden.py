"""A folder per case, named by the sentence it proves.

`source.json` has the wire rows (and YAML lines to add to the seed profile, if any),
`references.json` what differs from the small world of `unit/conform/world.py`, `expected.json` all
that comes out.
"""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nsn_pipeline.conform.outcome import Outcome
from nsn_pipeline_tests.unit.conform.world import judge, references

ROOT = Path(__file__).parent
CASES = sorted(path.parent for path in ROOT.glob("*/*/source.json"))
TOLD = ["document_id", "reason", "line_id", "column", "value", "remedy", "reference", "url"]


def name(case: Path) -> str:
    return f"{case.parent.name}/{case.name}"


def outcome_of(case: Path) -> Outcome:
    source = json.loads((case / "source.json").read_text(encoding="utf-8"))
    changed = json.loads((case / "references.json").read_text(encoding="utf-8"))
    return judge(
        case.parent.name, source["headers"], source.get("lines"), refs=references(**changed)
    )


def shown(outcome: Outcome) -> dict[str, Any]:
    return {
        "summary": outcome.summary(),
        "headers": records(outcome.headers),
        "lines": None if outcome.lines is None else records(outcome.lines),
        "problems": records(outcome.problems[TOLD]),
        "cut": dict(outcome.cut),
    }


def records(frame: pd.DataFrame) -> list[dict[str, str | None]]:
    return [
        {column: None if pd.isna(value) else str(value) for column, value in row.items()}
        for row in frame.to_dict("records")
    ]


@pytest.mark.parametrize("case", CASES, ids=name)
def test_golden(case: Path, update_golden: bool) -> None:
    found = shown(outcome_of(case))
    path = case / "expected.json"
    if update_golden:
        text = json.dumps(found, indent=2, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")

    assert found == json.loads(path.read_text(encoding="utf-8"))


def test_there_are_cases_for_every_record_type() -> None:
    assert {case.parent.name for case in CASES} == {
        "vendor", "purchase_order", "vendor_bill", "gl_account", "cost_center", "gl_posting",
    }  # fmt: skip
