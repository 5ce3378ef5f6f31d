"""Converters: how a canonical column becomes Table API text, one function per converter.

Each gives text (null where there is no value) and reports the rows it cannot convert.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from nsn_pipeline.conform import remedies
from nsn_pipeline.conform.crosswalk import Crosswalk, Resolution
from nsn_pipeline.conform.findings import Findings, Told
from nsn_pipeline.conform.lookups import Lookups, look_up, look_up_text
from nsn_pipeline.conform.outcome import Context
from nsn_pipeline.conform.reasons import Reason
from nsn_pipeline.conform.rows import Rows, arrow_series
from nsn_pipeline.conform.values import SCALE, decimal_text, present, too_precise, true_where
from nsn_pipeline.profiles.model import Profile, Target, TargetColumn
from nsn_pipeline.records.arrow import arrow_of, pc
from nsn_pipeline.records.spec import Kind


@dataclass(slots=True)
class Task:
    """One frame's way to one target.

    `rows` holds canonical and derived columns; `_day` (date) and `_subsidiary_id` say when and for
    which office a reference is asked for. `parent_keys` are the external keys of the documents the
    rows are lines of. `waived` masks rows that may lack a required column, by column source.
    `lenient_vendors` masks rows whose entity need not be a vendor (journals).
    """

    target: Target
    profile: Profile
    rows: Rows
    kinds: Mapping[str, Kind]
    context: Context
    lookups: Lookups
    findings: Findings
    parent_type: str = ""
    parent_keys: pa.Array | None = None
    waived: Mapping[str, pa.Array] = field(default_factory=dict[str, pa.Array])
    lenient_vendors: pa.Array | None = None
    cut: dict[str, pa.Array] = field(default_factory=dict[str, pa.Array])
    unreadable: dict[str, pa.Array] = field(default_factory=dict[str, pa.Array])

    def office(self, row: int) -> str:
        """The subsidiary's name, for a person."""
        if "_subsidiary_id" not in self.rows.columns:
            return ""
        key = self.rows["_subsidiary_id"][row].as_py()
        return self.lookups.subsidiary_names.get(key, key or "")

    def day(self, row: int) -> str:
        if "_day" not in self.rows.columns:
            return ""
        day = self.rows["_day"][row].as_py()
        return "" if day is None else day.isoformat()


def unknown_currency(ids: pa.Array) -> Callable[[int], Told]:
    """For documents whose currency is not there or not among NetSuite's currencies."""

    def tell(row: int) -> Told:
        key = ids[row].as_py()
        if not key:
            return Told(
                None,
                "The record names no currency: choose one in NetSuite, or set the base currency if "
                "the account has only one.",
            )
        return Told(
            key,
            f"Currency {key} is not among NetSuite's currencies with an ISO code: correct the "
            "currency list there, or let the integration role see it.",
        )

    return tell


def _text(task: Task, column: TargetColumn) -> pa.Array:
    values = task.rows[column.source]
    text = values if pa.types.is_string(values.type) else values.cast(pa.string())
    limit = int(column.converter.argument or "0")
    if not limit:
        return text
    long = true_where(pc.greater(pc.utf8_length(text), limit))
    if column.cut:
        task.cut[column.column] = long
        return pc.utf8_slice_codeunits(text, 0, limit)

    def tell(row: int) -> Told:
        value = text[row].as_py()
        return Told(
            value,
            f"{column.source} has {len(value)} characters and {task.target.table}."
            f"{column.column} holds {limit}: shorten it in NetSuite, or allow `cut` in the "
            "profile.",
        )

    task.findings.add(task.rows, long, Reason.TEXT_TOO_LONG, column.source, tell)
    return text


def _date(task: Task, column: TargetColumn) -> pa.Array:
    return task.rows[column.source].cast(pa.string())


def _datetime(task: Task, column: TargetColumn) -> pa.Array:
    values = task.rows[column.source]
    if pa.types.is_date(values.type):
        # Noon UTC: midnight would show as the day before to everyone west of Greenwich.
        return pc.binary_join_element_wise(values.cast(pa.string()), "12:00:00", " ")
    seconds = values.cast(pa.timestamp("s", tz="UTC"), safe=False)
    return pc.strftime(seconds, format="%Y-%m-%d %H:%M:%S")


def _money(task: Task, column: TargetColumn) -> pa.Array:
    codes = task.rows[column.converter.argument]
    return pc.binary_join_element_wise(codes, _amount(task, column), ";")


def _decimal(task: Task, column: TargetColumn) -> pa.Array:
    if column.converter.argument.isdigit():
        return _number(task, column, int(column.converter.argument))
    return _amount(task, column)


def _quantity(task: Task, column: TargetColumn) -> pa.Array:
    return decimal_text(task.rows[column.source], SCALE, trim=True)


def _number(task: Task, column: TargetColumn, places: int) -> pa.Array:
    values = task.rows[column.source]
    _check_precision(task, column, values, places)
    return decimal_text(values, places, trim=True)


