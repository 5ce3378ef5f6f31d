"""ServiceNow up to a working login: address, token, user, roles, rate rules.

One answer stands for wrong secrets, a property that is off, a missing application user and a user
who may not log in (docs/facts/servicenow.md 1.1): where the server hides the cause, all are listed.
"""

from contextlib import suppress
from http import HTTPStatus

import requests

from nsn_pipeline.clients.accounts import (
    SAME_INSTANCE,
    ServiceNowInstance,
    servicenow_base_url,
    servicenow_instance,
)
from nsn_pipeline.clients.encoded_query import Query
from nsn_pipeline.clients.grants import SERVICENOW_TOKEN_PATH
from nsn_pipeline.clients.http import Http
from nsn_pipeline.clients.servicenow import ServiceNowClient
from nsn_pipeline.clients.tokens import BearerAuth
from nsn_pipeline.doctor.finding import Checklist, in_its_words
from nsn_pipeline.errors import (
    AuthenticationError,
    ConfigurationError,
    NsnError,
    PermissionDeniedError,
)
from nsn_pipeline.settings import ServiceNowSettings

CURRENT_USER = "/api/now/ui/user/current_user"
CHECK_ADDRESS = "Check SERVICENOW_INSTANCE or SERVICENOW_BASE_URL, and proxy and firewall."
NO_JSON = (
    "Check the address, and that no login page or gateway stands in the way; during an upgrade, "
    "wait."
)
_MYSELF = {
    "sysparm_query": "sys_id=javascript:gs.getUserID()",
    "sysparm_fields": "sys_id,user_name",
    "sysparm_limit": "1",
}
_ENDPOINT_ACL = "failed api level acl validation"
_ANY = range(200, 600)
_UTC_ZONES = {"GMT", "UTC", "Etc/GMT", "Etc/UTC", "Zulu", "Universal"}
# Where a decimal comma is the custom: countries by ISO code, and languages where no country is set.
_COMMA_COUNTRIES = frozenset(
    {"AR", "AT", "BE", "BG", "BR", "CL", "CO", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR",
     "HU", "ID", "IT", "LT", "LV", "NL", "NO", "PL", "PT", "RO", "RS", "RU", "SE", "SI", "SK", "TR",
     "UA", "VN"}
)  # fmt: skip
_COMMA_LANGUAGES = frozenset(
    {"cs", "da", "de", "es", "et", "fi", "fr", "hr", "hu", "it", "nl", "no", "pb", "pl", "pt", "ru",
     "sv", "tr"}
)  # fmt: skip
_TIGHT_RATE = 5000  # requests an hour; a day of documents takes hundreds, a backfill thousands


def check_instance(checklist: Checklist, settings: ServiceNowSettings) -> ServiceNowInstance | None:
    """The instance, or None when its name cannot be one."""
    try:
        instance = servicenow_instance(settings.instance)
    except ConfigurationError as error:
        checklist.fail(
            "servicenow.instance",
            "ServiceNow instance",
            str(error),
            "Set SERVICENOW_INSTANCE to the first part of the instance's address.",
        )
        return None
    checklist.ok("servicenow.instance", "ServiceNow instance", instance.name)
    return instance


def check_base_url(
    checklist: Checklist, instance: ServiceNowInstance, given: str | None
) -> str | None:
    """Where to call the instance; None when the address given is another instance's, or none's."""
    try:
        return servicenow_base_url(instance, given)
    except ConfigurationError as error:
        detail = str(error).removesuffix(SAME_INSTANCE).rstrip()
        checklist.fail("servicenow.host", "ServiceNow address", detail, SAME_INSTANCE)
        return None


def check_host(checklist: Checklist, http: Http) -> bool:
    """Whether an awake instance answers at this address; asked without credentials."""
    title = "ServiceNow address"
    try:
        answer = http.request("GET", CURRENT_USER, idempotent=True, returned=_ANY)
    except NsnError as error:
        remedy = (
            "Set NSN_CA_BUNDLE to the certificate authority of your proxy."
            if isinstance(error, ConfigurationError)
            else CHECK_ADDRESS
        )
        checklist.fail("servicenow.host", title, str(error), remedy)
        return False
    if b"hibernating" in answer.content[:4096].lower():
        checklist.fail(
            "servicenow.host",
            title,
            "the instance is hibernating",
            "Wake it: log in at developer.servicenow.com and open the instance.",
        )
        return False
    is_json = "json" in answer.headers.get("Content-Type", "")
    if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR or not is_json:
        checklist.fail(
            "servicenow.host",
            title,
            f"{http.base_url} answers HTTP {answer.status_code} with something other than JSON",
            NO_JSON,
        )
        return False
    checklist.ok("servicenow.host", title, f"{http.base_url} answers")
    return True


