"""Anthropic's answers from Bedrock, as Anthropic would have given them: the events out of AWS's frames, and the errors
in Anthropic's shape. What is an answer of Anthropic's already, passes."""

from typing import Final

from chatvault.core.seam import Answer, Fault, Head
from chatvault.gateway.answers import field
from chatvault.wire.bedrock.chunks import ChunkReader, anthropic_error
from chatvault.wire.bedrock.names import STREAM_TYPE

_MOST_ERROR: Final = 1 << 20
"""Bytes of an error answer that are held; it can only be told once it is there."""
_REPLACED: Final = frozenset((b"content-type", b"content-length"))


def is_framed(head: Head) -> bool:
    return (field(head.headers, b"content-type") or b"").lower().startswith(STREAM_TYPE)


def told(head: Head) -> Head:
    """The head that Anthropic would have sent."""
    if head.status < 400 and not is_framed(head):
        return head
    kind = b"application/json" if head.status >= 400 else b"text/event-stream; charset=utf-8"
    kept = [pair for pair in head.headers if pair[0] not in _REPLACED]
    return Head(head.status, [*kept, (b"content-type", kind)], None)


class Unframed:
    """An `Answer` that hears Bedrock, and tells `inner` what Anthropic would have said. A stream that does not match
    its checksums, or ends within a message, was cut."""

    __slots__ = ("_chunks", "_failed", "_held", "_inner", "_size", "_status")

    def __init__(self, inner: Answer) -> None:
        self._inner = inner
        self._chunks: ChunkReader | None = None
        self._held: list[bytes] | None = None
        self._size = self._status = 0
        self._failed = False

    def head(self, head: Head) -> None:
        self._status = head.status
        if head.status >= 400:
            self._held = []
        elif is_framed(head):
            self._chunks = ChunkReader()
        self._inner.head(told(head))

    def body(self, data: bytes) -> None:
        if self._failed:
            return
        if self._held is not None:
            self._size += len(data)
            if self._size <= _MOST_ERROR:
                self._held.append(data)
        elif self._chunks is None:
            self._inner.body(data)
        else:
            self._unframe(self._chunks, data)

    def _unframe(self, chunks: ChunkReader, data: bytes) -> None:
        try:
            said = chunks.feed(data)
        except ValueError as error:
            self._fail(Fault("cut", str(error)))
            return
        if said:
            self._inner.body(said)

    def end(self) -> None:
        if self._failed:
            return
        if self._held is not None:
            self._inner.body(anthropic_error(self._status, b"".join(self._held)))
        elif self._chunks is not None and self._chunks.partial:
            self._fail(Fault("cut", "the stream ended within a message"))
            return
        self._inner.end()

    def fault(self, fault: Fault) -> None:
        self._fail(fault)

    def _fail(self, fault: Fault) -> None:
        if not self._failed:
            self._failed = True
            self._inner.fault(fault)
