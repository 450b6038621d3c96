"""Answers that pass as they come: binary ones, and JSON too large to hold, whose usage is read from its end."""

import re
from typing import TYPE_CHECKING, Final

from chatvault.core.seam import Fault, Head
from chatvault.gateway.answers import field
from chatvault.wire.openai.reply import Facts, read

if TYPE_CHECKING:
    from chatvault.gateway.call import Call

_TAIL: Final = 64 << 10
_USAGE: Final = re.compile(rb'"usage"\s*:\s*(\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\})')
"""In the tail of a JSON document, where a quote within a string would be escaped, so this can only be a
member."""


class RawRelay:
    """`json`: the tail is kept, and read at the end.

    Of an answer with a known length the last packet is held until the record is closed, since with it the
    client has all.
    """

    __slots__ = ("_begun", "_call", "_json", "_last", "_left", "_tail")

    def __init__(self, call: "Call", *, json: bool = False) -> None:
        self._call = call
        self._json = json
        self._tail = b""
        self._last = b""
        self._left: int | None = None
        self._begun = False

    def head(self, head: Head) -> None:
        length = head.length
        if self._call.head.method == b"HEAD":
            said = field(head.headers, b"content-length")
            length = int(said) if said is not None else None
        else:
            self._left = length
        self._call.commit(head, length)

    def body(self, data: bytes) -> None:
        if not self._begun:
            self._begun = True
            self._call.first_byte()
        if self._json:
            self._tail = (self._tail + data)[-_TAIL:]
        if self._left is not None:
            self._left -= len(data)
            if self._left <= 0:
                self._last += data
                return
        self._call.write(data)

    def end(self) -> None:
        call = self._call
        if not self._begun:
            call.first_byte()
        if self._json:
            call.outcome.facts = _facts(self._tail)
        call.finish(self._last)

    def fault(self, fault: Fault) -> None:
        self._call.attempt_failed(fault)


def _facts(tail: bytes) -> Facts:
    """What the end of a JSON document says of its usage; nothing if it cannot be read."""
    facts, usages = Facts(), _USAGE.findall(tail)
    if usages:
        try:
            facts.learn(read(b'{"usage":' + usages[-1] + b"}"))
        except ValueError:
            pass
    return facts
