"""What ServiceNow holds and what its dictionary says, asked at the pace of the run."""

import threading
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from nsn_pipeline.clients.encoded_query import Query
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.load.lanes import Lanes
from nsn_pipeline.load.plan import Row
from nsn_pipeline.load.table import Table

_LOOKUP_SHARE = 700  # keys per parallel look-up: as many short ones as a query holds
_SPARSE_SHARE = 2_000  # where hardly a row is found, a call costs the same for few and for many
_SPARSE = 0.05  # rows per key

Rows = dict[str, Sequence[Row]]


class LookedUp(NamedTuple):
    """Rows per value, and the values of which rows are hidden from our role."""

    rows: Rows
    hidden: set[str]


class Column(Protocol):
    """What the dictionary says of a column; None where it does not say."""

    @property
    def unique(self) -> bool | None: ...


class Found(Protocol):
    """Rows per value, and the values of which rows are hidden. Asking raises a 429 at once."""

    @property
    def rows(self) -> Mapping[str, Sequence[Row]]: ...
    @property
    def hidden(self) -> Collection[str]: ...


class Reader(Protocol):
    """The reading half of the ServiceNow client."""

    def find(self, table: str, key: str, values: Sequence[str], fields: Sequence[str]) -> Found: ...

    def columns(self, table: str) -> Mapping[str, Column] | None: ...

    def count(self, table: str, query: Query | None = None, *, patient: bool = True) -> int: ...


class LookUps:
    """For all threads of a run; each table's dictionary is asked for once."""

    def __init__(self, client: Reader, lanes: Lanes) -> None:
        self._client = client
        self._lanes = lanes
        self._asking = threading.Lock()
        self._dictionary: dict[str, Mapping[str, Column] | None] = {}
        self._sparse: dict[tuple[str, str], bool] = {}  # by table and column, as last looked up

    def find(self, table: str, key: str, values: Sequence[str], fields: Sequence[str]) -> LookedUp:
        """The rows whose `key` is one of `values`, in parallel look-ups."""
        if not values:
            return LookedUp({}, set())
        size = _SPARSE_SHARE if self._sparse.get((table, key)) else _LOOKUP_SHARE
        shares = [values[i : i + size] for i in range(0, len(values), size)]

        def one(share: Sequence[str]) -> Found:
            return self._lanes.look_up(table, partial(self._client.find, table, key, share, fields))

        rows: Rows = {}
        hidden: set[str] = set()
        for found in self._lanes.executor.map(one, shares):
            rows.update(found.rows)
            hidden.update(found.hidden)
        self._sparse[table, key] = sum(map(len, rows.values())) <= _SPARSE * len(values)
        return LookedUp(rows, hidden)

    def of(self, table: Table, column: str, values: Sequence[str]) -> LookedUp:
        """The same, with the columns that the table's records are compared by."""
        return self.find(table.name, column, values, table.fields)

    def held(self, table: str, external_key: str) -> int:
        """How many rows of a table carry a key of ours."""
        query = Query().where_not_empty(external_key)
        count = partial(self._client.count, table, query, patient=False)
        return self._lanes.look_up(table, count)

    def check_key_column(self, table: Table) -> None:
        """A query on a column that does not exist matches nothing, or everything, and never fails.

        Creating on the strength of such an answer would make records that no run can find again
        (docs/facts/servicenow.md 2.2).
        """
        columns = self._columns(table)
        if columns is not None and table.external_key not in columns:
            raise ConfigurationError(
                f"{table.name} has no column {table.external_key}: create it as a unique text "
                "column, or name another `external_key` in the profile"
            )

    def keys_are_unique(self, table: Table) -> bool:
        """Whether the dictionary says so. Else a row found may have a twin that was not asked for,
        such as a copied line that hangs under another document.
        """
        columns = self._columns(table) or {}
        return table.external_key in columns and columns[table.external_key].unique is True

    def _columns(self, table: Table) -> Mapping[str, Column] | None:
        with self._asking:
            if table.name not in self._dictionary:
                self._dictionary[table.name] = self._client.columns(table.name)
            return self._dictionary[table.name]
