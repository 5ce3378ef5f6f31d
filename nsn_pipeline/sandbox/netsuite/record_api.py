"""The REST record API: read, create, change, upsert by external id and delete (facts 7)."""

import json
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from nsn_pipeline.sandbox.netsuite import record_types
from nsn_pipeline.sandbox.netsuite.errors import NetSuiteError, bad_parameter
from nsn_pipeline.sandbox.netsuite.kinds import LOADERS, utc_text
from nsn_pipeline.sandbox.netsuite.options import NetSuiteOptions
from nsn_pipeline.sandbox.netsuite.paging import envelope, paging
from nsn_pipeline.sandbox.netsuite.record_filter import filter_sql
from nsn_pipeline.sandbox.netsuite.record_types import RecordType
from nsn_pipeline.sandbox.netsuite.record_values import from_json, to_json
from nsn_pipeline.sandbox.netsuite.scope import Catalogue
from nsn_pipeline.sandbox.netsuite.store import Store, StoreError
from nsn_pipeline.sandbox.netsuite.tables import FEATURE_TABLES

ROOT = "/services/rest/record/v1"
_EXTERNAL_ID = re.compile(r"[A-Za-z0-9_-]+\Z", re.ASCII)
_LEVELS = frozenset({"ignore", "warning", "error"})
_STAMPS = {"vendor": ("datecreated", "lastmodifieddate")}
Values = dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, JSON body (None for 204) and headers."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class RecordApi:
    """The record API of one account."""

    def __init__(self, store: Store, options: NetSuiteOptions) -> None:
        self.store = store
        self.options = options

    # -- lookups -------------------------------------------------------------------------------

    def catalogue(self) -> Catalogue:
        """The account's tables as they are now."""
        return Catalogue(self.options, self.store.tables())

    def record(self, name: str) -> RecordType:
        """A record type, or the refusal."""
        found = record_types.record_type(self.catalogue(), name)
        feature = FEATURE_TABLES.get(found.table.name) if found else None
        if found is None or feature in self.options.disabled_features:
            raise NetSuiteError(
                404, "NOT_FOUND", f"Record type '{name}' does not exist.",
                where={"o:errorUrlPath": name},
            )  # fmt: skip
        if found.table.name in self.options.hidden_tables:
            raise NetSuiteError(
                403,
                "INSUFFICIENT_PERMISSION",
                "Permission Violation: You need a higher permission level to access this record.",
            )
        return found

    def _find(self, record: RecordType, key: str) -> tuple[str, ...] | None:
        column = "id"
        if key.startswith("eid:"):
            column, key = "externalid", key[4:]
            if not _EXTERNAL_ID.match(key):
                raise _invalid(f"Invalid external id '{key}'.", "externalId")
        elif not key.isdigit():
            raise _missing()
        row = self.store.connection().execute(
            f'SELECT id FROM "{record.table.name}" WHERE "{column}" = ?',
            (int(key) if column == "id" else key,),
        )
        return row.fetchone()

    def _existing(self, record: RecordType, key: str) -> str:
        found = self._find(record, key)
        if found is None:
            raise _missing()
        return str(found[0])

    # -- reading -------------------------------------------------------------------------------

    def collection(self, name: str, base: str, query: Mapping[str, str]) -> Reply:
        """Ids and links of the records a filter finds."""
        record = self.record(name)
        limit, offset = paging(query)
        where, bound = filter_sql(record, query.get("q", ""), self.options)
        connection = self.store.connection()
        table = record.table.name
        try:
            total = connection.execute(f'SELECT COUNT(*) FROM "{table}" WHERE {where}', bound)
            rows = connection.execute(
                f'SELECT id FROM "{table}" WHERE {where} ORDER BY id LIMIT ? OFFSET ?',
                (*bound, limit, offset),
            ).fetchall()
        except sqlite3.Error as error:
            raise bad_parameter("q", "Invalid search query.") from error
        count = int(total.fetchone()[0])
        items = [
            {"links": [{"rel": "self", "href": f"{base}{ROOT}/{name}/{row[0]}"}], "id": str(row[0])}
            for row in rows
        ]
        return Reply(
            200,
            envelope(
                f"{base}{ROOT}/{name}",
                items,
                limit=limit,
                offset=offset,
                total=count,
                reachable=count,
            ),
        )

    def read(self, name: str, key: str, base: str, *, expand: bool) -> Reply:
        """One record, references with their display names."""
        record = self.record(name)
        row_id = self._existing(record, key)
        found = self.store.connection().execute(
            f'SELECT * FROM "{record.table.name}" WHERE id = ?', (int(row_id),)
        )
        names = [item[0] for item in found.description]
        row = dict(zip(names, found.fetchone(), strict=True))
        here = f"{base}{ROOT}/{name}/{row_id}"
        body: dict[str, Any] = {"links": [{"rel": "self", "href": here}]}
        for api, entry in record.fields.items():
            value = row.get(entry.column.name)
            if value is None:
                continue
            shown = to_json(entry, value)
            if entry.column.multi and not expand:
                shown = {"links": [{"rel": "self", "href": f"{here}/{api}"}]}
            elif entry.column.ref is not None and not entry.column.multi:
                shown = self._named(entry.column.ref, shown, base)
            body[api] = shown
        return Reply(200, body)

    def _named(self, ref: str, shown: dict[str, Any], base: str) -> dict[str, Any]:
        target = self.store.tables().get(ref)
        if target is None or target.display is None:
            return shown
        row = self.store.connection().execute(
            f'SELECT {target.display.format(r="r")} FROM "{ref}" r WHERE r.id = ?', (shown["id"],)
        )
        name = row.fetchone()
        links = [{"rel": "self", "href": f"{base}{ROOT}/{ref}/{shown['id']}"}]
        return {"links": links, **shown, **({"refName": name[0]} if name and name[0] else {})}

    # -- writing -------------------------------------------------------------------------------

    def create(self, name: str, body: bytes, base: str, headers: Mapping[str, str]) -> Reply:
        """POST."""
        record = self.record(name)
        values = self._values(record, body, headers)
        with self.store.transaction():
            return self._created(record, self._insert(record, values), base)

    def change(
        self, name: str, key: str, body: bytes, base: str, headers: Mapping[str, str]
    ) -> Reply:
        """PATCH: what is not given stays, null clears."""
        record = self.record(name)
        values = self._values(record, body, headers)
        with self.store.transaction():
            row_id = self._existing(record, key)
            self._update(record, row_id, values)
            return self._created(record, row_id, base)

    def upsert(
        self, name: str, key: str, body: bytes, base: str, headers: Mapping[str, str]
    ) -> Reply:
        """PUT by external id: creates or changes, and repeats harmlessly."""
        record = self.record(name)
        if not key.startswith("eid:"):
            raise NetSuiteError(
                405, "METHOD_NOT_ALLOWED", "PUT needs an external id in the URL (eid:<id>)."
            )
        values = {**self._values(record, body, headers), "externalid": key[4:]}
        with self.store.transaction():
            found = self._find(record, key)
            if found is None:
                return self._created(record, self._insert(record, values), base)
            self._update(record, str(found[0]), values)
            return self._created(record, str(found[0]), base)

    def delete(self, name: str, key: str) -> Reply:
        """DELETE: afterwards only `deletedrecord` knows."""
        if name in record_types.TRANSACTIONS:
            return self._delete_transaction(record_types.TRANSACTIONS[name], key)
        record = self.record(name)
        with self.store.transaction():
            row_id = self._existing(record, key)
            if record.name == "vendor":
                self._refuse_dependents('"transaction" WHERE entity = ?', row_id)
            self.store.delete_row(record.table.name, row_id)
        return Reply(204)

    def _delete_transaction(self, record_type: str, key: str) -> Reply:
        with self.store.transaction() as connection:
            found = connection.execute(
                'SELECT 1 FROM "transaction" WHERE id = ? AND recordtype = ?',
                (int(key) if key.isdigit() else 0, record_type),
            )
            if found.fetchone() is None:
                raise _missing()
            self._refuse_dependents("nexttransactionlinelink WHERE previousdoc = ?", key)
            self.store.delete_row("transaction", key)
        return Reply(204)

    def _refuse_dependents(self, table_where: str, row_id: str) -> None:
        """What others were made from, or name, cannot go before them."""
        found = self.store.connection().execute(
            f"SELECT 1 FROM {table_where} LIMIT 1",
            (int(row_id),),
        )
        if found.fetchone() is not None:
            raise NetSuiteError(
                400, "USER_ERROR",
                "This record cannot be deleted because it has dependent records.",
            )  # fmt: skip

    @staticmethod
    def _created(record: RecordType, row_id: str, base: str) -> Reply:
        return Reply(204, headers={"Location": f"{base}{ROOT}/{record.name}/{row_id}"})

    def _values(self, record: RecordType, body: bytes, headers: Mapping[str, str]) -> Values:
        try:
            given = json.loads(body, parse_float=Decimal)
        except ValueError as error:
            raise _invalid("The request body is not valid JSON.", "") from error
        if not isinstance(given, dict):
            raise _invalid("The request body is not a JSON object.", "")
        names = _level(headers, "x-netsuite-propertynamevalidation", "warning")
        values_level = _level(headers, "x-netsuite-propertyvaluevalidation", "error")
        values: Values = {}
        for name, value in given.items():
            entry = record.fields.get(name)
            if entry is None or (entry.read_only and name != "id"):
                if names == "error" and entry is None and name != "links":
                    raise _invalid(f"Unknown property '{name}'.", name)
                continue
            if name == "id":
                continue
            try:
                text = from_json(entry, value)
                if text is not None and not entry.column.multi:
                    LOADERS[entry.column.kind](text)
                self._check_reference(entry.column.ref, text, name)
                values[entry.column.name] = text
            except ValueError as error:
                if values_level == "error":
                    detail = f"Invalid content in the request body: {name}: {error}"
                    raise _invalid(detail, name) from error
        return values

    def _check_reference(self, ref: str | None, text: str | None, name: str) -> None:
        if ref is None or not text or ref not in self.store.tables():
            return
        for one in text.split(", "):
            row = self.store.connection().execute(f'SELECT 1 FROM "{ref}" WHERE id = ?', (one,))
            if row.fetchone() is None:
                raise NetSuiteError(
                    400, "USER_ERROR", f"Invalid Field Value {one} for the following field: {name}",
                    where={"o:errorPath": name},
                )  # fmt: skip

    def _insert(self, record: RecordType, values: Values) -> str:
        needed = list(record.required)
        if record.name == "vendor":
            needed.append("lastname" if values.get("isperson") == "T" else "companyname")
        if missing := [record.label(c) for c in needed if not values.get(c)]:
            raise NetSuiteError(
                400, "USER_ERROR", f"Please enter value(s) for: {', '.join(missing)}"
            )
        table = record.table
        self._refuse_duplicate(record, values)
        row_id = str(self._next_id(table.name))
        row: Values = {"isinactive": "F", **values, "id": row_id}
        if table.name == "vendor":
            row.setdefault("isperson", "F")
            person = " ".join(filter(None, (row.get("firstname"), row.get("lastname"))))
            row["entityid"] = row.get("entityid") or row.get("companyname") or person
        self._derive(table.name, row)
        now = f"{utc_text(self.store.clock()).replace(' ', 'T')}Z"
        stamps = ("created", "lastmodified") if table.custom else ("lastmodifieddate",)
        for stamp in _STAMPS.get(table.name, stamps):
            row[stamp] = now
        self._store(lambda: self.store.insert(table.name, [row]))
        if table.name == "vendor" and row.get("subsidiary"):
            link: Values = {
                "id": str(self._next_id("vendorsubsidiaryrelationship")), "entity": row_id,
                "subsidiary": row["subsidiary"], "isprimarysub": "T", "lastmodifieddate": now,
            }  # fmt: skip
            self.store.insert("vendorsubsidiaryrelationship", [link])
        return row_id

    def _update(self, record: RecordType, row_id: str, values: Values) -> None:
        self._refuse_duplicate(record, values, row_id)
        table = record.table
        cleared = [c for c in record.required if c in values and not values[c]]
        if cleared:
            labels = ", ".join(record.label(c) for c in cleared)
            raise NetSuiteError(400, "USER_ERROR", f"Please enter value(s) for: {labels}")
        found = self.store.connection().execute(
            f'SELECT * FROM "{table.name}" WHERE id = ?', (int(row_id),)
        )
        names = [item[0] for item in found.description]
        old = {
            n: None if v is None else str(v) for n, v in zip(names, found.fetchone(), strict=True)
        }
        new: Values = {**old, **values}
        self._derive(table.name, new)
        derived = {c: new[c] for c in new if new[c] != old.get(c) and c not in values}
        self._store(lambda: self.store.update_row(table.name, row_id, {**values, **derived}))

    @staticmethod
    def _store(write: Any) -> None:
        try:
            write()
        except StoreError as error:
            raise _invalid(str(error), "") from error

    def _next_id(self, table: str) -> int:
        row = self.store.connection().execute(f'SELECT COALESCE(MAX(id), 0) + 1 FROM "{table}"')
        return int(row.fetchone()[0])

    def _refuse_duplicate(self, record: RecordType, values: Values, own: str = "") -> None:
        external = values.get("externalid")
        if not external:
            return
        if not _EXTERNAL_ID.match(external):
            raise _invalid(f"Invalid external id '{external}'.", "externalId")
        found = self._find(record, f"eid:{external}")
        if found is not None and str(found[0]) != own:
            raise NetSuiteError(400, "USER_ERROR", "This record already exists")

    def _derive(self, table: str, row: Values) -> None:
        """The names NetSuite computes: `parent : child`, and number with name for accounts."""
        own = row.get("acctname") if table == "account" else row.get("name")
        if table not in {"account", "department", "classification", "location"} or not own:
            return
        full = own
        if parent := row.get("parent"):
            found = self.store.connection().execute(
                f'SELECT fullname FROM "{table}" WHERE id = ?', (int(parent),)
            )
            above = found.fetchone()
            full = f"{above[0]} : {own}" if above and above[0] else own
        row["fullname"] = full
        if table == "account":
            shown = f"{row['acctnumber']} {full}" if row.get("acctnumber") else full
            row["accountsearchdisplayname"] = shown
            row["accountsearchdisplaynamecopy"] = full
            row["displaynamewithhierarchy"] = shown

    # -- metadata ------------------------------------------------------------------------------

    def metadata(self, name: str, base: str) -> Reply:
        """The JSON schema of a record type."""
        return Reply(200, record_types.json_schema(self.record(name), base))

    def metadata_list(self, base: str) -> Reply:
        """Every record type with a link to its schema."""
        items = [
            {"name": name,
             "links": [{"rel": "canonical", "href": f"{base}{ROOT}/metadata-catalog/{name}"}]}
            for name in record_types.record_names(self.catalogue())
        ]  # fmt: skip
        return Reply(200, {"items": items})


def _level(headers: Mapping[str, str], name: str, default: str) -> str:
    level = headers.get(name, default).lower()
    if level not in _LEVELS:
        raise NetSuiteError(
            400, "INVALID_HEADER", f"Invalid value '{level}' of the header {name}.",
            where={"o:errorHeader": name},
        )  # fmt: skip
    return level


def _invalid(detail: str, path: str) -> NetSuiteError:
    return NetSuiteError(
        400, "INVALID_CONTENT", detail, where={"o:errorPath": path} if path else None
    )


def _missing() -> NetSuiteError:
    return NetSuiteError(
        404,
        "NONEXISTENT_ID",
        "The record instance does not exist. Provide a valid record instance ID.",
    )
