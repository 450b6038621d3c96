"""The error tree. The type says whose fault it is; each carries a status, a stable code, and a text that is
safe to show.

ChatVaultError
├── ClientError            the request is at fault: 4xx, never retried as it is
│   ├── AuthenticationError    401
│   ├── PermissionDenied       403
│   ├── NotFound               404
│   ├── TooLarge               413, 431
│   ├── RateLimited            429, with a retry hint
│   │   └── BudgetExceeded
│   └── Timeout                408
├── UpstreamError          the provider is at fault: 502, 504
├── GatewayError           the gateway is at fault: 500
│   └── Unavailable            503, with a retry hint
└── OperatorError          the configuration or the machine is at fault; ends a command, never a call
    └── JournalError           the journal cannot be read or written
"""

from typing import ClassVar


class ChatVaultError(Exception):
    """`message` says what was wrong and what to do; `code` is listed in docs/errors.md; `param` names the
    field at fault.
    """

    status: ClassVar[int] = 500
    kind: ClassVar[str] = "gateway_error"
    """The `type` of OpenAI's error shape."""

    def __init__(
        self,
        message: str,
        *,
        code: str,
        param: str | None = None,
        status: int | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param
        self.http_status = status if status is not None else self.status
        self.retry_after = retry_after


class ClientError(ChatVaultError):
    status = 400
    kind = "invalid_request_error"


class AuthenticationError(ClientError):
    status = 401
    kind = "authentication_error"


class PermissionDenied(ClientError):
    status = 403
    kind = "permission_error"


class NotFound(ClientError):
    status = 404
    kind = "not_found_error"


class TooLarge(ClientError):
    status = 413


class RateLimited(ClientError):
    status = 429
    kind = "rate_limit_error"


class BudgetExceeded(RateLimited):
    kind = "insufficient_quota"


class Timeout(ClientError):
    status = 408
    kind = "timeout_error"


class UpstreamError(ChatVaultError):
    status = 502
    kind = "upstream_error"


class GatewayError(ChatVaultError):
    status = 500
    kind = "gateway_error"


class Unavailable(GatewayError):
    status = 503
    kind = "unavailable_error"


class OperatorError(ChatVaultError):
    kind = "operator_error"

    def __init__(self, message: str, *, code: str = "operator_error") -> None:
        super().__init__(message, code=code)


class JournalError(OperatorError):
    def __init__(self, message: str, *, code: str = "journal_unavailable") -> None:
        super().__init__(message, code=code)


def token_in_query() -> ClientError:
    """Of both ports."""
    return ClientError(
        "A token stands in the query string, where logs and histories keep it. Send it as 'Authorization: Bearer "
        "cv-...', and have this one revoked if others may have seen it.",
        code="token_in_query",
    )
