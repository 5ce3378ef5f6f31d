"""`nsn doctor` names each seeded fault, with its remedy, and nothing else."""

import time
from collections.abc import Iterator, Sequence
from functools import partial

import pytest

from nsn_pipeline.clients.retry import RetryPolicy
from nsn_pipeline.connections import Connections
from nsn_pipeline.doctor.finding import Finding, Status
from nsn_pipeline.doctor.preflight import preflight
from nsn_pipeline.errors import NsnError
from nsn_pipeline.settings import load_settings
from nsn_pipeline_tests.faults.cases import FAULTS, HEALED, Healed, Seeded, UnderWay
from nsn_pipeline_tests.faults.healthy import Case, Healthy, World, healthy_systems

NUMBERS = {3: "three", 4: "four", 11: "eleven"}
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
    case = seeded.case()
    with systems.world(case) as world:
        findings = systems.look_at(world, case)
        job = start_of_a_job(world, case)
    news = {
        id_: status for id_, status in named(findings).items() if baseline.get(id_) is not status
    }
    wanted = {seeded.finding: seeded.status, **seeded.also}
    assert news == wanted, [f for f in findings if f.id in news]
    found = next(finding for finding in findings if finding.id == seeded.finding)
    assert seeded.advice in found.remedy
    assert found.detail
    if seeded.among:
        assert f"the same to each of {NUMBERS[seeded.among]} causes" in found.detail
    # What the page calls "stops a run" stops one, and nothing else does.
    assert (job is not None) == ("fail" in wanted.values()), job
    if job is not None and seeded.status == "fail":
        assert seeded.advice in str(job)


@pytest.mark.parametrize("healed", HEALED, ids=[healed.name for healed in HEALED])
def test_what_ends_under_way_and_can_be_renewed_is_no_finding(
    healed: Healed, systems: Healthy, baseline: dict[str, Status]
) -> None:
    case = healed.case()
    assert isinstance(case.prepare, UnderWay)
    before = case.prepare.happened
    with systems.world(case) as world:
        assert named(systems.look_at(world, case)) == baseline
        examined = case.prepare.happened
        assert start_of_a_job(world, case) is None
    assert before < examined, "nothing ended under way"


def start_of_a_job(world: World, case: Case) -> NsnError | None:
    """What stops a job before it reads or writes, on the same systems."""
    try:
        settings = load_settings(world.environment)
        now = partial(shifted, case.clock_ahead_s)
        with Connections(settings, run_id="test", now=now) as connections:
            connections.redis.client.flushdb()  # the tokens of another world end nothing here
            preflight(connections, fresh=True, now=now)
    except NsnError as error:
        return error
    return None


def shifted(ahead_s: float) -> float:
    return time.time() + ahead_s


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = RetryPolicy(max_attempts=1)
    monkeypatch.setattr("nsn_pipeline.connections.RetryPolicy", lambda: policy)
