"""Processes tell each other of a refused login: for these credentials only, and never in clear."""

import logging
import os
from pathlib import Path

import pytest
import redis
from cryptography.fernet import Fernet

from nsn_pipeline.clients.refusals import LoginGuard
from nsn_pipeline.errors import AuthenticationError
from nsn_pipeline.settings import CREDENTIALS_FILE, load_settings
from nsn_pipeline.state.refused_logins import KEPT_S, login_guard

GIVEN = {
    "NETSUITE_ACCOUNT_ID": "1234567",
    "NETSUITE_AUTH": "tba",
    "NETSUITE_CONSUMER_KEY": "consumer",
    "NETSUITE_CONSUMER_SECRET": "consumer-secret",
    "NETSUITE_TOKEN_ID": "token",
    "NETSUITE_TOKEN_SECRET": "token-secret",
    "SERVICENOW_INSTANCE": "acme",
    "SERVICENOW_AUTH": "basic",
    "SERVICENOW_USERNAME": "user",
    "SERVICENOW_PASSWORD": "Summer2026",
}
REFUSED = AuthenticationError("credentials refused")


def guard(
    client: redis.Redis, home: Path, system: str = "servicenow", **changes: str
) -> LoginGuard:
    settings = load_settings({**GIVEN, "NSN_HOME": str(home), **changes})
    section = {"netsuite": settings.netsuite, "servicenow": settings.servicenow}[system]
    return login_guard(section, settings.project, client=lambda: client, now=lambda: 1000.0)


def test_another_process_learns_of_a_refusal_and_of_no_secret(
    client: redis.Redis, tmp_path: Path
) -> None:
    guard(client, tmp_path).refused(REFUSED, renewable=False)
    assert guard(client, tmp_path).holding() is not None
    (key,) = client.keys("nsn:refused-login:servicenow:*")
    stored = f"{key} {client.get(key)}"
    assert not any(secret in stored for secret in ("Summer", "user", "refused:", "credentials"))
    assert KEPT_S - 5 < client.ttl(key) <= KEPT_S


@pytest.mark.parametrize(
    "changes",
    [
        {"SERVICENOW_PASSWORD": "Autumn2026"},
        {"SERVICENOW_USERNAME": "another"},
        {"SERVICENOW_INSTANCE": "acmetest"},
        {"NSN_MASTER_KEY": Fernet.generate_key().decode()},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_other_credentials_are_tried_at_once(
    client: redis.Redis, tmp_path: Path, changes: dict[str, str]
) -> None:
    guard(client, tmp_path).refused(REFUSED, renewable=False)
    assert guard(client, tmp_path, **changes).holding() is None


def test_each_system_has_its_own(client: redis.Redis, tmp_path: Path) -> None:
    guard(client, tmp_path, "netsuite").refused(REFUSED, renewable=False)
    assert guard(client, tmp_path, "servicenow").holding() is None
    assert guard(client, tmp_path, "netsuite", SERVICENOW_PASSWORD="x").holding() is not None
    assert guard(client, tmp_path, "netsuite", NETSUITE_TOKEN_SECRET="x").holding() is None


def test_setting_the_same_credentials_once_more_has_them_tried(
    client: redis.Redis, tmp_path: Path
) -> None:
    stored = tmp_path / CREDENTIALS_FILE
    key = Fernet.generate_key().decode()
    # Nothing of these variables is read from the file: its time alone is looked at.
    (tmp_path / "empty").write_text("{}")
    assert guard(client, tmp_path, NSN_MASTER_KEY=key).holding() is None
    guard(client, tmp_path, NSN_MASTER_KEY=key).refused(REFUSED, renewable=False)
    assert guard(client, tmp_path, NSN_MASTER_KEY=key).holding() is not None
    settings = load_settings({**GIVEN, "NSN_HOME": str(tmp_path), "NSN_MASTER_KEY": key})
    stored.write_bytes(b"")
    os.utime(stored, (5, 5))
    again = login_guard(
        settings.servicenow, settings.project, client=lambda: client, now=lambda: 1000.0
    )
    assert again.holding() is None


@pytest.mark.parametrize("damage", ["", "x", "gAAAAA"])
def test_what_cannot_be_read_is_none(client: redis.Redis, tmp_path: Path, damage: str) -> None:
    guard(client, tmp_path).refused(REFUSED, renewable=False)
    (key,) = client.keys("nsn:refused-login:*")
    client.set(key, damage)
    assert guard(client, tmp_path).holding() is None


def test_without_redis_a_process_knows_of_its_own_refusals(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    away = redis.Redis(unix_socket_path="/nonexistent/socket", retry=None)
    alone = guard(away, tmp_path)
    with caplog.at_level(logging.WARNING):
        alone.check()
        alone.refused(REFUSED, renewable=False)
    assert alone.holding() is not None
    assert "refused_logins_away" in caplog.text
