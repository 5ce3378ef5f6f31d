"""A desk: one simulated instance, called in process, with a clock that tests move."""

import asyncio
import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from nsn_pipeline.sandbox.servicenow.app import create_app
from nsn_pipeline.sandbox.servicenow.options import ServiceNowOptions
from nsn_pipeline.sandbox.servicenow.store import Store

USER, PASSWORD = "nsn.integration", "nsn-password"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def result(self) -> Any:
        return self.json["result"]

    @property
    def detail(self) -> str:
        return self.json["error"]["detail"]


@dataclass
class Desk:
    data_dir: Path
    options: ServiceNowOptions
    now: float = 1_780_000_000.0
    default_headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.app = create_app(self.data_dir, self.options, clock=lambda: self.now)

    @property
    def store(self) -> Store:
        return self.app.state.store

    def call(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        auth: bool = True,
        **params: Any,
    ) -> Answer:
        return asyncio.run(
            self.send(method, path, json, body=body, headers=headers, auth=auth, **params)
        )

    async def send(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        auth: bool = True,
        **params: Any,
    ) -> Answer:
        path, _, query = path.partition("?")
        query = "&".join(filter(None, [query, urlencode(params)]))
        sent = {"host": "acme.service-now.com", "accept": "application/json"}
        if json is not None:
            body = orjson.dumps(json)
            sent["content-type"] = "application/json"
        if auth:
            sent["authorization"] = basic(USER, PASSWORD)
        sent |= headers or {}
        answer: dict[str, Any] = {"body": b""}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def collect(message: Any) -> None:
            if message["type"] == "http.response.start":
                answer["status"] = message["status"]
                answer["headers"] = {k.decode(): v.decode() for k, v in message["headers"]}
            else:
                answer["body"] += message["body"]

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(k.encode(), v.encode()) for k, v in sent.items()],
        }
        await self.app(scope, receive, collect)
        return Answer(answer["status"], answer["headers"], answer["body"])

    def get(self, path: str, **params: Any) -> Answer:
        return self.call("GET", f"/api/now/table/{path}", **params)

    def rows(self, table: str, query: str = "", **params: Any) -> list[dict[str, Any]]:
        return self.get(table, sysparm_query=query, **params).result

    def ids(self, table: str, query: str) -> set[str]:
        rows = self.rows(table, query, sysparm_fields="u_netsuite_id")
        return {row["u_netsuite_id"] for row in rows}

    def create(self, table: str, **values: Any) -> dict[str, Any]:
        answer = self.call("POST", f"/api/now/table/{table}", values)
        assert answer.status == 201, answer.body
        return answer.result

    def post(self, table: str, values: Any, **params: Any) -> Answer:
        return self.call("POST", f"/api/now/table/{table}", values, **params)

    def patch(self, table: str, sys_id: str, values: Any, **params: Any) -> Answer:
        return self.call("PATCH", f"/api/now/table/{table}/{sys_id}", values, **params)

    def batch(self, *items: dict[str, Any], **params: Any) -> dict[str, Any]:
        body = {"batch_request_id": "b1", "rest_requests": list(items)}
        answer = self.call("POST", "/api/now/v1/batch", body, **params)
        assert answer.status == 200, answer.body
        return answer.json

    def restarted(self) -> "Desk":
        """The same data directory after a kill: nothing is closed first."""
        return Desk(self.data_dir, self.options, self.now)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def batch_item(
    item_id: str, method: str, url: str, body: Any = None, **more: Any
) -> dict[str, Any]:
    headers = [
        {"name": "Content-Type", "value": "application/json"},
        {"name": "Accept", "value": "application/json"},
    ]
    item = {"id": item_id, "method": method, "url": url, "headers": headers, **more}
    if body is not None:
        item["body"] = base64.b64encode(orjson.dumps(body)).decode()
    return item


def inner(serviced: dict[str, Any]) -> Any:
    return orjson.loads(base64.b64decode(serviced["body"]))


@pytest.fixture
def make_desk(tmp_path: Path) -> Callable[..., Desk]:
    def make(**options: Any) -> Desk:
        return Desk(tmp_path, ServiceNowOptions(**options))

    return make


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    return make_desk()
