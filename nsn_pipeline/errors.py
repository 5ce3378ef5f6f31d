"""One exception tree, grouped by what the caller should do.

NsnError
  ConfigurationError     fix the settings; raised before any work starts
  TransientError         wait and try again
    ThrottledError         the vendor asks us to slow down (`retry_after_s`)
    NotSentError           it never got its turn: nothing was sent
    UnreachableError       no connection, or no answer to a request that can be repeated
    ServerFaultError       5xx, HTML in place of JSON, a hibernating instance
  OutcomeUnknownError    a write may have landed: look it up by key before sending it again
  PermanentError         stop this record type and tell someone
    AuthenticationError    credentials refused after one renewal
    PermissionDeniedError  the account or role may not do this
    RequestRefusedError    the vendor refused the content of this request
      MissingColumnError     a SuiteQL column is unknown or hidden in this account
      MissingTableError      a table is absent, or hidden by role or feature
    UnexpectedResponseError  an answer that breaks the vendor's contract

A bad record is a value (`conform.reasons.Problem`), never an exception. Messages hold no tokens
and no bodies.
"""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Where:
    """Which call failed: enough to find it in the vendor's logs, and nothing secret."""

    system: str
    operation: str
    status: int | None = None
    request_id: str | None = None

    def __str__(self) -> str:
        parts = [self.system, self.operation]
        if self.status is not None:
            parts.append(f"HTTP {self.status}")
        if self.request_id:
            parts.append(f"request {self.request_id}")
        return " ".join(parts)


class NsnError(Exception):
    """Root of every error this package raises on purpose."""

    def __init__(self, message: str, *, where: Where | None = None) -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.message = message
        self.where = where

    def advised(self, remedy: str) -> Self:
        """The same error, which also says what to do about it."""
        self.message = f"{self.message}. {remedy}"
        self.args = (f"{self.args[0]}. {remedy}",)
        return self


class ConfigurationError(NsnError):
    """Settings, profile or mapping files must be changed before anything can run."""


class TransientError(NsnError):
    """Worth trying again later; `retry_after_s` is the vendor's own advice, in seconds."""

    def __init__(
        self, message: str, *, where: Where | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message, where=where)
        self.retry_after_s = retry_after_s


class ThrottledError(TransientError):
    """HTTP 429: too many requests in flight or per hour."""


class NotSentError(TransientError):
    """Nothing was sent: says nothing of the vendor, and leaves nothing to look up."""


class UnreachableError(TransientError):
    """No connection, or the connection broke on a request that is safe to repeat."""


class ServerFaultError(TransientError):
    """The server failed: 5xx, a truncated body, or HTML where JSON was asked for."""


class OutcomeUnknownError(NsnError):
    """A write was sent and its answer never arrived: it may or may not have happened."""


class PermanentError(NsnError):
    """Trying again changes nothing; a person has to act."""


class AuthenticationError(PermanentError):
    """Credentials refused, also after one renewal; `code` and `said` are the vendor's own words."""

    def __init__(
        self, message: str, *, where: Where | None = None, code: str = "", said: str = ""
    ) -> None:
        super().__init__(message, where=where)
        self.code = code
        self.said = said

    def again(self) -> "AuthenticationError":
        """The same, to be raised by another thread."""
        return AuthenticationError(self.message, where=self.where, code=self.code, said=self.said)


class PermissionDeniedError(PermanentError):
    """The role or user may not do this."""


class RequestRefusedError(PermanentError):
    """The vendor refused the content; `code` and `detail` are the vendor's own words."""

    def __init__(
        self, message: str, *, where: Where | None = None, code: str = "", detail: str = ""
    ) -> None:
        super().__init__(message, where=where)
        self.code = code
        self.detail = detail


class MissingColumnError(RequestRefusedError):
    """A SuiteQL column that this account does not have or does not show; `name` says which."""

    def __init__(self, message: str, *, name: str, where: Where | None = None) -> None:
        super().__init__(message, where=where, code="INVALID_PARAMETER", detail=message)
        self.name = name


class MissingTableError(RequestRefusedError):
    """A table that does not exist here, or that the role or a disabled feature hides."""

    def __init__(self, message: str, *, name: str, where: Where | None = None) -> None:
        super().__init__(message, where=where, code="INVALID_PARAMETER", detail=message)
        self.name = name


class UnexpectedResponseError(PermanentError):
    """The vendor's answer does not have the shape its contract promises."""
