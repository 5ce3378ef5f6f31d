"""The sandbox's NetSuite with vendors in it, in its own process: what reading clients are timed on.

The queries are answered by the simulator as in every test; a call takes `--latency` on top of the
simulator's own work.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from benchmarks.model_servicenow import announcing
from nsn_pipeline.sandbox.netsuite.app import create_app
from nsn_pipeline.sandbox.netsuite.options import NetSuiteOptions, TbaCredentials

ACCOUNT = "1234567_SB1"
KEYS = TbaCredentials("consumer", "consumer-secret", "token", "token-secret")


def vendors(count: int) -> Iterator[dict[str, str]]:
    for number in range(1, count + 1):
        yield {
            "id": str(number),
            "entityid": f"V{number:06d}",
            "companyname": f"Northern Supply {number} Ltd",
            "altname": f"Northern Supply {number}",
            "legalname": f"Northern Supply {number} Limited",
            "isperson": "F",
            "email": f"accounts{number}@example.com",
            "phone": f"+44 20 7946 {number % 10000:04d}",
            "url": f"https://supplier{number}.example.com",
            "terms": "2",
            "accountnumber": f"ACC-{number:07d}",
            "isinactive": "F",
            "externalid": f"erp-{number}",
            "datecreated": "2026-01-05T09:30:00Z",
            "lastmodifieddate": "2026-03-02T10:00:00Z",
        }


def main() -> None:
    parser = argparse.ArgumentParser(description="The simulated NetSuite, for reading clients.")
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--latency", type=float, required=True)
    parser.add_argument("--concurrency", type=int, required=True)
    given = parser.parse_args()
    options = NetSuiteOptions(
        account_id=ACCOUNT,
        tba=(KEYS,),
        latency_s=given.latency,
        concurrency_limit=given.concurrency,
    )
    app = create_app(given.data, options)
    app.state.store.insert("vendor", vendors(given.rows))
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        ssl_certfile=given.certificate,
        ssl_keyfile=given.key,
        log_level="error",
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_keep_alive=600,
    )
    announcing(config).run()


if __name__ == "__main__":
    main()
