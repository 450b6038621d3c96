"""Tools and the choice among them (https://docs.anthropic.com/en/docs/agents-and-tools/tool-use, seen
2026-11).
"""

import re
from hashlib import blake2b
from typing import Final

import msgspec

from chatvault.wire.anthropic.blocks_reader import take_cache
from chatvault.wire.anthropic.models import ModelFacts
from chatvault.wire.anthropic.names import ME
from chatvault.wire.anthropic.output import closed_schema
from chatvault.wire.anthropic.tool_input import CUSTOM_INPUT
from chatvault.wire.hub.conversation import Conversation, ServerTool, Tool, ToolChoice
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.paths import field_path, tool_path
from chatvault.wire.hub.search import WebSearch
from chatvault.wire.json_value import Values, decode, list_of, number_of, object_of, put, raw
from chatvault.wire.openai.search_options import place_of
from chatvault.wire.taken import refused, take_object, take_text, take_truth, unread

_KINDS: Final = {
    "web_search": "web_search",
    "web_fetch": "web_fetch",
    "code_execution": "code_execution",
}
_DATED: Final = re.compile(r"(web_search|web_fetch|code_execution)_\d{8}")
_WRITTEN: Final = {
    "web_search": "web_search_20250305",
    "web_fetch": "web_fetch_20250910",
    "code_execution": "code_execution_20250825",
}
_MEANT: Final[tuple[object, ...]] = (None, {}, [], {"type": "auto"})
"""Options that ask for what is done anyway."""
_ID: Final = re.compile(r"[a-zA-Z0-9_-]+")
_MODES: Final = {"auto": "auto", "any": "required", "none": "none", "tool": "named"}
_CHOICES: Final = {mode: kind for kind, mode in _MODES.items()}


def read_tool(value: object, index: int) -> Tool | ServerTool:
    """Raises ClientError (400)."""
    path = f"tools[{index}]"
    if not isinstance(value, dict):
        raise refused(path, "an object")
    kind = value.get("type")
    if kind is not None and kind != "custom":
        if not isinstance(kind, str):
            raise refused(f"{path}.type", "a string")
        dated = _DATED.fullmatch(kind)
        known = _KINDS[dated[1]] if dated else kind
        search = _read_search(value) if known == "web_search" else None
        return ServerTool(kind=known, origin=ME, raw=raw(value), search=search)
    rest = dict(value)
    rest.pop("type", None)
    name, cache = take_text(rest, "name", f"{path}."), take_cache(rest)
    if name is None:
        raise refused(f"{path}.name", "a string")
    description, strict = (
        take_text(rest, "description", f"{path}."),
        take_truth(rest, "strict", f"{path}."),
    )
    schema = take_object(rest, "input_schema", f"{path}.")
    extra = unread(rest)
    return Tool(
        name=name,
        description=description,
        schema=raw(schema) if schema is not None else None,
        strict=strict,
        cache=cache,
        origin=ME if extra else None,
        extra=extra,
    )


def read_choice(rest: Values, extra: dict[str, msgspec.Raw]) -> tuple[ToolChoice | None, bool | None]:
    """The choice, and whether several tools may be called at once. Raises ClientError (400)."""
    whole = rest.get("tool_choice")
    found = take_object(rest, "tool_choice")
    if found is None:
        return None, None
    said = dict(found)
    mode = _MODES.get(str(said.pop("type", None)))
    one = take_truth(said, "disable_parallel_tool_use", "tool_choice.")
    parallel = not one if one is not None else None
    name = take_text(said, "name", "tool_choice.") if mode == "named" else None
    match mode:
        case "auto" | "required" | "none":
            choice = ToolChoice(mode=mode)
        case "named" if name is not None:
            choice = ToolChoice(mode="named", name=name)
        case "named":
            raise refused("tool_choice.name", "a string")
        case _:
            extra["tool_choice"] = raw(whole)
            return None, None
    extra |= {f"tool_choice.{key}": raw(value) for key, value in said.items()}
    return choice, parallel


def write_tools(conversation: Conversation, facts: ModelFacts, dropped: Dropped) -> list[object]:
    """The tools a request defines: all of them, or those that the choice leaves."""
    choice = conversation.tool_choice
    names = choice.names if choice is not None else ()
    written: list[object] = []
    for index, tool in enumerate(conversation.tools):
        path = tool.path or tool_path(conversation, index)
        if isinstance(tool, ServerTool):
            server = tool.raw if tool.origin == ME else _server_tool(tool, path, dropped)
            if server is not None:
                written.append(server)
        elif not names or tool.name in names:
            written.append(_tool(tool, facts, path, dropped, own=conversation.origin == ME))
    return written


