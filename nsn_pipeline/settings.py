"""Typed settings, read once: environment, stored credentials, running sandbox, defaults.

Order: environment variables, then the `environment` block of `NSN_HOME/sandbox.json` while a
sandbox runs and no live account is named, then defaults. Nothing here connects to anything. Secrets
are `SecretStr`: neither `repr` nor a traceback shows them.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from nsn_pipeline.credentials.store import FILE_NAME as CREDENTIALS_FILE
from nsn_pipeline.credentials.store import load as load_credentials
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.state.file_locks import is_held

SANDBOX_FILE = "sandbox.json"
SANDBOX_LOCK = "sandbox/lock"
LIVE_MARKERS = (
    "NETSUITE_ACCOUNT_ID",
    "NETSUITE_BASE_URL",
    "SERVICENOW_INSTANCE",
    "SERVICENOW_BASE_URL",
)

# Record types whose deletion in NetSuite is followed; dimensions are never retired.
RETIRABLE = frozenset({"vendor", "purchase_order", "vendor_bill", "gl_posting"})

_ABSENT = "is not set"
_ATTENTION = "settings need attention: "
CORRECT_THEM = (
    "Correct the variables named here (.env.example says what each one takes), or store them with "
    "`nsn credentials set`."
)
_DURATION = re.compile(r"^(?P<number>\d+)(?P<unit>[smhd])$")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _duration(value: object) -> object:
    """Read `30s`, `90m`, `2h` or `1d`; anything else is left for pydantic to refuse."""
    if isinstance(value, str) and (match := _DURATION.match(value.strip())):
        return timedelta(**{_UNITS[match["unit"]]: int(match["number"])})
    if isinstance(value, timedelta):
        return value
    msg = "write a whole number and a unit: 30s, 90m, 2h or 1d"
    raise ValueError(msg)


Duration = Annotated[timedelta, BeforeValidator(_duration)]


def _spellings(value: object) -> object:
    """Read `ExpRept=vendor_bill, 41=vendor_bill`; record types are checked where they are known."""
    if not isinstance(value, str):
        return value
    pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
    if any(not word.strip() or not name.strip() for word, _, name in pairs):
        msg = "write spelling=record_type, several with commas: BillX=vendor_bill"
        raise ValueError(msg)
    return {word.strip(): name.strip() for word, _, name in pairs}


Spellings = Annotated[dict[str, str], BeforeValidator(_spellings)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


M = TypeVar("M", bound=_Section)


def _with_all(section: M, needed: Sequence[str], choice: str, prefix: str) -> M:
    """Refuse a section that lacks what its kind of authentication needs, naming the variables."""
    missing = [prefix + name.upper() for name in needed if getattr(section, name) is None]
    if missing:
        msg = f"{choice} needs {', '.join(missing)}"
        raise ValueError(msg)
    return section


class NetSuiteSettings(_Section):
    """How to reach NetSuite: OAuth 2.0 with a signed assertion, or token-based authentication.

    NetSuite ends token-based authentication: no new integrations from 2027.1
    (docs/facts/netsuite.md 3).
    """

    account_id: str
    auth: Literal["oauth2", "tba"] = "oauth2"
    client_id: SecretStr | None = None
    certificate_id: SecretStr | None = None
    private_key: SecretStr | None = None
    consumer_key: SecretStr | None = None
    consumer_secret: SecretStr | None = None
    token_id: SecretStr | None = None
    token_secret: SecretStr | None = None
    base_url: str | None = None
    concurrency: int = Field(default=5, ge=1, le=100)  # the smallest tier's pool

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = (
            ("client_id", "certificate_id", "private_key")
            if self.auth == "oauth2"
            else ("consumer_key", "consumer_secret", "token_id", "token_secret")
        )
        return _with_all(self, needed, f"NETSUITE_AUTH={self.auth}", "NETSUITE_")


class ServiceNowSettings(_Section):
    """How to reach ServiceNow: client credentials, or Basic where it is allowed."""

    instance: str
    auth: Literal["client_credentials", "basic"] = "client_credentials"
    client_id: SecretStr | None = None
    client_secret: SecretStr | None = None
    username: SecretStr | None = None
    password: SecretStr | None = None
    base_url: str | None = None
    concurrency: int = Field(default=8, ge=1, le=64)
    batch_size: int = Field(
        default=50, ge=1, le=500
    )  # no limit is documented; the time limit rules
    # In which the integration user reads currency columns. Without it, amounts in them are judged
    # by their witness columns alone, and those never written (`owner: compared`) not at all.
    currency: str = Field(default="", pattern="^([A-Z]{3})?$")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = (
            ("client_id", "client_secret")
            if self.auth == "client_credentials"
            else ("username", "password")
        )
        return _with_all(self, needed, f"SERVICENOW_AUTH={self.auth}", "SERVICENOW_")


class ProjectSettings(_Section):
    """What shapes the Dagster definitions: known without any credentials."""

    home: Path
    timezone: str = "UTC"
    start_date: date = date(2024, 1, 1)
    poll_cron: str = "0 * * * *"
    overlap: Duration = timedelta(hours=2)
    replay_interval: Duration = timedelta(minutes=1)
    profile: str = "seed"
    mappings: Path = Path("mappings")
    # What one run may retire of one table without being told so (docs/decisions/0014).
    retire_max_share: float = Field(default=0.10, ge=0, le=1)
    retire_max_count: int = Field(default=500, ge=0)
    # What one run may newly void, close or make inactive (docs/decisions/0027).
    end_max_share: float = Field(default=0.25, ge=0, le=1)
    end_max_count: int = Field(default=1_000, ge=0)
    deleted_types: Spellings = Field(default_factory=dict[str, str])
    # Only for accounts without Multiple Currencies, whose documents name no currency.
    base_currency: str = Field(default="", pattern="^([A-Z]{3})?$")
    redis_url: SecretStr | None = None
    ca_bundle: Path | None = None
    master_key: SecretStr | None = None
    master_key_file: Path | None = None

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            msg = f"{value!r} is not an IANA time zone such as Europe/London"
            raise ValueError(msg) from error
        return value

    @field_validator("deleted_types")
    @classmethod
    def _known_types(cls, value: dict[str, str]) -> dict[str, str]:
        unknown = sorted(set(value.values()) - RETIRABLE)
        if unknown:
            msg = f"{', '.join(unknown)}: there are {', '.join(sorted(RETIRABLE))}"
            raise ValueError(msg)
        return value

    @field_validator("home", "mappings", "ca_bundle", "master_key_file")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a run needs."""

    project: ProjectSettings
    netsuite: NetSuiteSettings
    servicenow: ServiceNowSettings
    is_sandbox: bool


