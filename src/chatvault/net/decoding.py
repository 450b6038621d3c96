"""Answers that come compressed although they were asked for plain: decoded on the way, bounded, so that they
can be read and edited.
"""

import zlib
from typing import Final

from chatvault.core.seam import Answer, Fault, Head

_PIECE: Final = 256 << 10
CODINGS: Final = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}
"""Content codings that can be undone, and zlib's window bits for each."""


class Decoded:
    """An `Answer` that hears a compressed answer, and tells `inner` the plain one. Whatever is plain, or of
    another coding, passes.
    """

    __slots__ = ("_decoder", "_failed", "_inner")

    def __init__(self, inner: Answer) -> None:
        self._inner = inner
        self._decoder: zlib._Decompress | None = None
        self._failed = False

    def head(self, head: Head) -> None:
        for name, value in head.headers:
            if name == b"content-encoding" and value.lower() in CODINGS and head.length != 0:
                self._decoder = zlib.decompressobj(CODINGS[value.lower()])
                head = Head(
                    head.status,
                    [h for h in head.headers if h[0] not in (b"content-encoding", b"content-length")],
                    None,
                )
                break
        self._inner.head(head)

    def body(self, data: bytes) -> None:
        decoder = self._decoder
        if decoder is None:
            self._inner.body(data)
            return
        try:
            while data and not self._failed:
                plain = decoder.decompress(data, _PIECE)
                data = decoder.unconsumed_tail
                if plain:
                    self._inner.body(plain)
        except zlib.error as error:
            self._fail(Fault("protocol_error", f"the answer's compression is broken: {error}"))

    def end(self) -> None:
        if self._decoder is not None and not self._decoder.eof:
            self._fail(Fault("cut", "the compressed answer ended early"))
        elif not self._failed:
            self._inner.end()

    def fault(self, fault: Fault) -> None:
        self._fail(fault)

    def _fail(self, fault: Fault) -> None:
        if not self._failed:
            self._failed = True
            self._inner.fault(fault)
