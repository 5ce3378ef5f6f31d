import re

import pytest
import requests
from requests_oauthlib import OAuth1

from nsn_pipeline.clients.tba import TbaAuth, TbaCredentials

CREDENTIALS = TbaCredentials("ck", "canary-cs&=", "tk", "canary-ts%")
URL = "https://1234567-sb1.suitetalk.api.netsuite.com/services/rest/query/v1/suiteql"


def signed(method: str, url: str, nonce: str = "n0nce0") -> str:
    auth = TbaAuth(CREDENTIALS, realm="1234567_SB1", now=lambda: 1.75e9, nonce=lambda: nonce)
    return (
        requests.Request(method, url, auth=auth, json={"q": "x"}).prepare().headers["Authorization"]
    )


def signature(header: str) -> str:
    return re.search(r'oauth_signature="([^"]+)"', header)[1]


def test_the_signature_is_the_one_another_implementation_makes() -> None:
    url = f"{URL}?limit=1000&offset=0&q=a%20b~%C3%BC"
    theirs = requests.Request(
        "POST",
        url,
        auth=OAuth1(
            "ck", "canary-cs&=", "tk", "canary-ts%", realm="1234567_SB1",
            signature_method="HMAC-SHA256", nonce="n0nce0", timestamp="1750000000",
        ),
    ).prepare().headers["Authorization"]  # fmt: skip
    assert signature(signed("POST", url)) == signature(str(theirs))


@pytest.mark.parametrize(
    ("port", "is_signed"), [(":443", False), (":8443", True)], ids=["implied", "another"]
)
def test_only_a_port_the_scheme_does_not_imply_is_signed(port: str, *, is_signed: bool) -> None:
    url = URL.replace(".com/", f".com{port}/")
    assert (signature(signed("POST", url)) != signature(signed("POST", URL))) == is_signed
    auth = OAuth1(
        "ck", "canary-cs&=", "tk", "canary-ts%", realm="1234567_SB1",
        signature_method="HMAC-SHA256", nonce="n0nce0", timestamp="1750000000",
    )  # fmt: skip
    theirs = requests.Request("POST", url, auth=auth).prepare().headers["Authorization"]
    assert signature(signed("POST", url)) == signature(str(theirs))


def test_query_parameters_are_signed() -> None:
    first, second = (signed("POST", f"{URL}?offset={offset}") for offset in (0, 1000))
    assert signature(first) != signature(second)


def test_the_realm_is_sent_and_no_secret_is() -> None:
    header = signed("POST", URL)
    assert header.startswith('OAuth realm="1234567_SB1", ')
    assert "canary" not in header
    assert "canary" not in repr(CREDENTIALS)


def test_every_call_has_its_own_nonce() -> None:
    auth = TbaAuth(CREDENTIALS, realm="X")
    headers = {
        requests.Request("GET", URL, auth=auth).prepare().headers["Authorization"] for _ in range(3)
    }
    assert len(headers) == 3
