"""What an HTTP answer means: nothing wrong, or which error of `errors.py`.

Pure: status, headers and body in, an exception (not raised) or None out. Both vendors are judged
here, because their error bodies tell themselves apart, and because an answer inside a ServiceNow
batch is judged exactly like one that came on its own.

Documented and observed behaviour: docs/facts/netsuite.md 4.6 and 5, docs/facts/servicenow.md 2.3,
2.4 and 6.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from html import escape
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, quote_plus

import orjson

from nsn_pipeline.errors import (
    AuthenticationError,
    MissingTableError,
    NsnError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RequestRefusedError,
    ServerFaultError,
    ThrottledError,
    TransientError,
    UnexpectedResponseError,
    Where,
)

_BEGINNING = 16  # characters of a secret that was cut short: fewer may be of an ordinary word
_MAX_WORDS = 300  # vendor text quoted in a message: enough to act on, never a whole payload
_TIME_LIMIT = "maximum execution time exceeded"

# A 401 says the same whatever went wrong, so the message lists what the server hides.
HIDDEN_CAUSES = {
    "netsuite": (
        "the role lacks 'REST Web Services', or 'Log in using OAuth 2.0 Access Tokens'",
        "token-based authentication: the role lacks 'Log in using Access Tokens'",
        "the integration record is disabled or belongs to another account",
        "the certificate or token was revoked, or lost in a sandbox refresh",
        "token-based authentication: wrong account id, a clock five minutes off, a locked token",
        "NetSuite's Login Audit Trail names the reason",
    ),
    "servicenow": (
        "wrong user name, password or client secret",
        "the integration user is inactive or locked out, or its password needs a reset",
        "Basic authentication is restricted on this instance",
        "no OAuth Application User is set on the OAuth entity",
    ),
}

# Kinds of a refused ServiceNow write; they become `RequestRefusedError.code`.
_WRITE_REFUSALS = (
    ("data policy exception", "data_policy"),
    ("aborted by business rule", "business_rule"),
    ("unique key violation", "unique_key"),
    ("error during insert of", "unique_key"),
)
_ACL_WORDS = ("acl exception", "failed api level acl", "insufficient rights", "user not authorized")
_UNICODE = re.compile(r"\\u([0-9a-f]{4})")
_PERCENT = re.compile(r"%[0-9A-F]{2}")
_INVALID_TABLE = re.compile(r"Invalid table (?P<name>\S+)")


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, whether it came on its own or inside a batch."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)  # may echo credentials


@dataclass(frozen=True, slots=True)
class VendorWords:
    """A vendor's own account of an error, whichever of the three shapes it came in."""

    code: str = ""
    text: str = ""


def judge(
    answer: Answer, where: Where, *, now: float, secrets: Iterable[str] = ()
) -> NsnError | None:
    """The error this answer stands for, or None when it is a success.

    `secrets` are removed from any vendor text that is quoted.
    """
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return _judge_success(answer, where, secrets)
    words = read_words(answer.body, secrets)
    rule = _RULES.get(answer.status)
    if rule is not None:
        return rule(answer, where, words, now)
    if (
        answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        or answer.status == HTTPStatus.REQUEST_TIMEOUT
    ):
        advice = retry_after_s(answer.headers, now=now)
        return ServerFaultError(
            _said("the server failed", words), where=where, retry_after_s=advice
        )
    if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
        return UnexpectedResponseError(
            "redirected instead of answered: wrong address, or a login page in the way", where=where
        )
    return RequestRefusedError(
        _said("the request was refused", words), where=where, code=words.code, detail=words.text
    )


def unknown_if_unsafe(error: NsnError) -> NsnError:
    """What `error` means for a request that must not be repeated blindly.

    Throttling is decided before any work is done, so it stays what it is; every other passing
    failure leaves open whether the write happened (docs/facts/servicenow.md 2.4, 6).
    """
    if not isinstance(error, TransientError) or isinstance(error, ThrottledError):
        return error
    unknown = OutcomeUnknownError(f"{error}: the write may or may not have happened")
    unknown.where = error.where
    return unknown


