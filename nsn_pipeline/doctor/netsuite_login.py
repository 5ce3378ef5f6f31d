"""NetSuite up to a working login: address, clock, key, certificate, token, role.

NetSuite answers a dozen mistakes with the same few words (docs/facts/netsuite.md 2, 9), so what can
be told here, before asking, is told first: a wrong clock or key makes the token request pointless.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path

import requests
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from pydantic import SecretStr

from nsn_pipeline.clients.accounts import (
    SAME_ACCOUNT,
    NetSuiteAccount,
    netsuite_account,
    netsuite_base_url,
)
from nsn_pipeline.clients.grants import NETSUITE_TOKEN_PATH, AssertionSigner, netsuite_token_source
from nsn_pipeline.clients.http import Http
from nsn_pipeline.clients.netsuite import LIMITS_PATH, NetSuiteClient
from nsn_pipeline.clients.suiteql import probe
from nsn_pipeline.clients.tba import END, HOW_TO_MOVE
from nsn_pipeline.clients.tokens import Token
from nsn_pipeline.credentials.private_files import is_open_to_others
from nsn_pipeline.doctor.finding import Checklist, Status, in_its_words
from nsn_pipeline.doctor.settings_checks import CERTIFICATE_VARIABLE
from nsn_pipeline.errors import (
    AuthenticationError,
    ConfigurationError,
    NsnError,
    PermissionDeniedError,
    RequestRefusedError,
)
from nsn_pipeline.settings import NetSuiteSettings

_AHEAD_S = 30  # an assertion "issued in the future" is refused
_BEHIND_S = 240  # our assertions live 300 s
_TBA_S = 270  # the stamp of a signed request may be 300 s off, either way
_DRIFT_S = 10
_SHORT_RSA = 3072
_SOON_DAYS = 30
_M2M = "Setup > Integration > Manage Authentication > OAuth 2.0 Client Credentials (M2M) Setup"
_REFUSALS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN})
_ACCOUNT = re.compile(r"(TSTDRV|TD)?\d+(_[A-Z0-9]+)?")  # a realm that names no account says nothing
_JUDGED_HERE = frozenset(range(200, 500)) - {HTTPStatus.TOO_MANY_REQUESTS}
_COMPARE_ID = (
    "Compare NETSUITE_CLIENT_ID with the consumer key of the integration record in this very "
    "account,"
)
_ENTRY = (
    "the entry must exist there, be neither revoked nor expired, and belong to your private key; "
    "otherwise map certificate, role and entity again. A sandbox refresh clears the list."
)
_NO_RS256 = (
    "This program signs with PS256 or ES256; whatever else signs for this integration must do so "
    "as well, as RS256 is refused."
)
_TICK = "Tick 'Client Credentials (Machine to Machine) Grant' on the integration record"

_CODES: dict[str, tuple[str, str]] = {
    "invalid_client": (
        "NetSuite does not know this client id, or the signature does not match the certificate",
        f"{_COMPARE_ID} and upload the certificate of your private key again: {_M2M}. {_NO_RS256}",
    ),
    "invalid_grant": (
        "NetSuite does not accept the certificate behind the signature, or its mapping is revoked",
        f"Compare NETSUITE_CERTIFICATE_ID with the list under {_M2M}: {_ENTRY}",
    ),
    "invalid_scope": (
        "the integration record does not allow REST web services",
        "Tick the scope 'REST Web Services' on the integration record.",
    ),
    "unauthorized_client": (
        "the integration record does not allow this grant",
        f"{_TICK}, and see that {_M2M} maps certificate, role and entity.",
    ),
}
_NO_CAUSE = (
    "NetSuite refuses the token request",
    f"Read Setup > Users/Roles > View Login Audit Trail, and compare {_M2M}.",
)


@dataclass(frozen=True, slots=True)
class Clocks:
    """Time as the caller has it: tests turn these, nothing waits."""

    now: Callable[[], float]
    sleep: Callable[[float], None]


def plain(secret: SecretStr | None) -> str:
    # `NetSuiteSettings` refuses a section without what its authentication needs.
    return "" if secret is None else secret.get_secret_value()


def check_account(checklist: Checklist, settings: NetSuiteSettings) -> NetSuiteAccount | None:
    """The account, or None when its id cannot be one."""
    try:
        account = netsuite_account(settings.account_id)
    except ConfigurationError as error:
        checklist.fail(
            "netsuite.account",
            "NetSuite account id",
            str(error),
            "Copy the account id from Setup > Company > Company Information to "
            "NETSUITE_ACCOUNT_ID.",
        )
        return None
    kind = _kind(account.account_id)
    words = f"{account.account_id}, a {kind} account"
    checklist.ok("netsuite.account", "NetSuite account id", words, kind=kind)
    return account


def _kind(account_id: str) -> str:
    """Only an id of digits alone is a customer's own live account; `TSTDRV...` are Oracle's."""
    number, _, suffix = account_id.partition("_")
    if suffix:
        return {"SB": "sandbox", "RP": "release preview"}.get(suffix[:2], "special")
    return "production" if number.isdecimal() else "demo or partner"


def check_base_url(checklist: Checklist, account: NetSuiteAccount, given: str | None) -> str | None:
    """Where to call the account; None when the address given is another account's, or none's."""
    try:
        return netsuite_base_url(account, given)
    except ConfigurationError as error:
        detail = str(error).removesuffix(SAME_ACCOUNT).rstrip()
        checklist.fail("netsuite.host", "NetSuite address", detail, SAME_ACCOUNT)
        return None


def check_host(
    checklist: Checklist,
    http: Http,
    account: NetSuiteAccount,
    now: Callable[[], float],
    *,
    tba: bool = False,
) -> bool:
    """Whether NetSuite answers at this address, for this account, at this time of day.

    Asked without credentials: an answer that knows them is no answer to this.
    """
    title = "NetSuite address"
    asked_at = now()
    try:
        answer = http.request("GET", LIMITS_PATH, idempotent=True, returned=_JUDGED_HERE)
    except NsnError as error:
        remedy = (
            "Set NSN_CA_BUNDLE to the certificate authority of your proxy."
            if isinstance(error, ConfigurationError)
            else "Check NETSUITE_ACCOUNT_ID, or copy the address from Setup > Company > Company "
            "Information > Company URLs to NETSUITE_BASE_URL; check proxy and firewall."
        )
        checklist.raise_outage(error, remedy)
        checklist.fail("netsuite.host", title, str(error), remedy)
        return False
    # A bad token gets a 401 by documentation; what a missing one gets is an assumption, so any
    # refusal that offers a way to log in will do (docs/facts/assumptions.md).
    asks_for_login = "WWW-Authenticate" in answer.headers and answer.status_code in _REFUSALS
    if answer.status_code != HTTPStatus.UNAUTHORIZED and not asks_for_login:
        checklist.fail(
            "netsuite.host",
            title,
            f"{http.base_url} answers HTTP {answer.status_code} where NetSuite asks for a login",
            "Copy SuiteTalk's address from Company URLs to NETSUITE_BASE_URL, or unset it.",
        )
        return False
    realm = re.search(r'realm="([^"]+)"', answer.headers.get("WWW-Authenticate", ""))
    named = realm[1].upper().replace("-", "_") if realm else ""
    if realm and _ACCOUNT.fullmatch(named) and named != account.account_id:
        checklist.fail(
            "netsuite.host",
            title,
            f"{http.base_url} belongs to account {realm[1]}, not to {account.account_id}",
            SAME_ACCOUNT,
        )
        return False
    checklist.ok("netsuite.host", title, f"{http.base_url} answers")
    return _check_clock(checklist, answer, asked_at, now(), tba=tba)


def _check_clock(
    checklist: Checklist,
    answer: requests.Response,
    asked_at: float,
    answered_at: float,
    *,
    tba: bool,
) -> bool:
    """The server told its time somewhere between the two instants: a slow answer is no drift."""
    title = "Clock"
    try:
        server = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (KeyError, ValueError):
        checklist.unverified("netsuite.clock", title, "the server does not tell its time")
        return True
    # Its header has whole seconds.
    ahead = round(min(max(asked_at - server - 1, 0), answered_at - server))
    words = f"this machine is {abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} NetSuite"
    remedy = "Synchronise this machine's clock (NTP): what it signs is good for five minutes."
    if ahead > (_TBA_S if tba else _AHEAD_S) or ahead < -(_TBA_S if tba else _BEHIND_S):
        checklist.fail("netsuite.clock", title, words, remedy, ahead_s=ahead)
        return False
    if abs(ahead) > _DRIFT_S:
        checklist.warn("netsuite.clock", title, words, remedy, ahead_s=ahead)
    else:
        checklist.ok("netsuite.clock", title, "in step with NetSuite", ahead_s=ahead)
    return True


def check_key(
    checklist: Checklist, settings: NetSuiteSettings, environment: Mapping[str, str]
) -> AssertionSigner | None:
    """The signer, or None when the key cannot sign what NetSuite takes."""
    try:
        signer = AssertionSigner(
            client_id=plain(settings.client_id),
            certificate_id=plain(settings.certificate_id),
            private_key=plain(settings.private_key),
        )
    except ConfigurationError as error:
        checklist.fail(
            "netsuite.key",
            "NetSuite private key",
            str(error),
            "Make an RSA key of 3072 or 4096 bits, or an EC key on P-256, P-384 or P-521, as an "
            "unencrypted PEM file, and upload its certificate under "
            f"{_M2M}.",
        )
        return None
    _check_key_file(checklist, environment)
    if signer.notes:
        checklist.warn(
            "netsuite.key",
            "NetSuite private key",
            signer.notes[0],
            f"Make a new RSA key of 4096 bits and upload its certificate under {_M2M}.",
            algorithm=signer.algorithm,
        )
    else:
        checklist.ok(
            "netsuite.key",
            "NetSuite private key",
            f"signs with {signer.algorithm}",
            algorithm=signer.algorithm,
        )
    return signer


def _check_key_file(checklist: Checklist, environment: Mapping[str, str]) -> None:
    """A warning only: orchestrators mount secrets readable for a group, or for the container."""
    title = "NetSuite private key file"
    path = environment.get("NETSUITE_PRIVATE_KEY_PATH", "")
    if path and is_open_to_others(Path(path).expanduser()):
        checklist.warn(
            "netsuite.key_file",
            title,
            f"others on this machine can read {path}",
            f"chmod 600 {path}; if others may have read it, make a new key.",
        )


def check_certificate(
    checklist: Checklist, settings: NetSuiteSettings, environment: Mapping[str, str], now: float
) -> None:
    """Days left, when a copy of the certificate is at hand; NetSuite itself does not tell."""
    title = "NetSuite certificate"
    path = environment.get(CERTIFICATE_VARIABLE, "")
    if not path:
        checklist.unverified(
            "netsuite.certificate",
            title,
            "without a copy of the certificate its days left are not known",
            f"Set {CERTIFICATE_VARIABLE} to the certificate file you uploaded.",
        )
        return
    try:
        certificate = x509.load_pem_x509_certificate(Path(path).expanduser().read_bytes())
    except (OSError, ValueError):
        checklist.warn(
            "netsuite.certificate",
            title,
            f"{path} cannot be read as a certificate",
            f"Correct {CERTIFICATE_VARIABLE}: it names a PEM file.",
        )
        return
    again = f"Make a certificate from your private key and upload it under {_M2M}."
    # Our copy may be an old one: what NetSuite holds shows when the token is asked for.
    if not _belongs(certificate, settings):
        checklist.warn(
            "netsuite.certificate",
            title,
            f"{path} is not the certificate of NETSUITE_PRIVATE_KEY",
            again,
        )
        return
    days = (certificate.not_valid_after_utc - datetime.fromtimestamp(now, UTC)).days
    if days < 0:
        checklist.warn("netsuite.certificate", title, "it has expired", again, days_left=days)
    elif days < _SOON_DAYS:
        checklist.warn(
            "netsuite.certificate", title, f"it expires in {days} days", again, days_left=days
        )
    else:
        checklist.ok("netsuite.certificate", title, f"{days} days left", days_left=days)


def _belongs(certificate: x509.Certificate, settings: NetSuiteSettings) -> bool:
    pem = plain(settings.private_key).strip().replace("\\n", "\n").encode()
    own = load_pem_private_key(pem, password=None).public_key()  # check_key has read it before
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return own.public_bytes(*form) == certificate.public_key().public_bytes(*form)


def check_token(
    checklist: Checklist, http: Http, settings: NetSuiteSettings, clocks: Clocks
) -> Callable[[], Token] | None:
    """How to get tokens, once one has been had; None when NetSuite gives none."""
    title = "NetSuite token"
    fetch = netsuite_token_source(
        http,
        client_id=plain(settings.client_id),
        certificate_id=plain(settings.certificate_id),
        private_key=plain(settings.private_key),
        now=clocks.now,
    )
    try:
        token = fetch()
    except AuthenticationError as error:
        _token_refused(checklist, error)
        return None
    except NsnError as error:
        checklist.failed_call("netsuite.token", title, error)
        return None
    life = round(token.expires_at - clocks.now())
    checklist.ok("netsuite.token", title, "NetSuite gives tokens", life_s=life)
    return fetch


def _token_refused(checklist: Checklist, error: AuthenticationError) -> None:
    """The cause behind NetSuite's code, as far as it can be told, and its remedy."""
    title, words = "NetSuite token", in_its_words(error)
    if error.code == "invalid_grant" and checklist.status("netsuite.key") is Status.WARN:
        checklist.fail(
            "netsuite.key",
            "NetSuite private key",
            f"NetSuite refuses the signature: the RSA key is shorter than {_SHORT_RSA} bits, "
            f"or its certificate is not the one that the certificate id names{words}",
            f"Make a new RSA key of 4096 bits, upload its certificate under {_M2M} and set "
            "NETSUITE_CERTIFICATE_ID to the id it gets there.",
        )
        checklist.skip("netsuite.token", title, "a longer key")
        return
    days_left = checklist.fact("netsuite.certificate", "days_left")
    if error.code == "invalid_grant" and isinstance(days_left, int) and days_left < 0:
        checklist.fail(
            "netsuite.certificate",
            "NetSuite certificate",
            f"it has expired, and NetSuite accepts it no more{words}",
            f"Make a certificate from your private key, upload it under {_M2M} and set "
            "NETSUITE_CERTIFICATE_ID to the id it gets there.",
            days_left=days_left,
        )
        checklist.skip("netsuite.token", title, "a certificate that is valid")
        return
    detail, remedy = _CODES.get(error.code, _NO_CAUSE)
    checklist.fail("netsuite.token", title, f"{detail}{words}", remedy, code=error.code)


