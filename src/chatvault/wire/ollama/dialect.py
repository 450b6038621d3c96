"""`ollama.chat` as a dialect of the hub."""

from collections.abc import Iterable
from typing import Final

from chatvault.core.errors import ChatVaultError
from chatvault.core.usage import Usage
from chatvault.wire.hub.conversation import Conversation
from chatvault.wire.hub.dialect import ConversationDialect
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.events import AnyEvent, Failed
from chatvault.wire.json_value import decode_object, encode
from chatvault.wire.ollama import errors, generate, request_reader, request_writer
from chatvault.wire.ollama.lines import LineSplitter, lines
from chatvault.wire.ollama.names import DIALECT
from chatvault.wire.ollama.reply_reader import ReplyReader
from chatvault.wire.ollama.reply_writer import OllamaStreamWriter, whole
from chatvault.wire.ollama.usage import normalise, retell


class OllamaStreamReader:
    def __init__(self) -> None:
        self._splitter = LineSplitter()
        self._reader = ReplyReader()

    def feed(self, data: bytes) -> list[AnyEvent]:
        """Raises ValueError for what is no stream of this dialect."""
        said = self._splitter.feed(data)
        if self._splitter.overflowed:
            raise ValueError("a line of the stream is too long")
        return self._read(said)

    def _read(self, said: bytes) -> list[AnyEvent]:
        out: list[AnyEvent] = []
        for line in lines(said):
            out += self._reader.line(decode_object(line))
        return out

    def end(self) -> list[AnyEvent]:
        """The last line may lack its line feed; it counts if it is whole without."""
        try:
            out = self._read(bytes(self._splitter.partial))
        except ValueError:
            out = []
        return out + self._reader.finish()


class OllamaChat:
    """`generate`: the client speaks `/api/generate`; a provider is asked by `/api/chat` all the same."""

    name = DIALECT
    stream_type = b"application/x-ndjson"

    def __init__(self, *, generate: bool = False) -> None:
        self._generate = generate

    def read_request(
        self, body: bytes, *, model: str | None = None, stream: bool | None = None
    ) -> Conversation:
        read = generate.read_request if self._generate else request_reader.read_request
        return read(body, model=model, stream=stream)

    def write_request(self, conversation: Conversation, dropped: Dropped) -> bytes:
        return request_writer.write_request(conversation, dropped)

    def request_path(self, conversation: Conversation) -> bytes:
        return b"/api/chat"

    def read_reply(self, body: bytes) -> list[AnyEvent]:
        reader = ReplyReader()
        return reader.line(decode_object(body)) + reader.finish()

    def write_reply(
        self, events: Iterable[AnyEvent], *, model: str, conversation: Conversation | None = None
    ) -> bytes:
        """Nothing of the conversation is repeated."""
        return whole(events, model, generate=self._generate)

    def stream_reader(self) -> OllamaStreamReader:
        return OllamaStreamReader()

    def stream_writer(self, conversation: Conversation, *, model: str) -> OllamaStreamWriter:
        return OllamaStreamWriter(model, generate=self._generate)

    def read_error(self, status: int, body: bytes) -> Failed:
        return errors.read_error(status, body)

    def write_error(self, error: ChatVaultError | Failed, status: int) -> bytes:
        return errors.write_error(error)

    def write_error_event(self, error: ChatVaultError | Failed) -> bytes:
        return errors.write_error(error) + b"\n"

    def read_usage(self, raw: bytes) -> Usage | None:
        try:
            return normalise(decode_object(raw))
        except ValueError:
            return None

    def write_usage(self, usage: Usage) -> bytes:
        return encode(retell(usage))


OLLAMA: Final[ConversationDialect] = OllamaChat()
OLLAMA_GENERATE: Final[ConversationDialect] = OllamaChat(generate=True)
