"""The notation in which tables are written down, and nothing else.

One line per column: `name type [flags] [=default] [| Label]`, for instance
`status choice(requested:Requested,ordered:Ordered) strict =requested`.
Types: string(n), number(PREFIX), boolean, integer, decimal(scale), currency, price, fx, date,
datetime, choice(value:Label,...), reference(table), list(table), url, email, phone.
Flags: display, unique, index, mandatory, read_only (writes dropped), strict (see the option
`strict_readonly`).
"""

import re
from dataclasses import dataclass
from functools import cache

LINE = re.compile(
    r"(?P<name>\w+) (?P<type>\w+)(?:\((?P<argument>[^)]*)\))?(?P<flags>(?: [a-z_]+)*)"
    r"(?: =(?P<default>[^|]*?))?(?: \| (?P<label>.*))?"
)
INTERNAL_TYPES = {
    "number": "string",
    "date": "glide_date",
    "datetime": "glide_date_time",
    "fx": "fx_currency2_instance",
    "list": "glide_list",
    "phone": "phone_number_e164",
}
LENGTHS = {"url": 1024, "email": 100, "choice": 40, "boolean": 40, "list": 4000, "string": 40}
TYPES = frozenset({"string", "number", "boolean", "integer", "decimal", "currency", "price", "fx"})
TYPES |= {"date", "datetime", "choice", "reference", "list", "url", "email", "phone"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column as the dictionary knows it."""

    name: str
    type: str
    label: str
    max_length: int = 40
    reference: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    default: str = ""
    prefix: str = ""
    scale: int = 2
    display: bool = False
    unique: bool = False
    index: bool = False
    mandatory: bool = False
    read_only: bool = False
    strict: bool = False
    reference_key: str = "sys_id"

    @property
    def internal_type(self) -> str:
        return INTERNAL_TYPES.get(self.type, "string" if self.type == "choice" else self.type)

    @property
    def indexed(self) -> bool:
        return self.unique or self.index or self.type in {"reference", "number"}

    @property
    def is_reference(self) -> bool:
        return self.type in {"reference", "fx"}


@dataclass(frozen=True, slots=True)
class TableDefinition:
    """A table: its name, what it extends, its own columns in the notation above.

    `denied` are operations that the base system's access rules refuse to everyone.
    """

    name: str
    label: str
    columns: str
    extends: str = ""
    denied: tuple[str, ...] = ()
    scope: str = "global"


@cache
def parse_columns(text: str) -> tuple[Column, ...]:
    return tuple(parse_column(line.strip()) for line in text.splitlines() if line.strip())


def parse_column(line: str) -> Column:
    match = LINE.fullmatch(line)
    if match is None or match["type"] not in TYPES:
        raise ValueError(f"not a column definition: {line!r}")
    kind, argument, flags = match["type"], match["argument"] or "", set(match["flags"].split())
    if unknown := flags - {"display", "unique", "index", "mandatory", "read_only", "strict"}:
        raise ValueError(f"unknown flags {sorted(unknown)} in {line!r}")
    choices: tuple[tuple[str, str], ...] = ()
    if kind == "choice":
        pairs = (item.partition(":") for item in argument.split(",") if item)
        choices = tuple((value, label or label_of(value)) for value, _, label in pairs)
    reference = argument if kind in {"reference", "list"} else ""
    return Column(
        name=match["name"],
        type=kind,
        label=match["label"] or label_of(match["name"]),
        max_length=int(argument) if kind == "string" and argument else LENGTHS.get(kind, 40),
        reference="fx_currency2_instance" if kind == "fx" else reference,
        choices=choices,
        default=match["default"] or ("false" if kind == "boolean" else ""),
        prefix=argument if kind == "number" else "",
        scale=int(argument) if kind == "decimal" and argument else 2,
        display="display" in flags,
        unique="unique" in flags,
        index="index" in flags,
        mandatory="mandatory" in flags,
        read_only="read_only" in flags,
        strict="strict" in flags,
        reference_key="name" if _kept_by_name(match["name"], reference) else "sys_id",
    )


def _kept_by_name(column: str, reference: str) -> bool:
    """The dictionary's own references hold names, not ids (docs/facts/servicenow.md 8)."""
    return reference == "sys_glide_object" or (
        reference == "sys_db_object" and column == "reference"
    )


def label_of(name: str) -> str:
    """The label an administrator would get by default: `u_netsuite_id` -> `Netsuite id`."""
    return name.removeprefix("u_").replace("_", " ").capitalize()
