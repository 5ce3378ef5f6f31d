"""A ServiceNow that is nothing but a cost model: what a call takes, whatever the machine.

Its own process, so that the client's CPU is only the client's. A call takes `call_s`, plus
`record_s` for each record written, `query_s` for each query, `row_s` for each row it reads and
`counted_s` for each that it only counts, measured from its arrival: the work of this process is
inside that time, not on top of it. Beyond `limit` calls in flight it answers 429 without advice;
`refuse_every` refuses one of so many calls at random, for no reason at all.

It keeps what it is given, refuses a second row under a sys_id or key, drops nothing, and shows
everything under `/bench/`: rows to check, calls to count. Rules, types and access control are the
sandbox's business (`nsn_pipeline/sandbox`), not a benchmark's.
"""

import argparse
import asyncio
import base64
import json
import random
import re
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, field, fields
from typing import Any
from urllib.parse import parse_qs

import orjson
import uvicorn
from starlette.types import Receive, Scope, Send

KEY = "u_netsuite_id"
SEED = 20_260_301  # of the refusals
MONEY = re.compile(r"[A-Z]{3};")
QUERY = re.compile(r"(?P<column>[a-z_]+)(?P<operator>IN|=)(?P<values>.*)")
Row = dict[str, str]
ASKED_TABLE = re.compile(r"name(?:=|IN)(?P<table>[a-z_]+)")
JSON_HEADER = (b"content-type", b"application/json;charset=UTF-8")


@dataclass(slots=True)
class Model:
    """The cost model; `/bench/model` changes it."""

    call_s: float = 0.04
    record_s: float = 0.008
    query_s: float = 0.002
    row_s: float = 0.00025
    counted_s: float = 0.00005
    opens_dictionary: bool = True
    limit: int = 16
    refuse_every: int = 0
    batch_limit_s: float = 30.0


@dataclass(slots=True)
class Seen:
    """What happened since the last reset."""

    calls: int = 0
    batches: int = 0
    refused: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    unserviced: int = 0
    rows_read: int = 0
    started: float = field(default_factory=time.monotonic)
    refusals_at: list[float] = field(default_factory=list)
    calls_at: list[float] = field(default_factory=list)


