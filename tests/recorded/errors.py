"""A recorded error, told in another dialect: the official library raises it with the same status, type, code
and message."""

import json
from typing import Final

from chatvault.wire.hub.conversation import Conversation
from chatvault.wire.hub.events import AnyEvent, Failed
from tests.recorded.clients import Client, Refused
from tests.recorded.exchanges import DIALECTS, SOURCES, Exchange

WITHOUT_TYPE: Final = frozenset(("ollama.chat",))
"""Dialects whose library shows the message alone."""


def is_error(exchange: Exchange) -> bool:
    return bool(exchange.response_body) and exchange.status >= 400


def judge(source: str, exchange: Exchange, target: str, client: Client) -> list[str]:
    error = SOURCES[source].read_error(exchange.status, exchange.body)
    body = DIALECTS[target].write_error(error, exchange.status)
    try:
        client.whole(body, status=exchange.status)
    except Refused as refused:
        wrong = compared(refused, error, exchange.status)
        if target in WITHOUT_TYPE:
            told = json.loads(body)
            wrong = compared(
                Refused(refused.status, refused.message, told.get("type"), told.get("code")),
                error,
                exchange.status,
            )
        return wrong + _original(exchange, error)
    except Exception as other:  # whatever a library raises is a failure
        return [f"{type(other).__name__}: {other}"]
    return ["it was taken for an answer"]


def compared(refused: Refused, error: Failed, status: int) -> list[str]:
    wrong: list[str] = []
    if refused.status != status:
        wrong.append(f"status: {refused.status} for {status}")
    if refused.message != error.message:
        wrong.append(f"message: {refused.message[:80]!r} for {error.message[:80]!r}")
    if error.kind is not None and refused.kind != error.kind:
        wrong.append(f"type: {refused.kind} for {error.kind}")
    if error.code is not None and refused.code is not None and str(refused.code) != error.code:
        wrong.append(f"code: {refused.code} for {error.code}")
    if error.code is not None and refused.code is None:
        wrong.append(f"code: none for {error.code}")
    return wrong


def _original(exchange: Exchange, error: Failed) -> list[str]:
    """What the provider said is what was read, by other means than ours."""
    try:
        value = json.loads(exchange.body)
    except ValueError:
        return []
    value = value[0] if isinstance(value, list) and value else value
    inner = value.get("error") if isinstance(value, dict) else None
    said = inner.get("message") if isinstance(inner, dict) else inner
    return (
        []
        if not isinstance(said, str) or not said or said == error.message
        else ["message: not the provider's"]
    )


def judge_in_stream(said: list[list[AnyEvent]], failed: Failed, target: str, client: Client) -> list[str]:
    """A client in the middle of a stream hears of the error, and of no end."""
    writer = DIALECTS[target]
    asked = Conversation(model="m", messages=(), stream=True, stream_usage=True, origin=target)
    telling = writer.stream_writer(asked, model="m")
    before: list[AnyEvent] = []
    for event in (event for batch in said for event in batch):
        if event is failed:
            break
        before.append(event)
    body = telling.feed(before) + writer.write_error_event(failed)
    try:
        client.stream(body)
    except Refused as refused:
        return [] if refused.message == failed.message else [f"message: {refused.message[:80]!r}"]
    except Exception as other:
        return [] if failed.message in str(other) else [f"{type(other).__name__}: {str(other)[:200]}"]
    return ["it was taken for a whole answer"]
