"""Which host a NetSuite account or a ServiceNow instance lives on.

The id becomes a host name that credentials are sent to, so anything but a plain label is refused.
`*_BASE_URL` settings override what is derived here: Oracle asks integrators to copy the host from
Setup > Company > Company Information rather than to derive it (docs/facts/netsuite.md 1).
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from nsn_pipeline.errors import ConfigurationError

_ACCOUNT = re.compile(r"([A-Za-z0-9]+)(?:[_-]([A-Za-z0-9]+))?")
_INSTANCE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_MAX_LABEL = 63  # a DNS label
_COPY_IT = "Copy it from Setup > Company > Company Information"
SAME_ACCOUNT = (
    "Make NETSUITE_ACCOUNT_ID and NETSUITE_BASE_URL name the same account, with the same suffix "
    "(_SB1, _RP): copy SuiteTalk's address from Setup > Company > Company Information > Company "
    "URLs to NETSUITE_BASE_URL, or unset it."
)
_NETSUITE_DOMAIN = ".netsuite.com"
# Oracle's own hosts, shared by all accounts, alone or before a data center (`system.na1`).
_NO_ACCOUNTS = frozenset(
    {"checkout", "debugger", "forms", "login", "odbcserver", "rest", "restlets", "sandbox",
     "secure", "shopping", "status", "suitetalk", "system", "webservices", "www"}
)  # fmt: skip
_SERVICENOW_DOMAIN = ".service-now.com"
SAME_INSTANCE = (
    "Make SERVICENOW_INSTANCE and SERVICENOW_BASE_URL name the same instance, or unset "
    "SERVICENOW_BASE_URL: only an instance under another domain needs it."
)


@dataclass(frozen=True, slots=True)
class NetSuiteAccount:
    """One NetSuite account. `account_id` is canonical (`1234567_SB1`) and also the OAuth realm."""

    account_id: str

    @property
    def label(self) -> str:
        """The id as it appears in host names: `1234567-sb1`."""
        return self.account_id.lower().replace("_", "-")

    @property
    def host(self) -> str:
        return f"{self.label}.suitetalk.api{_NETSUITE_DOMAIN}"

    @property
    def base_url(self) -> str:
        return f"https://{self.host}"

    @property
    def ui_url(self) -> str:
        """Where people open records."""
        return f"https://{self.label}.app{_NETSUITE_DOMAIN}"


@dataclass(frozen=True, slots=True)
class ServiceNowInstance:
    name: str

    @property
    def host(self) -> str:
        return f"{self.name}{_SERVICENOW_DOMAIN}"

    @property
    def base_url(self) -> str:
        return f"https://{self.host}"


def netsuite_account(text: str) -> NetSuiteAccount:
    """Read an account id in any spelling: `1234567_SB1`, `1234567-sb1`, or a copied host."""
    value = _host_of(text)
    if value.lower().endswith(_NETSUITE_DOMAIN):
        # An account's hosts name the service as well: `1234567.app`, `1234567.suitetalk.api`.
        label, _, service = value[: -len(_NETSUITE_DOMAIN)].partition(".")
        value = label if service else ""
    match = _ACCOUNT.fullmatch(value)
    if match is None or len(value) > _MAX_LABEL or value.lower() in _NO_ACCOUNTS:
        raise ConfigurationError(
            f"{shown(text)} is not a NetSuite account id. {_COPY_IT}, for example 1234567, or "
            "1234567_SB1 for a sandbox."
        )
    if (match[2] or "").upper() == "SB":
        raise ConfigurationError(
            f"{shown(text)} lacks the sandbox number: sandboxes are numbered, "
            f"for example {match[1].upper()}_SB1. {_COPY_IT}."
        )
    return NetSuiteAccount("_".join(part.upper() for part in match.groups() if part))


def netsuite_base_url(account: NetSuiteAccount, given: str | None) -> str:
    """Where the account is called: its own host, or `given` unless that is another account's.

    Credentials that go to a host of NetSuite's which is not this account's are refused there, and
    count towards locking the user.
    """
    if not given:
        return account.base_url
    host = _host_in(given, "NETSUITE_BASE_URL")
    if not host.endswith(_NETSUITE_DOMAIN):
        return given
    try:
        named = netsuite_account(host)
    except ConfigurationError:
        whose = "no account"
    else:
        if named == account:
            return given
        whose = f"account {named.account_id}"
    raise ConfigurationError(
        f"the host {host} is that of {whose}, not of {account.account_id}. {SAME_ACCOUNT}"
    )


def servicenow_instance(text: str) -> ServiceNowInstance:
    """Read an instance name, or the instance's address as copied from a browser."""
    value = _host_of(text).lower().removesuffix(_SERVICENOW_DOMAIN)
    if _INSTANCE.fullmatch(value) is None:
        raise ConfigurationError(
            f"{shown(text)} is not a ServiceNow instance name. Set SERVICENOW_INSTANCE to the "
            "first part of the address, for example acme for https://acme.service-now.com; set "
            "SERVICENOW_BASE_URL for an instance under another domain."
        )
    return ServiceNowInstance(value)


def servicenow_base_url(instance: ServiceNowInstance, given: str | None) -> str:
    """Where the instance is called: its own host, or `given` unless that is another instance's.

    Records are filed under the name, so a host of another instance would be written to in its name.
    """
    if not given:
        return instance.base_url
    host = _host_in(given, "SERVICENOW_BASE_URL")
    if not f".{host}".endswith(_SERVICENOW_DOMAIN) or host.partition(".")[0] == instance.name:
        return given
    raise ConfigurationError(
        f"the host {host} is not that of instance {instance.name}. {SAME_INSTANCE}"
    )


def _host_in(address: str, variable: str) -> str:
    try:
        return (urlsplit(address.strip()).hostname or "").rstrip(".")
    except ValueError:  # its text may quote what stands before the @
        raise ConfigurationError(
            f"{shown(address)} is no address: write {variable} as https://<host>, or unset it"
        ) from None


def _host_of(text: str) -> str:
    value = text.strip()
    for scheme in ("https://", "http://"):
        if value.lower().startswith(scheme):
            return value[len(scheme) :].partition("/")[0]
    return value


def shown(text: str) -> str:
    """A faulty value, as far as it may be repeated."""
    if "@" in text:  # a pasted address may carry a login
        return "what is given (not shown: it holds an @)"
    return repr(text if len(text) <= _MAX_LABEL else f"{text[:_MAX_LABEL]}...")
