"""Refused logins that processes tell each other of, through Redis.

Implements `clients.refusals.RefusalMemory` for one login: for what the vendor is shown, the secrets
included, and for nothing else, so that homes which differ in other settings share it, and another
password is another login. A password could be guessed from its digest: the name of the entry is
keyed, and the entry sealed, with the key of the token cache.

Homes with different keys know nothing of each other's refusals, as they share no tokens either:
each keeps the bound of three within half an hour for itself. Nor can one write over the other's
entry, as their names differ. Hosts that share a Redis should share `NSN_MASTER_KEY`. Of several
keys (one replaces another) each has an entry of its own, and the first that is found counts.

A Redis that is away costs one more try. A key that cannot be used stops the login: without it every
process would try again and again.
"""

import base64
import hmac
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple

import redis
from cryptography.fernet import Fernet, InvalidToken
from pydantic import SecretStr

from nsn_pipeline.clients.accounts import netsuite_account, netsuite_base_url, servicenow_instance
from nsn_pipeline.clients.refusals import LoginGuard, Refusal
from nsn_pipeline.errors import ConfigurationError, NsnError
from nsn_pipeline.settings import NetSuiteSettings, ProjectSettings, ServiceNowSettings
from nsn_pipeline.state.connection import translated
from nsn_pipeline.state.tokens import load_keys

_log = logging.getLogger(__name__)
# Far longer than a refusal holds: until then it counts as the same one again.
KEPT_S = 6 * 3600
# KEYS: the entry. ARGV: what it was ('' for nothing), what it becomes (the same), seconds.
SWAP = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1])
else redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) end
return 1
"""


class RedisRefusals:
    """The last refusal of one login, under `nsn:refused-login:<system>:<keyed digest>`."""

    def __init__(
        self,
        client: Callable[[], redis.Redis],
        *,
        keys: Callable[[], list[str]],
        system: str,
        login: list[str],
    ) -> None:
        self._client = client
        self._keys = keys
        self._system = system
        self._login = login
        self._places: list[tuple[str, Fernet]] = []

    def read(self) -> Refusal | None:
        """The refusal of these very credentials, or None.

        Raises ConfigurationError for a key that cannot be used, as `swap` does.
        """
        places = self._named()
        try:
            return self._found(places)[0]
        except NsnError as error:
            _log.warning("refused_logins_away error=%s", error)
            return None

    def swap(self, seen: Refusal | None, refusal: Refusal | None) -> bool:
        """Put `refusal` where `seen` still is; True as well when nobody can tell."""
        places = self._named()
        try:
            found, name, cipher, stored = self._found(places)
            if found != seen:
                return False
            content = "" if refusal is None else self._sealed(refusal, cipher)
            with translated("keep a refused login"):
                return bool(self._client().eval(SWAP, 1, name, stored, content, KEPT_S))
        except NsnError as error:
            _log.warning("refused_logins_away error=%s", error)
            return True

    def _found(
        self, places: Sequence[tuple[str, Fernet]]
    ) -> tuple[Refusal | None, str, Fernet, str]:
        """The refusal, the name of its entry, what opens it, and the entry as it is."""
        with translated("read the last refused login"):
            stored = [str(text or "") for text in self._client().mget([n for n, _ in places])]
        for (name, cipher), text in zip(places, stored, strict=True):
            refusal = _opened(text, cipher)
            if refusal is not None:
                return refusal, name, cipher, text
        return None, *places[0], stored[0]

    def _named(self) -> list[tuple[str, Fernet]]:
        if not self._places:
            self._places = [(self._name(key), Fernet(key)) for key in self._keys()]
        return self._places

    def _name(self, key: str) -> str:
        text = f"refused login\n{json.dumps(self._login)}"
        digest = hmac.new(base64.urlsafe_b64decode(key), text.encode(), "sha256").hexdigest()
        return f"nsn:refused-login:{self._system}:{digest}"

    def _sealed(self, refusal: Refusal, cipher: Fernet) -> str:
        return cipher.encrypt(json.dumps(astuple(refusal)).encode()).decode()


def _opened(text: str, cipher: Fernet) -> Refusal | None:
    try:
        return Refusal(*json.loads(cipher.decrypt(text.encode())))
    except (InvalidToken, ValueError, TypeError):  # none, or damaged
        return None


def login_guard(
    section: NetSuiteSettings | ServiceNowSettings,
    project: ProjectSettings,
    *,
    client: Callable[[], redis.Redis],
    now: Callable[[], float],
) -> LoginGuard:
    """What stands before the calls of one system: one memory per login, whatever the profile."""

    def keys() -> list[str]:
        key = project.master_key.get_secret_value() if project.master_key else None
        return load_keys(key, project.home, project.master_key_file)

    system = "netsuite" if isinstance(section, NetSuiteSettings) else "servicenow"
    memory = RedisRefusals(client, keys=keys, system=system, login=list(_login(section)))
    return LoginGuard(memory, now=now)


def _login(section: NetSuiteSettings | ServiceNowSettings) -> Iterator[str]:
    """What makes the login: whom it is shown to, and what the chosen way to log in shows."""
    yield section.auth
    yield from _shown_to(section)
    if isinstance(section, ServiceNowSettings):
        basic = section.auth == "basic"
        secrets = (
            (section.username, section.password)
            if basic
            else (section.client_id, section.client_secret)
        )
    elif section.auth == "tba":
        secrets = (
            section.consumer_key, section.consumer_secret, section.token_id, section.token_secret,
        )  # fmt: skip
    else:
        secrets = (section.client_id, section.certificate_id, section.private_key)
    yield from map(_plain, secrets)


def _shown_to(section: NetSuiteSettings | ServiceNowSettings) -> tuple[str, str]:
    """Account and address, in one spelling; what is none is refused where it is used."""
    if isinstance(section, NetSuiteSettings):
        name, url = section.account_id, section.base_url or ""
        try:
            account = netsuite_account(section.account_id)
            name, url = account.account_id, netsuite_base_url(account, section.base_url)
        except ConfigurationError:
            pass
    else:
        name, url = section.instance, section.base_url or ""
        try:
            instance = servicenow_instance(section.instance)
            name, url = instance.name, section.base_url or instance.base_url
        except ConfigurationError:
            pass
    return name, url.strip().rstrip("/")


def _plain(secret: SecretStr | None) -> str:
    """A private key is the same with its line breaks written out."""
    text = "" if secret is None else secret.get_secret_value()
    return text.strip().replace("\\n", "\n") if "-----BEGIN" in text else text
