"""Reads a profile and refuses a faulty one, naming every fault at once.

Faults are found before anything runs: unknown keys and converters, columns written twice, canonical
columns that do not exist, converters that do not suit the column, references to nothing.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nsn_pipeline.conform.derived import all_kinds
from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.profiles.model import (
    LINE_SUFFIX,
    Converter,
    Owner,
    Profile,
    ReferenceTable,
    Retirement,
    Target,
    TargetColumn,
    is_custom_field,
)
from nsn_pipeline.records.registry import REGISTRY
from nsn_pipeline.records.spec import Kind

_NUMBERS = frozenset({Kind.MONEY, Kind.QUANTITY, Kind.RATE})
_TEXTS = frozenset({Kind.TEXT, Kind.ID})
_SUITS: dict[str, frozenset[Kind]] = {
    "text": _TEXTS | {Kind.INTEGER},
    "date": frozenset({Kind.DATE}),
    "datetime": frozenset({Kind.DATE, Kind.INSTANT}),
    "money": _NUMBERS,
    "decimal": _NUMBERS,
    "quantity": _NUMBERS,
    "flag": frozenset({Kind.FLAG}),
    "integer": frozenset({Kind.INTEGER}),
    "choice": _TEXTS,
    "reference": _TEXTS,
}
_REFERENCES = (
    "vendor",
    "purchase_order",
    "purchase_order_line",
    "gl_account",
    "cost_center",
    "parent",
)
# Records are referred to by these values, so these must be what their keys are made of.
_KEYS = {
    "vendor": "{internal_id}",
    "purchase_order": "{internal_id}",
    "purchase_order_line": "{document_id}-{line_id}",
}
_MOST_PLACES = 8
_NAME = r"^[a-z][a-z0-9_]*$"
_CONVERTER = re.compile(
    r"^\s*(?P<name>[a-z]+)\s*(?:\((?P<argument>[^()]*)\)|\{(?P<choices>[^{}]*)\})?\s*$"
)

ServiceNowName = Annotated[str, Field(pattern=_NAME)]


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _ColumnBlock(_Block):
    column: ServiceNowName
    source: str = Field(alias="from")
    converter: str = Field(alias="as")
    required: bool = False
    owner: Owner = "netsuite"
    witness: ServiceNowName | None = None
    cut: bool = False
    private: bool = False


class _RetireBlock(_Block):
    set: dict[ServiceNowName, str] = Field(min_length=1)


class _LinesBlock(_Block):
    table: ServiceNowName
    external_key: ServiceNowName = "u_netsuite_id"
    key_from: str
    create: bool = True
    parent_column: ServiceNowName | None = None
    retire: Literal["keep", "delete"] | _RetireBlock = "keep"
    ended: dict[ServiceNowName, list[str]] = Field(default_factory=dict[str, list[str]])
    columns: list[_ColumnBlock] = Field(min_length=1)


class _TargetBlock(_LinesBlock):
    set_by: ServiceNowName | None = None
    lines: _LinesBlock | None = None


class _ReferenceBlock(_Block):
    table: ServiceNowName
    code: ServiceNowName
    name: ServiceNowName
    active: ServiceNowName | None = None
    inactive: ServiceNowName | None = None
    valid_from: ServiceNowName | None = None
    valid_to: ServiceNowName | None = None


class _ProfileBlock(_Block):
    name: str
    cost_center_code: str = "external_id"
    references: dict[Literal["gl_account", "cost_center"], _ReferenceBlock]
    targets: dict[str, _TargetBlock]


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key given twice is a fault, not a silent replacement."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                line = key_node.start_mark.line + 1
                raise yaml.constructor.ConstructorError(
                    None, None, f"line {line}: {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def load_profile(name_or_path: str | Path) -> Profile:
    """The profile of that name beside this module, or the one in that file."""
    return _parsed(*_read(name_or_path))


@lru_cache(maxsize=8)  # every step of a run asks for it, and reading YAML takes a tenth of a second
def _parsed(text: str, shown: str) -> Profile:
    try:
        data: object = yaml.load(text, _UniqueKeys)  # noqa: S506 - derived from SafeLoader
        block = _ProfileBlock.model_validate(data)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"profile {shown} is not readable YAML: {error}") from error
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise _refused(shown, faults) from error
    faults: list[str] = []
    profile = _profile(block, faults)
    faults.extend(_faults(profile))
    if faults:
        raise _refused(shown, faults)
    return profile


def parse_converter(text: str) -> Converter:
    """`text(40)`, `money(currency_code)`, `choice{A: x, B: y}`; raises ValueError."""
    match = _CONVERTER.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a converter")
    name, argument, choices = match["name"], match["argument"], match["choices"]
    if name not in _SUITS:
        raise ValueError(f"unknown converter {name!r}; there are {', '.join(sorted(_SUITS))}")
    if (name == "choice") != (choices is not None):
        raise ValueError(f"{text!r}: choice takes {{A: x, B: y}}, the others do not")
    if name == "choice":
        return Converter(name, "", tuple(_choices(choices or "")))
    converter = Converter(name, (argument or "").strip())
    _check_argument(converter)
    return converter


def _check_argument(converter: Converter) -> None:
    name, argument = converter.name, converter.argument
    if name == "text" and not (argument.isdecimal() and int(argument)):
        raise ValueError("text needs the number of characters the column holds: text(40)")
    if name == "money" and not re.match(_NAME, argument):
        raise ValueError("money needs the column of the currency code: money(currency_code)")
    if name == "decimal" and not re.match(r"^[a-z]\w*$|^[0-8]$", argument):
        raise ValueError(f"decimal needs at most {_MOST_PLACES} places or a currency column")
    if name == "reference" and argument not in _REFERENCES:
        raise ValueError(f"reference to {argument!r}; there are {', '.join(_REFERENCES)}")
    if name in {"date", "datetime", "quantity", "flag", "integer"} and argument:
        raise ValueError(f"{name} takes no argument")


def _choices(text: str) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for pair in text.split(","):
        key, colon, value = (part.strip() for part in pair.partition(":"))
        if not key or not colon or not value:
            raise ValueError(f"{pair.strip()!r} is not `NetSuite value: ServiceNow value`")
        if key in seen:
            raise ValueError(f"choice {key!r} is given twice")
        seen.add(key)
        yield key, value


def _profile(block: _ProfileBlock, faults: list[str]) -> Profile:
    return Profile(
        name=block.name,
        targets={name: _target(name, target, faults) for name, target in block.targets.items()},
        references={
            str(kind): ReferenceTable(**reference.model_dump())
            for kind, reference in block.references.items()
        },
        cost_center_code=block.cost_center_code,
    )


def _target(name: str, block: _LinesBlock, faults: list[str]) -> Target:
    lines: Target | None = None
    if isinstance(block, _TargetBlock) and block.lines is not None:
        lines = _target(f"{name}{LINE_SUFFIX}", block.lines, faults)
    columns: list[TargetColumn] = []
    for column in block.columns:
        try:
            converter = parse_converter(column.converter)
        except ValueError as error:
            faults.append(f"{name}.{column.column}: {error}")
            continue
        columns.append(
            TargetColumn(
                column=column.column,
                source=column.source,
                converter=converter,
                required=column.required,
                owner=column.owner,
                witness=column.witness,
                cut=column.cut,
                private=column.private,
            )
        )
    return Target(
        record_type=name,
        table=block.table,
        external_key=block.external_key,
        key_from=block.key_from,
        create=block.create,
        columns=tuple(columns),
        lines=lines,
        parent_column=block.parent_column,
        set_by=block.set_by if isinstance(block, _TargetBlock) else None,
        retire=_retirement(block.retire),
        ended=tuple((column, tuple(values)) for column, values in block.ended.items()),
    )


def _retirement(block: Literal["keep", "delete"] | _RetireBlock) -> Retirement:
    if isinstance(block, _RetireBlock):
        return Retirement("set", tuple(block.set.items()))
    return Retirement(block)


def _faults(profile: Profile) -> Iterator[str]:
    for kind in ("gl_account", "cost_center"):
        reference = profile.references.get(kind)
        if reference is None:
            yield f"references: {kind} is missing"
        elif reference.active and reference.inactive:
            yield f"references.{kind}: give active or inactive, not both"
    if all_kinds("cost_center").get(profile.cost_center_code) not in _TEXTS:
        yield f"cost_center_code: departments have no text column {profile.cost_center_code!r}"
    for name, target in profile.targets.items():
        if name not in REGISTRY:
            yield f"targets: unknown record type {name!r}; there are {', '.join(REGISTRY)}"
            continue
        has_lines = REGISTRY[name].lines is not None
        if has_lines != (target.lines is not None):
            yield f"{name}: {'lines are missing' if has_lines else 'has no lines'}"
            continue
        yield from _target_faults(target, profile)
        if target.lines is not None:
            yield from _target_faults(target.lines, profile)
            yield from _parent_faults(target.lines)


def _target_faults(target: Target, profile: Profile) -> Iterator[str]:
    name = target.record_type
    kinds = all_kinds(name)
    written = [column.column for column in target.columns]
    for twice in _repeated(written):
        yield f"{name}.{twice}: written twice"
    if target.external_key in written:
        yield f"{name}.{target.external_key}: the external key is written from key_from alone"
    wanted_key = _KEYS.get(name)
    if wanted_key and target.key_from != wanted_key:
        yield f"{name}: key_from must be {wanted_key!r}, as other records refer to it so"
    if not target.key_columns:
        yield f"{name}: key_from names no column"
    for part in target.key_columns:
        if kinds.get(part) not in _TEXTS:
            yield f"{name}: key_from names {part!r}, which is no text column"
    for word, faults in (("retire", _retire_faults(target)), ("ended", _ended_faults(target))):
        yield from (f"{name}.{word}: {fault}" for fault in faults)
    for column in target.columns:
        for fault in _column_faults(column, kinds, target, profile):
            yield f"{name}.{column.column}: {fault}"


def _column_faults(
    column: TargetColumn, kinds: dict[str, Kind], target: Target, profile: Profile
) -> Iterator[str]:
    converter = column.converter
    if column.literal is None and not is_custom_field(column.source):
        kind = kinds.get(column.source)
        if kind is None:
            yield f"{target.record_type} has no canonical column {column.source!r}"
        elif kind not in _SUITS[converter.name]:
            yield f"{converter} does not suit {column.source}, which is {kind}"
    currency = converter.argument
    in_currency = converter.name in {"money", "decimal"} and not currency.isdigit()
    if in_currency and not is_custom_field(currency) and kinds.get(currency) not in _TEXTS:
        yield f"{converter}: there is no text column {currency!r}"
    if column.cut and converter.name != "text":
        yield "only text can be cut"
    yield from _ownership_faults(column, target)
    if converter.name == "reference" and currency in REGISTRY and currency not in profile.targets:
        yield f"refers to {currency}, which the profile does not load"


def _retire_faults(target: Target) -> Iterator[str]:
    """Only rows that are surely ours may be retired, and only so that they can come back."""
    by_name = {column.column: column for column in target.columns}
    if target.set_by is not None:
        grouping = by_name.get(target.set_by)
        if grouping is None or grouping.source != "document_id":
            yield f"set_by must name a column that is written from document_id: {target.set_by!r}"
    if target.retire.how == "keep":
        return
    if not target.create:
        yield "rows that are never created are not ours to retire: use keep"
    yield from _identity_faults(target)
    for column, value in target.retire.values:
        written = by_name.get(column)
        if written is None or written.owner != "netsuite":
            yield f"{column!r} is not written, so nothing could take it back: add it to columns"
        elif fault := _value_fault(written.converter, value):
            yield f"{column}: {fault}"
        elif target.set_by is not None and written.literal is None:
            yield f"{column!r} must be written from a literal: rows of a set end by retire alone"


def _ended_faults(target: Target) -> Iterator[str]:
    """Only a value that a sync writes can be one that it must not write too often.

    Whether a document may end is decided as a whole, so the rows of a set have no end of their own.
    """
    if target.ended and target.set_by is not None:
        yield "rows that are found by set_by end with their document, as retire says: leave it out"
        return
    by_name = {column.column: column for column in target.columns}
    for column, values in target.ended:
        written = by_name.get(column)
        if written is None or written.owner != "netsuite":
            yield f"{column!r} is not kept in step with NetSuite, so no sync ends a record by it"
            continue
        for value in values:
            if fault := _value_fault(written.converter, value):
                yield f"{column}: {fault}"


def _identity_faults(target: Target) -> Iterator[str]:
    """Whether a key tells which NetSuite record the row stands for."""
    is_set = target.record_type not in REGISTRY or REGISTRY[target.record_type].shape == "posting"
    if not is_set:
        if target.key_from != "{internal_id}":
            yield "key_from must be '{internal_id}', as deletions are known by it"
        return
    if not target.key_from.startswith("{document_id}-"):
        yield "key_from must begin with '{document_id}-', which says whose row it is"
    if target.record_type in REGISTRY and target.set_by is None:
        yield "set_by must name the column that holds the document's id"


def _value_fault(converter: Converter, value: str) -> str | None:
    match converter.name:
        case "choice":
            known = sorted({choice for _, choice in converter.choices})
            return None if value in known else f"{value!r} is none of {', '.join(known)}"
        case "flag":
            return None if value in {"true", "false"} else f"{value!r} is neither true nor false"
        case "text":
            fits = 0 < len(value) <= int(converter.argument)
            return None if fits else f"{value!r} is empty, or longer than {converter.argument}"
        case _:
            return f"only text, choice and flag columns can say that a row is retired: {converter}"


def _ownership_faults(column: TargetColumn, target: Target) -> Iterator[str]:
    if column.owner == "servicenow" and not target.create:
        yield "owner servicenow is written on create alone, and the target creates nothing"
    if column.owner == "compared":
        if column.required:
            yield "a compared column is never written, so it cannot be required"
        if column.witness:
            yield "a compared column is never written, so nothing can stand witness for it"
        if column.column == target.parent_column:
            yield "lines are bound to their document by it, so it must be written"
    if column.witness:
        owners = {one.column: one.owner for one in target.columns}
        if column.witness not in owners:
            yield f"witness {column.witness!r} is not written"
        elif owners[column.witness] != "netsuite":
            yield f"witness {column.witness!r} is not kept in step with NetSuite"


def _parent_faults(lines: Target) -> Iterator[str]:
    parents = [
        column.column
        for column in lines.columns
        if column.converter.name == "reference" and column.converter.argument == "parent"
    ]
    if lines.parent_column is None or parents != [lines.parent_column]:
        yield (
            f"{lines.record_type}: parent_column must name the one column that is reference(parent)"
        )


def _repeated(names: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    return sorted({name for name in names if name in seen or seen.add(name)})


def _read(name_or_path: str | Path) -> tuple[str, str]:
    text = str(name_or_path)
    path = Path(text)
    if path.suffix in {".yaml", ".yml"} or path.parent != Path():
        if not path.is_file():
            raise ConfigurationError(f"there is no profile file {text}")
        return path.read_text(encoding="utf-8"), text
    packaged = resources.files(__package__ or "").joinpath(f"{text}.yaml")
    if not packaged.is_file():
        raise ConfigurationError(
            f"there is no profile {text!r}: correct NSN_PROFILE, a name or a path to YAML"
        )
    return packaged.read_text(encoding="utf-8"), text


def _refused(shown: str, faults: Iterable[str]) -> ConfigurationError:
    listed = "\n  ".join(faults)
    return ConfigurationError(f"profile {shown} has faults:\n  {listed}")
