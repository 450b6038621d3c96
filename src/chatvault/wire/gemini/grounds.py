"""What an answer of another dialect rests on, gathered for the `groundingMetadata` at its end."""

from collections.abc import Iterable

from msgspec.structs import replace

from chatvault.wire.gemini import grounding
from chatvault.wire.hub.search import Citation, Search
from chatvault.wire.json_value import Values


class Grounds:
    """Of one choice. Its texts follow each other; each is held, since places are counted over all of them."""

    __slots__ = ("_begins", "_cited", "_length", "_said", "_waiting", "searches")

    def __init__(self) -> None:
        self.searches: list[Search] = []
        self._said: list[str] = []
        self._length = 0
        self._begins: dict[int, int] = {}
        self._waiting: dict[int, list[Citation]] = {}
        self._cited: list[Citation] = []

    def begin(self, index: int, text: str) -> None:
        self._begins[index] = self._length
        self.more(text)

    def more(self, text: str) -> None:
        self._said.append(text)
        self._length += len(text)

    def cite(self, index: int, cited: Iterable[Citation]) -> None:
        self._waiting.setdefault(index, []).extend(cited)

    def end(self, index: int) -> None:
        """A page that does not say its place is what all of the text rests on."""
        begin = self._begins.get(index, 0)
        for each in self._waiting.pop(index, ()):
            start = begin + each.start if each.start is not None else begin
            end = begin + each.end if each.end is not None else self._length
            self._cited.append(replace(each, start=start, end=end))

    def written(self) -> Values:
        """The field of a candidate; empty where the answer rests on nothing."""
        if not (self.searches or self._cited):
            return {}
        return {grounding.GROUNDING: grounding.write(self.searches, self._cited, "".join(self._said))}
