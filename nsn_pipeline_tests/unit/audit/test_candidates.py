"""Lookalikes for a person to confirm; never what a code resolves to."""

import pandas as pd
import pyarrow as pa
import pytest

from nsn_pipeline.audit.candidates import candidates
from nsn_pipeline.conform.crosswalk import Crosswalk
from nsn_pipeline_tests.unit.conform.world import overrides

TEXT = pd.ArrowDtype(pa.string())


def alike(code: str | None, name: str, *targets: tuple[str, str]) -> list[tuple[str, str]]:
    account = pd.DataFrame([{"internal_id": "1", "number": code, "full_name": name}], dtype=TEXT)
    reference = pd.DataFrame(
        [{"code": c, "name": n, "sys_id": f"s{c}"} for c, n in targets], dtype=TEXT
    )
    built = Crosswalk.build("gl_account", account, reference, overrides([]), "number")
    return [(one.code, one.why) for one in candidates(built, "1")]


CASES = {
    "same name under another number": (
        ("6420", "IT : Hosting", ("9100", "hosting")), [("9100", "same name")]),
    "same name without a number in NetSuite": (
        (None, "Hosting", ("9100", "Hosting")), [("9100", "same name")]),
    "leading zeros": (
        ("0712", "Rent", ("712", "Premises")), [("712", "same code but for leading zeros")]),
    "punctuation and case": (
        ("CC-12", "x", ("cc12", "y")), [("cc12", "same code but for case and punctuation")]),
    "one digit and a shared word": (
        ("7160", "Agency staff", ("7161", "Agency fees")),
        [("7161", "one character of the code differs, both names say agency")]),
    "two digits swapped and a shared word": (
        ("7160", "Agency staff", ("7610", "Agency")),
        [("7610", "one character of the code differs, both names say agency")]),
    "one digit alone says nothing in a dense chart": (
        ("7160", "Agency staff", ("7161", "Postage")), []),
    "a short code one apart says nothing": (("716", "Agency", ("717", "Agency fees")), []),
    "all zeros are not nothing": (("000", "x", ("0", "y")), []),
    "the code itself is no candidate": (("7160", "Agency", ("7160", "Agency")), []),
    "alike in two ways comes first": (
        ("0712", "Rent", ("712", "Rent"), ("100", "Rent")),
        [("712", "same name, same code but for leading zeros"), ("100", "same name")]),
    "nothing alike": (("7160", "Agency", ("1", "Cash")), []),
}  # fmt: skip


@pytest.mark.parametrize("case", list(CASES))
def test_candidates_say_what_makes_them_alike(case: str) -> None:
    asked, expected = CASES[case]
    assert alike(*asked) == expected  # pyright: ignore[reportArgumentType] - one row of a table
