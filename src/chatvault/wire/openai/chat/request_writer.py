"""The hub's conversation, written as a chat request."""

from typing import Final

import msgspec

from chatvault.wire.hub.conversation import Conversation, Output, Tool
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.effort import effort_of
from chatvault.wire.hub.paths import field_path, shown_path
from chatvault.wire.json_value import Values, encode, put
from chatvault.wire.openai.chat.content import ORIGIN
from chatvault.wire.openai.chat.messages_writer import MessagesWriter
from chatvault.wire.openai.chat.quirks import ChatQuirks
from chatvault.wire.openai.chat.tools import write_choice, write_tools
from chatvault.wire.openai.retold import tier_of

SHARED: Final = frozenset(
    (
        "logit_bias",
        "moderation",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
    )
)
"""Top-level fields that mean the same in all of OpenAI's dialects."""


def write_request(conversation: Conversation, dropped: Dropped, quirks: ChatQuirks) -> bytes:
    own = conversation.origin == ORIGIN
    out: Values = {"model": conversation.model} if conversation.model else {}
    out["messages"] = MessagesWriter(quirks, dropped, own=own).write(conversation)
    if conversation.tools:
        write_tools(conversation, out, dropped, caches=quirks.caches or own)
    if conversation.tool_choice is not None and not (own and "function_call" in conversation.said):
        custom = [tool.name for tool in conversation.tools if isinstance(tool, Tool) and tool.custom]
        out["tool_choice"] = write_choice(conversation.tool_choice, custom)
    _sampling(conversation, out, dropped, top_k=quirks.top_k or own)
    _answer(conversation, out, dropped)
    if conversation.max_output is not None and not own:
        out[quirks.bound_of(conversation.model)] = conversation.max_output
    for name, value in conversation.extra.items():
        if own or (conversation.origin.startswith("openai.") and name in SHARED):
            out[name] = value
        else:
            dropped.add(name)
    if own:
        out.update(conversation.said)
    _stream(conversation, out, quirks)
    if quirks.refuses:
        for name in quirks.refuses & out.keys():
            dropped.add(name)
            del out[name]
    return encode(out)


def _sampling(conversation: Conversation, out: Values, dropped: Dropped, *, top_k: bool) -> None:
    put(
        out,
        temperature=conversation.temperature,
        top_p=conversation.top_p,
        presence_penalty=conversation.presence_penalty,
        frequency_penalty=conversation.frequency_penalty,
        stop=list(conversation.stop) or None,
        seed=conversation.seed,
        n=conversation.choices,
        logprobs=conversation.logprobs,
        top_logprobs=conversation.top_logprobs,
    )
    if conversation.top_logprobs and conversation.logprobs is None:
        out["logprobs"] = True
    if conversation.top_k is not None:
        if top_k:
            out["top_k"] = conversation.top_k
        else:
            dropped.add(field_path(conversation.origin, "top_k"))


def _answer(conversation: Conversation, out: Values, dropped: Dropped) -> None:
    modalities = conversation.modalities
    tier = conversation.service_tier
    if conversation.origin != ORIGIN and tier is not None:
        tier = tier_of(tier)
        if tier is None:
            dropped.add(field_path(conversation.origin, "service_tier"))
    put(
        out,
        parallel_tool_calls=conversation.parallel_tools,
        response_format=written_format(conversation.output) if conversation.output is not None else None,
        user=conversation.user,
        metadata=conversation.metadata,
        service_tier=tier,
        modalities=list(modalities) if modalities and modalities != ("text",) else None,
        verbosity=conversation.verbosity,
    )
    if modalities == ("text",) and conversation.origin == ORIGIN:
        out["modalities"] = ["text"]
    reasoning = conversation.reasoning
    if reasoning is None or (conversation.origin == ORIGIN and conversation.said.keys() & _REASONING):
        return
    effort = reasoning.effort
    if effort is None and reasoning.budget is not None:
        effort = effort_of(reasoning.budget)
    put(out, reasoning_effort=effort)
    if conversation.origin == ORIGIN:
        return
    if reasoning.summary is not None:
        dropped.add(f"{field_path(conversation.origin, 'reasoning')}.summary")
    elif reasoning.show is not None and not (conversation.origin in _THINK and effort is not None):
        dropped.add(shown_path(conversation.origin))


_THINK: Final = frozenset(("ollama.chat", "ollama.generate"))
"""Dialects with one word for thinking and for showing it."""
_REASONING: Final = frozenset(
    (
        "reasoning",
        "thinking",
        "enable_thinking",
        "chat_template_kwargs",
        "chat_template_args",
        "reasoning_effort",
    )
)


def written_format(output: Output) -> Values:
    if output.kind != "json_schema":
        return {"type": output.kind}
    said: Values = {"name": output.name or "response"}  # it must have one
    put(said, description=output.description, schema=output.schema, strict=output.strict)
    return {"type": "json_schema", "json_schema": said}


def _stream(conversation: Conversation, out: Values, quirks: ChatQuirks) -> None:
    """The usage of a stream is always asked for: a record without it knows no cost."""
    if not conversation.stream:
        return
    out["stream"] = True
    if quirks.stream_usage:
        options = out.get("stream_options")
        said = msgspec.json.decode(options) if isinstance(options, msgspec.Raw) else {}
        out["stream_options"] = {**said, "include_usage": True}
