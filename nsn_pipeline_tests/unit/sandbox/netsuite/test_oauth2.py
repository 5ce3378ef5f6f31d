"""OAuth 2.0 client credentials: what the token endpoint accepts and refuses (facts 2)."""

from typing import Any

import jwt
import pytest

SQL = "SELECT id FROM currency WHERE id = 1"


def test_token_is_granted_and_opens_the_api(account: Any) -> None:
    response = account.ask_token(account.assertion())
    body = response.json()
    assert response.status_code == 200
    assert body["expires_in"] == 3600
    assert body["token_type"] == "Bearer"
    assert jwt.get_unverified_header(body["access_token"])["alg"] == "RS256"
    assert account.query(SQL).status_code == 200


@pytest.mark.parametrize("algorithm", ["PS256", "PS384", "PS512"])
def test_rsa_pss_is_accepted(account: Any, algorithm: str) -> None:
    assert account.ask_token(account.assertion(algorithm)).status_code == 200


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512"])
def test_elliptic_curves_are_accepted(
    make_account: Any, ec_keys: Any, cert: Any, algorithm: str
) -> None:
    key = ec_keys[algorithm]
    account = make_account(extra_certificates={"ec": cert(key)})
    assert account.ask_token(account.assertion(algorithm, key=key, kid="ec")).status_code == 200


@pytest.mark.parametrize(
    "scope", ["rest_webservices", ["rest_webservices"], "rest_webservices,rest_webservices"]
)
def test_scope_may_be_text_or_array(account: Any, scope: Any) -> None:
    assert account.ask_token(account.assertion(scope=scope)).status_code == 200


def test_audience_may_be_the_configured_base_url(make_account: Any) -> None:
    account = make_account(public_base_url="https://localhost:8443")
    aud = "https://localhost:8443/services/rest/auth/oauth2/v1/token"
    assert account.ask_token(account.assertion(aud=aud)).status_code == 200


def test_assertion_may_live_exactly_an_hour(account: Any) -> None:
    assert account.ask_token(account.assertion(exp=int(account.now) + 3600)).status_code == 200


CLAIMS: dict[str, tuple[dict[str, Any], str]] = {
    "too long a life": ({"exp": 3601}, "invalid_grant"),
    "expired": ({"iat": -700, "exp": -400}, "invalid_grant"),
    "issued in the future": ({"iat": 600, "exp": 700}, "invalid_grant"),
    "ends before it starts": ({"exp": -1}, "invalid_grant"),
}


@pytest.mark.parametrize(("times", "code"), CLAIMS.values(), ids=CLAIMS.keys())
def test_life_span_is_checked(account: Any, times: dict[str, int], code: str) -> None:
    changes = {name: int(account.now) + seconds for name, seconds in times.items()}
    response = account.ask_token(account.assertion(**changes))
    assert (response.status_code, response.json()) == (400, {"error": code})


OTHER: dict[str, tuple[dict[str, Any], int, str]] = {
    "wrong audience": ({"aud": "https://x.example/token"}, 400, "invalid_grant"),
    "unknown certificate": ({"kid": "cert-2"}, 400, "invalid_grant"),
    "unknown client": ({"iss": "client-2"}, 401, "invalid_client"),
    "scope not enabled": ({"scope": ["restlets"]}, 400, "invalid_scope"),
    "scope unknown": ({"scope": ["rest_webservices", "all"]}, 400, "invalid_scope"),
    "scope missing": ({"scope": []}, 400, "invalid_scope"),
    "times as text": ({"exp": "soon"}, 400, "invalid_grant"),
}


@pytest.mark.parametrize(("changes", "status", "code"), OTHER.values(), ids=OTHER.keys())
def test_assertion_is_checked(
    account: Any, changes: dict[str, Any], status: int, code: str
) -> None:
    response = account.ask_token(account.assertion(**changes))
    assert (response.status_code, response.json()) == (status, {"error": code})


def test_invalid_client_is_challenged(account: Any) -> None:
    response = account.ask_token(account.assertion(iss="other"))
    assert response.headers["www-authenticate"] == 'Basic realm="1234567_SB1"'


