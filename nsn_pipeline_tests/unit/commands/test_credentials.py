import getpass
import io
import json
import logging
import stat
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from rich.console import Console

from nsn_pipeline.clients.refusals import LoginGuard
from nsn_pipeline.commands.credentials import (
    list_credentials,
    remove_credentials,
    rotate_master_key,
    set_credentials,
)
from nsn_pipeline.connections import Connections
from nsn_pipeline.credentials.checks import key_facts
from nsn_pipeline.credentials.store import load
from nsn_pipeline.errors import AuthenticationError, ConfigurationError
from nsn_pipeline.settings import load_settings
from nsn_pipeline.state.connection import connect
from nsn_pipeline_tests.unit.credentials.samples import (
    NEW_KEY,
    OLD_KEY,
    OTHER_KEY,
    PEM,
    full,
    leaks,
    told,
)

ENVIRONMENT = {"NSN_MASTER_KEY": OLD_KEY}


class Printed:
    """A console that remembers what it printed."""

    def __init__(self, *, is_terminal: bool = False) -> None:
        self._file = io.StringIO()
        self.console = Console(
            file=self._file, width=120, force_terminal=is_terminal, color_system=None
        )

    @property
    def text(self) -> str:
        return self._file.getvalue()


class Person:
    """Answers prompts by the word they hold; an unknown prompt is answered with Enter."""

    def __init__(self, answers: Mapping[str, str | list[str]]) -> None:
        self.answers = {
            word: [given] if isinstance(given, str) else list(given)
            for word, given in answers.items()
        }
        self.hidden: dict[str, bool] = {}
        self.prompts: list[str] = []

    def __call__(self, prompt: str, is_hidden: bool) -> str:
        self.prompts.append(prompt)
        self.hidden[prompt.partition(" [")[0].rstrip(": ")] = is_hidden
        for word, given in self.answers.items():
            if prompt.startswith(word) and given:
                return given.pop(0)
        return ""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def printed() -> Printed:
    return Printed()


def give(
    printed: Printed, home: Path, system: str, values: Mapping[str, str], key: str = OLD_KEY
) -> None:
    set_credentials(
        printed.console,
        home,
        {"NSN_MASTER_KEY": key},
        system,
        source="-",
        stdin=io.StringIO(json.dumps(values)),
    )


def give_all(printed: Printed, home: Path) -> None:
    for system in ("netsuite", "servicenow"):
        give(printed, home, system, full(system))


