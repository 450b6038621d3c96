"""The hub's tools and tool choice as Gemini's `tools` and `toolConfig`."""

from typing import Final

from chatvault.wire.gemini.names import DIALECT
from chatvault.wire.gemini.schema import to_gemini
from chatvault.wire.gemini.tool_reader import SERVER_KINDS
from chatvault.wire.hub.conversation import Conversation, ServerTool, Tool, ToolChoice
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.paths import field_path, tool_path
from chatvault.wire.json_value import Values, decode, decode_object

_SERVER: Final = {
    kind: name
    for name, kind in SERVER_KINDS.items()
    if name in ("googleSearch", "codeExecution", "urlContext")
}
"""Kinds that need no settings of Gemini's own."""
_LABELS: Final = frozenset(("type", "name"))


def write_tools(conversation: Conversation, dropped: Dropped) -> list[Values]:
    out: list[Values] = []
    declarations: list[Values] = []
    for index, tool in enumerate(conversation.tools):
        path = tool_path(conversation, index)
        if isinstance(tool, ServerTool):
            found = _server_tool(tool, path, dropped)
            if found is not None:
                out.append(found)
                declarations = []
        elif tool.custom:
            dropped.add(path)
        else:
            if not declarations:
                declarations = []
                out.append({"functionDeclarations": declarations})
            declarations.append(_declaration(tool, path, dropped))
    return out


def _server_tool(tool: ServerTool, path: str, dropped: Dropped) -> Values | None:
    definition = decode_object(tool.raw)
    if tool.origin == DIALECT:
        return definition
    if tool.kind not in _SERVER:
        dropped.add(path)
        return None
    if tool.search is not None:
        tool.search.drop(
            path, dropped, "context_size", "max_uses", "allowed_domains", "blocked_domains", "place"
        )
    else:
        for name, value in definition.items():
            if name not in _LABELS and value not in (None, {}, []):
                dropped.add(f"{path}.{name}")
    return {_SERVER[tool.kind]: {}}


def _declaration(tool: Tool, path: str, dropped: Dropped) -> Values:
    out: Values = {"name": tool.name}
    if tool.description is not None:
        out["description"] = tool.description
    if tool.schema is not None:
        schema = decode(tool.schema)
        said = to_gemini(schema, ordered=False) if isinstance(schema, dict) else None
        if said is not None:
            out["parameters"] = said
        else:
            out["parametersJsonSchema"] = schema
    if tool.strict:
        dropped.add(f"{path}.strict")
    if tool.cache:
        dropped.add(f"{path}.cache_control")
    for name, value in (tool.extra or {}).items():
        if tool.origin == DIALECT:
            out[name] = decode(value)
        else:
            dropped.add(f"{path}.{name}")
    return out


def write_choice(conversation: Conversation, dropped: Dropped) -> Values | None:
    """The value of `functionCallingConfig`."""
    choice = conversation.tool_choice
    if conversation.parallel_tools is False:
        dropped.add(field_path(conversation.origin, "parallel_tools"))
    if choice is None:
        return None
    if not any(isinstance(tool, Tool) for tool in conversation.tools) and conversation.origin != DIALECT:
        # A choice among functions without functions is refused.
        if choice.mode in ("required", "named"):
            dropped.add(field_path(conversation.origin, "tool_choice"))
        return None
    return _choice(choice)


def _choice(choice: ToolChoice) -> Values:
    if choice.mode == "none":
        return {"mode": "NONE"}
    names = [choice.name] if choice.mode == "named" and choice.name else list(choice.names)
    if choice.mode == "auto":
        # Names narrow only ANY and VALIDATED (https://ai.google.dev/api/caching#FunctionCallingConfig, seen
        # 2026-11).
        return {"mode": "VALIDATED", "allowedFunctionNames": names} if names else {"mode": "AUTO"}
    return {"mode": "ANY", "allowedFunctionNames": names} if names else {"mode": "ANY"}
