"""docs/doctor.md lists exactly the faults that are tested, and there are enough of them."""

from nsn_pipeline_tests.faults.cases import FAULTS
from nsn_pipeline_tests.faults.documented import PAGE, with_table


def test_the_table_of_faults_is_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    hint = "run: python -m nsn_pipeline_tests.faults.documented"
    assert page == with_table(page), hint


def test_each_fault_is_described_once_and_there_are_at_least_thirty() -> None:
    names = [seeded.name for seeded in FAULTS]
    assert len(set(names)) == len(names) >= 30
