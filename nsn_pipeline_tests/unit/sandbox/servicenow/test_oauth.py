from urllib.parse import urlencode

import pytest

from nsn_pipeline.sandbox.servicenow.options import User
from nsn_pipeline_tests.unit.sandbox.servicenow.conftest import Desk, basic

FORM = {"content-type": "application/x-www-form-urlencoded"}
CLIENT = {"client_id": "nsn-client", "client_secret": "nsn-client-secret"}
REFUSED = {"error_description": "access_denied", "error": "server_error"}


def ask(desk: Desk, grant="client_credentials", headers=FORM, **fields):
    form = {"grant_type": grant, **CLIENT, **fields}
    return desk.call(
        "POST", "/oauth_token.do", body=urlencode(form).encode(), headers=headers, auth=False
    )


def bearer(desk: Desk, token: str) -> int:
    headers = {"authorization": f"Bearer {token}"}
    return desk.call(
        "GET", "/api/now/table/proc_po", headers=headers, auth=False, sysparm_limit=1
    ).status


def test_second_request_returns_the_running_token_with_what_is_left(desk):
    first = ask(desk).json
    desk.now += 600
    second = ask(desk).json
    assert first["expires_in"] == 1800
    assert second["access_token"] == first["access_token"]
    assert second["expires_in"] == 1200
    assert second["token_type"] == "Bearer"
    assert second["scope"] == "useraccount"


def test_token_dies_at_the_end_of_its_life_and_a_new_one_is_issued(desk):
    first = ask(desk).json
    assert bearer(desk, first["access_token"]) == 200
    desk.now += 1800
    assert bearer(desk, first["access_token"]) == 401
    second = ask(desk).json
    assert second["access_token"] != first["access_token"]
    assert bearer(desk, second["access_token"]) == 200


def test_password_grant_brings_a_refresh_token_that_renews_access_only(desk):
    issued = ask(desk, "password", username="nsn.integration", password="nsn-password").json
    desk.now += 2000
    renewed = ask(desk, "refresh_token", refresh_token=issued["refresh_token"]).json
    assert renewed["access_token"] != issued["access_token"]
    assert "refresh_token" not in renewed


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({}, {"client_secret": "wrong"}),
        ({}, {"grant": "password", "username": "nsn.integration", "password": "wrong"}),
        ({"client_credentials_grant": False}, {}),
        ({"oauth_user": ""}, {}),
        ({"users": (User("nsn.integration", "nsn-password", active=False),)}, {}),
        ({}, {"grant": "implicit"}),
        ({}, {"headers": {"content-type": "application/json"}}),
    ],
    ids=["secret", "password", "property off", "no user", "inactive", "grant", "json body"],
)
def test_every_failure_looks_the_same(make_desk, options, fields):
    answer = ask(make_desk(**options), **fields)
    assert (answer.status, answer.json) == (401, REFUSED)


def test_revoked_token_is_refused(desk):
    token = ask(desk).json["access_token"]
    desk.call("GET", "/oauth_revoke_token.do", token=token, auth=False)
    assert bearer(desk, token) == 401


def test_missing_credentials_get_the_recorded_body(desk):
    answer = desk.call("GET", "/api/now/table/proc_po", auth=False)
    assert answer.status == 401
    assert answer.json == {
        "error": {
            "message": "User Not Authenticated",
            "detail": "Required to provide Auth information",
        },
        "status": "failure",
    }


def test_basic_authentication_can_be_switched_off(make_desk):
    desk = make_desk(basic_auth=False)
    assert desk.get("proc_po").status == 401


def test_wrong_basic_password_is_refused(desk):
    headers = {"authorization": basic("nsn.integration", "nope")}
    assert desk.call("GET", "/api/now/table/proc_po", headers=headers, auth=False).status == 401


def test_endpoint_rule_refuses_users_without_the_role(make_desk):
    plain = User("nsn.integration", "nsn-password", ("itil",))
    answer = make_desk(endpoint_acl=True, users=(plain,)).get("proc_po")
    assert (answer.status, answer.detail) == (403, "Failed API level ACL Validation")