def check_token(checklist: Checklist, auth: BearerAuth) -> bool:
    """Whether the instance gives a token."""
    title = "ServiceNow token"
    try:
        auth.ready()
    except AuthenticationError as error:
        _token_refused(checklist, error)
        return False
    except NsnError as error:
        checklist.failed_call("servicenow.token", title, error)
        return False
    checklist.ok("servicenow.token", title, "the instance gives tokens")
    return True


def check_login(checklist: Checklist, http: Http, *, basic: bool) -> str | None:
    """The sys_id of the user everything runs as ("" when not told), None when there is no login."""
    title = "ServiceNow login"
    try:
        answer, user_id, name = _who_am_i(http)
    except AuthenticationError as error:
        login_refused(checklist, error, basic=basic)
        return None
    except PermissionDeniedError:  # by the endpoint ACL: see _who_am_i
        deny_endpoints(checklist)
        return None
    except NsnError as error:
        checklist.failed_call("servicenow.login", title, error)
        return None
    name = name or "a user whose name is not told"
    checklist.ok("servicenow.login", title, f"logged in as {name}", user=name)
    if answer is not None:
        _check_rates(checklist, answer)
    return user_id


def login_refused(checklist: Checklist, error: AuthenticationError, *, basic: bool) -> None:
    """What each way to log in hides behind one refusal, and what to do about it."""
    if error.where and SERVICENOW_TOKEN_PATH in error.where.operation:
        _token_refused(checklist, error)
        return
    if basic:
        remedy = (
            "Check SERVICENOW_USERNAME and SERVICENOW_PASSWORD, and that the user is active, not "
            "locked out, and need not reset the password. New instances deny Basic "
            "authentication: set SERVICENOW_AUTH=client_credentials, or let this user in by "
            "the instance's Basic authentication policy."
        )
        detail = (
            "no login, and the instance answers the same to each of three causes: wrong user name "
            "or password; that user is inactive, locked out or must reset the password; Basic "
            "authentication is denied"
        )
    else:
        remedy = "Check that the OAuth Application User is active and not locked out."
        detail = "the instance refuses the token it has just given"
    words = in_its_words(error)
    checklist.fail("servicenow.login", "ServiceNow login", f"{detail}{words}", remedy)


def _token_refused(checklist: Checklist, error: AuthenticationError) -> None:
    checklist.fail(
        "servicenow.token",
        "ServiceNow token",
        "no token, and the instance answers the same to each of four causes: wrong client id "
        "or secret; the inbound client credentials grant is off; the OAuth entity has no OAuth "
        "Application User; that user is inactive, locked out or must reset the password"
        f"{in_its_words(error)}",
        "Check SERVICENOW_CLIENT_ID and SERVICENOW_CLIENT_SECRET against System OAuth > "
        "Application Registry; set the property "
        "glide.oauth.inbound.client.credential.grant_type.enabled to true (Washington DC or "
        "later; OAuth itself: com.snc.platform.security.oauth.is.active); set the OAuth "
        "Application User; unlock that user. An administrator sees the true cause in the "
        "system log.",
    )


def _who_am_i(http: Http) -> tuple[requests.Response | None, str, str]:
    """The last answer, the sys_id and the name of the user, as far as they are told.

    The endpoint of the UI is undocumented and may be closed or absent: then the user table is asked
    (docs/facts/servicenow.md 8). Raises when an endpoint ACL keeps the user off the Table API.
    """
    answer: requests.Response | None = None
    with suppress(PermissionDeniedError):
        answer = http.request("GET", CURRENT_USER, idempotent=True, returned=(404,))
        told = _result(answer)
        if told.get("user_sys_id"):
            return answer, str(told["user_sys_id"]), str(told.get("user_name") or "")
    try:
        answer = http.request("GET", "/api/now/table/sys_user", params=_MYSELF, idempotent=True)
    except PermissionDeniedError as error:
        if is_endpoint_acl(error):
            raise
        return answer, "", ""  # logged in, and told nothing
    rows = _rows(answer)
    told = rows[0] if rows else {}
    return answer, str(told.get("sys_id") or ""), str(told.get("user_name") or "")


