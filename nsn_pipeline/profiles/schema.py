"""What a profile needs of ServiceNow: tables and columns with their types, derived from it alone.

`required_schema` is pure; a doctor compares it with the dictionary. The rest of the module writes
it into the two places people work from: the tables of docs/connect-servicenow.md and the data block
of docs/servicenow/create_nsn_schema.js. `python -m nsn_pipeline.profiles.schema` renews both;
with `--profile my.yaml --script` it prints the script for a profile of your own.
"""

import argparse
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from nsn_pipeline.errors import ConfigurationError
from nsn_pipeline.profiles.loader import load_profile
from nsn_pipeline.profiles.model import (
    LINE_SUFFIX,
    Profile,
    ReferenceTable,
    Target,
    TargetColumn,
)

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "connect-servicenow.md"
SCRIPT = DOCS / "servicenow" / "create_nsn_schema.js"
PAGE_MARKS = ("<!-- columns of the seed profile: begin -->\n", "<!-- columns: end -->")
SCRIPT_MARKS = ("// --- generated from the profile: begin ---\n", "// --- generated: end ---")

CUSTOM_PREFIX = "u_"  # how a customer's own tables and columns begin in the global scope
_KEY_LENGTH = 40
_KEY_PART = 20  # NetSuite ids have at most 19 digits, and a hyphen joins them
_CHOICE_LENGTH = 40
_AMOUNT_PLACES = 4  # the most decimals an ISO currency has
_QUANTITY_PLACES = 8  # NetSuite's own precision, as `conform` sends it
_ACRONYMS = {"netsuite": "NetSuite", "gl": "GL", "id": "ID", "url": "link"}

