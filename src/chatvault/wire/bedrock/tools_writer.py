"""Tools, the choice among them, and the form of an answer where a tool stands in for it
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html, 2026-11).
"""

from typing import Final

from chatvault.wire.anthropic.output import AnswerTool
from chatvault.wire.anthropic.tool_input import CUSTOM_INPUT
from chatvault.wire.bedrock.blocks_writer import cache_point
from chatvault.wire.bedrock.models import ModelFacts
from chatvault.wire.hub.conversation import Conversation, ServerTool, Tool, ToolChoice
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.paths import field_path, tool_path
from chatvault.wire.json_value import Values, decode, obj, object_of

_ANY: Final[Values] = {"type": "object", "properties": {}}
_KNOWN: Final = frozenset(("type", "properties", "required", "$defs", "definitions"))
_TEXT: Final[Values] = {
    "type": "object",
    "properties": {CUSTOM_INPUT: {"type": "string"}},
    "required": [CUSTOM_INPUT],
}


def write_tools(
    conversation: Conversation,
    called: dict[str, None],
    answer: AnswerTool | None,
    facts: ModelFacts,
    dropped: Dropped,
) -> Values | None:
    """The value of `toolConfig`. Tools that were `called` have to be in it, whether the client says them or not."""
    choice = conversation.tool_choice
    if conversation.parallel_tools is False:
        dropped.add(field_path(conversation.origin, "parallel_tools"))
    written = [*_defined(conversation, facts, dropped)]
    if choice is not None and choice.mode == "none":
        written = []  # there is no such choice; without tools there is nothing to choose
        if called:
            dropped.add(field_path(conversation.origin, "tool_choice"))
    if answer is not None:
        stand_in = _answer_spec(answer)
        if facts.plain:
            _plain(stand_in, field_path(conversation.origin, "output"), dropped)
        written.append(stand_in)
    known = {spec.get("name") for each in written if (spec := obj(each.get("toolSpec"))) is not None}
    written += [_spec(Tool(name=name)) for name in called if name not in known]
    if not written:
        if choice is not None and choice.mode in ("required", "named"):
            dropped.add(field_path(conversation.origin, "tool_choice"))
        return None
    out: Values = {"tools": written}
    if answer is not None:
        chosen: Values | None = _answering(choice, answer, tools=len(known) > 1)
    else:
        chosen = _choice(conversation, facts, dropped)
    if chosen is not None:
        out["toolChoice"] = chosen
    return out


def _defined(conversation: Conversation, facts: ModelFacts, dropped: Dropped) -> list[Values]:
    names = conversation.tool_choice.names if conversation.tool_choice is not None else ()
    written: list[Values] = []
    for index, tool in enumerate(conversation.tools):
        path = tool_path(conversation, index)
        if isinstance(tool, ServerTool):
            dropped.add(path)
            continue
        if names and tool.name not in names:
            continue
        written.append(_tool(tool, path, facts, dropped))
        lifetime = tool.cache
        if lifetime is not None and facts.caching != "full":
            dropped.add(f"{path}.cache_control")
        elif (point := cache_point(lifetime, path, facts, dropped)) is not None:
            written.append(point)
    return written


def _answer_spec(answer: AnswerTool) -> Values:
    schema = {"json": answer.tool["input_schema"]}
    return {
        "toolSpec": {"name": answer.name, "description": answer.tool["description"], "inputSchema": schema}
    }


def _tool(tool: Tool, path: str, facts: ModelFacts, dropped: Dropped) -> Values:
    if tool.custom:
        dropped.add(f"{path}.type")
    if tool.strict and not facts.structured:
        dropped.add(f"{path}.strict")
    for name in tool.extra or ():
        dropped.add(f"{path}.{name}")
    spec = _spec(tool, strict=tool.strict if facts.structured else None)
    if facts.plain and not tool.custom:
        _plain(spec, path, dropped)
    return spec


def _plain(tool: Values, path: str, dropped: Dropped) -> None:
    """Without what the model does not know at the top of a schema. What is referred to there stays."""
    schema = object_of(object_of(object_of(tool["toolSpec"])["inputSchema"])["json"])
    for name in sorted(schema.keys() - _KNOWN):
        del schema[name]
        if name != "$schema":
            dropped.add(f"{path}.{name}")


def _spec(tool: Tool, strict: bool | None = None) -> Values:
    schema = _TEXT if tool.custom else decode(tool.schema) if tool.schema is not None else _ANY
    if isinstance(schema, dict) and "type" not in schema:
        schema = {"type": "object", **schema}
    spec: Values = {"name": tool.name}
    if tool.description:
        spec["description"] = tool.description
    spec["inputSchema"] = {"json": schema}
    if strict:
        spec["strict"] = True
    return {"toolSpec": spec}


def _choice(conversation: Conversation, facts: ModelFacts, dropped: Dropped) -> Values | None:
    choice = conversation.tool_choice
    if choice is None or choice.mode in ("auto", "none"):
        return None  # auto is what is done without a word
    if choice.mode == "named" and facts.forced:
        return {"tool": {"name": choice.name}}
    if choice.mode == "named":
        dropped.add(f"{field_path(conversation.origin, 'tool_choice')}.name")
    return {"any": {}}


def _answering(choice: ToolChoice | None, answer: AnswerTool, *, tools: bool) -> Values:
    """The choice when the answer is a tool's input: that tool, or one of the client's."""
    if choice is not None and choice.mode == "named" and choice.name is not None:
        return {"tool": {"name": choice.name}}
    return (
        {"any": {}}
        if tools and (choice is None or choice.mode != "none")
        else {"tool": {"name": answer.name}}
    )
