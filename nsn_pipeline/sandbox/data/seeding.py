"""Fills both simulated systems, once, and remembers with what.

`seeded.json` is written last: without it the stores hold half a load at best, and are made anew. It
also keeps the first and last day on which the data changed, which nobody wants to look up again.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from nsn_pipeline.sandbox.credentials import write_private
from nsn_pipeline.sandbox.data.company import TIME_ZONE, Shape
from nsn_pipeline.sandbox.data.files import find_tables, read_tables
from nsn_pipeline.sandbox.data.generator import DEFAULT_FIRST_DAY, SIZES, generate
from nsn_pipeline.sandbox.data.tables import Chunk, Row
from nsn_pipeline.sandbox.netsuite.store import Store as NetSuiteStore
from nsn_pipeline.sandbox.problems import SeedError
from nsn_pipeline.sandbox.servicenow.instance import open_instance
from nsn_pipeline.sandbox.servicenow.options import ServiceNowOptions

Progress = Callable[[str], None]
_STAMPS = {
    "transaction": "lastmodifieddate",
    "transactionline": "linelastmodifieddate",
    "vendor": "lastmodifieddate",
    "deletedrecord": "deleteddate",
}
_REPORT_EVERY = 100_000


@dataclass(frozen=True, slots=True)
class DataRequest:
    """What the sandbox is to hold: table files of `directory`, or generated data."""

    directory: Path | None = None
    size: str = "small"
    seed: int = 1
    shape: Shape = "multi"
    first_day: date | None = None
    days: int | None = None

    def describe(self) -> dict[str, Any]:
        """What tells one request from another; table files count by name and length."""
        if self.directory is not None:
            files = {
                f"{system}/{table}": file.stat().st_size
                for system, table, file in find_tables(self.directory)
            }
            return {"source": "files", "directory": str(self.directory.resolve()), "files": files}
        if self.size not in SIZES:
            raise SeedError(f"unknown size {self.size!r}: choose one of {', '.join(SIZES)}")
        return {
            "source": "generated",
            "size": self.size,
            "seed": self.seed,
            "shape": self.shape,
            "first_day": (self.first_day or DEFAULT_FIRST_DAY).isoformat(),
            "days": SIZES[self.size].days if self.days is None else self.days,
        }

    @property
    def time_zone(self) -> str:
        """Generated data lives in its company's zone; files are taken as they are, in UTC."""
        return TIME_ZONE if self.directory is None else "UTC"

    def chunks(self) -> Iterator[Chunk]:
        if self.directory is not None:
            return read_tables(self.directory)
        first_day = self.first_day or DEFAULT_FIRST_DAY
        return generate(self.size, self.seed, first_day=first_day, days=self.days, shape=self.shape)


