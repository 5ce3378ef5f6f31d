import base64
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import unquote

import pytest
import requests
from requests.auth import AuthBase
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError

from nsn_pipeline.clients.answers import Answer, masked
from nsn_pipeline.clients.http import Http
from nsn_pipeline.clients.retry import LocalLimiter, RetryPolicy
from nsn_pipeline.clients.tba import TbaAuth, TbaCredentials
from nsn_pipeline.clients.tokens import BearerAuth, Token, basic_auth
from nsn_pipeline.errors import (
    AuthenticationError,
    ConfigurationError,
    MissingTableError,
    NsnError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RequestRefusedError,
    ServerFaultError,
    ThrottledError,
    UnexpectedResponseError,
    UnreachableError,
)
from nsn_pipeline_tests.unit.clients.support import Reply, rig, servicenow_error, suiteql_error

OK = Reply(body={"result": []})
THROTTLED = Reply(429, b"Too Many Requests")
POOL = HTTPSConnectionPool("example.test")
NOT_CONNECTED = requests.ConnectionError(
    MaxRetryError(POOL, "/x", NewConnectionError(POOL._new_conn(), "refused"))
)
RESET = requests.ConnectionError(ProtocolError("Connection aborted.", ConnectionResetError(104)))
TIMED_OUT = requests.ReadTimeout("read timed out")


def get(http: Http):
    return http.request("GET", "/x", idempotent=True)


def post(http: Http):
    return http.request("POST", "/x", json={"a": 1}, idempotent=False)


@pytest.mark.parametrize(
    "failure",
    [
        THROTTLED,
        Reply(500, b"oops"),
        Reply(502, b""),
        Reply(503, b"<html>"),
        Reply(504, b""),
        Reply(408, b""),
        Reply(202, {"result": []}),
        Reply(200, b"<html><title>Login</title>"),
        Reply(200, b'{"result": [{"a": "b"'),
        Reply(200, b""),
        Reply(200, {"result": [], "error": {"message": "Transaction cancelled"}}),
        NOT_CONNECTED,
        RESET,
        TIMED_OUT,
    ],
    ids=str,
)
def test_a_read_survives_passing_failures(failure) -> None:
    r = rig([failure, failure, OK])
    assert get(r.http).status_code == 200
    assert r.slept == [1.0, 2.0]
    assert r.http.stats().retries == 2
    assert r.http.stats().calls == 3


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (THROTTLED, ThrottledError),
        (Reply(500, b"oops"), ServerFaultError),
        (TIMED_OUT, UnreachableError),
        (NOT_CONNECTED, UnreachableError),
    ],
    ids=["429", "500", "timeout", "no connection"],
)
def test_a_read_gives_up_with_the_kind_of_the_last_failure(failure, kind) -> None:
    r = rig([failure], attempts=3)
    with pytest.raises(kind):
        get(r.http)
    assert len(r.server.requests) == 3


@pytest.mark.parametrize(
    "failure",
    [
        RESET,
        TIMED_OUT,
        requests.exceptions.ChunkedEncodingError("cut"),
        Reply(500, b""),
        Reply(504, b""),
        Reply(202, {}),
        Reply(200, b"<html>"),
        Reply(201, b'{"result": {'),
    ],
    ids=str,
)
def test_a_write_whose_fate_is_open_is_not_sent_again(failure) -> None:
    r = rig([failure, OK])
    with pytest.raises(OutcomeUnknownError) as caught:
        post(r.http)
    assert len(r.server.requests) == 1
    assert caught.value.where is not None


@pytest.mark.parametrize(
    "failure",
    [
        NOT_CONNECTED,
        requests.ConnectTimeout("slow"),
        requests.exceptions.ProxyError("no"),
        THROTTLED,
    ],
    ids=["no connection", "connect timeout", "proxy", "429"],
)
def test_a_write_that_cannot_have_been_acted_on_is_sent_again(failure) -> None:
    r = rig([failure, Reply(201, {"result": {"sys_id": "1"}})])
    assert post(r.http).status_code == 201
    assert len(r.server.requests) == 2


@pytest.mark.parametrize(
    ("header", "expected"),
    [("7", 7.0), ("Mon, 12 Jan 1970 13:46:50 GMT", 10.0), ("Mon, 12 Jan 1970 13:00:00 GMT", 0.0)],
    ids=["seconds", "date", "date in the past"],
)
def test_retry_after_is_honoured(header, expected) -> None:
    r = rig([Reply(429, b"", {"Retry-After": header}), OK])
    get(r.http)
    assert r.slept == [expected]
    assert r.http.stats().throttled == 1


