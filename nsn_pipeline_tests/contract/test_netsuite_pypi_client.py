"""The PyPI `netsuite` client, which nobody here wrote, against the simulator over TLS.

Its host name is derived from the account id; only that is pointed elsewhere.
"""

import asyncio
import ipaddress
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nsn_pipeline.sandbox.netsuite.app import create_app
from nsn_pipeline.sandbox.netsuite.options import (
    Fault,
    NetSuiteOptions,
    RequestInfo,
    TbaCredentials,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the client's authlib asks for httpx2
    from netsuite import Config, NetSuiteRestApi, TokenAuth
    from netsuite.exceptions import NetsuiteAPIRequestError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
KEYS = TbaCredentials("consumer", "consumer-secret", "token", "token-secret")


def broken(info: RequestInfo) -> Fault | None:
    return Fault(truncate=True) if b"BREAK" in info.body else None


def self_signed(directory: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    certificate, private = directory / "tls.pem", directory / "tls.key"
    signed = builder.sign(key, hashes.SHA256())
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate, private


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Host and certificate of a running account with 2,500 vendors."""
    directory = tmp_path_factory.mktemp("tls")
    certificate, private = self_signed(directory)
    options = NetSuiteOptions(
        account_id="1234567_SB1", tba=(KEYS,), concurrency_limit=20, fault_hook=broken
    )
    app = create_app(directory / "netsuite.db", options)
    app.state.store.insert("vendor", ({"id": str(n), "entityid": f"V{n}"} for n in range(1, 2501)))
    server = uvicorn.Server(
        uvicorn.Config(
            app, host="127.0.0.1", port=0, log_level="error", lifespan="off", ws="none",
            ssl_certfile=str(certificate), ssl_keyfile=str(private),
        )
    )  # fmt: skip
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"127.0.0.1:{port}", certificate
    server.should_exit = True
    thread.join(timeout=10)
    app.state.store.close()


MakeClient = Callable[..., Any]


@pytest.fixture
def make_client(served: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> MakeClient:
    host, certificate = served
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setattr(NetSuiteRestApi, "_make_hostname", lambda _self: host)

    def make(account: str = "1234567_SB1", **changes: str) -> Any:
        keys = {"consumer_key": "consumer", "consumer_secret": "consumer-secret",
                "token_id": "token", "token_secret": "token-secret", **changes}  # fmt: skip
        return NetSuiteRestApi(Config(account=account, auth=TokenAuth(**keys)))

    return make


def test_client_pages_through_a_query(make_client: MakeClient) -> None:
    client = make_client()

    async def read() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        more = True
        while more:
            page = await client.suiteql(
                "SELECT id, entityid FROM vendor ORDER BY id", limit=1000, offset=len(rows)
            )
            assert page["totalResults"] == 2500
            rows += page["items"]
            more = page["hasMore"]
        return rows

    rows = asyncio.run(read())
    assert [row["id"] for row in rows] == [str(n) for n in range(1, 2501)]
    assert rows[0] == {"links": [], "id": "1", "entityid": "V1"}


def test_client_reads_pages_side_by_side(make_client: MakeClient) -> None:
    client = make_client()

    async def read() -> list[Any]:
        offsets = range(0, 1000, 100)
        return await asyncio.gather(
            *(client.suiteql("SELECT id FROM vendor ORDER BY id", 100, at) for at in offsets)
        )

    ids = [row["id"] for page in asyncio.run(read()) for row in page["items"]]
    assert ids == [str(n) for n in range(1, 1001)]


def test_client_is_told_what_is_wrong_with_a_query(make_client: MakeClient) -> None:
    with pytest.raises(NetsuiteAPIRequestError) as caught:
        asyncio.run(make_client().suiteql("SELECT nope FROM vendor"))
    assert caught.value.status_code == 400
    assert "Unknown identifier 'nope'" in caught.value.response_text


@pytest.mark.parametrize(
    ("account", "changes"),
    [("1234567_SB1", {"token_secret": "wrong"}), ("1234567-sb1", {})],
    ids=["wrong secret", "host form of the account id"],
)
def test_client_with_wrong_credentials_is_refused(
    make_client: MakeClient, account: str, changes: dict[str, str]
) -> None:
    with pytest.raises(NetsuiteAPIRequestError) as caught:
        asyncio.run(make_client(account, **changes).suiteql("SELECT id FROM vendor"))
    assert caught.value.status_code == 401


def test_client_sees_a_connection_broken_in_mid_answer(make_client: MakeClient) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        asyncio.run(make_client().suiteql("SELECT id FROM vendor WHERE entityid = 'BREAK'"))


def test_client_upserts_and_reads_a_record(make_client: MakeClient) -> None:
    client = make_client()

    async def work() -> tuple[Any, Any]:
        body = {"entityId": "NEW"}
        await client.patch("/record/v1/vendor/1", json={**body, "externalId": "EXT-1"})
        return await client.get("/record/v1/vendor/eid:EXT-1"), await client.jsonschema("vendor")

    record, schema = asyncio.run(work())
    assert (record["id"], record["entityId"]) == ("1", "NEW")
    assert schema["properties"]["isPerson"]["type"] == "boolean"
    asyncio.run(client.patch("/record/v1/vendor/1", json={"entityId": "V1"}))


def test_client_validates_field_names_strictly(make_client: MakeClient) -> None:
    with pytest.raises(NetsuiteAPIRequestError) as caught:
        asyncio.run(make_client().patch("/record/v1/vendor/1", json={"entityid": "typo"}))
    assert "INVALID_CONTENT" in caught.value.response_text
