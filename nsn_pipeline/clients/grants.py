"""How the vendors hand out tokens: NetSuite for a signed assertion, ServiceNow for a secret.

The `Http` given here must have no auth of its own and no limiter: a call that holds the last place
in a limiter may be the one that needs the token. NetSuite: docs/facts/netsuite.md 2. ServiceNow:
docs/facts/servicenow.md 1.1.
"""

import base64
import binascii
import logging
import math
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import jwt
import requests
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from nsn_pipeline.clients.answers import VendorWords, read_words
from nsn_pipeline.clients.echoes import form_secrets
from nsn_pipeline.clients.http import Http
from nsn_pipeline.clients.tokens import Token
from nsn_pipeline.errors import (
    AuthenticationError,
    ConfigurationError,
    UnexpectedResponseError,
    Where,
)

_log = logging.getLogger(__name__)

NETSUITE_TOKEN_PATH = "/services/rest/auth/oauth2/v1/token"  # noqa: S105
SERVICENOW_TOKEN_PATH = "/oauth_token.do"  # noqa: S105

_ASSERTION_LIFE_S = 300  # NetSuite allows up to an hour; a short life limits what a leak is worth
_RSA_DEMANDED_BITS = 3072
_RSA_LEAST_BITS = 2048  # one Oracle page allows it, another demands 3072
_EC_ALGORITHMS = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
# DER of the object identifiers at the head of a key that is meant for PSS signatures alone; such a
# key may also name the one digest it is for.
_PSS = bytes.fromhex("06092a864886f70d01010a")
_DIGESTS = {
    bytes.fromhex("0609608648016503040202"): "PS384",
    bytes.fromhex("0609608648016503040203"): "PS512",
}
_KEY_HEAD = 80  # bytes: version and algorithm, before the numbers of the key
_NETSUITE_LIFE_S = 3600.0  # as documented: never longer
_NETSUITE_MARGIN = 1 / 6  # renewed at 50 of 60 minutes
_SERVICENOW_LIFE_S = 1800.0  # of an OAuth entity that nobody changed
_LONGEST_LIFE_S = 86_400.0  # asking for the same token once a day costs nothing
_LEAST_LIFE_S = 1.0  # of a token handed out in its last second
_NETSUITE_LEAST_S = 60.0  # NetSuite hands out new ones only: less is no life
_REFUSALS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})

_NETSUITE_CAUSES = {
    "invalid_request": "a form field is missing, repeated or malformed",
    "unsupported_grant_type": "the client credentials grant is unknown at this address",
    "invalid_scope": "REST web services is not enabled as a scope on the integration record",
    "invalid_grant": "the assertion has expired (is this machine's clock right?), its certificate "
    "or mapping was revoked, has expired or went with a sandbox refresh, or the certificate id "
    "does not match the private key",
    "invalid_client": "the client id is unknown in this account, or the signature does not verify "
    "with the uploaded certificate",
    "unauthorized_client": "the client credentials grant is not enabled on the integration record, "
    "or no mapping of certificate, role and entity exists (a sandbox refresh clears it)",
}
_SERVICENOW_CAUSES = (
    "wrong client id or secret; the property "
    "glide.oauth.inbound.client.credential.grant_type.enabled is not true (inbound client "
    "credentials exist from Washington DC on); no OAuth Application User is set on the OAuth "
    "entity; or that user is flagged 'password needs reset', inactive or locked out"
)


class AssertionSigner:
    """Signs NetSuite client assertions; the algorithm follows from the key."""

    def __init__(self, *, client_id: str, certificate_id: str, private_key: str) -> None:
        self._client_id = client_id
        self._certificate_id = certificate_id
        pem = private_key.strip().replace("\\n", "\n")
        self._key = _load_key(pem)
        self.algorithm, self.notes = _algorithm(self._key, pem)
        for note in self.notes:
            _log.warning("netsuite_key note=%r", note)

    def sign(self, audience: str, *, now: float) -> str:
        issued = int(now)
        claims = {
            "iss": self._client_id,
            "scope": ["rest_webservices"],
            "aud": audience,
            "iat": issued,
            "exp": issued + _ASSERTION_LIFE_S,
        }
        headers = {"typ": "JWT", "kid": self._certificate_id}
        return jwt.encode(claims, self._key, algorithm=self.algorithm, headers=headers)


def netsuite_token_source(
    http: Http,
    *,
    client_id: str,
    certificate_id: str,
    private_key: str,
    now: Callable[[], float] = time.time,
) -> Callable[[], Token]:
    """Build the `fetch` of a `BearerAuth` for NetSuite; a faulty key is refused right here."""
    signer = AssertionSigner(
        client_id=client_id, certificate_id=certificate_id, private_key=private_key
    )

    def fetch() -> Token:
        assertion = signer.sign(f"{http.base_url}{NETSUITE_TOKEN_PATH}", now=now())
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
        }
        asked_at = now()
        data = _ask(http, NETSUITE_TOKEN_PATH, form, _netsuite_refusal)
        # A new token lives an hour: one that says it is over says something else, and a 401 tells.
        told = _life_s(data) or 0.0
        life = min(told, _NETSUITE_LIFE_S) if told >= _NETSUITE_LEAST_S else _NETSUITE_LIFE_S
        return _token(data, asked_at, life, margin=life * _NETSUITE_MARGIN)

    return fetch


