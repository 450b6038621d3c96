"""What a client of some dialect hears of an answer, in terms that can be compared."""

import json
from typing import Any

import msgspec


class Call(msgspec.Struct):
    """`id` is None where the client is told none. `arguments` are parsed; a text where they are no JSON."""

    id: str | None
    name: str
    arguments: Any


class Choice(msgspec.Struct):
    text: str = ""
    thoughts: str = ""
    calls: list[Call] = []
    finish: str | None = None


class Counts(msgspec.Struct):
    """None: the dialect has no place for it, or it was not told."""

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    reasoning: int | None = None


class Heard(msgspec.Struct):
    choices: dict[int, Choice] = {}
    counts: Counts | None = None

    def choice(self, index: int = 0) -> Choice:
        return self.choices.setdefault(index, Choice())


def parsed(arguments: str) -> Any:
    try:
        return json.loads(arguments) if arguments.strip() else {}
    except ValueError:
        return arguments