def _amount(task: Task, column: TargetColumn) -> pa.Array:
    """At the currency's own precision; a price may be finer than what it adds up to."""
    values = task.rows[column.source]
    if task.kinds[column.source] is Kind.RATE:
        return decimal_text(values, SCALE, trim=True)
    codes = task.rows[column.converter.argument]
    places = look_up(codes, task.lookups.places, pa.int64())
    _check_precision(task, column, values, places)
    if column.converter.argument != "currency_code":
        unknown = pc.and_(values.is_valid(), places.is_null())
        tell = unknown_currency(codes)
        task.findings.add(
            task.rows, unknown, Reason.UNKNOWN_CURRENCY, column.converter.argument, tell
        )
    return decimal_text(values, places)


def _check_precision(
    task: Task, column: TargetColumn, values: pa.Array, places: pa.Array | int
) -> None:
    bad = too_precise(values, places)

    def tell(row: int) -> Told:
        value = decimal_text(values.slice(row, 1), SCALE, trim=True)[0].as_py()
        if isinstance(places, int):
            return Told(value, remedies.too_precise(value, "", places))
        code = task.rows[column.converter.argument][row].as_py()
        return Told(value, remedies.too_precise(value, code, places[row].as_py()))

    task.findings.add(task.rows, bad, Reason.UNREADABLE_AMOUNT, column.source, tell)


def _flag(task: Task, column: TargetColumn) -> pa.Array:
    return pc.if_else(task.rows[column.source], "true", "false")


def _integer(task: Task, column: TargetColumn) -> pa.Array:
    return task.rows[column.source].cast(pa.string())


def _choice(task: Task, column: TargetColumn) -> pa.Array:
    values = task.rows[column.source]
    mapping = dict(column.converter.choices)
    chosen = look_up_text(values, mapping)
    unknown = pc.and_(present(values), chosen.is_null())

    def tell(row: int) -> Told:
        value = values[row].as_py()
        return Told(
            value,
            f"The profile does not say what {column.source} {value!r} means in "
            f"{task.target.table}.{column.column}: add it to the choice in the profile.",
        )

    task.findings.add(task.rows, unknown, Reason.UNKNOWN_CHOICE, column.source, tell)
    return chosen


def _reference(task: Task, column: TargetColumn) -> pa.Array:
    match column.converter.argument:
        case "gl_account":
            return _crossed(task, column, task.context.gl_crosswalk)
        case "cost_center":
            return _crossed(task, column, task.context.cc_crosswalk)
        case "vendor":
            return _vendor(task, column)
        case "parent":
            keys = pa.nulls(task.rows.count, pa.string())
            keys = keys if task.parent_keys is None else task.parent_keys
            return pc.binary_join_element_wise(f"ref:{task.parent_type}:", keys, "")
        case other:
            keys = task.rows[column.source]
            keys = pc.if_else(present(keys), keys, pa.scalar(None, pa.string()))
            return pc.binary_join_element_wise(f"ref:{other}:", keys, "")


def _vendor(task: Task, column: TargetColumn) -> pa.Array:
    ids = task.rows[column.source]
    known = pc.is_in(ids, value_set=pa.array(list(task.context.vendors), pa.string()))
    unknown = pc.and_(present(ids), pc.invert(known))
    if task.lenient_vendors is not None:
        unknown = pc.and_(unknown, pc.invert(task.lenient_vendors))

    def tell(row: int) -> Told:
        key = ids[row].as_py()
        name = task.lookups.vendor_names.get(key, "")
        return Told(key, remedies.missing_supplier(key, name), f"vendor:{key}")

    task.findings.add(task.rows, unknown, Reason.MISSING_SUPPLIER, column.source, tell)
    known_ids = pc.if_else(known, ids, pa.scalar(None, pa.string()))
    return pc.binary_join_element_wise("ref:vendor:", known_ids, "")


def _crossed(task: Task, column: TargetColumn, crosswalk: Crosswalk) -> pa.Array:
    ids = task.rows[column.source]
    found = crosswalk.resolve(
        arrow_series(ids), task.rows.series("_subsidiary_id"), task.rows.series("_day")
    )
    table = task.profile.references[crosswalk.kind]
    reasons = arrow_of(found, "reason")
    codes, targets, methods = (arrow_of(found, name) for name in ("code", "target_code", "method"))

    def tell(row: int) -> Told:
        key = ids[row].as_py()
        one = Resolution(
            codes[row].as_py(),
            targets[row].as_py(),
            None,
            Reason(reasons[row].as_py()),
            methods[row].as_py(),
        )
        remedy = remedies.unresolved(
            crosswalk, table, key, one, office=task.office(row), day=task.day(row)
        )
        return Told(one.code or key, remedy, crosswalk.reference(key))

    for reason in pc.unique(reasons).drop_null().to_pylist():
        here = true_where(pc.equal(reasons, reason))
        task.findings.add(task.rows, here, Reason(reason), column.source, tell)
    return arrow_of(found, "sys_id")


CONVERTERS: dict[str, Callable[[Task, TargetColumn], pa.Array]] = {
    "text": _text,
    "date": _date,
    "datetime": _datetime,
    "money": _money,
    "decimal": _decimal,
    "quantity": _quantity,
    "flag": _flag,
    "integer": _integer,
    "choice": _choice,
    "reference": _reference,
}
