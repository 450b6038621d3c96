"""The outermost layer of the control plane: a request id on every answer, bounded bodies, one shape of
errors."""

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from chatvault.access.credential import in_query
from chatvault.core.errors import ChatVaultError, GatewayError, OperatorError, TooLarge, token_in_query
from chatvault.core.ids import new_id
from chatvault.wire.openai.errors import error_body

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY: Final = 256 << 10
"""Bytes of a request's body; nothing that is asked here is anywhere near."""

_log = logging.getLogger(__name__)


class Edge:
    """An ASGI application around another."""

    def __init__(self, inner: App) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request_id = scope["chatvault.request_id"] = new_id()
        started = ended = False
        taken = 0

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MAX_BODY:
                raise TooLarge(f"A request's body may hold {MAX_BODY} bytes here.", code="body_too_large")
            return message

        async def marked(message: Message) -> None:
            nonlocal started, ended
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [
                    *message.get("headers", []),
                    (b"x-request-id", request_id.encode()),
                    (b"cache-control", b"no-store"),
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)
            ended = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            if in_query(scope.get("query_string", b"")):
                raise token_in_query()
            await self._inner(scope, bounded, marked)
        except ChatVaultError as error:
            if started:
                raise
            await send_error(marked, error)
        except Exception:  # border: one request's failure, not the server's
            _log.exception("The request %s failed", request_id)
            if ended:  # the framework has answered, in our words (`api.create_app`)
                return
            if started:  # the answer is cut short, and the server closes the connection: the client can tell
                raise
            await send_error(marked, failed(request_id))


def failed(request_id: str) -> GatewayError:
    """What is said of a failure that nobody foresaw."""
    return GatewayError(
        f"The control plane failed at this request; its log has the reason under {request_id}.",
        code="internal_error",
    )


def headers_of(error: ChatVaultError) -> list[tuple[bytes, bytes]]:
    """The fields that go with an error."""
    fields = [(b"content-type", b"application/json")]
    if error.http_status == 401:
        fields.append((b"www-authenticate", b"Bearer"))
    if error.retry_after is not None:
        fields.append((b"retry-after", b"%d" % error.retry_after))
    return fields


async def send_error(send: Send, error: ChatVaultError) -> None:
    body = error_body(error)
    fields = [*headers_of(error), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status_of(error), "headers": fields})
    await send({"type": "http.response.body", "body": body})


def status_of(error: ChatVaultError) -> int:
    """What the operator has to mend (a full disk, a locked database) is 503 to whoever asks."""
    return 503 if isinstance(error, OperatorError) else error.http_status
