import os
import socket
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from nsn_pipeline.credentials import private_files
from nsn_pipeline.credentials.os_keyring import OsKeyring
from nsn_pipeline.credentials.store import CredentialStore
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline_tests.unit.credentials.samples import OLD_KEY, full, leaks, secret, told

STEPS = ("fsync", "replace")


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


class FakeKeyring:
    name = "fake keyring"

    def __init__(self, text: str) -> None:
        self.text = text
        self.before_put: Callable[[], None] = lambda: None

    def get(self) -> str:
        return self.text

    def put(self, text: str) -> None:
        self.before_put()
        self.text = text


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "master.key"
    path.write_text(f"{OLD_KEY}\n")
    path.chmod(0o600)
    return path


def with_environment(home: Path, key: str = OLD_KEY) -> CredentialStore:
    return CredentialStore(home, {"NSN_MASTER_KEY": key}, find_keyring=lambda: None)


def with_file(home: Path, key_file: Path) -> CredentialStore:
    return CredentialStore(home, {"NSN_MASTER_KEY_FILE": str(key_file)}, find_keyring=lambda: None)


def fill(store: CredentialStore) -> None:
    store.update("servicenow", secret(full("servicenow")))


def assert_opens(store: CredentialStore) -> None:
    assert store.read() == {"servicenow": secret(full("servicenow"))}


def not_handed_over(_: SecretStr) -> None:
    pytest.fail("the key was handed over, though its place is known")


def die_at(number: int, monkeypatch: pytest.MonkeyPatch, *, after: bool) -> None:
    """Raise at the `number`-th step that touches the disk, before or after it is done."""
    done = 0
    for name in STEPS:
        real = getattr(os, name)

        def step(*arguments: object, real: Callable[..., object] = real) -> object:
            nonlocal done
            done += 1
            if done == number and not after:
                raise Killed
            result = real(*arguments)
            if done == number:
                raise Killed
            return result

        monkeypatch.setattr(private_files.os, name, step)


def test_the_old_key_is_refused_after_a_rotation(home: Path) -> None:
    fill(with_environment(home))
    handed: list[SecretStr] = []
    rotation = with_environment(home).rotate(handed.append)
    new = handed[0].get_secret_value()
    assert_opens(with_environment(home, new))
    with pytest.raises(ConfigurationError, match="is not the one") as caught:
        with_environment(home).read()
    assert leaks(told(caught.value)) == []
    assert new not in told(caught.value) + repr(rotation)
    assert rotation.old_key_id != rotation.new_key_id


def test_a_key_of_the_environment_is_handed_over_before_the_file_changes(home: Path) -> None:
    store = with_environment(home)
    fill(store)
    before = store.path.read_bytes()

    def refuse(_: SecretStr) -> None:
        assert store.path.read_bytes() == before
        raise Killed

    with pytest.raises(Killed):
        store.rotate(refuse)
    assert store.path.read_bytes() == before


def test_a_key_file_is_replaced_in_place_and_the_old_key_refused(
    home: Path, key_file: Path
) -> None:
    store = with_file(home, key_file)
    fill(store)
    store.rotate(not_handed_over)
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert OLD_KEY not in key_file.read_text()
    Fernet(key_file.read_text().strip())
    assert_opens(store)
    with pytest.raises(ConfigurationError, match="is not the one"):
        with_environment(home).read()


