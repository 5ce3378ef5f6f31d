"""The envelope of ServiceNow's Batch API: many requests in one call, each judged on its own.

Pure. The outer answer is 200 even when items fail; an item may come back run, listed as not run
(the call's 30 s or size limit was reached), or not at all (docs/facts/servicenow.md 3).
"""

import base64
import binascii
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import orjson
from requests.structures import CaseInsensitiveDict

from nsn_pipeline.clients.answers import Answer, judge, masked, unknown_if_unsafe
from nsn_pipeline.errors import NsnError, OutcomeUnknownError, UnexpectedResponseError, Where

_READS = frozenset({"GET"})
_DONE = frozenset({200, 201})
_NO_HEADERS: CaseInsensitiveDict[str] = CaseInsensitiveDict()
_ACCEPT = [{"name": "Accept", "value": "application/json"}]
_ACCEPT_AND_TYPE = [*_ACCEPT, {"name": "Content-Type", "value": "application/json"}]


class BatchItem(NamedTuple):
    """One request inside a batch. `url` is relative and carries its query string."""

    id: str
    method: str
    url: str
    body: dict[str, Any] | None = None

    @property
    def is_read(self) -> bool:
        return self.method.upper() in _READS


class BatchReply(NamedTuple):
    """What became of one item.

    `status` None and no error: not run, send it again. `status` None and an OutcomeUnknownError:
    the answer does not mention it. Otherwise `error` is None for a success, and `body` is the
    parsed JSON in either case. `total` is the X-Total-Count of a list that was read, `took_s` the
    time of the whole call, waiting for a place not included.
    """

    id: str
    status: int | None
    body: Any = None
    error: NsnError | None = None
    total: int | None = None
    took_s: float = 0.0


def encode(batch_id: str, items: Sequence[BatchItem]) -> bytes:
    """Write the request; ids must differ, as answers are matched by them alone."""
    if len({item.id for item in items}) != len(items):
        raise ValueError("the ids of a batch must differ")
    requests = [_encoded(item) for item in items]
    return orjson.dumps({"batch_request_id": batch_id, "rest_requests": requests})


def decode(
    content: bytes,
    items: Sequence[BatchItem],
    *,
    batch_id: str,
    where: Where,
    now: float,
    took_s: float = 0.0,
    secrets: Collection[str] = (),
) -> list[BatchReply]:
    """Read the answer: one reply per item, in the order of `items`.

    `secrets` are taken out of refusals, which are quoted to people.
    """
    data = orjson.loads(content)
    serviced = data.get("serviced_requests") if isinstance(data, dict) else None
    if not isinstance(serviced, list):
        raise UnexpectedResponseError("not a batch answer: no serviced_requests", where=where)
    echoed = str(data.get("batch_request_id", batch_id))
    if echoed != batch_id:
        raise UnexpectedResponseError("the answer belongs to another batch", where=where)
    answers = _by_id(serviced, items, where)
    not_run = {_id_of(entry) for entry in data.get("unserviced_requests") or ()}
    return [
        _reply(item, entry, where, now, took_s, secrets)
        if (entry := answers.get(item.id)) is not None
        else _unanswered(item, item.id in not_run, where, took_s)
        for item in items
    ]


def _encoded(item: BatchItem) -> dict[str, Any]:
    request: dict[str, Any] = {
        "id": item.id,
        "method": item.method,
        "url": item.url,
        "headers": _ACCEPT,
        "exclude_response_headers": not item.is_read,  # lists tell their total in a header
    }
    if item.body is not None:
        request["headers"] = _ACCEPT_AND_TYPE
        request["body"] = base64.b64encode(orjson.dumps(item.body)).decode()
    return request


def _by_id(
    serviced: Iterable[Any], items: Sequence[BatchItem], where: Where
) -> dict[str, Mapping[str, Any]]:
    asked = {item.id for item in items}
    found: dict[str, Mapping[str, Any]] = {}
    for entry in serviced:
        key = _id_of(entry)
        if not isinstance(entry, dict) or key not in asked or key in found:
            raise UnexpectedResponseError(
                "the batch answer names an item that was not asked for, or one twice", where=where
            )
        found[key] = entry
    return found


def _id_of(entry: Any) -> str:
    return str(entry.get("id", "") if isinstance(entry, dict) else entry)


def _unanswered(item: BatchItem, not_run: bool, outer: Where, took_s: float) -> BatchReply:
    if not_run:
        return BatchReply(item.id, None, took_s=took_s)
    lost = OutcomeUnknownError(
        "the batch answer does not mention this item", where=_at(item, outer)
    )
    return BatchReply(item.id, None, error=lost, took_s=took_s)


def _reply(  # noqa: PLR0917
    item: BatchItem,
    entry: Mapping[str, Any],
    outer: Where,
    now: float,
    took_s: float,
    secrets: Collection[str],
) -> BatchReply:
    status = _integer(entry.get("status_code"))
    if status is None:
        lost = OutcomeUnknownError("the batch answer gives no status", where=_at(item, outer))
        return BatchReply(item.id, None, error=lost, took_s=took_s)
    content = _content(entry.get("body"))
    body = _parsed(content)
    listed = entry.get("headers")
    headers = _headers(listed) if listed else _NO_HEADERS
    total = _integer(headers.get("X-Total-Count")) if listed else None
    if status in _DONE and isinstance(body, dict) and not body.get("error"):
        return BatchReply(item.id, status, body, None, total, took_s)  # what `judge` says too
    where = replace(_at(item, outer), status=status, request_id=outer.request_id)
    error = judge(Answer(status, headers, content), where, now=now, secrets=secrets)
    if error is not None and not item.is_read:
        error = unknown_if_unsafe(error)
    return BatchReply(item.id, status, _without(body, secrets), error, total, took_s)


def _at(item: BatchItem, outer: Where) -> Where:
    return Where(outer.system, f"{item.method} {item.url.partition('?')[0]}")


def _content(body: Any) -> bytes:
    try:
        return binascii.a2b_base64(body or "", strict_mode=True)
    except (binascii.Error, TypeError, ValueError):
        return b""


def _without(value: Any, secrets: Collection[str]) -> Any:
    """Parsed JSON with the secrets masked; in raw JSON they may be escaped in many ways."""
    if isinstance(value, str):
        return masked(value, secrets)
    if isinstance(value, dict):
        return {_without(key, secrets): _without(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [_without(item, secrets) for item in value]
    return value


def _parsed(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None


def _headers(listed: Any) -> CaseInsensitiveDict[str]:
    headers: CaseInsensitiveDict[str] = CaseInsensitiveDict()
    for entry in listed or ():
        if isinstance(entry, dict):
            headers[str(entry.get("name", ""))] = str(entry.get("value", ""))
    return headers


def _integer(value: Any) -> int | None:
    if type(value) is int:
        return value
    try:
        return int(value)
    except (TypeError, ValueError):
        return None
