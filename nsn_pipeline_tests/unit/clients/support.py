"""A server that answers from a list, and clients that never sleep or draw."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from nsn_pipeline.clients.http import Http
from nsn_pipeline.clients.retry import RetryPolicy

Responder = Callable[[requests.PreparedRequest], "Reply | Exception"]


@dataclass
class Reply:
    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else orjson.dumps(self.body)


class FakeServer(BaseAdapter):
    """Answers in turn from `replies` (the last one for ever), or with a function."""

    def __init__(self, replies: "Sequence[Reply | Exception] | Responder") -> None:
        super().__init__()
        self._replies = replies
        self.requests: list[requests.PreparedRequest] = []

    def send(self, request, **kwargs) -> requests.Response:
        self.requests.append(request)
        if callable(self._replies):
            reply = self._replies(request)
        else:
            reply = self._replies[min(len(self.requests), len(self._replies)) - 1]
        if isinstance(reply, Exception):
            raise reply
        response = requests.Response()
        response.status_code = reply.status
        response.headers = CaseInsensitiveDict(reply.headers)
        response._content = reply.content()
        response.request = request
        response.url = request.url or ""
        return response

    def close(self) -> None:
        pass


@dataclass
class Rig:
    """An `Http` wired to a fake server, and what it slept."""

    http: Http
    server: FakeServer
    slept: list[float]


def rig(replies, *, system: str = "servicenow", attempts: int = 4, **options) -> Rig:
    server = FakeServer(replies)
    slept: list[float] = []

    def session() -> requests.Session:
        made = requests.Session()
        made.mount("https://", server)
        return made

    http = Http(
        system=system,
        base_url="https://example.test",
        policy=RetryPolicy(max_attempts=attempts, base_s=1, max_delay_s=60),
        sleep=slept.append,
        random=lambda: 1.0,
        now=lambda: 1_000_000.0,
        session_factory=session,
        **options,
    )
    return Rig(http, server, slept)


def suiteql_page(rows, *, total: int | None = None, has_more: bool | None = None) -> Reply:
    total = len(rows) if total is None else total
    more = total > len(rows) if has_more is None else has_more
    items = [{"links": [], **row} for row in rows]
    body = {"links": [], "count": len(rows), "hasMore": more, "items": items, "offset": 0}
    return Reply(body={**body, "totalResults": total})


def suiteql_error(detail: str, *, status: int = 400, code: str = "INVALID_PARAMETER") -> Reply:
    details = [{"detail": detail, "o:errorQueryParam": "q", "o:errorCode": code}]
    body = {"type": "about:blank", "title": "Bad Request", "status": status}
    return Reply(status, {**body, "o:errorDetails": details})


def servicenow_error(message: str, detail: str | None, *, status: int) -> Reply:
    return Reply(status, {"error": {"message": message, "detail": detail}, "status": "failure"})


def sent_json(request: requests.PreparedRequest) -> dict[str, Any]:
    return orjson.loads(request.body or b"{}")
