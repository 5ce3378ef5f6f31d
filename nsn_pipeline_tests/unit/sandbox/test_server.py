import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests

from nsn_pipeline.sandbox.background import running, start_in_background
from nsn_pipeline.sandbox.problems import AlreadyRunningError, SandboxStartError, SeedError
from nsn_pipeline.sandbox.server import run_sandbox

PARENT = """
import sys, time
from pathlib import Path
from nsn_pipeline.sandbox.background import start_in_background
with start_in_background(Path(sys.argv[1]), size="tiny") as info:
    print(info["pid"], flush=True)
    time.sleep(600)
"""


@contextmanager
def served(home: Path, **options: Any) -> Iterator[dict[str, Any]]:
    """A sandbox in a thread of this process, for the length of the block."""
    stop, ready = threading.Event(), threading.Event()
    outcome: dict[str, Any] = {}

    def come_up(info: dict[str, Any]) -> None:
        outcome["info"] = info
        ready.set()

    def run() -> None:
        try:
            run_sandbox(home, stop=stop, on_ready=come_up, **{"size": "tiny", **options})
        except Exception as error:  # noqa: BLE001  # handed to the test below
            outcome["error"] = error
        finally:
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(60)
    try:
        if "error" in outcome:
            raise outcome["error"]
        yield outcome["info"]
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()
    if "error" in outcome:
        raise outcome["error"]


def call(
    info: dict[str, Any],
    url: str,
    *,
    body: Any = None,
    method: str | None = None,
    token: str | None = None,
) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    method = method or ("GET" if body is None else "POST")
    answer = requests.request(
        method, url, json=body, headers=headers, verify=info["ca_bundle"], timeout=30
    )
    return answer.status_code, answer.json() if answer.text.startswith("{") else answer.text


def counts(info: dict[str, Any], system: str) -> dict[str, int]:
    url = f"{info[system]['base_url']}/__sandbox__/{system}"
    status, found = call(info, url, token=info["admin_token"])
    assert status == 200
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def info(home: Path) -> Iterator[dict[str, Any]]:
    with served(home) as found:
        yield found


def test_both_systems_answer_over_tls(info: dict[str, Any]) -> None:
    table = f"{info['servicenow']['base_url']}/api/now/table/itfm_gl_accounts"
    assert call(info, table)[0] == 401
    query = f"{info['netsuite']['base_url']}/services/rest/query/v1/suiteql"
    assert call(info, query, body={"q": "SELECT id FROM vendor"})[0] == 401


def test_the_netsuite_key_of_sandbox_json_opens_netsuite(info: dict[str, Any]) -> None:
    netsuite = info["netsuite"]
    url = f"{netsuite['base_url']}/services/rest/auth/oauth2/v1/token"
    now = int(time.time())
    claims = {"iss": netsuite["client_id"], "scope": ["rest_webservices"], "aud": url}
    assertion = jwt.encode(
        {**claims, "iat": now, "exp": now + 300},
        netsuite["private_key"],
        algorithm="ES256",
        headers={"kid": netsuite["certificate_id"]},
    )
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion,
    }
    answer = requests.post(url, data=form, verify=info["ca_bundle"], timeout=30)
    assert answer.status_code == 200
    rows = requests.post(
        f"{netsuite['base_url']}/services/rest/query/v1/suiteql",
        json={"q": "SELECT COUNT(*) AS n FROM transaction WHERE type = 'VendBill'"},
        headers={"Authorization": f"Bearer {answer.json()['access_token']}", "Prefer": "transient"},
        verify=info["ca_bundle"],
        timeout=30,
    )
    assert rows.json()["items"] == [{"links": [], "n": "60"}]


def test_both_servicenow_credentials_of_sandbox_json_open_servicenow(info: dict[str, Any]) -> None:
    servicenow = info["servicenow"]
    form = {
        "grant_type": "client_credentials",
        "client_id": servicenow["client_id"],
        "client_secret": servicenow["client_secret"],
    }
    trust = info["ca_bundle"]
    url = f"{servicenow['base_url']}/oauth_token.do"
    token = requests.post(url, data=form, verify=trust, timeout=30).json()["access_token"]
    table = f"{servicenow['base_url']}/api/now/table/cmn_cost_center?sysparm_query=code=CC-520"
    bearer = {"Authorization": f"Bearer {token}"}
    by_token = requests.get(table, headers=bearer, verify=trust, timeout=30)
    basic = (servicenow["username"], servicenow["password"])
    by_password = requests.get(table, auth=basic, verify=trust, timeout=30)
    assert by_token.json() == by_password.json()
    assert by_token.json()["result"][0]["valid_to"] == "2025-11-02 00:00:00"


def test_a_caller_who_does_not_know_the_authority_does_not_trust_it(info: dict[str, Any]) -> None:
    with pytest.raises(requests.exceptions.SSLError, match="certificate verify failed"):
        requests.get(info["netsuite"]["base_url"], timeout=10)


