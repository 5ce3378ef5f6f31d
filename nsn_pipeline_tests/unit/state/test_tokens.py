import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from cryptography.fernet import Fernet

from nsn_pipeline.clients.tokens import BearerAuth, Token
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.state.connection import Connection
from nsn_pipeline.state.leases import LeaseUnavailableError, named_lock
from nsn_pipeline.state.tokens import RedisTokenCache, load_cipher
from nsn_pipeline_tests.unit.state.processes import python, tell

KEY = "netsuite:1234567:client"
OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


def cache(
    client: redis.Redis, home: Path, master_key: str | None = None, **options: object
) -> RedisTokenCache:
    return RedisTokenCache(client, home=home, master_key=master_key, **options)


def token(value: str = "plain-token", lasts_s: float = 600.0) -> Token:
    return Token(value=value, expires_at=time.time() + lasts_s, refresh_at=time.time() + 1.5)


def away() -> redis.Redis:
    return redis.Redis(unix_socket_path="/nonexistent/socket", retry=None)


def test_a_token_is_shared_between_caches_of_one_home(client: redis.Redis, tmp_path: Path) -> None:
    written = token()
    cache(client, tmp_path).put(KEY, written)
    assert cache(client, tmp_path).get(KEY) == written
    assert cache(client, tmp_path).get("another") is None


def test_redis_never_sees_the_token_and_forgets_it_in_time(
    client: redis.Redis, tmp_path: Path
) -> None:
    cache(client, tmp_path).put(KEY, token(lasts_s=600))
    assert "plain-token" not in client.get(f"nsn:token:{KEY}")
    assert 590 < client.ttl(f"nsn:token:{KEY}") <= 600


def test_an_expired_token_is_neither_stored_nor_returned(
    client: redis.Redis, tmp_path: Path
) -> None:
    cache(client, tmp_path).put(KEY, token(lasts_s=-1))
    assert client.keys("*") == []
    cache(client, tmp_path).put(KEY, token(lasts_s=600))
    assert cache(client, tmp_path, now=lambda: time.time() + 601).get(KEY) is None


def test_keys_rotate_the_first_encrypts_and_all_decrypt(
    client: redis.Redis, tmp_path: Path
) -> None:
    cache(client, tmp_path, OLD).put(KEY, token("first"))
    both = cache(client, tmp_path, f"{NEW}, {OLD}")
    assert both.get(KEY).value == "first"
    both.put(KEY, token("second"))
    assert cache(client, tmp_path, NEW).get(KEY).value == "second"
    assert cache(client, tmp_path, OLD).get(KEY) is None


def test_the_master_key_file_seals_the_cache_too(client: redis.Redis, tmp_path: Path) -> None:
    key_file = tmp_path / "master.key"
    key_file.write_text(f"{NEW}\n")
    key_file.chmod(0o600)
    RedisTokenCache(client, home=tmp_path, master_key=None, master_key_file=key_file).put(
        KEY, token()
    )
    assert cache(client, tmp_path / "elsewhere", NEW).get(KEY).value == "plain-token"
    assert not (tmp_path / "keys").exists()
    key_file.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        RedisTokenCache(client, home=tmp_path, master_key=None, master_key_file=key_file)


@pytest.mark.parametrize("damaged", ["", "nonsense", "é"])
def test_a_value_that_cannot_be_read_is_a_miss(
    client: redis.Redis, tmp_path: Path, damaged: str
) -> None:
    client.set(f"nsn:token:{KEY}", damaged)
    assert cache(client, tmp_path).get(KEY) is None


@pytest.mark.parametrize("content", [b"[]", b"1", b"{}", b'"text"'])
def test_sealed_content_of_another_shape_is_a_miss(
    client: redis.Redis, tmp_path: Path, content: bytes
) -> None:
    client.set(f"nsn:token:{KEY}", Fernet(NEW).encrypt(content))
    assert cache(client, tmp_path, NEW).get(KEY) is None


def test_a_token_moved_to_another_key_is_a_miss(client: redis.Redis, tmp_path: Path) -> None:
    cache(client, tmp_path).put(KEY, token())
    client.rename(f"nsn:token:{KEY}", "nsn:token:servicenow")
    assert cache(client, tmp_path).get("servicenow") is None


def test_without_redis_the_process_keeps_its_own_tokens_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = cache(away(), tmp_path)
    with caplog.at_level(logging.WARNING), tokens.lock(KEY):
        assert tokens.get(KEY) is None
        tokens.put(KEY, token())
        assert tokens.get(KEY).value == "plain-token"
    assert caplog.text.count("token_cache_away") == 1
    assert caplog.text.count("token_lock_unavailable") == 1
    assert "plain-token" not in caplog.text