def refused_login(system: str, where: Where, words: VendorWords) -> AuthenticationError:
    causes = "; ".join(HIDDEN_CAUSES.get(system.lower(), ()))
    hint = f". The server does not say why; possible causes: {causes}" if causes else ""
    message = _said("credentials refused", words).rstrip(".") + hint
    return AuthenticationError(message, where=where, code=words.code, said=words.text)


def read_words(body: bytes, secrets: Iterable[str] = ()) -> VendorWords:
    """Read `o:errorDetails` (NetSuite), `error.message/detail` (ServiceNow) or OAuth's `error`."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return VendorWords()
    if not isinstance(data, dict):
        return VendorWords()
    code, parts = _words_of(data)
    text = ": ".join(part for part in parts if part)
    return VendorWords(_clean(code, secrets), _clean(text, secrets))


def retry_after_s(headers: Mapping[str, str], *, now: float) -> float | None:
    """Seconds the server asks us to wait; it may say so in seconds or as a date."""
    value = headers.get("Retry-After", "").strip()
    if not value:
        return None
    try:
        return max(float(value), 0.0) if value[0].isdigit() else _seconds_until(value, now)
    except ValueError:
        return None


def _seconds_until(date: str, now: float) -> float:
    moment = parsedate_to_datetime(date)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(aware.timestamp() - now, 0.0)


def _words_of(data: dict[str, Any]) -> tuple[str, list[str]]:
    details = data.get("o:errorDetails")
    if isinstance(details, list):
        entries = [entry for entry in details if isinstance(entry, dict)]
        code = next((str(entry.get("o:errorCode") or "") for entry in entries), "")
        return code, [str(entry.get("detail") or "") for entry in entries]
    error = data.get("error")
    if isinstance(error, dict):
        return "", [str(error.get("message") or ""), str(error.get("detail") or "")]
    if isinstance(error, str):
        return error, [error, str(data.get("error_description") or "")]
    return str(data.get("o:errorCode") or ""), [str(data.get("title") or "")]


def masked(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets, however a server dresses what it echoes.

    A form and a query carry them percent-encoded, and gateways quote bodies escaped for HTML or
    JSON. Long ones may be cut short: their beginning goes with as much as follows of them.
    """
    dressed = {one for secret in secrets if secret for one in _dressings(secret)}
    longest_first = sorted(dressed, key=len, reverse=True)
    for one in longest_first:
        text = _without(text, one, longest_first)
    return text


def _without(text: str, secret: str, secrets: Sequence[str]) -> str:
    beginning = secret[:_BEGINNING]
    at = text.find(beginning)
    while at >= 0:
        # Several may begin alike, as tokens do: the one that was quoted goes on for longest.
        length = max(_shared(text, at, one) for one in secrets)
        text = f"{text[:at]}***{text[at + length :]}"
        at = text.find(beginning, at + 3)
    return text


def _shared(text: str, at: int, secret: str) -> int:
    """How much of the secret stands there: all of it, a beginning that is long enough, or 0."""
    pairs = zip(text[at : at + len(secret)], secret, strict=False)
    length = next((n for n, (told, kept) in enumerate(pairs) if told != kept), None)
    if length is None:  # the text or the secret ends here
        length = min(len(text) - at, len(secret))
    return length if length >= min(_BEGINNING, len(secret)) else 0


@lru_cache(maxsize=256)
def _dressings(secret: str) -> frozenset[str]:
    quoted = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    quoted |= {_PERCENT.sub(lambda found: found[0].lower(), one) for one in quoted}
    html = escape(secret)
    html_too = html.replace("&#x27;", "&#39;").replace("&quot;", "&#34;")
    ascii_json = json.dumps(secret)[1:-1]
    written = {orjson.dumps(secret).decode()[1:-1], ascii_json, _upper_escapes(ascii_json)}
    written |= {one.replace("/", "\\/") for one in written}
    return frozenset({secret, html, html_too, *written, *quoted})