_PROJECT_VARIABLES = {
    "NSN_HOME": "home",
    "NSN_TIMEZONE": "timezone",
    "NSN_START_DATE": "start_date",
    "NSN_POLL_CRON": "poll_cron",
    "NSN_OVERLAP": "overlap",
    "NSN_REPLAY_INTERVAL": "replay_interval",
    "NSN_PROFILE": "profile",
    "NSN_MAPPINGS": "mappings",
    "NSN_BASE_CURRENCY": "base_currency",
    "NSN_RETIRE_MAX_SHARE": "retire_max_share",
    "NSN_RETIRE_MAX_COUNT": "retire_max_count",
    "NSN_END_MAX_SHARE": "end_max_share",
    "NSN_END_MAX_COUNT": "end_max_count",
    "NSN_DELETED_TYPES": "deleted_types",
    "REDIS_URL": "redis_url",
    "NSN_CA_BUNDLE": "ca_bundle",
    "NSN_MASTER_KEY": "master_key",
    "NSN_MASTER_KEY_FILE": "master_key_file",
}
_NETSUITE_VARIABLES = {
    "NETSUITE_ACCOUNT_ID": "account_id",
    "NETSUITE_AUTH": "auth",
    "NETSUITE_CLIENT_ID": "client_id",
    "NETSUITE_CERTIFICATE_ID": "certificate_id",
    "NETSUITE_PRIVATE_KEY": "private_key",
    "NETSUITE_CONSUMER_KEY": "consumer_key",
    "NETSUITE_CONSUMER_SECRET": "consumer_secret",
    "NETSUITE_TOKEN_ID": "token_id",
    "NETSUITE_TOKEN_SECRET": "token_secret",
    "NETSUITE_BASE_URL": "base_url",
    "NETSUITE_CONCURRENCY": "concurrency",
}
_SERVICENOW_VARIABLES = {
    "SERVICENOW_INSTANCE": "instance",
    "SERVICENOW_AUTH": "auth",
    "SERVICENOW_CLIENT_ID": "client_id",
    "SERVICENOW_CLIENT_SECRET": "client_secret",
    "SERVICENOW_USERNAME": "username",
    "SERVICENOW_PASSWORD": "password",
    "SERVICENOW_BASE_URL": "base_url",
    "SERVICENOW_CONCURRENCY": "concurrency",
    "SERVICENOW_BATCH_SIZE": "batch_size",
    "SERVICENOW_CURRENCY": "currency",
}
VARIABLES: tuple[str, ...] = (
    *_PROJECT_VARIABLES,
    *_NETSUITE_VARIABLES,
    "NETSUITE_PRIVATE_KEY_PATH",
    *_SERVICENOW_VARIABLES,
)