def test_unreadable_retry_after_falls_back_to_backoff() -> None:
    r = rig([Reply(503, b"", {"Retry-After": "soon"}), OK])
    get(r.http)
    assert r.slept == [1.0]


def test_retry_after_beyond_the_ceiling_is_handed_to_the_caller() -> None:
    r = rig([Reply(429, b"", {"Retry-After": "900"})])
    with pytest.raises(ThrottledError) as caught:
        get(r.http)
    assert caught.value.retry_after_s == 900
    assert r.slept == []


def test_a_hibernating_instance_is_named() -> None:
    page = b"<html><head><title>Instance Hibernating page</title>"
    r = rig([Reply(200, page, {"Content-Type": "text/html"})], attempts=1)
    with pytest.raises(ServerFaultError, match="hibernating"):
        get(r.http)


def test_a_list_cut_by_the_time_limit_is_named() -> None:
    words = b"Transaction cancelled: maximum execution time exceeded"
    body = b'{"result":[{"a":"b"},{"a"{"error":{"message":"' + words + b'"}}'
    r = rig([Reply(200, body)], attempts=1)
    with pytest.raises(ServerFaultError, match="maximum execution time"):
        get(r.http)


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (servicenow_error("Invalid table x_y", None, status=400), MissingTableError, "x_y"),
        (
            servicenow_error("No Record found", "hidden", status=404),
            RequestRefusedError,
            "No Record",
        ),
        (
            servicenow_error("User Not Authorized", "Failed API level ACL Validation", status=403),
            PermissionDeniedError,
            "ACL",
        ),
        (
            servicenow_error("Insufficient rights to query records", None, status=403),
            PermissionDeniedError,
            "may not exist",
        ),
        (
            servicenow_error(
                "Operation Failed",
                "ACL Exception Insert Failed due to security constraints",
                status=403,
            ),
            PermissionDeniedError,
            "security constraints",
        ),
        (
            suiteql_error("no", status=403, code="INSUFFICIENT_PERMISSION"),
            PermissionDeniedError,
            "INSUFF",
        ),
        (Reply(302, b"", {"Location": "https://login"}), UnexpectedResponseError, "login page"),
    ],
    ids=[
        "no table",
        "no record",
        "endpoint",
        "query right",
        "write right",
        "netsuite role",
        "redirect",
    ],
)
def test_permanent_answers_are_raised_at_once_in_the_vendors_words(reply, kind, words) -> None:
    r = rig([reply])
    with pytest.raises(kind, match=words):
        get(r.http)
    assert len(r.server.requests) == 1


@pytest.mark.parametrize(
    ("detail", "code"),
    [
        ("Data Policy Exception: The following fields are mandatory: Amount", "data_policy"),
        ("Operation against file 'T' was aborted by Business Rule 'X^1'", "business_rule"),
        ("Error during insert of proc_po (PO1)", "unique_key"),
        ("Unique Key violation detected by database", "unique_key"),
        ("something new", "operation_failed"),
    ],
)
def test_a_refused_write_is_no_lack_of_rights(detail, code) -> None:
    r = rig([servicenow_error("Operation Failed", detail, status=403)])
    with pytest.raises(RequestRefusedError) as caught:
        post(r.http)
    assert caught.value.code == code
    assert detail in caught.value.detail


def test_errors_say_where_and_which_request() -> None:
    r = rig([Reply(400, {"title": "Bad"}, {"X-N-OperationId": "op-77"})], system="netsuite")
    with pytest.raises(RequestRefusedError, match="netsuite GET /x HTTP 400 request op-77"):
        get(r.http)


def test_statuses_the_caller_judges_are_returned() -> None:
    r = rig([Reply(401, {"error": "invalid_client"})])
    response = r.http.request("POST", "/t", data={"a": "b"}, idempotent=True, returned=(401,))
    assert response.status_code == 401


def bearer(*values: str) -> BearerAuth:
    tokens = iter(values)
    return BearerAuth(lambda: Token(next(tokens), 2e9, 2e9), key="k", now=lambda: 0.0)