def test_a_linked_key_file_stays_a_link(home: Path, key_file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.key"
    link.symlink_to(key_file)
    store = with_file(home, link)
    fill(store)
    store.rotate(not_handed_over)
    assert link.is_symlink()
    assert OLD_KEY not in key_file.read_text()
    assert_opens(store)


# Key file, old keys, store, who refuses them, and key file are written in turn: flushed, moved,
# directory flushed.
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, 16))
def test_a_rotation_killed_anywhere_leaves_a_readable_store_and_can_be_repeated(
    home: Path, key_file: Path, number: int, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = with_file(home, key_file)
    fill(store)
    with monkeypatch.context() as patched:
        die_at(number, patched, after=after)
        with pytest.raises(Killed):
            store.rotate(not_handed_over)
    assert_opens(store)
    store.rotate(not_handed_over)
    assert_opens(store)
    assert "," not in key_file.read_text()
    with pytest.raises(ConfigurationError, match="is not the one"):
        with_environment(home).read()


def test_there_is_no_sixteenth_step_to_be_killed_at(
    home: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = with_file(home, key_file)
    fill(store)
    with monkeypatch.context() as patched:
        die_at(16, patched, after=False)
        store.rotate(not_handed_over)


@pytest.mark.parametrize("number", [1, 2])
def test_a_rotation_of_a_keyring_key_killed_between_its_steps_can_be_repeated(
    home: Path, number: int
) -> None:
    keyring = FakeKeyring(OLD_KEY)
    store = CredentialStore(home, {}, find_keyring=lambda: keyring)
    fill(store)
    puts = 0

    def die() -> None:
        nonlocal puts
        puts += 1
        if puts == number:
            raise Killed

    keyring.before_put = die
    with pytest.raises(Killed):
        store.rotate(not_handed_over)
    keyring.before_put = lambda: None
    assert_opens(store)
    store.rotate(not_handed_over)
    assert_opens(store)
    assert OLD_KEY not in keyring.text


def test_a_key_file_that_cannot_be_replaced_stops_the_rotation_before_it_begins(
    home: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = with_file(home, key_file)
    fill(store)
    before = store.path.read_bytes()

    def refuse(*_: object) -> None:
        raise PermissionError(30, "Read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr(private_files.os, "replace", refuse)
        with pytest.raises(ConfigurationError, match="Read-only") as caught:
            store.rotate(not_handed_over)
    assert leaks(told(caught.value)) == []
    assert store.path.read_bytes() == before
    assert key_file.read_text() == f"{OLD_KEY}\n"


def test_a_reader_meeting_a_rotation_between_file_and_key_tries_again(
    home: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = with_file(home, key_file), with_file(home, key_file)
    fill(store)
    real, rotated = store.master_key, []

    def slow_key() -> object:
        if not rotated:
            rotated.append(other.rotate(not_handed_over))
        return real()

    monkeypatch.setattr(store, "master_key", slow_key)
    assert_opens(store)
    assert rotated


def test_there_is_nothing_to_rotate_without_a_store(home: Path) -> None:
    with pytest.raises(ConfigurationError, match="nothing is encrypted"):
        with_environment(home).rotate(not_handed_over)
    assert not home.exists()


def test_homes_that_share_a_key_file_do_not_shut_each_other_out(
    tmp_path: Path, key_file: Path
) -> None:
    first, second, third = (with_file(tmp_path / name, key_file) for name in ("a", "b", "c"))
    for store in (first, second, third):
        fill(store)
    first.rotate(not_handed_over)
    first.rotate(not_handed_over)
    assert_opens(second)
    second.update("netsuite", secret({"account_id": "1"}))  # sealed with the new key from now on
    kept = key_file.with_name("master.key.old")
    assert kept.stat().st_mode & 0o777 == 0o600
    third.rotate(not_handed_over)
    assert OLD_KEY not in key_file.read_text()
    for store in (first, second, third):
        assert "servicenow" in store.read()
    with pytest.raises(ConfigurationError, match="is not the one"):
        with_environment(first.path.parent).read()


NOW = datetime(2026, 11, 26, 9, tzinfo=UTC)


def test_a_restored_copy_from_before_a_rotation_is_refused_and_says_what_to_do(
    home: Path, key_file: Path
) -> None:
    """The old key is still beside the file, as other homes may need it: not this one."""
    store = with_file(home, key_file)
    fill(store)
    before = store.path.read_bytes()
    store.rotate(not_handed_over, now=lambda: NOW)
    since = store.path.read_bytes()
    assert OLD_KEY in key_file.with_name("master.key.old").read_text()
    store.path.write_bytes(before)
    with pytest.raises(ConfigurationError, match="a copy from before 2026-11-26") as caught:
        store.read()
    assert "set the credentials again" in str(caught.value)
    assert leaks(told(caught.value)) == []
    with pytest.raises(ConfigurationError, match="a copy from before 2026-11-26"):
        store.update("netsuite", secret({"account_id": "1"}))
    assert store.path.read_bytes() == before, "nothing is written over"
    store.path.write_bytes(since)
    assert_opens(store)


def test_a_restored_old_key_file_seals_nothing_that_could_not_be_read_again(
    home: Path, key_file: Path
) -> None:
    store = with_file(home, key_file)
    fill(store)
    store.rotate(not_handed_over, now=lambda: NOW)
    key_file.write_text(OLD_KEY)
    store.path.unlink()  # as one is told to who has lost the key
    with pytest.raises(ConfigurationError, match="refuses since 2026-11-26") as caught:
        store.update("netsuite", secret({"account_id": "1"}))
    assert leaks(told(caught.value)) == []
    assert not store.path.exists()


def test_a_home_of_the_same_path_on_another_host_is_another_home(
    home: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Containers mount one key file, and each has its credentials in the same place."""
    store = with_file(home, key_file)
    fill(store)
    other_volume = store.path.read_bytes()
    store.rotate(not_handed_over, now=lambda: NOW)
    store.path.write_bytes(other_volume)
    monkeypatch.setattr(socket, "gethostname", lambda: "another-host")
    assert_opens(store)


def test_each_home_refuses_what_it_was_rotated_away_from_and_no_later_key(
    tmp_path: Path, key_file: Path
) -> None:
    first, second = (with_file(tmp_path / name, key_file) for name in ("a", "b"))
    copies = {}
    for store in (first, second):
        fill(store)
        copies[store] = store.path.read_bytes()
    first.rotate(not_handed_over, now=lambda: NOW)
    between = first.path.read_bytes()
    assert_opens(second)
    second.rotate(not_handed_over, now=lambda: NOW + timedelta(days=9))
    assert_opens(first)  # sealed with the key that the second rotation replaced
    for store, day in ((first, "2026-11-26"), (second, "2026-12-05")):
        store.path.write_bytes(copies[store])
        with pytest.raises(ConfigurationError, match=f"before {day}"):
            store.read()
    first.path.write_bytes(between)
    first.rotate(not_handed_over, now=lambda: NOW + timedelta(days=10))
    first.path.write_bytes(between)
    with pytest.raises(ConfigurationError, match="before 2026-12-06"):
        first.read()


def test_a_home_reached_by_a_link_refuses_as_well(
    home: Path, key_file: Path, tmp_path: Path
) -> None:
    store = with_file(home, key_file)
    fill(store)
    before = store.path.read_bytes()
    store.rotate(not_handed_over)
    store.path.write_bytes(before)
    (tmp_path / "link").symlink_to(home)
    (tmp_path / "link.key").symlink_to(key_file)
    with pytest.raises(ConfigurationError, match="a copy from before"):
        with_file(tmp_path / "link", tmp_path / "link.key").read()


def test_homes_that_rotate_at_the_same_time_lose_neither_key(
    tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (with_file(tmp_path / name, key_file) for name in ("a", "b"))
    for store in (first, second):
        fill(store)
    write = first._write
    with ThreadPoolExecutor(1) as pool:
        begun: list[Future[object]] = []

        def slow(*arguments: Any) -> None:
            begun.append(pool.submit(second.rotate, not_handed_over))
            with pytest.raises(TimeoutError):  # it waits for the key file
                begun[0].result(0.2)
            write(*arguments)

        monkeypatch.setattr(first, "_write", slow)
        first.rotate(not_handed_over)
        begun[0].result(20)
    assert_opens(first)
    assert_opens(second)


def test_what_an_earlier_version_left_beside_the_file_still_opens(
    home: Path, key_file: Path
) -> None:
    store = with_file(home, key_file)
    fill(store)
    key_file.write_text(Fernet.generate_key().decode())
    old = key_file.with_name("master.key.old")
    old.write_text(f"{OLD_KEY}\n")
    old.chmod(0o600)
    assert_opens(store)


@pytest.mark.parametrize("damage", ['{"keys": [', '{"keys": ["x"]}', "{}", '{"keys": 1}'])
def test_damaged_old_keys_are_said_to_be_and_not_shown(
    home: Path, key_file: Path, damage: str
) -> None:
    store = with_file(home, key_file)
    fill(store)
    store.rotate(not_handed_over)
    key_file.with_name("master.key.old").write_text(damage)
    with pytest.raises(ConfigurationError, match=r"master\.key\.old is damaged") as caught:
        store.read()
    assert leaks(told(caught.value)) == []


def test_old_keys_that_others_can_read_are_refused(home: Path, key_file: Path) -> None:
    store = with_file(home, key_file)
    fill(store)
    store.rotate(not_handed_over)
    key_file.with_name("master.key.old").chmod(0o644)
    with pytest.raises(ConfigurationError, match="can be read by others"):
        store.read()


def test_homes_that_share_a_keyring_do_not_shut_each_other_out(tmp_path: Path) -> None:
    entries = {("nsn_pipeline", "master-key"): OLD_KEY}  # as an earlier version left it
    backend = SimpleNamespace(
        get_password=lambda service, name: entries.get((service, name)),
        set_password=lambda service, name, text: entries.update({(service, name): text}),
    )
    stores = [
        CredentialStore(home, {}, find_keyring=partial(OsKeyring, backend, home))
        for home in (tmp_path / "a", tmp_path / "b")
    ]
    for store in stores:
        fill(store)
    stores[0].rotate(not_handed_over)
    for store in stores:
        assert_opens(store)
    with pytest.raises(ConfigurationError, match="is not the one"):
        with_environment(tmp_path / "a").read()