def test_sandbox_json_holds_what_a_caller_needs_and_is_private(
    home: Path, info: dict[str, Any]
) -> None:
    file = home / "sandbox.json"
    assert json.loads(file.read_text()) == info == running(home)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert info["pid"] == os.getpid()
    assert (info["data"]["first_day"], info["data"]["last_day"]) == ("2026-03-02", "2026-03-08")
    assert set(info["netsuite"]) == {
        "base_url", "account_id", "client_id", "certificate_id", "private_key",
        "consumer_key", "consumer_secret", "token_id", "token_secret",
    }  # fmt: skip
    assert set(info["servicenow"]) == {
        "base_url", "instance", "client_id", "client_secret", "username", "password",
    }  # fmt: skip
    environment = info["environment"]
    assert environment["NETSUITE_BASE_URL"] == info["netsuite"]["base_url"]
    assert environment["SERVICENOW_CLIENT_SECRET"] == info["servicenow"]["client_secret"]
    assert environment["NSN_START_DATE"] == "2026-03-02"
    assert environment["NSN_TIMEZONE"] == "America/New_York"
    assert Path(environment["NSN_CA_BUNDLE"]).is_absolute()


def test_the_generated_data_is_there(info: dict[str, Any]) -> None:
    assert counts(info, "netsuite")["department"] == 35
    assert counts(info, "servicenow")["cmn_cost_center"] == 33


def test_a_second_sandbox_on_the_same_home_is_refused_and_told_who_runs(
    home: Path, info: dict[str, Any]
) -> None:
    with pytest.raises(AlreadyRunningError, match=str(os.getpid())):
        run_sandbox(home, size="tiny")
    assert running(home) == info


def test_a_running_sandbox_is_shared(home: Path, info: dict[str, Any]) -> None:
    with start_in_background(home, size="tiny") as found:
        assert found == info
    assert running(home) == info


def test_a_running_sandbox_with_other_data_is_not_shared(home: Path, info: dict[str, Any]) -> None:
    with pytest.raises(SeedError, match="holds other data"), start_in_background(home, seed=2):
        pass


@pytest.mark.parametrize("token", [None, "wrong"])
@pytest.mark.parametrize("system", ["netsuite", "servicenow"])
def test_the_side_door_needs_the_admin_token(
    info: dict[str, Any], system: str, token: str | None
) -> None:
    url = f"{info[system]['base_url']}/__sandbox__/{system}"
    assert call(info, url, token=token)[0] == 401


def test_a_missing_gl_account_can_be_added_and_taken_away(info: dict[str, Any]) -> None:
    url = f"{info['servicenow']['base_url']}/__sandbox__/servicenow/itfm_gl_accounts"
    before = counts(info, "servicenow")["itfm_gl_accounts"]
    row = {"account_number": "7160", "account_name": "Calibration and Testing Services"}
    status, made = call(info, url, body=row, token=info["admin_token"])
    assert status == 201
    assert counts(info, "servicenow")["itfm_gl_accounts"] == before + 1
    gone = f"{url}/{made['sys_id']}"
    assert call(info, gone, method="DELETE", token=info["admin_token"])[0] == 204
    assert counts(info, "servicenow")["itfm_gl_accounts"] == before


@pytest.mark.parametrize(
    ("table", "body", "status"),
    [
        ("no_such_table", {"a": "b"}, 404),
        ("itfm_gl_accounts", {"acount_number": "1"}, 400),
        ("itfm_gl_accounts", {"account_number": 1}, 400),
        ("itfm_gl_accounts", ["1"], 400),
    ],
    ids=["table", "column", "number", "list"],
)
def test_a_wrong_row_is_refused(info: dict[str, Any], table: str, body: Any, status: int) -> None:
    url = f"{info['servicenow']['base_url']}/__sandbox__/servicenow/{table}"
    assert call(info, url, body=body, token=info["admin_token"])[0] == status


def test_a_netsuite_row_can_be_changed_and_deleted(info: dict[str, Any]) -> None:
    url = f"{info['netsuite']['base_url']}/__sandbox__/netsuite"
    token = info["admin_token"]
    changed = call(info, f"{url}/vendor/3009", body={"phone": "+1-216-555-0199"}, token=token)
    assert changed[0] == 200
    line = call(info, f"{url}/transactionline/20001-1", body={"memo": "edited"}, token=token)
    assert line[0] == 200
    assert call(info, f"{url}/vendor/99", body={"phone": "1"}, token=token)[0] == 400
    assert call(info, f"{url}/vendor/3009-1", body={"phone": "1"}, token=token)[0] == 400
    assert call(info, f"{url}/no_such/1", body={"phone": "1"}, token=token)[0] == 404
    deleted = counts(info, "netsuite")["deletedrecord"]
    assert call(info, f"{url}/vendor/3009", method="DELETE", token=token)[0] == 204
    assert counts(info, "netsuite")["deletedrecord"] == deleted + 1


