"""Token-based authentication: OAuth 1.0a with HMAC-SHA256 (docs/facts/netsuite.md 3).

Every failure is one uniform 401; the reason only stands in the audit trail, as in NetSuite.
"""

import base64
import hashlib
import hmac
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote

from nsn_pipeline.sandbox.netsuite.errors import bad_login
from nsn_pipeline.sandbox.netsuite.options import NetSuiteOptions, TbaCredentials

_PAIR = re.compile(r'\s*([A-Za-z_]+)="([^"]*)"\s*(?:,|\Z)')
_WINDOW_S = 300
_NONCE_LENGTH = 6
_REQUIRED = ("oauth_consumer_key", "oauth_token", "oauth_nonce", "oauth_timestamp",
             "oauth_signature_method", "oauth_signature")  # fmt: skip


def parse_header(header: str) -> dict[str, str]:
    """The parameters of an `Authorization: OAuth` header; empty when it is malformed."""
    rest = header[len("OAuth") :].strip()
    found: dict[str, str] = {}
    at = 0
    while at < len(rest):
        match = _PAIR.match(rest, at)
        if match is None or match[1] in found:
            return {}
        found[match[1]] = unquote(match[2])
        at = match.end()
    return found


def _encoded(text: str) -> str:
    return quote(text, safe="-._~")


def base_string(method: str, url: str, query: str, oauth: dict[str, str]) -> str:
    """RFC 5849 3.4.1: the query parameters are signed, `realm` and the body are not."""
    pairs = parse_qsl(query, keep_blank_values=True)
    pairs += [
        (name, value) for name, value in oauth.items() if name not in {"realm", "oauth_signature"}
    ]
    joined = "&".join(
        f"{name}={value}" for name, value in sorted((_encoded(n), _encoded(v)) for n, v in pairs)
    )
    return "&".join((method.upper(), _encoded(url), _encoded(joined)))


def signature(base: str, credentials: TbaCredentials) -> str:
    """base64(HMAC-SHA256) under both secrets."""
    key = f"{_encoded(credentials.consumer_secret)}&{_encoded(credentials.token_secret)}"
    digest = hmac.new(key.encode(), base.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


@dataclass(slots=True)
class TbaService:
    """Checks signed requests; remembers nonces for as long as their time stamp is accepted."""

    options: NetSuiteOptions
    clock: Callable[[], float]
    audit: list[str] = field(default_factory=list[str])
    _seen: dict[tuple[str, str, str], float] = field(
        default_factory=dict[tuple[str, str, str], float]
    )
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self, header: str, method: str, urls: Sequence[str], query: str) -> None:
        """Accept the request, or raise the one 401 with the reason in `audit`."""
        reason = self._refusal(parse_header(header), method, urls, query)
        if reason:
            self.audit.append(reason)
            raise bad_login(f'OAuth realm="{self.options.realm}", error="token_rejected"')

    def _refusal(  # noqa: PLR0911 - one return per documented reason
        self, oauth: dict[str, str], method: str, urls: Sequence[str], query: str
    ) -> str | None:
        if not all(oauth.get(name) for name in _REQUIRED):
            return "MissingTokenPassportRequiredFields"
        if oauth.get("realm") != self.options.realm:
            return "MissingTokenPassportRequiredFields"
        if oauth["oauth_signature_method"] != "HMAC-SHA256":
            return "UnknownAlgorithm"
        if oauth.get("oauth_version", "1.0") != "1.0":
            return "MissingTokenPassportRequiredFields"
        consumers = [c for c in self.options.tba if c.consumer_key == oauth["oauth_consumer_key"]]
        if not consumers:
            return "consumer_key_unknown"
        found = next((c for c in consumers if c.token_id == oauth["oauth_token"]), None)
        if found is None:
            return "token_rejected"
        if not oauth["oauth_timestamp"].isdigit() or (
            abs(int(oauth["oauth_timestamp"]) - self.clock()) > _WINDOW_S
        ):
            return "InvalidTimestamp"
        if len(oauth["oauth_nonce"]) < _NONCE_LENGTH:
            return "MissingTokenPassportRequiredFields"
        expected = [signature(base_string(method, url, query, oauth), found) for url in urls]
        if not any(hmac.compare_digest(one, oauth["oauth_signature"]) for one in expected):
            return "InvalidSignature"
        return self._nonce_refusal(oauth)

    def _nonce_refusal(self, oauth: dict[str, str]) -> str | None:
        key = (oauth["oauth_token"], oauth["oauth_nonce"], oauth["oauth_timestamp"])
        now = self.clock()
        with self._lock:
            for old in [k for k, seen in self._seen.items() if seen < now - 2 * _WINDOW_S]:
                del self._seen[old]
            if key in self._seen:
                return "NonceUsed"
            self._seen[key] = now
        return None
