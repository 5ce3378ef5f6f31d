from datetime import date
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from nsn_pipeline.conform.crosswalk import Crosswalk
from nsn_pipeline_tests.unit.conform.world import overrides

DAY = date(2026, 3, 2)


def text_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows).astype(pd.ArrowDtype(pa.string()))


def crosswalk(
    *, rows: list[dict[str, Any]] | None = None, mapped: list[dict[str, Any]] | None = None
) -> Crosswalk:
    accounts = text_frame(
        [
            {"internal_id": "1", "number": "712", "full_name": "Rent"},
            {"internal_id": "2", "number": None, "full_name": "Sundry"},
        ]
    )
    reference = text_frame(rows or [{"code": "712", "sys_id": "s712"}])
    return Crosswalk.build("gl_account", accounts, reference, overrides(mapped or []), "number")


def landed(one: Crosswalk, key: str | None = "1", office: str | None = "3", day=DAY):
    found = one.resolve_one(key, office, day)
    return found.target_code, found.reason and found.reason.value, found.method


def row(code: str = "712", sys_id: str = "s712", **changed: Any) -> dict[str, Any]:
    return {"code": code, "sys_id": sys_id} | changed


def mapping(target: str, **changed: Any) -> dict[str, Any]:
    return {"servicenow_code": target} | changed


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[Any, Any, str]]] = {
    "same code": ({}, {}, ("712", None, "exact")),
    "nothing asked": ({}, {"key": None}, (None, None, "unmapped")),
    "unknown id": ({}, {"key": "9"}, (None, "MISSING_GL_ACCOUNT", "unmapped")),
    "no code": ({}, {"key": "2"}, (None, "MISSING_GL_ACCOUNT", "unmapped")),
    "a leading zero is another code": (
        {"rows": [row("0712")]}, {}, (None, "MISSING_GL_ACCOUNT", "unmapped")),
    "a blank is another code": (
        {"rows": [row("712 ")]}, {}, (None, "MISSING_GL_ACCOUNT", "unmapped")),
    "inactive": ({"rows": [row(active="false")]}, {}, ("712", "INACTIVE_GL_ACCOUNT", "exact")),
    "one active beside an inactive": (
        {"rows": [row(active="false"), row(sys_id="b")]}, {}, ("712", None, "exact")),
    "two active": (
        {"rows": [row(), row(sys_id="b")]}, {}, ("712", "AMBIGUOUS_GL_ACCOUNT", "exact")),
    "the same row read twice": ({"rows": [row(), row()]}, {}, ("712", None, "exact")),
    "expired yesterday": (
        {"rows": [row(valid_to="2026-03-01")]}, {}, ("712", "EXPIRED_GL_ACCOUNT", "exact")),
    "valid to this day": (
        {"rows": [row(valid_to="2026-03-02 00:00:00")]}, {}, ("712", None, "exact")),
    "valid from tomorrow": (
        {"rows": [row(valid_from="2026-03-03")]}, {}, ("712", "EXPIRED_GL_ACCOUNT", "exact")),
    "inactive and expired": (
        {"rows": [row(active="false", valid_to="2026-03-01")]}, {},
        ("712", "INACTIVE_GL_ACCOUNT", "exact")),
    "one expired beside an inactive": (
        {"rows": [row(active="false"), row(sys_id="b", valid_to="2026-03-01")]}, {},
        ("712", "EXPIRED_GL_ACCOUNT", "exact")),
    "successive rows of one code": (
        {"rows": [row(valid_to="2026-03-01"), row(sys_id="b", valid_from="2026-03-02")]}, {},
        ("712", None, "exact")),
    "override by code": (
        {"rows": [row(), row("9", "s9")], "mapped": [mapping("9", netsuite_code="712")]}, {},
        ("9", None, "override")),
    "override by id beats code": (
        {"rows": [row("8", "s8"), row("9", "s9")],
         "mapped": [mapping("8", netsuite_code="712"), mapping("9", netsuite_id="1")]}, {},
        ("9", None, "override")),
    "override of the office beats one by id": (
        {"rows": [row("8", "s8"), row("9", "s9")],
         "mapped": [mapping("8", netsuite_code="712", subsidiary_id="3"),
                    mapping("9", netsuite_id="1")]}, {}, ("8", None, "override")),
    "override of another office": (
        {"mapped": [mapping("9", netsuite_code="712", subsidiary_id="4")]}, {},
        ("712", None, "exact")),
    "override that ended": (
        {"mapped": [mapping("9", netsuite_code="712", valid_to="2026-03-01")]}, {},
        ("712", None, "exact")),
    "override that starts today": (
        {"rows": [row("9", "s9")],
         "mapped": [mapping("9", netsuite_code="712", valid_from="2026-03-02")]}, {},
        ("9", None, "override")),
    "dated override without a date": (
        {"mapped": [mapping("9", netsuite_code="712", valid_from="2020-01-01")]}, {"day": None},
        ("712", None, "exact")),
    "override to nothing": (
        {"mapped": [mapping("9", netsuite_code="712")]}, {},
        ("9", "MISSING_GL_ACCOUNT", "override")),
    "override for an account without number": (
        {"mapped": [mapping("712", netsuite_id="2")]}, {"key": "2"}, ("712", None, "override")),
}  # fmt: skip


