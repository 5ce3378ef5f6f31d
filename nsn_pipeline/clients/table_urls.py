"""Addresses, parameters and columns that are the same for every table of ServiceNow."""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlencode

from nsn_pipeline.clients.encoded_query import Query
from nsn_pipeline.errors import ConfigurationError

VERSION = "sys_mod_count"  # ServiceNow counts every change of a record here
_NAME = re.compile(r"[a-z0-9_]+")


def table_url(table: str, params: Mapping[str, str] | None = None, *, sys_id: str = "") -> str:
    """A Table API address as a batch item takes it."""
    path = table_path(table) + (f"/{quote(sys_id, safe='')}" if sys_id else "")
    return f"{path}?{urlencode(params, quote_via=quote)}" if params else path


def read_params(fields: Sequence[str]) -> dict[str, str]:
    return {
        "sysparm_fields": ",".join(dict.fromkeys(fields)),
        "sysparm_display_value": "false",
        "sysparm_exclude_reference_link": "true",
    }


def count_params(query: Query) -> dict[str, str]:
    """The smallest read that tells in its header how many rows match."""
    return {
        **read_params(["sys_id"]),
        "sysparm_query": str(query),
        "sysparm_limit": "1",
        "sysparm_suppress_pagination_header": "true",  # it would echo the URL four times
    }


def table_path(table: str) -> str:
    return f"/api/now/table/{checked_name(table)}"


def checked_name(table: str) -> str:
    if _NAME.fullmatch(table) is None:
        raise ConfigurationError(f"{table!r} is not a ServiceNow table name")
    return table