def _tool(tool: Tool, facts: ModelFacts, path: str, dropped: Dropped, *, own: bool) -> Values:
    out: Values = {"name": tool.name}
    put(out, description=tool.description)
    schema = decode(bytes(tool.schema)) if tool.schema is not None else None
    if tool.custom:
        dropped.add(f"{path}.type")
        schema = {
            "type": "object",
            "properties": {CUSTOM_INPUT: {"type": "string"}},
            "required": [CUSTOM_INPUT],
        }
    elif own:
        put(out, strict=tool.strict)
    else:
        fit = facts.structured and closed_schema(schema) is not None
        if tool.strict and not fit:
            dropped.add(f"{path}.strict")
        put(out, strict=tool.strict if fit or (facts.structured and not tool.strict) else None)
        schema = {"type": "object", "properties": {}} if schema is None else _with_type(schema)
    put(out, input_schema=schema, cache_control=cache_control(tool.cache))
    if tool.origin == ME:
        out |= tool.extra or {}
    else:
        for name in tool.extra or ():
            dropped.add(f"{path}.{name}")
    return out


def _with_type(schema: object) -> object:
    if isinstance(schema, dict) and "type" not in schema:
        return {"type": "object", **schema}
    return schema


def _server_tool(tool: ServerTool, path: str, dropped: Dropped) -> Values | None:
    """A tool of another provider's that this one has too. Its options are carried where they mean the same."""
    dated = _WRITTEN.get(tool.kind)
    if dated is None:
        dropped.add(path)
        return None
    out: Values = {"type": dated, "name": tool.kind}
    if tool.search is not None:
        return out | _search_options(tool.search, path, dropped)
    try:
        options = object_of(decode(bytes(tool.raw)))
    except ValueError:
        options = {}
    for name, value in options.items():
        if name not in ("type", "name") and value not in _MEANT:
            dropped.add(f"{path}.{name}")
    return out


_SEARCH_KNOWN: Final = frozenset(
    ("type", "name", "max_uses", "allowed_domains", "blocked_domains", "user_location")
)


def _read_search(said: Values) -> WebSearch:
    return WebSearch(
        max_uses=number_of(said.get("max_uses")),
        allowed_domains=_domains(said.get("allowed_domains")),
        blocked_domains=_domains(said.get("blocked_domains")),
        place=place_of(object_of(said.get("user_location"))),
        names={"place": "user_location"},
        other=tuple(name for name in said if name not in _SEARCH_KNOWN and said[name] is not None),
    )


def _domains(value: object) -> tuple[str, ...]:
    return tuple(each for each in list_of(value) if isinstance(each, str))


def _search_options(search: WebSearch, path: str, dropped: Dropped) -> Values:
    """Only one of the two lists of domains may be there."""
    out: Values = {}
    put(
        out,
        max_uses=search.max_uses,
        allowed_domains=list(search.allowed_domains) or None,
        user_location={"type": "approximate", **search.place} if search.place else None,
    )
    if search.blocked_domains and not search.allowed_domains:
        out["blocked_domains"] = list(search.blocked_domains)
        search.drop(path, dropped, "context_size")
    else:
        search.drop(path, dropped, "context_size", "blocked_domains")
    return out


def write_choice(conversation: Conversation, *, tools: bool, dropped: Dropped) -> Values | None:
    """`tools`: some are defined. Without any there is nothing to choose."""
    choice, parallel = conversation.tool_choice, conversation.parallel_tools
    own = conversation.origin == ME
    if not tools and not own:
        if choice is not None and choice.mode in ("required", "named"):
            dropped.add(field_path(conversation.origin, "tool_choice"))
        return None
    if choice is None and parallel is None:
        return None
    mode = choice.mode if choice is not None else "auto"
    out: Values = {"type": _CHOICES[mode]}
    put(out, name=choice.name if choice is not None else None)
    if parallel is not None and mode != "none":
        out["disable_parallel_tool_use"] = not parallel
    return out


def cache_control(lifetime: str | None) -> Values | None:
    if lifetime is None:
        return None
    return {"type": "ephemeral"} if lifetime == "default" else {"type": "ephemeral", "ttl": lifetime}


def tool_id(id: str, name: str) -> str:
    """An id of another provider's in the letters that Anthropic allows, the same for the call and for its
    result.
    """
    if _ID.fullmatch(id) is not None:
        return id
    digest = blake2b(f"{id}\n{name if not id else ''}".encode(), digest_size=8).hexdigest()
    return f"toolu_{digest}"
