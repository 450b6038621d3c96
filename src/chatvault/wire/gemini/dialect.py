"""`gemini.generate` as a dialect of the hub."""

from collections.abc import Iterable
from typing import Final

from chatvault.core.errors import ChatVaultError
from chatvault.core.usage import Usage
from chatvault.wire.gemini import errors, request_reader, request_writer
from chatvault.wire.gemini.names import DIALECT
from chatvault.wire.gemini.reply_reader import ReplyReader
from chatvault.wire.gemini.reply_writer import whole
from chatvault.wire.gemini.stream import GeminiStreamReader, GeminiStreamWriter
from chatvault.wire.gemini.usage import normalise, retell
from chatvault.wire.hub.conversation import Conversation
from chatvault.wire.hub.dialect import ConversationDialect
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.events import AnyEvent, Failed
from chatvault.wire.json_value import decode, encode


class GeminiGenerate:
    """`array`: the client asked for a stream without `alt=sse`, which is one JSON array."""

    name = DIALECT

    def __init__(self, *, array: bool = False) -> None:
        self._array = array
        self.stream_type = b"application/json; charset=UTF-8" if array else b"text/event-stream"

    def read_request(
        self, body: bytes, *, model: str | None = None, stream: bool | None = None
    ) -> Conversation:
        return request_reader.read_request(body, model=model, stream=stream)

    def write_request(self, conversation: Conversation, dropped: Dropped) -> bytes:
        return request_writer.write_request(conversation, dropped)

    def request_path(self, conversation: Conversation) -> bytes:
        return request_writer.request_path(conversation)

    def read_reply(self, body: bytes) -> list[AnyEvent]:
        """A whole reply; a stream's array that was taken for one is read, too."""
        value, reader = decode(body), ReplyReader()
        out: list[AnyEvent] = []
        for chunk in value if isinstance(value, list) else [value]:
            out += reader.chunk(chunk)
        return out + reader.finish(whole=True)

    def write_reply(
        self, events: Iterable[AnyEvent], *, model: str, conversation: Conversation | None = None
    ) -> bytes:
        """Nothing of the conversation is repeated."""
        return encode(whole(events, model))

    def stream_reader(self) -> GeminiStreamReader:
        return GeminiStreamReader()

    def stream_writer(self, conversation: Conversation, *, model: str) -> GeminiStreamWriter:
        return GeminiStreamWriter(model, array=self._array)

    def read_error(self, status: int, body: bytes) -> Failed:
        return errors.read_error(status, body)

    def write_error(self, error: ChatVaultError | Failed, status: int) -> bytes:
        return errors.write_error(error, status)

    def write_error_event(self, error: ChatVaultError | Failed) -> bytes:
        body = encode({"error": errors.failure_object(error)})
        return b",\r\n" + body + b"]" if self._array else b"data: " + body + b"\r\n\r\n"

    def read_usage(self, raw: bytes) -> Usage | None:
        try:
            return normalise(decode(raw))
        except ValueError:
            return None

    def write_usage(self, usage: Usage) -> bytes:
        return encode(retell(usage))


GEMINI: Final[ConversationDialect] = GeminiGenerate()
GEMINI_ARRAY: Final[ConversationDialect] = GeminiGenerate(array=True)
