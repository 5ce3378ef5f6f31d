"""Insert, update and delete, with everything an instance does to a write.

Silent by design, because the instance is: unknown columns, read-only columns and texts that are
too long produce no error. Refusals are 403 with a detail that tells them apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nsn_pipeline.sandbox.servicenow import refusals
from nsn_pipeline.sandbox.servicenow.dictionary import DICTIONARY_TABLES
from nsn_pipeline.sandbox.servicenow.instance import Instance, Session
from nsn_pipeline.sandbox.servicenow.money import plain
from nsn_pipeline.sandbox.servicenow.options import Operation
from nsn_pipeline.sandbox.servicenow.rules import ProcurementRules
from nsn_pipeline.sandbox.servicenow.schema import Table, derived_id
from nsn_pipeline.sandbox.servicenow.table_data import Row
from nsn_pipeline.sandbox.servicenow.table_definitions import Column
from nsn_pipeline.sandbox.servicenow.values import SYS_ID, clean, to_text

FX_TABLE = "fx_currency2_instance"


@dataclass(slots=True)
class Draft:
    """A record being written: its new values, and the FX amounts that go with it."""

    table: Table
    row: Row
    before: Row | None
    amounts: list[Row] = field(default_factory=list)


class Writer:
    """Applies writes to the store. Callers hold the store's lock, and commit."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.store = instance.store
        self.rules = ProcurementRules(instance, self._save_by_rule)
        self._user_name = "system"

    def insert(
        self, table: Table, values: Mapping[str, Any], session: Session, *, as_display: bool = False
    ) -> Row:
        self._check_access(table, "insert")
        self._user_name = session.user.user_name
        sys_id = to_text(values.get("sys_id"))
        chosen = sys_id if SYS_ID.fullmatch(sys_id) else ""
        row = self.instance.new_row(table, user_name=self._user_name, sys_id=chosen)
        draft = Draft(table, row, None)
        self._take(draft, values, as_display=as_display)
        self._number(table, row)
        self.rules.before(table.name, row, None)
        self._check(draft, "insert")
        if self.store.get(table.name, row["sys_id"]) is not None:
            raise self._clash(table, row, "insert")
        self._store(draft)
        return row

    def update(
        self,
        table: Table,
        sys_id: str,
        values: Mapping[str, Any],
        session: Session,
        *,
        as_display: bool = False,
    ) -> Row:
        """Set the named fields. A write that changes nothing leaves the audit columns alone."""
        owner, before = self._find(table, sys_id)
        self._check_access(owner, "update")
        self._user_name = session.user.user_name
        draft = Draft(owner, dict(before), before)
        self._take(draft, values, as_display=as_display)
        self.rules.before(owner.name, draft.row, before)
        if draft.row == before and not draft.amounts:
            return before
        self._check(draft, "update")
        self._touch(draft.row)
        self._store(draft)
        return draft.row

    def delete(self, table: Table, sys_id: str, session: Session) -> None:
        owner, before = self._find(table, sys_id)
        self._check_access(owner, "delete")
        self._user_name = session.user.user_name
        self._check_abort(owner, before, "delete")
        self.store.remove(owner.name, sys_id)
        self.rules.after(owner.name, None, before)

    # -- values ----------------------------------------------------------------------------
    def _take(self, draft: Draft, values: Mapping[str, Any], *, as_display: bool) -> None:
        columns, row = draft.table.columns, draft.row
        updating = draft.before is not None
        strict = updating and self.instance.options.strict_readonly
        for name, value in values.items():
            column = columns.get(name)
            if column is None or column.read_only or (strict and column.strict):
                continue
            text = value if isinstance(value, str) else to_text(value)
            if column.type == "fx":
                self._take_amount(draft, column, text)
                continue
            if column.choices and updating:
                if not text:
                    continue  # a choice is not cleared by an empty text (2.4)
                text = "" if text == "NULL" else text
            text = clean(self.instance, column, text, as_display=as_display)
            if text:
                row[name] = text
            elif updating or not column.default:
                row.pop(name, None)

    def _take_amount(self, draft: Draft, column: Column, text: str) -> None:
        """An FX Currency column points at a record that holds amount and currency."""
        row, name = draft.row, column.name
        if not text:
            row.pop(name, None)
            return
        if SYS_ID.fullmatch(text) and self.store.get(FX_TABLE, text):
            row[name] = text
            return
        exchange = self.instance.exchange
        code, separator, _ = text.partition(";")
        if separator and not exchange.known(code):
            raise refusals.operation_failed(f"Invalid currency code: {code}")
        parsed = exchange.parse(text) if separator else None
        # a bare number is stored as 0.00, without a word
        amount = plain(round(parsed[1], 4)) if parsed else "0"
        code = parsed[0] if parsed else exchange.user
        held = self.store.get(FX_TABLE, row.get(name, ""))
        if held and held.get("amount", "0") == amount and held.get("currency") == code:
            return
        reference = exchange.convert(parsed[1], code, exchange.reference) if parsed else None
        held = held or self.instance.new_row(
            self.instance.catalog.tables[FX_TABLE],
            user_name=self._user_name,
            sys_id=derived_id(draft.table.name, row["sys_id"], name),
        )
        fresh = {**held, "amount": amount, "currency": code}
        fresh["reference_amount"] = plain(round(reference, 4)) if reference else "0"
        fresh |= {"reference_currency": exchange.reference, "table": draft.table.name}
        fresh |= {"field": name, "id": row["sys_id"]}
        draft.amounts.append(fresh)
        row[name] = fresh["sys_id"]

    def _number(self, table: Table, row: Row) -> None:
        for column in table.columns.values():
            if not column.prefix:
                continue
            data = self.store.data(table.name)
            if given := row.get(column.name):
                data.note_number(given, column.prefix)
            else:
                row[column.name] = data.next_number(column.prefix)

    # -- checks ----------------------------------------------------------------------------
    def _find(self, table: Table, sys_id: str) -> tuple[Table, Row]:
        owner = self.store.owner(table, sys_id)
        if owner is None:
            raise refusals.no_record()
        return owner, self.store.data(owner.name).rows[sys_id]

    def _check_access(self, table: Table, operation: Operation) -> None:
        denied = self.instance.options.denied.get(table.name, frozenset())
        if operation in denied or operation in table.denied or table.name in DICTIONARY_TABLES:
            raise refusals.acl_denied(operation)

    def _check(self, draft: Draft, operation: Operation) -> None:
        table, row = draft.table, draft.row
        self._check_abort(table, row, operation)
        lineage = {member.name for member in table.chain()}
        for policy in self.instance.options.data_policies:
            if policy.table not in lineage:
                continue
            if policy.condition and not self.instance.search.matches(table, policy.condition, row):
                continue
            missing = [
                table.columns[name].label
                for name in policy.mandatory
                if name in table.columns and not row.get(name)
            ]
            if missing:
                raise refusals.operation_failed(
                    "Data Policy Exception: The following fields are mandatory: "
                    + ", ".join(missing)
                )
        self._check_unique(draft, operation)

    def _check_abort(self, table: Table, row: Row, operation: Operation) -> None:
        lineage = {member.name for member in table.chain()}
        for rule in self.instance.options.abort_rules:
            if rule.table not in lineage or operation not in rule.operations:
                continue
            if not rule.condition or self.instance.search.matches(table, rule.condition, row):
                rule_id = derived_id("sys_script", rule.table, rule.name)
                raise refusals.operation_failed(
                    f"Operation against file '{table.name}' was aborted by Business Rule "
                    f"'{rule.name}^{rule_id}'. Business Rule Stack:{rule.name}"
                )

    def _check_unique(self, draft: Draft, operation: Operation) -> None:
        table, row = draft.table, draft.row
        data = self.store.data(table.name)
        for name, index in data.indexes.items():
            if not table.columns[name].unique or not row.get(name):
                continue
            if any(sys_id != row["sys_id"] for sys_id in index.ids(row[name])):
                raise self._clash(table, row, operation)

    def _clash(self, table: Table, row: Row, operation: Operation) -> refusals.Refusal:
        shown = self.instance.paths.display_of_record(table, row)
        return refusals.operation_failed(f"Error during {operation} of {table.name} ({shown})")

    # -- storing ---------------------------------------------------------------------------
    def _touch(self, row: Row) -> None:
        row["sys_mod_count"] = str(int(row.get("sys_mod_count", "0")) + 1)
        row["sys_updated_on"] = self.instance.stamp()
        row["sys_updated_by"] = self._user_name

    def _store(self, draft: Draft) -> None:
        for amount in draft.amounts:
            self.store.put(FX_TABLE, amount)
        self.store.put(draft.table.name, draft.row)
        self.rules.after(draft.table.name, draft.row, draft.before)

    def _save_by_rule(self, table_name: str, row: Row) -> None:
        self._touch(row)
        self.store.put(table_name, row)
