"""Two undocumented endpoints of the user interface that clients lean on (8)."""

from typing import Any

from nsn_pipeline.sandbox.servicenow import refusals
from nsn_pipeline.sandbox.servicenow.instance import Instance
from nsn_pipeline.sandbox.servicenow.messages import Call, Reply, json_reply
from nsn_pipeline.sandbox.servicenow.table_definitions import Column


def handle(instance: Instance, call: Call, parts: list[str]) -> Reply:
    if call.method != "GET":
        raise refusals.wrong_method(call.method)
    if parts == ["user", "current_user"]:
        return _current_user(instance, call)
    if len(parts) == 2 and parts[0] == "meta":  # noqa: PLR2004  # meta/{table}
        return _meta(instance, parts[1])
    raise refusals.unknown_path(call.path)


def _current_user(instance: Instance, call: Call) -> Reply:
    row = instance.store.get("sys_user", call.session.user_id) or {}
    name = row.get("name", call.session.user.user_name)
    initials = "".join(word[0] for word in name.split()[:2]).upper()
    return json_reply(
        200,
        {
            "result": {
                "user_sys_id": call.session.user_id,
                "user_name": call.session.user.user_name,
                "user_display_name": name,
                "user_initials": initials,
            }
        },
    )


def _meta(instance: Instance, table_name: str) -> Reply:
    table = instance.catalog.get(table_name)
    if table is None:
        raise refusals.invalid_table(table_name)
    columns = {column.name: _column(column) for column in table.columns.values()}
    return json_reply(200, {"result": {"label": table.label, "columns": columns}})


def _column(column: Column) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": column.name,
        "label": column.label,
        "type": column.internal_type,
        "internal_type": column.internal_type,
        "mandatory": column.mandatory,
        "read_only": column.read_only or column.strict,
        "max_length": column.max_length,
    }
    if column.reference:
        shown["reference"] = column.reference
    if column.choices:
        shown["choices"] = [{"value": value, "label": label} for value, label in column.choices]
    return shown
