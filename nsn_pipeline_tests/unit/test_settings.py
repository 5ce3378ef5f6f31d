import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from nsn_pipeline.credentials.store import CredentialStore
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.settings import load_project_settings, load_settings
from nsn_pipeline.state.file_locks import Deadline, exclusive

LIVE = {
    "NETSUITE_ACCOUNT_ID": "1234567_SB1",
    "NETSUITE_CLIENT_ID": "client-canary",
    "NETSUITE_CERTIFICATE_ID": "certificate-canary",
    "NETSUITE_PRIVATE_KEY": "key-canary",
    "SERVICENOW_INSTANCE": "acme",
    "SERVICENOW_CLIENT_ID": "id-canary",
    "SERVICENOW_CLIENT_SECRET": "secret-canary",
}


@pytest.fixture
def sandbox_runs(tmp_path: Path) -> Iterator[None]:
    """The lock a running sandbox holds."""
    (tmp_path / "sandbox").mkdir()
    with exclusive(tmp_path / "sandbox" / "lock", Deadline(1)):
        write_sandbox(tmp_path)
        yield


def write_sandbox(home: Path) -> None:
    sandbox = {
        "NETSUITE_ACCOUNT_ID": "9999999",
        "NETSUITE_CLIENT_ID": "a",
        "NETSUITE_CERTIFICATE_ID": "b",
        "NETSUITE_PRIVATE_KEY": "c",
        "SERVICENOW_INSTANCE": "sandbox",
        "SERVICENOW_CLIENT_ID": "d",
        "SERVICENOW_CLIENT_SECRET": "e",
        "NSN_START_DATE": "2026-09-28",
    }
    (home / "sandbox.json").write_text(json.dumps({"environment": sandbox}))


def test_live_environment_is_read_whole(tmp_path: Path) -> None:
    settings = load_settings(LIVE | {"NSN_HOME": str(tmp_path), "NSN_OVERLAP": "90m"})
    assert settings.netsuite.account_id == "1234567_SB1"
    assert settings.project.overlap == timedelta(minutes=90)
    assert not settings.is_sandbox


def test_no_secret_shows_in_repr(tmp_path: Path) -> None:
    settings = load_settings(LIVE | {"NSN_HOME": str(tmp_path)})
    assert "canary" not in repr(settings)
    assert "canary" not in str(settings)


def test_missing_variables_are_named_together_without_values(tmp_path: Path) -> None:
    given = {"NSN_HOME": str(tmp_path), "NETSUITE_ACCOUNT_ID": "1", "NETSUITE_CLIENT_ID": "canary"}
    with pytest.raises(ConfigurationError) as caught:
        load_settings(given)
    message = str(caught.value)
    assert "NETSUITE_CERTIFICATE_ID, NETSUITE_PRIVATE_KEY" in message
    assert "canary" not in message


@pytest.mark.usefixtures("sandbox_runs")
def test_running_sandbox_serves_when_no_live_account_is_named(tmp_path: Path) -> None:
    settings = load_settings({"NSN_HOME": str(tmp_path)})
    assert settings.is_sandbox
    assert settings.servicenow.instance == "sandbox"
    assert settings.project.start_date.isoformat() == "2026-09-28"


def test_file_left_by_a_killed_sandbox_counts_for_nothing(tmp_path: Path) -> None:
    write_sandbox(tmp_path)
    with pytest.raises(ConfigurationError, match="no sandbox is running"):
        load_settings({"NSN_HOME": str(tmp_path)})


@pytest.mark.usefixtures("sandbox_runs")
def test_stored_credentials_make_it_live_and_are_overridden_by_the_environment(
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o700)
    given = {"NSN_HOME": str(tmp_path), "NSN_MASTER_KEY": Fernet.generate_key().decode()}
    store = CredentialStore(tmp_path, given)
    for system in ("netsuite", "servicenow"):
        prefix = f"{system.upper()}_"
        store.update(
            system,
            {
                name.removeprefix(prefix).lower(): SecretStr(value)
                for name, value in LIVE.items()
                if name.startswith(prefix)
            },
        )
    settings = load_settings(given | {"SERVICENOW_CLIENT_ID": "another"})
    assert not settings.is_sandbox
    assert settings.netsuite.account_id == "1234567_SB1"
    assert settings.servicenow.client_id == SecretStr("another")
    assert settings.servicenow.client_secret == SecretStr("secret-canary")


