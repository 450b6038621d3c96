"""What is told of LiteLLM's errors: a status and OpenAI's error shape, by the type of the error."""

from typing import Any, Final

import msgspec

_LONGEST: Final = 2000


class Failure(msgspec.Struct, frozen=True):
    """`status` is HTTP's; the rest is OpenAI's error object."""

    status: int
    kind: str
    message: str
    code: str | None = None
    param: str | None = None
    retry_after: str | None = None

    def body(self) -> bytes:
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return msgspec.json.encode({"error": error})


_TYPES: Final = (
    ("ContextWindowExceededError", 400, "invalid_request_error", "context_length_exceeded"),
    ("ContentPolicyViolationError", 400, "invalid_request_error", "content_policy_violation"),
    ("UnsupportedParamsError", 400, "invalid_request_error", "unsupported_parameter"),
    ("LiteLLMUnknownProvider", 400, "invalid_request_error", "unknown_provider"),
    ("ImageFetchError", 400, "invalid_request_error", "url_not_fetched"),
    ("AuthenticationError", 401, "authentication_error", None),
    ("PermissionDeniedError", 403, "permission_error", None),
    ("NotFoundError", 404, "not_found_error", "model_not_found"),
    ("UnprocessableEntityError", 422, "invalid_request_error", None),
    ("RateLimitError", 429, "rate_limit_error", "rate_limit_exceeded"),
    ("BadRequestError", 400, "invalid_request_error", None),
    ("Timeout", 504, "timeout_error", "timeout"),
    # How a stream ends that breaks off after its beginning.
    ("MidStreamFallbackError", 502, "upstream_error", "stream_broken"),
    ("APIConnectionError", 502, "upstream_error", "connection_failed"),
    ("BadGatewayError", 502, "upstream_error", None),
    ("ServiceUnavailableError", 503, "upstream_error", None),
    ("InternalServerError", 500, "upstream_error", None),
    ("APIResponseValidationError", 502, "upstream_error", "bad_answer"),
    ("APIError", 500, "upstream_error", None),
)
"""The special before the general they are of (`litellm/exceptions.py`, 1.110, 2026-11)."""


def failure_of(error: Exception, module: Any, secrets: tuple[str, ...]) -> Failure | None:
    """None for an error that is none of `module`'s."""
    found = next((row for row in _TYPES if _is(error, row[0], module)), None)
    if found is None:
        return None
    name, status, kind, code = found
    if name == "APIError":
        said = getattr(error, "status_code", None)
        status = said if isinstance(said, int) and 400 <= said < 600 else status
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    return Failure(
        status,
        kind,
        _redacted(getattr(error, "message", None) or str(error), secrets),
        code,
        _text(getattr(error, "param", None)),
        _text(headers.get("retry-after")),
    )


def _is(error: Exception, name: str, module: Any) -> bool:
    kind = getattr(module.exceptions, name, None)
    return kind is not None and isinstance(error, kind)


def _redacted(message: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        message = message.replace(secret, "***")
    return message[:_LONGEST]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value.isprintable() else None