def note_tba(checklist: Checklist) -> None:
    checklist.warn(
        "netsuite.auth",
        "NetSuite authentication",
        END,
        HOW_TO_MOVE,
    )


def check_login(checklist: Checklist, client: NetSuiteClient, *, tba: bool = False) -> bool:
    """Whether the credentials open the query service: a token can be had without that right."""
    title = "NetSuite role"
    try:
        client.query(probe("transaction"))
    except (AuthenticationError, PermissionDeniedError) as error:
        login_refused(checklist, error, tba=tba)
        return False
    except RequestRefusedError:
        pass  # a table that is hidden is named table by table
    except NsnError as error:
        checklist.failed_call("netsuite.login", title, error)
        return False
    checklist.ok("netsuite.login", title, "the token may query")
    return True


def login_refused(
    checklist: Checklist, error: AuthenticationError | PermissionDeniedError, *, tba: bool
) -> None:
    """What each way to log in hides behind one refusal, and what to do about it."""
    title = "NetSuite role"
    is_login = isinstance(error, AuthenticationError)
    if is_login and error.where and NETSUITE_TOKEN_PATH in error.where.operation:
        _token_refused(checklist, error)
        return
    words = in_its_words(error) if is_login else f" ({error})"
    if tba:
        checklist.fail(
            "netsuite.login",
            title,
            "the signed request is refused, and NetSuite answers the same to each of eleven "
            f"causes{words}",
            "Compare NETSUITE_CONSUMER_KEY, NETSUITE_CONSUMER_SECRET, NETSUITE_TOKEN_ID and "
            "NETSUITE_TOKEN_SECRET, and give the role 'Log in using Access Tokens'. Setup > "
            "Users/Roles > View Login Audit Trail names the cause.",
        )
        return
    checklist.fail(
        "netsuite.login",
        title,
        f"the token is refused for queries{words}",
        "Give the integration's role the permissions 'REST Web Services' (Full), 'Log in using "
        "OAuth 2.0 Access Tokens' (Full) and 'SuiteAnalytics Workbook', and enable the "
        "features REST Web Services and SuiteAnalytics Workbook.",
    )
