"""The error answers of NetSuite's REST services (docs/facts/netsuite.md 4.6)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

_RFC9110 = "https://www.rfc-editor.org/rfc/rfc9110.html"
_SECTIONS = {
    400: "15.5.1",
    401: "15.5.2",
    403: "15.5.4",
    404: "15.5.5",
    405: "15.5.6",
    406: "15.5.7",
    409: "15.5.10",
    415: "15.5.16",
    500: "15.6.1",
}


class NetSuiteError(Exception):
    """A refusal on its way to the client: status, `o:errorCode`, detail and where the fault is."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        where: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        title: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.where = dict(where or {})
        self.headers = dict(headers or {})
        self.title = title

    def body(self) -> dict[str, Any]:
        """The JSON body."""
        section = _SECTIONS.get(self.status)
        return {
            "type": f"{_RFC9110}#section-{section}" if section else _RFC9110,
            "title": self.title or HTTPStatus(self.status).phrase,
            "status": self.status,
            "o:errorDetails": [
                {"detail": self.detail, **self.where, "o:errorCode": self.code},
            ],
        }


_QUERY = "Invalid search query. Detailed unprocessed description follows."


def query_error(text: str) -> NetSuiteError:
    """A refused SuiteQL statement."""
    return NetSuiteError(
        400, "INVALID_PARAMETER", f"{_QUERY} {text}", where={"o:errorQueryParam": "q"}
    )


def unsupported(why: str = "") -> NetSuiteError:
    """The catch-all refusal; `why` stays out of the wire text: NetSuite does not say it."""
    error = query_error("Search error occurred: Invalid or unsupported search.")
    if why:
        error.add_note(why)
    return error


def unknown_identifier(name: str, available: Mapping[str, str]) -> NetSuiteError:
    """A column or alias that is not there; `available` maps alias to table."""
    known = ", ".join(f"{alias}={table}" for alias, table in available.items())
    return query_error(
        f"Search error occurred: Unknown identifier '{name}'. "
        f"Available identifiers are: {{{known}}}."
    )


def not_exposed(column: str, table: str) -> NetSuiteError:
    """A column that exists but not for this channel."""
    return query_error(
        f"Search error occurred: Field '{column}' for record '{table}' was not found. "
        "Reason: NOT_EXPOSED - Not available for channel SEARCH"
    )


def unknown_table(name: str) -> NetSuiteError:
    """A table NetSuite does not know."""
    return query_error(f"Invalid search type: {name}.")


def hidden_table(name: str) -> NetSuiteError:
    """A table that the role may not see, or whose feature is off: a 400, not a 403."""
    return query_error(f"Search error occurred: Record '{name}' was not found.")


def bad_parameter(name: str, detail: str) -> NetSuiteError:
    """A refused query parameter such as `limit`."""
    return NetSuiteError(400, "INVALID_PARAMETER", detail, where={"o:errorQueryParam": name})


def bad_login(challenge: str) -> NetSuiteError:
    """The one answer to every failed login."""
    return NetSuiteError(
        401,
        "INVALID_LOGIN",
        "Invalid login attempt. For more details, see the Login Audit Trail in the NetSuite UI.",
        headers={"WWW-Authenticate": challenge},
    )


def too_many_requests() -> NetSuiteError:
    """The account-wide pool is full; no Retry-After is documented, so none is sent."""
    return NetSuiteError(
        429,
        "CONCURRENCY_LIMIT_EXCEEDED",
        "Concurrent request limit exceeded. Request blocked.",
        title="Bad Request",
    )


def unexpected(error_id: str) -> NetSuiteError:
    """NetSuite's own fault."""
    return NetSuiteError(
        500, "UNEXPECTED_ERROR", f"An unexpected error occurred. Error ID: {error_id}"
    )
