"""What the simulated provider refuses, and how OpenAI's API says it.

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


class Refusal(Exception):
    """Raised by a route that will not answer; becomes an error answer with `status`."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code


def error_body(refusal: Refusal) -> bytes:
    """A whole error answer as JSON bytes."""
    value = error_object(refusal.status, refusal.message, param=refusal.param, code=refusal.code)
    return msgspec.json.encode({"error": value})
