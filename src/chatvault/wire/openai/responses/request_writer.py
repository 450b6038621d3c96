"""The hub's conversation, written as a responses request."""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from chatvault.wire.hub.conversation import Conversation, Message, Output, Reasoning, ServerTool, Tool
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.effort import effort_of
from chatvault.wire.hub.parts import Text
from chatvault.wire.hub.paths import field_path, part_path
from chatvault.wire.json_value import Values, encode, object_of, put
from chatvault.wire.openai.chat.request_writer import SHARED
from chatvault.wire.openai.responses.items_writer import ItemsWriter
from chatvault.wire.openai.responses.proofs import ORIGIN
from chatvault.wire.openai.responses.request_reader import LOGPROBS, SEALED, SOURCES
from chatvault.wire.openai.responses.tools import write_choice, write_tools
from chatvault.wire.openai.retold import tier_of

_REASONS: Final = re.compile(r"(?:^|/)(?:o[1-9]|gpt-[5-9]|codex)")
"""Models that think, and seal their thoughts if asked to; others refuse to be asked
(https://platform.openai.com/docs/guides/reasoning#encrypted-reasoning-items, seen 2026-11)."""
_SHARED: Final = (SHARED | {"store"}) - {"logit_bias"}
_LOST: Final = ("top_k", "seed", "choices", "stop", "modalities")


def write_request(conversation: Conversation, dropped: Dropped) -> bytes:
    own = conversation.origin == ORIGIN
    out: Values = {"model": conversation.model} if conversation.model else {}
    _input(conversation, out, dropped, own=own)
    write_tools(conversation, out, dropped)
    if conversation.tool_choice is not None:
        custom = frozenset(tool.name for tool in conversation.tools if isinstance(tool, Tool) and tool.custom)
        out["tool_choice"] = write_choice(conversation.tool_choice, custom)
    out.update(answer_fields(conversation))
    if conversation.service_tier is not None and "service_tier" not in out:
        dropped.add(field_path(conversation.origin, "service_tier"))
    for name in _LOST:
        value = getattr(conversation, name)
        if (
            value
            and not (name == "modalities" and value == ("text",))
            and not (name == "choices" and value == 1)
        ):
            dropped.add(field_path(conversation.origin, name))
    for name, value in conversation.extra.items():
        if own:
            _merge(out, name, value)
        elif conversation.origin.startswith("openai.") and name in _SHARED:
            out[name] = value
        else:
            dropped.add(name)
    if own:
        out.update(conversation.said)
    else:
        _stateless(conversation, out)
    if conversation.stream:
        out["stream"] = True
    return encode(out)


def _merge(out: Values, name: str, value: msgspec.Raw) -> None:
    """`text` and `reasoning` may have been understood in part."""
    if name in out and name in ("text", "reasoning"):
        out[name] = {**object_of(out[name]), **object_of(msgspec.json.decode(value))}
    else:
        out[name] = value


def _input(conversation: Conversation, out: Values, dropped: Dropped, *, own: bool) -> None:
    messages = conversation.messages
    first = messages[0] if messages else None
    text = _plain(first) if first is not None else None
    if (
        first is not None
        and text is not None
        and first.role == "system"
        and (not own or first.path == "instructions")
    ):
        out["instructions"] = text
        if first.parts[0].cache is not None:
            dropped.add(f"{part_path(conversation, 0, 0)}.cache_control")
        messages = messages[1:]
    only = messages[0] if len(messages) == 1 else None
    if own and only is not None and only.path == "input":
        out["input"] = _plain(only)
    elif messages or not own:
        out["input"] = ItemsWriter(dropped, own=own).write(conversation, 1 if "instructions" in out else 0)


def _plain(message: Message) -> str | None:
    """The text of a message that has nothing else."""
    if len(message.parts) != 1 or message.extra or message.name:
        return None
    part = message.parts[0]
    plain = isinstance(part, Text) and not (part.extra or part.citations)
    return part.text if isinstance(part, Text) and plain else None


def answer_fields(conversation: Conversation) -> Values:
    """The fields that say how to answer; an answer repeats them."""
    tier = conversation.service_tier if conversation.origin == ORIGIN else tier_of(conversation.service_tier)
    out: Values = {}
    text: Values = {}
    put(
        text,
        format=_format(conversation.output) if conversation.output is not None else None,
        verbosity=conversation.verbosity,
    )
    put(
        out,
        parallel_tool_calls=conversation.parallel_tools,
        max_output_tokens=conversation.max_output,
        temperature=conversation.temperature,
        top_p=conversation.top_p,
        presence_penalty=conversation.presence_penalty,
        frequency_penalty=conversation.frequency_penalty,
        top_logprobs=conversation.top_logprobs,
        user=conversation.user,
        metadata=conversation.metadata,
        service_tier=tier,
        text=text or None,
        reasoning=_reasoning(conversation.reasoning) if conversation.reasoning is not None else None,
    )
    return out


def _format(output: Output) -> Values:
    said: Values = {"type": output.kind}
    if output.kind == "json_schema":
        said["name"] = output.name or "response"  # it must have one
        put(said, description=output.description, schema=output.schema, strict=output.strict)
    return said


def _reasoning(reasoning: Reasoning) -> Mapping[str, object] | None:
    effort = reasoning.effort
    if effort is None and reasoning.budget is not None:
        effort = effort_of(reasoning.budget)
    summary = reasoning.summary or ("auto" if reasoning.show else None)
    said: Values = {}
    put(said, effort=effort, summary=summary)
    return said or None


def _stateless(conversation: Conversation, out: Values) -> None:
    """A client of another dialect sends all it said each time: nothing has to be stored, and thoughts have
    to come sealed."""
    out.setdefault("store", False)
    include = [LOGPROBS] if conversation.logprobs else []
    if _REASONS.search(conversation.model) or "reasoning" in out:
        include.append(SEALED)
    if any(tool.kind == "web_search" for tool in conversation.tools if isinstance(tool, ServerTool)):
        include.append(SOURCES)  # what was found, which other dialects always tell
    if include:
        out["include"] = include
