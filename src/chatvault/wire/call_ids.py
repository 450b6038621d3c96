"""Ids for tool calls that have none: Gemini and Ollama match results to calls by name and order where there
are no ids, all others by id.
"""

import re
from hashlib import blake2b
from typing import Final

_MADE: Final = re.compile(r"call_cv[0-9a-f]{16}\Z")


def made_id(*seed: object) -> str:
    """The same for the same seed."""
    digest = blake2b("\0".join(map(str, seed)).encode(errors="replace"), digest_size=8)
    return f"call_cv{digest.hexdigest()}"


def is_made(call: str) -> bool:
    """Whether the id was made here, so that the provider never saw it."""
    return _MADE.match(call) is not None


class CallIds:
    """The calls of one conversation, as they are read."""

    __slots__ = ("_count", "_pending")

    def __init__(self) -> None:
        self._count = 0
        self._pending: list[tuple[str, str]] = []

    def of_call(self, given: str | None, name: str) -> str:
        self._count += 1
        call = given or made_id(self._count, name)
        self._pending.append((call, name))
        return call

    def of_result(self, given: str | None, name: str | None) -> str:
        """The id of the call that a result answers: the first open one of its name where the result has
        none. A result without a call gets an id of its own; the provider may judge it.
        """
        for at, (call, called) in enumerate(self._pending):
            if call == given or (not given and name in (None, called)):
                del self._pending[at]
                return call
        if given:
            return given
        self._count += 1
        return made_id(self._count, name)
