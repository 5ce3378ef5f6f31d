"""OAuth 2.0 client credentials with a signed assertion (docs/facts/netsuite.md 2).

The assertion is verified for real: signature, certificate, issuer, audience, life span and scope.
"""

import json
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import jwt
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from nsn_pipeline.sandbox.netsuite.errors import NetSuiteError, bad_login
from nsn_pipeline.sandbox.netsuite.options import NetSuiteOptions

TOKEN_PATH = "/services/rest/auth/oauth2/v1/token"  # noqa: S105 - a path
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SCOPES = frozenset({"restlets", "rest_webservices", "suite_analytics"})
_CURVES = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
_RSA_ALGORITHMS = frozenset({"PS256", "PS384", "PS512"})
_MAX_LIFE_S = 3600
_FIELDS = ("grant_type", "client_assertion_type", "client_assertion")
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class TokenError(Exception):
    """A refusal by the token endpoint: `{"error": code}`. `why` goes to the audit trail, not the
    wire.
    """

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why

    @property
    def status(self) -> int:
        """The HTTP status of the code."""
        return 401 if self.code == "invalid_client" else 400


@dataclass(slots=True)
class AccessToken:
    """A token as the server remembers it."""

    value: str
    expires_at: float
    scopes: frozenset[str]


@dataclass(slots=True)
class TokenService:
    """Issues and checks access tokens; `audit` keeps why logins failed, newest last."""

    options: NetSuiteOptions
    clock: Callable[[], float]
    tokens: dict[str, AccessToken] = field(default_factory=dict[str, AccessToken])
    issued: int = 0
    audit: list[str] = field(default_factory=list[str])
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _key: rsa.RSAPrivateKey = field(
        default_factory=lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )

    # -- issuing -------------------------------------------------------------------------------

    def issue(self, body: bytes, content_type: str, audiences: Sequence[str]) -> dict[str, Any]:
        """The token endpoint's reply; TokenError when refused."""
        form = _form(body, content_type)
        if form["grant_type"] != "client_credentials":
            raise TokenError("unsupported_grant_type", f"grant type {form['grant_type']!r}")
        if form["client_assertion_type"] != ASSERTION_TYPE:
            raise TokenError("invalid_request", "unknown client_assertion_type")
        claims = self._verified(form["client_assertion"])
        self._check_claims(claims, audiences)
        scopes = _scopes(claims.get("scope"))
        if not scopes or scopes - SCOPES or scopes - self.options.enabled_scopes:
            raise TokenError("invalid_scope", f"scope {claims.get('scope')!r}")
        return {
            "access_token": self._new_token(scopes),
            "expires_in": self.options.token_lifetime_s,
            "token_type": "Bearer",
        }

    def _verified(self, assertion: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(assertion)
            unverified = jwt.decode(assertion, options={"verify_signature": False})
        except jwt.PyJWTError as error:
            raise TokenError("invalid_request", f"malformed assertion: {error}") from error
        if unverified.get("iss") != self.options.client_id:
            raise TokenError("invalid_client", "unknown client id")
        if not self.options.client_credentials_enabled:
            raise TokenError("unauthorized_client", "client credentials are not enabled")
        if str(header.get("typ", "")).upper() != "JWT":
            raise TokenError("invalid_request", "typ is not JWT")
        kid = str(header.get("kid", ""))
        pem = self.options.certificates.get(kid)
        if pem is None:
            raise TokenError("invalid_grant", f"no certificate {kid!r}")
        if kid in self.options.revoked_certificates:
            raise TokenError("invalid_grant", f"the mapping of certificate {kid!r} was revoked")
        algorithm = str(header.get("alg"))
        key = self._key_for(pem, algorithm)
        try:
            return jwt.decode(
                assertion, key, algorithms=[algorithm],
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False,
                         "verify_aud": False, "verify_iss": False},
            )  # fmt: skip
        except jwt.PyJWTError as error:
            raise TokenError("invalid_client", f"signature: {error}") from error

    def _key_for(self, pem: str, algorithm: str) -> PublicKey:
        key, not_before, not_after = load_public(pem)
        now = datetime.fromtimestamp(self.clock(), UTC)
        if (not_before and now < not_before) or (not_after and now > not_after):
            raise TokenError("invalid_grant", "the certificate is not valid now")
        if isinstance(key, rsa.RSAPublicKey):
            if algorithm not in _RSA_ALGORITHMS:
                raise TokenError("invalid_client", f"algorithm {algorithm!r} for an RSA key")
            if key.key_size < self.options.minimum_rsa_bits:
                raise TokenError("invalid_grant", f"RSA key of {key.key_size} bits is too short")
        elif _CURVES.get(algorithm) != key.curve.name:
            raise TokenError("invalid_client", f"algorithm {algorithm!r} for {key.curve.name}")
        return key

    def _check_claims(self, claims: Mapping[str, Any], audiences: Sequence[str]) -> None:
        issued_at, expires_at = _seconds(claims, "iat"), _seconds(claims, "exp")
        now, leeway = self.clock(), self.options.clock_leeway_s
        if expires_at > issued_at + _MAX_LIFE_S or expires_at <= issued_at:
            raise TokenError("invalid_grant", "the assertion lives longer than an hour")
        if expires_at <= now - leeway:
            raise TokenError("invalid_grant", "the assertion has expired")
        if issued_at > now + leeway:
            raise TokenError("invalid_grant", "the assertion was issued in the future")
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        if not set(map(str, named)) & set(audiences):
            raise TokenError("invalid_grant", f"audience {audience!r} is not {list(audiences)}")

    def _new_token(self, scopes: frozenset[str]) -> str:
        now = int(self.clock())
        value = jwt.encode(
            {
                "sub": "entity;3;1022", "aud": [f"{self.options.realm};{self.options.client_id}"],
                "scope": sorted(scopes), "iss": "https://system.netsuite.com",
                "iat": now, "exp": now + self.options.token_lifetime_s,
                "jti": secrets.token_hex(16),
            },
            self._key, algorithm="RS256", headers={"kid": "nsn-sandbox"},
        )  # fmt: skip
        with self._lock:
            self.tokens[value] = AccessToken(value, now + self.options.token_lifetime_s, scopes)
            self.issued += 1
        return value

    # -- checking and administration -----------------------------------------------------------

    def check(self, header: str) -> None:
        """Accept an `Authorization: Bearer` header or raise the documented refusal."""
        realm = self.options.realm
        value = header[len("bearer") :].strip()
        if not value or " " in value:
            raise NetSuiteError(
                400, "INVALID_REQUEST", "The request could not be understood by the server.",
                headers={"WWW-Authenticate": f'Bearer realm="{realm}", error="invalid_request", '
                                             'error_description="Malformed bearer token."'},
            )  # fmt: skip
        token = self.tokens.get(value)
        if token is None or token.expires_at <= self.clock() or (
            "rest_webservices" not in token.scopes
        ):  # fmt: skip
            self.audit.append("token_rejected")
            raise bad_login(
                f'Bearer realm="{realm}", error="invalid_token", '
                'error_description="Invalid login attempt."'
            )

    def revoke_all(self) -> int:
        """Forget every token, as an administrator revoking them does."""
        with self._lock:
            count = len(self.tokens)
            self.tokens.clear()
        return count

    def expire_all(self) -> int:
        """Let every token be past its hour."""
        with self._lock:
            for token in self.tokens.values():
                token.expires_at = 0.0
            return len(self.tokens)


