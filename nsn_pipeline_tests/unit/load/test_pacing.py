import heapq
import math
import random
from dataclasses import dataclass

import pytest

from nsn_pipeline.load.pacing import LARGEST_BATCH, AdaptivePacer, FixedPacer, Outcome, Pacer

TABLE = "proc_po"


def shown(seconds: float, *, asked: int, ran: int | None = None, in_flight: int = 1) -> Outcome:
    return Outcome(TABLE, asked, asked if ran is None else ran, seconds, in_flight)


def refused(in_flight: int) -> Outcome:
    return Outcome(TABLE, 10, 0, 0.0, in_flight, throttled=True)


def after(*outcomes: Outcome, ceiling: int = 1) -> AdaptivePacer:
    pacer = AdaptivePacer(ceiling)
    for outcome in outcomes:
        pacer.learn(outcome)
    return pacer


def test_first_batch_of_a_table_is_small_whatever_is_known_of_others() -> None:
    pacer = after(shown(0.1, asked=10))
    assert pacer.batch_size(TABLE, 10_000) == 50
    assert pacer.batch_size("proc_po_item", 10_000) == 5


@pytest.mark.parametrize(
    ("record_s", "size"), [(0.008, 50), (0.1, 50), (0.4, 25), (2.6, 3), (9.0, 1), (40.0, 1)]
)
def test_batch_takes_about_ten_seconds(record_s: float, size: int) -> None:
    assert after(shown(5 * record_s, asked=5)).batch_size(TABLE, 10_000) == size


def test_batches_are_evened_over_the_connections() -> None:
    pacer = after(shown(0.05, asked=5), ceiling=8)
    sizes, waiting = [], 1000
    while waiting:
        sizes.append(pacer.batch_size(TABLE, waiting))
        waiting -= sizes[-1]
    assert sizes == [42] * 23 + [34]  # three rounds of eight, not two and a ragged third


def test_ceiling_of_a_batch_is_what_the_settings_say() -> None:
    pacer = AdaptivePacer(1, largest=120)
    pacer.learn(shown(0.05, asked=5))
    assert 110 < pacer.batch_size(TABLE, 10_000) <= 120


def test_batch_never_exceeds_what_waits() -> None:
    assert after(shown(0.05, asked=5)).batch_size(TABLE, 3) == 3


def test_batch_that_was_not_serviced_whole_is_not_asked_for_again() -> None:
    pacer = after(shown(0.05, asked=5), shown(1.0, asked=50, ran=30))
    assert pacer.batch_size(TABLE, 10_000) == 30
    pacer.learn(shown(0.3, asked=30))
    assert 30 < pacer.batch_size(TABLE, 10_000) <= 40


def test_lost_call_halves_the_batch() -> None:
    assert after(shown(0.05, asked=5), shown(60, asked=48, ran=0)).batch_size(TABLE, 10_000) == 24


def test_level_falls_to_what_the_server_let_through() -> None:
    pacer = after(*(refused(n) for n in range(16, 5, -1)), ceiling=16)
    assert pacer.connections == 5


def test_there_is_always_one_connection() -> None:
    assert after(refused(1), refused(1), ceiling=4).connections == 1


def test_level_is_regained_after_a_quiet_round() -> None:
    pacer = after(refused(16), ceiling=16)
    assert pacer.connections == 15
    for _ in range(15):
        pacer.learn(shown(0.8, asked=100, in_flight=15))
    assert pacer.connections == 16


def held_at_16(rounds: int) -> AdaptivePacer:
    return after(*[shown(0.4, asked=50, in_flight=16)] * (16 * rounds), ceiling=16)


def test_one_refusal_of_a_level_that_has_held_is_chance_and_a_second_is_not() -> None:
    pacer = held_at_16(4)
    pacer.learn(refused(12))
    assert pacer.connections == 16
    for _ in range(40):
        pacer.learn(shown(0.4, asked=50, in_flight=16))
    pacer.learn(refused(12))
    assert pacer.connections == 11


