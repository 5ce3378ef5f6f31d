"""Refuses what cannot be right before it is stored.

Messages name the field, never what was in it: people paste secrets into the wrong prompt.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import SecretStr

from nsn_pipeline.clients.accounts import netsuite_account, servicenow_instance
from nsn_pipeline.credentials.fields import Field, System
from nsn_pipeline.errors import ConfigurationError

_RSA_LEAST_BITS = 2048  # docs/facts/netsuite.md 2: the sources disagree, 3072 is safe
_RSA_DEMANDED_BITS = 3072
_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What may be told about a private key."""

    kind: str  # "RSA 3072", "EC P-256"
    fingerprint: str  # SHA-256 of the public key (SubjectPublicKeyInfo, DER)
    note: str = ""


def checked(system: System, values: Mapping[str, str]) -> dict[str, SecretStr]:
    """The values as they are stored; an empty one stays empty, which takes its field out.

    Raises ConfigurationError that lists every fault.
    """
    good: dict[str, SecretStr] = {}
    faults: list[str] = []
    for name, value in values.items():
        field = system.find(name)
        if field is None:
            faults.append(f"{system.title} has no such field")
            continue
        text, fault = _judged(system, field, value) if value else ("", "")
        if fault:
            faults.append(f"{field.name}: {fault}")
        else:
            good[field.name] = SecretStr(text)
    if faults:
        raise ConfigurationError("nothing was stored: " + "; ".join(faults))
    return good


def key_facts(pem: str) -> KeyFacts:
    """Raises ConfigurationError when NetSuite could not use this key."""
    facts, fault = _key_facts(pem)
    if facts is None:
        raise ConfigurationError(f"private_key: {fault}")
    return facts


def _judged(system: System, field: Field, value: str) -> tuple[str, str]:
    """The value to store, and what is wrong with it."""
    match field.name:
        case "private_key":
            text = _pem(value)
            return text, _key_facts(text)[1]
        case "auth":
            text = value.strip().lower()
            return text, "" if text in system.auths else f"must be {' or '.join(system.auths)}"
        case "account_id" | "instance":
            return _identity(field.name, value)
        case "base_url":
            text = value.strip().rstrip("/")
            return text, _url_fault(text)
        case _:
            return value, _text_fault(value)


def _identity(name: str, value: str) -> tuple[str, str]:
    try:
        if name == "account_id":
            return netsuite_account(value).account_id, ""
        return servicenow_instance(value).name, ""
    except ConfigurationError:  # it quotes the value
        pass
    if name == "account_id":
        return "", (
            "is not an account id: see Setup > Company > Company Information, for example 1234567, "
            "or 1234567_SB1 for a sandbox"
        )
    return "", "is not an instance name, for example acme for https://acme.service-now.com"


def _url_fault(text: str) -> str:
    try:
        parts = urlsplit(text)
        host, has_port = parts.hostname, parts.port is not None or not parts.netloc.endswith(":")
    except ValueError:
        return "is not a URL"
    if parts.username is not None or parts.password is not None:
        return "must not hold a user name or a password"
    is_plain = not (parts.path or parts.query or parts.fragment)
    if parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK):
        if host and has_port and is_plain and _text_fault(text) == "":
            return ""
        return "must be a host and nothing after it, for example https://acme.example.com"
    return "must begin with https://"


def _text_fault(value: str) -> str:
    if value != value.strip():
        return "has blanks at its start or end"
    if not value.isprintable():
        return "holds a line break or another control character"
    return ""


def _pem(value: str) -> str:
    """A key with its line breaks, also when an environment file spelled them out."""
    return value.strip().replace("\\n", "\n").replace("\r\n", "\n") + "\n"


def _key_facts(pem: str) -> tuple[KeyFacts | None, str]:
    if "BEGIN CERTIFICATE" in pem:
        return (
            None,
            "is a certificate, which belongs in NetSuite; the key it was made with is asked",
        )
    if "ENCRYPTED" in pem:
        return (
            None,
            "is encrypted: store it without its passphrase (openssl pkey -in KEY -out FILE)",
        )
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # may quote its input
        return None, "cannot be read: it must be a PEM private key with its BEGIN and END lines"
    if isinstance(key, rsa.RSAPrivateKey):
        kind, note, fault = f"RSA {key.key_size}", "", ""
        if key.key_size < _RSA_LEAST_BITS:
            fault = f"has {key.key_size} bits; NetSuite demands {_RSA_DEMANDED_BITS}"
        elif key.key_size < _RSA_DEMANDED_BITS:
            note = f"NetSuite's documentation demands {_RSA_DEMANDED_BITS} bits; it may refuse this"
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        curve = _CURVES.get(key.curve.name)
        kind, note = f"EC {curve}", ""
        fault = "" if curve else f"must be on P-256, P-384 or P-521, not on {key.curve.name}"
    else:
        return None, "must be an RSA or an EC key"
    if fault:
        return None, fault
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return KeyFacts(kind, hashlib.sha256(public).hexdigest(), note), ""
