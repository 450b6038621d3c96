"""Streamed arguments: Vertex AI tells them as assignments to paths, all others as JSON text that grows.

`{"jsonPath": "$.place.name", "stringValue": "Par", "willContinue": true}` and so on, one behind the other in
the order of the text
(https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling#streaming-fc, seen
2026-11, and recorded answers). The text
is written as far as each assignment carries it, so nothing waits for the end.
"""

import re
from typing import Final

from chatvault.wire.gemini.names import camel
from chatvault.wire.json_value import Values, encode, text

_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]")
Step = str | int


class PartialArguments:
    """Assignments in, JSON text out. One that goes back into what is closed already cannot be told any more
    and is passed over.
    """

    __slots__ = ("_begun", "_open", "_seen", "_string")

    def __init__(self) -> None:
        self._open: list[Step] = []
        """The containers and, last, the member that were written last."""
        self._begun = False
        self._seen: set[tuple[Step, ...]] = set()
        self._string = False
        """The last member is a string that goes on."""

    def feed(self, value: Values) -> str:
        shape = camel(value)
        path = _steps(text(shape.get("jsonPath")) or "$")
        goes_on = shape.get("willContinue") is True
        if "stringValue" not in shape:
            return self._member(path) + _literal(shape) if self._may(path) else ""
        said = encode(text(shape["stringValue"]) or "").decode()[1:-1]
        if self._string and path == self._open:
            self._string = goes_on
            return said if goes_on else said + '"'
        if not self._may(path):
            return ""
        out = self._member(path)
        self._string = goes_on
        return f'{out}"{said}' + ("" if goes_on else '"')

    def end(self) -> str:
        """What closes all that is open."""
        out = self._close(0) if self._begun else "{}"
        self._open, self._begun, self._seen = [], False, set()
        return out

    def _may(self, path: list[Step]) -> bool:
        if not path or tuple(path) in self._seen or not isinstance(path[0], str):
            return False
        around = (path[:depth] for depth in range(1, len(path)))
        return all(tuple(each) not in self._seen or self._open[: len(each)] == each for each in around)

    def _close(self, keep: int) -> str:
        """Closes the last member and the containers around it, but for the first `keep` ones."""
        out = '"' if self._string else ""
        self._string = False
        for step in reversed(self._open[keep:]):
            out += "}" if isinstance(step, str) else "]"
        return out

    def _member(self, path: list[Step]) -> str:
        """Closes what the path leaves, opens what it enters, and names its last step."""
        shared = 0
        while shared < min(len(path), len(self._open)) - 1 and path[shared] == self._open[shared]:
            shared += 1
        if not self._begun:
            out, self._begun = _opening(path[0]), True
        else:
            out = self._close(shared + 1) + ","
        self._seen.update(tuple(path[: depth + 1]) for depth in range(len(path)))
        for at, step in enumerate(path[shared:], shared):
            if at > shared:
                out += _opening(step)
            if isinstance(step, str):
                out += encode(step).decode() + ":"
        self._open = path
        return out


def _opening(step: Step) -> str:
    return "{" if isinstance(step, str) else "["


def _literal(shape: Values) -> str:
    for name in ("numberValue", "boolValue"):
        if name in shape:
            return encode(shape[name]).decode()
    return "null"


def _steps(path: str) -> list[Step]:
    steps: list[Step] = []
    for match in _STEP.finditer(path):
        name, index, single, double = match.groups()
        steps.append(
            int(index)
            if index is not None
            else next(each for each in (name, single, double) if each is not None)
        )
    return steps
