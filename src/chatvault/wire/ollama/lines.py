"""JSON lines: where they end. Sans-IO, with the interface of `sse.EventSplitter`."""


class LineSplitter:
    """Bytes in, whole lines out, however the bytes were cut. What is not whole yet is in `partial`.

    A line longer than `max_event` bytes is not kept: `overflowed` becomes true, and the rest passes until
    its end.
    """

    __slots__ = ("_max", "end", "overflowed", "partial")

    def __init__(self, max_event: int = 8 << 20) -> None:
        self._max = max_event
        self.end = b"\n"
        self.partial = bytearray()
        self.overflowed = False

    def feed(self, data: bytes) -> bytes:
        """All lines that are whole now, joined, with the line feeds that end them."""
        partial = self.partial
        if not partial and data.endswith(b"\n"):
            self.overflowed = False
            return data
        end = data.rfind(b"\n") + 1
        if not end:
            partial += data
            if len(partial) > self._max:
                self.overflowed = True
            return b""
        self.overflowed = False
        whole = bytes(partial) + data[:end]
        partial[:] = data[end:]
        return whole


def lines(whole: bytes) -> list[bytes]:
    """The lines that say something."""
    return [line for line in whole.split(b"\n") if line and not line.isspace()]
