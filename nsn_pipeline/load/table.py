"""A profile's target, prepared for planning: which columns to read, to compare and to send.

Pure.
"""

from dataclasses import dataclass
from enum import StrEnum

from nsn_pipeline.profiles.model import Retirement, Target, TargetColumn


class Comparison(StrEnum):
    """How a value we want is compared with the text ServiceNow returns."""

    TEXT = "text"
    NUMBER = "number"
    MONEY = "money"
    FLAG = "flag"
    REFERENCE = "reference"


_BY_CONVERTER = {
    "text": Comparison.TEXT,
    "date": Comparison.TEXT,
    "datetime": Comparison.TEXT,
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
    compared: bool  # False: ServiceNow owns it; ours is only its first value
    triggers: tuple[
        str, ...
    ]  # columns whose change makes this one change, in place of its own value


@dataclass(frozen=True, slots=True)
class Table:
    """A target with everything that is the same for each of its records worked out once."""

    record_type: str
    name: str
    external_key: str
    create: bool
    rules: tuple[Rule, ...]
    by_column: dict[str, Rule]
    witnessed: tuple[Rule, ...]
    references: tuple[Rule, ...]
    fields: tuple[str, ...]  # read on look-up and asked back after a write
    retire: Retirement


def prepare(target: Target) -> Table:
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
        witnessed=tuple(rule for rule in rules if rule.triggers),
        references=tuple(rule for rule in rules if rule.comparison is Comparison.REFERENCE),
        fields=tuple(fields),
        retire=target.retire,
    )


def _rule(column: TargetColumn, by_source: dict[str, list[str]]) -> Rule:
    comparison = _BY_CONVERTER[column.converter.name]
    triggers: tuple[str, ...] = ()
    if comparison is Comparison.MONEY and column.witness:
        triggers = (column.witness, *by_source.get(column.converter.argument, ()))
    return Rule(
        column=column.column,
        comparison=comparison,
        required=column.required,
        compared=column.owner != "servicenow",
        triggers=triggers,
    )
