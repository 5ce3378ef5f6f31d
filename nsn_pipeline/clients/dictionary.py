"""What ServiceNow says about a table's columns. Pure: rows in, `ColumnInfo` out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """One column. `table` is the class that defines it; None means that the source does not say."""

    name: str
    table: str
    type: str
    label: str = ""
    max_length: int | None = None
    mandatory: bool | None = None
    read_only: bool | None = None
    unique: bool | None = None
    reference: str = ""
    default_value: str = ""


def parent_of(row: Mapping[str, str]) -> str | None:
    """The class a row of sys_db_object extends, "" for none; None when this user cannot tell.

    A column that an access rule hides is left out of the row: that says nothing about a parent.
    """
    name = row.get("super_class.name", "")
    return name or ("" if row.get("super_class") == "" else None)


def from_dictionary(
    chain: Sequence[str], rows: Iterable[Mapping[str, str]]
) -> dict[str, ColumnInfo]:
    """Columns of `chain[0]`, whose parents follow; what a child says wins over its parents.

    None at all when a row does not show which column it is about: that column would look missing.
    """
    nearest = {name: depth for depth, name in enumerate(chain)}
    shown = list(rows)
    if not all(row.get("name") and row.get("element") for row in shown):
        return {}
    known = [row for row in shown if row["name"] in nearest]
    known.sort(key=lambda row: nearest[row["name"]], reverse=True)
    return {
        row["element"]: ColumnInfo(
            name=row["element"],
            table=row["name"],
            type=row.get("internal_type", ""),
            label=row.get("column_label", ""),
            max_length=_length(row.get("max_length")),
            mandatory=_flag(row.get("mandatory")),
            read_only=_flag(row.get("read_only")),
            unique=_flag(row.get("unique")),
            reference=row.get("reference", ""),
            default_value=row.get("default_value", ""),
        )
        for row in known
    }


def from_ui_meta(table: str, result: Mapping[str, Any]) -> dict[str, ColumnInfo]:
    """Columns as the UI's own metadata lists them; it does not tell which class defines one."""
    columns = result.get("columns")
    if not isinstance(columns, dict):
        return {}
    return {
        name: ColumnInfo(
            name=name,
            table=table,
            type=str(facts.get("type") or ""),
            label=str(facts.get("label") or ""),
            max_length=_length(facts.get("max_length")),
            mandatory=_flag(facts.get("mandatory")),
            read_only=_flag(facts.get("read_only")),
            reference=str(facts.get("reference") or ""),
        )
        for name, facts in columns.items()
        if isinstance(facts, dict)
    }


def _flag(value: object) -> bool | None:
    return {"true": True, "false": False}.get(str(value).lower())


def _length(value: object) -> int | None:
    text = str(value).replace(",", "")  # the dictionary may group digits
    return int(text) if text.isdecimal() else None
