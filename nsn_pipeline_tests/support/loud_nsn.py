"""`nsn` with every Python logger at DEBUG, and what else a test asks for by the environment.

CRASH_AT: an address part and a number; sending that many requests there raises, deep inside calls
that hold credentials. LEAK: a control; each request's credentials are logged, as nobody must.
"""

import faulthandler
import logging
import os
import resource
import sys
from typing import Any

import requests
from requests.adapters import HTTPAdapter

CRASH_AT, LEAK = "TEST_CRASH_AT", "TEST_LEAK"
CRASH = "crashed on purpose"


def main() -> None:
    logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, force=True)
    logging.captureWarnings(capture=True)
    faulthandler.enable()
    _wrap_sending()
    from nsn_pipeline.cli.main import main as nsn

    try:
        nsn()
    finally:
        print("core limit", resource.getrlimit(resource.RLIMIT_CORE)[0])


def _wrap_sending() -> None:
    true_send = HTTPAdapter.send
    where, _, number = os.environ.get(CRASH_AT, "").partition(" ")
    seen = [0]

    def send(
        self: HTTPAdapter, request: requests.PreparedRequest, *args: Any, **options: Any
    ) -> requests.Response:
        credentials = request.headers.get("Authorization")
        if os.environ.get(LEAK):
            logging.getLogger("leaky").debug("sent %s", credentials)
        if where and where in (request.url or ""):
            seen[0] += 1
            if seen[0] == int(number):
                raise RuntimeError(CRASH)
        return true_send(self, request, *args, **options)

    HTTPAdapter.send = send  # pyright: ignore[reportAttributeAccessIssue]  the same signature


if __name__ == "__main__":
    main()
