"""Never guess an account: whatever the files and the charts hold."""

from datetime import date
from typing import Any

import pandas as pd
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from nsn_pipeline.conform.crosswalk import OVERRIDE_COLUMNS, Crosswalk

TEXT = pd.ArrowDtype(pa.string())
CODES = st.sampled_from(["712", "0712", "00712", "712 ", "7120", "72", "CC-1", "cc-1", "ß", "SS"])
NAMES = st.sampled_from(["Rent", "rent", "Agency", "Rent : Agency"])
OFFICES = st.sampled_from([None, "1", "2"])
DAYS = st.sampled_from([None, "2026-01-01", "2026-03-01", "2026-03-02", "2026-12-31"])
IDS = ["10", "11", "12", "13"]
ASKED = st.sampled_from([None, date(2025, 1, 1), date(2026, 3, 2), date(2027, 1, 1)])


@st.composite
def override(draw: st.DrawFn) -> dict[str, Any]:
    by_id = draw(st.booleans())
    return dict.fromkeys(OVERRIDE_COLUMNS) | {
        "netsuite_id": draw(st.sampled_from(IDS)) if by_id else None,
        "netsuite_code": None if by_id else draw(CODES),
        "subsidiary_id": draw(OFFICES),
        "servicenow_code": draw(CODES),
        "valid_from": draw(DAYS),
        "valid_to": draw(DAYS),
    }


REFERENCE = st.fixed_dictionaries(
    {"code": CODES, "name": NAMES, "sys_id": st.sampled_from(["a", "b", "c"]),
     "active": st.sampled_from(["true", "false"]), "valid_from": DAYS, "valid_to": DAYS}
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.one_of(st.none(), CODES), NAMES), min_size=4, max_size=4),
    st.lists(REFERENCE, max_size=6),
    st.lists(override(), max_size=5),
    st.sampled_from([*IDS, "99"]),
    OFFICES,
    ASKED,
)
def test_a_code_lands_on_its_override_or_on_itself_or_nowhere(  # noqa: PLR0917 - drawn by hypothesis
    accounts: list[tuple[str | None, str]],
    reference: list[dict[str, Any]],
    lines: list[dict[str, Any]],
    asked: str,
    office: str | None,
    day: date | None,
) -> None:
    dimension = pd.DataFrame(
        [
            {"internal_id": i, "number": code, "full_name": name}
            for i, (code, name) in zip(IDS, accounts, strict=True)
        ],
        dtype=TEXT,
    )
    columns = ["code", "name", "sys_id", "active", "valid_from", "valid_to"]
    built = Crosswalk.build(
        "gl_account",
        dimension,
        pd.DataFrame(reference, columns=columns, dtype=TEXT),
        pd.DataFrame(lines, columns=list(OVERRIDE_COLUMNS), dtype=TEXT),
        "number",
    )
    own = built.codes.get(asked)

    found = built.resolve_one(asked, office, day)

    fitting = [
        line
        for line in lines
        if line["subsidiary_id"] in {None, office}
        and (line["netsuite_id"] == asked or (own and line["netsuite_code"] == own))
        and (day is not None or (line["valid_from"] is None and line["valid_to"] is None))
        and (day is None or (line["valid_from"] or "0") <= day.isoformat())
        and (day is None or day.isoformat() <= (line["valid_to"] or "9"))
    ]
    allowed = {line["servicenow_code"] for line in fitting} or {own}
    if found.sys_id is not None:
        assert found.reason is None
        assert found.target_code in allowed
        usable = {row["sys_id"] for row in reference if row["code"] == found.target_code}
        assert found.sys_id in usable
    else:
        assert found.reason is not None
    # The most specific line that fits decides, whatever the others say.
    rank = {(True, True): 0, (False, True): 1, (True, False): 2, (False, False): 3}
    if fitting:
        best = min(rank[line["netsuite_id"] is not None, line["subsidiary_id"] is not None]
                   for line in fitting)  # fmt: skip
        decisive = {
            line["servicenow_code"]
            for line in fitting
            if rank[line["netsuite_id"] is not None, line["subsidiary_id"] is not None] == best
        }
        assert found.method == "override"
        assert found.target_code in (decisive if len(decisive) == 1 else {None})
