"""Dagster's event log on SQLite with its connections kept open for the length of a run.

Dagster builds an engine, opens a connection and closes it again several times for each of the
thousand events of a run over a week; that took longer than the run's own work. What is written,
when it is committed and how it is read stays Dagster's own. Other storages are left as they are.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import dagster as dg
import sqlalchemy as db
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    INDEX_SHARD_NAME,
    SqliteEventLogStorage,
)
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from sqlalchemy.pool import QueuePool


@contextmanager
def kept_log(instance: dg.DagsterInstance) -> Iterator[None]:
    """Keep the connections of this instance's event log open for the length of the block."""
    storage: Any = instance.event_log_storage
    is_kept = "_connect" in vars(storage)  # by a run beside this one
    if type(storage) is not SqliteEventLogStorage or is_kept:
        yield
        return
    with ExitStack() as closing:
        kept = _Kept(storage, closing)
        storage._connect = kept.connect  # noqa: SLF001  the one place all its statements pass
        storage.has_table = kept.has_table
        try:
            yield
        finally:
            del storage._connect, storage.has_table  # noqa: SLF001


class _Kept:
    def __init__(self, storage: Any, closing: ExitStack) -> None:
        self._storage = storage
        self._closing = closing
        self._engines: dict[str, db.Engine] = {}
        self._has_table: Callable[[str], bool] = storage.has_table
        self._tables: set[str] = set()

    @contextmanager
    def connect(self, shard: str) -> Iterator[db.Connection]:
        """As the storage's own: one caller at a time, and a transaction around the block."""
        with self._storage._db_lock:  # noqa: SLF001
            engine = self._engines.get(shard)
            if engine is None:
                engine = self._engines[shard] = self._opened(shard)
            with engine.begin() as connection:
                before = _changes(connection)
                yield connection
                is_news = shard != INDEX_SHARD_NAME and _changes(connection) != before
            if is_news:
                # The UI's live view waits for this file to change. What is written goes to the
                # one beside it (`-wal`) until the connection is closed.
                with suppress(OSError):
                    os.utime(self._storage.path_for_shard(shard))

    def has_table(self, table_name: str) -> bool:
        """Asked for each event; a table that is there stays."""
        if table_name not in self._tables:
            if not self._has_table(table_name):
                return False
            self._tables.add(table_name)
        return True

    def _opened(self, shard: str) -> db.Engine:
        storage = self._storage
        engine = db.create_engine(
            storage.conn_string_for_shard(shard),
            poolclass=QueuePool,
            connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
        )
        self._closing.callback(engine.dispose)
        if shard not in storage._initialized_dbs:  # noqa: SLF001
            storage._initdb(engine)  # noqa: SLF001
            storage._initialized_dbs.add(shard)  # noqa: SLF001
        return engine


def _changes(connection: db.Connection) -> int:
    """How many rows this connection has written so far."""
    driver: Any = connection.connection.driver_connection
    return driver.total_changes
