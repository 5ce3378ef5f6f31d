"""Plausible data for both systems, the same for the same arguments everywhere.

`generate` is a stream of chunks: a table comes in several pieces and no more than a few thousand
rows are held at a time, whatever the size. Masters come before the documents that name them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from nsn_pipeline.sandbox.data.company import Company, Shape
from nsn_pipeline.sandbox.data.draw import Draw
from nsn_pipeline.sandbox.data.gaps import servicenow_tables
from nsn_pipeline.sandbox.data.ledger import PURCHASE_ORDER, VENDOR_BILL
from nsn_pipeline.sandbox.data.masters import master_tables
from nsn_pipeline.sandbox.data.payables import bill_chain
from nsn_pipeline.sandbox.data.periods import Window
from nsn_pipeline.sandbox.data.purchasing import bills_of, order_chain
from nsn_pipeline.sandbox.data.tables import Chunk
from nsn_pipeline.sandbox.data.vendors import vendors
from nsn_pipeline.sandbox.data.world import World
from nsn_pipeline.sandbox.problems import SeedError

# Fixed, as documentation names documents of the demo; on its last day clocks change.
DEFAULT_FIRST_DAY = date(2026, 3, 2)
_CHUNK_ROWS = 4000
_DELETED_PERIOD = 37


@dataclass(frozen=True, slots=True)
class Size:
    orders: int
    bills: int
    vendors: int
    days: int


SIZES = {
    "tiny": Size(orders=30, bills=60, vendors=25, days=7),
    "small": Size(orders=150, bills=400, vendors=60, days=7),
    "medium": Size(orders=12_000, bills=40_000, vendors=1500, days=180),
    "large": Size(orders=48_000, bills=160_000, vendors=5000, days=180),
}


def generate(
    size: str,
    seed: int,
    *,
    first_day: date = DEFAULT_FIRST_DAY,
    days: int | None = None,
    shape: Shape = "multi",
) -> Iterator[Chunk]:
    """Chunks of (system, table, rows); rows are text by column name, None for null.

    Counts depend on the size alone; `days` (the size's own by default) only spreads them.
    """
    wanted = SIZES.get(size)
    if wanted is None:
        raise SeedError(f"unknown size {size!r}: choose one of {', '.join(SIZES)}")
    window = Window(first_day, wanted.days if days is None else days)
    if window.days < 1:
        raise SeedError("days must be at least 1")
    company = Company(shape)
    return _chunks(wanted, seed, company, window)


def _chunks(wanted: Size, seed: int, company: Company, window: Window) -> Iterator[Chunk]:
    suppliers = tuple(vendors(company, wanted.vendors, Draw(seed, stream=1)))
    world = World(company, window, Draw(seed, stream=2), suppliers)
    yield from servicenow_tables(company, window.first)
    yield from master_tables(world)
    for _ in _activity(world, wanted):
        if world.ledger.batch.size >= _CHUNK_ROWS:
            yield from world.ledger.batch.drain()
    yield from world.ledger.batch.drain()


def _activity(world: World, wanted: Size) -> Iterator[None]:
    """Orders and stand-alone bills in a fixed mix, moving through the days of the window."""
    alone = wanted.bills - bills_of(wanted.orders)
    chains = wanted.orders + alone
    orders = bills = 0
    for chain in range(chains):
        progress = timedelta(days=chain * world.window.days // chains)
        day = world.window.first + progress
        if (chain + 1) * wanted.orders // chains > orders:
            order_chain(world, orders, day)
            orders += 1
        else:
            bill_chain(world, bills, day)
            bills += 1
        if chain % _DELETED_PERIOD in {5, 18}:
            kind = VENDOR_BILL if chain % 2 else PURCHASE_ORDER
            moment = world.moment(day, world.company.trading[0])
            world.ledger.deleted(kind, f"{kind.type} #{chain + 100}", moment)
        yield