def test_a_refused_token_is_renewed_once_and_the_call_replayed() -> None:
    r = rig([Reply(401, {}), OK], auth=bearer("first", "second"))
    get(r.http)
    assert [q.headers["Authorization"] for q in r.server.requests] == [
        "Bearer first",
        "Bearer second",
    ]
    assert r.http.stats().renewals == 1
    assert r.slept == []


def test_a_write_is_replayed_after_a_refused_token() -> None:
    r = rig([Reply(401, {}), Reply(201, {"result": {}})], auth=bearer("first", "second"))
    assert post(r.http).status_code == 201


def test_a_second_401_lists_what_the_server_hides() -> None:
    body = {"error": {"message": "User Not Authenticated", "detail": "Required to provide Auth"}}
    r = rig([Reply(401, body)], auth=bearer("first", "second"))
    with pytest.raises(AuthenticationError) as caught:
        get(r.http)
    assert len(r.server.requests) == 2
    for cause in ("locked out", "Application User", "Basic"):
        assert cause in str(caught.value)


def test_credentials_that_cannot_be_renewed_are_not_tried_twice() -> None:
    r = rig([Reply(401, {})], system="netsuite", auth=requests.auth.HTTPBasicAuth("u", "p"))
    with pytest.raises(AuthenticationError, match="Login Audit Trail"):
        get(r.http)
    assert len(r.server.requests) == 1


def test_retries_of_the_token_endpoint_do_not_multiply() -> None:
    asked = []

    def fetch() -> Token:
        asked.append(1)
        raise ServerFaultError("token endpoint down")

    r = rig([OK], auth=BearerAuth(fetch, key="k"))
    with pytest.raises(ServerFaultError, match="token endpoint down"):
        get(r.http)
    assert len(asked) == 1


def test_secrets_stay_out_of_messages_and_reprs() -> None:
    echo = {
        "error": {
            "message": "bad token canary-token-1 for canary-secret-2",
            "detail": "canary-token-1",
        }
    }
    r = rig([Reply(400, echo)], auth=bearer("canary-token-1"))
    with pytest.raises(RequestRefusedError) as caught:
        r.http.request("POST", "/t", data={"client_secret": "canary-secret-2"}, idempotent=True)
    seen = (
        f"{caught.value} {caught.value!r} {caught.value.detail} {r.http!r} {bearer('canary-3')!r}"
    )
    assert "canary" not in seen
    assert "canary" not in repr(Token("canary-4", 0.0))
    assert "canary" not in repr(Answer(400, {}, b"canary-5"))


def tba(url: str = "") -> TbaAuth:
    keys = TbaCredentials("canary-ck/+", "canary-cs", "canary-tk", "canary-ts")
    return TbaAuth(keys, realm="1234567", nonce=lambda: "canary-nonce")


@pytest.mark.parametrize(
    "auth", [basic_auth("someone", 'canary:p"ss \u00fc'), tba()], ids=["basic", "token-based"]
)
@pytest.mark.parametrize("status", [400, 401, 403, 500])
def test_parts_of_a_login_that_a_server_echoes_stay_out_of_messages(auth, status: int) -> None:
    """A proxy that rejects a login may quote it decoded."""
    for kind in ("whole", "plain", "encoded", "decoded", "password"):
        told: list[str] = []

        def echo(request: requests.PreparedRequest, kind=kind, told=told) -> Reply:
            scheme, _, credential = request.headers["Authorization"].partition(" ")
            told[:] = parts_of(scheme, credential, kind)
            message = f"bad {' '.join(told)}!"
            return Reply(status, {"error": {"message": message, "detail": "no"}})

        with pytest.raises(NsnError) as caught:
            get(rig(echo, auth=auth).http)
        assert "canary" not in f"{caught.value} {caught.value!r}"
        assert all(part not in str(caught.value) for part in told)


def parts_of(scheme: str, credential: str, kind: str) -> list[str]:
    if kind == "whole":
        return [credential]
    if scheme == "Basic":
        login = base64.b64decode(credential).decode()
        return [login.partition(":")[2] if kind == "password" else login]
    fields = dict(re.findall(r'(oauth_\w+)="([^"]*)"', credential))
    secret = [fields[f"oauth_{name}"] for name in ("signature", "consumer_key", "token", "nonce")]
    return secret if kind in {"plain", "encoded"} else [unquote(value) for value in secret]


