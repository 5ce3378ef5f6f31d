"""The Table API: list, read, create, change and delete records (docs/facts/servicenow.md 2)."""

from urllib.parse import urlencode

from nsn_pipeline.sandbox.servicenow import refusals
from nsn_pipeline.sandbox.servicenow.dictionary import DICTIONARY_TABLES
from nsn_pipeline.sandbox.servicenow.instance import Instance
from nsn_pipeline.sandbox.servicenow.messages import JSON_BODY, Call, Reply, json_reply
from nsn_pipeline.sandbox.servicenow.refusals import Refusal
from nsn_pipeline.sandbox.servicenow.rendering import DisplayMode, Renderer, Shape
from nsn_pipeline.sandbox.servicenow.schema import Table
from nsn_pipeline.sandbox.servicenow.table_data import Row
from nsn_pipeline.sandbox.servicenow.writes import Writer

TIMED_OUT = (
    b'{"error":{"message":"Transaction cancelled: maximum execution time exceeded",'
    b'"detail":"Transaction cancelled: maximum execution time exceeded Check logs for error trace '
    b'or enable glide.rest.debug property to verify REST request processing"},"status":"failure"}'
)
MODES: dict[str, DisplayMode] = {"true": "true", "all": "all"}


class TableApi:
    """Callers hold the store's lock, and commit."""

    def __init__(self, instance: Instance, writer: Writer) -> None:
        self.instance = instance
        self.writer = writer
        self.renderer = Renderer(instance)

    def handle(self, call: Call, version: str, name: str, sys_id: str) -> Reply:
        call.check_accept()
        table = self.instance.catalog.get(name)
        if table is None:
            raise refusals.invalid_table(name)
        if call.method == "GET":
            return self._read(call, table, sys_id) if sys_id else self._list(call, table, version)
        if call.method == "POST" and not sys_id:
            return self._create(call, table)
        if call.method in {"PUT", "PATCH"} and sys_id:
            return self._change(call, table, sys_id)
        if call.method == "DELETE" and sys_id:
            self.writer.delete(table, sys_id, call.session)
            return Reply(204)
        raise refusals.wrong_method(call.method)

    # -- writing ---------------------------------------------------------------------------
    def _create(self, call: Call, table: Table) -> Reply:
        values = call.json_object()
        as_display = call.flag("sysparm_input_display_value")
        row = self.writer.insert(table, values, call.session, as_display=as_display)
        place = f"{call.session.base_url}/api/now/table/{table.name}/{row['sys_id']}"
        return self._echo(call, table, row, 201, [("location", place)])

    def _change(self, call: Call, table: Table, sys_id: str) -> Reply:
        values = call.json_object()
        as_display = call.flag("sysparm_input_display_value")
        row = self.writer.update(table, sys_id, values, call.session, as_display=as_display)
        return self._echo(call, table, row, 200, [])

    def _echo(
        self, call: Call, table: Table, row: Row, status: int, headers: list[tuple[str, str]]
    ) -> Reply:
        if call.headers.get("x-no-response-body", "").lower() == "true":
            return Reply(status, b"", headers)
        owner = self.instance.store.owner(table, row["sys_id"]) or table
        shown = self.renderer.record(owner, row, call.session.base_url, shape_of(call))
        return json_reply(status, {"result": shown}, headers)

    # -- reading ---------------------------------------------------------------------------
    def check_readable(self, table: Table) -> bool:
        """Refuses a table that may not be read; False when it only looks empty."""
        options = self.instance.options
        if "read" in options.denied.get(table.name, frozenset()):
            raise refusals.endpoint_denied()
        if table.name in DICTIONARY_TABLES:
            self.instance.refresh_dictionary()
            if options.dictionary_access == "forbid":
                raise refusals.endpoint_denied()
            return options.dictionary_access == "full"
        return True

    def _visible(self, call: Call, table: Table, row: Row) -> bool:
        condition = self.instance.options.hidden_rows.get(table.name)
        asker = self.instance.asker(call.session)
        return not condition or not self.instance.search.matches(table, condition, row, asker)

    def _read(self, call: Call, table: Table, sys_id: str) -> Reply:
        owner = self.instance.store.owner(table, sys_id)
        if not self.check_readable(table) or owner is None:
            raise refusals.no_record()
        row = self.instance.store.data(owner.name).rows[sys_id]
        if not self._visible(call, table, row):
            raise refusals.no_record()
        shown = self.renderer.record(owner, row, call.session.base_url, shape_of(call))
        return json_reply(200, {"result": shown})

    def _list(self, call: Call, table: Table, version: str) -> Reply:
        limit, offset = self._limits(call)
        readable = self.check_readable(table)
        asker = self.instance.asker(call.session)
        found = self.instance.search.run(table, self.query_text(call, table), asker)
        total = found.total if readable else 0
        rows = self._rows(table, found.page(offset, limit)) if readable else []
        if table.name in self.instance.options.hidden_rows:  # after the limit: pages get short
            rows = [row for row in rows if self._visible(call, table, row)]
        base_url = call.session.base_url
        shown = self.renderer.records(table, rows, base_url, shape_of(call))
        headers: list[tuple[str, str]] = []
        if not call.flag("sysparm_no_count"):
            headers.append(("x-total-count", str(total)))
        if not call.flag("sysparm_suppress_pagination_header"):
            headers.append(("link", self._links(call, limit, offset, total)))
        if not total and version == "v1":
            raise refusals.no_record()
        reply = json_reply(200, {"result": shown}, headers)
        if self.instance.options.truncate_lists:
            half = reply.body[: len(reply.body) // 2]
            return Reply(200, half + TIMED_OUT, [JSON_BODY, *headers])
        return reply

    def _rows(self, table: Table, ids: list[str]) -> list[Row]:
        if not table.children:
            held = self.instance.store.data(table.name).rows
            return [held[sys_id] for sys_id in ids]
        rows = (self.instance.store.get(table.name, sys_id) for sys_id in ids)
        return [row for row in rows if row is not None]

    def _limits(self, call: Call) -> tuple[int, int]:
        limit = _number(call, "sysparm_limit", self.instance.options.default_limit, lowest=1)
        return limit, _number(call, "sysparm_offset", 0, lowest=0)

    def query_text(self, call: Call, table: Table) -> str:
        """`sysparm_query`; without it, plain `field=value` parameters, display values allowed."""
        if "sysparm_query" in call.params:
            return call.params["sysparm_query"]
        terms: list[str] = []
        for name, value in call.params.items():
            if not name.startswith("sysparm_"):
                terms.append(f"{name}={self._plain_value(table, name, value)}")
        return "^".join(terms)

    def _plain_value(self, table: Table, name: str, value: str) -> str:
        column = table.columns.get(name)
        if column is not None and column.choices:
            return next((v for v, label in column.choices if label == value), value)
        if column is not None and column.is_reference:
            return self._reference_value(column.reference, value)
        return value

    def _reference_value(self, table_name: str, value: str) -> str:
        target = self.instance.catalog.get(table_name)
        if target is None or not target.display:
            return value
        found = self.instance.store.find(table_name, target.display, value)
        return found[0]["sys_id"] if found else value

    def _links(self, call: Call, limit: int, offset: int, total: int) -> str:
        last = max(0, (total - 1) // limit * limit)
        targets = [("first", 0)]
        if offset > 0:
            targets.append(("prev", max(0, offset - limit)))
        if offset + limit < total:
            targets.append(("next", offset + limit))
        targets.append(("last", last))
        params = {name: value for name, value in call.params.items() if name != "sysparm_offset"}
        params.setdefault("sysparm_limit", str(limit))
        place = f"{call.session.base_url}{call.path}?{urlencode(params)}"
        return ",".join(f'<{place}&sysparm_offset={at}>;rel="{rel}"' for rel, at in targets)


def shape_of(call: Call) -> Shape:
    if not call.query:
        return Shape()
    params = call.params
    names = [name.strip() for name in params.get("sysparm_fields", "").split(",")]
    display = MODES.get(params.get("sysparm_display_value", "").lower(), "false")
    fields = tuple(dict.fromkeys(name for name in names if name))
    return Shape(fields, display, call.flag("sysparm_exclude_reference_link"))


def _number(call: Call, name: str, default: int, *, lowest: int) -> int:
    text = call.params.get(name, "")
    if not text:
        return default
    try:
        value = int(text)
    except ValueError:
        value = lowest - 1
    if value < lowest:
        raise Refusal(
            400,
            f"Invalid value given for {name}",
            f"{name} value must be a {'positive' if lowest else 'non-negative'} integer",
        )
    return value
