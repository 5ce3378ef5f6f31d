"""One simulated instance: its options, catalogue, records and clock, tied together."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nsn_pipeline.sandbox.servicenow.dictionary import fill_dictionary, fill_users, user_id_of
from nsn_pipeline.sandbox.servicenow.money import Exchange
from nsn_pipeline.sandbox.servicenow.options import ServiceNowOptions, TransformMap, User
from nsn_pipeline.sandbox.servicenow.paths import Paths
from nsn_pipeline.sandbox.servicenow.schema import Catalog, Table
from nsn_pipeline.sandbox.servicenow.search import Asker, Search
from nsn_pipeline.sandbox.servicenow.store import Store
from nsn_pipeline.sandbox.servicenow.table_data import Row
from nsn_pipeline.sandbox.servicenow.table_definitions import TableDefinition
from nsn_pipeline.sandbox.servicenow.tables import BASE_TABLES
from nsn_pipeline.sandbox.servicenow.tables_platform import PLATFORM_TABLES
from nsn_pipeline.sandbox.servicenow.tables_source_to_pay import SOURCE_TO_PAY_TABLES


@dataclass(slots=True)
class Session:
    """Who calls, and under which host name links should point back."""

    user: User
    user_id: str
    base_url: str


@dataclass(slots=True)
class Instance:
    """What every API of the instance works on. Build it with `open_instance`."""

    options: ServiceNowOptions
    catalog: Catalog
    store: Store
    exchange: Exchange
    paths: Paths
    search: Search
    clock: Callable[[], float] = time.time
    _stamp: tuple[int, str] = field(default=(-1, ""))
    _described: int = -1

    def stamp(self) -> str:
        """Now, as a date-time column holds it: UTC, whole seconds."""
        second = int(self.clock())
        if self._stamp[0] != second:
            text = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second))
            self._stamp = (second, text)
        return self._stamp[1]

    def new_row(self, table: Table, *, user_name: str, sys_id: str = "") -> Row:
        """A record with its defaults and audit columns, not stored yet and not numbered."""
        stamp = self.stamp()
        row = {"sys_id": sys_id or uuid.uuid4().hex, **table.defaults}
        row["sys_created_on"] = row["sys_updated_on"] = stamp
        row["sys_created_by"] = row["sys_updated_by"] = user_name
        row["sys_mod_count"] = "0"
        if "sys_class_name" in table.columns:
            row["sys_class_name"] = table.name
        return row

    def asker(self, session: Session) -> Asker:
        return Asker(session.user_id, session.user.user_name, self.clock())

    def refresh_dictionary(self) -> None:
        """Describe columns that were added since the last look."""
        if self._described != self.catalog.version:
            fill_dictionary(self.catalog, self.store, self.options)
            self._described = self.catalog.version

    def user(self, user_name: str) -> User | None:
        return next((u for u in self.options.users if u.user_name == user_name), None)

    def session(self, user: User, base_url: str) -> Session:
        return Session(user, user_id_of(user), base_url)


def open_instance(
    data_dir: Path, options: ServiceNowOptions, *, clock: Callable[[], float] = time.time
) -> Instance:
    """Read the journal in `data_dir` and bring the instance up."""
    base = (*PLATFORM_TABLES, *BASE_TABLES, *SOURCE_TO_PAY_TABLES)
    catalog = Catalog(table for table in base if table.name not in options.absent_tables)
    for definition in options.extra_tables:
        catalog.define(definition)
    for transform in options.transform_maps:
        if catalog.get(transform.staging_table) is None:
            catalog.define(staging_definition(transform))
    store = Store(catalog, data_dir)
    exchange = Exchange(options.fx_rates, options.user_currency, options.reference_currency)
    paths = Paths(catalog, store, exchange)
    instance = Instance(options, catalog, store, exchange, paths, Search(options, paths), clock)
    fill_users(store, options)
    instance.refresh_dictionary()
    return instance


def staging_definition(transform: TransformMap) -> TableDefinition:
    """A staging table holds strings only, one column per mapped field."""
    columns = "\n".join(f"{name} string(4000)" for name in transform.fields)
    return TableDefinition(
        transform.staging_table, transform.staging_table, columns, extends="sys_import_set_row"
    )
