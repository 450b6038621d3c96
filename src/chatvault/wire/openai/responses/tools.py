"""Tools of a responses request and what is to be done with them, read and written."""

from typing import Final

import msgspec

from chatvault.wire.hub.conversation import Conversation, ServerTool, Tool, ToolChoice
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.paths import tool_path
from chatvault.wire.hub.search import WebSearch
from chatvault.wire.json_value import Values, name_of, object_of, objects_of, put, raw
from chatvault.wire.openai.responses.proofs import ORIGIN
from chatvault.wire.openai.search_options import read_search, write_tool
from chatvault.wire.taken import refused, take_list, take_object, take_text, take_truth, unread

_KINDS: Final = {
    "web_search": "web_search",
    "web_search_2025_08_26": "web_search",
    "web_search_preview": "web_search",
    "web_search_preview_2025_03_11": "web_search",
    "code_interpreter": "code_execution",
}
"""Tools that the provider runs and others have too (https://platform.openai.com/docs/guides/tools, seen
2026-11)."""


def read_tools(rest: Values) -> tuple[Tool | ServerTool, ...]:
    return tuple(_tool(value, f"tools[{at}]") for at, value in enumerate(take_list(rest, "tools") or ()))


def _tool(value: object, path: str) -> Tool | ServerTool:
    if not isinstance(value, dict):
        raise refused(path, "an object")
    rest = dict(value)
    kind = rest.pop("type", None) or "function"
    if not isinstance(kind, str):
        raise refused(f"{path}.type", "a string")
    if kind not in ("function", "custom"):
        known = _KINDS.get(kind, kind)
        search = read_search(value) if known == "web_search" else None
        return ServerTool(kind=known, origin=ORIGIN, raw=raw(value), search=search, path=path)
    name = take_text(rest, "name", f"{path}.")
    if name is None:
        raise refused(f"{path}.name", "a string")
    description = take_text(rest, "description", f"{path}.")
    schema = take_object(rest, "parameters", f"{path}.")
    strict = take_truth(rest, "strict", f"{path}.")
    extra = unread(rest)
    return Tool(
        name=name,
        description=description,
        schema=raw(schema) if schema is not None else None,
        strict=strict,
        custom=kind == "custom",
        extra=extra,
        origin=ORIGIN if extra else None,
        path=path,
    )


def read_choice(rest: Values) -> ToolChoice | None:
    """What is not understood stays in `rest`."""
    value = rest.get("tool_choice")
    choice = _mode(value) if isinstance(value, str) else _named(object_of(value))
    if choice is not None:
        del rest["tool_choice"]
    return choice


def _mode(value: object) -> ToolChoice | None:
    if value == "auto":
        return ToolChoice(mode="auto")
    if value == "none":
        return ToolChoice(mode="none")
    return ToolChoice(mode="required") if value == "required" else None


def _named(value: Values) -> ToolChoice | None:
    if value.get("type") in ("function", "custom"):
        name = name_of(value.get("name"))
        return ToolChoice(mode="named", name=name) if name else None
    mode = _mode(value.get("mode"))
    tools = objects_of(value.get("tools"))
    names = tuple(name for tool in tools if (name := name_of(tool.get("name"))))
    if value.get("type") != "allowed_tools" or mode is None or len(names) != len(tools):
        return None
    return ToolChoice(mode=mode.mode, names=names)


def write_tools(conversation: Conversation, out: Values, dropped: Dropped) -> None:
    written: list[Values | msgspec.Raw] = []
    for at, tool in enumerate(conversation.tools):
        path = tool_path(conversation, at)
        if isinstance(tool, Tool):
            written.append(_written(tool, path, dropped, own=conversation.origin == ORIGIN))
        elif tool.origin == ORIGIN:
            written.append(tool.raw)
        elif tool.kind == "web_search":
            written.append(write_tool(tool.search, path, dropped))
            _bound(conversation, tool.search, path, out, dropped)
        elif tool.kind == "code_execution":
            written.append({"type": "code_interpreter", "container": {"type": "auto"}})
            for name, value in object_of(msgspec.json.decode(tool.raw)).items():
                if name not in ("type", "name") and value not in (None, {}):
                    dropped.add(f"{path}.{name}")
        else:
            dropped.add(path)
    if written:
        out["tools"] = written


def _written(tool: Tool, path: str, dropped: Dropped, *, own: bool) -> Values:
    out: Values = {"type": "custom" if tool.custom else "function", "name": tool.name}
    put(out, description=tool.description)
    if not tool.custom:
        put(out, parameters=tool.schema)
        if tool.schema is None and not own:
            out["parameters"] = None  # demanded, even where there are none
        # Here a function is strict unless it says it is not
        # (https://platform.openai.com/docs/guides/migrate-to-responses, seen 2026-11).
        put(out, strict=tool.strict if own else bool(tool.strict))
    extra = tool.extra or {}
    if own or tool.origin == ORIGIN:
        out.update(extra)
    else:
        for name, value in extra.items():
            if name == "custom.format" and tool.origin == "openai.chat":
                out["format"] = _format(object_of(msgspec.json.decode(value)))
            else:
                dropped.add(f"{path}.{name}")
    if tool.cache is not None:
        dropped.add(f"{path}.cache_control")
    return out


def _format(said: Values) -> Values:
    """Chat has the grammar of a custom tool one object deeper."""
    return {"type": said.get("type"), **object_of(said.get("grammar"))}


def _bound(
    conversation: Conversation, search: WebSearch | None, path: str, out: Values, dropped: Dropped
) -> None:
    """How often to search: a bound on all tools that the provider runs says so where this is the only one."""
    if search is None or search.max_uses is None:
        return
    if sum(isinstance(tool, ServerTool) for tool in conversation.tools) == 1:
        out["max_tool_calls"] = search.max_uses
    else:
        search.drop(path, dropped, "max_uses")


def write_choice(choice: ToolChoice, custom: frozenset[str]) -> object:
    def named(name: str) -> Values:
        return {"type": "custom" if name in custom else "function", "name": name}

    if choice.mode == "named":
        return named(choice.name or "")
    if choice.names:
        mode = "required" if choice.mode == "required" else "auto"
        return {"type": "allowed_tools", "mode": mode, "tools": [named(name) for name in choice.names]}
    return choice.mode
