"""What `Connections` passes on to what it opens."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import fakeredis
import pytest

from nsn_pipeline.connections import BRIEF_WAIT_S, Connections
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.settings import load_settings
from nsn_pipeline.state.connection import Connection
from nsn_pipeline.state.tokens import LOCK_WAIT_S

LIVE = {
    "NETSUITE_ACCOUNT_ID": "1234567",
    "NETSUITE_CLIENT_ID": "a",
    "NETSUITE_CERTIFICATE_ID": "b",
    "NETSUITE_PRIVATE_KEY": "c",
    "SERVICENOW_INSTANCE": "acme",
    "SERVICENOW_CLIENT_ID": "d",
    "SERVICENOW_CLIENT_SECRET": "e",
}


def opened(home: Path, *, brief: bool = False, **environment: str) -> Connections:
    settings = load_settings(LIVE | {"NSN_HOME": str(home)} | environment)
    connections = Connections(settings, run_id="test", brief=brief)
    client = fakeredis.FakeRedis(server=fakeredis.FakeServer(), decode_responses=True)
    connections.__dict__["redis"] = Connection(client, "in memory")
    return connections


@pytest.mark.parametrize(("brief", "wait_s"), [(True, BRIEF_WAIT_S), (False, LOCK_WAIT_S)])
def test_a_tick_does_not_outlast_its_time_waiting_for_another_process_to_ask_for_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, brief: bool, wait_s: float
) -> None:
    waits: list[float] = []

    def lock(*_: Any, wait_s: float, **__: Any) -> nullcontext[None]:
        waits.append(wait_s)
        return nullcontext()

    monkeypatch.setattr("nsn_pipeline.state.tokens.named_lock", lock)
    with opened(tmp_path, brief=brief) as connections, connections._token_cache.lock("netsuite:1"):
        pass
    assert waits == [wait_s]


def test_a_base_url_of_another_instance_is_not_called(tmp_path: Path) -> None:
    other = "https://acmedev.service-now.com"
    connections = opened(tmp_path, SERVICENOW_BASE_URL=other)
    with connections, pytest.raises(ConfigurationError, match="name the same instance"):
        _ = connections.servicenow
