"""What every dialect of a conversation provides, in four parts; one that no client asks in, half of it. The
gateway's table of them is `gateway/speech.py`.

All of it is sans-IO and raises nothing but ClientError (for a request it cannot understand; `param` is the
path of the field at fault, such as `messages[3].content[1].type`) and ValueError (for an answer that is not
its dialect).
"""

from collections.abc import Iterable
from typing import Protocol

from chatvault.core.errors import ChatVaultError
from chatvault.core.usage import Usage
from chatvault.wire.hub.conversation import Conversation
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.events import AnyEvent, Failed


class StreamBroken(ValueError):
    """What comes is not what was sent: the stream has checksums, and they do not match any more."""


class StreamReader(Protocol):
    """A provider's stream in: packets, cut anywhere. `feed` gives the events that are known now, `end` those
    that the end of the stream still tells. Every event comes as soon as its bytes are there."""

    def feed(self, data: bytes) -> list[AnyEvent]: ...

    def end(self) -> list[AnyEvent]:
        """`Ended` is the last of them if the stream was whole; else there is none, and the stream was cut."""


class StreamWriter(Protocol):
    """A client's stream out: events in, bytes as they are to be sent."""

    def feed(self, events: Iterable[AnyEvent]) -> bytes: ...


class AnsweringDialect(Protocol):
    """What is needed to ask a provider in a dialect. `name` is the dialect's, such as `anthropic.messages`."""

    name: str

    def write_request(self, conversation: Conversation, dropped: Dropped) -> bytes:
        """The body for a provider of this dialect; what it cannot carry goes on the list."""

    def request_path(self, conversation: Conversation) -> bytes:
        """Below the provider's base URL, with its query."""

    def read_reply(self, body: bytes) -> list[AnyEvent]:
        """A whole reply as events, through the same mapping as a stream's."""

    def stream_reader(self) -> StreamReader: ...

    def read_error(self, status: int, body: bytes) -> Failed:
        """A provider's error answer."""


class ConversationDialect(AnsweringDialect, Protocol):
    """What is needed to answer a client in it besides. `stream_type` is the content type of its streams."""

    stream_type: bytes

    def read_request(
        self, body: bytes, *, model: str | None = None, stream: bool | None = None
    ) -> Conversation:
        """`model` and `stream` come from the path in dialects that put them there."""

    def write_reply(
        self, events: Iterable[AnyEvent], *, model: str, conversation: Conversation | None = None
    ) -> bytes:
        """A whole reply. `model` is the public name that was asked for, used where the events name none;
        `conversation` what was asked, for dialects whose answers repeat some of it."""

    def stream_writer(self, conversation: Conversation, *, model: str) -> StreamWriter:
        """`conversation` is what was asked, since some streams depend on it (whether usage is wanted, for
        one)."""

    def write_error(self, error: ChatVaultError | Failed, status: int) -> bytes:
        """An error answer in this dialect's shape; type, code and message are kept."""

    def write_error_event(self, error: ChatVaultError | Failed) -> bytes:
        """The event that tells a client in the middle of a stream that it is not whole."""

    def read_usage(self, raw: bytes) -> Usage | None:
        """The dialect's usage object, normalised."""

    def write_usage(self, usage: Usage) -> bytes:
        """The usage re-told in the dialect's shape, as JSON."""
