"""A conversation as a request to `/api/chat`."""

from typing import Final

from chatvault.wire.hub.conversation import Conversation, Output, Reasoning, ServerTool, Tool
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.effort import effort_of
from chatvault.wire.hub.paths import field_path, shown_path, tool_path
from chatvault.wire.json_value import Values, decode, encode
from chatvault.wire.ollama.messages_writer import MessagesWriter
from chatvault.wire.ollama.names import DIALECT, GENERATE

_OPTIONS: Final = ("temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty")
_LEVELS: Final = {"minimal": "low", "xhigh": "max"}
"""Words that Ollama does not know, by those it does (https://docs.ollama.com/capabilities/thinking, seen
2026-11).
"""
_UNHEARD: Final = ("user", "metadata", "verbosity")
_TEMPLATE: Final = frozenset(("template", "raw", "context", "suffix"))
"""What only `/api/generate` understands."""
_NO_TIER: Final = frozenset(("auto", "default", "standard"))


def write_request(conversation: Conversation, dropped: Dropped) -> bytes:
    out: Values = {
        "model": conversation.model,
        "messages": MessagesWriter(conversation, dropped).write(),
        "stream": conversation.stream,
    }
    tools = _tools(conversation, dropped)
    if tools:
        out["tools"] = tools
    write_settings(conversation, out, dropped)
    _report_choice(conversation, dropped)
    return encode(out)


def write_settings(conversation: Conversation, out: Values, dropped: Dropped) -> None:
    """All but messages and tools."""
    options: Values = {}
    for name in _OPTIONS:
        value = getattr(conversation, name)
        if value is not None:
            options[name] = value
    if conversation.max_output is not None:
        options["num_predict"] = conversation.max_output
    if conversation.stop:
        options["stop"] = list(conversation.stop)
    if options:
        out["options"] = options
    if conversation.output is not None:
        _output(out, conversation.output, conversation, dropped)
    if conversation.reasoning is not None:
        think = _think(conversation.reasoning)
        if think is not None:
            out["think"] = think
    if conversation.logprobs is not None:
        out["logprobs"] = conversation.logprobs
    if conversation.top_logprobs is not None:
        out["top_logprobs"] = conversation.top_logprobs
    _report(conversation, dropped)
    for path, value in conversation.extra.items():
        if conversation.origin == DIALECT or (conversation.origin == GENERATE and path not in _TEMPLATE):
            _put(out, path, decode(value))
        else:
            dropped.add(path)


def _put(out: Values, path: str, value: object) -> None:
    around, dot, name = path.partition(".")
    inner = out.setdefault("options", {}) if dot and around == "options" else None
    if isinstance(inner, dict):
        inner[name] = value
    else:
        out[path] = value


def _output(out: Values, output: Output, conversation: Conversation, dropped: Dropped) -> None:
    if output.kind == "json_object" or (output.kind == "json_schema" and output.schema is None):
        out["format"] = "json"
    elif output.schema is not None:
        out["format"] = decode(output.schema)
        if output.description is not None:
            dropped.add(f"{field_path(conversation.origin, 'output')}.description")


def _think(reasoning: Reasoning) -> bool | str | None:
    effort = reasoning.effort
    if effort is None and reasoning.budget is not None:
        effort = effort_of(reasoning.budget)
    if effort is not None:
        return False if effort == "none" else _LEVELS.get(effort, effort)
    return True if reasoning.adaptive or reasoning.show or reasoning.summary else None


def _report(conversation: Conversation, dropped: Dropped) -> None:
    origin = conversation.origin
    for name in _UNHEARD:
        if getattr(conversation, name) is not None:
            dropped.add(field_path(origin, name))
    if conversation.reasoning is not None and conversation.reasoning.show is False:
        dropped.add(shown_path(origin))
    if conversation.choices not in (None, 1):
        dropped.add(field_path(origin, "choices"))
    if conversation.service_tier is not None and conversation.service_tier not in _NO_TIER:
        dropped.add(field_path(origin, "service_tier"))
    if any(each != "text" for each in conversation.modalities):
        dropped.add(field_path(origin, "modalities"))


def _report_choice(conversation: Conversation, dropped: Dropped) -> None:
    """Ollama has no tool choice: `none` is told by offering no tools, `auto` is what it does."""
    origin, choice = conversation.origin, conversation.tool_choice
    if choice is not None and (choice.mode in ("required", "named") or choice.names):
        dropped.add(field_path(origin, "tool_choice"))
    if conversation.parallel_tools is False:
        dropped.add(field_path(origin, "parallel_tools"))


def _tools(conversation: Conversation, dropped: Dropped) -> list[Values]:
    choice = conversation.tool_choice
    if choice is not None and choice.mode == "none":
        return []
    out: list[Values] = []
    for index, tool in enumerate(conversation.tools):
        path = tool_path(conversation, index)
        if isinstance(tool, ServerTool) or tool.custom:
            dropped.add(path)
        else:
            out.append(_tool(tool, path, dropped))
    return out


def _tool(tool: Tool, path: str, dropped: Dropped) -> Values:
    function: Values = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    # The field is not optional there (https://docs.ollama.com/api/chat, seen 2026-11).
    function["parameters"] = (
        decode(tool.schema) if tool.schema is not None else {"type": "object", "properties": {}}
    )
    out: Values = {"type": "function", "function": function}
    if tool.strict is not None:
        # Ollama reads past it, and clients of other dialects send it by habit; only a demand is reported.
        function["strict"] = tool.strict
        if tool.strict:
            dropped.add(f"{path}.strict")
    if tool.cache:
        dropped.add(f"{path}.cache_control")
    for name, value in (tool.extra or {}).items():
        found = decode(value)
        if tool.origin != DIALECT:
            dropped.add(f"{path}.{name}")
        elif name == "function" and isinstance(found, dict):
            function.update(found)
        else:
            out[name] = found
    return out
