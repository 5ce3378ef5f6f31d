"""The preflight stops a half-configured job, costs little, and remembers only a clean bill."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from nsn_pipeline.clients.http import Http, RetryPolicy
from nsn_pipeline.connections import Connections
from nsn_pipeline.doctor.finding import Finding, Status
from nsn_pipeline.doctor.preflight import preflight
from nsn_pipeline.errors import ConfigurationError, UnreachableError
from nsn_pipeline.settings import load_settings
from nsn_pipeline_tests.faults.cases import BASIC, FAULTS, Seeded
from nsn_pipeline_tests.faults.healthy import Case, Healthy, World, healthy_systems
from nsn_pipeline_tests.faults.test_doctor_states_facts import KEYS, TBA

STOPPING = [
    "The role may not see vendors",
    "A column that is needed is hidden",
    "The client id is unknown",
    "The role may not use REST web services",
    "A plug-in is not active",
    "A column has not been created",
    "The key has no unique index",
    "The client secret is wrong",
    "An endpoint ACL covers the Table API only",
]
BY_NAME = {seeded.name: seeded for seeded in FAULTS}


@pytest.fixture(scope="module")
def systems(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Healthy]:
    with healthy_systems(tmp_path_factory.mktemp("preflight")) as healthy:
        yield healthy


@contextmanager
def connected(systems: Healthy, case: Case) -> Iterator[tuple[Connections, World]]:
    with (
        systems.world(case) as world,
        Connections(load_settings(world.environment), run_id="test") as connections,
    ):
        connections.redis.client.flushdb()
        yield connections, world


def calls(connections: Connections) -> int:
    return connections.call_stats("netsuite").calls + connections.call_stats("servicenow").calls


def test_a_healthy_pair_is_asked_once(systems: Healthy) -> None:
    with connected(systems, Case()) as (connections, _):
        first = preflight(connections)
        asked = calls(connections)
        assert preflight(connections) == first
        assert calls(connections) == asked
        assert asked < 70
        preflight(connections, fresh=True)
        assert calls(connections) > asked


@pytest.mark.parametrize("seeded", [BY_NAME[name] for name in STOPPING], ids=STOPPING)
def test_a_blocker_stops_the_job_with_its_remedy(systems: Healthy, seeded: Seeded) -> None:
    with connected(systems, seeded.case()) as (connections, _):
        with pytest.raises(ConfigurationError, match="nothing was written") as refused:
            preflight(connections)
        assert "\n- " in str(refused.value)
        assert not list(connections.redis.client.scan_iter("nsn:preflight:*"))


def test_what_is_only_worth_a_look_does_not_stop(systems: Healthy) -> None:
    case = Case(netsuite={"hidden_tables": frozenset({"accountingbook"})})
    with connected(systems, case) as (connections, _):
        findings: list[Finding] = preflight(connections)
    looked = {finding.id for finding in findings if finding.status is Status.WARN}
    assert looked == {"netsuite.table.accountingbook"}


def test_every_run_by_token_based_authentication_says_that_it_ends(systems: Healthy) -> None:
    case = Case(netsuite={"tba": (KEYS,)}, environment=TBA)
    with connected(systems, case) as (connections, _):
        findings = preflight(connections)
        again = preflight(connections)  # as remembered
        notes = connections.netsuite.notes  # stand in the metadata of what is read, and after sync
    assert [f.id for f in findings if f.status is Status.WARN] == ["netsuite.auth"]
    assert again == findings
    assert len(notes) == 1
    for text in (findings[0].detail, notes[0]):
        assert "2027.1" in text
        assert "2028.1" in text


def test_an_outage_is_no_fault_of_the_configuration(
    systems: Healthy, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = partial(Http, policy=RetryPolicy(max_attempts=1))
    monkeypatch.setattr("nsn_pipeline.connections.Http", impatient)
    case = Case(environment={"SERVICENOW_BASE_URL": "http://127.0.0.1:1"})
    with connected(systems, case) as (connections, _), pytest.raises(UnreachableError):
        preflight(connections)


def test_a_wrong_password_is_tried_once_and_not_for_each_table(systems: Healthy) -> None:
    """Each refusal counts towards locking the integration user."""
    case = Case(environment={**BASIC, "SERVICENOW_PASSWORD": "wrong"})
    with connected(systems, case) as (connections, _):
        with pytest.raises(ConfigurationError, match="credentials refused"):
            preflight(connections)
        assert connections.call_stats("servicenow").calls == 1
