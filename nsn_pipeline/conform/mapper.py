"""From canonical rows to the columns of a target: Table API text, or a problem per bad row."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nsn_pipeline.conform import remedies
from nsn_pipeline.conform.converters import CONVERTERS, Task
from nsn_pipeline.conform.derived import BASES, CHANGE, DERIVED, received_kinds
from nsn_pipeline.conform.findings import Findings, Told
from nsn_pipeline.conform.reasons import Reason
from nsn_pipeline.conform.rows import arrow_series, flags
from nsn_pipeline.conform.values import present
from nsn_pipeline.profiles.model import Profile, Target, TargetColumn, custom_columns
from nsn_pipeline.records.arrow import pc
from nsn_pipeline.records.spec import Kind

_UNREADABLE = {
    Kind.MONEY: (Reason.UNREADABLE_AMOUNT, "a plain number like 1250.00"),
    Kind.RATE: (Reason.UNREADABLE_AMOUNT, "a plain number like 12.5"),
    Kind.DATE: (Reason.UNREADABLE_DATE, "a date like 2026-03-02"),
    Kind.INSTANT: (Reason.UNREADABLE_DATE, "an instant like 2026-03-02T17:05:41Z"),
    Kind.QUANTITY: (Reason.UNREADABLE_VALUE, "a plain number like 10"),
    Kind.INTEGER: (Reason.UNREADABLE_VALUE, "a whole number"),
    Kind.FLAG: (Reason.UNREADABLE_VALUE, "T or F"),
}
_MISSING_REFERENCE = {
    "vendor": Reason.MISSING_SUPPLIER,
    "gl_account": Reason.MISSING_GL_ACCOUNT,
    "cost_center": Reason.MISSING_COST_CENTER,
    "purchase_order": Reason.MISSING_PURCHASE_ORDER,
    "purchase_order_line": Reason.MISSING_PURCHASE_ORDER,
}
_FORBIDDEN_IN_KEYS = r"[\^,\r\n]"  # a query cannot name them (docs/facts/servicenow.md 2.2)


class Mapper(Task):
    """A task with the checks that every column shares: readable, required, keys."""

    def check_readable(self, *always: str) -> None:
        """Everything that is written, and `always`, must have been readable."""
        wanted = dict.fromkeys((*always, *self.target.written_sources))
        for name in wanted:
            for base in BASES.get(name, (name,)):
                if base in self.rows.raw and base not in self.unreadable:
                    self._check_readable(base)

    def columns(self) -> dict[str, pa.Array]:
        """Every target column as text; null is the empty text, which clears the column.

        A column that is compared only is null where NetSuite gives nothing to compare with.
        """
        return {
            column.column: pc.fill_null(self._convert(column), "")
            if column.is_written
            else self._to_compare(column)
            for column in self.target.columns
        }

    def keys(self) -> pa.Array:
        """External keys; a key that is missing, unsafe or used twice is a problem."""
        keys = self._keys_of_parts()
        for part in self.target.key_columns:
            gone = pc.invert(present(self.rows[part]))
            self.findings.add(self.rows, gone, Reason.MISSING_VALUE, part, self._no_key_part(part))
        unsafe = pc.match_substring_regex(keys, _FORBIDDEN_IN_KEYS)
        column = self.target.key_columns[-1] if self.target.key_columns else ""
        self.findings.add(self.rows, unsafe, Reason.UNSAFE_KEY, column, self._unsafe(keys))
        twice = pa.array(arrow_series(keys).duplicated(keep=False).to_numpy(bool))
        twice = pc.and_(twice, present(keys))
        self.findings.add(self.rows, twice, Reason.DUPLICATE_ID, column, self._twice(keys))
        return keys

    def _keys_of_parts(self) -> pa.Array:
        text = pa.array(np.full(self.rows.count, ""), pa.string())
        rest = self.target.key_from
        for part in self.target.key_columns:
            before, rest = rest.split("{" + part + "}", 1)
            text = pc.binary_join_element_wise(text, before, self.rows[part], "")
        return pc.binary_join_element_wise(text, rest, "")

    def _convert(self, column: TargetColumn) -> pa.Array:
        if column.literal is not None:
            return pa.array([column.literal] * self.rows.count, pa.string())
        convert = CONVERTERS[column.converter.name]
        values = convert(self, column)
        if column.required:
            self._check_required(column, values)
        return values

    def _to_compare(self, column: TargetColumn) -> pa.Array:
        """A value that cannot be converted rejects nothing here: nothing is written from it."""
        if column.literal is not None:
            return self._convert(column)
        each = replace(self.rows, doc=np.arange(self.rows.count, dtype=np.int64))
        apart = replace(self, rows=each, findings=Findings(), cut={})
        values = pc.fill_null(CONVERTERS[column.converter.name](apart, column), "")
        useless = apart.findings.rejected(self.rows.count)
        for base in BASES.get(column.source, (column.source,)):
            useless |= flags(self.rows.unreadable(base))
        return pc.if_else(pa.array(useless), pa.scalar(None, pa.string()), values)

    def _check_readable(self, base: str) -> None:
        bad = self.rows.unreadable(base)
        self.unreadable[base] = bad
        reason, example = _UNREADABLE[self.kinds[base]]
        raw = self.rows.raw[base]

        def tell(row: int) -> Told:
            value = raw[row].as_py()
            return Told(
                value,
                f"NetSuite holds {value!r} in {base}, which is not {example}: correct it there.",
            )

        self.findings.add(self.rows, bad, reason, base, tell)

    def _check_required(self, column: TargetColumn, values: pa.Array) -> None:
        if column.source == "currency_code":
            return  # judged once per document
        gone = pc.invert(present(pc.utf8_trim_whitespace(values)))
        known = gone
        for base in BASES.get(column.source, (column.source,)):
            if base in self.unreadable:
                known = pc.and_(known, pc.invert(self.unreadable[base]))
        if column.converter.name in {"choice", "reference", "money", "decimal"}:
            # A value that was there but led nowhere has had its own problem.
            known = pc.and_(known, pc.invert(self._has_value(column.source)))
        if column.source in self.waived:
            known = pc.and_(known, pc.invert(self.waived[column.source]))
        kind = column.converter.argument if column.converter.name == "reference" else ""
        reason = _MISSING_REFERENCE.get(kind, Reason.MISSING_VALUE)
        self.findings.add(self.rows, known, reason, column.source, self._missing(column, kind))

    def _has_value(self, source: str) -> pa.Array:
        values = self.rows[source]
        return present(values) if pa.types.is_string(values.type) else values.is_valid()

    def _missing(self, column: TargetColumn, kind: str) -> Callable[[int], Told]:
        def tell(row: int) -> Told:
            if kind in remedies.NOUNS:
                noun = remedies.NOUNS[kind]
                return Told(None, remedies.no_account(noun, office=self.office(row)))
            if kind == "vendor":
                return Told(None, "The document names no vendor in NetSuite: choose one and save.")
            return Told(
                None,
                f"{self.target.table}.{column.column} must have a value, and {column.source} is "
                "empty in NetSuite: fill it there.",
            )

        return tell

    def _no_key_part(self, part: str) -> Callable[[int], Told]:
        return lambda _row: Told(
            None,
            f"The row has no {part}, which its key in ServiceNow is made of: correct it in "
            "NetSuite, or choose another key in the profile.",
        )

    def _unsafe(self, keys: pa.Array) -> Callable[[int], Told]:
        return lambda row: Told(
            keys[row].as_py(),
            "The key holds a character that ServiceNow cannot look up (^, a comma or a line "
            "break): correct it in NetSuite, or choose another key in the profile.",
        )

    def _twice(self, keys: pa.Array) -> Callable[[int], Told]:
        return lambda row: Told(
            keys[row].as_py(),
            f"More than one record has the key {keys[row].as_py()}: make the codes in NetSuite "
            "unique, or read the day again if NetSuite shows only one.",
        )


def cut_counts(mapper: Mapper, kept: npt.NDArray[np.bool_]) -> dict[str, int]:
    """How many texts of the kept rows were shortened, by target column."""
    counts = {
        f"{mapper.target.table}.{name}": int((flags(mask) & kept).sum())
        for name, mask in mapper.cut.items()
    }
    return {name: count for name, count in counts.items() if count}


def received(target: Target, profile: Profile) -> dict[str, Kind]:
    """Columns a frame for this target may bring, NetSuite custom fields included."""
    custom = {column.name: column.kind for column in custom_columns(profile, target.record_type)}
    return received_kinds(target.record_type) | CHANGE | custom


def all_columns(target: Target, profile: Profile) -> dict[str, Kind]:
    """The same, with the columns that conforming adds."""
    return received(target, profile) | DERIVED.get(target.record_type, {})