@dataclass(frozen=True, slots=True)
class Stores:
    """Where both systems keep their data under a home."""

    directory: Path

    @property
    def netsuite(self) -> Path:
        return self.directory / "netsuite.sqlite"

    @property
    def servicenow(self) -> Path:
        return self.directory / "servicenow"

    @property
    def record(self) -> Path:
        return self.directory / "seeded.json"

    def remove(self) -> None:
        self.record.unlink(missing_ok=True)
        for suffix in ("", "-wal", "-shm"):
            self.netsuite.with_name(self.netsuite.name + suffix).unlink(missing_ok=True)
        shutil.rmtree(self.servicenow, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Seeded:
    """What the stores hold, and the days its records changed on (None: no record says when)."""

    request: dict[str, Any]
    time_zone: str
    first_day: str | None
    last_day: str | None
    rows: dict[str, int]


def fill(
    stores: Stores,
    request: DataRequest,
    *,
    reset: bool,
    progress: Progress,
    stopped: Callable[[], bool] = lambda: False,
) -> Seeded:
    """Bring the stores to what is asked for, or leave them as they are if they hold it already."""
    wanted = request.describe()
    held = read_record(stores)
    if held is not None and not reset:
        if held.request == wanted:
            progress(f"keeping the data of {stores.directory}: {_name(held.request)}")
            return held
        raise SeedError(
            f"{stores.directory} holds {_name(held.request)}, but {_name(wanted)} is asked for."
            " Ask for a reset to replace it; what was written to the simulated ServiceNow goes too."
        )
    chunks = request.chunks()  # refuses a bad request while the old data is still there
    stores.remove()
    progress(f"loading {_name(wanted)}")
    rows, days = _load(stores, chunks, progress, stopped)
    seeded = Seeded(wanted, request.time_zone, *days.in_zone(request.time_zone), rows)
    write_private(stores.record, json.dumps(_as_json(seeded), indent=1))
    return seeded


def read_record(stores: Stores) -> Seeded | None:
    """What `seeded.json` says; None without one, or with one of another form."""
    try:
        return Seeded(**json.loads(stores.record.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _as_json(seeded: Seeded) -> dict[str, Any]:
    return {name: getattr(seeded, name) for name in Seeded.__slots__}


def _name(request: dict[str, Any]) -> str:
    if request["source"] == "files":
        return f"the {len(request['files'])} table files of {request['directory']}"
    return (
        f"generated data (size {request['size']}, seed {request['seed']}, shape {request['shape']},"
        f" {request['days']} days from {request['first_day']})"
    )


class _Days:
    """The earliest and latest change seen; ISO instants in UTC compare as text."""

    def __init__(self) -> None:
        self._first: str | None = None
        self._last: str | None = None

    def note(self, table: str, rows: list[Row]) -> None:
        column = _STAMPS.get(table)
        stamps = [stamp for row in rows if column and (stamp := row.get(column))]
        if stamps:
            self._first = min(stamps) if self._first is None else min(self._first, *stamps)
            self._last = max(stamps) if self._last is None else max(self._last, *stamps)

    def in_zone(self, name: str) -> tuple[str | None, str | None]:
        zone = ZoneInfo(name)
        first, last = (
            None if stamp is None else datetime.fromisoformat(stamp).astimezone(zone).date()
            for stamp in (self._first, self._last)
        )
        return first and first.isoformat(), last and last.isoformat()


def _load(
    stores: Stores, chunks: Iterator[Chunk], progress: Progress, stopped: Callable[[], bool]
) -> tuple[dict[str, int], _Days]:
    stores.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    stores.servicenow.mkdir(mode=0o700, exist_ok=True)
    netsuite = NetSuiteStore(stores.netsuite)
    instance = open_instance(stores.servicenow, ServiceNowOptions())
    rows: dict[str, int] = {}
    days = _Days()
    total, reported = 0, 0
    try:
        netsuite.create_schema()
        for system, table, piece in chunks:
            if stopped():
                raise SeedError("told to stop while loading; the next start loads again")
            name = f"{system}/{table}"
            if system == "servicenow" and table not in instance.catalog.tables:
                raise SeedError(f"{name}: the simulated ServiceNow has no such table")
            insert = netsuite.insert if system == "netsuite" else instance.store.insert
            _insert(insert, name, table, piece, rows.get(name, 0))
            rows[name] = rows.get(name, 0) + len(piece)
            if system == "netsuite":
                days.note(table, piece)
            total += len(piece)
            if total - reported >= _REPORT_EVERY:
                reported = total
                progress(f"{total:,} rows loaded")
        netsuite.optimize()
    finally:
        netsuite.close()
        instance.store.close()
    progress(f"{total:,} rows loaded into {len(rows)} tables")
    return rows, days


def _insert(
    insert: Callable[[str, list[Row]], int], name: str, table: str, piece: list[Row], before: int
) -> None:
    """Insert a piece; if a store refuses it, find the row, which the store counts by the piece."""
    try:
        insert(table, piece)
    except ValueError as error:
        for number, row in enumerate(piece, start=before + 1):
            try:
                insert(table, [row])
            except ValueError as fault:
                raise SeedError(f"{name}, data row {number}: {fault}") from fault
        raise SeedError(f"{name}, after data row {before}: {error}") from error
