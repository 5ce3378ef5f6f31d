from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from nsn_pipeline.conform.crosswalk import OVERRIDE_COLUMNS, Crosswalk
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.profiles.mappings import load_overrides, reference_faults

HEADER = ",".join(OVERRIDE_COLUMNS)
SHIPPED = Path(__file__).parents[3] / "mappings"


def write(tmp_path: Path, *lines: str, header: str = HEADER, encoding: str = "utf-8") -> Path:
    path = tmp_path / "gl_accounts.csv"
    path.write_text("\n".join((header, *lines)) + "\n", encoding=encoding)
    return path


def refused(path: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_overrides(path)
    return str(caught.value)


@pytest.mark.parametrize("name", ["gl_accounts.csv", "cost_centers.csv"])
def test_shipped_files_are_empty_and_sound(name: str) -> None:
    frame = load_overrides(SHIPPED / name)

    assert list(frame.columns) == list(OVERRIDE_COLUMNS)
    assert frame.empty


def test_missing_file_means_no_overrides(tmp_path: Path) -> None:
    assert load_overrides(tmp_path / "none.csv").empty


def test_codes_stay_text_and_blank_lines_count_for_nothing(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        ',0712,,00712,2026-01-01,2026-12-31,ann@x.test,"moved, see memo"',
        "",
        "642,,3,6420,,,,",
        encoding="utf-8-sig",
    )

    frame = load_overrides(path)

    assert frame["netsuite_code"].to_list()[0] == "0712"
    assert frame["servicenow_code"].to_list() == ["00712", "6420"]
    assert frame["note"].to_list()[0] == "moved, see memo"


FAULTY = {
    "neither id nor code": (",,,6420,,,,", "line 2: give netsuite_id or netsuite_code"),
    "both id and code": ("642,6420,,6420,,,,", "line 2: give netsuite_id or netsuite_code"),
    "no target": (",6420,,,,,,", "line 2: servicenow_code is empty"),
    "id that is no id": ("64a2,,,6420,,,,", "line 2: netsuite_id '64a2' is not a NetSuite"),
    "subsidiary that is no id": (",6420,Leeds,6420,,,,", "line 2: subsidiary_id 'Leeds'"),
    "date in another form": (",6420,,6420,1/2/2026,,,", "line 2: valid_from '1/2/2026' is not"),
    "date that does not exist": (",6420,,6420,,2026-02-30,,", "line 2: valid_to '2026-02-30'"),
    "ends before it begins": (
        ",6420,,6420,2026-02-01,2026-01-01,,", "line 2: valid_to 2026-01-01 is before"),
    "too few cells": (",6420,6420", "line 2: has 3 cells, not 8"),
}  # fmt: skip


@pytest.mark.parametrize("case", list(FAULTY))
def test_faulty_line_is_told_with_its_number(tmp_path: Path, case: str) -> None:
    line, told = FAULTY[case]

    assert told in refused(write(tmp_path, line))


OVERLAPS = {
    "the same line twice": (",1,,a,,,,", ",1,,b,,,,"),
    "one without an end": (",1,,a,2026-01-01,,,", ",1,,b,2026-06-01,,,"),
    "ending on the other's first day": (",1,,a,,2026-06-01,,", ",1,,b,2026-06-01,,,"),
    "inside a long one, with another between": (
        ",1,,a,2026-01-01,2026-12-31,,", ",1,,b,2025-01-01,2025-02-01,,",
        ",1,,c,2026-05-01,2026-05-02,,"),
}  # fmt: skip


@pytest.mark.parametrize("case", list(OVERLAPS))
def test_two_lines_for_the_same_day_are_refused(tmp_path: Path, case: str) -> None:
    lines = OVERLAPS[case]

    assert f"line {len(lines) + 1}: maps the same row for the same days" in refused(
        write(tmp_path, *lines)
    )


def test_periods_that_follow_each_other_and_other_offices_are_fine(tmp_path: Path) -> None:
    path = write(tmp_path, ",1,,a,,2026-05-31,,", ",1,,b,2026-06-01,,,", ",1,3,c,,,,", "1,,,d,,,,")

    assert len(load_overrides(path)) == 4


def test_every_fault_of_the_file_is_listed(tmp_path: Path) -> None:
    told = refused(write(tmp_path, ",,,x,,,,", ",1,,a,bad,,,", ",2,,,,,,"))

    assert [line.split(":")[0].strip() for line in told.splitlines()[1:]] == [
        "line 2", "line 3", "line 4",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "header", ["netsuite_code,servicenow_code", f"{HEADER},extra", f"{HEADER},note"]
)
def test_wrong_header_is_refused(tmp_path: Path, header: str) -> None:
    assert "line 1 must name" in refused(write(tmp_path, header=header))


def test_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    assert "not UTF-8" in refused(write(tmp_path, ",1,,a,,,Zoë,", encoding="latin-1"))


def faults_of(*lines: str, tmp_path: Path, offices: tuple[str, ...] = ("1", "3")) -> list[str]:
    accounts = pd.DataFrame([{"internal_id": "1", "number": "712", "full_name": "Rent"}])
    reference = pd.DataFrame([{"code": "712", "sys_id": "s"}])
    frame = load_overrides(write(tmp_path, *lines))
    crosswalk = Crosswalk.build("gl_account", accounts, reference, frame, "number")
    found = reference_faults(crosswalk, offices, "itfm_gl_accounts", date(2026, 3, 2))
    return [f"{line}: {text}" for line, text in found]


AGAINST_BOTH_SYSTEMS = {
    "sound": (",7,3,712,,,,", []),
    "dangling": (",7,,0712,,,,", ["2: servicenow_code '0712' is not in itfm_gl_accounts"]),
    "dangling from later on": (",7,,9,2027-01-01,,,", ["2: servicenow_code '9' is not in"]),
    "dangling to this day": (",7,,9,,2026-03-02,,", ["2: servicenow_code '9' is not in"]),
    "dangling, and over": (",7,,9,,2026-03-01,,", []),
    "unknown office": (
        ",7,4,712,,,,",
        ["2: subsidiary_id '4' is not a subsidiary in NetSuite (NetSuite has 1, 3)"]),
    "unknown office, and over": (",7,4,712,,2020-01-01,,", ["2: subsidiary_id '4' is not"]),
    "both": (",7,4,9,,,,", ["2: servicenow_code '9'", "2: subsidiary_id '4'"]),
}  # fmt: skip


@pytest.mark.parametrize("case", list(AGAINST_BOTH_SYSTEMS))
def test_file_is_held_against_both_systems(tmp_path: Path, case: str) -> None:
    line, told = AGAINST_BOTH_SYSTEMS[case]
    found = faults_of(line, tmp_path=tmp_path)
    assert len(found) == len(told)
    assert all(one.startswith(start) for one, start in zip(found, told, strict=True))


def test_faults_name_the_lines_of_the_file_blank_ones_counted(tmp_path: Path) -> None:
    found = faults_of("", ",7,,9,,,,", ",8,,712,,,,", '1,,,9,,,,"two\nlines"', tmp_path=tmp_path)
    assert [one.partition(":")[0] for one in found] == ["3", "6"]


def test_an_account_without_subsidiaries_has_no_office_to_map_for(tmp_path: Path) -> None:
    found = faults_of(",7,1,712,,,,", tmp_path=tmp_path, offices=())
    assert found == ["2: subsidiary_id '1' is not a subsidiary in NetSuite (this account has none)"]
