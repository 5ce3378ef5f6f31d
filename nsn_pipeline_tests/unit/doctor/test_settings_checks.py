from typing import Any

import pytest

from nsn_pipeline.doctor import settings_checks
from nsn_pipeline.doctor.finding import Checklist, Status
from nsn_pipeline.settings import VARIABLES


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
