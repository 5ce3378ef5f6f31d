"""What a column keeps of a value that a client sends (docs/facts/servicenow.md 2.4, 7.7)."""

import re
from datetime import UTC, date, datetime
from decimal import ROUND_DOWN
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from nsn_pipeline.sandbox.servicenow.conditions import TRUE_WORDS
from nsn_pipeline.sandbox.servicenow.instance import Instance
from nsn_pipeline.sandbox.servicenow.money import plain, rounded, to_decimal
from nsn_pipeline.sandbox.servicenow.table_definitions import Column

DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
DATE = re.compile(r"\d{4}-\d\d-\d\d")
SYS_ID = re.compile(r"[0-9a-fA-F]{32}")
CUT_TYPES = frozenset({"string", "choice", "url", "email", "phone", "number", "list"})


def to_text(value: Any) -> str:
    """A JSON value as the instance reads it: everything becomes text, null becomes empty."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return to_text(value.get("value", value.get("display_value")))
    if isinstance(value, list):
        return orjson.dumps(value).decode()
    return str(value)


def clean(  # noqa: PLR0911  # one return per kind of column
    instance: Instance, column: Column, text: str, *, as_display: bool
) -> str:
    """The stored form of `text`. `as_display`: sysparm_input_display_value=true."""
    kind = column.type
    if kind in CUT_TYPES:
        if as_display and column.choices:
            text = next((value for value, label in column.choices if label == text), text)
        if len(text) > column.max_length and instance.options.cut_to_max_length:
            return text[: column.max_length]
        return text
    if kind == "reference":
        return _by_display(instance, column, text) if as_display else text
    if not text:
        return "false" if kind == "boolean" else ""
    if kind == "boolean":
        return "true" if text.lower() in TRUE_WORDS else "false"
    if kind in {"currency", "price"}:
        comma = as_display and instance.options.decimal_comma
        return instance.exchange.stored(text, decimal_comma=comma)
    if kind in {"integer", "decimal"}:
        return _numeral(column, text)
    if kind == "datetime":
        return _date_time(text, instance.options.user_time_zone if as_display else "GMT")
    return _date(text) if kind == "date" else text


def _numeral(column: Column, text: str) -> str:
    """Unreadable numbers are stored empty (unproven on a live instance, and never an error)."""
    value = to_decimal(text)
    if value is None:
        return ""
    if column.type == "integer":
        return plain(value.to_integral_value(ROUND_DOWN))
    return rounded(value, column.scale)


@lru_cache(maxsize=4096)
def _date_time(text: str, zone: str) -> str:
    if DATE.fullmatch(text):
        text += " 00:00:00"
    if not DATE_TIME.fullmatch(text):
        return ""
    try:
        instant = datetime.strptime(text, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007  # zone follows
    except ValueError:
        return ""
    if zone in {"GMT", "UTC"}:
        return text
    return f"{instant.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC):%Y-%m-%d %H:%M:%S}"


@lru_cache(maxsize=4096)
def _date(text: str) -> str:
    day = text[:10]
    if not DATE.fullmatch(day) or (len(text) > len(day) and not DATE_TIME.fullmatch(text)):
        return ""
    try:
        date.fromisoformat(day)
    except ValueError:
        return ""
    return day


def _by_display(instance: Instance, column: Column, text: str) -> str:
    """A reference given by what people see; an unmatched name is blanked, or made a record."""
    table = instance.catalog.get(column.reference)
    if not text or table is None:
        return ""
    if SYS_ID.fullmatch(text) and instance.store.get(table.name, text):
        return text
    found = instance.store.find(table.name, table.display, text) if table.display else []
    if found:
        return found[0]["sys_id"]
    if instance.options.unmatched_reference == "create" and table.display:
        row = instance.new_row(table, user_name="system")
        row[table.display] = text
        instance.store.put(table.name, row)
        return row["sys_id"]
    return ""
