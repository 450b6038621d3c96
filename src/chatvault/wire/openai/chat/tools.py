"""Tools of a chat request and what is to be done with them, read and written."""

from collections.abc import Iterable
from typing import Final

import msgspec

from chatvault.wire.hub.conversation import Conversation, ServerTool, Tool, ToolChoice
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.paths import tool_path
from chatvault.wire.json_value import Values, name_of, object_of, objects_of, put, raw
from chatvault.wire.openai.chat.content import ORIGIN, cache_of
from chatvault.wire.openai.search_options import read_search, write_options
from chatvault.wire.taken import refused, take_list, take_object, take_text, take_truth, unread

_MODES: Final = {"auto": "auto", "none": "none", "required": "required", "any": "required"}
"""`any` is Mistral's (https://docs.mistral.ai/capabilities/function_calling/, seen 2026-11)."""


def read_tools(rest: Values, said: dict[str, msgspec.Raw]) -> tuple[Tool | ServerTool, ...]:
    found = [_tool(value, f"tools[{at}]") for at, value in enumerate(take_list(rest, "tools") or ())]
    old = rest.get("functions")
    if old is not None:
        said["functions"] = raw(old)
        functions = take_list(rest, "functions") or []
        for at, value in enumerate(functions):
            if not isinstance(value, dict):
                raise refused(f"functions[{at}]", "an object")
            found.append(_function(dict(value), {}, f"functions[{at}]", f"functions[{at}]"))
    search = rest.get("web_search_options")
    if isinstance(search, dict):
        del rest["web_search_options"]
        found.append(
            ServerTool(
                kind="web_search",
                origin=ORIGIN,
                raw=raw(search),
                search=read_search(search),
                path="web_search_options",
            )
        )
    return tuple(found)


def _tool(value: object, path: str) -> Tool | ServerTool:
    if not isinstance(value, dict):
        raise refused(path, "an object")
    rest = dict(value)
    kind = rest.pop("type", None) or "function"
    if kind == "function":
        function = take_object(rest, "function", f"{path}.")
        if function is None:
            raise refused(f"{path}.function", "an object")
        return _function(dict(function), rest, path, f"{path}.function")
    if kind == "custom" and isinstance(rest.get("custom"), dict):
        said = dict(object_of(rest.pop("custom")))
        name = take_text(said, "name", f"{path}.custom.")
        if name is None:
            raise refused(f"{path}.custom.name", "a string")
        description = take_text(said, "description", f"{path}.custom.")
        extra = unread(rest | {f"custom.{name}": value for name, value in said.items()})
        return Tool(
            name=name,
            description=description,
            custom=True,
            extra=extra,
            origin=ORIGIN if extra else None,
            path=path,
        )
    if not isinstance(kind, str):
        raise refused(f"{path}.type", "a string")
    asked = read_search(value) if kind == "web_search" else None
    return ServerTool(kind=kind, origin=ORIGIN, raw=raw(value), search=asked, path=path)


def _function(said: Values, rest: Values, path: str, inner: str) -> Tool:
    if said.get("type") == "function":
        del said["type"]  # some clients say it twice
    name = take_text(said, "name", f"{inner}.")
    if name is None:
        raise refused(f"{inner}.name", "a string")
    schema = take_object(said, "parameters", f"{inner}.")
    cache = cache_of(rest)
    description = take_text(said, "description", f"{inner}.")
    strict = take_truth(said, "strict", f"{inner}.")
    extra = unread(rest | {f"function.{name}": value for name, value in said.items()})
    return Tool(
        name=name,
        description=description,
        schema=raw(schema) if schema is not None else None,
        strict=strict,
        cache=cache,
        extra=extra,
        origin=ORIGIN if extra else None,
        path=path,
    )


def read_choice(rest: Values, said: dict[str, msgspec.Raw]) -> ToolChoice | None:
    """What is not understood stays in `rest`."""
    old = rest.get("function_call")
    if old is not None:
        name = name_of(object_of(old).get("name"))
        choice = ToolChoice(mode="named", name=name) if name else _mode(old)
        if choice is not None:
            said["function_call"] = raw(rest.pop("function_call"))
        return choice
    value = rest.get("tool_choice")
    choice = _mode(value) if isinstance(value, str) else _named(object_of(value))
    if choice is not None:
        del rest["tool_choice"]
        if value == "any":
            said["tool_choice"] = raw(value)
    return choice


