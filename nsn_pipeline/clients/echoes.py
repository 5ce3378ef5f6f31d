"""What a server may quote of the credentials it was sent, as a whole and part by part.

`answers.masked` takes these out of whatever is told to people.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

import requests

_OAUTH_PART = re.compile(r'(\w+)="([^"]*)"')
_OAUTH_SECRETS = frozenset({"oauth_consumer_key", "oauth_token", "oauth_signature", "oauth_nonce"})
_SECRET_FIELDS = ("client_secret", "password", "refresh_token", "client_id")
_HALF_SECRETS = frozenset({"kid", "iss", "sub"})  # who asks, as an assertion has it
_SHORTEST_ID = 8  # ids are long; a short one would be cut out of every other word


def credential_of(request: requests.PreparedRequest) -> str:
    """The secret part of the Authorization header that was sent."""
    return str(request.headers.get("Authorization", "")).partition(" ")[2]


def secrets_of(request: requests.PreparedRequest) -> list[str]:
    """What a server may echo of the credentials it was sent: as a whole, and part by part."""
    credential = credential_of(request)
    scheme = str(request.headers.get("Authorization", "")).partition(" ")[0].lower()
    parts: list[str] = []
    if scheme == "basic":
        parts = _basic_parts(credential)
    elif scheme == "oauth":
        for name, value in _OAUTH_PART.findall(credential):
            if name in _OAUTH_SECRETS:
                parts += [value, unquote(value)]
    # The longest first: a part must not be cut out of what would be recognised as a whole.
    return sorted({credential, *parts} - {""}, key=len, reverse=True)


def form_secrets(data: object) -> Iterator[str]:
    """What a server may echo of a token request; a client id is half a secret."""
    if not isinstance(data, Mapping):
        return
    for name in _SECRET_FIELDS:
        value = str(data.get(name, ""))
        if name != "client_id" or len(value) >= _SHORTEST_ID:
            yield value
    assertion = str(data.get("client_assertion", ""))
    yield assertion
    for part in assertion.split("."):
        if len(part) >= _SHORTEST_ID:
            yield part
            yield from _who_asks(part)


def _who_asks(part: str) -> Iterator[str]:
    """An answer may tell what it read in a part of the assertion."""
    try:
        content = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError:  # the signature
        return
    if isinstance(content, dict):
        for name in _HALF_SECRETS & content.keys():
            if len(str(content[name])) >= _SHORTEST_ID:
                yield str(content[name])


def _basic_parts(credential: str) -> list[str]:
    try:
        login = base64.b64decode(credential).decode()
    except ValueError:
        return []
    return [login, login.partition(":")[2]]
