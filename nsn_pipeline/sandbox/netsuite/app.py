"""The simulator as an ASGI application: routes, login, the account's request pool, faults."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from nsn_pipeline.sandbox.netsuite import oauth2
from nsn_pipeline.sandbox.netsuite.errors import (
    NetSuiteError,
    bad_login,
    too_many_requests,
    unexpected,
)
from nsn_pipeline.sandbox.netsuite.oauth1 import TbaService
from nsn_pipeline.sandbox.netsuite.oauth2 import TokenError, TokenService
from nsn_pipeline.sandbox.netsuite.options import Fault, NetSuiteOptions, RequestInfo
from nsn_pipeline.sandbox.netsuite.paging import envelope, paging
from nsn_pipeline.sandbox.netsuite.record_api import ROOT, RecordApi, Reply
from nsn_pipeline.sandbox.netsuite.store import Store
from nsn_pipeline.sandbox.netsuite.suiteql import Engine, connection_functions

QUERY_PATH = "/services/rest/query/v1/suiteql"
_JSON = "application/vnd.oracle.resource+json; type=error"


@dataclass(slots=True)
class Stats:
    """What the server has seen; tests and `nsn doctor` read it."""

    requests: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0
    refused: int = 0
    by_path: dict[str, int] = field(default_factory=dict[str, int])
    # Why requests were refused, in our words: "Invalid or unsupported search" alone says little.
    refusals: deque[str] = field(default_factory=lambda: deque[str](maxlen=200))


class NetSuite:
    """One simulated account behind HTTP."""

    def __init__(
        self, db_path: Path | str, options: NetSuiteOptions, clock: Callable[[], float]
    ) -> None:
        self.options = options
        self.store = Store(db_path, clock=clock, configure=connection_functions(options))
        self.store.create_schema()
        self.engine = Engine(self.store, options)
        self.records = RecordApi(self.store, options)
        self.tokens = TokenService(options, clock)
        self.tba = TbaService(options, clock)
        self.stats = Stats()
        self.fault_hook = options.fault_hook

    # -- the frame around every request --------------------------------------------------------

    async def serve(self, request: Request, answer: Callable[[], Awaitable[Response]]) -> Response:
        """Count the request and let the fault plan have its say; else the true answer."""
        self.stats.requests += 1
        path = request.url.path
        self.stats.by_path[path] = self.stats.by_path.get(path, 0) + 1
        fault = await self._fault(request)
        if fault is None:
            return await answer()
        if fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        if fault.status is None and not fault.truncate:
            return await answer()
        return _faulty(fault, await answer() if fault.after_handling else None)

    async def _fault(self, request: Request) -> Fault | None:
        if self.fault_hook is None:
            return None
        return self.fault_hook(
            RequestInfo(
                number=self.stats.requests, method=request.method, path=request.url.path,
                query=request.url.query, headers=dict(request.headers), body=await request.body(),
            )
        )  # fmt: skip

    async def _answer(
        self, request: Request, handle: Callable[[Request], Awaitable[Reply]]
    ) -> Response:
        try:
            self._login(request)
            if self.stats.in_flight >= self.options.concurrency_limit:
                self.stats.refused += 1
                raise too_many_requests()
            self.stats.in_flight += 1
            self.stats.peak_in_flight = max(self.stats.peak_in_flight, self.stats.in_flight)
            try:
                if self.options.latency_s:
                    await asyncio.sleep(self.options.latency_s)
                return _respond(await handle(request))
            finally:
                self.stats.in_flight -= 1
        except NetSuiteError as error:
            self.stats.refusals.extend(getattr(error, "__notes__", [error.detail]))
            return _error(error)

    def _login(self, request: Request) -> None:
        header = request.headers.get("authorization", "")
        scheme = header.partition(" ")[0].lower()
        if scheme == "bearer":
            self.tokens.check(header)
        elif scheme == "oauth":
            path = request.scope.get("raw_path", request.url.path.encode()).decode()
            urls = [f"{base}{path.partition('?')[0]}" for base in self.bases(request)]
            self.tba.check(header, request.method, urls, request.url.query)
        else:
            raise bad_login(f'Bearer realm="{self.options.realm}", error="invalid_token"')

    def bases(self, request: Request) -> list[str]:
        """The base URLs this server goes by: as configured, and as it was addressed."""
        seen = f"{request.url.scheme}://{request.url.netloc}"
        configured = self.options.public_base_url.rstrip("/")
        return [configured, seen] if configured and configured != seen else [seen]

    # -- endpoints -----------------------------------------------------------------------------

    async def token(self, request: Request) -> Response:
        """The token endpoint: outside the request pool, with error bodies of its own."""
        return await self.serve(request, lambda: self._token(request))

    async def _token(self, request: Request) -> Response:
        audiences = [f"{base}{oauth2.TOKEN_PATH}" for base in self.bases(request)]
        body, content_type = await request.body(), request.headers.get("content-type", "")
        try:
            granted = await run_in_threadpool(self.tokens.issue, body, content_type, audiences)
        except TokenError as error:
            self.tokens.audit.append(f"{error.code}: {error.why}")
            headers = {"Cache-Control": "no-store"}
            if error.status == 401:  # noqa: PLR2004 - HTTP
                headers["WWW-Authenticate"] = f'Basic realm="{self.options.realm}"'
            return Response(oauth2.error_body(error), error.status, headers, "application/json")
        return Response(
            orjson.dumps(granted), 200, {"Cache-Control": "no-store"}, "application/json"
        )

    async def suiteql(self, request: Request) -> Reply:
        """POST /query/v1/suiteql."""
        preferences = {p.strip().lower() for p in request.headers.get("prefer", "").split(",")}
        if "transient" not in preferences:
            raise NetSuiteError(
                400, "INVALID_HEADER",
                "The required header 'Prefer' is missing or invalid. Use 'Prefer: transient'.",
                where={"o:errorHeader": "Prefer"},
            )  # fmt: skip
        limit, offset = paging(dict(request.query_params))
        text, params = _query(await request.body())
        base = self.bases(request)[0]

        def run() -> bytes:
            page = self.engine.page(text, params, limit, offset)
            url = f"{base}{QUERY_PATH}"
            return orjson.dumps(
                envelope(
                    url,
                    page.items,
                    limit=limit,
                    offset=offset,
                    total=page.total,
                    reachable=page.reachable,
                )
            )

        return Reply(200, await run_in_threadpool(run))

    async def record_collection(self, request: Request) -> Reply:
        """GET and POST /record/v1/{type}."""
        name, base = request.path_params["type"], self.bases(request)[0]
        if request.method == "GET":
            query = dict(request.query_params)
            return await run_in_threadpool(self.records.collection, name, base, query)
        _refuse_async(request)
        body, headers = await request.body(), dict(request.headers)
        return await run_in_threadpool(self.records.create, name, body, base, headers)

    async def record_instance(self, request: Request) -> Reply:
        """GET, PATCH, PUT and DELETE /record/v1/{type}/{id}."""
        name, key = request.path_params["type"], request.path_params["key"]
        base, headers = self.bases(request)[0], dict(request.headers)
        if request.method == "GET":
            expand = request.query_params.get("expandSubResources", "").lower() == "true"
            return await run_in_threadpool(self.records.read, name, key, base, expand=expand)
        _refuse_async(request)
        if request.method == "DELETE":
            return await run_in_threadpool(self.records.delete, name, key)
        write = self.records.upsert if request.method == "PUT" else self.records.change
        return await run_in_threadpool(write, name, key, await request.body(), base, headers)

    async def metadata(self, request: Request) -> Reply:
        """GET /record/v1/metadata-catalog[/{type}]."""
        name, base = request.path_params.get("type"), self.bases(request)[0]
        if name is None:
            return await run_in_threadpool(self.records.metadata_list, base)
        return await run_in_threadpool(self.records.metadata, name, base)

    async def governance(self, request: Request) -> Reply:
        """GET /system/v1/governanceLimits: for administrators only."""
        del request
        if not self.options.is_administrator:
            raise NetSuiteError(
                403,
                "INSUFFICIENT_PERMISSION",
                "Permission Violation: only administrators may do this.",
            )
        limit = self.options.concurrency_limit
        return Reply(
            200,
            {
                "accountConcurrencyLimit": limit,
                "accountUnallocatedConcurrencyLimit": limit,
                "integrationLimitType": "accountLimit",
            },
        )

    async def datacenter_urls(self, request: Request) -> Response:
        """GET /rest/datacenterurls: where an account lives; needs no login."""
        account = request.query_params.get("account", "")
        if account.upper().replace("-", "_") != self.options.realm:
            return Response(
                orjson.dumps({"error": "unknown account"}), 400, None, "application/json"
            )
        base = self.bases(request)[0]
        urls = {"restDomain": base, "webservicesDomain": base, "systemDomain": base}
        return Response(orjson.dumps(urls), 200, None, "application/json")

    # -- wiring --------------------------------------------------------------------------------

    def route(
        self, path: str, methods: list[str], handle: Callable[[Request], Awaitable[Reply]]
    ) -> Route:
        """A route behind login and limits; other methods get NetSuite's own 405."""

        async def endpoint(request: Request) -> Response:
            if request.method not in methods:
                return _error(NetSuiteError(405, "METHOD_NOT_ALLOWED", "Method not allowed."))
            return await self.serve(request, lambda: self._answer(request, handle))

        every = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        return Route(path, endpoint, methods=every)