def _mode(value: object) -> ToolChoice | None:
    mode = _MODES.get(value) if isinstance(value, str) else None
    if mode == "auto":
        return ToolChoice(mode="auto")
    if mode == "none":
        return ToolChoice(mode="none")
    return ToolChoice(mode="required") if mode is not None else None


def _named(value: Values) -> ToolChoice | None:
    kind = value.get("type", "function")
    if kind in ("function", "custom"):
        name = name_of(object_of(value.get(str(kind))).get("name"))
        return ToolChoice(mode="named", name=name) if name else None
    allowed = object_of(value.get("allowed_tools"))
    mode = _mode(allowed.get("mode"))
    if kind != "allowed_tools" or mode is None:
        return None
    names = [
        name_of(object_of(tool.get(str(tool.get("type")))).get("name"))
        for tool in objects_of(allowed.get("tools"))
    ]
    if not all(names):
        return None
    return ToolChoice(mode=mode.mode, names=tuple(name for name in names if name))


def write_tools(conversation: Conversation, out: Values, dropped: Dropped, *, caches: bool) -> None:
    written: list[Values | msgspec.Raw] = []
    for at, tool in enumerate(conversation.tools):
        path = tool_path(conversation, at)
        if path.startswith("functions[") and conversation.origin == ORIGIN:
            continue  # `said` has them
        if isinstance(tool, Tool):
            written.append(_written(tool, path, dropped, caches=caches))
        elif path == "web_search_options" and tool.origin == ORIGIN:
            out["web_search_options"] = tool.raw
        elif tool.origin == ORIGIN:
            written.append(tool.raw)
        elif tool.kind == "web_search":
            out["web_search_options"] = write_options(tool.search, path, dropped)
        else:
            dropped.add(path)
    if written:
        out["tools"] = written


def _written(tool: Tool, path: str, dropped: Dropped, *, caches: bool) -> Values:
    extra = dict(tool.extra or {})
    inner = "custom" if tool.custom else "function"
    if tool.origin not in (ORIGIN, None):
        format = extra.pop("format", None) if tool.custom and tool.origin == "openai.responses" else None
        for name in extra:
            dropped.add(f"{path}.{name}")
        extra = {"custom.format": raw(_format(msgspec.json.decode(format)))} if format is not None else {}
    said: Values = {"name": tool.name}
    put(said, description=tool.description)
    if not tool.custom:
        put(said, parameters=tool.schema, strict=tool.strict)
    out: Values = {"type": inner, inner: said}
    for name, value in extra.items():
        (said if name.startswith(f"{inner}.") else out)[name.removeprefix(f"{inner}.")] = value
    put_cache(out, tool.cache, path, dropped, caches=caches)
    return out


def _format(said: object) -> Values:
    """Responses have the grammar of a custom tool one object higher."""
    rest = dict(object_of(said))
    kind = rest.pop("type", None)
    return {"type": kind, "grammar": rest} if rest else {"type": kind}


def put_cache(out: Values, cache: str | None, path: str, dropped: Dropped, *, caches: bool) -> None:
    if cache is None:
        return
    if not caches:
        dropped.add(f"{path}.cache_control")
        return
    out["cache_control"] = {"type": "ephemeral"} | ({"ttl": cache} if cache != "default" else {})


def write_choice(choice: ToolChoice, names_of_custom: Iterable[str]) -> object:
    custom = set(names_of_custom)

    def named(name: str) -> Values:
        kind = "custom" if name in custom else "function"
        return {"type": kind, kind: {"name": name}}

    if choice.mode == "named":
        return named(choice.name or "")
    if choice.names:
        mode = "required" if choice.mode == "required" else "auto"
        tools = [named(name) for name in choice.names]
        return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}
    return choice.mode
