"""What a relay asks of a dialect's tap and splitter: the same for every dialect that streams."""

from typing import Protocol

from chatvault.wire.json_fields import Fields
from chatvault.wire.openai.reply import Facts


class Seen(Protocol):
    """What was seen of a stream so far.

    `done`: the event that ends this kind of stream was there; `ended`: the model had said all. `events`
    counts all events; `plain` and `plain_size` those that carried nothing but content, and their bytes;
    `last` is the latest packet of such.
    """

    @property
    def facts(self) -> Facts: ...

    @property
    def done(self) -> bool: ...

    @property
    def ended(self) -> bool: ...

    @property
    def events(self) -> int: ...

    @property
    def plain(self) -> int: ...

    @property
    def plain_size(self) -> int: ...

    @property
    def last(self) -> bytes: ...


class Tap(Seen, Protocol):
    """Sits beside a stream, reads what tells something new, and never fails."""

    def scan(self, whole: bytes) -> bytes:
        """Whole events in, what of them the client is to see out."""

    def again(self, event: bytes) -> None:
        """One more event that is like the last plain one but for what it says."""

    def may_hide(self, partial: bytes | bytearray) -> bool:
        """Whether a part of an event may turn out to be one that is taken out."""


class Splitter(Protocol):
    """Bytes in, whole events out, however the bytes were cut; `partial` is what is not whole yet."""

    partial: bytearray
    overflowed: bool
    end: bytes
    """What every whole event that is written as most are ends with, and nothing else holds; empty: there is no such."""

    def feed(self, data: bytes) -> bytes: ...


class AskedFields(Protocol):
    """What admission decides on of a request, whatever its dialect."""

    fields: Fields
    model: str | None
    stream: bool

    def max_output(self) -> int | None: ...

    def choices(self) -> int: ...

    def metadata(self) -> dict[str, object]: ...
