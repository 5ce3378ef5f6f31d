"""What a record type is made of: columns, the SuiteQL read they come from, and their meaning.

Only the vocabulary lives here. The record types themselves are one module each beside this one,
and `registry.REGISTRY` lists them.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import pyarrow as pa
from pandera.pandas import DataFrameModel

# 20 digits before the point and 8 behind: NetSuite keeps rates to 8 decimals, and one type for
# amounts, rates and quantities means that no join or sum ever meets two precisions.
MONEY_TYPE = pa.decimal128(28, 8)


class Kind(StrEnum):
    """How the text NetSuite sends for a column is to be read."""

    TEXT = "text"
    ID = "id"
    DATE = "date"
    INSTANT = "instant"
    MONEY = "money"
    QUANTITY = "quantity"
    RATE = "rate"
    INTEGER = "integer"
    FLAG = "flag"


ARROW_TYPES: dict[Kind, pa.DataType] = {
    Kind.TEXT: pa.string(),
    Kind.ID: pa.string(),
    Kind.DATE: pa.date32(),
    Kind.INSTANT: pa.timestamp("us", tz="UTC"),
    Kind.MONEY: MONEY_TYPE,
    Kind.QUANTITY: MONEY_TYPE,
    Kind.RATE: MONEY_TYPE,
    Kind.INTEGER: pa.int64(),
    Kind.FLAG: pa.bool_(),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One canonical column and the SuiteQL expression that fills it.

    `name` is also the SuiteQL alias, so it is lower case: NetSuite answers in lower case whatever
    was asked (docs/facts/netsuite.md 4.3). The alias in front of the dot in `sql` tells which join
    the column needs. `negate` turns a NetSuite sign into ours (bill totals arrive negative).
    A column that is not `optional` must exist in the account; the others are read as empty there.
    """

    name: str
    sql: str
    kind: Kind = Kind.TEXT
    negate: bool = False
    optional: bool = True

    @property
    def arrow_type(self) -> pa.DataType:
        return ARROW_TYPES[self.kind]

    @property
    def keeps_raw(self) -> bool:
        """Whether the received text is kept as `raw_<name>`: true where reading it can fail."""
        return self.kind not in {Kind.TEXT, Kind.ID}


@dataclass(frozen=True, slots=True)
class Join:
    """A joined table; when the account does not have it, it goes, and its columns with it."""

    table: str
    alias: str
    on: str
    optional: bool = True


@dataclass(frozen=True, slots=True)
class Source:
    """One SuiteQL read: columns, the unique key that pages it, and fixed conditions.

    Every expression in `key` is also the `sql` of a selected column: keyset paging continues from
    the values of the last row. `where` holds literals only, never values.
    """

    table: str
    alias: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    joins: tuple[Join, ...] = ()
    where: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def key_names(self) -> tuple[str, ...]:
        """Canonical names of the key, in key order."""
        by_sql = {column.sql: column.name for column in self.columns}
        return tuple(by_sql[expression] for expression in self.key)

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


Shape = Literal["document", "entity", "dimension", "posting"]


@dataclass(frozen=True, slots=True)
class RecordType:
    """One kind of record that moves from NetSuite to ServiceNow.

    `shape` says how it is judged: a document with its lines, an entity on its own, a dimension
    (small, re-read whole, matched but not created), or postings judged per transaction.
    """

    name: str
    asset: str
    shape: Shape
    header: Source
    lines: Source | None
    transaction_types: tuple[str, ...]
    schema: type[DataFrameModel]
    line_schema: type[DataFrameModel] | None
    netsuite_path: str

    def url(self, base: str, internal_id: str) -> str:
        """Where a person finds this record in NetSuite; "" when `base` is unknown."""
        return base.rstrip("/") + self.netsuite_path.format(id=internal_id) if base else ""