# Types of the dictionary that hold what a converter writes. The first is the one to create.
_TYPES: dict[str, tuple[str, ...]] = {
    "text": ("string", "string_full_utf8", "url", "email", "phone_number_e164", "ph_number",
             "choice", "translated_text"),
    "choice": ("string", "choice"),
    "date": ("glide_date",),
    "datetime": ("glide_date_time", "due_date"),
    "money": ("currency", "price", "currency2", "fx_currency2_instance"),
    "decimal": ("decimal", "float", "floating"),
    "quantity": ("decimal", "float", "floating", "integer"),
    "flag": ("boolean",),
    "integer": ("integer", "longint"),
    "reference": ("reference",),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ColumnNeed:
    """One column the profile reads, compares or writes.

    `accepted` are the dictionary types that serve, `internal_type` first. `max_length` and `scale`
    are the least that serves; None means that any does. Lacking an `optional` column changes
    nothing but what is read as empty.
    """

    column: str
    internal_type: str
    accepted: tuple[str, ...]
    max_length: int | None = None
    scale: int | None = None
    reference: str = ""
    unique: bool = False
    is_written: bool = True
    is_compared: bool = False
    optional: bool = False

    @property
    def is_custom(self) -> bool:
        """Whether a customer's administrator has to create it."""
        return self.column.startswith(CUSTOM_PREFIX)

    @property
    def use(self) -> str:
        """What is done with it, in a word."""
        if self.is_written:
            return "written"
        return "compared" if self.is_compared else "read"


@dataclass(frozen=True, slots=True)
class TableNeed:
    """One table: `is_created` when records are inserted, `is_written` when any column is sent."""

    table: str
    columns: tuple[ColumnNeed, ...]
    is_created: bool

    @property
    def is_custom(self) -> bool:
        return self.table.startswith(CUSTOM_PREFIX)

    @property
    def is_written(self) -> bool:
        return any(column.is_written for column in self.columns)

    def column(self, name: str) -> ColumnNeed:
        return next(column for column in self.columns if column.column == name)


def required_schema(profile: Profile) -> list[TableNeed]:
    """Every table the profile uses, in the order to create them: what is referred to comes first.

    A table that is both looked up and written appears once, with the stricter need per column.
    """
    columns: dict[str, dict[str, ColumnNeed]] = {}
    created: set[str] = set()
    for table, need in _needs(profile, created):
        known = columns.setdefault(table, {})
        known[need.column] = _stricter(known[need.column], need) if need.column in known else need
    return [
        TableNeed(table, tuple(needs.values()), table in created)
        for table, needs in columns.items()
    ]


def _needs(profile: Profile, created: set[str]) -> Iterator[tuple[str, ColumnNeed]]:
    for reference in profile.references.values():
        yield from ((reference.table, need) for need in _looked_up(reference))
    for header in profile.targets.values():
        for target in (header, header.lines):
            if target is None:
                continue
            if target.create:
                created.add(target.table)
            yield target.table, _key(target)
            for column in target.columns:
                yield target.table, _need(column, profile, header)


def _looked_up(reference: ReferenceTable) -> Iterator[ColumnNeed]:
    text, flag, day = _TYPES["text"], _TYPES["flag"], (*_TYPES["datetime"], *_TYPES["date"])
    yield ColumnNeed(reference.code, text[0], text, is_written=False)
    for name, types in (
        (reference.name, text),
        (reference.active, flag),
        (reference.inactive, flag),
        (reference.valid_from, day),
        (reference.valid_to, day),
    ):
        if name:
            yield ColumnNeed(name, types[0], types, is_written=False, optional=True)


def _key(target: Target) -> ColumnNeed:
    types = _TYPES["text"]
    if not target.create:  # records are found by ServiceNow's own code; its length is its business
        return ColumnNeed(target.external_key, types[0], types, is_written=False)
    length = max(_KEY_LENGTH, _KEY_PART * len(target.key_columns))
    return ColumnNeed(target.external_key, types[0], types, max_length=length, unique=True)


def _need(column: TargetColumn, profile: Profile, header: Target) -> ColumnNeed:
    name, argument = column.converter.name, column.converter.argument
    types = _TYPES[name]
    need = ColumnNeed(column.column, types[0], types)
    if name == "reference":
        need = replace(need, reference=_referred(argument, profile, header))
    if not column.is_written:  # of any size: nothing of ours has to fit
        return replace(need, is_written=False, is_compared=True)
    match name:
        case "text":
            return replace(need, max_length=int(argument))
        case "choice":
            longest = max(len(value) for _, value in column.converter.choices)
            return replace(need, max_length=max(longest, _CHOICE_LENGTH))
        case "decimal":
            return replace(need, scale=int(argument) if argument.isdigit() else _AMOUNT_PLACES)
        case "quantity":
            return replace(need, scale=_QUANTITY_PLACES)
        case _:
            return need


def _referred(argument: str, profile: Profile, header: Target) -> str:
    if argument == "parent":
        return header.table
    if argument in profile.references:
        return profile.references[argument].table
    target = profile.targets.get(argument.removesuffix(LINE_SUFFIX))
    lines = target.lines if target and argument.endswith(LINE_SUFFIX) else target
    if lines is None:  # the loader refuses such a profile
        raise ConfigurationError(f"a column refers to {argument}, which the profile does not load")
    return lines.table


def _stricter(one: ColumnNeed, other: ColumnNeed) -> ColumnNeed:
    """Both needs at once; the type is that of the one that writes."""
    first, second = (other, one) if other.is_written and not one.is_written else (one, other)
    return replace(
        first,
        max_length=max(first.max_length or 0, second.max_length or 0) or None,
        scale=max(first.scale or 0, second.scale or 0) or None,
        reference=first.reference or second.reference,
        unique=first.unique or second.unique,
        is_written=first.is_written or second.is_written,
        is_compared=first.is_compared or second.is_compared,
        optional=first.optional and second.optional,
    )


# -- the page and the script ---------------------------------------------------------------------


def page_tables(profile: Profile) -> str:
    """The column tables of docs/connect-servicenow.md."""
    return "\n".join(_page_table(need) for need in required_schema(profile))


def script_data(profile: Profile) -> str:
    """The data block of the background script: ES5, one line per column."""
    needs = required_schema(profile)
    families: dict[str, list[str]] = {}
    for column in (column for need in needs for column in need.columns):
        known = families.setdefault(column.internal_type, [])
        known += [name for name in column.accepted if name not in known]
    rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(of)}" for name, of in families.items())
    parts = [
        f"var PROFILE = {json.dumps(profile.name)};",
        "// Types to create with, and types that serve where a column is there already.",
        f"var SERVES = {{\n{rows}\n}};",
        "var TABLES = [",
        ",\n".join(_script_table(need) for need in needs),
        "];",
    ]
    return "\n".join(parts) + "\n"


