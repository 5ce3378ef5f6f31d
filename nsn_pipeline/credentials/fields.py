"""What is stored for each system, under the names people type (`NETSUITE_ACCOUNT_ID`, ...)."""

from dataclasses import dataclass
from enum import StrEnum

from nsn_pipeline.errors import ConfigurationError


class Exposure(StrEnum):
    """How much of a value may be shown to the person who stored it."""

    OPEN = "open"  # all of it
    IDENTIFIER = "identifier"  # the last four characters: enough to recognize it
    SECRET = "secret"  # its length class, and no echo while typing  # noqa: S105


@dataclass(frozen=True, slots=True)
class Field:
    """One stored value. `auths` are the methods that need it; none means that it is optional."""

    system: str
    name: str
    title: str
    exposure: Exposure = Exposure.OPEN
    auths: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        """The environment variable that overrides it."""
        return f"{self.system}_{self.name}".upper()

    @property
    def is_secret(self) -> bool:
        return self.exposure is Exposure.SECRET


@dataclass(frozen=True, slots=True)
class System:
    """One side of the pipeline. `identity` names the account that all other fields belong to."""

    name: str
    title: str
    identity: str
    auths: tuple[str, ...]  # the first is the default
    fields: tuple[Field, ...]

    def find(self, name: str) -> Field | None:
        """The field of this name, in either spelling: `client_id`, `NETSUITE_CLIENT_ID`."""
        wanted = name.strip()
        return next((f for f in self.fields if wanted in {f.name, f.variable}), None)

    def needed(self, auth: str) -> tuple[Field, ...]:
        return tuple(field for field in self.fields if auth in field.auths)


_OAUTH2, _TBA = "oauth2", "tba"
_GRANT, _BASIC = "client_credentials", "basic"
_IDENTIFIER, _SECRET = Exposure.IDENTIFIER, Exposure.SECRET

NETSUITE = System(
    name="netsuite",
    title="NetSuite",
    identity="account_id",
    auths=(_OAUTH2, _TBA),
    fields=(
        Field("netsuite", "account_id", "Account id", auths=(_OAUTH2, _TBA)),
        Field("netsuite", "auth", "Authentication"),
        Field("netsuite", "client_id", "Client id", _IDENTIFIER, (_OAUTH2,)),
        Field("netsuite", "certificate_id", "Certificate id", _IDENTIFIER, (_OAUTH2,)),
        Field("netsuite", "private_key", "Private key (PEM)", _SECRET, (_OAUTH2,)),
        Field("netsuite", "consumer_key", "Consumer key", _IDENTIFIER, (_TBA,)),
        Field("netsuite", "consumer_secret", "Consumer secret", _SECRET, (_TBA,)),
        Field("netsuite", "token_id", "Token id", _IDENTIFIER, (_TBA,)),
        Field("netsuite", "token_secret", "Token secret", _SECRET, (_TBA,)),
        Field("netsuite", "base_url", "Base URL"),
    ),
)
SERVICENOW = System(
    name="servicenow",
    title="ServiceNow",
    identity="instance",
    auths=(_GRANT, _BASIC),
    fields=(
        Field("servicenow", "instance", "Instance", auths=(_GRANT, _BASIC)),
        Field("servicenow", "auth", "Authentication"),
        Field("servicenow", "client_id", "Client id", _IDENTIFIER, (_GRANT,)),
        Field("servicenow", "client_secret", "Client secret", _SECRET, (_GRANT,)),
        Field("servicenow", "username", "User name", _IDENTIFIER, (_BASIC,)),
        Field("servicenow", "password", "Password", _SECRET, (_BASIC,)),
        Field("servicenow", "base_url", "Base URL"),
    ),
)
SYSTEMS = {system.name: system for system in (NETSUITE, SERVICENOW)}


def system_named(name: str) -> System:
    system = SYSTEMS.get(name.strip().lower())
    if system is None:
        raise ConfigurationError(f"there is no such system: use {' or '.join(SYSTEMS)}")
    return system
