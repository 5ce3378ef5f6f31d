"""The roll-up of what documents use: the same as reading all days anew, without doing so."""

import os
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsn_pipeline.conform.usage import USAGE_SCHEMA
from nsn_pipeline.landing import Landing
from nsn_pipeline.orchestration import usage_rollup
from nsn_pipeline.orchestration.usage_rollup import ROLLUP, USED_BY, rolled_up

DAYS = ["2026-03-02", "2026-03-03", "2026-03-04"]
Step = tuple[str, str, list[tuple[int, int]]]  # record type, day, (document, amount)


class Clock:
    """File times that always move on: two writes within one tick of the disk's would look alike."""

    def __init__(self) -> None:
        self.now = 1_700_000_000

    def land(self, landing: Landing, step: Step) -> None:
        record_type, day, documents = step
        rows = [
            {"document_id": str(document), "kind": "gl_account", "internal_id": "716",
             "subsidiary_id": None, "date": date.fromisoformat(day), "currency": "GBP",
             "amount": Decimal(amount), "lines": 1}
            for document, amount in documents
        ]  # fmt: skip
        path = ("conformed", USED_BY[record_type], "usage")
        table = pa.Table.from_pylist(rows, USAGE_SCHEMA)
        landing.write(path, day, [table], schema=USAGE_SCHEMA)
        self.now += 1
        os.utime(landing.path(path, day), (self.now, self.now))


def told(table: pa.Table) -> list[tuple[str, ...]]:
    names = ("record_type", "day", "document_id", "amount")
    rows = [{**row, "amount": f"{row['amount']:.8f}"} for row in table.to_pylist()]
    return sorted(tuple(row[name] for name in names) for row in rows)


documents = st.dictionaries(st.integers(1, 4), st.integers(-9, 9), max_size=4)
steps = st.tuples(
    st.sampled_from(sorted(USED_BY)),
    st.sampled_from(DAYS),
    documents.map(lambda found: list(found.items())),
)


@given(history=st.lists(steps, max_size=8))
@settings(max_examples=40, deadline=None)
def test_each_document_is_as_its_newest_day_has_it(
    tmp_path_factory: pytest.TempPathFactory, history: list[Step]
) -> None:
    landing, clock = Landing(tmp_path_factory.mktemp("landing")), Clock()
    known: dict[tuple[str, str], tuple[str, int]] = {}
    for record_type, day, found in history:
        clock.land(landing, (record_type, day, found))
        # A day that is read again replaces what it said; a newer day's word stands.
        known = {k: v for k, v in known.items() if (k[0], v[0]) != (record_type, day)}
        for document, amount in found:
            key = record_type, str(document)
            if key not in known or known[key][0] < day:
                known[key] = day, amount
        assert told(rolled_up(landing)) == sorted(
            (record_type, day, document, f"{Decimal(amount):.8f}")
            for (record_type, document), (day, amount) in known.items()
        )


@pytest.fixture
def counted_reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    read: list[Path] = []
    real = usage_rollup._read

    def watched(path: Path) -> pa.Table:
        read.append(path)
        return real(path)

    monkeypatch.setattr(usage_rollup, "_read", watched)
    return read


def test_only_days_that_changed_are_read_again(tmp_path: Path, counted_reads: list[Path]) -> None:
    landing, clock = Landing(tmp_path), Clock()
    for day in DAYS:
        clock.land(landing, ("vendor_bill", day, [(1, 5)]))
    rolled_up(landing)
    counted_reads.clear()

    clock.land(landing, ("vendor_bill", DAYS[0], [(2, 7)]))
    found = rolled_up(landing)

    rollup = landing.path(ROLLUP, None)
    assert [path.stem for path in counted_reads if path != rollup] == [DAYS[0]]
    assert [row[2] for row in told(found)] == ["2", "1"]
    counted_reads.clear()
    assert told(rolled_up(landing)) == told(found)
    assert counted_reads == [rollup]


def test_a_plan_leaves_the_roll_up_as_it_is(tmp_path: Path) -> None:
    landing, clock = Landing(tmp_path), Clock()
    clock.land(landing, ("vendor_bill", DAYS[0], [(1, 5)]))
    assert rolled_up(landing, keep=False).num_rows == 1
    assert landing.tags(ROLLUP, None) == {}
    rolled_up(landing)
    landing.path(("conformed", "invoices", "usage"), DAYS[0]).unlink()
    assert rolled_up(landing).num_rows == 0
