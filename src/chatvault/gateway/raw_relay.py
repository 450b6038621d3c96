"""Answers that pass as they come: binary ones, and JSON too large to hold, whose usage is read from its end."""

import re
from typing import TYPE_CHECKING, Final

from chatvault.core.seam import Fault, Head
from chatvault.wire.openai.reply import Facts, read

if TYPE_CHECKING:
    from chatvault.gateway.call import Call

_TAIL: Final = 64 << 10
_USAGE: Final = re.compile(rb'"usage"\s*:\s*(\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\})')
"""In the tail of a JSON document, where a quote within a string would be escaped, so this can only be a member."""


class RawRelay:
    """`json`: the tail is kept, and read at the end."""

    __slots__ = ("_call", "_begun", "_json", "_tail")

    def __init__(self, call: "Call", *, json: bool = False) -> None:
        self._call = call
        self._json = json
        self._tail = b""
        self._begun = False

    def head(self, head: Head) -> None:
        self._call.commit(head, head.length)

    def body(self, data: bytes) -> None:
        if not self._begun:
            self._begun = True
            self._call.first_byte()
        if self._json:
            self._tail = (self._tail + data)[-_TAIL:]
        self._call.write(data)

    def end(self) -> None:
        call = self._call
        if not self._begun:
            call.first_byte()
        if self._json:
            usages = _USAGE.findall(self._tail)
            if usages:
                call.outcome.facts = facts = Facts()
                facts.learn(read(b'{"usage":' + usages[-1] + b"}"))
        call.finish()

    def fault(self, fault: Fault) -> None:
        self._call.attempt_failed(fault)
