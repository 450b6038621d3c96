"""What the simulated model is asked, before any API gives it a shape."""

from typing import Any

import msgspec


class Tool(msgspec.Struct, frozen=True):
    """A tool the model may call; a custom tool takes text instead of arguments."""

    name: str
    parameters: Any = None
    custom: bool = False


class Turn(msgspec.Struct, frozen=True):
    """One message: who speaks (`user` is the one whom `echo` repeats, `tool` a result) and its text."""

    role: str
    text: str


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """All text (it is the seed), the last thing the user said, the prompt's tokens, and the wishes."""

    text: str
    last: str
    prompt: int
    limit: int | None = None
    stop: tuple[str, ...] = ()
    tool: Tool | None = None
    schema: Any = None
    """The JSON schema the answer must fit; None for plain text."""
    turns: tuple[Turn, ...] = ()
    tools: tuple[Tool, ...] = ()
    """All that may be called; `tool` is the one that is, by the common rule."""
