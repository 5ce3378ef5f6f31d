"""Values of the record API: JSON booleans, numbers, ISO dates, references; unlike SuiteQL.

A value that does not fit is a ValueError, whatever is wrong with it: callers report it as such.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from nsn_pipeline.sandbox.netsuite.kinds import Kind, Stored
from nsn_pipeline.sandbox.netsuite.record_types import Field


def to_json(field: Field, value: Stored) -> Any:  # noqa: PLR0911 - one per form
    """A stored value as the record API shows it (references by id; the caller adds names)."""
    column = field.column
    if column.name == "id":
        return str(value)
    if column.multi:
        return {"items": [{"id": one} for one in str(value).split(", ")]}
    if column.ref is not None or field.listed:
        return {"id": str(value)}
    match column.kind:
        case Kind.FLAG:
            return value == "T"
        case Kind.NUM:
            number = Decimal(str(value))
            return int(number) if number == number.to_integral_value() else float(number)
        case Kind.DATE:
            return str(value)[:10]
        case Kind.INSTANT:
            return f"{str(value).replace(' ', 'T')}Z"
        case _:
            return value


def from_json(field: Field, value: Any) -> str | None:
    """A value from a request body as Store.insert takes it; ValueError when it does not fit."""
    column = field.column
    if value is None:
        return None
    if column.multi:
        return ", ".join(str(one) for one in _ids(value))
    if column.ref is not None or field.listed or (field.custom and isinstance(value, Mapping)):
        return _reference(value)
    match column.kind:
        case Kind.FLAG:
            if not isinstance(value, bool):
                raise ValueError("a boolean is true or false")  # noqa: TRY004
            return "T" if value else "F"
        case Kind.INT | Kind.NUM:
            if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
                raise ValueError("not a number")  # noqa: TRY004
            return format(value, "f") if isinstance(value, Decimal) else str(value)
        case _:
            if not isinstance(value, str):
                raise ValueError("not a text")  # noqa: TRY004
            return value


def _reference(value: Any) -> str:
    if isinstance(value, Mapping):
        value = value.get("id")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError('a reference is {"id": "7"}')  # noqa: TRY004
    return str(value)


def _ids(value: Any) -> list[str]:
    items = value.get("items", [value]) if isinstance(value, Mapping) else [value]
    if not isinstance(items, list):
        raise ValueError('a multi-select is {"items": [{"id": 2}]}')  # noqa: TRY004
    return [_reference(item) for item in items]
