"""A request for a provider of this dialect (https://docs.anthropic.com/en/api/messages, seen 2026-11)."""

from typing import Final

from chatvault.wire.anthropic.conversation_reader import TIERS_WRITTEN
from chatvault.wire.anthropic.models import ModelFacts, model_facts
from chatvault.wire.anthropic.names import ME
from chatvault.wire.anthropic.output import AnswerTool, answer_tool, native_form, own_form
from chatvault.wire.anthropic.thinking import UNSAID, Thinking, write_thinking
from chatvault.wire.anthropic.tools import write_choice, write_tools
from chatvault.wire.anthropic.turns import Turns, own_messages
from chatvault.wire.hub.conversation import Conversation
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.paths import field_path
from chatvault.wire.json_value import Values, encode, object_of, put

_INSIDE: Final = frozenset(("thinking", "output_config", "output_format", "metadata", "tool_choice"))
"""Objects of which the hub knows a part, and the reader kept the rest by its path."""


def write_conversation(conversation: Conversation, dropped: Dropped) -> bytes:
    own = conversation.origin == ME
    facts = model_facts(conversation.model)
    out: Values = {"model": conversation.model, "max_tokens": 0}
    if own:
        system, messages = own_messages(conversation, dropped)
        put(out, system=system, messages=messages)
    else:
        turns = Turns(conversation, facts, dropped)
        put(out, system=turns.system or None, messages=turns.messages)
    thinking = _tools(conversation, facts, out, dropped)
    if conversation.max_output is not None:
        out["max_tokens"] = conversation.max_output
    else:
        out["max_tokens"] = facts.max_output + thinking.budget
    _sampling(conversation, out, thinking, dropped)
    _rest(conversation, out, dropped)
    if conversation.extra:
        _extra(conversation, out, dropped)
    if conversation.stream:
        out["stream"] = True
    return encode(out)


def _tools(conversation: Conversation, facts: ModelFacts, out: Values, dropped: Dropped) -> Thinking:
    """Tools, thinking and the form of the answer, each of which bounds what the others may be."""
    if (
        not conversation.tools
        and conversation.tool_choice is None
        and conversation.parallel_tools is None
        and conversation.reasoning is None
        and conversation.output is None
    ):
        return UNSAID
    own = conversation.origin == ME
    tools = write_tools(conversation, facts, dropped) if conversation.tools else []
    choice = write_choice(conversation, tools=bool(tools), dropped=dropped)
    forced = choice is not None and choice["type"] in ("any", "tool")
    thinking = write_thinking(conversation, facts, forced=forced, dropped=dropped)
    form, answer = _form(conversation, facts, thinking, dropped)
    if answer is not None:
        choice = _answered(choice, answer, tools=bool(tools), thinking=thinking.on)
        tools.append(answer.tool)
    put(out, tools=tools or None, tool_choice=choice, thinking=thinking.config)
    if own and "output_format" in conversation.said:
        form = None
        out["output_format"] = conversation.said["output_format"]
    config: Values = {}
    put(config, effort=thinking.effort, format=form)
    if config:
        out["output_config"] = config
    return thinking


def _form(
    conversation: Conversation, facts: ModelFacts, thinking: Thinking, dropped: Dropped
) -> tuple[Values | None, AnswerTool | None]:
    """The native form of the answer, or the tool that stands in for it."""
    output = conversation.output
    if output is None or output.kind == "text":
        return None, None
    path = field_path(conversation.origin, "output")
    form: Values | None = None
    if conversation.origin == ME:
        form = own_form(output)
    elif facts.structured:
        form = native_form(output, path, dropped, close=thinking.on)
    if form is not None:
        return form, None
    if output.strict:
        dropped.add(f"{path}.strict")
    return None, answer_tool(output)


