"""How much to think: `thinking` and `output_config.effort`, and the hub's one word for both.

Thinking cannot go with a tool that must be called, and a budget must lie below `max_tokens`
(https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking, seen 2026-11). A budget also demands
that the assistant's turn in the loop of tools begins with its signed thought, which clients of other dialects
may have lost.
"""

from typing import Final

import msgspec

from chatvault.wire.anthropic.models import ModelFacts
from chatvault.wire.anthropic.names import ME
from chatvault.wire.hub.conversation import Conversation, Reasoning
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.effort import budget_of, effort_of
from chatvault.wire.hub.parts import Thought, ToolCall, ToolResult
from chatvault.wire.hub.paths import field_path
from chatvault.wire.json_value import Values, raw
from chatvault.wire.taken import take_object, take_text, take_whole

LEAST_BUDGET: Final = 1_024
_DISPLAYS: Final = {"summarized": True, "omitted": False}
Extra = dict[str, msgspec.Raw]


class Thinking(msgspec.Struct, frozen=True, gc=False):
    """What a request says of it. `budget`: tokens of `max_tokens` that are for thinking."""

    config: Values | None = None
    effort: str | None = None
    budget: int = 0

    @property
    def on(self) -> bool:
        return self.config is not None and self.config["type"] != "disabled"


UNSAID: Final = Thinking()


def read_thinking(rest: Values, config: Values, extra: Extra) -> Reasoning | None:
    """Takes `thinking` out of the request and `effort` out of its `output_config`."""
    effort = take_text(config, "effort", "output_config.")
    whole = rest.get("thinking")
    thinking = take_object(rest, "thinking")
    if thinking is None:
        return Reasoning(effort=effort) if effort is not None else None
    said, form = dict(thinking), thinking.get("type")
    said.pop("type", None)
    budget, adaptive = None, False
    if form == "enabled":
        budget = take_whole(said, "budget_tokens", "thinking.")
    elif form == "disabled":
        budget = 0 if effort is not None else None
        effort = effort or "none"
    elif form == "adaptive":
        adaptive = True
    else:
        extra["thinking"] = raw(whole)
        return Reasoning(effort=effort) if effort is not None else None
    show = _DISPLAYS.get(str(said.get("display")))
    if show is not None:
        del said["display"]
    extra |= {f"thinking.{name}": raw(value) for name, value in said.items()}
    return Reasoning(effort=effort, budget=budget, show=show, adaptive=adaptive)


def write_thinking(
    conversation: Conversation, facts: ModelFacts, *, forced: bool, dropped: Dropped
) -> Thinking:
    """`forced`: a tool must be called. What comes from this dialect goes back as it was."""
    asked = conversation.reasoning
    if asked is None:
        return UNSAID
    if conversation.origin == ME:
        return _own(asked)
    off = asked.effort == "none" or (asked.effort is None and asked.budget == 0)
    if off:
        return Thinking({"type": "disabled"}) if facts.thinking == "adaptive" else Thinking()
    path = field_path(conversation.origin, "reasoning")
    if asked.summary is not None and asked.summary not in ("auto", "detailed"):
        dropped.add(f"{path}.summary")
    if facts.thinking == "adaptive":
        return _adaptive(asked, facts, forced)
    budget = _budget(asked, conversation.max_output)
    if facts.thinking == "none" or forced or budget is None or _unproven(conversation):
        dropped.add(path)
        return Thinking()
    return Thinking({"type": "enabled", "budget_tokens": budget}, budget=budget)


def _own(asked: Reasoning) -> Thinking:
    config: Values | None = None
    effort = asked.effort
    if asked.adaptive:
        config = {"type": "adaptive"}
    elif effort == "none" or asked.budget == 0:
        config, effort = {"type": "disabled"}, None if effort == "none" else effort
    elif asked.budget is not None:
        config = {"type": "enabled", "budget_tokens": asked.budget}
    if config is not None and asked.show is not None:
        config["display"] = "summarized" if asked.show else "omitted"
    return Thinking(config, effort, asked.budget or 0)


def _adaptive(asked: Reasoning, facts: ModelFacts, forced: bool) -> Thinking:
    effort = asked.effort or (effort_of(asked.budget) if asked.budget is not None else None)
    if effort == "minimal":
        effort = "low"
    if effort == "xhigh" and not facts.xhigh:
        effort = "max"
    if forced:
        return Thinking(None, effort)
    config: Values = {"type": "adaptive"}
    show = asked.show if asked.show is not None else True if asked.summary else None
    if show is not None:
        config["display"] = "summarized" if show else "omitted"
    return Thinking(config, effort)


def _budget(asked: Reasoning, most: int | None) -> int | None:
    """Tokens to think with, below the bound that the client set; None where there is no room."""
    budget = asked.budget
    if budget is None or budget < 0:
        budget = budget_of(asked.effort or "medium") or budget_of("medium") or LEAST_BUDGET
    budget = max(budget, LEAST_BUDGET)
    if most is None or budget < most:
        return budget
    half = most // 2
    return half if half >= LEAST_BUDGET else None


def _unproven(conversation: Conversation) -> bool:
    """Whether the loop of tools that goes on now has lost the thought it began with."""
    for message in reversed(conversation.messages):
        if message.role == "user" and not all(isinstance(part, ToolResult) for part in message.parts):
            return False
        if message.role == "assistant" and any(isinstance(part, ToolCall) for part in message.parts):
            first = message.parts[0]
            return not (isinstance(first, Thought) and is_proven(first))
    return False


def is_proven(thought: Thought) -> bool:
    """Whether Anthropic can take it back: one that is signed or sealed, and not by anybody else."""
    return thought.origin in (None, ME) and bool(thought.signature or thought.sealed)
