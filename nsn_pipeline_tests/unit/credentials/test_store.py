import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from nsn_pipeline.credentials import private_files
from nsn_pipeline.credentials.store import CredentialStore, load
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline_tests.unit.credentials.samples import (
    NEW_KEY,
    OLD_KEY,
    OTHER_KEY,
    full,
    leaks,
    secret,
    told,
)
from nsn_pipeline_tests.unit.state.processes import end, python, says, tell

ENVIRONMENT = {"NSN_MASTER_KEY": OLD_KEY}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def store(home: Path, key: str = OLD_KEY) -> CredentialStore:
    return CredentialStore(home, {"NSN_MASTER_KEY": key}, find_keyring=lambda: None)


def filled(home: Path, key: str = OLD_KEY) -> CredentialStore:
    made = store(home, key)
    for system in ("netsuite", "servicenow"):
        made.update(system, secret(full(system)))
    return made


def refused(action: Callable[[], object]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        action()
    assert leaks(told(caught.value)) == []
    return str(caught.value)


def test_what_was_stored_is_loaded_under_the_names_of_the_environment(home: Path) -> None:
    filled(home)
    loaded = load(home, ENVIRONMENT)
    for system in ("netsuite", "servicenow"):
        for name, value in full(system).items():
            assert loaded.pop(f"{system}_{name}".upper()) == value
    assert loaded == {}


def test_without_a_file_nothing_is_loaded_and_no_key_is_needed(home: Path) -> None:
    def no_keyring() -> None:
        pytest.fail("a key was looked for")

    assert load(home, {}, find_keyring=no_keyring) == {}
    assert not home.exists()


def test_the_file_shows_nothing_and_only_its_owner_may_read_it(home: Path) -> None:
    path = filled(home).path
    assert leaks(path.read_text()) == []
    assert "account_id" not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_an_update_keeps_the_other_fields_and_the_other_system(home: Path) -> None:
    filled(home).update("servicenow", secret({"password": "changed"}))
    loaded = load(home, ENVIRONMENT)
    assert loaded["SERVICENOW_PASSWORD"] == "changed"
    assert loaded["SERVICENOW_USERNAME"] == full("servicenow")["username"]
    assert loaded["NETSUITE_TOKEN_SECRET"] == full("netsuite")["token_secret"]


def test_an_empty_value_takes_its_field_out(home: Path) -> None:
    filled(home).update("netsuite", secret({"base_url": ""}))
    assert "NETSUITE_BASE_URL" not in load(home, ENVIRONMENT)


def test_another_account_does_not_inherit_secrets(home: Path) -> None:
    filled(home).update("netsuite", secret({"account_id": "7654321", "client_id": "new"}))
    loaded = load(home, ENVIRONMENT)
    netsuite = {name: v for name, v in loaded.items() if name.startswith("NETSUITE")}
    assert netsuite == {"NETSUITE_ACCOUNT_ID": "7654321", "NETSUITE_CLIENT_ID": "new"}
    assert "SERVICENOW_PASSWORD" in loaded


# --- the environment goes first


def test_the_environment_overrides_single_fields(home: Path) -> None:
    filled(home)
    given = {**ENVIRONMENT, "NETSUITE_CLIENT_ID": "mine", "SERVICENOW_PASSWORD": ""}
    loaded = load(home, given)
    assert "NETSUITE_CLIENT_ID" not in loaded
    assert loaded["NETSUITE_CERTIFICATE_ID"] == full("netsuite")["certificate_id"]
    assert loaded["SERVICENOW_PASSWORD"] == full("servicenow")["password"]  # empty is not set


def test_a_key_file_in_the_environment_overrides_the_stored_key(home: Path) -> None:
    filled(home)
    given = {**ENVIRONMENT, "NETSUITE_PRIVATE_KEY_PATH": "/somewhere/key.pem"}
    assert "NETSUITE_PRIVATE_KEY" not in load(home, given)


@pytest.mark.parametrize(
    ("variable", "value", "is_same"),
    [
        pytest.param("NETSUITE_ACCOUNT_ID", "1234567-sb1", True, id="another spelling"),
        pytest.param("NETSUITE_ACCOUNT_ID", "1234567", False, id="another account"),
        pytest.param("NETSUITE_ACCOUNT_ID", "not an account!", False, id="no account"),
        pytest.param("SERVICENOW_INSTANCE", "https://acme.service-now.com", True, id="address"),
        pytest.param("SERVICENOW_INSTANCE", "sandbox", False, id="another instance"),
    ],
)
def test_credentials_go_only_to_the_account_they_were_stored_for(
    home: Path, variable: str, value: str, is_same: bool
) -> None:
    filled(home)
    own, other = ("NETSUITE_", "SERVICENOW_")
    if variable.startswith(other):
        own, other = other, own
    loaded = load(home, {**ENVIRONMENT, variable: value})
    assert any(name.startswith(own) for name in loaded) is is_same
    assert any(name.startswith(other) for name in loaded)


# --- files that cannot be used are told apart, and stay as they are


def changes_refused(home: Path, key: str = OLD_KEY) -> set[str]:
    """Every way to read or change the file is refused and leaves every byte; the reasons given."""
    made, before = store(home, key), (home / "credentials.enc").read_bytes()
    actions = [
        made.read,
        lambda: load(home, {"NSN_MASTER_KEY": key}, find_keyring=lambda: None),
        lambda: made.update("netsuite", secret({"client_id": "new"})),
        lambda: made.remove("netsuite"),
        lambda: made.rotate(lambda _: None),
    ]
    reasons = {refused(action) for action in actions}
    assert (home / "credentials.enc").read_bytes() == before
    assert sorted(p.name for p in home.iterdir()) == ["credentials.enc", "credentials.lock"]
    return reasons


def test_a_wrong_key_is_named_as_such_with_both_key_ids(home: Path) -> None:
    made = filled(home)
    (reason,) = changes_refused(home, OTHER_KEY)
    assert "NSN_MASTER_KEY" in reason
    assert made.master_key().key_id in reason
    assert store(home, OTHER_KEY).master_key().key_id in reason
    assert "damaged" not in reason


def test_any_truncation_is_damage_whatever_the_key(home: Path) -> None:
    path = filled(home).path
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert "damaged" in refused(store(home).read), length
    for length in (0, 1, 20, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert all("damaged" in reason for reason in changes_refused(home))
        assert all("damaged" in reason for reason in changes_refused(home, OTHER_KEY))


def test_any_altered_byte_is_damage(home: Path) -> None:
    path = filled(home).path
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        altered = bytearray(whole)
        altered[place] ^= 0x01
        path.write_bytes(bytes(altered))
        # In the version, the altered digit may read as a later version.
        assert refused(store(home).read), place


def test_content_that_its_own_key_does_not_open_is_damage(home: Path) -> None:
    from nsn_pipeline.credentials.sealed_file import _checksum

    path = filled(home).path
    outside = json.loads(path.read_bytes())
    outside["sealed"] = outside["sealed"][:-8] + "AAAAAAA="
    outside["checksum"] = _checksum(outside["key_id"], outside["sealed"])
    path.write_text(json.dumps(outside))
    assert all("damaged" in reason for reason in changes_refused(home))


def test_a_file_of_a_later_version_asks_for_an_update(home: Path) -> None:
    path = filled(home).path
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"version": 2}))
    assert all("newer nsn" in reason for reason in changes_refused(home))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610, 0o601, 0o777], ids=oct)
