"""Token-based authentication: OAuth 1.0a, signed here by oauthlib rather than by our own code."""

import warnings
from typing import Any

import pytest
from oauthlib.oauth1 import Client

from nsn_pipeline.sandbox.netsuite.options import TbaCredentials

KEYS = TbaCredentials("ck", "c&s", "tk", "t s")
URL = "https://1234567-sb1.suitetalk.api.netsuite.com/services/rest/record/v1/department"


@pytest.fixture
def tba(make_account: Any) -> Any:
    return make_account(tba=(KEYS,))


def signed(account: Any, url: str = URL, method: str = "GET", **changes: Any) -> dict[str, str]:
    settings: dict[str, Any] = {
        "client_secret": KEYS.consumer_secret, "resource_owner_key": KEYS.token_id,
        "resource_owner_secret": KEYS.token_secret, "realm": "1234567_SB1",
        "signature_method": "HMAC-SHA256", "timestamp": str(int(account.now)), **changes,
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, headers, _ = Client(settings.pop("client_key", KEYS.consumer_key), **settings).sign(
            url, http_method=method
        )
    return {"Authorization": headers["Authorization"]}


def refused(account: Any, response: Any, reason: str) -> None:
    assert response.status_code == 401
    assert response.json()["o:errorDetails"][0]["o:errorCode"] == "INVALID_LOGIN"
    assert account.app.state.tba.audit[-1] == reason


def test_signed_request_is_accepted(tba: Any) -> None:
    assert tba.http.get(URL, headers=signed(tba)).status_code == 200


def test_query_parameters_are_part_of_the_signature(tba: Any) -> None:
    url = f"{URL}?limit=1&offset=1&q=name%20IS%20%22IT%22"
    assert tba.http.get(url, headers=signed(tba, url)).status_code == 200
    refused(tba, tba.http.get(url, headers=signed(tba)), "InvalidSignature")


def test_method_is_part_of_the_signature(tba: Any) -> None:
    refused(tba, tba.http.post(URL, headers=signed(tba), json={}), "InvalidSignature")


def test_public_base_url_may_be_what_was_signed(make_account: Any) -> None:
    account = make_account(tba=(KEYS,), public_base_url="https://localhost:1")
    url = "https://localhost:1/services/rest/record/v1/department"
    assert account.http.get(URL, headers=signed(account, url)).status_code == 200


def test_request_can_be_sent_once(tba: Any) -> None:
    headers = signed(tba)
    assert tba.http.get(URL, headers=headers).status_code == 200
    refused(tba, tba.http.get(URL, headers=headers), "NonceUsed")


@pytest.mark.parametrize("seconds", [-301, 301])
def test_time_stamp_outside_five_minutes_is_refused(tba: Any, seconds: int) -> None:
    headers = signed(tba, timestamp=str(int(tba.now) + seconds))
    refused(tba, tba.http.get(URL, headers=headers), "InvalidTimestamp")


@pytest.mark.parametrize("seconds", [-299, 299])
def test_time_stamp_within_five_minutes_is_accepted(tba: Any, seconds: int) -> None:
    headers = signed(tba, timestamp=str(int(tba.now) + seconds))
    assert tba.http.get(URL, headers=headers).status_code == 200


WRONG: dict[str, tuple[dict[str, str], str]] = {
    "host form of the account in the realm": (
        {"realm": "1234567-sb1"}, "MissingTokenPassportRequiredFields"),
    "consumer secret": ({"client_secret": "x"}, "InvalidSignature"),
    "token secret": ({"resource_owner_secret": "x"}, "InvalidSignature"),
    "consumer key": ({"client_key": "other"}, "consumer_key_unknown"),
    "token": ({"resource_owner_key": "other"}, "token_rejected"),
    "SHA1": ({"signature_method": "HMAC-SHA1"}, "UnknownAlgorithm"),
    "short nonce": ({"nonce": "12345"}, "MissingTokenPassportRequiredFields"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "reason"), WRONG.values(), ids=WRONG.keys())
def test_every_failure_is_the_same_401(tba: Any, changes: dict[str, str], reason: str) -> None:
    refused(tba, tba.http.get(URL, headers=signed(tba, **changes)), reason)


def test_header_without_parameters_is_refused(tba: Any) -> None:
    response = tba.http.get(URL, headers={"Authorization": "OAuth"})
    refused(tba, response, "MissingTokenPassportRequiredFields")