def test_pkcs1_signatures_are_refused(account: Any) -> None:
    assert account.ask_token(account.assertion("RS256")).json() == {"error": "invalid_client"}


def test_unsigned_assertion_is_refused(account: Any) -> None:
    assert account.ask_token(account.assertion("none", key=None)).status_code == 401


def test_signature_by_another_key_is_refused(account: Any, short_key: Any) -> None:
    response = account.ask_token(account.assertion(key=short_key))
    assert (response.status_code, response.json()) == (401, {"error": "invalid_client"})


def test_short_rsa_key_is_refused_unless_allowed(
    make_account: Any, short_key: Any, cert: Any
) -> None:
    certificates = {"short": cert(short_key)}
    strict = make_account(extra_certificates=certificates)
    assert strict.ask_token(strict.assertion(key=short_key, kid="short")).json() == {
        "error": "invalid_grant"
    }
    lenient = make_account(extra_certificates=certificates, minimum_rsa_bits=2048)
    assert lenient.ask_token(lenient.assertion(key=short_key, kid="short")).status_code == 200


def test_curve_must_go_with_the_algorithm(make_account: Any, ec_keys: Any, cert: Any) -> None:
    account = make_account(extra_certificates={"ec": cert(ec_keys["ES384"])})
    assertion = account.assertion("ES256", key=ec_keys["ES256"], kid="ec")
    assert account.ask_token(assertion).status_code == 401


def test_certificate_past_its_end_is_refused(make_account: Any, rsa_key: Any, cert: Any) -> None:
    account = make_account(extra_certificates={"old": cert(rsa_key, days=1)})
    account.now += 86_400
    assert account.ask_token(account.assertion(kid="old")).json() == {"error": "invalid_grant"}


FORMS = {
    "another grant": ({"grant_type": "password"}, "unsupported_grant_type"),
    "no assertion": ({"client_assertion": ""}, "invalid_request"),
    "malformed assertion": ({"client_assertion": "a.b"}, "invalid_request"),
    "another assertion type": ({"client_assertion_type": "saml"}, "invalid_request"),
}


@pytest.mark.parametrize(("changes", "code"), FORMS.values(), ids=FORMS.keys())
def test_form_is_checked(account: Any, changes: dict[str, str], code: str) -> None:
    response = account.ask_token(account.assertion(), **changes)
    assert (response.status_code, response.json()) == (400, {"error": code})


def test_json_body_is_no_token_request(account: Any) -> None:
    response = account.http.post("/services/rest/auth/oauth2/v1/token", json={})
    assert response.json() == {"error": "invalid_request"}


def test_grant_may_be_off_for_the_integration(make_account: Any) -> None:
    account = make_account(client_credentials_enabled=False)
    assert account.ask_token(account.assertion()).json() == {"error": "unauthorized_client"}


def call(account: Any, headers: dict[str, str]) -> Any:
    return account.http.get("/services/rest/record/v1/department/1", headers=headers)


@pytest.mark.parametrize("end", ["hour", "expire_all", "revoke_all"])
def test_token_ends(account: Any, end: str) -> None:
    headers = account.login()
    assert call(account, headers).status_code == 200
    if end == "hour":
        account.now += 3600
    else:
        getattr(account.app.state.tokens, end)()
    response = call(account, headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == (
        'Bearer realm="1234567_SB1", error="invalid_token", '
        'error_description="Invalid login attempt."'
    )
    assert response.json()["o:errorDetails"][0]["o:errorCode"] == "INVALID_LOGIN"


def test_login_is_needed(account: Any) -> None:
    assert call(account, {}).status_code == 401
    assert call(account, {"Authorization": "Basic abc"}).status_code == 401


def test_malformed_bearer_header_is_a_bad_request(account: Any) -> None:
    response = call(account, {"Authorization": "Bearer"})
    assert response.status_code == 400
    assert 'error="invalid_request"' in response.headers["www-authenticate"]
