"""What is neither right nor wrong is a fact; an examination only reads, and tells no secret."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nsn_pipeline.clients.accounts import netsuite_account
from nsn_pipeline.clients.http import Http
from nsn_pipeline.doctor.examine import examine
from nsn_pipeline.doctor.finding import Checklist, Finding, Status, to_json
from nsn_pipeline.doctor.netsuite_login import check_host
from nsn_pipeline.sandbox.servicenow.options import Fault, RequestInfo
from nsn_pipeline_tests.faults.cases import KEYS, TBA
from nsn_pipeline_tests.faults.healthy import (
    ACCOUNT,
    Case,
    Healthy,
    World,
    healthy_systems,
    pem,
    rsa_key,
)


@pytest.fixture(scope="module")
def systems(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Healthy]:
    with healthy_systems(tmp_path_factory.mktemp("facts")) as healthy:
        yield healthy


def found(findings: list[Finding], id_: str) -> Finding:
    return next(finding for finding in findings if finding.id == id_)


def faults(findings: list[Finding]) -> set[str]:
    return {f.id for f in findings if f.status in {Status.FAIL, Status.WARN}}


@pytest.mark.parametrize(("took_s", "off_s"), [(90, 0), (90, -60), (90, 100)])
def test_a_slow_answer_is_no_drift_of_the_clock(
    systems: Healthy, took_s: float, off_s: float
) -> None:
    """The server tells its time at some point of a slow exchange, and we look at ours around it."""
    with systems.world(Case()) as world:
        began = time.time() + off_s
        clock = iter([began, began + took_s])
        checklist = Checklist()
        http = Http(system="netsuite", base_url=world.environment["NETSUITE_BASE_URL"])
        fine = check_host(checklist, http, netsuite_account(ACCOUNT), lambda: next(clock))
        http.close()
    clock_found = found(checklist.findings, "netsuite.clock")
    assert fine == (off_s < 30)
    if fine:
        assert clock_found.facts == {"ahead_s": 0}
    else:
        assert clock_found.facts["ahead_s"] == pytest.approx(off_s, abs=3)


def test_a_german_date_format_is_a_fact(systems: Healthy) -> None:
    findings = systems.examine(Case(netsuite={"date_format": "D.M.YYYY", "time_zone": "UTC"}))
    dates = found(findings, "netsuite.dates")
    assert dates.status is Status.OK
    assert str(dates.facts["raw"]).count(".") == 2
    assert dates.facts["utc_offset_h"] == 0
    assert not faults(findings)


@pytest.mark.parametrize("mode", ["ignore", "no_rows", "forbid"])
def test_the_mode_for_unknown_columns_is_a_fact(systems: Healthy, mode: str) -> None:
    findings = systems.examine(Case(servicenow={"unknown_field_mode": mode}))
    assert found(findings, "servicenow.query_mode").facts == {"mode": mode}
    assert not faults(findings)


def test_a_plain_account_with_a_base_currency_is_in_order(systems: Healthy) -> None:
    off = frozenset({"multicurrency", "oneworld", "multibook", "classes", "locations"})
    case = Case(netsuite={"disabled_features": off}, environment={"NSN_BASE_CURRENCY": "EUR"})
    assert not faults(systems.examine(case))


def test_a_token_that_dies_in_mid_examination_is_renewed(systems: Healthy) -> None:
    def kill_tokens(world: World) -> None:
        gateway = world.servicenow.state.gateway

        def hook(request: RequestInfo) -> Fault | None:
            if request.number == 12:
                gateway.authority.expire_all()
            return None

        gateway.instance.options.fault_hook = hook

    with systems.world(Case(prepare=kill_tokens)) as world:
        findings = examine(world.environment, sleep=lambda _seconds: None)
        assert world.servicenow.state.gateway.authority.issued == 2
    assert not faults(findings)


def test_token_based_authentication_is_examined_and_its_end_announced(systems: Healthy) -> None:
    findings = systems.examine(Case(netsuite={"tba": (KEYS,)}, environment=TBA))
    assert faults(findings) == {"netsuite.auth"}
    assert found(findings, "netsuite.auth").status is Status.WARN
    assert found(findings, "netsuite.table.vendor").status is Status.OK


@pytest.mark.parametrize(("ahead_s", "is_fine"), [(200, True), (-200, True), (400, False)])
def test_a_signed_request_bears_five_minutes_either_way(
    systems: Healthy, ahead_s: float, *, is_fine: bool
) -> None:
    case = Case(netsuite={"tba": (KEYS,)}, environment=TBA, clock_ahead_s=ahead_s)
    findings = systems.examine(case)
    clock = found(findings, "netsuite.clock").status
    assert clock is (Status.WARN if is_fine else Status.FAIL)
    assert (found(findings, "netsuite.login").status is Status.OK) if is_fine else True


def test_a_wrong_token_secret_is_named_as_the_login(systems: Healthy) -> None:
    environment = {**TBA, "NETSUITE_TOKEN_SECRET": "wrong"}
    findings = systems.examine(Case(netsuite={"tba": (KEYS,)}, environment=environment))
    assert found(findings, "netsuite.login").status is Status.FAIL
    assert "NETSUITE_TOKEN_SECRET" in found(findings, "netsuite.login").remedy


@pytest.mark.parametrize("status", [403, 404])
def test_the_user_table_tells_who_we_are_where_the_uis_endpoint_does_not(
    systems: Healthy, status: int
) -> None:
    """Its refusal alone says nothing about the rest of the interface."""

    def hook(request: RequestInfo) -> Fault | None:
        return Fault(status=status, body=b"{}") if "/ui/user/" in request.path else None

    case = Case(servicenow={"fault_hook": hook, "user_time_zone": "Europe/Berlin"})
    with systems.world(case) as world:  # the first question is asked without a login
        findings = systems.look_at(world, case)
    assert faults(findings) == {"servicenow.time_zone"}
    assert found(findings, "servicenow.login").facts == {"user": "nsn.integration"}


def test_an_examination_only_reads(systems: Healthy) -> None:
    methods: set[tuple[str, str]] = set()

    def hook(request: RequestInfo) -> None:
        methods.add((request.method, request.path))

    systems.examine(Case(servicenow={"fault_hook": hook}))
    assert {path for method, path in methods if method != "GET"} == {"/oauth_token.do"}


def test_no_secret_is_told(systems: Healthy) -> None:
    key = pem(rsa_key(3072))
    secrets = {
        "NETSUITE_CLIENT_ID": "canary-client",
        "NETSUITE_PRIVATE_KEY": key,
        "SERVICENOW_CLIENT_SECRET": "canary-secret",
        "REDIS_URL": "redis://someone:canary-redis@127.0.0.1:1/0",
    }
    told = json.dumps(to_json(systems.examine(Case(environment=secrets))))
    assert "canary" not in told
    assert key.splitlines()[1] not in told


def test_findings_of_one_run_have_different_ids_and_faults_have_remedies(systems: Healthy) -> None:
    findings = systems.examine(Case(servicenow={"hibernating": True}, clock_ahead_s=900))
    assert len({finding.id for finding in findings}) == len(findings)
    assert all(f.remedy for f in findings if f.status in {Status.FAIL, Status.WARN})


def test_root_causes_leave_the_rest_out(systems: Healthy, tmp_path: Path) -> None:
    findings = examine({"NSN_HOME": str(tmp_path)}, sleep=lambda _seconds: None)
    assert faults(findings) == {"settings.values"}
    assert found(findings, "netsuite").status is Status.SKIPPED