def test_level_that_has_not_held_long_falls_at_once() -> None:
    pacer = held_at_16(3)
    pacer.learn(refused(12))
    assert pacer.connections == 11


def test_idle_connections_prove_nothing() -> None:
    pacer = after(refused(16), ceiling=16)
    for _ in range(100):
        pacer.learn(shown(0.8, asked=100, in_flight=3))
    assert pacer.connections == 15


@dataclass
class Run:
    """A simulated server: so many calls at once, so long per call and record, no noise."""

    pacer: Pacer
    limit: int
    call_s: float = 0.04
    record_s: float = 0.008
    refuse_every: int = 0  # and one of so many calls at random, for no reason
    seed: int = 20_260_301

    def until(self, end_s: float) -> tuple[int, list[float], list[float]]:
        """Records written, instants of 429s, and of all calls, until the simulated `end_s`."""
        now, written = 0.0, 0
        draw = random.Random(self.seed)  # noqa: S311 - chance, not secrecy
        calls: list[float] = []
        under_way: list[tuple[float, int, int]] = []
        refusals: list[float] = []
        while now < end_s:
            while len(under_way) < self.pacer.connections:
                size = self.pacer.batch_size(TABLE, 1_000_000)
                calls.append(now)
                random_refusal = self.refuse_every and draw.random() * self.refuse_every < 1
                if len(under_way) >= self.limit or random_refusal:
                    refusals.append(now)
                    self.pacer.learn(refused(len(under_way) + 1))
                else:
                    ends = now + self.call_s + size * self.record_s
                    heapq.heappush(under_way, (ends, len(calls), size))
            now, _, size = heapq.heappop(under_way)
            seconds = self.call_s + size * self.record_s
            written += size
            self.pacer.learn(shown(seconds, asked=size, in_flight=len(under_way) + 1))
        return written, refusals, calls


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 8, 12])
def test_run_settles_below_a_limit_it_was_not_told(limit: int) -> None:
    written, refusals, calls = Run(AdaptivePacer(16), limit).until(300)
    best, _, _ = Run(FixedPacer(limit, LARGEST_BATCH), limit).until(300)
    assert written >= 0.97 * best
    late_refusals = [instant for instant in refusals if instant > 10]
    late_calls = [instant for instant in calls if instant > 10]
    assert len(late_refusals) <= 0.02 * len(late_calls)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_refusals_without_a_reason_cost_little(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost() -> float:
        run = Run(AdaptivePacer(16), 16, refuse_every=100, seed=seed)
        written, refusals, calls = run.until(300)
        assert 0.005 < len(refusals) / len(calls) < 0.02
        return 1 - written / best

    best, _, _ = Run(FixedPacer(16, LARGEST_BATCH), 16).until(300)
    forgiving = lost()
    monkeypatch.setattr("nsn_pipeline.load.pacing.FORGIVEN", math.inf)
    assert forgiving < 0.7 * lost() < 0.02


def test_limit_that_falls_is_found_one_call_later_than_it_is_met() -> None:
    run = Run(AdaptivePacer(16), 16)
    run.until(60)
    assert run.pacer.connections == 16
    run.limit = 6
    _, refusals, _ = run.until(10)
    assert refusals[:2] == [0.0, 0.0]
    assert run.pacer.connections <= 7
    assert len(refusals) < 20


def test_level_is_forgiven_again_when_it_has_held_again() -> None:
    pacer = held_at_16(4)
    for _ in range(3):
        pacer.learn(refused(12))
        assert pacer.connections == 16
        for _ in range(16 * 4):
            pacer.learn(shown(0.4, asked=50, in_flight=16))


def test_limit_that_rises_is_found_again() -> None:
    run = Run(AdaptivePacer(16), 4)
    run.until(60)
    assert run.pacer.connections <= 5
    run.limit = 16
    run.until(120)
    assert run.pacer.connections == 16
