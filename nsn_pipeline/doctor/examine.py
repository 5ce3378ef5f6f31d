"""The whole examination, in the order in which one thing needs another. Reads, never writes.

It uses its own connections: without limiter and token cache, so that it works when the state server
does not, and with one retry only, as a person is waiting.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from requests.auth import AuthBase

from nsn_pipeline.clients.accounts import NetSuiteAccount
from nsn_pipeline.clients.grants import servicenow_token_source
from nsn_pipeline.clients.http import Http
from nsn_pipeline.clients.netsuite import NetSuiteClient
from nsn_pipeline.clients.retry import RetryPolicy
from nsn_pipeline.clients.servicenow import ServiceNowClient
from nsn_pipeline.clients.tba import TbaAuth, TbaCredentials
from nsn_pipeline.clients.tokens import BearerAuth, basic_auth
from nsn_pipeline.connections import LOGIN_PROBES
from nsn_pipeline.doctor import (
    netsuite_data,
    netsuite_login,
    servicenow_data,
    servicenow_login,
    servicenow_tables,
)
from nsn_pipeline.doctor.finding import Checklist, Finding, Status
from nsn_pipeline.doctor.needs import source_needs, target_needs
from nsn_pipeline.doctor.netsuite_login import Clocks, plain
from nsn_pipeline.doctor.settings_checks import (
    check_key,
    check_profile,
    check_redis,
    check_settings,
    check_variables,
    project_settings,
)
from nsn_pipeline.errors import AuthenticationError, ConfigurationError, NsnError
from nsn_pipeline.profiles.model import Profile
from nsn_pipeline.settings import Settings

_POLICY = RetryPolicy(max_attempts=2)
_TIMEOUT_S = (10.0, 60.0)


def examine(
    environment: Mapping[str, str],
    *,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Finding]:
    """Everything that can be told about this configuration, as a checklist."""
    checklist = Checklist()
    check_variables(checklist, environment)
    settings = check_settings(checklist, environment)
    project = project_settings(environment)
    if project is not None:
        check_redis(checklist, project)
    if settings is None:
        checklist.skip("netsuite", "NetSuite", "valid settings")
        checklist.skip("servicenow", "ServiceNow", "valid settings")
        return checklist.findings
    check_key(checklist, settings)
    profile = check_profile(checklist, settings)
    clocks = Clocks(now, sleep)
    try:
        if not _examine_netsuite(checklist, settings, profile, environment, clocks):
            checklist.skip("netsuite.data", "NetSuite tables", "a working login")
    except AuthenticationError as error:  # under way: the token ended, and there is no other
        netsuite_login.login_refused(checklist, error, tba=settings.netsuite.auth == "tba")
        checklist.skip("netsuite.data", "NetSuite tables", "a working login")
    except NsnError as error:
        checklist.failed_call("netsuite.data", "NetSuite tables", error)
    try:
        if not _examine_servicenow(checklist, settings, profile, clocks):
            checklist.skip("servicenow.data", "ServiceNow tables", "a working login")
    except AuthenticationError as error:
        basic = settings.servicenow.auth == "basic"
        servicenow_login.login_refused(checklist, error, basic=basic)
        checklist.skip("servicenow.data", "ServiceNow tables", "a working login")
    except NsnError as error:
        checklist.failed_call("servicenow.data", "ServiceNow tables", error)
    return checklist.findings


def _examine_netsuite(
    checklist: Checklist,
    settings: Settings,
    profile: Profile | None,
    environment: Mapping[str, str],
    clocks: Clocks,
) -> bool:
    """True when the tables were looked at."""
    section = settings.netsuite
    account = netsuite_login.check_account(checklist, section)
    if account is None:
        return False
    base_url = netsuite_login.check_base_url(checklist, account, section.base_url)
    with _http(checklist, settings, "netsuite", base_url, clocks) as http:
        auth = _netsuite_auth(
            checklist, http, account, settings=settings, environment=environment, clocks=clocks
        )
    if auth is None or profile is None:
        return False
    with _http(checklist, settings, "netsuite", base_url, clocks, auth=auth) as http:
        if http is None:
            return False
        client = NetSuiteClient(http, concurrency=1)
        if not netsuite_login.check_login(checklist, client, tba=section.auth == "tba"):
            return False
        examine_netsuite_data(checklist, client, settings, profile, clocks)
    return True


def _netsuite_auth(
    checklist: Checklist,
    http: Http | None,
    account: NetSuiteAccount,
    *,
    settings: Settings,
    environment: Mapping[str, str],
    clocks: Clocks,
) -> AuthBase | None:
    """Credentials that are worth a try; key and certificate are judged without NetSuite's help."""
    section = settings.netsuite
    tba = section.auth == "tba"
    reached = http is not None and netsuite_login.check_host(
        checklist, http, account, clocks.now, tba=tba
    )
    if tba:
        netsuite_login.note_tba(checklist)
        credentials = TbaCredentials(
            consumer_key=plain(section.consumer_key),
            consumer_secret=plain(section.consumer_secret),
            token_id=plain(section.token_id),
            token_secret=plain(section.token_secret),
        )
        tba = TbaAuth(credentials, realm=account.account_id, now=clocks.now)
        return tba if reached else None
    usable = netsuite_login.check_key(checklist, section, environment) is not None
    if usable:
        netsuite_login.check_certificate(checklist, section, environment, clocks.now())
    if http is None or not reached or not usable:
        checklist.skip("netsuite.token", "NetSuite token", "what is named above")
        return None
    fetch = netsuite_login.check_token(checklist, http, section, clocks)
    return BearerAuth(fetch, key="doctor", now=clocks.now) if fetch else None


