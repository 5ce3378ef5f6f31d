import socketserver
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nsn_pipeline.errors import ConfigurationError, UnreachableError
from nsn_pipeline.state.connection import _inspect, connect, redacted

SECRET = "p4ssw0rd"
UNESCAPED = "an unreadable address (escape /, ?, # and @ in the password)"
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="runs the embedded server")


class AnyServer:
    def __init__(self, **info: str) -> None:
        self._info = info

    def ping(self) -> bool:
        return True

    def info(self) -> dict[str, Any]:
        return self._info


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"redis://user:{SECRET}@example.test:6379/2", "redis://example.test:6379/2"),
        (f"rediss://:{SECRET}@example.test?password={SECRET}", "rediss://example.test"),
        (f"unix:///run/redis.sock?password={SECRET}", "unix:///run/redis.sock"),
        (f"redis://user:{SECRET}/x@example.test", "an unreadable address"),
        *((f"redis://user:12{mark}{SECRET}@example.test", UNESCAPED) for mark in "/?#"),
        (f"https://:{SECRET}@example.test", "must start with one of redis://, rediss://, unix://"),
    ],
)
def test_addresses_are_shown_without_their_secrets(url: str, shown: str) -> None:
    assert redacted(url) == shown


@pytest.mark.parametrize(
    "url", [f"https://:{SECRET}@example.test", f"redis://user:{SECRET}/x@host", SECRET]
)
def test_an_invalid_url_is_refused_without_quoting_it(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        connect(url, tmp_path)
    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_server_that_is_not_there_is_unreachable_without_secrets(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match=r"unix:.*no\.sock") as raised:
        connect(f"unix://{tmp_path}/no.sock?password={SECRET}", tmp_path)
    assert SECRET not in f"{raised.value} {raised.value.__cause__}"


@contextmanager
def answering(reply: str) -> Iterator[str]:
    """A server that answers each command by one error that quotes the command's words."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while count := self.rfile.readline():
                words: list[str] = []
                for _ in range(int(count[1:])):
                    self.rfile.readline()
                    words.append(self.rfile.readline().decode().strip())
                quoted = " ".join(f"'{word}'" for word in words[1:])
                text = reply.format(command=words[0], quoted=quoted)
                self.wfile.write(f"-{text}\r\n".encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"redis://user:{SECRET}@127.0.0.1:{server.server_address[1]}/0"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ("ERR unknown command `{command}`, with args beginning with: {quoted}", "too old"),
        ("ERR cannot do {command} {quoted}", "refused"),
        ("NOAUTH {quoted} denied", "is refused"),
        ("PROXYERR {command} {quoted} is not supported", r"refused \(PROXYERR\)"),
    ],
    ids=["old server", "generic", "no auth", "proxy"],
)
def test_a_server_that_echoes_the_password_is_not_quoted(
    reply: str, told: str, tmp_path: Path
) -> None:
    with answering(reply) as url, pytest.raises(ConfigurationError, match=told) as raised:
        connect(url, tmp_path)
    shown = "".join(traceback.format_exception(raised.value))
    assert SECRET not in shown


@linux_only
def test_a_url_is_used_instead_of_the_embedded_server(tmp_path: Path) -> None:
    with connect(None, tmp_path / "one") as one, connect(one.server, tmp_path / "two") as two:
        one.client.set("key", "value")
        assert two.client.get("key") == "value"
        assert two.notes == ()
        assert two.embedded is None
        assert not (tmp_path / "two").exists()


@linux_only
def test_refused_credentials_are_a_configuration_error(tmp_path: Path) -> None:
    with connect(None, tmp_path / "h") as one:
        one.client.config_set("requirepass", "another")
        with pytest.raises(ConfigurationError, match="REDIS_URL is refused") as raised:
            connect(f"{one.server}?password={SECRET}", tmp_path)
        assert SECRET not in str(raised.value)


@linux_only
def test_a_server_that_may_evict_keys_gets_a_note(tmp_path: Path) -> None:
    with connect(None, tmp_path / "h") as one:
        one.client.config_set("maxmemory-policy", "allkeys-lru")
        with connect(one.server, tmp_path) as two:
            assert two.notes == (
                "maxmemory-policy is allkeys-lru: under memory pressure job state would vanish",
            )


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({"redis_mode": "cluster"}, "names a cluster"),
        ({"redis_mode": "standalone", "role": "slave"}, "read-only replica"),
    ],
    ids=["cluster", "replica"],
)
def test_servers_that_cannot_hold_the_state_are_refused(info: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        _inspect(AnyServer(**info))


def test_a_server_that_hides_its_policy_gets_a_note() -> None:
    assert "must be noeviction" in _inspect(AnyServer(redis_mode="standalone"))[0]