def servicenow_token_source(
    http: Http,
    *,
    client_id: str,
    client_secret: str,
    now: Callable[[], float] = time.time,
) -> Callable[[], Token]:
    """Build the `fetch` of a `BearerAuth` for ServiceNow's client credentials grant."""

    def fetch() -> Token:
        form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
        }
        asked_at = now()
        data = _ask(http, SERVICENOW_TOKEN_PATH, form, _servicenow_refusal)
        # Asked early, the server returns the same token with what is left of its life, so it is
        # used to its end. A call that then comes too late gets a 401 before anything is done, and
        # is sent again with the next token.
        told = _life_s(data)
        life = _SERVICENOW_LIFE_S if told is None else told
        life = min(max(life, _LEAST_LIFE_S), _LONGEST_LIFE_S)
        return _token(data, asked_at, life, margin=0)

    return fetch


def _ask(
    http: Http,
    path: str,
    form: Mapping[str, str],
    explain: Callable[[VendorWords, Where], AuthenticationError],
) -> dict[str, Any]:
    response = http.request("POST", path, data=form, idempotent=True, returned=_REFUSALS)
    where = Where(http.system, f"POST {path}", response.status_code)
    if response.status_code in _REFUSALS:
        raise explain(read_words(response.content, tuple(form_secrets(form))), where)
    return _object(response, where)


def _netsuite_refusal(words: VendorWords, where: Where) -> AuthenticationError:
    cause = _NETSUITE_CAUSES.get(words.code, "; ".join(_NETSUITE_CAUSES.values()))
    said = words.text or "no reason given"
    return AuthenticationError(
        f"no token: {said}. Possible cause: {cause}", where=where, code=words.code, said=words.text
    )


def _servicenow_refusal(words: VendorWords, where: Where) -> AuthenticationError:
    said = words.text or "no reason given"
    return AuthenticationError(
        f"no token: {said}. The server answers the same to each of these: {_SERVICENOW_CAUSES}",
        where=where,
        code=words.code,
        said=words.text,
    )


def _object(response: requests.Response, where: Where) -> dict[str, Any]:
    data = response.json()
    if not isinstance(data, dict):
        raise UnexpectedResponseError("the token answer is not a JSON object", where=where)
    return data


def _life_s(data: Mapping[str, Any]) -> float | None:
    """Seconds as told, in a number as in the samples or in text; None when they are no number."""
    told = data.get("expires_in")
    try:
        life = math.nan if isinstance(told, bool) else float(told)  # pyright: ignore[reportArgumentType]  TypeError
    except (TypeError, ValueError, OverflowError):  # not given, no number, hundreds of digits
        return None
    return None if math.isnan(life) else life


def _token(data: Mapping[str, Any], asked_at: float, life: float, *, margin: float) -> Token:
    value = data.get("access_token")
    # The value becomes a header: a line break in it would be quoted in the library's error.
    if not isinstance(value, str) or not value or not value.isascii() or not value.isprintable():
        raise UnexpectedResponseError("the token answer holds no usable access_token")
    if str(data.get("token_type", "bearer")).lower() != "bearer":
        raise UnexpectedResponseError("the token answer offers a token type other than Bearer")
    return Token(value, expires_at=asked_at + life, refresh_at=asked_at + life - margin)


_PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def _load_key(pem: str) -> _PrivateKey:
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Not chained: what the library says may quote its input.
        raise ConfigurationError(
            "the NetSuite private key cannot be read: it must be an unencrypted PEM private key, "
            "with its BEGIN and END lines"
        ) from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ConfigurationError("the NetSuite private key must be an RSA or an EC key")
    return key


def _algorithm(key: _PrivateKey, pem: str) -> tuple[str, tuple[str, ...]]:
    """The signing algorithm, and what the operator should know about the key.

    An RSA key signs with PS256 unless it says otherwise. RS256 NetSuite does not take.
    """
    if isinstance(key, ec.EllipticCurvePrivateKey):
        algorithm = _EC_ALGORITHMS.get(key.curve.name)
        if algorithm is None:
            raise ConfigurationError(
                f"NetSuite accepts EC keys on P-256, P-384 and P-521, not on {key.curve.name}"
            )
        return algorithm, ()
    if key.key_size < _RSA_LEAST_BITS:
        raise ConfigurationError(
            f"the NetSuite RSA key has {key.key_size} bits; {_RSA_DEMANDED_BITS} are demanded"
        )
    if key.key_size < _RSA_DEMANDED_BITS:
        note = (
            f"the RSA key has {key.key_size} bits; NetSuite's documentation demands "
            f"{_RSA_DEMANDED_BITS} or 4096 and may refuse it"
        )
        return _pss_algorithm(pem), (note,)
    return _pss_algorithm(pem), ()


def _pss_algorithm(pem: str) -> str:
    """The digest an RSA-PSS key is restricted to; the library drops that when it reads the key."""
    body = "".join(line for line in pem.splitlines() if not line.startswith("-----"))
    try:
        head = base64.b64decode(body)[:_KEY_HEAD]
    except binascii.Error:  # headers of an old format: no restriction can be written there
        return "PS256"
    found = [name for oid, name in _DIGESTS.items() if _PSS in head and oid in head]
    return found[0] if found else "PS256"
