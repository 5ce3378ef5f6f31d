"""The Batch API: many requests in one call, each with its own outcome (3)."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

import orjson

from nsn_pipeline.sandbox.servicenow import refusals
from nsn_pipeline.sandbox.servicenow.instance import Instance
from nsn_pipeline.sandbox.servicenow.messages import Call, Reply, json_reply, refused
from nsn_pipeline.sandbox.servicenow.refusals import Refusal

STATUS_TEXTS = {status.value: status.phrase for status in HTTPStatus}
# answers one item, given its id; None when the item could not be serviced
Answer = Callable[[Call, str], Reply | None]


@dataclass(slots=True)
class Limits:
    """What is left of the call's time and size."""

    seconds: float
    item_input: int
    item_output: int


class BatchApi:
    """Runs items one after the other; nothing ties them together."""

    def __init__(self, instance: Instance, answer: Answer) -> None:
        self.instance = instance
        self.answer = answer

    def handle(self, call: Call) -> Reply:
        if call.method != "POST":
            raise refusals.wrong_method(call.method)
        content = call.json_object()
        items = content.get("rest_requests")
        if not isinstance(items, list):
            raise Refusal(400, "Invalid batch request", "rest_requests is missing")
        options = self.instance.options
        asked = call.headers.get("x-batchrequest-max-output-size", "")
        output = int(asked) if asked.isdecimal() else options.batch_output_limit
        limits = Limits(options.batch_time_limit_s, options.batch_input_limit, output)
        serviced: list[dict[str, Any]] = []
        unserviced: list[str] = []
        reached = 0
        for item in cast("list[Any]", items):
            if not isinstance(item, dict):
                raise Refusal(400, "Invalid batch request", "rest_requests holds no objects")
            item_id = str(item.get("id", ""))
            done = None
            if limits.seconds >= options.record_latency_s:
                limits.seconds -= options.record_latency_s
                reached += 1
                done = self._item(call, item, item_id, limits)
            if done is None:
                unserviced.append(item_id)
            else:
                serviced.append(done)
        reply = json_reply(
            200,
            {
                "batch_request_id": str(content.get("batch_request_id", "")),
                "serviced_requests": serviced,
                "unserviced_requests": unserviced,
            },
        )
        reply.cost = reached
        return reply

    def _item(
        self, call: Call, item: dict[str, Any], item_id: str, limits: Limits
    ) -> dict[str, Any] | None:
        body = item.get("body") or ""
        if len(body) * 3 // 4 > limits.item_input:
            return None
        headers = {
            str(header.get("name", "")).lower(): str(header.get("value", ""))
            for header in item.get("headers") or ()
        }
        url = str(item.get("url", ""))
        path, _, query = url.partition("?")
        if not path.startswith("/"):
            path = "/" + path
        try:
            inner = Call(
                str(item.get("method", "GET")).upper(),
                path,
                query,
                headers,
                binascii.a2b_base64(body) if body else b"",
                call.session,
            )
            reply = self.answer(inner, item_id)
        except binascii.Error:
            reply = refused(Refusal(400, "Exception while reading request", "Body is not base64"))
        if reply is None or len(reply.body) > limits.item_output:
            return None
        shown: list[dict[str, str]] = []
        if not item.get("exclude_response_headers"):
            shown = [{"name": _title(name), "value": value} for name, value in reply.headers]
        return {
            "id": item_id,
            "body": base64.b64encode(reply.body).decode(),
            "status_code": reply.status,
            "status_text": STATUS_TEXTS.get(reply.status, ""),
            "headers": shown,
            "execution_time": int(self.instance.options.record_latency_s * 1000),
        }


def _title(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-"))


def item_count(body: bytes) -> int:
    """How many items a Batch call holds, to charge its time before it runs."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return 1
    items = content.get("rest_requests") if isinstance(content, dict) else None
    return max(1, len(items)) if isinstance(items, list) else 1
