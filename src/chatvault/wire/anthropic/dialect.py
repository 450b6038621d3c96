"""Anthropic's Messages API as a dialect of the hub."""

from collections.abc import Iterable
from typing import Final

from chatvault.core.errors import ChatVaultError
from chatvault.core.usage import Usage
from chatvault.wire.anthropic.conversation_reader import read_conversation
from chatvault.wire.anthropic.conversation_writer import write_conversation
from chatvault.wire.anthropic.errors import read_error, write_error, write_error_event
from chatvault.wire.anthropic.names import ME
from chatvault.wire.anthropic.reply_reader import read_reply
from chatvault.wire.anthropic.reply_stream import ReplyStream
from chatvault.wire.anthropic.reply_writer import ReplyStreamWriter
from chatvault.wire.anthropic.usage import normalise, retold
from chatvault.wire.anthropic.whole_writer import write_reply
from chatvault.wire.hub.conversation import Conversation
from chatvault.wire.hub.dialect import ConversationDialect, StreamReader, StreamWriter
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.events import AnyEvent, Failed
from chatvault.wire.json_value import decode, encode, object_of


class AnthropicMessages:
    """Sans-IO and without state."""

    name = ME
    stream_type = b"text/event-stream; charset=utf-8"

    def read_request(
        self, body: bytes, *, model: str | None = None, stream: bool | None = None
    ) -> Conversation:
        return read_conversation(body, model=model, stream=stream)

    def write_request(self, conversation: Conversation, dropped: Dropped) -> bytes:
        return write_conversation(conversation, dropped)

    def request_path(self, conversation: Conversation) -> bytes:
        return b"/messages"

    def read_reply(self, body: bytes) -> list[AnyEvent]:
        return read_reply(body)

    def write_reply(
        self, events: Iterable[AnyEvent], *, model: str, conversation: Conversation | None = None
    ) -> bytes:
        """Nothing of the conversation is repeated."""
        return write_reply(events, model)

    def stream_reader(self) -> StreamReader:
        return ReplyStream()

    def stream_writer(self, conversation: Conversation, *, model: str) -> StreamWriter:
        return ReplyStreamWriter(model)

    def read_error(self, status: int, body: bytes) -> Failed:
        return read_error(status, body)

    def write_error(self, error: ChatVaultError | Failed, status: int) -> bytes:
        return write_error(error, status)

    def write_error_event(self, error: ChatVaultError | Failed) -> bytes:
        return write_error_event(error)

    def read_usage(self, raw: bytes) -> Usage | None:
        try:
            return normalise(object_of(decode(raw)))
        except ValueError:
            return None

    def write_usage(self, usage: Usage) -> bytes:
        return encode(retold(usage))


MESSAGES: Final[ConversationDialect] = AnthropicMessages()
