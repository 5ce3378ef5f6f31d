"""`python -m nsn_pipeline.sandbox`: both simulated systems, until Ctrl-C."""

import argparse
import os
import sys
import threading
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from nsn_pipeline.sandbox.background import ALREADY_RUNNING
from nsn_pipeline.sandbox.data.generator import SIZES
from nsn_pipeline.sandbox.problems import AlreadyRunningError, SandboxError
from nsn_pipeline.sandbox.server import run_sandbox

_COULD_NOT_RUN = 2
_PARENT_POLL_S = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    stop = threading.Event()
    if given.parent is not None:
        _end_with_parent(given.parent, stop)
    try:
        run_sandbox(
            given.home,
            data=given.data,
            size=given.size,
            seed=given.seed,
            shape=given.shape,
            first_day=given.first_day,
            days=given.days,
            netsuite_port=given.netsuite_port,
            servicenow_port=given.servicenow_port,
            reset=given.reset,
            netsuite=_netsuite(given),
            servicenow=_servicenow(given),
            progress=lambda line: print(line, flush=True),
            stop=stop,
        )
    except AlreadyRunningError as error:
        print(error, file=sys.stderr)
        return ALREADY_RUNNING
    except (SandboxError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return _COULD_NOT_RUN
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m nsn_pipeline.sandbox",
        description="Serves a simulated NetSuite account and ServiceNow instance on loopback.",
    )
    add = parser.add_argument
    add("--home", type=Path, required=True, help="where data, credentials and sandbox.json live")
    add("--data", type=Path, help="directory with netsuite/*.csv[.gz] and servicenow/*.csv[.gz]")
    add("--size", choices=list(SIZES), default="small", help="how much data to make up")
    add("--seed", type=int, default=1, help="the same seed makes up the same data")
    add("--shape", choices=["multi", "single"], default="multi", help="subsidiaries or one entity")
    add("--first-day", type=date.fromisoformat, help="first day of change of made-up data")
    add("--days", type=int, help="days of change of made-up data")
    add("--reset", action="store_true", help="replace the data, and forget what was written")
    add("--netsuite-port", type=int, default=0, help="0: as last time, or any that is free")
    add("--servicenow-port", type=int, default=0, help="0: as last time, or any that is free")
    add("--netsuite-latency", type=float, help="seconds each NetSuite call takes")
    add("--netsuite-concurrency", type=int, help="NetSuite calls at once before 429")
    add("--servicenow-latency", type=float, help="seconds each ServiceNow call takes")
    add("--servicenow-record-latency", type=float, help="seconds each ServiceNow record takes")
    add("--servicenow-in-flight", type=int, help="ServiceNow calls at once before 429")
    add("--parent", type=int, help=argparse.SUPPRESS)
    return parser


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _netsuite(given: argparse.Namespace) -> dict[str, Any]:
    return _given(latency_s=given.netsuite_latency, concurrency_limit=given.netsuite_concurrency)


def _servicenow(given: argparse.Namespace) -> dict[str, Any]:
    return _given(
        call_latency_s=given.servicenow_latency,
        record_latency_s=given.servicenow_record_latency,
        max_in_flight=given.servicenow_in_flight,
    )


def _end_with_parent(parent: int, stop: threading.Event) -> None:
    """Stop when standard input ends or the parent is gone.

    Both, as a process the parent forked may hold the pipe open after it.
    """

    def until_input_ends() -> None:
        while os.read(0, 4096):
            pass
        stop.set()

    def until_orphaned() -> None:
        while not stop.wait(_PARENT_POLL_S):
            if os.getppid() != parent:
                stop.set()

    for watch in (until_input_ends, until_orphaned):
        threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
