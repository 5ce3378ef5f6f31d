"""ServiceNow's records and habits: hidden columns, unknown columns in queries, duplicate keys."""

import requests

from nsn_pipeline.clients.http import Http
from nsn_pipeline.clients.servicenow import ServiceNowClient
from nsn_pipeline.doctor.finding import Checklist, Status
from nsn_pipeline.doctor.needs import TableNeed
from nsn_pipeline.errors import NsnError, PermissionDeniedError

_NO_SUCH_COLUMN = "u_nsn_no_such_column"
_MODES = {
    "ignore": "a condition on an unknown column is ignored and the query widens, as "
    "glide.invalid_query.returns_no_rows is not true; every answer is checked anyway",
    "no_rows": "a condition on an unknown column gives no rows",
    "forbid": "a condition on an unknown column is refused",
}
_SHOWN = 3


def check_query_mode(checklist: Checklist, http: Http) -> None:
    """What the instance does with an unknown column: a fact, as every look-up is checked anyway."""
    title = "ServiceNow queries"
    id_ = "servicenow.query_mode"
    try:
        rows = _rows(_get(http, "sys_user", sysparm_limit="1", sysparm_fields="sys_id"))
        if not rows:
            checklist.unverified(id_, title, "no user record is readable to try with")
            return
        query = f"{_NO_SUCH_COLUMN}=1"
        answer = _get(
            http, "sys_user", sysparm_query=query, sysparm_limit="1", sysparm_fields="sys_id"
        )
        mode = "ignore" if _rows(answer) else "no_rows"
    except PermissionDeniedError:
        mode = "forbid"
    except NsnError as error:
        checklist.unverified(id_, title, str(error))
        return
    checklist.ok(id_, title, _MODES[mode], mode=mode)


def check_readable(checklist: Checklist, client: ServiceNowClient, need: TableNeed) -> None:
    """Columns an access rule hides are left out of every record, without a word."""
    id_, title = f"servicenow.readable.{need.table}", "ServiceNow column access"
    known = [
        name
        for name in need.columns
        if checklist.status(f"servicenow.column.{need.table}.{name}") is not Status.FAIL
    ]
    try:
        row = client.sample(need.table, known)
    except NsnError as error:
        checklist.raise_outage(error)
        checklist.unverified(id_, title, f"{need.table}: {error}")
        return
    if row is None:
        checklist.ok(id_, title, f"{need.table} has no rows yet")
        return
    hidden = [name for name in known if name not in row]
    if hidden:
        checklist.fail(
            id_,
            title,
            f"{need.table}: {', '.join(hidden)} cannot be read, so nothing can be compared or "
            "found by it",
            "Give the integration user's role read and write access to these columns (field ACLs).",
            hidden=", ".join(hidden),
        )
    else:
        checklist.ok(id_, title, f"{need.table}: every column is readable")


def check_duplicates(checklist: Checklist, http: Http, need: TableNeed) -> None:
    """Keys that several rows share: which of them a record belongs to would be a guess."""
    id_, title = f"servicenow.duplicates.{need.table}", "ServiceNow duplicates"
    params = {
        "sysparm_query": f"{need.key}ISNOTEMPTY",
        "sysparm_count": "true",
        "sysparm_group_by": need.key,
        "sysparm_having": f"count^{need.key}^>^1",
    }
    try:
        path = f"/api/now/stats/{need.table}"
        groups = _rows(http.request("GET", path, params=params, idempotent=True))
    except NsnError as error:
        checklist.unverified(id_, title, f"{need.table}: {error}")
        return
    keys = [_group_key(group) for group in groups]
    if not keys:
        checklist.ok(id_, title, f"{need.table}: every {need.key} stands for one row")
        return
    some = ", ".join(keys[:_SHOWN]) + (", ..." if len(keys) > _SHOWN else "")
    checklist.warn(
        id_,
        title,
        f"{need.table}: {len(keys)} values of {need.key} stand in several rows ({some}); documents "
        "that need them are rejected",
        f"Merge or delete the duplicates in {need.table}, then run this again.",
        count=len(keys),
    )


def _group_key(group: dict[str, object]) -> str:
    fields = group.get("groupby_fields")
    first = fields[0] if isinstance(fields, list) and fields else {}
    return str(first.get("value", "?")) if isinstance(first, dict) else "?"


def _get(http: Http, table: str, **params: str) -> requests.Response:
    shaped = {"sysparm_display_value": "false", "sysparm_exclude_reference_link": "true"}
    return http.request("GET", f"/api/now/table/{table}", params=params | shaped, idempotent=True)


def _rows(answer: requests.Response) -> list[dict[str, object]]:
    try:
        result = answer.json().get("result")
    except (ValueError, AttributeError):
        return []
    return [row for row in result if isinstance(row, dict)] if isinstance(result, list) else []
