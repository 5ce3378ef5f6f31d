"""Processes tell each other of a refused login: for these credentials only, and never in clear."""

import logging
from pathlib import Path

import pytest
import redis
from cryptography.fernet import Fernet

from nsn_pipeline.clients.refusals import LoginGuard
from nsn_pipeline.errors import AuthenticationError, ConfigurationError
from nsn_pipeline.settings import load_settings
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
    guard(client, tmp_path).refused(REFUSED)
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
    guard(client, tmp_path).refused(REFUSED)
    assert guard(client, tmp_path, **changes).holding() is None


def test_each_system_has_its_own(client: redis.Redis, tmp_path: Path) -> None:
    guard(client, tmp_path, "netsuite").refused(REFUSED)
    assert guard(client, tmp_path, "servicenow").holding() is None
    assert guard(client, tmp_path, "netsuite", SERVICENOW_PASSWORD="x").holding() is not None
    assert guard(client, tmp_path, "netsuite", NETSUITE_TOKEN_SECRET="x").holding() is None


OAUTH = {
    "NETSUITE_AUTH": "oauth2",
    "NETSUITE_CLIENT_ID": "client",
    "NETSUITE_CERTIFICATE_ID": "certificate",
    "NETSUITE_PRIVATE_KEY": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
}
SAME_LOGIN: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "page size and limit": (
        "servicenow", {}, {"SERVICENOW_BATCH_SIZE": "7", "SERVICENOW_CONCURRENCY": "3"},
    ),
    "currency and profile": (
        "servicenow", {}, {"SERVICENOW_CURRENCY": "EUR", "NSN_PROFILE": "s2p"},
    ),
    "secrets of a way to log in that is not used": (
        "servicenow", {}, {"SERVICENOW_CLIENT_ID": "x", "SERVICENOW_CLIENT_SECRET": "y"},
    ),
    "the instance's address": (
        "servicenow", {}, {"SERVICENOW_BASE_URL": "https://acme.service-now.com/"},
    ),
    "the instance as copied from a browser": (
        "servicenow", {}, {"SERVICENOW_INSTANCE": "https://acme.service-now.com/now"},
    ),
    "the account's spelling": (
        "netsuite", {"NETSUITE_ACCOUNT_ID": "1234567_SB1"}, {"NETSUITE_ACCOUNT_ID": "1234567-sb1"},
    ),
    "line breaks of the key": (
        "netsuite",
        OAUTH,
        {"NETSUITE_PRIVATE_KEY": OAUTH["NETSUITE_PRIVATE_KEY"].strip().replace("\n", "\\n")},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("system", "both", "theirs"), SAME_LOGIN.values(), ids=SAME_LOGIN)
def test_homes_that_differ_in_other_settings_share_what_is_refused(
    client: redis.Redis,
    tmp_path: Path,
    system: str,
    both: dict[str, str],
    theirs: dict[str, str],
) -> None:
    shared = {"NSN_MASTER_KEY": Fernet.generate_key().decode(), **both}
    one = guard(client, tmp_path / "one", system, **shared)
    other = guard(client, tmp_path / "other", system, **(shared | theirs))
    one.refused(REFUSED)
    assert other.holding() is not None
    other.forget()
    assert guard(client, tmp_path / "one", system, **shared).holding() is None
    assert list(client.scan_iter("nsn:refused-login:*")) == []


@pytest.mark.parametrize("name", ["CLIENT_ID", "CERTIFICATE_ID", "PRIVATE_KEY"])
def test_each_part_of_a_signed_login_makes_it(
    client: redis.Redis, tmp_path: Path, name: str
) -> None:
    guard(client, tmp_path, "netsuite", **OAUTH).refused(REFUSED)
    other = OAUTH | {f"NETSUITE_{name}": OAUTH[f"NETSUITE_{name}"].replace("A", "B") + "x"}
    assert guard(client, tmp_path, "netsuite", **OAUTH).holding() is not None
    assert guard(client, tmp_path, "netsuite", **other).holding() is None


