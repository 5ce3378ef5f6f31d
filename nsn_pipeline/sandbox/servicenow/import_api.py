"""The Import Set API: rows go to a staging table and through a transform map (4)."""

from typing import Any, cast

from nsn_pipeline.sandbox.servicenow import refusals
from nsn_pipeline.sandbox.servicenow.instance import Instance, Session
from nsn_pipeline.sandbox.servicenow.messages import Call, Reply, json_reply
from nsn_pipeline.sandbox.servicenow.options import TransformMap
from nsn_pipeline.sandbox.servicenow.refusals import Refusal
from nsn_pipeline.sandbox.servicenow.schema import Table
from nsn_pipeline.sandbox.servicenow.table_data import Row
from nsn_pipeline.sandbox.servicenow.values import to_text
from nsn_pipeline.sandbox.servicenow.writes import Writer

ROW_TABLE = "sys_import_set_row"


class ImportApi:
    """Callers hold the store's lock, and commit."""

    def __init__(self, instance: Instance, writer: Writer) -> None:
        self.instance = instance
        self.writer = writer

    def handle(self, call: Call, name: str, rest: str) -> Reply:
        table = self.instance.catalog.get(name)
        if table is None or table.root.name != ROW_TABLE:
            raise refusals.invalid_table(name)
        if call.method == "GET" and rest:
            return self._read(call, table, rest)
        if call.method != "POST":
            raise refusals.wrong_method(call.method)
        if rest == "insertMultiple":
            return self._many(call, table)
        if rest:
            raise refusals.unknown_path(call.path)
        import_set = self._import_set(table, call.session)
        row, result = self._one(call, table, import_set, call.json_object())
        return json_reply(201, self._shown(table, row, result))

    def _import_set(self, table: Table, session: Session) -> Row:
        values = {"table_name": table.name, "state": "processed"}
        return self.writer.insert(self.instance.catalog.tables["sys_import_set"], values, session)

    def _one(
        self, call: Call, table: Table, import_set: Row, values: dict[str, Any]
    ) -> tuple[Row, dict[str, str]]:
        staged = {name: to_text(value) for name, value in values.items()}
        staged["sys_import_set"] = import_set["sys_id"]
        row = self.writer.insert(table, staged, call.session)
        result = self._transform(table, row, call.session)
        outcome = {
            "sys_import_state": result["status"],
            "sys_import_state_comment": result.get("error_message", ""),
            "sys_target_table": result.get("table", ""),
            "sys_target_sys_id": result.get("sys_id", ""),
        }
        return self.writer.update(table, row["sys_id"], outcome, call.session), result

    def _many(self, call: Call, table: Table) -> Reply:
        """Keys may be labels; the outcome of a row is found in the staging table only."""
        records = call.json_object().get("records")
        if not isinstance(records, list):
            raise Refusal(400, "Invalid request", "records is missing")
        by_label = {column.label.lower(): column.name for column in table.columns.values()}
        import_set = self._import_set(table, call.session)
        items = cast("list[dict[str, Any]]", records)
        for item in items:
            named = {by_label.get(key.lower(), key): value for key, value in item.items()}
            self._one(call, table, import_set, named)
        multi = import_set["sys_id"][::-1]
        reply = json_reply(
            201, {"import_set_id": import_set["sys_id"], "multi_import_set_id": multi}
        )
        reply.cost = max(1, len(items))
        return reply

    def _transform(self, table: Table, row: Row, session: Session) -> dict[str, str]:
        transform = self._map(table.name)
        if transform is None:
            return {"status": "ignored", "transform_map": ""}
        target = self.instance.catalog.tables[transform.target_table]
        label = transform.name or transform.staging_table
        result = {"transform_map": label, "table": target.name}
        values = {
            to: row.get(source, "") for source, to in transform.fields.items() if row.get(source)
        }
        for name in transform.required:
            if not values.get(name):
                text = f"Row transform ignored: {name} is empty"
                return {**result, "status": "error", "error_message": text}
        try:
            held = self._coalesced(target, transform, values)
            if held is None:
                status, record = "inserted", self.writer.insert(target, values, session)
            else:
                record = self.writer.update(target, held["sys_id"], values, session)
                status = "ignored" if record == held else "updated"
        except Refusal as refusal:  # 2xx all the same: the row says what went wrong
            return {**result, "status": "error", "error_message": refusal.detail or ""}
        shown = self.instance.paths.display_of_record(target, record)
        link = f"{session.base_url}/api/now/table/{target.name}/{record['sys_id']}"
        result |= {"display_name": target.display, "display_value": shown, "record_link": link}
        return result | {"status": status, "sys_id": record["sys_id"]}

    def _map(self, staging: str) -> TransformMap | None:
        maps = self.instance.options.transform_maps
        return next((m for m in maps if m.staging_table == staging), None)

    def _coalesced(
        self, target: Table, transform: TransformMap, values: dict[str, str]
    ) -> Row | None:
        if not transform.coalesce or not all(values.get(name) for name in transform.coalesce):
            return None
        first, *others = transform.coalesce
        for row in self.instance.store.find(target.name, first, values[first]):
            if all(row.get(name, "") == values[name] for name in others):
                return row
        return None

    def _read(self, call: Call, table: Table, sys_id: str) -> Reply:
        row = self.instance.store.get(table.name, sys_id)
        if row is None:
            raise refusals.no_record()
        transform = self._map(table.name)
        result = {
            "transform_map": (transform.name or table.name) if transform else "",
            "table": row.get("sys_target_table", ""),
            "status": row.get("sys_import_state", ""),
        }
        if target := row.get("sys_target_sys_id"):
            base = f"{call.session.base_url}/api/now/table"
            result |= {"sys_id": target, "record_link": f"{base}/{result['table']}/{target}"}
        if comment := row.get("sys_import_state_comment"):
            result["error_message"] = comment
        return json_reply(200, self._shown(table, row, result))

    def _shown(self, table: Table, row: Row, result: dict[str, str]) -> dict[str, Any]:
        import_set = self.instance.store.get("sys_import_set", row.get("sys_import_set", ""))
        return {
            "import_set": (import_set or {}).get("number", ""),
            "staging_table": table.name,
            "result": [result],
        }
