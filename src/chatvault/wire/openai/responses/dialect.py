"""`openai.responses` as a dialect of the hub."""

from collections.abc import Iterable

from chatvault.core.errors import ChatVaultError
from chatvault.core.usage import Usage
from chatvault.wire.hub.conversation import Conversation
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.events import AnyEvent, Failed
from chatvault.wire.json_value import decode, encode
from chatvault.wire.openai.responses.proofs import ORIGIN
from chatvault.wire.openai.responses.reply_reader import ResponsesStreamReader, read_reply
from chatvault.wire.openai.responses.reply_writer import ResponsesStreamWriter, write_reply
from chatvault.wire.openai.responses.request_reader import read_request
from chatvault.wire.openai.responses.request_writer import write_request
from chatvault.wire.openai.retold import error_value, failure_in, responses_usage, usage_of


class ResponsesDialect:
    name = ORIGIN
    stream_type = b"text/event-stream"

    def read_request(
        self, body: bytes, *, model: str | None = None, stream: bool | None = None
    ) -> Conversation:
        return read_request(body, model, stream)

    def write_request(self, conversation: Conversation, dropped: Dropped) -> bytes:
        return write_request(conversation, dropped)

    def request_path(self, conversation: Conversation) -> bytes:
        return b"/responses"

    def read_reply(self, body: bytes) -> list[AnyEvent]:
        return read_reply(body)

    def write_reply(
        self, events: Iterable[AnyEvent], *, model: str, conversation: Conversation | None = None
    ) -> bytes:
        """With the conversation, the answer tells again what was asked, as OpenAI's does."""
        return write_reply(events, model, conversation)

    def stream_reader(self) -> ResponsesStreamReader:
        return ResponsesStreamReader()

    def stream_writer(self, conversation: Conversation, *, model: str) -> ResponsesStreamWriter:
        return ResponsesStreamWriter(conversation, model)

    def read_error(self, status: int, body: bytes) -> Failed:
        return failure_in(body, status)

    def write_error(self, error: ChatVaultError | Failed, status: int) -> bytes:
        return encode({"error": error_value(error, status)})

    def write_error_event(self, error: ChatVaultError | Failed) -> bytes:
        said = error_value(error)
        told = {"type": "error", "code": said["code"], "message": said["message"], "param": said["param"]}
        return b"event: error\ndata: " + encode({**told, "sequence_number": 0}) + b"\n\n"

    def read_usage(self, raw: bytes) -> Usage | None:
        try:
            return usage_of(decode(raw))
        except ValueError:
            return None

    def write_usage(self, usage: Usage) -> bytes:
        return encode(responses_usage(usage))