def test_a_restart_keeps_data_secrets_and_ports_and_cleans_up_after_itself(tmp_path: Path) -> None:
    row = {"account_number": "7160"}
    with served(tmp_path) as first:
        url = f"{first['servicenow']['base_url']}/__sandbox__/servicenow/itfm_gl_accounts"
        assert call(first, url, body=row, token=first["admin_token"])[0] == 201
        before = counts(first, "servicenow"), counts(first, "netsuite")
    assert running(tmp_path) is None
    assert not (tmp_path / "sandbox.json").exists()
    with served(tmp_path) as second:
        assert second == first
        assert (counts(second, "servicenow"), counts(second, "netsuite")) == before


def test_other_data_on_the_same_home_needs_a_reset(tmp_path: Path) -> None:
    with served(tmp_path):
        pass
    with pytest.raises(SeedError, match=r"seed 1.*seed 2.*reset"):
        run_sandbox(tmp_path, size="tiny", seed=2)
    assert not (tmp_path / "sandbox.json").exists()
    with served(tmp_path, seed=2, shape="single", reset=True) as found:
        assert found["data"]["seeded"]["shape"] == "single"
        assert "subsidiary" not in counts(found, "netsuite")


def test_an_interrupted_load_is_made_anew(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(SeedError, match="told to stop"):
        run_sandbox(tmp_path, size="tiny", stop=stop)
    with served(tmp_path) as found:
        assert counts(found, "netsuite")["vendor"] == 25


def test_table_files_are_served(tmp_path: Path) -> None:
    file = tmp_path / "data" / "netsuite" / "vendor.csv"
    file.parent.mkdir(parents=True)
    file.write_text("id,companyname,lastmodifieddate\n1,Acme,2024-05-05T23:30:00Z\n")
    with served(tmp_path / "home", data=tmp_path / "data") as found:
        assert counts(found, "netsuite") == {"vendor": 1}
        assert found["environment"]["NSN_START_DATE"] == "2024-05-05"
        assert found["environment"]["NSN_TIMEZONE"] == "UTC"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("id,lastmodifieddate\n1,\n2,yesterday\n", "netsuite/vendor, data row 2.*lastmodifieddate"),
        ("id,colour\n1,red\n", "netsuite/vendor.*colour"),
    ],
)
def test_a_table_file_that_does_not_fit_is_refused_with_its_row(
    tmp_path: Path, content: str, told: str
) -> None:
    file = tmp_path / "data" / "netsuite" / "vendor.csv"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    with pytest.raises(SeedError, match=told):
        run_sandbox(tmp_path / "home", data=tmp_path / "data")


def test_a_sandbox_json_left_by_a_killed_sandbox_counts_for_nothing(tmp_path: Path) -> None:
    with served(tmp_path) as found:
        pass
    (tmp_path / "sandbox.json").write_text(json.dumps(found))
    assert running(tmp_path) is None


def test_a_child_serves_during_the_block_and_no_longer(tmp_path: Path) -> None:
    said: list[str] = []
    with start_in_background(tmp_path, size="tiny", progress=said.append) as found:
        assert found["pid"] != os.getpid()
        assert counts(found, "netsuite")["vendor"] == 25
        assert running(tmp_path) == found
    assert running(tmp_path) is None
    assert not (tmp_path / "sandbox.json").exists()
    assert any("rows loaded" in line for line in said)


def test_two_starts_at_once_share_one_sandbox(tmp_path: Path) -> None:
    both_in = threading.Barrier(2, timeout=60)
    found: list[int] = []

    def start() -> None:
        with start_in_background(tmp_path, size="tiny") as info:
            found.append(info["pid"])
            both_in.wait()

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 2
    assert len(set(found)) == 1


def test_a_running_sandbox_is_not_reset_under_its_users(home: Path, info: dict[str, Any]) -> None:
    with pytest.raises(SeedError, match="end it"), start_in_background(home, reset=True):
        pass
    assert running(home) == info


def test_a_child_ends_in_order_when_terminated(tmp_path: Path) -> None:
    with start_in_background(tmp_path, size="tiny") as found:
        os.kill(found["pid"], signal.SIGTERM)
    assert not (tmp_path / "sandbox.json").exists()


def test_a_child_that_cannot_start_is_reported_with_what_it_said(tmp_path: Path) -> None:
    with (
        pytest.raises(
            SandboxStartError, match=r"status 2; it said:\nerror: days must be at least 1"
        ),
        start_in_background(tmp_path, size="tiny", days=0),
    ):
        pass


def test_a_child_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with (
        pytest.raises(SandboxStartError, match="not ready after 0 s"),
        start_in_background(tmp_path, size="tiny", timeout_s=0),
    ):
        pass
    assert running(tmp_path) is None


@pytest.mark.slow
def test_a_child_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        assert int(parent.stdout.readline()) != parent.pid
        lock = (tmp_path / "sandbox" / "lock").open()
        parent.kill()
    with lock:
        # Waiting for the lock is waiting for the child to end, without a clock of our own.
        fcntl.flock(lock, fcntl.LOCK_SH)
    assert not (tmp_path / "sandbox.json").exists(), "the child ended in order"