def _upper_escapes(text: str) -> str:
    return _UNICODE.sub(lambda found: f"\\u{found[1].upper()}", text)


def _clean(text: str, secrets: Iterable[str]) -> str:
    text = " ".join(masked(text, secrets).split())
    return text if len(text) <= _MAX_WORDS else f"{text[:_MAX_WORDS]}..."


def _said(what: str, words: VendorWords) -> str:
    code = f" [{words.code}]" if words.code and words.code not in words.text else ""
    return f"{what}{code}: {words.text}" if words.text else f"{what}{code}"


def _judge_success(answer: Answer, where: Where, secrets: Iterable[str]) -> NsnError | None:
    if answer.status == HTTPStatus.NO_CONTENT:
        return None
    if answer.status == HTTPStatus.ACCEPTED:
        # ServiceNow drops what queues up behind one session (docs/facts/servicenow.md 1.2).
        return ServerFaultError("accepted but not done", where=where)
    if not answer.body.strip():
        return ServerFaultError("an empty body where JSON was expected", where=where)
    try:
        data = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return ServerFaultError(_why_not_json(answer), where=where)
    if isinstance(data, dict) and data.get("error"):
        words = read_words(answer.body, secrets)
        return ServerFaultError(_said("an error in a successful answer", words), where=where)
    return None


def _why_not_json(answer: Answer) -> str:
    start = answer.body[:4096].lower()
    if b"hibernating" in start:
        return "the instance is hibernating: wake it at developer.servicenow.com"
    if start.lstrip().startswith((b"<!doctype", b"<html")):
        return "an HTML page where JSON was expected (outage, login page or gateway)"
    if _TIME_LIMIT.encode() in answer.body[-4096:]:
        return f"the answer was cut short: {_TIME_LIMIT}"
    return "a truncated or malformed JSON body"


def _judge_400(answer: Answer, where: Where, words: VendorWords, now: float) -> NsnError:
    del answer, now
    table = _INVALID_TABLE.search(words.text)
    if table:
        return MissingTableError(words.text, name=table["name"].rstrip(":"), where=where)
    return RequestRefusedError(
        _said("the request was refused", words), where=where, code=words.code, detail=words.text
    )


def _judge_401(answer: Answer, where: Where, words: VendorWords, now: float) -> NsnError:
    del answer, now
    return refused_login(where.system, where, words)


def _judge_403(answer: Answer, where: Where, words: VendorWords, now: float) -> NsnError:
    """Tell a missing right from refused content: ServiceNow answers 403 to both."""
    del answer, now
    text = words.text.lower()
    for phrase, code in _WRITE_REFUSALS:
        if phrase in text:
            return RequestRefusedError(words.text, where=where, code=code, detail=words.text)
    if "operation failed" in text and not any(phrase in text for phrase in _ACL_WORDS):
        return RequestRefusedError(
            words.text, where=where, code="operation_failed", detail=words.text
        )
    hint = ""
    if "insufficient rights to query" in text:
        hint = "; a queried column may be unreadable, or may not exist"
    return PermissionDeniedError(_said("not allowed", words) + hint, where=where)


def _judge_404(answer: Answer, where: Where, words: VendorWords, now: float) -> NsnError:
    del answer, now
    return RequestRefusedError(
        _said("not found, or hidden from this user", words),
        where=where,
        code=words.code or "not_found",
        detail=words.text,
    )


def _judge_429(answer: Answer, where: Where, words: VendorWords, now: float) -> NsnError:
    advice = retry_after_s(answer.headers, now=now)
    return ThrottledError(_said("too many requests", words), where=where, retry_after_s=advice)


_RULES: dict[int, Callable[[Answer, Where, VendorWords, float], NsnError]] = {
    HTTPStatus.BAD_REQUEST: _judge_400,
    HTTPStatus.UNAUTHORIZED: _judge_401,
    HTTPStatus.FORBIDDEN: _judge_403,
    HTTPStatus.NOT_FOUND: _judge_404,
    HTTPStatus.TOO_MANY_REQUESTS: _judge_429,
}