class Server:
    def __init__(self) -> None:
        self.model = Model()
        self.seen = Seen()
        self.tables: dict[str, dict[str, Row]] = defaultdict(dict)
        self.keys: dict[str, dict[str, str]] = defaultdict(dict)
        self.random = random.Random(SEED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        arrived = time.monotonic()
        body = await _body(receive)
        path, query = str(scope["path"]), scope["query_string"].decode()
        if path.startswith("/bench/"):
            await _answer(send, 200, orjson.dumps(self._bench(path, body)))
            return
        seen, model = self.seen, self.model
        seen.calls += 1
        seen.calls_at.append(arrived - seen.started)
        by_chance = model.refuse_every and self.random.random() * model.refuse_every < 1
        if seen.in_flight >= model.limit or by_chance:
            seen.refused += 1
            seen.refusals_at.append(arrived - seen.started)
            await _answer(send, 429, b"")
            return
        seen.in_flight += 1
        seen.most_in_flight = max(seen.most_in_flight, seen.in_flight)
        try:
            status, content, total, cost_s = self._serve(str(scope["method"]), path, query, body)
            remaining = arrived + model.call_s + cost_s - time.monotonic()
            if remaining > 0:
                await asyncio.sleep(remaining)
        finally:
            seen.in_flight -= 1
        await _answer(send, status, content, total)

    def _serve(
        self, method: str, path: str, query: str, body: bytes
    ) -> tuple[int, bytes, int | None, float]:
        if path.endswith("/batch"):
            content, cost_s = self._batch(orjson.loads(body))
            return 200, content, None, cost_s
        status, answer, total, cost_s = self._single(method, path, query, body)
        return status, orjson.dumps(answer), total, cost_s

    def _batch(self, content: dict[str, Any]) -> tuple[bytes, float]:
        self.seen.batches += 1
        serviced, unserviced, spent = [], [], 0.0
        for item in content["rest_requests"]:
            if spent + self.model.record_s > self.model.batch_limit_s:
                unserviced.append(str(item["id"]))
                continue
            path, _, query = item["url"].partition("?")
            raw = base64.b64decode(item.get("body") or b"")
            status, answer, total, cost_s = self._single(item["method"], path, query, raw)
            spent += cost_s
            headers = [] if total is None else [{"name": "X-Total-Count", "value": str(total)}]
            serviced.append(
                {
                    "id": str(item["id"]),
                    "body": base64.b64encode(orjson.dumps(answer)).decode(),
                    "status_code": status,
                    "status_text": "",
                    "headers": headers,
                    "execution_time": round(cost_s * 1000),
                }
            )
        self.seen.unserviced += len(unserviced)
        reply = {
            "batch_request_id": str(content["batch_request_id"]),
            "serviced_requests": serviced,
            "unserviced_requests": unserviced,
        }
        return orjson.dumps(reply), spent

    def _single(
        self, method: str, path: str, query: str, body: bytes
    ) -> tuple[int, dict[str, Any], int | None, float]:
        parts = [part for part in path.split("/") if part not in {"", "api", "now", "v1", "v2"}]
        if parts[:2] == ["ui", "meta"]:
            return 200, {"result": {"columns": {KEY: {"type": "string"}}}}, None, 0.0
        table = parts[1]
        asked = parse_qs(query)
        shown = asked.get("sysparm_fields", [""])[0].split(",")
        if method == "GET":
            return self._read(table, asked, shown)
        values = orjson.loads(body)
        rows = self.tables[table]
        if method == "POST":
            sys_id = values.get("sys_id") or f"{len(rows):032x}"
            key = values.get(KEY, "")
            if sys_id in rows or (key and key in self.keys[table]):
                detail = f"Error during insert of {table} ({key})"
                error = {"message": "Operation Failed", "detail": detail}
                return 403, {"error": error, "status": "failure"}, None, self.model.record_s
            rows[sys_id] = {**values, "sys_id": sys_id, "sys_mod_count": "0"}
            self.keys[table][key] = sys_id
            status = 201
        else:
            sys_id, status = parts[2], 200
            count = int(rows[sys_id]["sys_mod_count"]) + 1
            rows[sys_id].update(values, sys_mod_count=str(count))
        return status, {"result": _shown(rows[sys_id], shown)}, None, self.model.record_s

    def _read(
        self, table: str, asked: dict[str, list[str]], shown: list[str]
    ) -> tuple[int, dict[str, Any], int, float]:
        query = asked.get("sysparm_query", [""])[0]
        model = self.model
        if row := _dictionary(table, query):
            told = [row] if model.opens_dictionary else []
            return 200, {"result": told}, len(told), model.query_s + model.row_s
        found = self._found(table, query)
        offset = int(asked.get("sysparm_offset", ["0"])[0])
        limit = int(asked.get("sysparm_limit", ["10000"])[0])
        page = found[offset : offset + limit]
        self.seen.rows_read += len(page)
        result = [_shown(row, shown) for row in page]
        counted = len(found) - len(page)
        cost_s = model.query_s + len(page) * model.row_s + counted * model.counted_s
        return 200, {"result": result}, len(found), cost_s

    def _found(self, table: str, encoded: str) -> list[Row]:
        rows = self.tables[table]
        found: list[Row] | None = None
        for term in encoded.split("^"):
            if term.startswith("ORDERBY") or not term:
                continue
            if term.startswith("sys_id>"):
                found = [row for row in found or [] if row["sys_id"] > term[7:]]
                continue
            if term.startswith("sys_mod_count="):
                found = [row for row in found or [] if row["sys_mod_count"] == term[14:]]
                continue
            match = QUERY.fullmatch(term)
            assert match, term  # noqa: S101 - a query this model does not know is a bug
            names = match["values"].split(",") if match["operator"] == "IN" else [match["values"]]
            ids = self.keys[table] if match["column"] == KEY else {name: name for name in names}
            found = [rows[ids[name]] for name in names if name in ids and ids[name] in rows]
        return sorted(found or [], key=lambda row: row["sys_id"])

    def _bench(self, path: str, body: bytes) -> Any:
        if path == "/bench/reset":
            self.model = Model(**orjson.loads(body or b"{}"))
            self.seen = Seen(in_flight=self.seen.in_flight)
            self.random.seed(SEED)
            self.tables.clear()
            self.keys.clear()
        elif path == "/bench/model":
            for name, value in orjson.loads(body).items():
                assert name in {item.name for item in fields(Model)}  # noqa: S101
                setattr(self.model, name, value)
        elif path == "/bench/seen":
            return asdict(self.seen)
        elif path == "/bench/rows":
            return {table: list(rows.values()) for table, rows in self.tables.items()}
        return {}


def _dictionary(table: str, query: str) -> Row | None:
    """What the dictionary says of any table: no parent, and a key that no two rows share."""
    asked = ASKED_TABLE.search(query)
    if asked is None:
        return None
    if table == "sys_db_object":
        return {"sys_id": "1", "name": asked["table"], "super_class": ""}
    if table == "sys_dictionary":
        return {"sys_id": "1", "name": asked["table"], "element": KEY, "unique": "true"}
    return None


def _shown(row: Row, names: list[str]) -> Row:
    """Only what was asked for; amounts without their currency, as a plain read shows them.

    Written for speed: what this process burns is time the client under test does not get.
    """
    shown = {name: row.get(name, "") for name in names} if names != [""] else dict(row)
    for name, value in shown.items():
        if value[3:4] == ";" and MONEY.match(value):
            shown[name] = value[4:]
    return shown


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _answer(send: Send, status: int, content: bytes, total: int | None = None) -> None:
    headers = [JSON_HEADER, (b"content-length", str(len(content)).encode())]
    if total is not None:
        headers.append((b"x-total-count", str(total).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


class _Announcing(uvicorn.Server):
    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        print(json.dumps({"port": port}), flush=True)


def announcing(config: uvicorn.Config) -> uvicorn.Server:
    """A server that prints its port once it listens."""
    return _Announcing(config)


def main() -> None:
    parser = argparse.ArgumentParser(description="The ServiceNow cost model, over TLS on loopback.")
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--key", required=True)
    given = parser.parse_args()
    config = uvicorn.Config(
        Server(),
        host="127.0.0.1",
        port=0,
        ssl_certfile=given.certificate,
        ssl_keyfile=given.key,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_keep_alive=600,
    )
    announcing(config).run()


if __name__ == "__main__":
    main()