def test_a_request_under_way_does_not_show_its_secrets(monkeypatch) -> None:
    seen: list[str] = []
    r = rig([OK])
    send = r.http._send
    monkeypatch.setattr(r.http, "_send", lambda call: (seen.append(repr(call)), send(call))[1])
    r.http.request("POST", "/t", data={"client_secret": "canary-6"}, idempotent=True)
    assert "POST /t" in seen[0]
    assert "canary" not in seen[0]


def test_an_untrusted_certificate_is_a_setting_to_fix() -> None:
    error = requests.exceptions.SSLError(
        MaxRetryError(POOL, "/x", ssl.SSLCertVerificationError("self-signed"))
    )
    r = rig([error])
    with pytest.raises(ConfigurationError, match="NSN_CA_BUNDLE"):
        post(r.http)


def test_a_header_that_cannot_be_sent_is_not_quoted() -> None:
    class Broken(AuthBase):
        def __call__(self, r):
            raise requests.exceptions.InvalidHeader("canary\n")

    r = rig([OK], auth=Broken())
    with pytest.raises(ConfigurationError) as caught:
        get(r.http)
    assert "canary" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "url",
    [
        "http://acme.service-now.com",
        "acme",
        "https://u:p@acme.test",
        "https://:p@acme.test",
        "ftp://a",
        "https://[acme",
        "https://acme.test:abc",
        "https://admin:1/p@acme.test",
    ],
)
def test_credentials_only_travel_over_tls(url) -> None:
    with pytest.raises(ConfigurationError, match="https"):
        Http(system="servicenow", base_url=url)


def test_loopback_needs_neither_tls_nor_the_proxy(monkeypatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.test:3128")
    local = Http(system="servicenow", base_url="http://127.0.0.1:8080")
    remote = Http(system="servicenow", base_url="https://acme.test")
    assert local._fixed["proxies"] == {}
    assert remote._fixed["proxies"]["https"] == "http://proxy.test:3128"


class CookieServer(BaseHTTPRequestHandler):
    """Sets a cookie on every answer; promises more bytes than it sends under /cut."""

    cookies: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        self.cookies.append(self.headers.get("Cookie"))
        self.send_response(200)
        self.send_header("Set-Cookie", "JSESSIONID=abc; Path=/")
        self.send_header("Content-Length", "13" if self.path != "/cut" else "500")
        self.end_headers()
        self.wfile.write(b'{"result":[]}')

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def loopback() -> Iterator[str]:
    CookieServer.cookies.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), CookieServer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_cookies_are_never_kept(loopback) -> None:
    http = Http(system="servicenow", base_url=loopback)
    get(http)
    get(http)
    http.close()
    assert CookieServer.cookies == [None, None]


def test_a_body_shorter_than_announced_is_no_answer(loopback) -> None:
    http = Http(system="servicenow", base_url=loopback, policy=RetryPolicy(max_attempts=1))
    with pytest.raises(UnreachableError):
        http.request("GET", "/cut", idempotent=True)
    with pytest.raises(OutcomeUnknownError):
        http.request("GET", "/cut", idempotent=False)
    http.close()


def test_a_closed_port_is_known_not_to_have_seen_a_write() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    slept: list[float] = []
    http = Http(system="servicenow", base_url=f"http://127.0.0.1:{port}", sleep=slept.append)
    with pytest.raises(UnreachableError, match="no connection to 127"):
        post(http)
    assert len(slept) == 5


def test_each_try_holds_a_slot_but_no_wait_does() -> None:
    limiter = LocalLimiter(1)
    free_while_waiting = []

    def sleep(_: float) -> None:
        taken = threading.Event()

        def take() -> None:
            with limiter.slot():
                taken.set()

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        free_while_waiting.append(taken.wait(5))

    r = rig([Reply(503, b""), OK], limiter=limiter)
    r.http._sleep = sleep
    get(r.http)
    assert free_while_waiting == [True]


def test_a_token_that_is_quoted_cut_short_is_masked_beside_one_that_begins_alike() -> None:
    """Tokens are signed texts, too: their headers are all the same."""
    header = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9."
    sent, other = f"{header}canary-token-{'1' * 60}", f"{header}another-{'2' * 60}"
    words = f"bad token {sent[:70]}... (not {other[:45]}...), scope {sent[:10]}"
    assert masked(words, [other, sent]) == f"bad token ***... (not ***...), scope {sent[:10]}"
    assert masked(f"{sent}{sent[:40]}/{sent[:20]}", [sent]) == "******/***"
