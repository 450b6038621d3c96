"""A conversation before any API gave it a shape: how a question is put to the simulated model."""

from typing import Any

import msgspec

from chatvault.fake.ask import Ask, Tool, Turn
from chatvault.fake.errors import Refusal
from chatvault.fake.text import count_prompt


class Toolbox(msgspec.Struct, frozen=True):
    """The tools that may be called (none if the request forbids it), which was chosen, and the field that chose."""

    there: list[Tool]
    chosen: str | None = None
    param: str = "tool_choice"


NO_TOOLS = Toolbox([])


def ask_about(
    turns: list[Turn],
    *,
    limit: int | None = None,
    stop: tuple[str, ...] = (),
    tools: Toolbox = NO_TOOLS,
    schema: object = None,
) -> Ask:
    """The question that `turns` put; the same conversation is the same question in every dialect. Once a tool has
    answered, none is called. Raises Refusal (400) if the tool that was chosen is not there."""
    answered = any(turn.role == "tool" for turn in turns)
    texts = [turn.text for turn in turns]
    last = next((turn.text for turn in reversed(turns) if turn.role == "user"), texts[-1] if texts else "")
    return Ask(
        text="\n".join(texts),
        last=last,
        prompt=count_prompt(sum(len(text.encode()) for text in texts), len(turns)),
        limit=limit,
        stop=stop,
        tool=None if answered else _choose(tools),
        schema=schema,
        turns=tuple(turns),
        tools=tuple(tools.there),
    )


def _choose(tools: Toolbox) -> Tool | None:
    """The one that was chosen, else the first."""
    there = tools.there
    if tools.chosen is not None:
        there = [tool for tool in there if tool.name == tools.chosen]
        if not there:
            raise Refusal(400, f"{tools.param} names a tool that is not among the tools.", param=tools.param)
    return there[0] if there else None


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
