"""The text of an answer that was asked for as a tool's input, as it comes (see `output.py`)."""

import re
from typing import Final

from chatvault.wire.anthropic.names import ANSWER_TOOL, WRAPPED, WRAPPED_ANSWER_TOOL

_OPENING: Final = re.compile(r'\s*\{\s*"' + WRAPPED + r'"\s*:\s*')
_CLOSING: Final = re.compile(r"[\s}]*$")
NAMES: Final = frozenset((ANSWER_TOOL, WRAPPED_ANSWER_TOOL))


class AnswerText:
    """Feed it a call's arguments, cut anywhere. A wrapped answer loses its wrapping; nothing else is held
    back.
    """

    __slots__ = ("_held", "_open", "_wrapped")

    def __init__(self, name: str) -> None:
        self._wrapped = name == WRAPPED_ANSWER_TOOL
        self._open = False
        self._held = ""

    def feed(self, text: str) -> str:
        if not self._wrapped:
            return text
        text = self._held + text
        if not self._open:
            opening = _OPENING.match(text)
            if opening is None:
                self._held = text
                return ""
            self._open, text = True, text[opening.end() :]
        end = _CLOSING.search(text)
        at = end.start() if end is not None else len(text)
        self._held = text[at:]
        return text[:at]

    def end(self) -> str:
        """What was held back, without the brace that closes the wrapping."""
        rest = self._held.rstrip()
        return rest.removesuffix("}").rstrip() if self._open else rest
