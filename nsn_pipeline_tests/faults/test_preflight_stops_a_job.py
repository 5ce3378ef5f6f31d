"""The preflight stops a half-configured job, costs little, and remembers only a clean bill."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from nsn_pipeline.clients.http import RetryPolicy
from nsn_pipeline.connections import Connections
from nsn_pipeline.doctor.finding import Finding, Status
from nsn_pipeline.doctor.preflight import _clean_key as clean_key
from nsn_pipeline.doctor.preflight import preflight
from nsn_pipeline.errors import ConfigurationError, PermissionDeniedError, UnreachableError
from nsn_pipeline.orchestration.resources import SystemsResource
from nsn_pipeline.settings import load_settings
from nsn_pipeline_tests.faults.cases import BASIC, FAULTS, KEYS, TBA, Seeded
from nsn_pipeline_tests.faults.healthy import Case, Healthy, World, healthy_systems

# That every blocker stops a job is shown beside doctor's own word on it.
STOPPING = ["The role may not see vendors", "The key has no unique index"]
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
        asked = calls(connections)
        with pytest.raises(ConfigurationError, match="nothing was written"):
            preflight(connections)  # another step of this run
        assert calls(connections) == asked
        connections.run_id = "next"
        with pytest.raises(ConfigurationError, match="nothing was written"):
            preflight(connections)
        assert calls(connections) > asked
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
    impatient = RetryPolicy(max_attempts=1)
    monkeypatch.setattr("nsn_pipeline.connections.RetryPolicy", lambda: impatient)
    case = Case(environment={"SERVICENOW_BASE_URL": "http://127.0.0.1:1"})
    with connected(systems, case) as (connections, _), pytest.raises(UnreachableError):
        preflight(connections)


WRONG = {**BASIC, "SERVICENOW_PASSWORD": "wrong"}
RIGHT = {**BASIC, "SERVICENOW_PASSWORD": "nsn-password"}


def test_a_wrong_password_is_tried_once_and_the_right_one_works_at_once(systems: Healthy) -> None:
    """Each refusal counts towards locking the integration user: one a minute, not one a table."""
    case = Case(environment=WRONG, servicenow={"basic_auth": True})
    with connected(systems, case) as (connections, world):
        with pytest.raises(ConfigurationError, match="SERVICENOW_PASSWORD"):
            preflight(connections)
        assert connections.call_stats("servicenow").calls == 1
        asked = calls(connections)
        connections.run_id = "next"
        with pytest.raises(ConfigurationError, match="lock the user out"):
            preflight(connections)
        assert calls(connections) == asked
        stored = [connections.redis.client.get(key) for key in refusals(connections)]
        assert len(stored) == 1
        assert "wrong" not in str(stored)
        world.environment.update(RIGHT)
        with Connections(load_settings(world.environment), run_id="cured") as cured:
            preflight(cured)


def test_steps_that_start_together_try_a_wrong_secret_once(systems: Healthy) -> None:
    with systems.world(Case(environment={"SERVICENOW_CLIENT_SECRET": "wrong"})) as world:
        settings = load_settings(world.environment)
        with ExitStack() as held:
            steps = [
                held.enter_context(Connections(settings, run_id=str(number))) for number in range(4)
            ]
            steps[0].redis.client.flushdb()
            with ThreadPoolExecutor(len(steps)) as pool:
                started = [pool.submit(preflight, connections) for connections in steps]
                told = [step.exception() for step in started]
            assert all(isinstance(error, ConfigurationError) for error in told)
            assert sum(step.call_stats("servicenow").calls for step in steps) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NETSUITE_CLIENT_ID", "other"),
        ("NETSUITE_CERTIFICATE_ID", "other"),
        ("SERVICENOW_CLIENT_ID", "other"),
        ("NETSUITE_TOKEN_ID", "other"),
        ("NETSUITE_CONSUMER_KEY", "other"),
        ("SERVICENOW_USERNAME", "other"),
    ],
)
def test_a_clean_bill_is_for_these_credentials_and_this_version(
    systems: Healthy, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    both = {**TBA, **RIGHT, "NETSUITE_AUTH": "oauth2", "SERVICENOW_AUTH": "client_credentials"}
    with systems.world(Case(environment=both)) as world:
        mine = Connections(load_settings(world.environment), run_id="mine")
        theirs = Connections(load_settings(world.environment | {name: value}), run_id="theirs")
        with mine, theirs:
            assert clean_key(mine) != clean_key(theirs)
            before = clean_key(mine)
            monkeypatch.setattr("nsn_pipeline.doctor.preflight.version", lambda _name: "99.0")
            assert clean_key(mine) != before


def test_other_credentials_are_examined_anew(systems: Healthy) -> None:
    with connected(systems, Case()) as (connections, world):
        preflight(connections)
        world.environment["NETSUITE_CERTIFICATE_ID"] = "other"
        with (
            Connections(load_settings(world.environment), run_id="other") as other,
            pytest.raises(ConfigurationError, match="nothing was written"),
        ):
            preflight(other)


@pytest.mark.parametrize("damaged", ["{", "[]", '{"findings": [{"status": "?"}]}'])
def test_a_clean_bill_that_cannot_be_read_is_none(systems: Healthy, damaged: str) -> None:
    with connected(systems, Case()) as (connections, _):
        first = preflight(connections)
        (key,) = connections.redis.client.scan_iter("nsn:preflight:*")
        connections.redis.client.set(key, damaged)
        asked = calls(connections)
        assert [finding.id for finding in preflight(connections)] == [f.id for f in first]
        assert calls(connections) > asked


def test_a_state_server_too_old_for_our_scripts_stops_the_job(
    systems: Healthy, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"redis_version": "5.0.14"}
    monkeypatch.setattr("nsn_pipeline.doctor.preflight.server_info", lambda _client: told)
    with (
        connected(systems, Case()) as (connections, _),
        pytest.raises(ConfigurationError, match=r"version 5\.0\.14"),
    ):
        preflight(connections)


@pytest.fixture
def context() -> Any:
    log = logging.getLogger("test")
    return SimpleNamespace(run=SimpleNamespace(run_id="test"), log=log)


def test_a_missing_column_stops_the_job_before_anything_is_read(
    systems: Healthy, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connected(systems, BY_NAME["A column has not been created"].case()) as (_, world):
        use(world, monkeypatch)
        with pytest.raises(ConfigurationError, match="u_email"):
            SystemsResource().opened_to_read(context).__enter__()


def test_a_refused_step_ends_the_trust_in_the_clean_bill(
    systems: Healthy, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step() -> None:
        with SystemsResource().opened_to_read(context):
            raise PermissionDeniedError("not any more")

    with connected(systems, Case()) as (connections, world):
        use(world, monkeypatch)
        preflight(connections)
        assert list(connections.redis.client.scan_iter("nsn:preflight:*"))
        with pytest.raises(PermissionDeniedError):
            step()
        assert not list(connections.redis.client.scan_iter("nsn:preflight:*"))


def use(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)


def refusals(connections: Connections) -> list[str]:
    return list(connections.redis.client.scan_iter("nsn:refused-login:*"))
