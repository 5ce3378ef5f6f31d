"""Credentials to plant, and a search for them in everything an error carries."""

import traceback
from collections.abc import Iterator

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import SecretStr

from nsn_pipeline.credentials.fields import SYSTEMS

OLD_KEY, NEW_KEY, OTHER_KEY = (Fernet.generate_key().decode() for _ in range(3))
OPEN_VALUES = {
    "account_id": "1234567_SB1",
    "instance": "acme",
    "base_url": "https://proxy.example.com",
}
AUTHS = {"netsuite": "oauth2", "servicenow": "basic"}


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None) -> str:
    return (
        (key or ec.generate_private_key(ec.SECP256R1()))
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


PEM = pem()


def canary(system: str, name: str) -> str:
    return f"canary-{system}-{name}-value"


def full(system: str) -> dict[str, str]:
    """Every field of the system set: canaries where any text will do."""
    values = {}
    for field in SYSTEMS[system].fields:
        values[field.name] = OPEN_VALUES.get(field.name) or canary(system, field.name)
    values["auth"] = AUTHS[system]
    if "private_key" in values:
        values["private_key"] = PEM
    return values


def secret(values: dict[str, str]) -> dict[str, SecretStr]:
    return {name: SecretStr(value) for name, value in values.items()}


def canaries() -> Iterator[str]:
    """Every text that may appear nowhere, keys and lines of the PEM included."""
    yield from (OLD_KEY, NEW_KEY, OTHER_KEY)
    yield PEM.splitlines()[1]
    for system in SYSTEMS.values():
        for field in system.fields:
            if field.exposure != "open" and field.name != "private_key":
                yield canary(system.name, field.name)


def leaks(text: str) -> list[str]:
    return [found for found in canaries() if found in text]


def told(error: BaseException) -> str:
    """All an error tells: traceback, repr, arguments, attributes, and what it hides behind it."""
    parts = ["".join(traceback.format_exception(error))]
    behind: BaseException | None = error
    while behind is not None:
        parts += [repr(behind), repr(behind.args), repr(vars(behind)), str(behind)]
        parts += [repr(getattr(behind, name, "")) for name in ("doc", "object", "filename")]
        behind = behind.__cause__ or behind.__context__
    return "\n".join(parts)
