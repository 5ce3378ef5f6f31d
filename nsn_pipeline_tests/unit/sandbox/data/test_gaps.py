from datetime import date

import pytest

from nsn_pipeline.sandbox.data.expectation import expected
from nsn_pipeline.sandbox.data.gaps import known_gaps
from nsn_pipeline.sandbox.data.generator import DEFAULT_FIRST_DAY, generate
from nsn_pipeline_tests.unit.sandbox.data.world import tables

CODES = {
    "gl_account:6455",
    "gl_account:7160",
    "cost_center:CC-245",
    "cost_center:CC-330",
    "cost_center:CC-520",
}


@pytest.mark.parametrize("shape", ["multi", "single"])
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("size", ["tiny", "small"])
def test_known_gaps_reject_between_five_and_ten_percent_of_bills(
    size: str, seed: int, shape: str
) -> None:
    outcome = expected(generate(size, seed, shape=shape))
    assert 0.05 < outcome.rejected_share < 0.10
    assert outcome.rejected_orders
    codes = {code for codes in outcome.rejected_bills.values() for code in codes}
    assert codes <= CODES, "nothing but the known gaps stops a bill"
    if size == "small":
        assert codes == CODES


def test_known_gaps_are_what_servicenow_lacks() -> None:
    made = tables("small")
    gaps = known_gaps(first_day=DEFAULT_FIRST_DAY)
    numbers = {row["acctnumber"] for row in made["account"]} - {None}
    assert numbers - {row["account_number"] for row in made["itfm_gl_accounts"]} == set(
        gaps.gl_accounts
    )
    codes = {row["externalid"] for row in made["department"]}
    assert codes - {row["code"] for row in made["cmn_cost_center"]} == set(gaps.cost_centers)
    expired = {row["code"]: row["valid_to"] for row in made["cmn_cost_center"] if row["valid_to"]}
    assert set(expired) == set(gaps.expired_cost_centers)
    assert set(expired.values()) == {f"{gaps.expired_on} 00:00:00"}


def test_gap_names_are_those_of_netsuite() -> None:
    gaps = known_gaps("single", first_day=date(2025, 1, 1))
    assert gaps.gl_accounts == {
        "6455": "Trade Shows and Events",
        "7160": "Calibration and Testing Services",
    }
    assert gaps.expired_on == date(2024, 9, 3)


def test_curing_every_gap_leaves_no_rejection() -> None:
    gaps = known_gaps(first_day=DEFAULT_FIRST_DAY)
    cure = [{"account_number": code} for code in gaps.gl_accounts]
    centers = [{"code": code} for code in (*gaps.cost_centers, *gaps.expired_cost_centers)]
    outcome = expected(
        [
            *generate("small", 1),
            ("servicenow", "itfm_gl_accounts", cure),
            ("servicenow", "cmn_cost_center", centers),
        ]
    )
    assert not outcome.rejected_bills
    assert not outcome.rejected_orders


def test_servicenow_holds_companies_that_are_not_ours_one_with_a_vendors_name() -> None:
    made = tables()
    vendors = {row["companyname"] for row in made["vendor"]}
    companies = {row["name"] for row in made["core_company"]}
    assert companies & vendors == {"Twin Peaks Logistics"}
    assert len(companies) > 1
