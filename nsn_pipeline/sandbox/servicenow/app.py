"""The ASGI side: reads requests, keeps the limits, takes simulated time, writes answers."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from nsn_pipeline.sandbox.servicenow import refusals
from nsn_pipeline.sandbox.servicenow.batch_api import item_count
from nsn_pipeline.sandbox.servicenow.instance import Instance, open_instance
from nsn_pipeline.sandbox.servicenow.messages import Call, Reply, refused
from nsn_pipeline.sandbox.servicenow.oauth import Authority
from nsn_pipeline.sandbox.servicenow.options import Fault, RequestInfo, ServiceNowOptions
from nsn_pipeline.sandbox.servicenow.refusals import Refusal
from nsn_pipeline.sandbox.servicenow.service import Service, spec_reply
from nsn_pipeline.sandbox.servicenow.throttle import Queue, Throttle

COOKIE = "JSESSIONID"
NEEDED_ROLES = frozenset({"admin", "snc_platform_rest_api_access"})
HIBERNATING = (
    b"<!DOCTYPE html><html><head><title>Instance Hibernating page</title></head>"
    b"<body>Your instance is hibernating.</body></html>"
)


class Gateway:
    """The instance's front door."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.service = Service(instance)
        self.authority = Authority(instance)
        self.throttle = Throttle(instance)
        self.calls = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += 1
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        body = await _read_body(receive)
        path, query = str(scope["path"]), scope["query_string"].decode("latin-1")
        method = str(scope["method"])
        fault = self.service.fault_for(RequestInfo(0, method, path, query, headers, body))
        keep = fault is None or fault.work != "undo"
        if fault is not None and fault.work == "none" and fault.answer != "real":
            reply = spec_reply(fault)
        else:
            reply = await self._guarded(method, path, query, headers, body, keep=keep)
        if fault is not None:
            await self._sleep(fault.delay_s)
            if fault.work == "commit" and fault.answer == "spec":
                reply = spec_reply(fault)
        await _write(reply, fault, receive, send)

    async def _guarded(
        self,
        method: str,
        path: str,
        query: str,
        headers: dict[str, str],
        body: bytes,
        *,
        keep: bool,
    ) -> Reply:
        if self.instance.options.hibernating:
            return Reply(200, HIBERNATING, [("content-type", "text/html;charset=UTF-8")])
        if path == "/oauth_token.do":
            await self._sleep(self.instance.options.call_latency_s)
            return self.authority.token(method, headers, body)
        if path == "/oauth_revoke_token.do":
            return self.authority.revoke(query)
        if not path.startswith("/api/"):
            return refused(refusals.unknown_path(path))
        if not self.throttle.enter():
            return self.throttle.busy()
        try:
            return await self._in_session(method, path, query, headers, body, keep=keep)
        finally:
            self.throttle.leave()

    async def _in_session(
        self,
        method: str,
        path: str,
        query: str,
        headers: dict[str, str],
        body: bytes,
        *,
        keep: bool,
    ) -> Reply:
        """Calls that return the session cookie queue on one node; a long queue is dropped."""
        options = self.instance.options
        cookie = _session_cookie(headers.get("cookie", ""))
        turn: AbstractAsyncContextManager[object] = nullcontext()
        queue: Queue | None = None
        if cookie and options.session_mode == "drop":
            return Reply(202)
        if cookie and options.session_mode == "queue":
            queue = self.throttle.queues.setdefault(cookie, Queue())
            if queue.waiting > options.session_queue_limit:
                return Reply(202)
            queue.waiting += 1
            turn = queue.lock
        try:
            async with turn:
                reply = await self._api(method, path, query, headers, body, keep=keep)
        finally:
            if queue is not None:
                queue.waiting -= 1
                if not queue.waiting:
                    self.throttle.queues.pop(cookie, None)
        if not cookie and options.session_mode != "off":
            value = f"{COOKIE}={secrets.token_hex(16).upper()}; Path=/; HttpOnly; Secure"
            reply.headers.append(("set-cookie", value))
        return reply

    async def _api(
        self,
        method: str,
        path: str,
        query: str,
        headers: dict[str, str],
        body: bytes,
        *,
        keep: bool,
    ) -> Reply:
        options = self.instance.options
        try:
            user = self.authority.authenticate(headers.get("authorization", ""))
            if options.endpoint_acl and not NEEDED_ROLES & set(user.roles):
                raise refusals.endpoint_denied()
        except Refusal as refusal:
            reply = refused(refusal)
            if refusal.status == 401:  # noqa: PLR2004
                reply.headers.append(("www-authenticate", 'BASIC realm="Service-now"'))
            return reply
        limited, rate_headers = self.throttle.rate(user.user_name, path)
        if limited is None:
            await self._sleep(self._duration_s(path, body))
            base_url = options.base_url or f"https://{headers.get('host', 'localhost')}"
            session = self.instance.session(user, base_url)
            call = Call(method, path, query, headers, body, session)
            limited = self.service.perform(call, keep=keep)
        limited.headers += rate_headers
        return limited

    def _duration_s(self, path: str, body: bytes) -> float:
        """Simulated time, taken before the work: a client that gives up finds nothing yet."""
        options = self.instance.options
        if not options.record_latency_s:
            return options.call_latency_s
        items = item_count(body) if path.rstrip("/").endswith("/batch") else 1
        work = items * options.record_latency_s
        if items > 1:
            work = min(work, options.batch_time_limit_s)
        return options.call_latency_s + work

    async def _sleep(self, simulated_s: float) -> None:
        seconds = simulated_s * self.instance.options.latency_scale
        if seconds > 0:
            await asyncio.sleep(seconds)


async def _read_body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body
    parts = [body]
    while message.get("more_body"):
        message = await receive()
        parts.append(message.get("body", b""))
    return b"".join(parts)


async def _write(reply: Reply, fault: Fault | None, receive: Receive, send: Send) -> None:
    answer = fault.answer if fault is not None else "real"
    if answer == "drop" and await _cut(receive):
        return
    headers = [(name.encode(), value.encode("latin-1", "replace")) for name, value in reply.headers]
    if reply.status not in {204, 304}:
        headers.append((b"content-length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if answer in {"drop", "truncate"}:
        half = reply.body[: len(reply.body) // 2] if answer == "truncate" else b""
        await send({"type": "http.response.body", "body": half, "more_body": True})
        await _cut(receive, flush=True)
        return
    await send({"type": "http.response.body", "body": reply.body})


async def _cut(receive: Receive, *, flush: bool = False) -> bool:
    """Cut the connection, as a broken network would; only uvicorn's own objects allow it."""
    cycle = getattr(receive, "__self__", None)
    transport = getattr(cycle, "transport", None)
    if transport is None:
        return False
    if flush:
        transport.close()
    else:
        transport.abort()
    for _ in range(100):  # until uvicorn has noticed, or it would report a missing answer
        if getattr(cycle, "disconnected", True):
            break
        await asyncio.sleep(0.001)
    return True


def _session_cookie(header: str) -> str:
    if not header:
        return ""
    try:
        morsel = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel is not None else ""


def create_app(
    data_dir: Path, options: ServiceNowOptions, *, clock: Callable[[], float] = time.time
) -> Starlette:
    """The instance as an ASGI application.

    `app.state.instance` holds the records (`.store`), `app.state.gateway` the counters and tokens.
    """
    instance = open_instance(data_dir, options, clock=clock)
    gateway = Gateway(instance)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        instance.store.close()

    app = Starlette(routes=[Mount("/", app=gateway)], lifespan=lifespan)
    app.state.instance = instance
    app.state.store = instance.store
    app.state.gateway = gateway
    return app
