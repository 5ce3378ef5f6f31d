"""Every switch of the simulated ServiceNow instance, and the shapes its hooks receive and return.

Defaults are the documented behaviour of an instance whose administrator has done nothing unusual.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from nsn_pipeline.sandbox.servicenow.table_definitions import TableDefinition

Operation = Literal["insert", "update", "delete"]


@dataclass(frozen=True, slots=True)
class User:
    """An account of the instance. `sys_id` is derived from the name when left empty."""

    user_name: str
    password: str = ""
    roles: tuple[str, ...] = ()
    sys_id: str = ""
    active: bool = True
    locked_out: bool = False
    first_name: str = ""
    last_name: str = ""


@dataclass(frozen=True, slots=True)
class DataPolicy:
    """Columns that must not be empty on write, for rows matching `condition` (encoded query)."""

    table: str
    mandatory: tuple[str, ...]
    condition: str = ""


@dataclass(frozen=True, slots=True)
class AbortRule:
    """A business rule that aborts writes of rows matching `condition` (encoded query)."""

    table: str
    name: str
    condition: str = ""
    operations: tuple[Operation, ...] = ("insert", "update")


@dataclass(frozen=True, slots=True)
class RateLimitRule:
    """An hourly limit per user, for paths that start with `path`."""

    requests_per_hour: int
    path: str = "/api/now/"
    name: str = "Table API"


@dataclass(frozen=True, slots=True)
class TransformMap:
    """How rows of a staging table become rows of a target table."""

    staging_table: str
    target_table: str
    fields: Mapping[str, str]  # staging column -> target column
    coalesce: tuple[str, ...]  # target columns that find the row to update
    required: tuple[str, ...] = ()  # target columns whose absence fails the row
    name: str = ""


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """What a fault hook may judge by. `batch_item` is the id inside a Batch call, else None."""

    number: int
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    batch_item: str | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one request.

    `work`: "none" = nothing is done; "commit" = it is done and kept; "undo" = it is done, answered
    as a success, and not kept (a lying success).
    `answer`: "spec" = `status`/`headers`/`body`; "real" = the true answer (after `delay_s`);
    "drop" = the connection is cut without an answer; "truncate" = cut half-way through the true
    answer. Inside a Batch call "drop" and "truncate" leave the item unserviced.
    """

    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    content_type: str = "application/json"
    delay_s: float = 0.0
    work: Literal["none", "commit", "undo"] = "none"
    answer: Literal["spec", "real", "drop", "truncate"] = "spec"


FaultHook = Callable[[RequestInfo], Fault | None]


def _rates() -> dict[str, Decimal]:
    values = {"USD": "1", "EUR": "1.08", "GBP": "1.27", "CHF": "1.12", "CAD": "0.73"}
    values |= {"AUD": "0.66", "JPY": "0.0065", "SEK": "0.095", "KWD": "3.25", "INR": "0.012"}
    return {code: Decimal(rate) for code, rate in values.items()}


def _policies() -> tuple[DataPolicy, ...]:
    # the field report behind docs/facts/servicenow.md 7.4: nothing leaves Draft without an amount
    condition = "state!=draft^stateISNOTEMPTY"
    return (DataPolicy("sn_shop_invoice", ("invoice_amount",), condition),)


def _maps() -> tuple[TransformMap, ...]:
    fields = {"u_name": "name", "u_netsuite_id": "u_netsuite_id", "u_phone": "phone"}
    return (
        TransformMap(
            "u_imp_ns_vendor", "core_company", fields, ("u_netsuite_id",), ("name",), "NS vendor"
        ),
    )


@dataclass(slots=True)
class ServiceNowOptions:
    """Mutable on purpose: a test or a fault plan may turn a switch while the instance runs."""

    base_url: str = ""  # for links and Location; empty = taken from the Host header

    # credentials (docs/facts/servicenow.md 1)
    client_id: str = "nsn-client"
    client_secret: str = "nsn-client-secret"  # noqa: S105  # a simulator's own default
    oauth_user: str = "nsn.integration"  # empty = no OAuth Application User: every token refused
    users: tuple[User, ...] = (User("nsn.integration", "nsn-password", ("admin",)),)
    basic_auth: bool = True
    client_credentials_grant: bool = True
    password_grant: bool = True
    token_life_s: float = 1800.0
    refresh_token_life_s: float = 8_640_000.0

    # queries (2.1, 2.2)
    unknown_field_mode: Literal["ignore", "no_rows", "forbid"] = "ignore"
    case_sensitive_values: bool = False
    default_limit: int = 10_000
    dictionary_access: Literal["full", "empty", "forbid"] = "full"
    hidden_rows: Mapping[str, str] = field(default_factory=dict)  # table -> encoded query
    hidden_columns: Mapping[str, frozenset[str]] = field(default_factory=dict)
    denied: Mapping[str, frozenset[str]] = field(default_factory=dict)  # table -> operations, read
    endpoint_acl: bool = False  # on: users without snc_platform_rest_api_access get 403

    # writes (2.4, 7)
    cut_to_max_length: bool = True
    strict_readonly: bool = False  # updates of "strict read-only" columns are dropped
    data_policies: tuple[DataPolicy, ...] = field(default_factory=_policies)
    abort_rules: tuple[AbortRule, ...] = ()
    unmatched_reference: Literal["blank", "create"] = "blank"  # display-value input only
    transform_maps: tuple[TransformMap, ...] = field(default_factory=_maps)
    extra_tables: tuple[TableDefinition, ...] = ()
    absent_tables: frozenset[str] = frozenset()  # their plug-in is not active

    # money and zone of the integration user (7.7)
    user_currency: str = "USD"
    reference_currency: str = "USD"
    decimal_comma: bool = False  # the user's locale writes 1.234,56
    user_time_zone: str = "GMT"
    user_language: str = "en"
    user_country: str = "US"
    fx_rates: dict[str, Decimal] = field(default_factory=_rates)  # reference units per one unit

    # time, limits, availability (3, 6)
    call_latency_s: float = 0.0  # simulated seconds per HTTP call
    record_latency_s: float = 0.0  # simulated seconds per record written, read or sub-request
    latency_scale: float = 1.0  # real seconds slept per simulated second; 0 = quotas only
    batch_time_limit_s: float = 30.0
    batch_input_limit: int = 5_000_000
    batch_output_limit: int = 10_000_000
    max_in_flight: int = 0  # 0 = no limit; beyond it 429 without JSON
    busy_retry_after: str = ""  # what that 429 says in Retry-After; nothing, unless a proxy does
    retry_after_as_date: bool = False  # an hourly limit says when, not for how long
    rate_limit: RateLimitRule | None = None
    session_mode: Literal["queue", "drop", "off"] = "queue"
    session_queue_limit: int = 4  # calls of one session that may wait before the rest gets 202
    hibernating: bool = False
    truncate_lists: bool = False  # lists answer 200 and break off in the time-out error
    fault_hook: FaultHook | None = None