def refused(action: Callable[[], object]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        action()
    assert leaks(told(caught.value)) == []
    return str(caught.value)


# --- set


def test_values_from_standard_input_are_stored_and_not_printed(
    home: Path, printed: Printed
) -> None:
    give_all(printed, home)
    loaded = load(home, ENVIRONMENT)
    assert loaded["NETSUITE_PRIVATE_KEY"] == PEM
    assert loaded["SERVICENOW_PASSWORD"] == full("servicenow")["password"]
    assert leaks(printed.text) == []
    assert "private_key is EC P-256" in printed.text


def test_values_from_a_file_are_stored_and_the_file_pointed_out(
    home: Path, printed: Printed, tmp_path: Path
) -> None:
    (tmp_path / "key.pem").write_text(PEM)
    source = tmp_path / "values.env"
    source.write_text("account_id=1234567\nprivate_key=@key.pem\n")
    source.chmod(0o644)
    set_credentials(
        printed.console, home, ENVIRONMENT, "netsuite", source="values.env", folder=tmp_path
    )
    assert load(home, ENVIRONMENT) == {
        "NETSUITE_ACCOUNT_ID": "1234567",
        "NETSUITE_PRIVATE_KEY": PEM,
    }
    assert "others can read" in printed.text
    assert "oauth2 also needs client_id, certificate_id" in printed.text


def test_setting_the_same_credentials_once_more_has_them_tried(
    home: Path, printed: Printed
) -> None:
    """Something was put right at the vendor: the next job does not wait, and counts on."""
    give_all(printed, home)
    assert not (home / "redis").exists(), "no state server is started for nothing"
    settings = load_settings({**ENVIRONMENT, "NSN_HOME": str(home)})

    def guards(connections: Connections) -> tuple[LoginGuard, LoginGuard]:
        return connections.guards["netsuite"], connections.guards["servicenow"]

    with Connections(settings, run_id="refused") as connections:
        for guard in guards(connections):
            guard.refused(AuthenticationError("no"), times=2)
    give(printed, home, "servicenow", full("servicenow"))
    with Connections(settings, run_id="next") as connections:
        netsuite, servicenow = guards(connections)
        assert netsuite.holding() is not None
        assert servicenow.check(), "one try"
        servicenow.refused(AuthenticationError("no"))
        held = servicenow.holding()
        assert held is not None
        assert held.count == 3
    assert "note" not in printed.text.replace("note: private_key", "")


def test_credentials_are_stored_also_where_no_state_server_answers(
    home: Path, printed: Printed, tmp_path: Path
) -> None:
    give(printed, home, "netsuite", full("netsuite"))
    environment = ENVIRONMENT | {"REDIS_URL": f"unix://{tmp_path}/none.sock"}
    content = json.dumps(full("servicenow"))
    set_credentials(
        printed.console, home, environment, "servicenow", source="-", stdin=io.StringIO(content)
    )
    assert load(home, ENVIRONMENT)["SERVICENOW_PASSWORD"] == full("servicenow")["password"]
    assert "the state server does not answer" in printed.text
    assert "tried again within half an hour" in printed.text


def test_a_state_server_that_refuses_is_told_in_its_own_words(
    home: Path, printed: Printed, tmp_path: Path
) -> None:
    give(printed, home, "netsuite", full("netsuite"))
    with connect(None, tmp_path / "state") as connection:
        assert connection.embedded is not None
        url = f"unix://nobody:canary@{connection.embedded.socket_path}"
        set_credentials(
            printed.console, home, ENVIRONMENT | {"REDIS_URL": url}, "servicenow",
            source="-", stdin=io.StringIO(json.dumps(full("servicenow"))),
        )  # fmt: skip
    assert "user or password of REDIS_URL is refused" in printed.text
    assert "tried again within half an hour" in printed.text
    assert "does not answer" not in printed.text
    assert "canary@" not in printed.text


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"], ids=["absent", "binary"])
def test_a_source_that_cannot_be_read_is_refused(
    home: Path, printed: Printed, tmp_path: Path, content: bytes | None
) -> None:
    source = tmp_path / "values"
    if content is not None:
        source.write_bytes(content)
    reason = refused(
        lambda: set_credentials(printed.console, home, ENVIRONMENT, "netsuite", source=str(source))
    )
    assert str(source) in reason
    assert load(home, ENVIRONMENT) == {}


def test_one_faulty_value_stores_nothing(home: Path, printed: Printed) -> None:
    values = full("netsuite") | {"private_key": PEM[:100]}
    assert "private_key" in refused(lambda: give(printed, home, "netsuite", values))
    assert load(home, ENVIRONMENT) == {}
    assert leaks(printed.text) == []


def test_prompts_hide_secrets_and_ask_what_the_method_needs(
    home: Path, printed: Printed, tmp_path: Path
) -> None:
    (tmp_path / "key.pem").write_text(PEM)
    person = Person(
        {
            "Account id": "1234567-sb1",
            "Client id": full("netsuite")["client_id"],
            "Certificate id": full("netsuite")["certificate_id"],
            "Private key": "key.pem",
        }
    )
    set_credentials(printed.console, home, ENVIRONMENT, "netsuite", ask=person, folder=tmp_path)
    assert person.hidden == {
        "Account id": False,
        "Authentication (oauth2 or tba)": False,
        "Client id": False,
        "Certificate id": False,
        "Private key, path of its PEM file": False,  # its content is never typed
        "Base URL": False,
    }
    loaded = load(home, ENVIRONMENT)
    assert loaded["NETSUITE_ACCOUNT_ID"] == "1234567_SB1"
    assert loaded["NETSUITE_PRIVATE_KEY"] == PEM
    assert leaks(printed.text) == []


@pytest.mark.parametrize(
    ("system", "auth", "secrets"),
    [
        ("netsuite", "tba", {"Consumer secret", "Token secret"}),
        ("servicenow", "basic", {"Password"}),
        ("servicenow", "client_credentials", {"Client secret"}),
    ],
)
def test_secrets_are_typed_without_echo(
    home: Path, printed: Printed, system: str, auth: str, secrets: set[str]
) -> None:
    person = Person({"Account id": "1234567", "Instance": "acme", "Authentication": auth})
    set_credentials(printed.console, home, ENVIRONMENT, system, ask=person)
    assert {prompt for prompt, is_hidden in person.hidden.items() if is_hidden} == secrets


def test_enter_keeps_what_is_stored_and_no_prompt_shows_it(home: Path, printed: Printed) -> None:
    give_all(printed, home)
    before = load(home, ENVIRONMENT)
    person = Person({"Password": "changed"})
    set_credentials(printed.console, home, ENVIRONMENT, "servicenow", ask=person)
    assert load(home, ENVIRONMENT) == before | {"SERVICENOW_PASSWORD": "changed"}
    assert leaks(" ".join(person.prompts)) == []
    assert any("Instance [acme; Enter keeps it]" in prompt for prompt in person.prompts)


def test_another_account_keeps_nothing(home: Path, printed: Printed) -> None:
    give_all(printed, home)
    person = Person({"Instance": "other", "Authentication": "basic", "Password": "new"})
    set_credentials(printed.console, home, ENVIRONMENT, "servicenow", ask=person)
    assert not any("keeps it" in prompt for prompt in person.prompts[1:])
    servicenow = {n: v for n, v in load(home, ENVIRONMENT).items() if n.startswith("SERVICENOW")}
    assert servicenow == {
        "SERVICENOW_INSTANCE": "other",
        "SERVICENOW_AUTH": "basic",
        "SERVICENOW_PASSWORD": "new",
    }
    assert "is dropped" in printed.text


def test_a_faulty_answer_is_asked_again_and_then_refused(home: Path, printed: Printed) -> None:
    person = Person({"Instance": ["canary!bad", "acme"], "Authentication": "basic"})
    set_credentials(printed.console, home, ENVIRONMENT, "servicenow", ask=person)
    assert load(home, ENVIRONMENT)["SERVICENOW_INSTANCE"] == "acme"
    assert "not an instance name" in printed.text
    assert "canary!bad" not in printed.text
    stubborn = Person({"Instance": ["canary!bad"] * 3})
    refused(lambda: set_credentials(printed.console, home, ENVIRONMENT, "servicenow", ask=stubborn))


def test_a_missing_or_wrong_key_shows_before_anything_is_asked(
    home: Path, printed: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    person = Person({})
    for environment, part in (({}, "Make one"), ({"NSN_MASTER_KEY": OTHER_KEY}, "is not the one")):
        if environment:
            give_all(printed, home)
        given = environment
        reason = refused(
            lambda given=given: set_credentials(
                printed.console, home, given, "netsuite", ask=person
            )
        )
        assert part in reason
    assert person.prompts == []


def test_without_a_terminal_the_other_ways_are_named(
    home: Path, printed: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("typed"))
    reason = refused(lambda: set_credentials(printed.console, home, ENVIRONMENT, "netsuite"))
    assert "--from-file" in reason


def test_a_secret_is_not_typed_where_it_would_be_echoed(
    home: Path, printed: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def echoing(_: str) -> str:
        warnings.warn("echo", getpass.GetPassWarning, stacklevel=2)
        pytest.fail("the prompt went on with echo")

    monkeypatch.setattr(sys, "stdin", Terminal("acme\nbasic\nme\n"))
    monkeypatch.setattr(getpass, "getpass", echoing)
    reason = refused(lambda: set_credentials(printed.console, home, ENVIRONMENT, "servicenow"))
    assert "nothing was stored" in reason
    assert load(home, ENVIRONMENT) == {}


def test_an_overriding_variable_and_an_open_home_are_pointed_out(
    home: Path, printed: Printed
) -> None:
    home.mkdir()
    home.chmod(0o755)
    set_credentials(
        printed.console,
        home,
        {**ENVIRONMENT, "SERVICENOW_PASSWORD": "x"},
        "servicenow",
        source="-",
        stdin=io.StringIO("instance=acme"),
    )
    assert "SERVICENOW_PASSWORD is set in the environment" in printed.text
    assert f"chmod 700 {home}" in printed.text


# --- list


def test_the_list_shows_what_is_set_and_no_secret(home: Path, printed: Printed) -> None:
    give_all(printed, home)
    listed = Printed()
    list_credentials(listed.console, home, {**ENVIRONMENT, "NETSUITE_CLIENT_ID": "x"})
    assert leaks(listed.text) == []
    assert "1234567_SB1" in listed.text
    assert key_facts(PEM).fingerprint in listed.text
    assert "...alue" in listed.text  # the end of an identifier
    assert "NETSUITE_CLIENT_ID (set: used instead)" in listed.text


def test_the_list_tells_no_part_of_a_secret_or_of_a_short_identifier(
    home: Path, printed: Printed
) -> None:
    values = {"instance": "acme", "auth": "basic", "username": "svc.xyzzy", "password": "P" * 20}
    give(printed, home, "servicenow", values)
    listed = Printed()
    list_credentials(listed.console, home, ENVIRONMENT)
    assert "yzzy" not in listed.text
    assert "PP" not in listed.text
    assert "16 to 63 characters" in listed.text


def test_the_list_as_json_can_be_read_by_programs(home: Path, printed: Printed) -> None:
    give(printed, home, "netsuite", {"account_id": "1234567", "private_key": PEM})
    listed = Printed()
    list_credentials(listed.console, home, ENVIRONMENT, as_json=True)
    found = json.loads(listed.text)
    assert found["exists"] is True
    assert found["key_source"] == "NSN_MASTER_KEY"
    netsuite = found["systems"]["netsuite"]
    assert netsuite["missing"] == ["client_id", "certificate_id"]
    assert netsuite["public_key"]["kind"] == "EC P-256"
    assert {field["name"] for field in netsuite["fields"] if field["is_set"]} == {
        "account_id",
        "private_key",
    }
    assert leaks(listed.text) == []


def test_an_empty_list_needs_no_key(home: Path, printed: Printed) -> None:
    list_credentials(printed.console, home, {})
    assert "Nothing is stored" in printed.text
    listed = Printed()
    list_credentials(listed.console, home, {}, as_json=True)
    assert json.loads(listed.text)["exists"] is False


# --- rotate and remove


def test_a_rotated_environment_key_goes_into_a_private_file_and_is_not_printed(
    home: Path, printed: Printed, tmp_path: Path
) -> None:
    give_all(printed, home)
    path = tmp_path / "new.key"
    rotate_master_key(printed.console, home, ENVIRONMENT, new_key_file=path)
    new = path.read_text().strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert new not in printed.text
    assert f"Set NSN_MASTER_KEY to what is in {path}" in printed.text
    assert load(home, {"NSN_MASTER_KEY": new})
    assert load(home, {"NSN_MASTER_KEY_FILE": str(path)})
    assert "is not the one" in refused(lambda: load(home, ENVIRONMENT))


def test_a_file_that_exists_is_not_overwritten_by_a_new_key(
    home: Path, printed: Printed, tmp_path: Path
) -> None:
    give_all(printed, home)
    path = tmp_path / "new.key"
    path.write_text(NEW_KEY)
    reason = refused(
        lambda: rotate_master_key(printed.console, home, ENVIRONMENT, new_key_file=path)
    )
    assert "exists already" in reason
    assert path.read_text() == NEW_KEY
    assert load(home, ENVIRONMENT)


def test_a_new_key_is_printed_once_and_only_to_a_terminal(home: Path, printed: Printed) -> None:
    give_all(printed, home)
    assert "--new-key-file" in refused(
        lambda: rotate_master_key(printed.console, home, ENVIRONMENT)
    )
    assert load(home, ENVIRONMENT)
    terminal = Printed(is_terminal=True)
    rotate_master_key(terminal.console, home, ENVIRONMENT)
    (new,) = (line for line in terminal.text.splitlines() if len(line.strip()) == 44)
    assert terminal.text.count(new) == 1
    assert load(home, {"NSN_MASTER_KEY": new.strip()})


def test_a_rotated_key_file_is_named_and_takes_no_second_file(
    home: Path, printed: Printed, tmp_path: Path
) -> None:
    path = tmp_path / "master.key"
    path.write_text(OLD_KEY)
    path.chmod(0o600)
    environment = {"NSN_MASTER_KEY_FILE": str(path)}
    give_all(printed, home)
    reason = refused(
        lambda: rotate_master_key(printed.console, home, environment, new_key_file=tmp_path / "x")
    )
    assert "replaced in place" in reason
    rotate_master_key(printed.console, home, environment)
    assert str(path) in printed.text
    assert path.read_text().strip() not in printed.text
    assert load(home, environment)


def test_removing_takes_out_one_system(home: Path, printed: Printed) -> None:
    give_all(printed, home)
    assert remove_credentials(printed.console, home, ENVIRONMENT, "netsuite")
    assert not remove_credentials(printed.console, home, ENVIRONMENT, "netsuite")
    assert not any(name.startswith("NETSUITE") for name in load(home, ENVIRONMENT))
    assert "Nothing was stored for NetSuite" in printed.text


# --- nothing leaks


def test_no_command_logs_a_secret_at_debug_level(
    home: Path, printed: Printed, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    give_all(printed, home)
    list_credentials(printed.console, home, ENVIRONMENT)
    rotate_master_key(printed.console, home, ENVIRONMENT, new_key_file=tmp_path / "new.key")
    environment = {"NSN_MASTER_KEY_FILE": str(tmp_path / "new.key")}
    remove_credentials(printed.console, home, environment, "netsuite")
    assert leaks(caplog.text + printed.text) == []
    for path in home.iterdir():
        assert leaks(path.read_text()) == []


def test_settings_refuse_a_stored_value_without_showing_any(home: Path, printed: Printed) -> None:
    from nsn_pipeline.settings import load_settings

    give_all(printed, home)
    given = load(home, ENVIRONMENT) | {
        "NSN_HOME": str(home),
        "NETSUITE_CONCURRENCY": "many",
        "SERVICENOW_AUTH": full("servicenow")["password"],
    }
    refused(lambda: load_settings(given))
