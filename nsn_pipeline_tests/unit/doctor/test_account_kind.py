import pytest

from nsn_pipeline.doctor.finding import Checklist
from nsn_pipeline.doctor.netsuite_login import check_account
from nsn_pipeline.settings import NetSuiteSettings


@pytest.mark.parametrize(
    ("account", "kind"),
    [
        ("1234567", "production"),
        ("1234567_SB1", "sandbox"),
        ("1234567_RP", "release preview"),
        ("TSTDRV1234567", "demo or partner"),
        ("TD1234567", "demo or partner"),
    ],
)
def test_only_an_id_of_digits_is_a_production_account(account: str, kind: str) -> None:
    checklist = Checklist()
    check_account(checklist, NetSuiteSettings.model_construct(account_id=account))
    found = checklist.findings[0]
    assert found.facts["kind"] == kind
    assert f"a {kind} account" in found.detail
