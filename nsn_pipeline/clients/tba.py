"""NetSuite token-based authentication: OAuth 1.0a with HMAC-SHA256, the fallback to OAuth 2.0.

Every call is signed anew, retries included: a nonce and timestamp pair may be used once. Facts and
base string: docs/facts/netsuite.md 3. No replay on 401: five failures lock the token for half an
hour, and nothing could be renewed.
"""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

from requests import PreparedRequest
from requests.auth import AuthBase

END = (
    "NetSuite is ending token-based authentication: no new integrations from 2027.1, removal "
    "tentatively with 2028.1"
)
HOW_TO_MOVE = "Move to OAuth 2.0: docs/connect-netsuite.md, then NETSUITE_AUTH=oauth2."


@dataclass(frozen=True, slots=True)
class TbaCredentials:
    consumer_key: str
    consumer_secret: str = field(repr=False)
    token_id: str
    token_secret: str = field(repr=False)


class TbaAuth(AuthBase):
    """Signs each request. `realm` is the canonical account id, `1234567_SB1`."""

    def __init__(
        self,
        credentials: TbaCredentials,
        *,
        realm: str,
        now: Callable[[], float] = time.time,
        nonce: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._credentials = credentials
        self._realm = realm
        self._now = now
        self._nonce = nonce

    def __repr__(self) -> str:
        return f"TbaAuth(realm={self._realm!r})"

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        parameters = {
            "oauth_consumer_key": self._credentials.consumer_key,
            "oauth_token": self._credentials.token_id,
            "oauth_nonce": self._nonce(),
            "oauth_timestamp": str(int(self._now())),
            "oauth_signature_method": "HMAC-SHA256",
            "oauth_version": "1.0",
        }
        parameters["oauth_signature"] = self._signature(r.method or "", r.url or "", parameters)
        fields = ", ".join(
            f'{name}="{_encoded(value)}"'
            for name, value in {"realm": self._realm, **parameters}.items()
        )
        r.headers["Authorization"] = f"OAuth {fields}"
        return r

    def _signature(self, method: str, url: str, parameters: dict[str, str]) -> str:
        parts = urlsplit(url)
        pairs = [*parameters.items(), *parse_qsl(parts.query, keep_blank_values=True)]
        query = "&".join(
            f"{k}={v}" for k, v in sorted((_encoded(k), _encoded(v)) for k, v in pairs)
        )
        plain = f"{parts.scheme.lower()}://{_authority(parts)}{parts.path}"
        base = "&".join(_encoded(part) for part in (method.upper(), plain, query))
        key = "&".join(
            _encoded(part)
            for part in (self._credentials.consumer_secret, self._credentials.token_secret)
        )
        digest = hmac.new(key.encode(), base.encode(), hashlib.sha256).digest()
        return base64.b64encode(digest).decode()


def _authority(parts: SplitResult) -> str:
    """Host and port; the port that the scheme implies is not signed (RFC 5849 3.4.1.2)."""
    scheme, netloc = parts.scheme.lower(), parts.netloc.lower()
    return netloc.removesuffix({"https": ":443", "http": ":80"}.get(scheme, ":"))


def _encoded(text: str) -> str:
    return quote(text, safe="~")
