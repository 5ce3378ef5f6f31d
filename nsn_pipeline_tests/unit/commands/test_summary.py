"""What `nsn sync --json` tells."""

import io
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd
from rich.console import Console

from nsn_pipeline.commands.summary import Missing, Summary, summarize
from nsn_pipeline.commands.summary_text import print_missing, print_rejections
from nsn_pipeline.conform.outcome import DOCUMENT_COLUMNS, problem_frame
from nsn_pipeline.landing import Landing
from nsn_pipeline.orchestration.runs import RunOutcome
from nsn_pipeline.profiles.loader import load_profile
from nsn_pipeline.profiles.model import Converter, Profile, TargetColumn

DAY = "2026-03-02"


def test_json_counts_what_waits_for_each_cure() -> None:
    waiting = Missing("gl_account:7160", "Add it.", Counter({"vendor_bill": 384, "gl_account": 1}))
    told = json.loads(
        json.dumps(Summary("2026-03-02", "2026-03-02", [], missing=[waiting]).to_json())
    )
    assert told["missing"] == [
        {
            "reference": "gl_account:7160",
            "remedy": "Add it.",
            "documents": {"vendor_bill": 384, "gl_account": 1},
        }
    ]


def _with_a_private_choice() -> Profile:
    profile = load_profile("seed")
    target = profile.targets["vendor"]
    choice = TargetColumn("u_standing", "custentity_standing", Converter("choice"), private=True)
    vendor = replace(target, columns=(*target.columns, choice))
    return replace(profile, targets={**profile.targets, "vendor": vendor})


def test_no_remedy_quotes_a_private_value(tmp_path: Path) -> None:
    """`nsn sync` and `nsn plan` print it, and give it as JSON."""
    landing = Landing(tmp_path)
    tags = {"run_id": "r1"}
    document = dict.fromkeys(DOCUMENT_COLUMNS, "") | {"document_id": "451", "status": "rejected"}
    told = {"record_type": "vendor", "document_id": "451", "value": "insolvent"}
    remedy = "The profile does not say what {} 'insolvent' means."
    private = problem_frame(
        [
            told
            | {
                "reason": "UNKNOWN_CHOICE",
                "column": column,
                "remedy": remedy.format(column),
                "reference": reference,
            }
            for column, reference in (("custentity_standing", "choice:1"), ("u_standing", ""))
        ]
    )
    frames = {
        "documents": pd.DataFrame([document], dtype="str"),
        "headers": pd.DataFrame({"_document_id": []}, dtype="str"),
        "problems": private,
    }
    for part, frame in frames.items():
        landing.write_frame(("conformed", "suppliers", part), DAY, frame, tags=tags)
    outcome = RunOutcome("r1", DAY, DAY, success=True, totals={}, by_day={}, errors=())
    summary = summarize(landing, _with_a_private_choice(), [DAY], [outcome])
    shown = io.StringIO()
    print_missing(Console(file=shown), summary)
    print_rejections(Console(file=shown), summary, 5)
    assert (len(summary.rejections), len(summary.missing)) == (1, 1)
    for text in (shown.getvalue(), json.dumps(summary.to_json())):
        assert "insolvent" not in text
        assert "UNKNOWN_CHOICE" in text
        assert "Correct custentity_standing" in text
