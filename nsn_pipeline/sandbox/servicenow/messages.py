"""One request and one answer, the same for a call of its own and for an item of a Batch call."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qsl

import orjson

from nsn_pipeline.sandbox.servicenow.instance import Session
from nsn_pipeline.sandbox.servicenow.refusals import Refusal

JSON_BODY = ("content-type", "application/json;charset=UTF-8")


@dataclass(slots=True)
class Call:
    """An authenticated request. Header names are lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    session: Session
    _params: dict[str, str] | None = field(default=None)

    @property
    def params(self) -> dict[str, str]:
        """Query parameters; of a repeated one, the last counts."""
        if self._params is None:
            self._params = dict(parse_qsl(self.query, keep_blank_values=True)) if self.query else {}
        return self._params

    def flag(self, name: str) -> bool:
        return self.params.get(name, "").lower() == "true"

    def json_object(self) -> dict[str, Any]:
        """The body as an object. Of a list only the first element counts (2.4)."""
        kind = self.headers.get("content-type", "application/json")
        if "json" not in kind:
            raise Refusal(415, "Unsupported Media Type", f"The media type is not supported: {kind}")
        try:
            content: Any = orjson.loads(self.body)
        except orjson.JSONDecodeError as fault:
            detail = "The payload is not valid JSON."
            raise Refusal(400, "Exception while reading request", detail) from fault
        if isinstance(content, list):
            items = cast("list[Any]", content)
            content = items[0] if items else {}
        if not isinstance(content, dict):
            raise Refusal(400, "Exception while reading request", "The payload is not an object.")
        return cast("dict[str, Any]", content)

    def check_accept(self) -> None:
        accept = self.headers.get("accept", "")
        if (
            accept
            and "json" not in accept
            and "*/*" not in accept
            and "application/*" not in accept
        ):
            raise Refusal(406, "Not Acceptable", f"The media type is not supported: {accept}")


@dataclass(slots=True)
class Reply:
    """Status, body and headers; `cost` counts the records and sub-requests worked on."""

    status: int
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)
    cost: int = 1


def json_reply(status: int, content: Any, headers: list[tuple[str, str]] | None = None) -> Reply:
    return Reply(status, orjson.dumps(content), [JSON_BODY, *(headers or [])])


def refused(refusal: Refusal) -> Reply:
    return Reply(refusal.status, refusal.body(), [JSON_BODY])
