import json
import socket
import ssl
import stat
import threading
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from nsn_pipeline.sandbox.credentials import Credentials, load_or_make, write_private
from nsn_pipeline.sandbox.problems import SandboxError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def handshake(made: Credentials, name: str) -> None:
    """One TLS connection that checks the certificate for `name`."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.server_certificate, made.server_key)
    client = ssl.create_default_context(cafile=str(made.ca_bundle))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    ours, theirs = socket.socketpair()
    with ours, theirs:

        def serve() -> None:
            with suppress(OSError):  # the client's refusal is the client's to tell
                server.wrap_socket(ours, server_side=True).close()

        accept = threading.Thread(target=serve)
        accept.start()
        try:
            client.wrap_socket(theirs, server_hostname=name).close()
        finally:
            accept.join(10)


def test_credentials_stay_the_same_on_the_next_start(tmp_path: Path) -> None:
    first = load_or_make(tmp_path / "sandbox")
    files = [first.ca_bundle, first.server_certificate, first.server_key]
    before = [file.read_bytes() for file in files]
    second = load_or_make(tmp_path / "sandbox")
    assert second == first
    assert [file.read_bytes() for file in files] == before


def test_two_homes_share_no_secret(tmp_path: Path) -> None:
    one = asdict(load_or_make(tmp_path / "a").secrets)
    other = asdict(load_or_make(tmp_path / "b").secrets)
    names = {"netsuite_account_id", "servicenow_instance", "servicenow_username"}
    assert {name for name in one if one[name] == other[name]} == names


def test_only_the_owner_can_read_them(tmp_path: Path) -> None:
    load_or_make(tmp_path / "sandbox")
    assert mode(tmp_path / "sandbox") == 0o700
    assert {mode(file) for file in (tmp_path / "sandbox").iterdir()} == {0o600}


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_a_strict_client_that_knows_the_authority_trusts_the_server(
    tmp_path: Path, name: str
) -> None:
    handshake(load_or_make(tmp_path), name)


def test_a_name_that_is_not_loopback_is_not_trusted(tmp_path: Path) -> None:
    made = load_or_make(tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(made, "example.com")


def test_tls_is_renewed_before_it_expires_and_secrets_are_kept(tmp_path: Path) -> None:
    first = load_or_make(tmp_path, now=datetime.now(UTC) - timedelta(days=340))
    old = first.server_certificate.read_bytes()
    second = load_or_make(tmp_path)
    assert second.secrets == first.secrets
    assert second.server_certificate.read_bytes() != old
    handshake(second, "localhost")


def test_an_assertion_signed_with_the_private_key_verifies_with_the_certificate(
    tmp_path: Path,
) -> None:
    secrets = load_or_make(tmp_path).secrets
    signed = jwt.encode({"iss": "x"}, secrets.netsuite_private_key, algorithm="ES256")
    certificate = x509.load_pem_x509_certificate(secrets.netsuite_certificate.encode())
    key = certificate.public_key()
    assert jwt.decode(signed, key, algorithms=["ES256"]) == {"iss": "x"}  # pyright: ignore[reportArgumentType]
    assert certificate.not_valid_after_utc - datetime.now(UTC) < timedelta(days=731)
    load_pem_private_key(secrets.netsuite_private_key.encode(), None)


def test_a_damaged_file_is_named_and_an_outdated_one_replaced(tmp_path: Path) -> None:
    first = load_or_make(tmp_path)
    kept = tmp_path / "credentials.json"
    kept.write_text(json.dumps({"netsuite_client_id": "only"}))
    assert load_or_make(tmp_path).secrets != first.secrets
    kept.write_text("{")
    with pytest.raises(SandboxError, match=r"credentials\.json is damaged"):
        load_or_make(tmp_path)


def test_a_private_file_is_replaced_in_one_step_and_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text("old")
    file.chmod(0o644)
    write_private(file, "new")
    assert (file.read_text(), mode(file)) == ("new", 0o600)
    assert [one.name for one in tmp_path.iterdir()] == ["x.json"]
