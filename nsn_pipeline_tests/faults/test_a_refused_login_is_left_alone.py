"""A sensor that ticks every minute with a refused login locks nobody out, nor does a job beside it.

The clock runs on by a minute per tick; everything else is as in production: the sensor's own code,
both simulators, a real state server.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from io import StringIO
from typing import Any

import dagster as dg
import pytest
from rich.console import Console

from nsn_pipeline.commands.doctor import run_doctor
from nsn_pipeline.connections import Connections
from nsn_pipeline.doctor.preflight import preflight
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.orchestration.partitions import daily_partitions
from nsn_pipeline.orchestration.resources import SystemsResource
from nsn_pipeline.orchestration.sensors import replay_sensor
from nsn_pipeline.settings import load_settings
from nsn_pipeline.state.job_state import DocumentState, Status
from nsn_pipeline_tests.faults.cases import BASIC, KEYS, TBA
from nsn_pipeline_tests.faults.healthy import Case, Healthy, World, healthy_systems

TICK_S = 60.0
TOKENS = ("/services/rest/auth/oauth2/v1/token", "/oauth_token.do")
REFUSED: dict[str, tuple[str, dict[str, str]]] = {
    "NetSuite, token-based": ("netsuite", {**TBA, "NETSUITE_TOKEN_SECRET": "wrong"}),
    "NetSuite, OAuth 2.0": ("netsuite", {"NETSUITE_CERTIFICATE_ID": "other"}),
    "ServiceNow, Basic": ("servicenow", {**BASIC, "SERVICENOW_PASSWORD": "wrong"}),
    "ServiceNow, OAuth 2.0": ("servicenow", {"SERVICENOW_CLIENT_SECRET": "wrong"}),
}


class Clock:
    def __init__(self, start: float) -> None:
        self.now = start

    def __call__(self) -> float:
        return self.now


class Logins:
    """When each system was called with credentials, in minutes since the first tick."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.start = clock.now
        self.at: dict[str, list[float]] = {"netsuite": [], "servicenow": []}

    def note(self, system: str, request: Any) -> None:
        if request.headers.get("authorization") or request.path in TOKENS:
            self.at[system].append(round((self.clock.now - self.start) / 60))


@pytest.fixture(scope="module")
def systems(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Healthy]:
    with healthy_systems(tmp_path_factory.mktemp("refused")) as healthy:
        yield healthy


@pytest.fixture
def logins() -> Logins:
    return Logins(Clock(time.time()))


@contextmanager
def waiting(
    systems: Healthy, environment: Mapping[str, str], logins: Logins, patch: pytest.MonkeyPatch
) -> Iterator[World]:
    """Systems, with one document that waits for an account: so that a tick has work."""
    case = Case(
        netsuite={"tba": (KEYS,), "fault_hook": partial(logins.note, "netsuite")},
        servicenow={"basic_auth": True, "fault_hook": partial(logins.note, "servicenow")},
        environment=environment,
    )
    clocked = partial(Connections, now=logins.clock)
    patch.setattr("nsn_pipeline.orchestration.resources.Connections", clocked)
    with systems.world(case) as world:
        for name, value in world.environment.items():
            patch.setenv(name, value)
        with Connections(load_settings(world.environment), run_id="test") as connections:
            connections.redis.client.flushdb()
            connections.job_state.record([blocked()])
        yield world


def blocked() -> DocumentState:
    return DocumentState(
        record_type="vendor_bill",
        document_id="1",
        status=Status.REJECTED,
        partition="2026-03-03",
        run_id="earlier",
        updated_at=datetime(2026, 3, 4, tzinfo=UTC),
        references=("gl_account:6000",),
        reasons=("MISSING_GL_ACCOUNT",),
    )


def start_a_job(clock: Clock) -> None:
    with Connections(load_settings(), run_id="job", now=clock) as connections:
        preflight(connections, now=clock)


def tick(instance: dg.DagsterInstance) -> str:
    project = load_settings().project
    sensor = replay_sensor(project, daily_partitions(project))
    resources = {"systems": SystemsResource()}
    with dg.build_sensor_context(instance=instance, resources=resources) as context:
        return sensor.evaluate_tick(context).skip_message or ""


@pytest.mark.parametrize(("system", "environment"), REFUSED.values(), ids=REFUSED)
def test_a_sensor_that_ticks_every_minute_tries_a_refused_login_three_times_in_half_an_hour(
    systems: Healthy,
    logins: Logins,
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    environment: dict[str, str],
) -> None:
    with (
        waiting(systems, environment, logins, monkeypatch),
        dg.DagsterInstance.ephemeral() as instance,
    ):
        told: list[str] = []
        for _ in range(40):
            told.append(tick(instance))
            logins.clock.now += TICK_S
        asked = logins.at[system]
        assert asked == [0, 1, 6, 36]
        assert all(words.startswith("could not look: ") for words in told)
        assert "not asked again for 29 min" in told[7]
        # A job that starts now knows of it, too, and one that starts later asks for itself.
        with pytest.raises(ConfigurationError, match="lock the user out"):
            start_a_job(logins.clock)
        assert len(asked) == 4


def test_a_job_that_was_refused_keeps_the_sensor_from_asking(
    systems: Healthy, logins: Logins, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, environment = REFUSED["ServiceNow, Basic"]
    with (
        waiting(systems, environment, logins, monkeypatch),
        dg.DagsterInstance.ephemeral() as instance,
    ):
        with pytest.raises(ConfigurationError, match="SERVICENOW_PASSWORD"):
            start_a_job(logins.clock)
        assert len(logins.at["servicenow"]) == 1
        # It says what the job found out, remedy included.
        assert "Check SERVICENOW_USERNAME and SERVICENOW_PASSWORD" in tick(instance)
        assert len(logins.at["servicenow"]) == 1


def test_a_doctor_that_finds_the_login_in_order_sets_the_waiting_free(
    systems: Healthy, logins: Logins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cure was at the server: the credentials are the same as before."""
    right = {**BASIC, "SERVICENOW_PASSWORD": "nsn-password"}
    with (
        waiting(systems, right, logins, monkeypatch) as world,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        options = world.servicenow.state.gateway.instance.options
        options.basic_auth = False
        assert "could not look" in tick(instance)
        assert "could not look" in tick(instance)
        assert len(logins.at["servicenow"]) == 1
        run_doctor(Console(file=StringIO()), as_json=True, environment=world.environment)
        assert "could not look" in tick(instance), "it is still refused"
        options.basic_auth = True
        run_doctor(Console(file=StringIO()), as_json=True, environment=world.environment)
        assert "still missing" in tick(instance)
