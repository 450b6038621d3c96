"""`openai.completions` as a dialect of the hub."""

from collections.abc import Iterable

from chatvault.core.errors import ChatVaultError
from chatvault.core.usage import Usage
from chatvault.wire.hub.conversation import Conversation
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.events import AnyEvent, Failed
from chatvault.wire.json_value import decode, encode
from chatvault.wire.openai.chat.reply_reader import ChatStreamReader, read_reply
from chatvault.wire.openai.chat.reply_writer import error_event
from chatvault.wire.openai.completions.reply import CompletionsStreamWriter, write_reply
from chatvault.wire.openai.completions.request import ORIGIN, read_request, write_request
from chatvault.wire.openai.retold import chat_usage, error_value, failure_in, usage_of


class CompletionsDialect:
    name = ORIGIN
    stream_type = b"text/event-stream"

    def read_request(
        self, body: bytes, *, model: str | None = None, stream: bool | None = None
    ) -> Conversation:
        return read_request(body, model, stream)

    def write_request(self, conversation: Conversation, dropped: Dropped) -> bytes:
        return write_request(conversation, dropped)

    def request_path(self, conversation: Conversation) -> bytes:
        return b"/completions"

    def read_reply(self, body: bytes) -> list[AnyEvent]:
        return read_reply(body)

    def write_reply(
        self, events: Iterable[AnyEvent], *, model: str, conversation: Conversation | None = None
    ) -> bytes:
        """The conversation tells nothing that a completion repeats."""
        return write_reply(events, model)

    def stream_reader(self) -> ChatStreamReader:
        return ChatStreamReader()

    def stream_writer(self, conversation: Conversation, *, model: str) -> CompletionsStreamWriter:
        return CompletionsStreamWriter(conversation, model)

    def read_error(self, status: int, body: bytes) -> Failed:
        return failure_in(body, status)

    def write_error(self, error: ChatVaultError | Failed, status: int) -> bytes:
        return encode({"error": error_value(error, status)})

    def write_error_event(self, error: ChatVaultError | Failed) -> bytes:
        return error_event(error_value(error))

    def read_usage(self, raw: bytes) -> Usage | None:
        try:
            return usage_of(decode(raw))
        except ValueError:
            return None

    def write_usage(self, usage: Usage) -> bytes:
        return encode(chat_usage(usage))
