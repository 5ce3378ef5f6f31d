"""What `nsn sync --json` tells."""

import json
from collections import Counter

from nsn_pipeline.commands.summary import Missing, Summary


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
