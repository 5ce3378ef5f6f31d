"""Two simulated systems in good health behind plain HTTP on loopback, to seed one fault at a time.

One server per system serves whatever application a case puts behind it.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from functools import cache
from pathlib import Path
from typing import Any

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from starlette.applications import Starlette
from starlette.types import Message, Receive, Scope, Send

from nsn_pipeline.doctor.examine import examine
from nsn_pipeline.doctor.finding import Finding
from nsn_pipeline.sandbox.netsuite.app import create_app as create_netsuite
from nsn_pipeline.sandbox.netsuite.options import NetSuiteOptions
from nsn_pipeline.sandbox.servicenow.app import create_app as create_servicenow
from nsn_pipeline.sandbox.servicenow.options import ServiceNowOptions
from nsn_pipeline.sandbox.servicenow.table_definitions import TableDefinition
from nsn_pipeline.sandbox.servicenow.tables import BASE_TABLES
from nsn_pipeline.state.connection import connect

ACCOUNT, CLIENT, CERTIFICATE_ID = "1234567_SB1", "ns-client", "ns-certificate"
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Server:
    """A uvicorn on a free port whose application may be exchanged between requests."""

    def __init__(self) -> None:
        self.app: Starlette | None = None
        config = uvicorn.Config(
            self._serve, interface="asgi3", host="127.0.0.1", port=0, log_level="error",
            lifespan="off", ws="none", date_header=False,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            threading.Event().wait(0.005)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """With the time of day as it is: the server's own header may be seconds old under load."""
        assert self.app is not None

        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = (b"date", formatdate(time.time(), usegmt=True).encode())
                message["headers"] = [*message["headers"], date]
            await send(message)

        await self.app(scope, receive, dated)

    def close(self) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(10)


@cache
def elliptic_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def other_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def pem(key: Any) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def certificate_of(key: PrivateKey, *, days: int = 400) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nsn")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=100))
        .not_valid_after(now + timedelta(days=days, hours=1))
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@dataclass(slots=True)
class Case:
    """What one fault changes: options of the simulators, the environment, the clock, the data."""

    netsuite: Mapping[str, Any] = field(default_factory=dict)
    servicenow: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    clock_ahead_s: float = 0.0
    prepare: Callable[["World"], None] | None = None


@dataclass(slots=True)
class World:
    """What a case may reach into before it is examined."""

    directory: Path
    netsuite: Starlette
    servicenow: Starlette
    environment: dict[str, str]
    closing: ExitStack


def table(name: str) -> TableDefinition:
    return next(definition for definition in BASE_TABLES if definition.name == name)


def changed(name: str, before: str, after: str) -> TableDefinition:
    """A table of the base system with a piece of its definition exchanged."""
    definition = table(name)
    assert before in definition.columns, f"{name} has no {before!r}"
    return replace(definition, columns=definition.columns.replace(before, after))


@dataclass(slots=True)
class Healthy:
    """Runs an examination of a fresh pair of systems with one fault."""

    root: Path
    netsuite: Server
    servicenow: Server
    count: int = 0

    @contextmanager
    def world(self, case: Case) -> Iterator[World]:
        self.count += 1
        directory = self.root / str(self.count)
        directory.mkdir()
        netsuite = create_netsuite(
            directory / "netsuite.db",
            NetSuiteOptions(
                **{
                    "account_id": ACCOUNT,
                    "client_id": CLIENT,
                    "certificate_id": CERTIFICATE_ID,
                    "certificate": certificate_of(elliptic_key()),
                    **case.netsuite,
                }
            ),
        )
        netsuite.state.store.insert(
            "account", [{"id": "1", "acctnumber": "6000", "accttype": "Expense"}]
        )
        netsuite.state.store.insert(
            "accountingbook", [{"id": "1", "name": "Primary", "isprimary": "T"}]
        )
        servicenow = create_servicenow(
            directory / "servicenow", ServiceNowOptions(**dict(case.servicenow))
        )
        environment = {
            "NSN_HOME": str(self.root / "home"),
            "NETSUITE_ACCOUNT_ID": ACCOUNT,
            "NETSUITE_BASE_URL": self.netsuite.url,
            "NETSUITE_CLIENT_ID": CLIENT,
            "NETSUITE_CERTIFICATE_ID": CERTIFICATE_ID,
            "NETSUITE_PRIVATE_KEY": pem(elliptic_key()),
            "SERVICENOW_INSTANCE": "acme",
            "SERVICENOW_BASE_URL": self.servicenow.url,
            "SERVICENOW_CLIENT_ID": "nsn-client",
            "SERVICENOW_CLIENT_SECRET": "nsn-client-secret",
        }
        self.netsuite.app, self.servicenow.app = netsuite, servicenow
        environment |= case.environment
        with ExitStack() as closing:
            closing.callback(netsuite.state.store.close)
            closing.callback(servicenow.state.store.close)
            world = World(directory, netsuite, servicenow, environment, closing)
            if case.prepare is not None:
                case.prepare(world)
            yield world

    def examine(self, case: Case) -> list[Finding]:
        with self.world(case) as world:
            return self.look_at(world, case)

    def look_at(self, world: World, case: Case) -> list[Finding]:
        return examine(
            world.environment,
            now=lambda: time.time() + case.clock_ahead_s,
            sleep=lambda _seconds: None,
        )


@contextmanager
def healthy_systems(root: Path) -> Iterator[Healthy]:
    netsuite, servicenow = Server(), Server()
    try:
        with connect(None, root / "home"):  # one state server for all cases
            yield Healthy(root, netsuite, servicenow)
    finally:
        netsuite.close()
        servicenow.close()
