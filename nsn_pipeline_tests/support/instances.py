"""Dagster's in-memory instance without its cost per event.

Dagster opens a connection, sets two pragmas on it and asks for its tables several times for each of
the thousand events of a run: a tenth of a run's time. Here connections are kept, and the answers.
What is stored, and how it is read, is Dagster's own.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import sqlalchemy as db
from sqlalchemy.pool import QueuePool


@contextmanager
def ephemeral_instance() -> Iterator[dg.DagsterInstance]:
    """As `DagsterInstance.ephemeral()`."""
    with dg.DagsterInstance.ephemeral() as instance:
        events: Any = instance.event_log_storage
        runs: Any = instance.run_storage
        engines = [_kept(events, "_connect", events._db_lock), _kept(runs, "connect", None)]
        events.has_table = functools.cache(events.has_table)  # all were made with the instance
        try:
            yield instance
        finally:
            for engine in engines:
                engine.dispose()


def _kept(storage: Any, name: str, lock: Any) -> db.Engine:
    """Connections of a pool instead of a new one per call."""
    assert callable(getattr(storage, name)), "Dagster opens its connections elsewhere now"
    engine = db.create_engine(
        storage._engine.url, poolclass=QueuePool, connect_args={"check_same_thread": False}
    )

    @db.event.listens_for(engine, "connect")
    def _(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA foreign_keys=ON")

    @contextmanager
    def connect() -> Iterator[db.Connection]:
        with engine.begin() as connection:
            yield connection

    @contextmanager
    def connect_alone() -> Iterator[db.Connection]:
        with lock, connect() as connection:
            yield connection

    setattr(storage, name, connect if lock is None else connect_alone)
    storage._engine = engine
    return engine
