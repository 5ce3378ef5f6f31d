"""The sandbox's own side door, in front of each simulated system: `/__sandbox__/...`.

No vendor has these paths. They let a demo or a test add the GL account that was missing, change a
document, or count what was written, without going through the interfaces under test. Every call
needs `Authorization: Bearer <admin_token>` with the token of `sandbox.json`.
"""

import json
import secrets
import uuid
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from nsn_pipeline.sandbox.netsuite.edits import Edits
from nsn_pipeline.sandbox.netsuite.store import Store as NetSuiteStore
from nsn_pipeline.sandbox.servicenow.instance import Instance

PREFIX = "/__sandbox__/"


class Refused(Exception):  # noqa: N818  # an answer, not a fault
    """The call is answered with this status and text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class SideDoor:
    """Sends the sandbox's own paths to `admin`, everything else to the simulated system."""

    def __init__(self, system: ASGIApp, admin: ASGIApp) -> None:
        self._system, self._admin = system, admin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        own = scope["type"] == "http" and str(scope["path"]).startswith(PREFIX)
        await (self._admin if own else self._system)(scope, receive, send)


class _Guarded:
    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token}".encode()

    def check(self, request: Request) -> None:
        given = request.headers.get("authorization", "").encode()
        if not secrets.compare_digest(given, self._expected):
            raise Refused(401, "the admin token of sandbox.json is needed")


class NetSuiteAdmin(_Guarded):
    """Counts, changes and deletes rows of the simulated NetSuite account."""

    def __init__(self, store: NetSuiteStore, token: str) -> None:
        super().__init__(token)
        self._store = store
        self._edits = Edits(store)

    def app(self) -> ASGIApp:
        row = f"{PREFIX}netsuite/{{table}}/{{key}}"
        return _app(
            Route(f"{PREFIX}netsuite", self.counts, methods=["GET"]),
            Route(row, self.update, methods=["POST"]),
            Route(row, self.delete, methods=["DELETE"]),
            Route(f"{PREFIX}netsuite/transaction/{{key}}/{{action}}", self.edit, methods=["POST"]),
        )

    async def counts(self, request: Request) -> Response:
        self.check(request)
        connection = self._store.connection()
        names = [name for name, table in self._store.tables().items() if table.view_of is None]
        counts = {
            name: connection.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0]
            for name in names
        }
        return JSONResponse({name: count for name, count in counts.items() if count})

    async def update(self, request: Request) -> Response:
        """Change a row as a user would: its change stamp moves unless the body sets it."""
        self.check(request)
        changes = await _body(request)
        table, key = self._key(request)
        try:
            self._store.update_row(table, key, changes)
        except ValueError as error:
            raise Refused(400, str(error)) from error
        return JSONResponse({"table": table, "key": key})

    async def delete(self, request: Request) -> Response:
        """Delete for good: afterwards only `deletedrecord` knows."""
        self.check(request)
        table, key = self._key(request)
        try:
            self._store.delete_row(table, key)
        except ValueError as error:
            raise Refused(400, str(error)) from error
        return Response(status_code=204)

    async def edit(self, request: Request) -> Response:
        """Edit a transaction as a person would; the body names the line where one is meant."""
        self.check(request)
        given = await request.body()
        body = await _body(request) if given else {}
        action = self._edits.actions.get(request.path_params["action"])
        if action is None:
            raise Refused(404, f"there are {', '.join(sorted(self._edits.actions))}")
        try:
            told = action(request.path_params["key"], body.get("line") or "")
        except ValueError as error:
            raise Refused(400, str(error)) from error
        return JSONResponse({"transaction": request.path_params["key"], "id": told})

    def _key(self, request: Request) -> tuple[str, dict[str, str | None]]:
        """A row by its key; several columns are joined by `-`, as in `transactionline/88412-1`."""
        table = request.path_params["table"]
        found = self._store.tables().get(table)
        if found is None:
            raise Refused(404, f"there is no table {table}")
        values = request.path_params["key"].split("-")
        if len(values) != len(found.key):
            raise Refused(400, f"the key of {table} is {'-'.join(found.key)}")
        return table, dict(zip(found.key, values, strict=True))


class ServiceNowAdmin(_Guarded):
    """Counts and adds rows of the simulated ServiceNow instance."""

    def __init__(self, instance: Instance, token: str) -> None:
        super().__init__(token)
        self._instance = instance

    def app(self) -> ASGIApp:
        return _app(
            Route(f"{PREFIX}servicenow", self.counts, methods=["GET"]),
            Route(f"{PREFIX}servicenow/{{table}}", self.insert, methods=["POST"]),
            Route(f"{PREFIX}servicenow/{{table}}/{{sys_id}}", self.delete, methods=["DELETE"]),
        )

    async def counts(self, request: Request) -> Response:
        self.check(request)
        store = self._instance.store
        counts = {name: store.count(name) for name in self._instance.catalog.tables}
        return JSONResponse({name: count for name, count in counts.items() if count})

    async def insert(self, request: Request) -> Response:
        """Add a row as an administrator's import would: stored as given, no rules run."""
        self.check(request)
        table = self._instance.catalog.tables.get(request.path_params["table"])
        if table is None:
            raise Refused(404, f"there is no table {request.path_params['table']}")
        row = await _body(request)
        unknown = [name for name in row if name not in table.columns]
        if unknown:
            raise Refused(400, f"{table.name} has no column {', '.join(unknown)}")
        sys_id = row.get("sys_id") or uuid.uuid4().hex
        stamp = self._instance.stamp()
        self._instance.store.insert(
            table.name, [{"sys_created_on": stamp, **row, "sys_id": sys_id}]
        )
        return JSONResponse({"sys_id": sys_id}, status_code=201)

    async def delete(self, request: Request) -> Response:
        self.check(request)
        table, sys_id = request.path_params["table"], request.path_params["sys_id"]
        store = self._instance.store
        if table not in self._instance.catalog.tables:
            raise Refused(404, f"there is no table {table}")
        with store.lock:
            if store.remove(table, sys_id) is None:
                raise Refused(404, f"{table} has no row {sys_id}")
            store.commit()
        return Response(status_code=204)


def _app(*routes: Route) -> ASGIApp:
    async def answer(_request: Request, refused: Exception) -> Response:
        status = refused.status if isinstance(refused, Refused) else 500
        return JSONResponse({"error": str(refused)}, status_code=status)

    return Starlette(routes=routes, exception_handlers={Refused: answer})


async def _body(request: Request) -> dict[str, str | None]:
    try:
        given: Any = json.loads(await request.body())
    except ValueError as error:
        raise Refused(400, f"the body is not JSON: {error}") from error
    if not isinstance(given, dict) or not given:
        raise Refused(400, "the body must be an object of column names and texts")
    for name, value in given.items():
        if not isinstance(value, str | None):
            raise Refused(400, f"{name} must be a text or null")
    return given