def test_token_based_authentication_needs_its_four_values(tmp_path: Path) -> None:
    given = LIVE | {"NSN_HOME": str(tmp_path), "NETSUITE_AUTH": "tba", "NETSUITE_TOKEN_ID": "x"}
    with pytest.raises(ConfigurationError, match="NETSUITE_TOKEN_SECRET"):
        load_settings(given)


@pytest.mark.usefixtures("sandbox_runs")
def test_live_account_never_mixes_with_a_running_sandbox(tmp_path: Path) -> None:
    half = {"NSN_HOME": str(tmp_path), "SERVICENOW_INSTANCE": "acme"}
    with pytest.raises(ConfigurationError, match="NETSUITE_ACCOUNT_ID"):
        load_settings(half)


def test_nothing_configured_says_what_to_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nsn sandbox"):
        load_settings({"NSN_HOME": str(tmp_path)})


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("NSN_TIMEZONE", "Mars/Olympus", "IANA time zone"),
        ("NSN_OVERLAP", "soon", "90m, 2h or 1d"),
        ("NSN_START_DATE", "03.10.2016", "NSN_START_DATE"),
    ],
)
def test_faulty_project_setting_is_named(
    tmp_path: Path, variable: str, value: str, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        load_project_settings({"NSN_HOME": str(tmp_path), variable: value})
    assert variable in str(caught.value)


def test_private_key_may_be_a_file(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("PEM")
    given = {k: v for k, v in LIVE.items() if k != "NETSUITE_PRIVATE_KEY"}
    given |= {"NSN_HOME": str(tmp_path), "NETSUITE_PRIVATE_KEY_PATH": str(key)}
    assert load_settings(given).netsuite.private_key == SecretStr("PEM")


def test_unreadable_private_key_file_is_a_clear_error(tmp_path: Path) -> None:
    given = {k: v for k, v in LIVE.items() if k != "NETSUITE_PRIVATE_KEY"}
    given |= {"NSN_HOME": str(tmp_path), "NETSUITE_PRIVATE_KEY_PATH": str(tmp_path / "none.pem")}
    with pytest.raises(ConfigurationError, match="NETSUITE_PRIVATE_KEY_PATH"):
        load_settings(given)


def test_basic_authentication_needs_a_user(tmp_path: Path) -> None:
    given = LIVE | {"NSN_HOME": str(tmp_path), "SERVICENOW_AUTH": "basic"}
    with pytest.raises(ConfigurationError, match="SERVICENOW_USERNAME"):
        load_settings(given)


def test_spellings_of_deleted_types_are_read_and_checked(tmp_path: Path) -> None:
    given = {"NSN_HOME": str(tmp_path), "NSN_DELETED_TYPES": "BillX=vendor_bill, 41 = vendor"}
    found = load_project_settings(given).deleted_types
    assert found == {"BillX": "vendor_bill", "41": "vendor"}
    for wrong in ("BillX", "BillX=", "BillX=bill"):
        with pytest.raises(ConfigurationError, match="NSN_DELETED_TYPES"):
            load_project_settings({**given, "NSN_DELETED_TYPES": wrong})


@pytest.mark.parametrize(
    ("name", "value"), [("NSN_RETIRE_MAX_SHARE", "10"), ("NSN_RETIRE_MAX_COUNT", "-1")]
)
def test_a_brake_that_could_not_hold_is_refused(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        load_project_settings({"NSN_HOME": str(tmp_path), name: value})


def test_what_both_systems_lack_is_said_at_once() -> None:
    given = {"NSN_HOME": "/nowhere", "NETSUITE_ACCOUNT_ID": "1", "SERVICENOW_AUTH": "basic"}
    with pytest.raises(ConfigurationError) as caught:
        load_settings(given)
    assert str(caught.value) == (
        "settings need attention: NETSUITE_AUTH=oauth2 needs NETSUITE_CLIENT_ID, "
        "NETSUITE_CERTIFICATE_ID, NETSUITE_PRIVATE_KEY; SERVICENOW_INSTANCE: is not set. "
        "Correct the variables named here (.env.example says what each one takes), or store them "
        "with `nsn credentials set`."
    )
