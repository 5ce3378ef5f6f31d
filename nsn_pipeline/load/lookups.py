"""What ServiceNow holds and what its dictionary says, asked at the pace of the run."""

import threading
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from nsn_pipeline.clients.encoded_query import Query
from nsn_pipeline.errors import ConfigurationError, NsnError, ThrottledError
from nsn_pipeline.load.lanes import Lanes
from nsn_pipeline.load.plan import Row
from nsn_pipeline.load.table import Table

_LOOKUP_SHARE = 700  # keys per parallel look-up: as many short ones as a query holds
_SPARSE_SHARE = 2_000  # where hardly a row is found: there is little to answer, and less to call
_SPARSE = 0.05  # rows per key
_TELLING = 100  # keys of a look-up that tells how it is with others

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

    def unchanged(self, table: str, versions: Mapping[str, str]) -> Collection[str] | None:
        """By sys_id, those that count as being there in these versions; None: no count tells."""
        ...

    def columns(self, table: str) -> Mapping[str, Column] | None: ...

    def count(self, table: str, query: Query | None = None, *, patient: bool = True) -> int: ...


class LookUps:
    """For all threads of a run; each table's dictionary is asked for once."""

    def __init__(self, client: Reader, lanes: Lanes) -> None:
        self._client = client
        self._lanes = lanes
        self._asking = threading.Lock()
        self._dictionary: dict[str, Mapping[str, Column] | None] = {}
        self._sparse: dict[str, bool] = {}  # by table: whether new keys were hardly ever found
        self._uncountable: set[str] = set()  # tables of which a count told nothing

    def find(self, table: str, key: str, values: Sequence[str], fields: Sequence[str]) -> LookedUp:
        """The rows whose `key` is one of `values`, in parallel look-ups."""
        return self._find(table, key, values, fields, size=_LOOKUP_SHARE)

    def of(self, table: Table, column: str, values: Sequence[str]) -> LookedUp:
        """The same, with the columns that the table's records are compared by."""
        return self.find(table.name, column, values, table.fields)

    def first_of(self, table: Table, keys: Sequence[str]) -> LookedUp:
        """The rows of keys that nothing was sent for yet; in a first load they are all absent."""
        size = _SPARSE_SHARE if self._sparse.get(table.name) else _LOOKUP_SHARE
        found = self._find(table.name, table.external_key, keys, table.fields, size=size)
        if len(keys) >= _TELLING:  # any of several shares may be the last to say so
            self._sparse[table.name] = sum(map(len, found.rows.values())) <= _SPARSE * len(keys)
        return found

    def can_count(self, table: Table) -> bool:
        """Whether new records can be proven by count: no two of them can have one key, and nothing
        has spoken against it so far.
        """
        return table.name not in self._uncountable and self.keys_are_unique(table)

    def unchanged(self, table: str, versions: Mapping[str, str]) -> Collection[str]:
        """Which of these rows, by sys_id, count as being there in these versions; not all that are.

        For whoever holds a lane. Raises a 429 at once, and nothing else: what is not counted is
        read.
        """
        if table in self._uncountable or not versions:
            return ()
        try:
            found = self._client.unchanged(table, versions)
        except ThrottledError:
            raise
        except NsnError:  # it may have taken long, and reading always works
            found = None
        if found is None:
            self._uncountable.add(table)
        return found or ()

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

    def _find(
        self, table: str, key: str, values: Sequence[str], fields: Sequence[str], *, size: int
    ) -> LookedUp:
        if not values:
            return LookedUp({}, set())
        shares = [values[i : i + size] for i in range(0, len(values), size)]

        def one(share: Sequence[str]) -> Found:
            return self._lanes.look_up(table, partial(self._client.find, table, key, share, fields))

        rows: Rows = {}
        hidden: set[str] = set()
        for found in self._lanes.executor.map(one, shares):
            rows.update(found.rows)
            hidden.update(found.hidden)
        return LookedUp(rows, hidden)

    def _columns(self, table: Table) -> Mapping[str, Column] | None:
        with self._asking:
            if table.name not in self._dictionary:
                self._dictionary[table.name] = self._client.columns(table.name)
            return self._dictionary[table.name]
