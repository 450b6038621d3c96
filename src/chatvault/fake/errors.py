"""What the simulated provider refuses, in OpenAI's error shape.

Exception
└── Refusal        the request cannot be answered: a status and an error object
"""

import msgspec

TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "requests"}
CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


def error_object(
    status: int, message: str, *, param: str | None = None, code: str | None = None
) -> dict[str, object]:
    """The value of `error`: its type follows the status, and so does its code unless one is given."""
    kind = TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"message": message, "type": kind, "param": param, "code": code or CODES.get(status)}


def error_body(status: int, message: str, *, param: str | None = None, code: str | None = None) -> bytes:
    """A whole error answer as JSON bytes."""
    return msgspec.json.encode({"error": error_object(status, message, param=param, code=code)})


class Refusal(Exception):
    """Raised by a route that will not answer; becomes an error answer with `status`."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = error_body(status, message, param=param, code=code)