def load_project_settings(environment: Mapping[str, str] | None = None) -> ProjectSettings:
    """Read what the definitions need. Raises ConfigurationError naming each faulty variable."""
    given = os.environ if environment is None else environment
    values = _with_sandbox(given)
    return _build(ProjectSettings, _PROJECT_VARIABLES, {"NSN_HOME": ".nsn"} | values)


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read everything a run needs. Raises ConfigurationError naming what is missing or faulty."""
    given = os.environ if environment is None else environment
    project = load_project_settings(given)
    live = is_live(given)
    sandbox = {} if live else _sandbox_environment(project.home)
    stored = load_credentials(project.home, given) if live else {}
    if not live and not sandbox:
        msg = (
            "no NetSuite account is configured and no sandbox is running. "
            "Start one with `nsn sandbox` (or `make dev`), or set NETSUITE_ACCOUNT_ID, "
            "SERVICENOW_INSTANCE and their credentials (see .env.example, or store them with "
            "`nsn credentials set`)."
        )
        raise ConfigurationError(msg)
    values = sandbox | stored | _present(given)
    if "NETSUITE_PRIVATE_KEY_PATH" in values:
        values["NETSUITE_PRIVATE_KEY"] = _read_key(Path(values["NETSUITE_PRIVATE_KEY_PATH"]))
    netsuite, servicenow = _both_systems(values)
    return Settings(project, netsuite, servicenow, is_sandbox=not live)


def _both_systems(values: Mapping[str, str]) -> tuple[NetSuiteSettings, ServiceNowSettings]:
    """Both sections, or what is wrong with either, said at once."""
    try:
        netsuite = _build(NetSuiteSettings, _NETSUITE_VARIABLES, values)
    except ConfigurationError as error:
        try:
            _build(ServiceNowSettings, _SERVICENOW_VARIABLES, values)
        except ConfigurationError as other:
            first = str(error).removesuffix(f". {CORRECT_THEM}")
            second = str(other).removeprefix(_ATTENTION)
            raise ConfigurationError(f"{first}; {second}") from None
        raise
    return netsuite, _build(ServiceNowSettings, _SERVICENOW_VARIABLES, values)


def _present(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if value != ""}


def is_live(environment: Mapping[str, str] | None = None) -> bool:
    """Whether a live account is named or stored; the sandbox is then never used."""
    given = os.environ if environment is None else environment
    if any(given.get(name) for name in LIVE_MARKERS):
        return True
    return (_home(given) / CREDENTIALS_FILE).exists()


def _with_sandbox(environment: Mapping[str, str]) -> dict[str, str]:
    values = _present(environment)
    if is_live(environment):
        return values
    return _sandbox_environment(_home(environment)) | values


def _home(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("NSN_HOME") or ".nsn").expanduser().absolute()


def _sandbox_environment(home: Path) -> dict[str, str]:
    """What the sandbox of this home says of itself; empty when none runs.

    A sandbox that was killed leaves its file behind, but not its lock.
    """
    lock = home / SANDBOX_LOCK
    if not lock.exists() or not is_held(lock):
        return {}
    try:
        document: dict[str, Any] = json.loads((home / SANDBOX_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        msg = f"{home / SANDBOX_FILE} cannot be read; stop the sandbox and start it again"
        raise ConfigurationError(msg) from error
    return {name: str(value) for name, value in document.get("environment", {}).items()}


def _read_key(path: Path) -> str:
    try:
        return path.expanduser().read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"NETSUITE_PRIVATE_KEY_PATH: {path} cannot be read as a PEM file"
        raise ConfigurationError(msg) from error


def _fault(names: Mapping[str, str], place: tuple[int | str, ...], words: str) -> str:
    words = words.removeprefix("Value error, ")
    field = str(place[0]) if place else ""
    return f"{names.get(field, field)}: {words}" if field else words


def _build(model: type[M], variables: dict[str, str], values: Mapping[str, str]) -> M:
    fields = {field: values[name] for name, field in variables.items() if name in values}
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        names = {field: name for name, field in variables.items()}
        # `hide_input_in_errors` keeps values, and so secrets, out of these messages.
        faults = [
            _fault(
                names, fault["loc"], "is not set" if fault["type"] == "missing" else fault["msg"]
            )
            for fault in error.errors(include_url=False, include_input=False)
        ]
        raise ConfigurationError(f"{_ATTENTION}{'; '.join(faults)}. {CORRECT_THEM}") from None
