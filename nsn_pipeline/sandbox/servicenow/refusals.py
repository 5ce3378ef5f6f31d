"""The instance's refusals, with the bodies that clients have recorded."""

import orjson

ABSENT = "Record doesn't exist or ACL restricts the record retrieval"


class Refusal(Exception):  # noqa: N818  # not an error of ours: an answer of the instance
    """An answer other than success: status, message, detail."""

    def __init__(self, status: int, message: str, detail: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.detail = detail

    def body(self) -> bytes:
        error = {"message": self.message, "detail": self.detail}
        return orjson.dumps({"error": error, "status": "failure"})


def not_authenticated() -> Refusal:
    return Refusal(401, "User Not Authenticated", "Required to provide Auth information")


def endpoint_denied() -> Refusal:
    return Refusal(403, "User Not Authorized", "Failed API level ACL Validation")


def no_record() -> Refusal:
    return Refusal(404, "No Record found", ABSENT)


def invalid_table(name: str) -> Refusal:
    return Refusal(400, f"Invalid table {name}")


def unknown_path(path: str) -> Refusal:
    return Refusal(400, f"Requested URI does not represent any resource: {path}")


def wrong_method(method: str) -> Refusal:
    return Refusal(405, "Method Not Allowed", f"The requested resource does not support {method}")


def query_forbidden() -> Refusal:
    return Refusal(
        403,
        "Insufficient rights to query records",
        "Field(s) present in the query do not have permission to be read",
    )


def acl_denied(operation: str) -> Refusal:
    return operation_failed(
        f"ACL Exception {operation.capitalize()} Failed due to security constraints"
    )


def operation_failed(detail: str) -> Refusal:
    return Refusal(403, "Operation Failed", detail)
