"""Redis to test against: one that behaves in memory, and the embedded server itself."""

from collections.abc import Iterator
from pathlib import Path

import fakeredis
import pytest
import redis

from nsn_pipeline.state.connection import Connection, connect


@pytest.fixture(scope="session")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nsn")


@pytest.fixture(scope="session")
def shared_server(shared_home: Path) -> Iterator[Connection]:
    with connect(None, shared_home) as connection:
        yield connection


@pytest.fixture
def embedded_client(shared_server: Connection) -> redis.Redis:
    shared_server.client.flushdb()
    return shared_server.client


@pytest.fixture(params=["fakeredis", "embedded"])
def client(request: pytest.FixtureRequest) -> redis.Redis:
    if request.param == "embedded":
        return request.getfixturevalue("embedded_client")
    return fakeredis.FakeRedis(server=fakeredis.FakeServer(), decode_responses=True)
