"""Who may call: tokens, their re-issue, Basic authentication (1)."""

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

import orjson

from nsn_pipeline.sandbox.servicenow import refusals
from nsn_pipeline.sandbox.servicenow.instance import Instance
from nsn_pipeline.sandbox.servicenow.messages import JSON_BODY, Reply, json_reply
from nsn_pipeline.sandbox.servicenow.options import User

# the same body whatever went wrong, so that nobody can tell the causes apart
FAILURE = orjson.dumps({"error_description": "access_denied", "error": "server_error"})


@dataclass(frozen=True, slots=True)
class Issued:
    """A token and whom it stands for."""

    user_name: str
    expires_at: float


class Authority:
    """Issues and checks tokens. They live in memory: a restart of the instance voids them."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.issued = 0
        self._access: dict[str, Issued] = {}
        self._refresh: dict[str, Issued] = {}
        self._current: dict[str, str] = {}  # user -> running access token

    # -- endpoints -------------------------------------------------------------------------
    def token(self, method: str, headers: dict[str, str], body: bytes) -> Reply:
        kind = headers.get("content-type", "")
        if method != "POST" or not kind.startswith("application/x-www-form-urlencoded"):
            return _failure()
        try:
            form = dict(parse_qsl(body.decode(), keep_blank_values=True))
        except UnicodeDecodeError:
            return _failure()
        if not self._client_is_right(form, headers):
            return _failure()
        grant = form.get("grant_type", "")
        user = self._grant(grant, form)
        if user is None or not user.active or user.locked_out:
            return _failure()
        answer = self._issue(user)
        if grant == "password":
            answer["refresh_token"] = self._new_refresh(user)
        return json_reply(200, answer)

    def revoke(self, query: str) -> Reply:
        token = dict(parse_qsl(query)).get("token", "")
        self._access.pop(token, None)
        self._refresh.pop(token, None)
        return Reply(200, b"", [JSON_BODY])

    def expire_all(self) -> None:
        """For fault plans: every running access token dies now."""
        self._access.clear()
        self._current.clear()

    # -- checking a call -------------------------------------------------------------------
    def authenticate(self, header: str) -> User:
        scheme, _, credential = header.partition(" ")
        user: User | None = None
        if scheme.lower() == "bearer":
            issued = self._access.get(credential.strip())
            if issued is not None and issued.expires_at > self.instance.clock():
                user = self.instance.user(issued.user_name)
        elif scheme.lower() == "basic" and self.instance.options.basic_auth:
            name, password = _basic(credential)
            user = self._with_password(name, password)
        if user is None or not user.active or user.locked_out:
            raise refusals.not_authenticated()
        return user

    # -- inner -----------------------------------------------------------------------------
    def _client_is_right(self, form: dict[str, str], headers: dict[str, str]) -> bool:
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
        header = headers.get("authorization", "")
        if not secret and header.lower().startswith("basic "):
            client_id, secret = (unquote(part) for part in _basic(header[6:]))
        options = self.instance.options
        return _same(client_id, options.client_id) and _same(secret, options.client_secret)

    def _grant(self, grant: str, form: dict[str, str]) -> User | None:
        options = self.instance.options
        if grant == "client_credentials" and options.client_credentials_grant:
            return self.instance.user(options.oauth_user) if options.oauth_user else None
        if grant == "password" and options.password_grant:
            return self._with_password(form.get("username", ""), form.get("password", ""))
        if grant == "refresh_token":
            issued = self._refresh.get(form.get("refresh_token", ""))
            if issued is not None and issued.expires_at > self.instance.clock():
                return self.instance.user(issued.user_name)
        return None

    def _with_password(self, name: str, password: str) -> User | None:
        user = self.instance.user(name)
        return user if user and password and _same(password, user.password) else None

    def _issue(self, user: User) -> dict[str, object]:
        """The running token with what is left of its life; a new one only when that is over."""
        now = self.instance.clock()
        token = self._current.get(user.user_name, "")
        issued = self._access.get(token)
        if issued is None or issued.expires_at - now < 1:
            self._access.pop(token, None)
            token = secrets.token_urlsafe(48)
            issued = Issued(user.user_name, now + self.instance.options.token_life_s)
            self._access[token] = issued
            self._current[user.user_name] = token
            self.issued += 1
        return {
            "access_token": token,
            "scope": "useraccount",
            "token_type": "Bearer",
            "expires_in": int(issued.expires_at - now),
        }

    def _new_refresh(self, user: User) -> str:
        token = secrets.token_urlsafe(48)
        expires_at = self.instance.clock() + self.instance.options.refresh_token_life_s
        self._refresh[token] = Issued(user.user_name, expires_at)
        return token


def _failure() -> Reply:
    return Reply(401, FAILURE, [JSON_BODY])


def _basic(credential: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(credential, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    name, _, password = text.partition(":")
    return name, password


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())
