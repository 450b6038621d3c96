"""A conversation before any API gave it a shape: how a question is put to the simulated model."""

from typing import Any

import msgspec

from chatvault.fake.errors import Refusal
from chatvault.fake.reply import Ask, Tool
from chatvault.fake.text import count_prompt


class Turn(msgspec.Struct, frozen=True):
    """One message: who speaks (`user` is the one whom `echo` repeats) and its text."""

    role: str
    text: str


def ask_about(
    turns: list[Turn],
    *,
    limit: int | None = None,
    stop: tuple[str, ...] = (),
    tool: Tool | None = None,
    schema: object = None,
) -> Ask:
    """The question that `turns` put; the same conversation is the same question in every dialect."""
    texts = [turn.text for turn in turns]
    last = next((turn.text for turn in reversed(turns) if turn.role == "user"), texts[-1] if texts else "")
    return Ask(
        text="\n".join(texts),
        last=last,
        prompt=count_prompt(sum(len(text.encode()) for text in texts), len(turns)),
        limit=limit,
        stop=stop,
        tool=tool,
        schema=schema,
    )


def choose(tools: list[Tool], name: str | None, *, param: str) -> Tool | None:
    """The tool called `name`, or the first. Raises Refusal (400) if the one that was named is not there."""
    if name is not None:
        tools = [tool for tool in tools if tool.name == name]
        if not tools:
            raise Refusal(400, f"{param} names a tool that is not among the tools.", param=param)
    return tools[0] if tools else None


def plain_schema(schema: Any) -> Any:
    """A schema with its types in small letters: Gemini's own form writes them in capitals."""
    if isinstance(schema, list):
        return [plain_schema(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value.lower() if key == "type" and isinstance(value, str) else plain_schema(value)
        for key, value in schema.items()
    }