def _answered(choice: Values | None, answer: AnswerTool, *, tools: bool, thinking: bool) -> Values:
    """The choice when the answer is a tool's input: that tool, or one of the client's; with thinking, none
    can be demanded.
    """
    if thinking:
        return choice if choice is not None else {"type": "auto"}
    if choice is not None and choice["type"] == "tool":
        return choice
    if tools and (choice is None or choice["type"] != "none"):
        return {**(choice or {}), "type": "any"}
    return {"type": "tool", "name": answer.name}


def _sampling(conversation: Conversation, out: Values, thinking: Thinking, dropped: Dropped) -> None:
    origin = conversation.origin
    if origin == ME:
        put(
            out,
            temperature=conversation.temperature,
            top_p=conversation.top_p,
            top_k=conversation.top_k,
            stop_sequences=list(conversation.stop) or None,
        )
        return
    temperature, top_p, top_k = conversation.temperature, conversation.top_p, conversation.top_k
    if temperature is not None and temperature > 1:
        dropped.add(field_path(origin, "temperature"))
        temperature = 1
    if thinking.on:
        # Thinking takes the default temperature, no top_k, and a top_p of 0.95 or more
        # (https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking#feature-compatibility, seen
        # 2026-11).
        for name, value in (("temperature", temperature), ("top_k", top_k)):
            if value is not None and value != 1:
                dropped.add(field_path(origin, name))
        temperature = top_k = None
        if top_p is not None and top_p < 0.95:
            dropped.add(field_path(origin, "top_p"))
            top_p = None
    if temperature is not None and top_p is not None:
        # Models since 4.1 take one of them
        # (https://docs.anthropic.com/en/docs/about-claude/models/migrating-to-claude-4, seen 2026-11).
        if top_p != 1:
            dropped.add(field_path(origin, "top_p"))
        top_p = None
    put(out, temperature=temperature, top_p=top_p, top_k=top_k)
    if conversation.stop:
        stop = [each for each in conversation.stop if each.strip()]
        if len(stop) != len(conversation.stop):
            dropped.add(field_path(origin, "stop"))  # blanks alone are refused here
        put(out, stop_sequences=stop or None)


def _rest(conversation: Conversation, out: Values, dropped: Dropped) -> None:
    """What this dialect has in another place, or not at all."""
    origin = conversation.origin
    if conversation.user is not None:
        out["metadata"] = {"user_id": conversation.user}
    tier = conversation.service_tier
    if tier is not None:
        if tier in TIERS_WRITTEN:
            out["service_tier"] = TIERS_WRITTEN[tier]
        else:
            dropped.add(field_path(origin, "service_tier"))
    for name, value in (
        ("seed", conversation.seed),
        ("logprobs", conversation.logprobs),
        ("top_logprobs", conversation.top_logprobs),
        ("metadata", conversation.metadata),
        ("verbosity", conversation.verbosity),
    ):
        if value is not None and value is not False:
            dropped.add(field_path(origin, name))
    if conversation.presence_penalty:
        dropped.add(field_path(origin, "presence_penalty"))
    if conversation.frequency_penalty:
        dropped.add(field_path(origin, "frequency_penalty"))
    if conversation.choices is not None and conversation.choices > 1:
        dropped.add(field_path(origin, "choices"))
    if conversation.modalities and any(modality != "text" for modality in conversation.modalities):
        dropped.add(field_path(origin, "modalities"))


def _extra(conversation: Conversation, out: Values, dropped: Dropped) -> None:
    for path, value in conversation.extra.items():
        if conversation.origin != ME:
            dropped.add(path)
            continue
        head, _, name = path.partition(".")
        if name and head in _INSIDE and head not in conversation.said:
            out[head] = _with(object_of(out.get(head)), name, value)
        elif not (name and head in conversation.said):
            out[path] = value


def _with(inside: Values, path: str, value: object) -> Values:
    """The object with one member more, which may lie deeper (`format.name`)."""
    head, _, rest = path.partition(".")
    if rest and isinstance(inside.get(head), dict):
        return {**inside, head: _with(object_of(inside[head]), rest, value)}
    return {**inside, path: value}
