"""`nsn doctor` names each seeded fault, with its remedy, and nothing else."""

from collections.abc import Iterator, Sequence

import pytest

from nsn_pipeline.doctor.finding import Finding, Status
from nsn_pipeline_tests.faults.cases import FAULTS, Seeded
from nsn_pipeline_tests.faults.healthy import Case, Healthy, healthy_systems

QUIET = {Status.OK, Status.SKIPPED}


@pytest.fixture(scope="module")
def systems(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Healthy]:
    with healthy_systems(tmp_path_factory.mktemp("doctor")) as healthy:
        yield healthy


@pytest.fixture(scope="module")
def baseline(systems: Healthy) -> dict[str, Status]:
    return named(systems.examine(Case()))


def named(findings: Sequence[Finding]) -> dict[str, Status]:
    return {found.id: found.status for found in findings if found.status not in QUIET}


def test_healthy_systems_have_nothing_to_put_right(baseline: dict[str, Status]) -> None:
    assert baseline == {
        "netsuite.certificate": Status.UNVERIFIED,
        "netsuite.concurrency": Status.UNVERIFIED,
        "servicenow.column.proc_po.status": Status.UNVERIFIED,
    }


@pytest.mark.parametrize("seeded", FAULTS, ids=[seeded.name for seeded in FAULTS])
def test_fault_is_named_with_its_remedy_and_no_other(
    seeded: Seeded, systems: Healthy, baseline: dict[str, Status]
) -> None:
    findings = systems.examine(seeded.case())
    news = {
        id_: status for id_, status in named(findings).items() if baseline.get(id_) is not status
    }
    assert news == {seeded.finding: Status(seeded.status)}, [f for f in findings if f.id in news]
    found = next(finding for finding in findings if finding.id == seeded.finding)
    assert seeded.advice in found.remedy
    assert found.detail
