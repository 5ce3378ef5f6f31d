"""What has to be written: wanted records against the ones ServiceNow holds.

Pure: no I/O, no clock. The plan is data; `nsn plan` prints it, the writer carries it out, and
planning again after writing gives nothing but `unchanged`.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from nsn_pipeline.conform.reasons import Problem
from nsn_pipeline.load import problems
from nsn_pipeline.load.compare import is_shown_as_stored, received, same, same_as_shown
from nsn_pipeline.load.drift import Drift, compare_only
from nsn_pipeline.load.sys_id import deterministic_sys_id
from nsn_pipeline.load.table import Comparison, Rule, Table

Kind = Literal["create", "update", "unchanged", "skipped", "retire"]
Row = Mapping[str, object]


class Wanted(NamedTuple):
    """One record as ServiceNow should hold it; references are sys_ids.

    A column that is compared only is not in `fields` where NetSuite gives nothing to compare with.
    """

    key: str
    document_id: str
    fields: dict[str, str]


class Change(NamedTuple):
    """What to do for one key: `values` is what is sent, `before` what it replaces.

    A `retire` without values deletes the row, and `before` is all it held of ours. `converted` are
    the columns of which `before` is an amount as the reader is shown it: it moves with the rates.
    """

    kind: Kind
    key: str
    document_id: str
    sys_id: str
    values: dict[str, str]
    before: dict[str, str]
    converted: tuple[str, ...] = ()

    @property
    def deletes(self) -> bool:
        return self.kind == "retire" and not self.values

    def is_same(self, other: "Change") -> bool:
        """Whether both do the same to the same, whatever amounts are converted to by now.

        What such an amount was is witnessed by another column (docs/decisions/0005).
        """
        if self == other:
            return True
        moving = {*self.converted, *other.converted}
        return bool(moving) and self.without_before(moving) == other.without_before(moving)

    def without_before(self, columns: Collection[str]) -> "Change":
        before = {name: text for name, text in self.before.items() if name not in columns}
        return self._replace(before=before, converted=())


@dataclass(frozen=True, slots=True)
class Plan:
    """One change or one problem for every distinct key that is wanted.

    `drift` is what was found in columns that are compared and never written.
    """

    changes: list[Change] = field(default_factory=list)
    problems: dict[str, Problem] = field(default_factory=dict)
    drift: dict[str, Drift] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        return {**Counter(change.kind for change in self.changes), "failed": len(self.problems)}


def distinct(
    table: Table, wanted: Iterable[Wanted]
) -> tuple[dict[str, Wanted], dict[str, Problem]]:
    """One record per key. The same record twice is one; two different ones are a problem."""
    chosen: dict[str, Wanted] = {}
    refused: dict[str, Problem] = {}
    for record in wanted:
        key = record.key
        if not is_safe_key(key):
            refused[key] = problems.unsafe_key(key, table.external_key)
        elif key not in chosen:
            chosen[key] = record
        elif chosen[key].fields != record.fields:
            refused[key] = problems.duplicate_id(key, table.external_key)
    for key in refused:
        chosen.pop(key, None)
    return chosen, refused


def is_safe_key(key: str) -> bool:
    """Whether a query can carry the key, and ServiceNow return it as it was.

    Queries know no escape, and run what begins with `javascript:` (docs/facts/servicenow.md 2.2).
    """
    return (
        key != ""
        and key == key.strip()
        and "^" not in key
        and key.isprintable()
        and not key.lower().startswith("javascript:")
    )


def plan(
    table: Table,
    wanted: Iterable[Wanted],
    present: Mapping[str, Sequence[Row]],
    *,
    instance: str,
    holders: Mapping[str, Row] | None = None,
    hidden: Collection[str] = (),
) -> Plan:
    """Compare field by field.

    Keys that are `hidden` have rows which our role does not see: whatever was planned for them
    would be a guess.

    `present` holds every row found per external key. `holders` holds rows found by the sys_id we
    would create, where a look-up by key found none: see `_held`.
    """
    chosen, refused = distinct(table, wanted)
    result = Plan(problems=refused)
    for key, record in chosen.items():
        rows = present.get(key, ())
        if key in hidden:
            result.problems[key] = problems.hidden_rows(table.name, table.external_key, key)
        elif len(rows) > 1:
            sys_ids = (received(row.get("sys_id")) for row in rows)
            result.problems[key] = problems.duplicate_in_servicenow(
                table.name, table.external_key, key, sys_ids
            )
        elif rows:
            result.changes.append(_change(table, record, rows[0]))
            if table.compared:
                result.drift[key] = compare_only(
                    table, key, record.document_id, record.fields, rows[0]
                )
        else:
            sys_id = deterministic_sys_id(instance, table.name, key)
            holder = holders.get(sys_id) if holders else None
            outcome = _held(table, record, holder) if holder else _absent(table, record, sys_id)
            if isinstance(outcome, Problem):
                result.problems[key] = outcome
            else:
                result.changes.append(outcome)
    return result


def plan_retirement(
    table: Table,
    gone: Iterable[Wanted],
    present: Mapping[str, Sequence[Row]],
    *,
    hidden: Collection[str] = (),
) -> Plan:
    """What to do with rows whose records NetSuite no longer has, as the profile says.

    A row that is not there, or is as a retired one should be, is unchanged: retiring twice writes
    nothing. Of `gone` only keys and documents matter.
    """
    result = Plan()
    for record in gone:
        key, rows = record.key, present.get(record.key, ())
        if key in hidden:
            result.problems[key] = problems.hidden_rows(table.name, table.external_key, key)
        elif len(rows) > 1:
            sys_ids = (received(row.get("sys_id")) for row in rows)
            result.problems[key] = problems.duplicate_in_servicenow(
                table.name, table.external_key, key, sys_ids
            )
        elif rows:
            result.changes.append(_retired(table, record, rows[0]))
        else:
            result.changes.append(Change("unchanged", key, record.document_id, "", {}, {}))
    return result


def _retired(table: Table, record: Wanted, row: Row) -> Change:
    sys_id = received(row.get("sys_id"))
    if table.retire.how == "delete":
        held = {name: received(row.get(name)) for name in table.fields if name != "sys_id"}
        before = {name: text for name, text in held.items() if text}
        # In which currency the amounts are is not known of a record that is gone.
        converted = tuple(name for name in before if _is_money(table, name))
        return Change("retire", record.key, record.document_id, sys_id, {}, before, converted)
    values = {
        column: text
        for column, text in table.retire.values
        if not same(table.by_column[column].comparison, text, received(row.get(column)))
    }
    before = {column: received(row.get(column)) for column in values}
    kind = "retire" if values else "unchanged"
    return Change(kind, record.key, record.document_id, sys_id, values, before)


def _is_money(table: Table, column: str) -> bool:
    rule = table.by_column.get(column)
    return rule is not None and rule.comparison is Comparison.MONEY


def ends(table: Table, change: Change) -> bool:
    """Whether the change makes a live record one that is void, closed or inactive."""
    if change.kind != "update":
        return False
    return any(
        _is_one_of(table, column, values, change.values[column])
        and not _is_one_of(table, column, values, change.before[column])
        for column, values in table.endings
        if column in change.values
    )


def _is_one_of(table: Table, column: str, values: Iterable[str], text: str) -> bool:
    comparison = table.by_column[column].comparison
    return any(same(comparison, value, text) for value in values)


def _change(table: Table, record: Wanted, row: Row) -> Change:
    columns = differences(table, record.fields, row)
    return Change(
        kind="update" if columns else "unchanged",
        key=record.key,
        document_id=record.document_id,
        sys_id=received(row.get("sys_id")),
        values={column: record.fields[column] for column in columns},
        before={column: received(row.get(column)) for column in columns},
        converted=_converted(table, record, columns) if columns else (),
    )


def _converted(table: Table, record: Wanted, columns: Collection[str]) -> tuple[str, ...]:
    return tuple(
        rule.column
        for rule in table.witnessed
        if rule.column in columns
        and not is_shown_as_stored(record.fields[rule.column], table.reader_currency)
    )


def _absent(table: Table, record: Wanted, sys_id: str) -> Change:
    if not table.create:
        return Change("skipped", record.key, record.document_id, "", {}, {})
    # Empty columns are sent too: one that is left out gets the dictionary's default value. Whether
    # the empty text keeps that default away is not documented; the writer's read-back will tell.
    values = {**record.fields, table.external_key: record.key}
    for rule in table.compared:
        values.pop(rule.column, None)
    return Change("create", record.key, record.document_id, sys_id, values, {})


def _held(table: Table, record: Wanted, holder: Row) -> Change | Problem:
    """The row with our sys_id, found under another key.

    Its sys_id is a hash of this very key, so nobody else can have made it. With an empty key it is
    ours, written when the key column was missing or cleared since: it gets its key back. With
    another key somebody has re-used it, and a person must say which is right.
    """
    other_key = received(holder.get(table.external_key))
    sys_id = received(holder.get("sys_id"))
    if other_key not in {"", record.key}:
        return problems.key_conflict(table.name, table.external_key, record.key, sys_id, other_key)
    change = _change(table, record, holder)
    if other_key:
        return change
    return change._replace(
        kind="update",
        values={**change.values, table.external_key: record.key},
        before={**change.before, table.external_key: ""},
    )


def differences(table: Table, values: Mapping[str, str], row: Row) -> list[str]:
    """The columns to send: those that differ, and amounts whose witness does."""
    changed: list[str] = []
    for rule in table.plain:
        column = rule.column
        wanted = values.get(column)
        if wanted is None:
            continue
        present = row.get(column, "")
        if wanted != present and not same(rule.comparison, wanted, received(present)):
            changed.append(column)
    changed.extend(
        rule.column
        for rule in table.witnessed
        if rule.column in values
        and (
            any(trigger in changed for trigger in rule.triggers)
            or not stored_as_wanted(
                table, rule, values[rule.column], received(row.get(rule.column))
            )
        )
    )
    return changed


def stored_as_wanted(table: Table, rule: Rule, wanted: str, stored: str) -> bool:
    """Whether ServiceNow shows that it holds our value; an amount it shows converted."""
    if rule.comparison is Comparison.MONEY:
        return same_as_shown(wanted, stored, table.reader_currency)
    return same(rule.comparison, wanted, stored)