def test_a_file_open_to_others_is_refused_with_the_remedy(home: Path, mode: int) -> None:
    path = filled(home).path
    path.chmod(mode)
    (reason,) = changes_refused(home)
    assert f"chmod 600 {path}" in reason
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.parametrize("mode", [0o600, 0o400], ids=oct)
def test_a_file_of_its_owner_alone_is_read(home: Path, mode: int) -> None:
    filled(home).path.chmod(mode)
    assert load(home, ENVIRONMENT)


def test_a_file_of_another_user_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = filled(home).path
    if os.geteuid() == 0:
        os.chown(path, 4242, -1)
    else:
        monkeypatch.setattr(private_files.os, "geteuid", lambda: 4242)
    assert all("another user" in reason for reason in changes_refused(home))


def test_a_pipe_in_place_of_the_file_is_refused_without_waiting(home: Path) -> None:
    home.mkdir()
    os.mkfifo(home / "credentials.enc", 0o600)
    assert "not a regular file" in refused(store(home).read)


def test_a_home_in_which_others_may_write_takes_no_credentials(home: Path) -> None:
    home.mkdir()
    home.chmod(0o770)
    assert f"chmod 700 {home}" in refused(lambda: filled(home))
    assert list(home.iterdir()) == []


# --- changes are whole and lose nothing


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_an_interrupted_update_leaves_the_old_content(
    home: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = filled(home)
    before = made.path.read_bytes()

    def die(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(private_files.os, step, die)
    with pytest.raises(Killed):
        made.update("netsuite", secret({"client_id": "new"}))
    assert made.path.read_bytes() == before
    assert sorted(p.name for p in home.iterdir()) == ["credentials.enc", "credentials.lock"]


def test_a_full_disk_is_a_configuration_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = filled(home)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(private_files.os, "fsync", fail)
    reason = refused(lambda: made.update("netsuite", secret({"client_id": "new"})))
    assert "No space left" in reason


SETTER = """
import sys
from pathlib import Path
from pydantic import SecretStr
from nsn_pipeline.credentials.store import CredentialStore
home, key, system, count = sys.argv[1:]
store = CredentialStore(Path(home), {"NSN_MASTER_KEY": key})
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(count)):
    store.update(system, {f"{system}_{number}": SecretStr(str(number))})
"""


def test_two_processes_setting_at_once_lose_nothing(home: Path) -> None:
    count = 25
    processes = [
        python(SETTER, home, OLD_KEY, system, count) for system in ("netsuite", "servicenow")
    ]
    assert [says(process) for process in processes] == ["ready", "ready"]
    for process in processes:
        tell(process)
    for process in processes:
        end(process)
        assert process.returncode == 0
    entries = store(home).read()
    for system in ("netsuite", "servicenow"):
        assert set(entries[system]) == {f"{system}_{number}" for number in range(count)}


def test_removing_takes_out_one_system_and_the_last_one_takes_the_file(home: Path) -> None:
    made = filled(home)
    assert made.remove("netsuite")
    assert not made.remove("netsuite")
    assert {name.partition("_")[0] for name in load(home, ENVIRONMENT)} == {"SERVICENOW"}
    assert made.remove("servicenow")
    assert not made.path.exists()
    assert not made.remove("servicenow")


def test_no_object_shows_a_secret(home: Path) -> None:
    made = filled(home)
    shown = [made, made.read(), made.master_key(), vars(made.master_key().keys[0])]
    assert leaks(" ".join(f"{o!r} {o}" for o in shown[:3])) == []
    assert leaks(made.path.read_text()) == []


def test_the_first_key_of_a_list_encrypts_and_all_decrypt(home: Path) -> None:
    filled(home, OLD_KEY)
    both = store(home, f"{NEW_KEY}, {OLD_KEY}")
    both.update("netsuite", secret({"client_id": "new"}))
    assert store(home, NEW_KEY).read() == both.read()
    assert "is not the one" in refused(store(home, OLD_KEY).read)
