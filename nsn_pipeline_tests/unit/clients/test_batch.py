import base64

import orjson
import pytest

from nsn_pipeline.clients.batch import BatchItem, decode, encode
from nsn_pipeline.errors import (
    AuthenticationError,
    MissingTableError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RequestRefusedError,
    ServerFaultError,
    ThrottledError,
    UnexpectedResponseError,
    Where,
)

WHERE = Where("servicenow", "POST /api/now/v1/batch", 200, "tx-1")
READ = BatchItem("r", "GET", "/api/now/table/t?sysparm_limit=1")
WRITE = BatchItem("w", "POST", "/api/now/table/t", {"name": "Ünï"})


def serviced(key, status, body=None, **more):
    raw = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
    return {"id": key, "status_code": status, "body": base64.b64encode(raw).decode(), **more}


def replies(answers, items, *, unserviced=(), batch_id="b"):
    body = {"batch_request_id": "b", "serviced_requests": answers}
    content = orjson.dumps({**body, "unserviced_requests": list(unserviced)})
    return decode(content, items, batch_id=batch_id, where=WHERE, now=0.0)


def error_body(message, detail):
    return {"error": {"message": message, "detail": detail}, "status": "failure"}


def test_items_are_written_as_documented() -> None:
    body = orjson.loads(encode("b", [READ, WRITE]))
    assert body["batch_request_id"] == "b"
    read, write = body["rest_requests"]
    accept = {"name": "Accept", "value": "application/json"}
    assert read == {
        "id": "r",
        "method": "GET",
        "url": "/api/now/table/t?sysparm_limit=1",
        "headers": [accept],
        "exclude_response_headers": False,
    }
    assert write["headers"] == [accept, {"name": "Content-Type", "value": "application/json"}]
    assert orjson.loads(base64.b64decode(write["body"])) == {"name": "Ünï"}


def test_a_refusal_that_echoes_our_credentials_is_passed_on_without_them() -> None:
    said = error_body("Bearer canary", "aborted by Business Rule 'canary^'; canary")
    content = orjson.dumps(
        {"batch_request_id": "b", "serviced_requests": [serviced("w", 403, said)]}
    )
    reply = decode(content, [WRITE], batch_id="b", where=WHERE, now=0.0, secrets=("canary", ""))[0]
    assert isinstance(reply.error, RequestRefusedError)
    assert "Business Rule" in str(reply.error)
    for told in (str(reply.error), reply.error.detail, repr(reply.body)):
        assert "canary" not in told


def test_an_echoed_credential_is_found_however_json_escapes_it() -> None:
    secret = "c2VjcmV0/abc=="
    escaped = rb'{"error": {"message": "no", "detail": "got c2VjcmV0\/abc\u003d\u003d"}}'
    content = orjson.dumps(
        {"batch_request_id": "b", "serviced_requests": [serviced("w", 403, escaped)]}
    )
    reply = decode(content, [WRITE], batch_id="b", where=WHERE, now=0.0, secrets=(secret,))[0]
    assert "got ***" in str(reply.error)
    assert secret not in repr(reply)
    assert reply.body == {"error": {"message": "no", "detail": "got ***"}}


def test_ids_must_differ() -> None:
    with pytest.raises(ValueError, match="differ"):
        encode("b", [READ, READ])


def test_replies_follow_the_items_whatever_order_they_came_in() -> None:
    answers = [serviced("w", 201, {"result": {"sys_id": "1"}}), serviced("r", 200, {"result": []})]
    found = replies(answers, [READ, WRITE])
    assert [(reply.id, reply.status, reply.error) for reply in found] == [
        ("r", 200, None),
        ("w", 201, None),
    ]
    assert found[1].body == {"result": {"sys_id": "1"}}


def test_numeric_ids_and_text_status_are_understood() -> None:
    item = BatchItem("7", "GET", "/x")
    assert replies([serviced(7, "200", {"result": []})], [item])[0].status == 200
    assert replies([], [item], unserviced=[7])[0].error is None


def test_the_total_of_a_list_is_read_from_its_header() -> None:
    headers = [{"name": "x-total-count", "value": "42"}]
    assert replies([serviced("r", 200, {"result": []}, headers=headers)], [READ])[0].total == 42


def test_an_item_not_run_has_neither_status_nor_error() -> None:
    reply = replies([], [WRITE], unserviced=["w"])[0]
    assert (reply.status, reply.error) == (None, None)


def test_an_item_nobody_mentions_may_have_been_run() -> None:
    reply = replies([], [WRITE])[0]
    assert reply.status is None
    assert isinstance(reply.error, OutcomeUnknownError)


FAILED = "Operation Failed"


@pytest.mark.parametrize(
    ("detail", "code"),
    [
        ("Data Policy Exception: The following fields are mandatory: Amount", "data_policy"),
        ("Operation against file 'T' was aborted by Business Rule 'A^1'", "business_rule"),
        ("Error during insert of t (x)", "unique_key"),
    ],
    ids=["policy", "rule", "unique"],
)
def test_refused_content_is_told_in_servicenows_words(detail, code) -> None:
    reply = replies([serviced("w", 403, error_body(FAILED, detail))], [WRITE])[0]
    assert type(reply.error) is RequestRefusedError
    assert reply.error.code == code
    assert reply.error.detail == f"{FAILED}: {detail}"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (403, error_body(FAILED, "ACL Exception Insert Failed"), PermissionDeniedError),
        (404, error_body("No Record found", "ACL restricts"), RequestRefusedError),
        (400, error_body("Invalid table u_x", None), MissingTableError),
        (401, error_body("User Not Authenticated", None), AuthenticationError),
        (429, error_body("Rate limit exceeded", None), ThrottledError),
        (500, error_body("Transaction cancelled", None), OutcomeUnknownError),
        (202, {"result": {}}, OutcomeUnknownError),
        (201, b'{"result": {"a', OutcomeUnknownError),
        (201, None, OutcomeUnknownError),
        (200, {"error": {"message": "maximum execution time exceeded"}}, OutcomeUnknownError),
    ],
    ids=["acl", "404", "table", "401", "429", "500", "202", "cut", "empty", "error in 200"],
)
def test_each_write_is_judged_on_its_own(status, body, kind) -> None:
    reply = replies([serviced("w", status, body)], [WRITE])[0]
    assert type(reply.error) is kind
    assert reply.status == status


def test_a_failed_read_is_a_passing_fault() -> None:
    reply = replies([serviced("r", 500, error_body("x", None))], [READ])[0]
    assert type(reply.error) is ServerFaultError


def test_errors_name_the_item_and_the_outer_request() -> None:
    reply = replies([serviced("w", 404, error_body("No Record found", None))], [WRITE])[0]
    assert "POST /api/now/table/t HTTP 404 request tx-1" in str(reply.error)


@pytest.mark.parametrize(
    "answers",
    [[serviced("stranger", 200, {})], [serviced("r", 200, {}), serviced("r", 200, {})], ["text"]],
    ids=["stranger", "twice", "no object"],
)
def test_an_answer_that_cannot_be_matched_is_refused(answers) -> None:
    with pytest.raises(UnexpectedResponseError):
        replies(answers, [READ])


def test_an_answer_to_another_batch_is_refused() -> None:
    with pytest.raises(UnexpectedResponseError, match="another batch"):
        replies([], [READ], batch_id="other")
