"""`make bench`: measures the pipeline beside others, shows ratios, keeps the results as JSON."""

import argparse
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import adaptive, council, reading, report, writing

SCENARIOS = ("write", "adaptive", "read", "council")
RESULTS = Path(__file__).resolve().parent / "results"


def main(arguments: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    console = Console()
    load = os.getloadavg()[0]
    if load > 1 and not given.quick:
        console.print(f"load average {load:.1f}: other work is running, figures will be low")
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="nsn-bench-") as directory:
        for scenario in given.only:
            home = Path(directory) / scenario
            home.mkdir()
            results[scenario] = _run(scenario, home, given, console.print)
    report.show(console, results)
    path = given.output or RESULTS / "latest.json"
    report.save(results, path)
    console.print(f"saved in {os.path.relpath(path)}")
    return 0


def _run(
    scenario: str, home: Path, given: argparse.Namespace, say: Callable[[str], None]
) -> dict[str, Any]:
    quick: bool = given.quick
    if scenario == "write":
        sizes = writing.QUICK if quick else writing.Sizes(rounds=given.rounds)
        return writing.run(home, sizes, say=say)
    if scenario == "adaptive":
        return adaptive.run(home, 300 if quick else 20_000, say=say)
    if scenario == "read":
        return reading.run(home, 2_000 if quick else 20_000, 1 if quick else given.rounds, say=say)
    data = council.find_data(given.data)
    if data is None:
        return {"skipped": f"no ledger in {given.data or ' or '.join(council.PLACES)}"}
    return council.run(home, data, (1,) if quick else tuple(given.weeks), say=say)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--only", type=_scenarios, default=SCENARIOS, help=f"a comma list of {SCENARIOS}")
    add("--rounds", type=int, default=3, help="how often each client runs; medians are shown")
    add("--data", type=Path, help="the council ledger's directory; default: beside the checkout")
    add("--weeks", type=int, nargs="+", default=[6, 24, 26], help="of the ledger, from its start")
    add("--output", type=Path, help="where the JSON goes; default: benchmarks/results/latest.json")
    add("--quick", action="store_true", help="tiny sizes: shows that the harness works, no more")
    return parser


def _scenarios(text: str) -> tuple[str, ...]:
    chosen = tuple(name for name in text.split(",") if name)
    unknown = sorted(set(chosen) - set(SCENARIOS))
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {SCENARIOS}")
    return chosen or SCENARIOS


if __name__ == "__main__":
    raise SystemExit(main())
