"""Starts the model server beside a benchmark, and asks it what it saw."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from nsn_pipeline.sandbox.credentials import load_or_make

USER, PASSWORD = "bench", "bench"
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Served:
    """A running model server."""

    url: str
    certificate: Path

    def ask(self, what: str, **body: Any) -> Any:
        answer = requests.post(
            f"{self.url}/bench/{what}",
            data=json.dumps(body),
            verify=str(self.certificate),
            timeout=60,
        )
        answer.raise_for_status()
        return answer.json()

    def reset(self, **model: Any) -> None:
        """Forget all rows and counts, and take another cost model."""
        self.ask("reset", **model)


@contextmanager
def trusted(bundle: Path) -> Iterator[None]:
    """For clients that let the environment win over what they are told, PySNC among them."""
    before = os.environ.get("REQUESTS_CA_BUNDLE")
    os.environ["REQUESTS_CA_BUNDLE"] = str(bundle)
    try:
        yield
    finally:
        del os.environ["REQUESTS_CA_BUNDLE"]
        if before is not None:
            os.environ["REQUESTS_CA_BUNDLE"] = before


@contextmanager
def process(module: str, directory: Path, *options: str) -> Iterator[Served]:
    """A server module in a process of its own, over TLS."""
    credentials = load_or_make(directory)
    command = [sys.executable, "-m", module, "--certificate", str(credentials.server_certificate)]
    command += ["--key", str(credentials.server_key), *options]
    with (
        trusted(credentials.ca_bundle),
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as running,
    ):
        try:
            assert running.stdout is not None  # noqa: S101 - asked for above
            port = json.loads(running.stdout.readline())["port"]
            yield Served(f"https://127.0.0.1:{port}", credentials.ca_bundle)
        finally:
            running.kill()  # nothing to keep, and half-closed TLS would be waited for


@contextmanager
def served(directory: Path) -> Iterator[Served]:
    """The ServiceNow cost model."""
    with process("benchmarks.model_servicenow", directory) as server:
        yield server
