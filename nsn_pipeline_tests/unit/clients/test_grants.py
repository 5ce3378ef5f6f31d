import base64
import json
import re
from collections.abc import Callable
from html import escape
from urllib.parse import parse_qs, quote, quote_plus

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc import jwt as other_jwt
from joserfc.jwk import ECKey, RSAKey
from requests import PreparedRequest

from nsn_pipeline.clients.grants import (
    AssertionSigner,
    netsuite_token_source,
    servicenow_token_source,
)
from nsn_pipeline.errors import (
    AuthenticationError,
    ConfigurationError,
    NsnError,
    ServerFaultError,
    UnexpectedResponseError,
)
from nsn_pipeline_tests.unit.clients.support import Reply, rig

NOW = 1_750_000_000.0
TOKEN_URL = "https://example.test/services/rest/auth/oauth2/v1/token"


def pem(key, encryption=None) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        encryption or serialization.NoEncryption(),
    ).decode()


@pytest.fixture(scope="module")
def p256():
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def rsa_3072():
    return rsa.generate_private_key(public_exponent=65537, key_size=3072)


def signer(text: str) -> AssertionSigner:
    return AssertionSigner(client_id="client", certificate_id="cert", private_key=text)


def source(r, key):
    return netsuite_token_source(
        r.http, client_id="client", certificate_id="cert", private_key=pem(key), now=lambda: NOW
    )


@pytest.mark.parametrize(
    ("curve", "algorithm"),
    [(ec.SECP256R1(), "ES256"), (ec.SECP384R1(), "ES384"), (ec.SECP521R1(), "ES512")],
    ids=["P-256", "P-384", "P-521"],
)
def test_an_ec_key_signs_with_the_algorithm_of_its_curve(curve, algorithm) -> None:
    key = ec.generate_private_key(curve)
    assertion = signer(pem(key)).sign("aud", now=NOW)
    assert jwt.get_unverified_header(assertion)["alg"] == algorithm
    options = {"verify_exp": False, "verify_iat": False}
    jwt.decode(assertion, key.public_key(), [algorithm], audience="aud", options=options)


def test_an_rsa_key_signs_with_ps256(rsa_3072) -> None:
    made = signer(pem(rsa_3072))
    assertion = made.sign("aud", now=NOW)
    header = jwt.get_unverified_header(assertion)
    assert header == {"typ": "JWT", "alg": "PS256", "kid": "cert"}
    assert made.notes == ()