def is_endpoint_acl(error: PermissionDeniedError) -> bool:
    """Whether an ACL on the REST endpoint refused this, and not one on a table or a column."""
    return _ENDPOINT_ACL in str(error).lower()


def deny_endpoints(checklist: Checklist) -> None:
    checklist.fail(
        "servicenow.endpoint_acl",
        "ServiceNow REST access",
        "the login is good, but an endpoint ACL keeps this user off the REST interface",
        "Give the integration user the role snc_platform_rest_api_access (or deactivate the REST "
        "endpoint ACLs under System Web Services > REST API access policies).",
    )


def _check_rates(checklist: Checklist, answer: requests.Response) -> None:
    title = "ServiceNow rate rule"
    limit = answer.headers.get("X-RateLimit-Limit", "")
    if not limit.isdecimal():
        checklist.ok("servicenow.rate", title, "no hourly limit applies to this user")
    elif int(limit) < _TIGHT_RATE:
        checklist.warn(
            "servicenow.rate",
            title,
            f"a rate rule allows {limit} requests an hour: a sync will wait for the next hour",
            "Raise the limit for the integration user under System Web Services > Rate Limit "
            "Rules.",
            limit=int(limit),
        )
    else:
        checklist.ok("servicenow.rate", title, f"{limit} requests an hour", limit=int(limit))


def check_roles(checklist: Checklist, client: ServiceNowClient, user_id: str) -> None:
    """A fact for the administrator; what the roles allow is told table by table."""
    title = "ServiceNow roles"
    names: list[str] = []
    try:
        if user_id:
            query = Query().where("user", "=", user_id)
            for page in client.rows("sys_user_has_role", query=query, fields=("role.name",)):
                names += [row.get("role.name", "") for row in page]
    except NsnError:
        names = []
    known = sorted({name for name in names if name})
    if known:
        checklist.ok("servicenow.roles", title, ", ".join(known), count=len(known))
    else:
        checklist.unverified(
            "servicenow.roles", title, "this user cannot read its own roles",
            "Compare the user's roles with docs/connect-servicenow.md.",
        )  # fmt: skip


def check_user(checklist: Checklist, client: ServiceNowClient, user_id: str) -> None:
    """The user's zone and locale decide how dates and amounts are read (7.7)."""
    title = "ServiceNow time zone"
    fields = ("user_name", "time_zone", "preferred_language", "country")
    try:
        row = client.table_get("sys_user", user_id, fields) if user_id else None
    except NsnError:
        row = None
    if row is None or "time_zone" not in row:
        checklist.unverified(
            "servicenow.time_zone", title, "this user cannot read its own record",
            "Make sure that the integration user's time zone is GMT and its locale en_US.",
        )  # fmt: skip
        return
    zone = row["time_zone"]
    if zone not in _UTC_ZONES:
        words = f"the integration user's time zone is {zone or 'the system default'}"
        checklist.warn(
            "servicenow.time_zone",
            title,
            f"{words}: date-time conditions may be read in it",
            "Set the integration user's time zone to GMT.",
            time_zone=zone,
        )
    else:
        checklist.ok("servicenow.time_zone", title, zone, time_zone=zone)
    _check_locale(checklist, row.get("preferred_language", ""), row.get("country", ""))


def _check_locale(checklist: Checklist, language: str, country: str) -> None:
    """What we send is read without regard to it; what business rules format is not."""
    id_, title = "servicenow.locale", "ServiceNow locale"
    words = f"language {language or 'system default'}, country {country or 'system default'}"
    comma = country.upper() in _COMMA_COUNTRIES or (not country and language in _COMMA_LANGUAGES)
    if comma:
        checklist.warn(
            id_,
            title,
            f"{words}: amounts are written with a decimal comma there",
            "Set the integration user's language to English and its country (locale) to en_US.",
            language=language,
            country=country,
        )
    else:
        checklist.ok(id_, title, words, language=language, country=country)


def _result(answer: requests.Response) -> dict[str, object]:
    result = _told(answer)
    return result if isinstance(result, dict) else {}


def _rows(answer: requests.Response) -> list[dict[str, object]]:
    result = _told(answer)
    return [row for row in result if isinstance(row, dict)] if isinstance(result, list) else []


def _told(answer: requests.Response) -> object:
    try:
        return answer.json().get("result")
    except (ValueError, AttributeError):
        return None