@pytest.mark.parametrize(
    "theirs",
    [{"SERVICENOW_PASSWORD": "Autumn2026"}, {"NSN_MASTER_KEY": Fernet.generate_key().decode()}],
    ids=["another password", "another master key"],
)
def test_no_home_writes_over_what_another_one_has_noted(
    client: redis.Redis, tmp_path: Path, theirs: dict[str, str]
) -> None:
    mine = {"NSN_MASTER_KEY": Fernet.generate_key().decode()}
    guard(client, tmp_path, **mine).refused(REFUSED)
    guard(client, tmp_path, **(mine | theirs)).refused(REFUSED)
    guard(client, tmp_path, **(mine | theirs)).accepted()
    held = guard(client, tmp_path, **mine).holding()
    assert held is not None
    assert held.count == 1


def test_the_name_of_an_entry_tells_nothing_to_who_has_not_the_key(
    client: redis.Redis, tmp_path: Path
) -> None:
    """Whoever guesses the password cannot tell by the name that it is the right one."""
    names: set[str] = set()
    for _ in range(3):
        key = Fernet.generate_key().decode()
        guard(client, tmp_path, NSN_MASTER_KEY=key).refused(REFUSED)
        names |= set(client.scan_iter("nsn:refused-login:*"))
    assert len(names) == 3


def test_a_home_whose_key_is_being_replaced_finds_what_the_old_key_holds(
    client: redis.Redis, tmp_path: Path
) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    guard(client, tmp_path, NSN_MASTER_KEY=old).refused(REFUSED)
    between = guard(client, tmp_path, NSN_MASTER_KEY=f"{new},{old}")
    assert between.holding() is not None
    between.explain("better words")
    told = guard(client, tmp_path, NSN_MASTER_KEY=old).holding()
    assert told is not None
    assert told.words == "better words"
    between.accepted()
    assert guard(client, tmp_path, NSN_MASTER_KEY=old).holding() is None


def test_a_second_refusal_by_another_process_adds_to_the_first(
    client: redis.Redis, tmp_path: Path
) -> None:
    """Both were sent before either was known."""
    one, other = guard(client, tmp_path), guard(client, tmp_path)
    one.check()
    other.check()
    one.refused(REFUSED)
    other.refused(REFUSED, times=2)
    held = guard(client, tmp_path).holding()
    assert held is not None
    assert held.count == 3


def test_a_person_who_asks_for_it_has_it_tried_once_and_the_count_goes_on(
    client: redis.Redis, tmp_path: Path
) -> None:
    guard(client, tmp_path).refused(REFUSED, times=2)
    guard(client, tmp_path).try_again()
    first, second = guard(client, tmp_path), guard(client, tmp_path)
    assert first.check(), "this process tries"
    with pytest.raises(AuthenticationError, match="not asked again"):
        second.check()
    first.refused(REFUSED)
    held = guard(client, tmp_path).holding()
    assert held is not None
    assert held.count == 3


@pytest.mark.parametrize("damage", ["", "x", "gAAAAA"])
def test_what_cannot_be_read_is_none(client: redis.Redis, tmp_path: Path, damage: str) -> None:
    guard(client, tmp_path).refused(REFUSED)
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
        alone.refused(REFUSED)
    assert alone.holding() is not None
    assert "refused_logins_away" in caplog.text


@pytest.mark.parametrize("key", ["oops", "file"])
def test_a_key_that_cannot_be_used_stops_the_login_and_costs_no_tries(
    client: redis.Redis, tmp_path: Path, key: str
) -> None:
    """As if there were no memory, each new process would try: five refusals lock a token."""
    changes = {"NSN_MASTER_KEY": key}
    if key == "file":
        changes = {"NSN_MASTER_KEY_FILE": str(tmp_path / "absent")}
    for ask in (lambda one: one.check(), lambda one: one.holding(), lambda one: one.accepted()):
        with pytest.raises(ConfigurationError, match="key"):
            ask(guard(client, tmp_path, **changes))
