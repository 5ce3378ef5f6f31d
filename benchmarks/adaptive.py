"""A server that bears less than our ceiling: does the load settle, and what does it cost?"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import ours, records
from benchmarks.serving import served
from nsn_pipeline.load.pacing import LARGEST_BATCH, AdaptivePacer, FixedPacer, Pacer

CEILING, LIMIT = 16, 6
SETTLED_S = 10.0  # the first seconds are for finding out


def run(home: Path, count: int, *, say: Callable[[str], None]) -> dict[str, Any]:
    """The adaptive pacer against every sensible fixed setting around the server's limit."""
    bodies = records.bodies(count)
    rows = records.frame(bodies)
    pacers: dict[str, tuple[int, Pacer]] = {
        f"fixed, C={level}": (level, FixedPacer(level, LARGEST_BATCH))
        for level in (LIMIT - 2, LIMIT - 1, LIMIT)
    }
    pacers[f"adaptive, ceiling {CEILING}"] = (CEILING, AdaptivePacer(CEILING))
    results: list[dict[str, Any]] = []
    with served(home / "tls") as server:
        for name, (connections, pacer) in pacers.items():
            say(f"adaptive: {name} against a limit of {LIMIT}")
            server.reset(limit=LIMIT)
            one = ours.measure(server, home, rows, connections=connections, pacer=pacer, name=name)
            records.check(bodies, server.ask("rows"))
            seen = server.ask("seen")
            late = [at for at in seen["calls_at"] if at > SETTLED_S]
            refused = [at for at in seen["refusals_at"] if at > SETTLED_S]
            results.append(
                {
                    "client": name,
                    "records_per_s": round(one.rate, 1),
                    "calls": seen["calls"],
                    "refused": seen["refused"],
                    "calls_after_10_s": len(late),
                    "refused_after_10_s": len(refused),
                }
            )
    best = max(row["records_per_s"] for row in results if row["client"].startswith("fixed"))
    for row in results:
        row["of_best_fixed"] = round(row["records_per_s"] / best, 3)
    return {"server_limit": LIMIT, "rows": results}
