"""Answers that come compressed although they were asked for plain: decoded on the way, bounded, so that they
can be read and edited.
"""

import zlib
from typing import Final

from chatvault.core.seam import Answer, Fault, Head
from chatvault.net.connection import LiveExchange

_PIECE: Final = 256 << 10
_BURST: Final = 32 << 20
"""Bytes that one packet may become. No pause can take effect within a packet, so this is what a bomb can cost."""
CODINGS: Final = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}
"""Content codings that can be undone, and zlib's window bits for each."""
_RAW_DEFLATE: Final = -15
"""Some servers leave out the header that RFC 9110 section 8.4.1.2 asks for; clients are used to it."""


class Decoded:
    """An `Answer` that hears a compressed answer, and tells `inner` the plain one. Whatever is plain, or of
    another coding, passes. With `exchange` it stops in the middle of a packet when the exchange is cancelled.
    """

    __slots__ = ("_bits", "_decoder", "_exchange", "_failed", "_first", "_inner")

    def __init__(self, inner: Answer, exchange: LiveExchange | None = None) -> None:
        self._inner = inner
        self._exchange = exchange
        self._decoder: zlib._Decompress | None = None
        self._bits = 0
        self._first: bytes | None = b""
        """What came before the decoder's first word, if it can still be tried as raw deflate."""
        self._failed = False

    def head(self, head: Head) -> None:
        for name, value in head.headers:
            if name == b"content-encoding" and value.lower() in CODINGS and head.length != 0:
                self._bits = CODINGS[value.lower()]
                self._decoder = zlib.decompressobj(self._bits)
                head = Head(
                    head.status,
                    [h for h in head.headers if h[0] not in (b"content-encoding", b"content-length")],
                    None,
                )
                break
        self._inner.head(head)

    def body(self, data: bytes) -> None:
        if self._decoder is None:
            self._inner.body(data)
            return
        made = 0
        try:
            while data and not self._failed and not self._cancelled():
                plain, data = self._decode(self._decoder, data)
                made += len(plain)
                if made > _BURST:
                    self._fail(
                        Fault("protocol_error", f"a packet of the answer unpacks to over {_BURST} bytes")
                    )
                elif plain:
                    self._inner.body(plain)
        except zlib.error as error:
            self._fail(Fault("protocol_error", f"the answer's compression is broken: {error}"))

    def _decode(self, decoder: "zlib._Decompress", data: bytes) -> tuple[bytes, bytes]:
        """A piece of the plain answer, and what of `data` has not been looked at."""
        if decoder.eof:
            if self._bits != CODINGS[b"gzip"]:
                raise zlib.error("bytes behind its end")
            self._decoder = decoder = zlib.decompressobj(self._bits)  # gzip may be several behind each other
        try:
            plain = decoder.decompress(data, _PIECE)
        except zlib.error:
            if self._bits != CODINGS[b"deflate"] or self._first is None:
                raise
            data, self._first, self._bits = self._first + data, None, _RAW_DEFLATE
            self._decoder = decoder = zlib.decompressobj(self._bits)
            plain = decoder.decompress(data, _PIECE)
        if plain:
            self._first = None
        elif self._first is not None:
            self._first = (self._first + data)[:16]
            if len(self._first) == 16:
                self._first = None
        return plain, decoder.unused_data if decoder.eof else decoder.unconsumed_tail

    def _cancelled(self) -> bool:
        return self._exchange is not None and self._exchange.over

    def end(self) -> None:
        decoder = self._decoder
        if decoder is not None and not decoder.eof and self._first != b"":
            self._fail(Fault("cut", "the compressed answer ended early"))
        elif not self._failed:
            self._inner.end()

    def fault(self, fault: Fault) -> None:
        self._fail(fault)

    def _fail(self, fault: Fault) -> None:
        if not self._failed:
            self._failed = True
            self._inner.fault(fault)