def with_block(text: str, marks: tuple[str, str], block: str) -> str:
    """`text` with what stands between the marks replaced."""
    start, end = marks
    before, opened, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    if not opened or not closed:
        raise ConfigurationError(f"the mark {(end if opened else start).strip()!r} is missing")
    return f"{before}{start}{block}{end}{after}"


def _page_table(need: TableNeed) -> str:
    doing = "created and updated" if need.is_created else "updated, never created"
    lines = [
        f"#### `{need.table}`",
        "",
        f"Records are {doing if need.is_written else 'read'}."
        + (" The script creates this table." if need.is_custom else ""),
        "",
        "| column | type | least length | refers to | unique | made by | use |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [_page_row(column) for column in need.columns]
    return "\n".join(lines) + "\n"


def _page_row(column: ColumnNeed) -> str:
    length = "" if column.max_length is None else str(column.max_length)
    if column.scale is not None:
        length = f"{column.scale} decimals"
    cells = (
        f"`{column.column}`",
        column.internal_type,
        length,
        f"`{column.reference}`" if column.reference else "",
        "yes" if column.unique else "",
        "script" if column.is_custom else "ServiceNow",
        f"{column.use}, may be absent" if column.optional else column.use,
    )
    return "| " + " | ".join(cells) + " |"


def _script_table(need: TableNeed) -> str:
    rows = ",\n".join(f"    {_script_row(column)}" for column in need.columns)
    head = f"name: {json.dumps(need.table)}, label: {json.dumps(_label(need.table))}"
    return f"  {{{head}, columns: [\n{rows}\n  ]}}"


def _script_row(column: ColumnNeed) -> str:
    facts: dict[str, object] = {
        "name": column.column,
        "label": _label(column.column),
        "type": column.internal_type,
    }
    if column.max_length is not None:
        facts["length"] = column.max_length
    if column.scale is not None:
        facts["scale"] = column.scale
    if column.reference:
        facts["reference"] = column.reference
    for name, value in (("unique", column.unique), ("optional", column.optional)):
        if value:
            facts[name] = True
    return "{" + ", ".join(f"{name}: {json.dumps(value)}" for name, value in facts.items()) + "}"


def _label(name: str) -> str:
    """A label for people: `u_netsuite_gl_posting` -> `NetSuite GL posting`."""
    words = [_ACRONYMS.get(w, w) for w in re.sub(r"^u_", "", name).split("_")]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def main() -> None:
    """Renew page and script from the seed profile, or print the script for another one."""
    parser = argparse.ArgumentParser(prog="python -m nsn_pipeline.profiles.schema")
    parser.add_argument("--profile", default="seed", help="a packaged name, or a path to YAML")
    parser.add_argument("--script", action="store_true", help="print the script, change no file")
    options = parser.parse_args()
    profile = load_profile(options.profile)
    script = with_block(SCRIPT.read_text(encoding="utf-8"), SCRIPT_MARKS, script_data(profile))
    if options.script:
        print(script, end="")
    elif options.profile != "seed":
        parser.error("the pages in docs/ describe the seed profile: use --script for another one")
    else:
        page = with_block(PAGE.read_text(encoding="utf-8"), PAGE_MARKS, page_tables(profile))
        PAGE.write_text(page, encoding="utf-8")
        SCRIPT.write_text(script, encoding="utf-8")


if __name__ == "__main__":
    main()
