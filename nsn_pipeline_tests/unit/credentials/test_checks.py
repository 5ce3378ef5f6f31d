import hashlib

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from nsn_pipeline.credentials.checks import checked, key_facts
from nsn_pipeline.credentials.fields import NETSUITE, SERVICENOW, System, system_named
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline_tests.unit.credentials.samples import PEM, full, pem, told

CANARY = "canary!value"
EC_KEY = ec.generate_private_key(ec.SECP384R1())


def refused(system: System, name: str, value: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        checked(system, {name: value})
    assert value.strip() not in told(caught.value)
    return str(caught.value)


def one(system: System, name: str, value: str) -> str:
    return checked(system, {name: value})[name].get_secret_value()


@pytest.mark.parametrize("system", [NETSUITE, SERVICENOW], ids=lambda s: s.name)
def test_good_values_pass(system: System) -> None:
    values = full(system.name)
    good = checked(system, values)
    assert {name: value.get_secret_value() for name, value in good.items()} == values


def test_identities_are_stored_in_their_canonical_spelling() -> None:
    assert one(NETSUITE, "account_id", "1234567-sb1") == "1234567_SB1"
    assert one(SERVICENOW, "instance", "https://Acme.service-now.com/") == "acme"
    assert one(NETSUITE, "auth", " TBA ") == "tba"
    assert one(NETSUITE, "base_url", "https://a.example.com/") == "https://a.example.com"


@pytest.mark.parametrize(
    ("system", "name", "value", "part"),
    [
        pytest.param(NETSUITE, "account_id", CANARY, "not an account id", id="account"),
        pytest.param(NETSUITE, "account_id", "12 34", "not an account id", id="account blank"),
        pytest.param(SERVICENOW, "instance", CANARY, "not an instance", id="instance"),
        pytest.param(NETSUITE, "auth", "basic", "oauth2 or tba", id="auth of the other"),
        pytest.param(SERVICENOW, "auth", "tba", "client_credentials or basic", id="auth"),
        pytest.param(NETSUITE, "client_id", "pasted ", "blanks", id="trailing blank"),
        pytest.param(SERVICENOW, "password", "two\nlines", "line break", id="line break"),
        pytest.param(SERVICENOW, "password", "a\x00b", "control", id="control character"),
        pytest.param(NETSUITE, "base_url", "http://a.example.com", "https://", id="http"),
        pytest.param(NETSUITE, "base_url", "https://me:pw@a.example.com", "password", id="user"),
        pytest.param(NETSUITE, "base_url", "https://a.example.com/x", "nothing after", id="path"),
        pytest.param(NETSUITE, "base_url", "https://[broken", "not a URL", id="broken"),
        pytest.param(NETSUITE, "base_url", "https://a:99999", "not a URL", id="port"),
        pytest.param(NETSUITE, "private_key", CANARY, "BEGIN and END", id="no pem"),
        pytest.param(NETSUITE, "private_key", PEM[:90], "BEGIN and END", id="cut pem"),
    ],
)
def test_a_faulty_value_is_refused_and_not_quoted(
    system: System, name: str, value: str, part: str
) -> None:
    reason = refused(system, name, value)
    assert part in reason
    assert name in reason


def test_all_faults_are_told_together() -> None:
    with pytest.raises(ConfigurationError) as caught:
        checked(NETSUITE, {"account_id": CANARY, "auth": "x", "client_id": "fine"})
    assert "account_id" in str(caught.value)
    assert "auth" in str(caught.value)
    assert "client_id" not in str(caught.value)


def test_an_unknown_field_is_not_quoted() -> None:
    with pytest.raises(ConfigurationError) as caught:
        checked(NETSUITE, {CANARY: "x"})
    assert CANARY not in told(caught.value)


def test_loopback_may_be_plain_http() -> None:
    assert one(SERVICENOW, "base_url", "http://127.0.0.1:8443") == "http://127.0.0.1:8443"


def test_spelled_out_line_breaks_become_line_breaks() -> None:
    assert one(NETSUITE, "private_key", PEM.strip().replace("\n", "\\n")) == PEM


@pytest.mark.parametrize(
    ("key", "kind", "has_note"),
    [
        pytest.param(EC_KEY, "EC P-384", False, id="ec"),
        pytest.param(rsa.generate_private_key(65537, 2048), "RSA 2048", True, id="rsa 2048"),
        pytest.param(rsa.generate_private_key(65537, 3072), "RSA 3072", False, id="rsa 3072"),
    ],
)
def test_usable_keys_are_described(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, kind: str, has_note: bool
) -> None:
    facts = key_facts(pem(key))
    assert facts.kind == kind
    assert bool(facts.note) is has_note


def test_the_fingerprint_is_what_openssl_computes_of_the_public_key() -> None:
    public = EC_KEY.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert key_facts(pem(EC_KEY)).fingerprint == hashlib.sha256(public).hexdigest()


@pytest.mark.parametrize(
    ("text", "part"),
    [
        pytest.param(pem(rsa.generate_private_key(65537, 1024)), "1024 bits", id="short rsa"),  # noqa: S505
        pytest.param(pem(ec.generate_private_key(ec.SECP256K1())), "secp256k1", id="curve"),
        pytest.param(pem(ed25519.Ed25519PrivateKey.generate()), "RSA or an EC", id="ed25519"),
        pytest.param("-----BEGIN CERTIFICATE-----\nAA\n", "is a certificate", id="certificate"),
        pytest.param("-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "is encrypted", id="encrypted"),
    ],
)
def test_keys_netsuite_cannot_use_are_refused_with_the_reason(text: str, part: str) -> None:
    assert part in refused(NETSUITE, "private_key", text)


def test_fields_answer_to_both_spellings_and_carry_the_variable() -> None:
    for system in (NETSUITE, SERVICENOW):
        for field in system.fields:
            assert system.find(field.variable) is system.find(field.name) is field
            assert field.variable == f"{system.name}_{field.name}".upper()
    assert [f.name for f in NETSUITE.needed("tba")] == [
        "account_id", "consumer_key", "consumer_secret", "token_id", "token_secret",
    ]  # fmt: skip
    assert [f.name for f in SERVICENOW.needed("basic")] == ["instance", "username", "password"]


def test_an_unknown_system_is_refused() -> None:
    assert system_named(" NetSuite ") is NETSUITE
    with pytest.raises(ConfigurationError, match="netsuite or servicenow"):
        system_named("sap")