def pss_pem(key, digest: int) -> str:
    """The key as `openssl genpkey -algorithm RSA-PSS` restricts it to SHA-256, -384 or -512."""

    def tlv(tag: int, content: bytes) -> bytes:
        size = len(content).to_bytes(2, "big").lstrip(b"\0") or b"\0"
        long = b"" if len(content) < 128 else bytes([0x80 | len(size)])
        return bytes([tag]) + long + size + content

    number = {256: 1, 384: 2, 512: 3}[digest]
    sha = tlv(6, bytes.fromhex("6086480165030402") + bytes([number]))
    digest_id = tlv(0x30, sha + tlv(5, b""))
    mask = tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010108")) + digest_id)
    salt = tlv(2, bytes([digest // 8]))
    rules = tlv(0x30, tlv(0xA0, digest_id) + tlv(0xA1, mask) + tlv(0xA2, salt))
    algorithm = tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d01010a")) + rules)
    numbers = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    der = tlv(0x30, tlv(2, b"\0") + algorithm + tlv(4, numbers))
    text = base64.encodebytes(der).decode()
    return f"-----BEGIN PRIVATE KEY-----\n{text}-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize("digest", [256, 384, 512])
def test_a_key_restricted_to_one_digest_signs_with_it_and_others_verify_it(
    rsa_3072, digest
) -> None:
    made = signer(pss_pem(rsa_3072, digest))
    assert made.algorithm == f"PS{digest}"
    assertion = made.sign(TOKEN_URL, now=NOW)
    public = RSAKey.import_key(
        rsa_3072.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    assert other_jwt.decode(assertion, public, algorithms=[f"PS{digest}"]).claims["iss"] == "client"


def test_rs256_is_never_used(rsa_3072) -> None:
    old_form = rsa_3072.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
    assert signer(old_form).algorithm == "PS256"


def test_the_assertion_carries_the_documented_claims_and_verifies_elsewhere(p256) -> None:
    assertion = signer(pem(p256)).sign(TOKEN_URL, now=NOW)
    public = p256.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    claims = other_jwt.decode(assertion, ECKey.import_key(public), algorithms=["ES256"]).claims
    assert claims == {
        "iss": "client",
        "scope": ["rest_webservices"],
        "aud": TOKEN_URL,
        "iat": int(NOW),
        "exp": int(NOW) + 300,
    }


def test_line_breaks_spelled_out_in_an_environment_file_are_read(p256) -> None:
    assert signer(pem(p256).replace("\n", "\\n")).algorithm == "ES256"


def test_a_short_rsa_key_is_refused_and_a_middling_one_noted() -> None:
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505
    with pytest.raises(ConfigurationError, match="1024 bits"):
        signer(pem(short))
    middling = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert "2048 bits" in signer(pem(middling)).notes[0]


@pytest.mark.parametrize(
    "text",
    [
        "canary",
        "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----",
        pem(
            ec.generate_private_key(ec.SECP256R1()),
            serialization.BestAvailableEncryption(b"canary"),
        ),
    ],
    ids=["text", "damaged", "encrypted"],
)
def test_an_unreadable_key_is_refused_without_echoing_it(text) -> None:
    with pytest.raises(ConfigurationError, match="unencrypted PEM") as caught:
        signer(text)
    assert "canary" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "key",
    [ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256K1())],
    ids=["Ed25519", "secp256k1"],
)
def test_other_key_types_are_refused(key) -> None:
    with pytest.raises(ConfigurationError):
        signer(pem(key))


def test_a_netsuite_token_needs_an_assertion_alone_and_is_due_at_fifty_minutes(
    p256,
) -> None:
    r = rig([Reply(body={"access_token": "t", "expires_in": 3600, "token_type": "bearer"})])
    token = source(r, p256)()
    form = parse_qs(str(r.server.requests[0].body))
    assert r.server.requests[0].url == TOKEN_URL
    assert form["grant_type"] == ["client_credentials"]
    assert form["client_assertion_type"] == [
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    ]
    assert "Authorization" not in r.server.requests[0].headers
    claims = jwt.decode(form["client_assertion"][0], options={"verify_signature": False})
    assert claims["aud"] == TOKEN_URL
    assert (token.expires_at, token.refresh_at) == (NOW + 3600, NOW + 3000)


@pytest.mark.parametrize("given", ["3600", None], ids=["text", "absent"])
def test_a_lenient_reading_of_expires_in(p256, given) -> None:
    body = {"access_token": "t", "token_type": "Bearer", "expires_in": given}
    assert source(rig([Reply(body=body)]), p256)().expires_at == NOW + 3600


@pytest.mark.parametrize(
    ("given", "life"),
    [
        (b"0", 3600),
        (b"-30", 3600),
        (b'"NaN"', 3600),
        (b'"Infinity"', 3600),
        (b'"-Infinity"', 3600),
        (b"1e300", 3600),
        (b'"1e999"', 3600),
        (b'"1' + b"0" * 400 + b'"', 3600),
        (b'"soon"', 3600),
        (b"[]", 3600),
        (b"true", 3600),
        (b"86400", 3600),
        (b"0.001", 3600),
        (b"59", 3600),
        (b"90", 90),
    ],
)
def test_a_netsuite_token_never_lives_longer_than_an_hour_nor_dies_at_birth(
    p256, given, life
) -> None:
    body = b'{"access_token": "t", "token_type": "Bearer", "expires_in": ' + given + b"}"
    token = source(rig([Reply(body=body)]), p256)()
    assert (token.expires_at, token.refresh_at) == (NOW + life, NOW + life * 5 / 6)


@pytest.mark.parametrize(
    "given", [b"NaN", b"Infinity", b"1e999", b"1" + b"0" * 400], ids=lambda given: given[:8]
)
def test_a_life_that_is_no_json_number_is_a_malformed_answer_and_nothing_worse(p256, given) -> None:
    body = b'{"access_token": "t", "token_type": "Bearer", "expires_in": ' + given + b"}"
    r = rig([Reply(body=body)])
    with pytest.raises(ServerFaultError, match="malformed JSON"):
        source(r, p256)()
    assert len(r.server.requests) < 10


@pytest.mark.parametrize(
    ("status", "code", "cause"),
    [
        (400, "invalid_grant", "clock"),
        (400, "invalid_scope", "scope"),
        (401, "invalid_client", "client id is unknown"),
        (403, "unauthorized_client", "sandbox refresh"),
        (400, "novel", "clock"),
    ],
)
def test_a_refused_assertion_names_possible_causes(p256, status, code, cause) -> None:
    r = rig([Reply(status, {"error": code})], system="netsuite")
    with pytest.raises(AuthenticationError, match=code) as caught:
        source(r, p256)()
    assert cause in str(caught.value)
    assert len(r.server.requests) == 1


def test_a_failing_token_endpoint_is_tried_again(p256) -> None:
    r = rig([Reply(503, b""), Reply(body={"access_token": "t", "expires_in": 3600})])
    assert source(r, p256)().value == "t"


@pytest.mark.parametrize("value", [None, "", "a\nb", "tök", 7])
def test_an_unusable_token_is_refused_before_it_becomes_a_header(p256, value) -> None:
    r = rig([Reply(body={"access_token": value, "expires_in": 3600})])
    with pytest.raises(UnexpectedResponseError) as caught:
        source(r, p256)()
    assert "a\nb" not in str(caught.value)


def servicenow(body, status=200, *, secret="canary-secret"):  # noqa: S107 - of a test
    r = rig([Reply(status, body)])
    return r, servicenow_token_source(r.http, client_id="id", client_secret=secret, now=lambda: NOW)


@pytest.mark.parametrize("left", [1800, 1799, 60, 4])
def test_servicenow_tokens_are_used_until_what_is_left_of_them_is_over(left) -> None:
    _, fetch = servicenow({"access_token": "t", "expires_in": left, "token_type": "Bearer"})
    token = fetch()
    assert token.expires_at == token.refresh_at == NOW + left
    assert token.is_fresh(NOW + left - 0.1)
    assert not token.is_fresh(NOW + left)


@pytest.mark.parametrize(
    ("left", "life"),
    [
        (None, 1800),
        ("NaN", 1800),
        ("soon", 1800),
        ("Infinity", 86_400),
        (1e300, 86_400),
        (31_536_000, 86_400),
        ("-Infinity", 1),
    ],
)
def test_a_life_that_makes_no_sense_neither_loops_nor_lasts_for_ever(left, life) -> None:
    _, fetch = servicenow({"access_token": "t", "expires_in": left, "token_type": "Bearer"})
    assert fetch().expires_at == NOW + life


@pytest.mark.parametrize("left", [0, -5])
def test_a_servicenow_token_in_its_last_second_is_not_asked_for_again_at_once(left) -> None:
    _, fetch = servicenow({"access_token": "t", "expires_in": left, "token_type": "Bearer"})
    token = fetch()
    assert token.is_fresh(NOW + 0.9)
    assert not token.is_fresh(NOW + 1)


def test_a_servicenow_refusal_lists_every_cause_and_no_secret() -> None:
    body = {"error_description": "access_denied canary-secret", "error": "server_error"}
    r, fetch = servicenow(body, 401)
    with pytest.raises(AuthenticationError) as caught:
        fetch()
    text = str(caught.value)
    for cause in ("secret", "glide.oauth.inbound", "Application User", "password needs reset"):
        assert cause in text
    assert "canary" not in text
    assert r.server.requests[0].headers["Content-Type"] == "application/x-www-form-urlencoded"


def in_json(text: str, **options) -> str:
    return json.dumps(text, **options)[1:-1]


DRESSES = {
    "as it is": str,
    "a form": quote_plus,
    "percent": quote,
    "HTML": escape,
    "HTML by numbers": lambda s: escape(s).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
    "JSON": in_json,
    "JSON in UTF-8": lambda s: in_json(s, ensure_ascii=False),
    "JSON, slashes escaped": lambda s: in_json(s).replace("/", "\\/"),
    "JSON, capital digits": lambda s: in_json(s).replace("\\u00fc", "\\u00FC"),
}


def test_a_client_id_is_half_a_secret_and_echoed_as_little() -> None:
    r = rig([Reply(401, {"error": "e", "error_description": "client_id=0123456789abcdef of you"})])
    fetch = servicenow_token_source(r.http, client_id="0123456789abcdef", client_secret="s" * 20)
    with pytest.raises(AuthenticationError, match=r"client_id=\*\*\* of you"):
        fetch()


@pytest.mark.parametrize("dressed", DRESSES.values(), ids=DRESSES)
def test_a_refusal_that_echoes_the_form_shows_no_secret_however_it_is_written(dressed) -> None:
    secret = "S3cr+t/Pa&ssü=\"%='\\"
    _, fetch = servicenow(
        {"error_description": f"bad form client_secret={dressed(secret)}&x=1", "error": "e"},
        401,
        secret=secret,
    )
    with pytest.raises(AuthenticationError) as caught:
        fetch()
    assert "client_secret=***" in str(caught.value)
    assert "Pa" not in str(caught.value).split("client_secret=")[1][:20]


CLIENT_ID, CERTIFICATE_ID = "c1" * 32, "cert" * 10
WHOLE, HEADER, CLAIMS, SIGNATURE = "whole", 0, 1, 2


def told_of_the_assertion(key, status: int, quote: Callable[[str], str]) -> str:
    """What is told when the token endpoint answers with words of its own about the assertion."""

    def answer(request: PreparedRequest) -> Reply:
        quoted = quote(parse_qs(str(request.body))["client_assertion"][0])
        return Reply(status, body={"error": "invalid_client", "error_description": quoted})

    fetch = netsuite_token_source(
        rig(answer).http,
        client_id=CLIENT_ID,
        certificate_id=CERTIFICATE_ID,
        private_key=pem(key),
        now=lambda: NOW,
    )
    with pytest.raises(NsnError) as caught:
        fetch()
    return str(caught.value)


REFUSED, FAILED = 401, 503


@pytest.mark.parametrize("status", [REFUSED, FAILED])
def test_who_asks_is_masked_where_netsuite_tells_what_it_read_in_the_assertion(
    p256, status
) -> None:
    told = told_of_the_assertion(
        p256,
        status,
        lambda sent: f"client {CLIENT_ID}, kid {CERTIFICATE_ID}: {sent.split('.')[1]}...",
    )
    assert "client ***, kid ***: ***..." in told


@pytest.mark.parametrize("status", [REFUSED, FAILED])
@pytest.mark.parametrize("length", [16, 17, 40, 100, 200])
@pytest.mark.parametrize("part", [WHOLE, HEADER, CLAIMS, SIGNATURE])
def test_an_assertion_that_is_quoted_cut_short_is_masked(p256, part, length, status) -> None:
    quoted: list[str] = []

    def cut_short(sent: str) -> str:
        quoted[:] = [(sent if part == WHOLE else sent.split(".")[part])[:length]]
        return f"cannot verify {quoted[0]}... at (1)"

    told = told_of_the_assertion(p256, status, cut_short)
    # A dot after the whole header may be the assertion's own.
    assert re.search(r"cannot verify \*\*\*\.{2,3} at \(1\)", told)
    assert quoted[0][:12] not in told
