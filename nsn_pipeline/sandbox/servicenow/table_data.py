"""The rows of one table in memory, with the look-ups that keep big tables quick."""

from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator

from nsn_pipeline.sandbox.servicenow.schema import Table

Row = dict[str, str]  # set columns only: an absent column is empty
FEW = 64


class Index:
    """Which rows hold a value. Values are compared without case, as the database does."""

    __slots__ = ("_ids",)

    def __init__(self) -> None:
        self._ids: dict[str, str | dict[str, None]] = {}

    def add(self, value: str, sys_id: str) -> None:
        key = value.lower()
        present = self._ids.get(key)
        if present is None:
            self._ids[key] = sys_id
        elif isinstance(present, str):
            self._ids[key] = {present: None, sys_id: None}
        else:
            present[sys_id] = None

    def remove(self, value: str, sys_id: str) -> None:
        key = value.lower()
        present = self._ids.get(key)
        if isinstance(present, dict):
            present.pop(sys_id, None)
            if not present:
                del self._ids[key]
        elif present == sys_id:
            del self._ids[key]

    def ids(self, value: str) -> Iterable[str]:
        present = self._ids.get(value.lower())
        if present is None:
            return ()
        return (present,) if isinstance(present, str) else present

    def size(self, value: str) -> int:
        present = self._ids.get(value.lower())
        return len(present) if isinstance(present, dict) else int(present is not None)


class TableData:
    """Rows by sys_id in insertion order, a sorted list of ids, and indexes on key columns."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.rows: dict[str, Row] = {}
        self.version = 0
        self.sequence = 10_000
        self.indexes: dict[str, Index] = {}
        self._ids: list[str] = []
        self._unsorted: list[str] = []
        self.index_columns()

    def index_columns(self) -> None:
        """Index every column that asks for it and has no index yet."""
        for column in self.table.columns.values():
            if not column.indexed or column.name in self.indexes:
                continue
            index = self.indexes[column.name] = Index()
            for sys_id, row in self.rows.items():
                if value := row.get(column.name):
                    index.add(value, sys_id)

    def put(self, row: Row) -> Row | None:
        """Insert or replace; returns what was there before."""
        sys_id = row["sys_id"]
        before = self.rows.get(sys_id)
        self.rows[sys_id] = row
        self.version += 1
        if before is None:
            self._unsorted.append(sys_id)
            for name, index in self.indexes.items():
                if value := row.get(name):
                    index.add(value, sys_id)
            return None
        for name, index in self.indexes.items():
            old, new = before.get(name, ""), row.get(name, "")
            if old != new:
                if old:
                    index.remove(old, sys_id)
                if new:
                    index.add(new, sys_id)
        return before

    def remove(self, sys_id: str) -> Row | None:
        before = self.rows.pop(sys_id, None)
        if before is None:
            return None
        self.version += 1
        for name, index in self.indexes.items():
            if value := before.get(name):
                index.remove(value, sys_id)
        ids = self.sorted_ids()
        del ids[bisect_right(ids, sys_id) - 1]
        return before

    def sorted_ids(self) -> list[str]:
        """All ids in order. Inserts only note the id: the reader pays, once."""
        if self._unsorted:
            if len(self._unsorted) < FEW:
                for sys_id in self._unsorted:
                    insort(self._ids, sys_id)
            else:
                self._ids += self._unsorted
                self._ids.sort()
            self._unsorted = []
        return self._ids

    def next_number(self, prefix: str) -> str:
        self.sequence += 1
        return f"{prefix}{self.sequence:07d}"

    def note_number(self, number: str, prefix: str) -> None:
        """Keep the counter ahead of numbers that came from outside."""
        digits = number.removeprefix(prefix)
        if digits.isdecimal() and len(digits) <= 12:  # noqa: PLR2004  # longer is not our counter
            self.sequence = max(self.sequence, int(digits))

    def values(self) -> Iterator[Row]:
        return iter(self.rows.values())
