"""Everything a caller needs to be let in: the sandbox's certificate authority, keys and secrets.

Made once per home and kept, so that a pipeline configured yesterday still gets in today. Nothing
here protects anything but the sandbox itself; the files are private all the same, as it is the
habit callers will copy.
"""

import json
import os
import secrets
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from nsn_pipeline.sandbox.problems import SandboxError

_SECRETS_FILE = "credentials.json"
_SERVER_LIFE = timedelta(days=365)  # longer lived server certificates are refused by some systems
_M2M_LIFE = timedelta(days=729)  # NetSuite cuts longer ones to two years (docs/facts/netsuite.md 2)
_RENEW_BEFORE = timedelta(days=30)
_CLOCK_SKEW = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Secrets:
    """Account names and secrets of both simulated systems."""

    netsuite_account_id: str
    netsuite_client_id: str
    netsuite_certificate_id: str
    netsuite_private_key: str
    netsuite_certificate: str
    netsuite_consumer_key: str
    netsuite_consumer_secret: str
    netsuite_token_id: str
    netsuite_token_secret: str
    servicenow_instance: str
    servicenow_client_id: str
    servicenow_client_secret: str
    servicenow_username: str
    servicenow_password: str
    admin_token: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """The secrets, and the files TLS needs by path."""

    secrets: Secrets
    ca_bundle: Path
    server_certificate: Path
    server_key: Path


def load_or_make(directory: Path, *, now: datetime | None = None) -> Credentials:
    """The credentials kept in `directory`, made where they are absent or about to expire.

    Only TLS material is ever renewed, authority and all: secrets and the NetSuite key pair stay, as
    callers have copied them.
    """
    now = now or datetime.now(UTC)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    made = Credentials(
        secrets=_secrets(directory / _SECRETS_FILE, now),
        ca_bundle=directory / "ca.pem",
        server_certificate=directory / "server.pem",
        server_key=directory / "server-key.pem",
    )
    if not _still_good(made, now):
        _make_tls(made, now)
    return made


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step; it is never readable by others, not even while it is written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _secrets(path: Path, now: datetime) -> Secrets:
    wanted = {field.name for field in fields(Secrets)}
    if path.exists():
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise SandboxError(f"{path} is damaged; delete it to have new credentials") from error
        if kept.keys() == wanted:
            return Secrets(**kept)
    made = _new_secrets(now)
    write_private(path, json.dumps(asdict(made), indent=1))
    return made


def _new_secrets(now: datetime) -> Secrets:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nsn_pipeline sandbox M2M")])
    certificate = (
        _certificate(name, name, key.public_key(), now, _M2M_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Secrets(
        netsuite_account_id="1234567_SB1",
        netsuite_client_id=secrets.token_hex(32),
        netsuite_certificate_id=secrets.token_urlsafe(32),
        netsuite_private_key=_key_text(key),
        netsuite_certificate=certificate.public_bytes(Encoding.PEM).decode(),
        netsuite_consumer_key=secrets.token_hex(32),
        netsuite_consumer_secret=secrets.token_hex(32),
        netsuite_token_id=secrets.token_hex(32),
        netsuite_token_secret=secrets.token_hex(32),
        servicenow_instance="nsnsandbox",
        servicenow_client_id=secrets.token_hex(16),
        servicenow_client_secret=secrets.token_urlsafe(24),
        servicenow_username="nsn.integration",
        servicenow_password=secrets.token_urlsafe(18),
        admin_token=secrets.token_urlsafe(24),
    )


def _still_good(made: Credentials, now: datetime) -> bool:
    files = (made.ca_bundle, made.server_certificate, made.server_key)
    if not all(file.exists() for file in files):
        return False
    try:
        certificate = x509.load_pem_x509_certificate(made.server_certificate.read_bytes())
    except ValueError:
        return False
    return certificate.not_valid_after_utc - now > _RENEW_BEFORE


def _make_tls(made: Credentials, now: datetime) -> None:
    """A fresh authority for every server certificate: its key is used once and never stored."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nsn_pipeline sandbox CA")])
    authority_certificate = (
        _certificate(authority, authority, authority_key.public_key(), now, _SERVER_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName(
        [
            x509.DNSName("localhost"),
            x509.IPAddress(ip_address("127.0.0.1")),
            x509.IPAddress(ip_address("::1")),
        ]
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        _certificate(subject, authority, key.public_key(), now, _SERVER_LIFE)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            # Python 3.13 verifies strictly and wants both key identifiers.
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    write_private(made.server_key, _key_text(key))
    write_private(made.ca_bundle, authority_certificate.public_bytes(Encoding.PEM).decode())
    write_private(made.server_certificate, certificate.public_bytes(Encoding.PEM).decode())


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + life)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
