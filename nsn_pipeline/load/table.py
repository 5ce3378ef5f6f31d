"""A profile's target, prepared for planning: which columns to read, to compare and to send.

Pure.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from operator import itemgetter

from nsn_pipeline.profiles.model import Owner, Retirement, Target, TargetColumn


class Comparison(StrEnum):
    """How a value we want is compared with the text ServiceNow returns."""

    TEXT = "text"
    DATE = "date"
    DATETIME = "datetime"
    NUMBER = "number"
    MONEY = "money"
    FLAG = "flag"
    REFERENCE = "reference"


_BY_CONVERTER = {
    "text": Comparison.TEXT,
    "date": Comparison.DATE,
    "datetime": Comparison.DATETIME,
    "choice": Comparison.TEXT,
    "money": Comparison.MONEY,
    "decimal": Comparison.NUMBER,
    "quantity": Comparison.NUMBER,
    "integer": Comparison.NUMBER,
    "flag": Comparison.FLAG,
    "reference": Comparison.REFERENCE,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One column: how it compares and when it is sent."""

    column: str
    comparison: Comparison
    required: bool
    owner: Owner
    triggers: tuple[
        str, ...
    ]  # columns whose change makes this one change, in place of its own value

    @property
    def is_kept(self) -> bool:
        """Whether a difference is ours to correct, and a value that was not stored a fault."""
        return self.owner == "netsuite"

    @property
    def is_written(self) -> bool:
        return self.owner != "compared"


@dataclass(frozen=True, slots=True)
class Table:
    """A target with everything that is the same for each of its records worked out once."""

    record_type: str
    name: str
    external_key: str
    create: bool
    rules: tuple[Rule, ...]
    by_column: dict[str, Rule]
    plain: tuple[Rule, ...]  # corrected by comparing their own value
    witnessed: tuple[Rule, ...]  # corrected by comparing others'
    given: tuple[Rule, ...]  # written when the record is made, and then ServiceNow's
    compared: tuple[Rule, ...]  # never written: differences are reported
    references: tuple[Rule, ...]
    fields: tuple[str, ...]  # read on look-up and asked back after a write
    retire: Retirement
    endings: tuple[tuple[str, tuple[str, ...]], ...]  # values that say a record has ended
    reader_currency: str  # currency columns are read in it; "" where that is not known
    spelled: Callable[[Mapping[str, object]], object]  # the values that are compared, at one go


def prepare(target: Target, *, reader_currency: str = "") -> Table:
    """Work out rules and fields; the profile's loader has already refused a faulty profile."""
    by_source: dict[str, list[str]] = {}
    for column in target.columns:
        by_source.setdefault(column.source, []).append(column.column)
    rules = tuple(_rule(column, by_source) for column in target.columns)
    fields = dict.fromkeys(["sys_id", target.external_key, *(rule.column for rule in rules)])
    return Table(
        record_type=target.record_type,
        name=target.table,
        external_key=target.external_key,
        create=target.create,
        rules=rules,
        by_column={rule.column: rule for rule in rules},
        plain=tuple(rule for rule in rules if rule.is_kept and not rule.triggers),
        witnessed=tuple(rule for rule in rules if rule.is_kept and rule.triggers),
        given=tuple(rule for rule in rules if rule.owner == "servicenow"),
        compared=tuple(rule for rule in rules if not rule.is_written),
        references=tuple(rule for rule in rules if rule.comparison is Comparison.REFERENCE),
        fields=tuple(fields),
        retire=target.retire,
        endings=target.endings,
        reader_currency=reader_currency,
        spelled=_getter(rule.column for rule in rules if rule.is_kept and not rule.triggers),
    )


def _getter(columns: Iterable[str]) -> Callable[[Mapping[str, object]], object]:
    """Raises KeyError for a record without one of the columns."""
    names = tuple(columns)
    return itemgetter(*names) if names else lambda _record: ()


def _rule(column: TargetColumn, by_source: dict[str, list[str]]) -> Rule:
    comparison = _BY_CONVERTER[column.converter.name]
    triggers: tuple[str, ...] = ()
    if comparison is Comparison.MONEY and column.witness:
        triggers = (column.witness, *by_source.get(column.converter.argument, ()))
    return Rule(
        column=column.column,
        comparison=comparison,
        required=column.required,
        owner=column.owner,
        triggers=triggers,
    )
