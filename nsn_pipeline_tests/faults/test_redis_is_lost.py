"""Redis dies while a job reads: the job reads on, with its token and its own limit."""

import logging
import socket
import subprocess
from pathlib import Path

import pytest

from nsn_pipeline.clients.suiteql import probe
from nsn_pipeline.connections import Connections
from nsn_pipeline.settings import load_settings
from nsn_pipeline.state.connection import connect
from nsn_pipeline.state.server_binary import server_binary
from nsn_pipeline_tests.faults.healthy import Case, healthy_systems
from nsn_pipeline_tests.unit.state.processes import eventually


def test_a_lost_redis_costs_a_reading_job_nothing_but_a_token(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"redis://127.0.0.1:{port}/0"
    arguments = [server_binary(), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    server = subprocess.Popen([*arguments, "--dir", tmp_path], stdout=subprocess.DEVNULL)
    try:
        with healthy_systems(tmp_path) as systems:
            assert eventually(lambda: answers(url))
            with (
                systems.world(Case(environment={"REDIS_URL": url})) as world,
                Connections(load_settings(world.environment), run_id="test") as connections,
            ):
                connections.netsuite.query(probe("transaction"))
                server.kill()
                server.wait(20)
                with caplog.at_level(logging.WARNING):
                    for _ in range(3):
                        connections.netsuite.query(probe("transaction"))
                    world.netsuite.state.tokens.revoke_all()
                    for _ in range(3):
                        connections.netsuite.query(probe("transaction"))
                assert world.netsuite.state.tokens.issued == 2
    finally:
        server.kill()
        server.wait(20)
    events = [record.getMessage().split()[0] for record in caplog.records]
    assert events.count("limit_of_this_process_only") == 1
    assert events.count("token_lock_unavailable") == 1


def answers(url: str) -> bool:
    try:
        with connect(url, Path()):
            return True
    except Exception:  # noqa: BLE001  whatever keeps it from answering
        return False
