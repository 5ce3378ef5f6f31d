"""The account the simulator plays: identity, limits, preferences, features, role, faults."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from zoneinfo import ZoneInfo

from nsn_pipeline.sandbox.netsuite.tables import DEFAULT_HIDDEN_COLUMNS, FEATURE_COLUMNS

_ACCOUNT = re.compile(r"[A-Za-z0-9]+(?:[_-][A-Za-z0-9]+)?\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class TbaCredentials:
    """One integration's consumer pair with one user's token pair (OAuth 1.0a)."""

    consumer_key: str
    consumer_secret: str
    token_id: str
    token_secret: str


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """What a fault hook sees; `number` counts requests from 1."""

    number: int
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """An answer in place of the true one.

    `after_handling` first does the work, then answers this: a write that landed though its reply
    is lost. `truncate` breaks the connection in mid-answer. A fault with only `delay_s` slows
    the true answer down.
    """

    status: int | None = None
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    delay_s: float = 0.0
    after_handling: bool = False
    truncate: bool = False


FaultHook = Callable[[RequestInfo], Fault | None]


@dataclass(frozen=True, slots=True)
class NetSuiteOptions:
    """An account. `certificate` is an X.509 certificate or a bare public key, in PEM."""

    account_id: str = "1234567_SB1"
    public_base_url: str = ""
    # OAuth 2.0 machine to machine
    client_id: str = ""
    certificate_id: str = ""
    certificate: str = ""
    extra_certificates: Mapping[str, str] = field(default_factory=dict[str, str])
    revoked_certificates: frozenset[str] = frozenset()  # by certificate id
    client_credentials_enabled: bool = True
    enabled_scopes: frozenset[str] = frozenset({"rest_webservices"})
    minimum_rsa_bits: int = 3072
    clock_leeway_s: int = 10
    token_lifetime_s: int = 3600
    # OAuth 1.0a
    tba: tuple[TbaCredentials, ...] = ()
    # Limits
    latency_s: float = 0.0
    concurrency_limit: int = 5
    row_cap: int = 100_000
    # Preferences of the user behind the integration
    time_zone: str = "America/Los_Angeles"
    date_format: str = "M/D/YYYY"
    drop_leading_zero: bool = True
    # `docs/facts/netsuite.md` 6.2: sources disagree on how status compares in WHERE
    status_filter: Literal["prefixed", "letter"] = "prefixed"
    allow_fetch_first: bool = True
    allow_current_date: bool = False
    # Features and role
    disabled_features: frozenset[str] = frozenset()
    hidden_tables: frozenset[str] = frozenset()
    hidden_columns: frozenset[str] = DEFAULT_HIDDEN_COLUMNS
    crashing_columns: frozenset[str] = frozenset()
    is_administrator: bool = False
    fault_hook: FaultHook | None = None

    def __post_init__(self) -> None:
        if not _ACCOUNT.match(self.account_id):
            raise ValueError(f"account_id {self.account_id!r} is not a NetSuite account id")
        if unknown := self.disabled_features - FEATURE_COLUMNS.keys():
            raise ValueError(
                f"unknown features {sorted(unknown)}; there are {sorted(FEATURE_COLUMNS)}"
            )
        if self.status_filter not in {"prefixed", "letter"}:
            raise ValueError("status_filter is 'prefixed' or 'letter'")
        ZoneInfo(self.time_zone)

    @property
    def realm(self) -> str:
        """The canonical account id: upper case with an underscore."""
        return self.account_id.upper().replace("-", "_")

    @property
    def host_label(self) -> str:
        """The account id as it stands in host names."""
        return self.account_id.lower().replace("_", "-")

    @property
    def certificates(self) -> dict[str, str]:
        """Certificate id to PEM."""
        own = {self.certificate_id: self.certificate} if self.certificate_id else {}
        return {**own, **self.extra_certificates}