def load_public(pem: str) -> tuple[PublicKey, datetime | None, datetime | None]:
    """The public key of a certificate with its validity, or of a bare public key."""
    data = pem.encode()
    try:
        if "BEGIN CERTIFICATE" in pem:
            certificate = x509.load_pem_x509_certificate(data)
            key = certificate.public_key()
            start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        else:
            key, start, end = load_pem_public_key(data), None, None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TokenError("invalid_grant", f"unreadable certificate: {error}") from error
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise TokenError("invalid_grant", "neither an RSA nor an EC key")
    return key, start, end


def _form(body: bytes, content_type: str) -> dict[str, str]:
    if content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise TokenError("invalid_request", f"content type {content_type!r}")
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True)
    except ValueError as error:
        raise TokenError("invalid_request", "unreadable form") from error
    names = [name for name, _ in pairs]
    for name in _FIELDS:
        if names.count(name) != 1 or not dict(pairs)[name]:
            raise TokenError("invalid_request", f"{name} must be given once")
    return dict(pairs)


def _scopes(claim: object) -> frozenset[str]:
    """A JSON array, or one text with commas (or spaces) between the scopes."""
    if isinstance(claim, str):
        return frozenset(claim.replace(",", " ").split())
    if isinstance(claim, list):
        return frozenset(str(item) for item in claim)
    return frozenset()


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenError("invalid_grant", f"{name} is not given in epoch seconds")
    return value


def error_body(error: TokenError) -> bytes:
    """The wire form of a refusal."""
    return json.dumps({"error": error.code}).encode()