@pytest.mark.parametrize("case", list(CASES))
def test_resolution(case: str) -> None:
    made, asked, expected = CASES[case]

    assert landed(crosswalk(**made), **asked) == expected


def test_columns_resolve_like_single_rows_and_stay_aligned() -> None:
    one = crosswalk(
        rows=[row(valid_to="2026-03-01"), row("9", "s9")],
        mapped=[mapping("9", netsuite_code="712", subsidiary_id="4", valid_from="2026-02-01")],
    )
    asked = [
        (key, office, day)
        for key in ("1", "2", "9", None)
        for office in ("3", "4", None)
        for day in (date(2026, 1, 31), date(2026, 2, 1), date(2026, 3, 1), date(2026, 3, 2),
                    date(9999, 12, 31), None)
    ]  # fmt: skip
    columns = [pd.Series(list(values)) for values in zip(*asked, strict=True)]
    for column in columns:
        column.index = range(100, 100 + len(asked))

    found = one.resolve(*columns)

    assert list(found.index) == list(columns[0].index)
    records = found.astype(object).where(found.notna(), None).to_dict("records")
    for (key, office, day), row_found in zip(asked, records, strict=True):
        single = one.resolve_one(key, office, day)
        assert row_found == {
            "code": single.code,
            "target_code": single.target_code,
            "sys_id": single.sys_id,
            "reason": single.reason and single.reason.value,
            "method": single.method,
        }


def test_a_problem_is_cured_when_the_code_appears_or_an_override_is_merged() -> None:
    other = [row("9", "s9")]

    assert not crosswalk(rows=other).cured("gl_account:712", DAY)
    assert crosswalk().cured("gl_account:712", DAY)
    assert crosswalk(
        rows=other, mapped=[mapping("9", netsuite_code="712", subsidiary_id="3")]
    ).cured("gl_account:712", DAY)
    assert crosswalk(mapped=[mapping("712", netsuite_id="2")]).cured("gl_account:#2", DAY)
    assert not crosswalk().cured("cost_center:712", DAY)


def test_coverage_has_a_row_for_everywhere_and_one_for_each_office_of_its_own() -> None:
    one = crosswalk(
        rows=[row(), row("9", "s9")],
        mapped=[
            mapping("9", netsuite_code="712", subsidiary_id="3"),
            mapping("7", netsuite_code="x"),
        ],
    )

    found = one.coverage(DAY)

    shown = found[["internal_id", "subsidiary_id", "method", "target_code"]].astype(object)
    assert shown.where(shown.notna(), None).to_numpy().tolist() == [
        ["1", None, "exact", "712"],
        ["1", "3", "override", "9"],
        ["2", None, "unmapped", None],
    ]
    assert [override.servicenow_code for override in one.dangling()] == ["7"]
