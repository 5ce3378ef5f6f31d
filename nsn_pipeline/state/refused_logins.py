"""Refused logins that processes tell each other of, through Redis.

Implements `clients.refusals.RefusalMemory` for one login. What is kept is for the credentials that
were refused and for no others: it holds a digest of them, sealed with the key of the token cache,
as a password could be guessed from its digest. Whatever goes wrong with it costs one more try.
"""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path

import redis
from cryptography.fernet import InvalidToken, MultiFernet
from pydantic import SecretStr

from nsn_pipeline.clients.refusals import LoginGuard, Refusal
from nsn_pipeline.errors import NsnError
from nsn_pipeline.settings import (
    CREDENTIALS_FILE,
    NetSuiteSettings,
    ProjectSettings,
    ServiceNowSettings,
)
from nsn_pipeline.state.connection import translated
from nsn_pipeline.state.tokens import load_cipher

_log = logging.getLogger(__name__)
# Far longer than a refusal holds: until then it counts as the same one again.
KEPT_S = 6 * 3600


class RedisRefusals:
    """The last refusal of one login, under `nsn:refused-login:<name>`."""

    def __init__(
        self,
        client: Callable[[], redis.Redis],
        *,
        cipher: Callable[[], MultiFernet],
        name: str,
        digest: str,
    ) -> None:
        self._client = client
        self._cipher = cipher
        self._key = f"nsn:refused-login:{name}"
        self._digest = digest

    def read(self) -> Refusal | None:
        """The refusal of these very credentials, or None."""
        try:
            with translated("read the last refused login"):
                sealed = self._client().get(self._key)
        except NsnError as error:
            _log.warning("refused_logins_away error=%s", error)
            return None
        if not isinstance(sealed, str):
            return None
        try:
            digest, *values = json.loads(self._cipher().decrypt(sealed.encode()))
            return Refusal(*values) if digest == self._digest else None
        except (InvalidToken, ValueError, TypeError):  # another key, or another version wrote it
            return None

    def keep(self, refusal: Refusal) -> None:
        """Tell the others."""
        content = json.dumps([self._digest, *astuple(refusal)]).encode()
        try:
            with translated("keep a refused login"):
                self._client().set(self._key, self._cipher().encrypt(content), ex=KEPT_S)
        except NsnError as error:
            _log.warning("refused_logins_away error=%s", error)

    def forget(self) -> None:
        """The login works, or is to be tried afresh."""
        try:
            with translated("forget a refused login"):
                self._client().delete(self._key)
        except NsnError as error:
            _log.warning("refused_logins_away error=%s", error)


def login_guard(
    section: NetSuiteSettings | ServiceNowSettings,
    project: ProjectSettings,
    *,
    client: Callable[[], redis.Redis],
    now: Callable[[], float],
) -> LoginGuard:
    """What stands before the calls of one system: one memory per login, whatever the profile."""

    def cipher() -> MultiFernet:
        key = project.master_key.get_secret_value() if project.master_key else None
        return load_cipher(key, project.home, project.master_key_file)

    told = [
        (name, value.get_secret_value() if isinstance(value, SecretStr) else repr(value))
        for name, value in section
    ]
    # A person who sets the same credentials once more wants them tried.
    digest = _hash([*told, _stored_at(project.home / CREDENTIALS_FILE)])
    memory = RedisRefusals(client, cipher=cipher, name=_name(section), digest=digest)
    return LoginGuard(memory, now=now)


def _name(section: NetSuiteSettings | ServiceNowSettings) -> str:
    """Which login of which account: by its ids, which are hashed as they are half a secret."""
    if isinstance(section, NetSuiteSettings):
        system, account = "netsuite", section.account_id
        ids = (section.client_id, section.certificate_id, section.consumer_key, section.token_id)
    else:
        system, account = "servicenow", section.instance
        ids = (section.client_id, section.username)
    shown = [None if one is None else one.get_secret_value() for one in ids]
    return f"{system}:{_hash([account, section.base_url, section.auth, *shown])[:24]}"


def _stored_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:  # all credentials are in the environment
        return 0


def _hash(parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
