import sys
from pathlib import Path
from types import ModuleType

import pytest

from nsn_pipeline.credentials.master_key import MAKE_A_KEY, KeySource, find_master_key
from nsn_pipeline.credentials.os_keyring import OsKeyring, find_os_keyring
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline_tests.unit.credentials.samples import NEW_KEY, OLD_KEY, OTHER_KEY, leaks, told
from nsn_pipeline_tests.unit.state.processes import end, python


def key_file(tmp_path: Path, text: str = OLD_KEY, mode: int = 0o600) -> Path:
    path = tmp_path / "master.key"
    path.write_text(text)
    path.chmod(mode)
    return path


class Backend:
    def __init__(self, text: str | None = None, error: Exception | None = None) -> None:
        self.text, self.error = text, error

    def get_password(self, service: str, entry: str) -> str | None:
        if self.error:
            raise self.error
        return self.text

    def set_password(self, service: str, entry: str, text: str) -> None:
        if self.error:
            raise self.error
        self.text = text


def backend(module: str, **options: object) -> Backend:
    return type("Keyring", (Backend,), {"__module__": module})(**options)


def chain(*backends: Backend) -> Backend:
    made = backend("keyring.backends.chainer")
    made.backends = list(backends)
    return made


def install(monkeypatch: pytest.MonkeyPatch, chosen: Backend) -> None:
    module = ModuleType("keyring")
    module.get_keyring = lambda: chosen
    monkeypatch.setitem(sys.modules, "keyring", module)


def none_found() -> None:
    return None


def test_the_variable_goes_before_the_file_and_the_file_before_the_keyring(tmp_path: Path) -> None:
    path = key_file(tmp_path, NEW_KEY)
    keyring = OsKeyring(backend("keyring.backends.macOS", text=OTHER_KEY))
    both = {"NSN_MASTER_KEY": OLD_KEY, "NSN_MASTER_KEY_FILE": str(path)}
    for environment, source, key in (
        (both, KeySource.ENVIRONMENT, OLD_KEY),
        ({**both, "NSN_MASTER_KEY": ""}, KeySource.FILE, NEW_KEY),
        ({}, KeySource.KEYRING, OTHER_KEY),
    ):
        found = find_master_key(environment, find_keyring=lambda: keyring)
        assert found.source is source
        assert [held.get_secret_value() for held in found.keys] == [key]


def test_without_a_master_key_the_refusal_says_how_to_make_one() -> None:
    with pytest.raises(ConfigurationError) as caught:
        find_master_key({}, find_keyring=none_found)
    assert MAKE_A_KEY in str(caught.value)
    assert "NSN_MASTER_KEY_FILE=" in str(caught.value)
    assert "Keep a copy" in str(caught.value)


def test_the_command_of_the_help_text_makes_a_key_that_is_accepted_and_spares_one_there(
    tmp_path: Path,
) -> None:
    code = (
        "import os, subprocess, sys;"
        "os.environ['PATH'] = os.path.dirname(sys.executable) + os.pathsep + os.environ['PATH'];"
        "sys.exit(subprocess.call(sys.argv[1], shell=True, stderr=subprocess.DEVNULL))"
    )
    end(python(code, MAKE_A_KEY, HOME=str(tmp_path)))
    made = tmp_path / "nsn-master.key"
    environment = {"NSN_MASTER_KEY_FILE": str(made)}
    first = find_master_key(environment, find_keyring=none_found)
    assert made.stat().st_mode & 0o777 == 0o600
    end(python(code, MAKE_A_KEY, HOME=str(tmp_path)))
    assert find_master_key(environment, find_keyring=none_found) == first


@pytest.mark.parametrize(
    "text",
    ["", " , ", "short", "é" * 44, f"{OLD_KEY}x", f"{OLD_KEY},{NEW_KEY[:-4]}"],
    ids=["empty", "commas", "short", "not ascii", "one character more", "second one cut"],
)
def test_what_is_no_key_is_refused_without_being_quoted(tmp_path: Path, text: str) -> None:
    environments = [{"NSN_MASTER_KEY_FILE": str(key_file(tmp_path, text))}]
    if text:
        environments.append({"NSN_MASTER_KEY": text})
    for environment in environments:
        with pytest.raises(ConfigurationError, match="does not hold a master key") as caught:
            find_master_key(environment, find_keyring=none_found)
        assert leaks(told(caught.value)) == []
        assert NEW_KEY[:-4] not in told(caught.value)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o606], ids=oct)
def test_a_key_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = key_file(tmp_path, mode=mode)
    with pytest.raises(ConfigurationError, match=f"chmod 600 {path}"):
        find_master_key({"NSN_MASTER_KEY_FILE": str(path)}, find_keyring=none_found)


def test_a_key_file_that_is_not_there_is_not_passed_over(tmp_path: Path) -> None:
    keyring = OsKeyring(backend("keyring.backends.macOS", text=OTHER_KEY))
    environment = {"NSN_MASTER_KEY_FILE": str(tmp_path / "absent")}
    with pytest.raises(ConfigurationError, match="there is no file"):
        find_master_key(environment, find_keyring=lambda: keyring)


def test_key_ids_differ_and_tell_nothing_of_the_key() -> None:
    found = find_master_key({"NSN_MASTER_KEY": f"{OLD_KEY},{NEW_KEY}"}, find_keyring=none_found)
    first, second = found.key_ids
    assert first != second
    assert first[:6] not in OLD_KEY
    assert leaks(f"{found!r} {found}") == []


@pytest.mark.parametrize(
    "module",
    [
        "keyring.backends.fail",
        "keyring.backends.null",
        "keyrings.alt.file",
        "keyrings.alt.Windows",
        "keyring.backends.macOS_lookalike",
    ],
)
def test_a_keyring_that_does_not_encrypt_is_none(
    monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    install(monkeypatch, backend(module, text=OLD_KEY))
    assert find_os_keyring() is None
    install(monkeypatch, chain(backend(module, text=OLD_KEY)))
    assert find_os_keyring() is None


def test_the_real_backend_of_a_chain_is_used_without_the_chain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = backend("keyrings.alt.file", text=NEW_KEY)
    real = backend("keyring.backends.SecretService", text=OLD_KEY)
    install(monkeypatch, chain(plain, real))
    found = find_os_keyring()
    assert found is not None
    assert found.get() == OLD_KEY


def test_without_the_keyring_package_there_is_no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert find_os_keyring() is None


def test_an_empty_keyring_gets_a_key_only_when_something_is_to_be_stored() -> None:
    real = backend("keyring.backends.macOS")
    with pytest.raises(ConfigurationError, match="holds none yet"):
        find_master_key({}, find_keyring=lambda: OsKeyring(real))
    made = find_master_key({}, create=True, find_keyring=lambda: OsKeyring(real))
    assert made == find_master_key({}, find_keyring=lambda: OsKeyring(real))


def test_an_error_of_the_keyring_is_told_by_its_kind_only() -> None:
    keyring = OsKeyring(backend("keyring.backends.macOS", error=RuntimeError(OLD_KEY)))
    for action in (keyring.get, lambda: keyring.put(OLD_KEY)):
        with pytest.raises(ConfigurationError, match="RuntimeError") as caught:
            action()
        assert leaks(told(caught.value)) == []
