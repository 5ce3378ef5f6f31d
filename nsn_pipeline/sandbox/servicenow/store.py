"""All records of the instance: in memory, with a journal that survives a kill.

Changes belong to a request: they are kept together until `commit`, which writes them to the
journal in one go, or `rollback`, which puts everything back.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from nsn_pipeline.sandbox.servicenow.journal import Journal
from nsn_pipeline.sandbox.servicenow.schema import Catalog, Table, derived_id
from nsn_pipeline.sandbox.servicenow.table_data import Row, TableData

SEED_STAMP = "2020-01-01 00:00:00"
SEEDER = "admin"
FLAGS = {"T": "true", "F": "false"}


class Store:
    """Rows by table.

    `insert`, `update`, `delete`, `find` and `count` may be called from any thread; whoever uses
    the rest holds `lock`.
    """

    def __init__(self, catalog: Catalog, data_dir: Path) -> None:
        self.lock = threading.RLock()
        self.catalog = catalog
        self.version = 0
        self._data: dict[str, TableData] = {}
        self._pending: dict[tuple[str, str], Row | None] = {}
        self._new_columns: list[list[Any]] = []
        self._journal = Journal(data_dir)
        self._replay()

    # -- reading ---------------------------------------------------------------------------
    def data(self, table_name: str) -> TableData:
        data = self._data.get(table_name)
        if data is None:
            data = self._data[table_name] = TableData(self.catalog.tables[table_name])
        return data

    def get(self, table_name: str, sys_id: str) -> Row | None:
        """A record of this table or of one that extends it."""
        row = self.data(table_name).rows.get(sys_id)
        if row is None:
            for child in self.catalog.tables[table_name].children:
                row = self.get(child.name, sys_id)
                if row is not None:
                    break
        return row

    def owner(self, table: Table, sys_id: str) -> Table | None:
        """The most specific table that holds this record."""
        for member in table.family():
            if sys_id in self.data(member.name).rows:
                return member
        return None

    def rows(self, table_name: str) -> Iterator[Row]:
        """Every record of this table and of those that extend it, in insertion order."""
        for member in self.catalog.tables[table_name].family():
            yield from self.data(member.name).values()

    def count(self, table_name: str) -> int:
        with self.lock:
            return sum(
                len(self.data(t.name).rows) for t in self.catalog.tables[table_name].family()
            )

    def find(self, table_name: str, column: str, value: str) -> list[Row]:
        """Records with this value in an indexed column; without an index, a walk."""
        with self.lock:
            found: list[Row] = []
            for member in self.catalog.tables[table_name].family():
                data = self.data(member.name)
                index = data.indexes.get(column)
                if column == "sys_id":
                    found += [data.rows[value]] if value in data.rows else []
                elif index is not None:
                    found += [data.rows[sys_id] for sys_id in index.ids(value)]
                else:
                    found += [row for row in data.values() if row.get(column, "") == value]
            return found

    # -- writing ---------------------------------------------------------------------------
    def put(self, table_name: str, row: Row) -> None:
        before = self.data(table_name).put(row)
        self._pending.setdefault((table_name, row["sys_id"]), before)
        self.version += 1

    def remove(self, table_name: str, sys_id: str) -> Row | None:
        before = self.data(table_name).remove(sys_id)
        if before is not None:
            self._pending.setdefault((table_name, sys_id), before)
            self.version += 1
        return before

    def put_volatile(self, table_name: str, row: Row) -> None:
        """For records that the instance makes anew at every start: not in the journal."""
        self.data(table_name).put(row)
        self.version += 1

    def commit(self) -> None:
        """Write what changed since the last commit; afterwards a kill cannot undo it."""
        entries = self._new_columns
        for table_name, sys_id in self._pending:
            row = self._data[table_name].rows.get(sys_id)
            if row is None:
                entries.append(["gone", table_name, sys_id])
            else:
                entries.append(["row", table_name, row])
        self._pending, self._new_columns = {}, []
        self._journal.append(entries)

    def rollback(self) -> None:
        """Put back what changed since the last commit."""
        for (table_name, sys_id), before in self._pending.items():
            data = self._data[table_name]
            if before is None:
                data.remove(sys_id)
            else:
                data.put(before)
        self._pending = {}
        self.version += 1

    def extend(self, table_name: str, column: str) -> None:
        self.catalog.extend(table_name, column)
        self._new_columns.append(["column", table_name, column])

    def insert(self, table_name: str, rows: Iterable[Mapping[str, str | None]]) -> int:
        """Bulk seeding: values are stored as given, no rules run, unknown columns are added.

        Only the notation of table files is translated: flags `T`/`F`, instants with `T` and `Z`.
        Rows without a sys_id get one derived from their content, so that seeding the same file
        twice changes nothing.
        """
        with self.lock:
            table = self.catalog.tables[table_name]
            seen: dict[str, int] = {}
            known: set[str] = set()
            total = 0
            for given in rows:
                if not given.keys() <= known:
                    self._know(table, given.keys())
                    known |= given.keys()
                row = {name: value for name, value in given.items() if value}
                _translate(table, row)
                if not row.get("sys_id"):
                    row["sys_id"] = _content_id(table_name, row, seen)
                self._complete(table, row)
                self.put(table_name, row)
                total += 1
            self.commit()
            return total

    def update(self, table_name: str, sys_id: str, values: Mapping[str, str]) -> bool:
        """An administrator's change, outside the API: no rules, no checks; False when absent."""
        with self.lock:
            owner = self.owner(self.catalog.tables[table_name], sys_id)
            if owner is None:
                return False
            row = {**self.data(owner.name).rows[sys_id], **values}
            self.put(owner.name, {name: value for name, value in row.items() if value})
            self.commit()
            return True

    def delete(self, table_name: str, sys_id: str) -> bool:
        """An administrator's removal; False when absent."""
        with self.lock:
            owner = self.owner(self.catalog.tables[table_name], sys_id)
            gone = self.remove(owner.name, sys_id) if owner is not None else None
            self.commit()
            return gone is not None

    def _know(self, table: Table, names: Iterable[str]) -> None:
        for name in names:
            if name not in table.columns:
                self.extend(table.name, name)

    def _complete(self, table: Table, row: Row) -> None:
        for name, default in table.defaults.items():
            row.setdefault(name, default)
        data = self.data(table.name)
        for column in table.columns.values():
            if not column.prefix:
                continue
            if number := row.get(column.name):
                data.note_number(number, column.prefix)
            else:
                row[column.name] = data.next_number(column.prefix)
        stamp = row.setdefault("sys_created_on", SEED_STAMP)
        row.setdefault("sys_updated_on", stamp)
        row.setdefault("sys_created_by", SEEDER)
        row.setdefault("sys_updated_by", SEEDER)
        row.setdefault("sys_mod_count", "0")
        if "sys_class_name" in table.columns:
            row["sys_class_name"] = table.name

    # -- the file --------------------------------------------------------------------------
    def _replay(self) -> None:
        lines = 0
        for kind, table_name, content in self._journal.replay():
            lines += 1
            table = self.catalog.get(table_name)
            if table is None:
                continue  # the table was defined by an option that is gone
            if kind == "column":
                if content not in table.columns:
                    self.catalog.extend(table_name, content)
            elif kind == "gone":
                self.data(table_name).remove(content)
            else:
                self._restore(table, content)
        rows = sum(len(data.rows) for data in self._data.values())
        if lines > 2 * rows + 1000:
            self._journal.rewrite(self._snapshot())

    def _restore(self, table: Table, row: Row) -> None:
        data = self.data(table.name)
        data.put(row)
        for column in table.columns.values():
            if column.prefix and (number := row.get(column.name)):
                data.note_number(number, column.prefix)

    def _snapshot(self) -> Iterator[list[Any]]:
        yield from (["column", table, column] for table, column in self._added_columns())
        for table_name, data in self._data.items():
            for row in data.values():
                yield ["row", table_name, row]

    def _added_columns(self) -> Iterator[tuple[str, str]]:
        for table in self.catalog.tables.values():
            text = table.definition.columns.split()
            for name in table.own:
                if name not in text and name != "sys_class_name":
                    yield table.name, name

    def close(self) -> None:
        with self.lock:
            self.commit()
            self._journal.close()


def _translate(table: Table, row: Row) -> None:
    for name, value in row.items():
        kind = table.columns[name].type
        if kind == "boolean":
            row[name] = FLAGS.get(value, value)
        elif kind == "datetime":
            row[name] = value[:19].replace("T", " ")


def _content_id(table_name: str, row: Row, seen: dict[str, int]) -> str:
    text = orjson.dumps(row, option=orjson.OPT_SORT_KEYS).decode()
    seen[text] = seen.get(text, 0) + 1
    return derived_id(table_name, text, str(seen[text]))
