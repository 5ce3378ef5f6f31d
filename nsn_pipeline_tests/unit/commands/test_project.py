"""Commands see what Dagster sees."""

import os
from pathlib import Path

import pytest

from nsn_pipeline.commands.project import enter_project
from nsn_pipeline.settings import is_live


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("dagster.yaml", "workspace.yaml"):
        (tmp_path / name).touch()
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    for name in ("DAGSTER_HOME", "NETSUITE_ACCOUNT_ID", "NSN_HOME", "DAGSTER_DISABLE_TELEMETRY"):
        # Set first, so that what the test adds to the environment is taken back.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return tmp_path


def test_project_is_found_from_below_and_becomes_the_instance(checkout: Path) -> None:
    assert enter_project() == checkout
    assert Path.cwd() == checkout
    assert os.environ["DAGSTER_HOME"] == str(checkout)


def test_env_file_counts_for_commands_too(checkout: Path) -> None:
    """Else the demo would take a live account, named only there, for none."""
    (checkout / ".env").write_text("NETSUITE_ACCOUNT_ID=1234567\n")
    enter_project()
    assert is_live()


def test_environment_wins_over_the_env_file(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / ".env").write_text("NETSUITE_ACCOUNT_ID=1234567\n")
    monkeypatch.setenv("NETSUITE_ACCOUNT_ID", "7654321")
    enter_project()
    assert os.environ["NETSUITE_ACCOUNT_ID"] == "7654321"
