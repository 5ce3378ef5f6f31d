import json
from pathlib import Path
from typing import Any

import pytest

from nsn_pipeline.doctor import settings_checks
from nsn_pipeline.doctor.examine import examine
from nsn_pipeline.doctor.finding import Checklist, Status, to_json
from nsn_pipeline.settings import VARIABLES, load_settings

LIVE = {
    "NETSUITE_ACCOUNT_ID": "1234567-sb1",
    "NETSUITE_CLIENT_ID": "a",
    "NETSUITE_CERTIFICATE_ID": "b",
    "NETSUITE_PRIVATE_KEY": "c",
    "SERVICENOW_INSTANCE": "https://acme.service-now.com/nav?token=canary",
    "SERVICENOW_CLIENT_ID": "d",
    "SERVICENOW_CLIENT_SECRET": "e",
}
TBA = {
    "NETSUITE_AUTH": "tba",
    "NETSUITE_CONSUMER_KEY": "a",
    "NETSUITE_CONSUMER_SECRET": "b",
    "NETSUITE_TOKEN_ID": "c",
    "NETSUITE_TOKEN_SECRET": "d",
}
BASIC = {"SERVICENOW_AUTH": "basic", "SERVICENOW_USERNAME": "u", "SERVICENOW_PASSWORD": "p"}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("NSN_TIMZONE", "NSN_TIMEZONE"),
        ("NETSUITE_ACCOUNTID", "NETSUITE_ACCOUNT_ID"),
        ("SERVICENOW_CLIENT_SECERT", "SERVICENOW_CLIENT_SECRET"),
    ],
)
def test_a_slip_is_met_with_what_was_meant(name: str, meant: str) -> None:
    checklist = Checklist()
    settings_checks.check_variables(checklist, {name: "x"})
    assert [f.remedy for f in checklist.findings] == [f"Did you mean {meant}?"]


def test_known_and_foreign_variables_are_left_alone() -> None:
    checklist = Checklist()
    settings_checks.check_variables(checklist, dict.fromkeys((*VARIABLES, "PATH", "REDISX"), "x"))
    assert [f.status for f in checklist.findings] == [Status.OK]


@pytest.mark.parametrize(
    ("info", "version", "eviction", "persistence"),
    [
        ({}, Status.UNVERIFIED, Status.UNVERIFIED, Status.UNVERIFIED),
        ({"redis_version": "5.0.14"}, Status.FAIL, Status.UNVERIFIED, Status.UNVERIFIED),
        (
            {"redis_version": "7.2.4", "maxmemory_policy": "volatile-lru", "aof_enabled": "0"},
            Status.OK, Status.WARN, Status.OK,
        ),
        (
            {"redis_version": "8.0", "maxmemory_policy": "noeviction", "aof_enabled": "1",
             "aof_last_write_status": "err"},
            Status.OK, Status.OK, Status.WARN,
        ),
    ],
)  # fmt: skip
def test_a_state_server_is_judged_by_what_it_tells(
    info: dict[str, Any], version: Status, eviction: Status, persistence: Status
) -> None:
    checklist = Checklist()
    settings_checks.check_server(checklist, info)
    assert checklist.status("redis.version") is version
    assert checklist.status("redis.eviction") is eviction
    assert checklist.status("redis.persistence") is persistence


def test_the_pair_is_named_in_its_canonical_spelling(tmp_path: Path) -> None:
    checklist = Checklist()
    settings_checks.check_settings(checklist, LIVE | {"NSN_HOME": str(tmp_path)})
    assert [f.detail for f in checklist.findings] == ["NetSuite 1234567_SB1, ServiceNow acme"]


def test_a_login_in_an_address_is_shown_by_no_finding(tmp_path: Path) -> None:
    pasted = "https://admin:canary@acme.service-now.com"
    names = ("NETSUITE_ACCOUNT_ID", "SERVICENOW_INSTANCE")
    environment = LIVE | {"NSN_HOME": str(tmp_path), **dict.fromkeys(names, pasted)}
    findings = examine({**environment, "REDIS_URL": f"unix://{tmp_path}/none.sock"})
    text = json.dumps(to_json(findings))
    assert "canary" not in text
    assert text.count("not shown: it holds an @") == 4, "both in the pair, and where each is judged"
    failed = {f.id for f in findings if f.status is Status.FAIL}
    assert {"netsuite.account", "servicenow.instance"} <= failed


@pytest.mark.parametrize(
    "logins",
    [{}, TBA, BASIC, TBA | BASIC],
    ids=["both ask for tokens", "ServiceNow does", "NetSuite does", "neither does"],
)
def test_a_key_that_nothing_can_be_sealed_with_stops_every_login(
    tmp_path: Path, logins: dict[str, str]
) -> None:
    """Without tokens it seals refusals, and without their memory each process would try anew."""
    checklist = Checklist()
    environment = LIVE | logins | {"NSN_HOME": str(tmp_path), "NSN_MASTER_KEY": "canary"}
    settings_checks.check_key(checklist, load_settings(environment))
    (found,) = checklist.findings
    assert (found.id, found.status) == ("settings.master_key", Status.FAIL)
    assert found.detail == "NSN_MASTER_KEY is not a key"
    assert "32 bytes" in found.remedy
