"""Anthropic's stream inside Bedrock's: each message is a `chunk` whose `bytes` are one event of Anthropic's in base64
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ResponseStream.html, 2026-11). What comes out is
what Anthropic would have sent.
"""

import binascii
from base64 import b64decode
from typing import Final

import msgspec

from chatvault.wire.anthropic.errors import write_error, write_error_event
from chatvault.wire.bedrock.errors import failure, read_error
from chatvault.wire.bedrock.event_stream import Message, MessageReader
from chatvault.wire.hub.events import Failed


class _Chunk(msgspec.Struct):
    bytes: str


class _Event(msgspec.Struct):
    type: str


_MODEL_FAILED: Final = 424
_chunk: Final = msgspec.json.Decoder(_Chunk).decode
_event: Final = msgspec.json.Decoder(_Event).decode


class ChunkReader:
    """Bytes in, server-sent events out. `partial`: a message has begun and is not whole."""

    __slots__ = ("_messages",)

    def __init__(self) -> None:
        self._messages = MessageReader()

    @property
    def partial(self) -> bool:
        return self._messages.partial

    def feed(self, data: bytes) -> bytes:
        """Raises ValueError for what is no such stream, or a broken one."""
        return b"".join(map(_told, self._messages.feed(data)))


def _told(message: Message) -> bytes:
    failed = failure(message)
    if failed is not None:
        return write_error_event(_in_its_words(failed))
    if message.text(":event-type") != "chunk":
        return b""
    try:
        event = b64decode(_chunk(message.payload).bytes, validate=True)
        kind = _event(event).type
    except (msgspec.DecodeError, binascii.Error, RecursionError) as error:
        raise ValueError(f"a chunk of the stream holds no event of Anthropic's: {error}") from None
    # A line end can only stand between two tokens of JSON, and would end the line here.
    return b"event: %s\ndata: %s\n\n" % (_line(kind.encode(errors="replace")), _line(event))


def _line(text: bytes) -> bytes:
    return text.replace(b"\r", b" ").replace(b"\n", b" ")


def anthropic_error(status: int, body: bytes) -> bytes:
    """An error answer of Bedrock's, as Anthropic would have told it."""
    return write_error(_in_its_words(read_error(status, body)), status)


def _in_its_words(failed: Failed) -> Failed:
    """Its statuses mean the same there, but for the one of a model that failed by itself."""
    return msgspec.structs.replace(failed, kind="api_error") if failed.status == _MODEL_FAILED else failed
