"""Knows an event that is like the latest plain one but for the text in it. Most events of a stream are, and such an
event tells nothing new: its JSON is that of the last, with another string in one place."""

import re
from typing import Final

_SAID: Final = re.compile(
    rb'"(?:content|text|delta|arguments|partial_json|thinking|reasoning|reasoning_content|response)"\s*:\s*'
    rb'"((?:[^"\\]|\\.)*)"'
)
"""What an event says, as it is written: a member that no dialect decides on."""
_TEXT: Final = re.compile(rb'[^"\\\r\n]*')
"""A piece of a string that cannot end it, nor the line it is in."""
_TRIES: Final = 8
"""Events that may be learned without one that is like the last, before it is given up."""


class Likeness:
    """`learn` what the latest plain event is like, ask whether a packet is `like` it."""

    __slots__ = ("_after", "_before", "_end", "_least", "_left")

    def __init__(self, end: bytes) -> None:
        """`end` is what every whole event ends with, and nothing else holds. Where it is empty nothing is learned."""
        self._end = end
        self._before = self._after = b""
        self._least = 0
        self._left = _TRIES

    def learn(self, packet: bytes) -> None:
        """A packet that told nothing new. It is learned from if it is one whole event that says something."""
        if self._left <= 0 or not packet.endswith(self._end) or packet.count(self._end) != 1:
            return
        self._left -= 1
        said = _SAID.search(packet)
        if said is not None:
            self._before, self._after = packet[: said.start(1)], packet[said.end(1) :]
            self._least = len(self._before) + len(self._after)

    def like(self, packet: bytes) -> bool:
        """Whether it is one whole event, the same as the learned one but for what it says."""
        before, after = self._before, self._after
        if (
            before
            and len(packet) >= self._least
            and packet.startswith(before)
            and packet.endswith(after)
            and _TEXT.fullmatch(packet, len(before), len(packet) - len(after)) is not None
        ):
            self._left = _TRIES
            return True
        return False