# What each of several processes does: eight threads need a token at once.
WORKER = """
import sys, threading
from pathlib import Path
import redis
from nsn_pipeline.clients.tokens import BearerAuth, Token
from nsn_pipeline.state.tokens import RedisTokenCache

home, socket, key, refused = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
client = redis.Redis(unix_socket_path=socket, decode_responses=True)

def fetch():
    number = client.incr("asked")
    return Token(f"token-{number}", expires_at=4_000_000_000, refresh_at=3_900_000_000)

auth = BearerAuth(fetch, key=key, cache=RedisTokenCache(client, home=home, master_key=None))
used = []

def work():
    if refused:
        auth.renew(refused)
    used.append(auth.ready().value)

threads = [threading.Thread(target=work) for _ in range(8)]
sys.stdin.readline()
for thread in threads: thread.start()
for thread in threads: thread.join()
print(" ".join(sorted(set(used))), len(used))
"""


@pytest.mark.parametrize("refused", ["", "old"], ids=["expired", "revoked"])
def test_eight_threads_in_each_of_three_processes_make_one_token_call(
    embedded_client: redis.Redis, shared_server: Connection, shared_home: Path, refused: str
) -> None:
    assert shared_server.embedded is not None
    shared = cache(embedded_client, shared_home)
    # An expired token is gone from the cache; a revoked one is still there, and looks fresh.
    shared.put(KEY, token("old", lasts_s=600 if refused else -1))
    socket = shared_server.embedded.socket_path
    users = [python(WORKER, shared_home, socket, KEY, refused) for _ in range(3)]
    for user in users:
        tell(user)
    said = [user.communicate(timeout=60)[0].strip() for user in users]
    assert said == ["token-1 8"] * 3
    assert embedded_client.get("asked") == "1"
    assert shared.get(KEY).value == "token-1"


def test_eight_threads_of_a_process_that_lost_redis_make_one_token_call(tmp_path: Path) -> None:
    calls: list[int] = []

    def fetch() -> Token:
        calls.append(1)
        return token("own")

    auth = BearerAuth(fetch, key=KEY, cache=cache(away(), tmp_path))
    used: list[str] = []
    threads = [threading.Thread(target=lambda: used.append(auth.ready().value)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert used == ["own"] * 8
    assert len(calls) == 1


def test_the_lock_keeps_other_processes_out(client: redis.Redis, tmp_path: Path) -> None:
    with (
        cache(client, tmp_path).lock(KEY),
        pytest.raises(LeaseUnavailableError),
        named_lock(client, f"token:{KEY}", wait_s=0),
    ):
        pass
    with named_lock(client, f"token:{KEY}", wait_s=0):
        pass


def test_an_error_while_the_lock_is_held_reaches_the_caller_and_frees_it(
    client: redis.Redis, tmp_path: Path
) -> None:
    tokens = cache(client, tmp_path)
    with pytest.raises(ConfigurationError, match="refused"), tokens.lock(KEY):
        raise ConfigurationError("refused")
    with named_lock(client, f"token:{KEY}", wait_s=0):
        pass


def test_a_lock_that_is_never_freed_does_not_stop_the_work(
    client: redis.Redis, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with named_lock(client, f"token:{KEY}"), cache(client, tmp_path, lock_wait_s=0).lock(KEY):
        assert "token_lock_unavailable" in caplog.text


def test_the_key_file_is_private_and_made_once(tmp_path: Path) -> None:
    sealed = load_cipher(None, tmp_path).encrypt(b"text")
    path = tmp_path / "keys" / "cache.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert load_cipher(None, tmp_path).decrypt(sealed) == b"text"


def test_processes_that_race_for_the_key_file_use_the_same_key(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from nsn_pipeline.state.tokens import load_cipher\n"
        "home = Path(sys.argv[1]); sys.stdin.readline()\n"
        "print(load_cipher(None, home).encrypt(b'text').decode())"
    )
    users = [python(code, tmp_path) for _ in range(3)]
    for user in users:
        tell(user)
    sealed = [user.communicate(timeout=60)[0].strip() for user in users]
    assert all(load_cipher(None, tmp_path).decrypt(text) == b"text" for text in sealed)


def test_threads_that_race_for_the_key_file_use_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        sealed = list(pool.map(lambda _: load_cipher(None, tmp_path).encrypt(b"x"), range(8)))
    assert all(load_cipher(None, tmp_path).decrypt(text) == b"x" for text in sealed)
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["cache.key"]


def test_a_key_file_others_can_read_is_refused(tmp_path: Path) -> None:
    load_cipher(None, tmp_path)
    (tmp_path / "keys" / "cache.key").chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        load_cipher(None, tmp_path)


def test_a_key_file_that_cannot_be_read_is_told_with_its_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"No such file.*NSN_MASTER_KEY_FILE"):
        load_cipher(None, tmp_path, tmp_path / "none.key")


@pytest.mark.parametrize(
    "key",
    ["secret-text", f"{NEW},secret-text", ",", "é"],
    ids=["text", "second", "none", "not-ascii"],  # generated keys must not become test names
)
def test_a_wrong_master_key_is_told_without_quoting_it(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigurationError, match="NSN_MASTER_KEY is not a key") as raised:
        load_cipher(key, tmp_path)
    assert "secret-text" not in str(raised.value)
    assert raised.value.__cause__ is None
