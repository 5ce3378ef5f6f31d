"""What is stored, as far as it may be shown: the redacted content of the store."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from nsn_pipeline.credentials.checks import KeyFacts, key_facts
from nsn_pipeline.credentials.fields import SYSTEMS, Exposure, Field, System
from nsn_pipeline.credentials.store import CredentialStore, is_overridden

_SHOWN_END = 4
_SHORTEST_WITH_END = 12  # four of fewer characters would tell too much
_MEDIUM, _LONG = 16, 64


@dataclass(frozen=True, slots=True)
class ListedField:
    """One field, fit to be shown. `shown` is empty when it is not set."""

    name: str
    variable: str
    is_set: bool
    shown: str
    is_overridden: bool


@dataclass(frozen=True, slots=True)
class ListedSystem:
    auth: str
    missing: tuple[str, ...]
    fields: tuple[ListedField, ...]
    public_key: KeyFacts | None


@dataclass(frozen=True, slots=True)
class Listing:
    """What `list` tells; holds no secret."""

    file: str
    exists: bool
    key_source: str
    key_id: str
    systems: dict[str, ListedSystem]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def describe_credentials(home: Path, environment: Mapping[str, str]) -> Listing:
    """The redacted content of the store; needs no key when there is no file."""
    store = CredentialStore(home, environment)
    entries = store.read()
    key = store.master_key() if store.exists() else None
    return Listing(
        file=str(store.path),
        exists=store.exists(),
        key_source=key.where if key else "",
        key_id=key.key_id if key else "",
        systems={
            system.name: _listed(system, entries.get(system.name, {}), environment)
            for system in SYSTEMS.values()
        },
    )


def _listed(
    system: System, values: Mapping[str, SecretStr], environment: Mapping[str, str]
) -> ListedSystem:
    fields = tuple(
        ListedField(
            name=field.name,
            variable=field.variable,
            is_set=field.name in values,
            shown=shown(field, values[field.name]) if field.name in values else "",
            is_overridden=is_overridden(field.variable, environment),
        )
        for field in system.fields
    )
    public_key = None
    if "private_key" in values:
        public_key = key_facts(values["private_key"].get_secret_value())
    return ListedSystem(auth_of(system, values), missing_of(system, values), fields, public_key)


def shown(field: Field, value: SecretStr) -> str:
    text = value.get_secret_value()
    if field.exposure is Exposure.OPEN:
        return text
    if field.exposure is Exposure.IDENTIFIER and len(text) >= _SHORTEST_WITH_END:
        return f"...{text[-_SHOWN_END:]}"
    if len(text) < _MEDIUM:
        return f"under {_MEDIUM} characters"
    if len(text) < _LONG:
        return f"{_MEDIUM} to {_LONG - 1} characters"
    return f"{_LONG} or more characters"


def auth_of(system: System, values: Mapping[str, SecretStr]) -> str:
    return values["auth"].get_secret_value() if "auth" in values else system.auths[0]


def missing_of(system: System, values: Mapping[str, SecretStr]) -> tuple[str, ...]:
    needed = system.needed(auth_of(system, values))
    return tuple(field.name for field in needed if field.name not in values)