def examine_netsuite_data(
    checklist: Checklist,
    client: NetSuiteClient,
    settings: Settings,
    profile: Profile,
    clocks: Clocks,
) -> None:
    """Everything behind the login."""
    needs = source_needs(profile)
    found = netsuite_data.survey(client, needs)
    currency = settings.project.base_currency
    netsuite_data.check_tables(checklist, needs, found, base_currency=currency)
    netsuite_data.check_concurrency(checklist, client, settings.netsuite.concurrency)
    readable = [table for table in needs if table not in found.tables]
    netsuite_data.check_dates(checklist, client, readable, clocks.now())
    netsuite_data.check_books(checklist, client)


def _examine_servicenow(
    checklist: Checklist, settings: Settings, profile: Profile | None, clocks: Clocks
) -> bool:
    """True when the tables were looked at."""
    section = settings.servicenow
    instance = servicenow_login.check_instance(checklist, section)
    if instance is None:
        return False
    base_url = servicenow_login.check_base_url(checklist, instance, section.base_url)
    with _http(checklist, settings, "servicenow", base_url, clocks) as http:
        if http is None or not servicenow_login.check_host(checklist, http):
            checklist.skip("servicenow.token", "ServiceNow token", "an instance that answers")
            return False
        auth = _servicenow_auth(checklist, http, settings, clocks)
        if auth is None:
            return False
        with _http(checklist, settings, "servicenow", base_url, clocks, auth=auth) as own:
            basic = section.auth == "basic"
            return own is not None and _examine_instance(checklist, own, profile, basic=basic)


def _servicenow_auth(
    checklist: Checklist, http: Http, settings: Settings, clocks: Clocks
) -> AuthBase | None:
    section = settings.servicenow
    if section.auth == "basic":
        return basic_auth(plain(section.username), plain(section.password))
    fetch = servicenow_token_source(
        http,
        client_id=plain(section.client_id),
        client_secret=plain(section.client_secret),
        now=clocks.now,
    )
    auth = BearerAuth(fetch, key="doctor", now=clocks.now)
    return auth if servicenow_login.check_token(checklist, auth) else None


def _examine_instance(
    checklist: Checklist, http: Http, profile: Profile | None, *, basic: bool
) -> bool:
    user_id = servicenow_login.check_login(checklist, http, basic=basic)
    if user_id is None or profile is None:
        return False
    client = ServiceNowClient(http)
    needs = target_needs(profile)
    readable = servicenow_tables.check_tables(checklist, client, needs)
    if not readable:
        return False
    servicenow_login.check_roles(checklist, client, user_id)
    servicenow_login.check_user(checklist, client, user_id)
    for table in readable:
        need = needs[table]
        servicenow_data.check_readable(checklist, client, need)
        if checklist.status(f"servicenow.column.{table}.{need.key}") is not Status.FAIL:
            servicenow_data.check_duplicates(checklist, http, need)
    servicenow_data.check_query_mode(checklist, http)
    return True


@contextmanager
def _http(
    checklist: Checklist,
    settings: Settings,
    system: str,
    base_url: str | None,
    clocks: Clocks,
    *,
    auth: AuthBase | None = None,
) -> Iterator[Http | None]:
    """A connection, or None (and a finding) when the address is not one."""
    if base_url is None:  # told already
        yield None
        return
    bundle = settings.project.ca_bundle
    try:
        http = Http(
            system=system,
            base_url=base_url,
            auth=auth,
            probe=LOGIN_PROBES[system],
            policy=_POLICY,
            timeout_s=_TIMEOUT_S,
            verify=str(bundle) if bundle else True,
            now=clocks.now,
            sleep=clocks.sleep,
        )
    except ConfigurationError as error:
        remedy = f"Write {system.upper()}_BASE_URL as https://<host>, or unset it."
        checklist.fail(f"{system}.host", f"{system} address", str(error), remedy)
        yield None
        return
    try:
        yield http
    finally:
        http.close()
