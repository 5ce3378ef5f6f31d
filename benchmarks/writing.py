"""The write scenario: our whole load step beside what others would do, in the same run.

Runs are interleaved and the median of each is shown, so that a busy moment does not fall on one
client alone. After every run the server's rows are compared with what was to be written.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import floor, ours, peers, records
from benchmarks.ours import Measured
from benchmarks.serving import Served, served
from nsn_pipeline.load.pacing import LARGEST_BATCH, AdaptivePacer

OURS = "nsn"  # short: the table has eighty columns
CALL_S, RECORD_S = 0.040, 0.008


@dataclass(frozen=True, slots=True)
class Case:
    """One way of running our load step, and the server it runs against."""

    name: str
    connections: int
    batch: int = LARGEST_BATCH
    call_s: float = CALL_S
    refuse_every: int = 0
    opens_dictionary: bool = True


CASES = (
    Case(f"{OURS}, C=4", 4),
    Case(f"{OURS}, C=4 S={peers.BATCH}", 4, batch=peers.BATCH),  # not our default: as dlt's are
    Case(f"{OURS}, C=8", 8),
    Case(f"{OURS}, C=16", 16),
    Case(f"{OURS}, C=16, read back", 16, opens_dictionary=False),
    Case(f"{OURS}, C=8, 250 ms", 8, call_s=0.250),
    Case(f"{OURS}, C=16, 250 ms", 16, call_s=0.250),
    Case(f"{OURS}, C=8, 1 % 429s", 8, refuse_every=100),
    Case(f"{OURS}, C=16, 1 % 429s", 16, refuse_every=100),
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Records per client and how often each is run; a loop gets few, it is slow enough.

    Ours is given so many for each connection, so that every case takes as long and pays the same
    share for its start and end.
    """

    ours: int = 5_000
    batched: int = 1_000
    bare: int = 8_000
    threads: int = 1_000
    loop: int = 120
    rounds: int = 3

    def of(self, peer: str) -> int:
        if "threads" in peer:
            return self.threads
        if peer.startswith(peers.BARE):
            return self.bare
        return self.loop if "loop" in peer else self.batched


QUICK = Sizes(ours=40, batched=100, bare=200, threads=32, loop=3, rounds=1)


def run(home: Path, sizes: Sizes, *, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure; the results as plain data."""
    bodies = records.bodies(sizes.ours * max(case.connections for case in CASES))
    rows = records.frame(bodies)
    measured: dict[str, list[Measured]] = defaultdict(list)
    floors: list[float] = []
    with served(home / "tls") as server:
        for number in range(sizes.rounds):
            say(f"write, round {number + 1} of {sizes.rounds}")
            floors.append(floor.cpu_us(bodies[:2000]))
            for name, peer in peers.available().items():
                sent = bodies[: sizes.of(name)]
                server.reset()
                measured[name].append(peer(server, sent, home / f"{number}-{len(measured)}"))
                records.check(sent, server.ask("rows"))
            for case in CASES:
                count = sizes.ours * case.connections
                server.reset(
                    call_s=case.call_s,
                    refuse_every=case.refuse_every,
                    opens_dictionary=case.opens_dictionary,
                )
                some = rows.iloc[:count]
                measured[case.name].append(
                    ours.measure(
                        server,
                        home,
                        some,
                        connections=case.connections,
                        pacer=AdaptivePacer(case.connections, largest=case.batch),
                        batch=case.batch,
                        name=case.name,
                    )
                )
                _check(server, bodies[:count], counts=case.opens_dictionary)
    return _results(measured, median(floors))


def _check(server: Served, bodies: list[dict[str, str]], *, counts: bool) -> None:
    records.check(bodies, server.ask("rows"))
    seen = server.ask("seen")
    assert not seen["unserviced"], "a batch ran into its time limit"  # noqa: S101
    few = len(bodies) // 10  # one row is shown for each query, and each asks for many
    if counts:
        assert seen["rows_read"] <= max(few, 10), "records were read back, and not counted"  # noqa: S101
    else:
        assert seen["rows_read"] >= len(bodies), "not all records were read back"  # noqa: S101


def _results(measured: dict[str, list[Measured]], floor_us: float) -> dict[str, Any]:
    base = median(one.rate for one in measured["PySNC insert loop"])
    dlt = [one.rate for one in measured.get("dlt custom destination", ())]
    cases = {case.name: case for case in CASES}
    bare_us = {
        (runs[0].connections, runs[0].batch): median(one.cpu_us for one in runs)
        for name, runs in measured.items()
        if name.startswith(peers.BARE)
    }
    usual_us = bare_us[8, LARGEST_BATCH]
    rows = []
    for name, runs in measured.items():
        first, rate = runs[0], median(one.rate for one in runs)
        call_s = cases[name].call_s if name in cases else CALL_S
        bound = first.connections * first.batch / (call_s + first.batch * RECORD_S)
        cpu_us = median(one.cpu_us for one in runs)
        like_us = bare_us.get((first.connections, first.batch), usual_us)
        rows.append(
            {
                "client": name,
                "connections": first.connections,
                "batch": first.batch,
                "records": first.records,
                "records_per_s": round(rate, 1),
                "bound_per_s": round(bound, 1),
                "of_bound": round(rate / bound, 3),
                "x_pysnc_loop": round(rate / base, 1),
                "x_dlt": round(rate / median(dlt), 2) if dlt else None,
                "cpu_us_per_record": round(cpu_us, 1),
                "x_cpu_floor": round(cpu_us / floor_us, 1),
                "x_cpu_bare": round(cpu_us / like_us, 1),
                "calls_per_record": round(median(one.calls for one in runs) / first.records, 4),
                "runs": [asdict(one) for one in runs],
            }
        )
    return {"cpu_floor_us": round(floor_us, 2), "rows": rows}