def _query(body: bytes) -> tuple[str, list[str]]:
    try:
        given = orjson.loads(body)
    except ValueError as error:
        raise NetSuiteError(
            400, "INVALID_CONTENT", "The request body is not valid JSON."
        ) from error
    text = given.get("q") if isinstance(given, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise NetSuiteError(
            400, "INVALID_PARAMETER", "The query must be given as a text in 'q'.",
            where={"o:errorPath": "q"},
        )  # fmt: skip
    params = given.get("params", [])
    if not isinstance(params, list) or not all(isinstance(value, str) for value in params):
        raise NetSuiteError(
            400, "INVALID_PARAMETER", "Query parameters are given as a list of texts.",
            where={"o:errorPath": "params"},
        )  # fmt: skip
    return text, params


def _refuse_async(request: Request) -> None:
    if "respond-async" in request.headers.get("prefer", "").lower():
        raise NetSuiteError(
            400, "INVALID_HEADER", "Asynchronous requests are not simulated.",
            where={"o:errorHeader": "Prefer"},
        )  # fmt: skip


def _respond(reply: Reply) -> Response:
    if reply.body is None:
        return Response(b"", reply.status, dict(reply.headers))
    body = reply.body if isinstance(reply.body, bytes) else orjson.dumps(reply.body)
    return Response(body, reply.status, dict(reply.headers), "application/json")


def _error(error: NetSuiteError) -> Response:
    return Response(orjson.dumps(error.body()), error.status, dict(error.headers), _JSON)


class _Broken(Response):
    """An answer whose connection ends before its body does."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        headers = [(b"content-type", b"application/json"), (b"content-length", b"1000000")]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"links":[', "more_body": True})
        raise ConnectionResetError("the fault plan breaks this connection")


def _faulty(fault: Fault, true_answer: Response | None) -> Response:
    if fault.truncate:
        return _Broken(status_code=fault.status or 200)
    status = fault.status or (true_answer.status_code if true_answer is not None else 500)
    body = fault.body
    if body is None:
        body = _standard_fault(status)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(data, status, dict(fault.headers), "application/json")


def _standard_fault(status: int) -> Mapping[str, Any]:
    """The body NetSuite sends with `status`, where a fault names none."""
    if status == 429:  # noqa: PLR2004 - HTTP
        return too_many_requests().body()
    if status == 401:  # noqa: PLR2004 - HTTP
        return bad_login("").body()
    return NetSuiteError(
        status, "UNEXPECTED_ERROR", unexpected("nsn0000000000000000").detail
    ).body()


def create_app(
    db_path: Path | str,
    options: NetSuiteOptions,
    *,
    clock: Callable[[], float] = time.time,
) -> Starlette:
    """The account at `db_path` as an ASGI application; the parts are at `app.state`."""
    account = NetSuite(db_path, options, clock)
    app = Starlette(
        routes=[
            Route(oauth2.TOKEN_PATH, account.token, methods=["POST"]),
            Route("/rest/datacenterurls", account.datacenter_urls, methods=["GET"]),
            account.route(QUERY_PATH, ["POST"], account.suiteql),
            account.route("/services/rest/system/v1/governanceLimits", ["GET"], account.governance),
            account.route(f"{ROOT}/metadata-catalog", ["GET"], account.metadata),
            account.route(f"{ROOT}/metadata-catalog/{{type}}", ["GET"], account.metadata),
            account.route(f"{ROOT}/{{type}}", ["GET", "POST"], account.record_collection),
            account.route(
                f"{ROOT}/{{type}}/{{key}}",
                ["GET", "PATCH", "PUT", "DELETE"],
                account.record_instance,
            ),
        ]
    )
    app.state.netsuite = account
    app.state.store = account.store
    app.state.tokens = account.tokens
    app.state.tba = account.tba
    app.state.stats = account.stats
    return app
