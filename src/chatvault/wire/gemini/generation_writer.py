"""The hub's settings as Gemini's `generationConfig`."""

import re
from typing import Final

from chatvault.wire.gemini.names import DIALECT
from chatvault.wire.gemini.schema import for_response, to_gemini
from chatvault.wire.hub.conversation import Conversation, Output, Reasoning
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.effort import budget_of
from chatvault.wire.hub.paths import field_path
from chatvault.wire.json_value import Values, decode

_PLAIN: Final = (
    ("temperature", "temperature"),
    ("top_p", "topP"),
    ("top_k", "topK"),
    ("choices", "candidateCount"),
    ("max_output", "maxOutputTokens"),
    ("seed", "seed"),
    ("presence_penalty", "presencePenalty"),
    ("frequency_penalty", "frequencyPenalty"),
    ("logprobs", "responseLogprobs"),
    ("top_logprobs", "logprobs"),
)
_MODALITIES: Final = frozenset(("text", "image", "audio"))
_LEVELED: Final = re.compile(r"gemini-(?:[3-9]|\d\d)")
"""Models that think in levels; those before them in budgets (https://ai.google.dev/gemini-api/docs/thinking,
seen 2026-11).
"""
_LEVELS: Final = {
    "none": "MINIMAL",
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "HIGH",
    "max": "HIGH",
}
_MOST: Final = 24_576
_MOST_PRO: Final = 32_768
"""The largest budgets of 2.5 Flash and Pro (same page); a larger one is refused."""


def write_generation(conversation: Conversation, dropped: Dropped) -> Values:
    out: Values = {}
    for name, ours in _PLAIN:
        value = getattr(conversation, name)
        if value is not None:
            out[ours] = value
    if conversation.stop:
        out["stopSequences"] = list(conversation.stop)
    if conversation.modalities:
        own = conversation.origin == DIALECT
        known = [each for each in conversation.modalities if own or each in _MODALITIES]
        if len(known) < len(conversation.modalities):
            dropped.add(field_path(conversation.origin, "modalities"))
        if known:
            out["responseModalities"] = [each.upper() for each in known]
    if conversation.output is not None:
        _output(out, conversation.output, conversation, dropped)
    if conversation.reasoning is not None:
        thinking = _thinking(conversation.reasoning, conversation)
        if thinking:
            out["thinkingConfig"] = thinking
    for name in ("verbosity", "user"):
        if getattr(conversation, name) is not None:
            dropped.add(field_path(conversation.origin, name))
    return out


def _output(out: Values, output: Output, conversation: Conversation, dropped: Dropped) -> None:
    if output.kind == "text":
        if conversation.origin == DIALECT:
            out["responseMimeType"] = "text/plain"
        return
    out["responseMimeType"] = "application/json"
    schema = decode(output.schema) if output.schema is not None else None
    if not isinstance(schema, dict):
        return
    path = field_path(conversation.origin, "output")
    if output.description is not None:
        if "description" in schema:
            dropped.add(f"{path}.description")
        else:
            schema = {**schema, "description": output.description}
    said = to_gemini(schema, ordered=True)
    if said is not None:
        out["responseSchema"] = said
    elif conversation.origin == DIALECT:
        out["responseJsonSchema"] = schema
    else:
        lost: list[str] = []
        out["responseJsonSchema"] = for_response(schema, f"{path}.schema", lost)
        for each in lost:
            dropped.add(each)


def _thinking(reasoning: Reasoning, conversation: Conversation) -> Values:
    out: Values = {}
    show = reasoning.show
    if show is None and conversation.origin != DIALECT:
        # Dialects that ask by a budget show thoughts unless told otherwise; here they must be asked for.
        show = True if reasoning.summary is not None or reasoning.budget or reasoning.adaptive else None
    if show is not None:
        out["includeThoughts"] = show
    if conversation.origin == DIALECT:
        if reasoning.adaptive:
            out["thinkingBudget"] = -1
        elif reasoning.budget is not None:
            out["thinkingBudget"] = reasoning.budget
        if reasoning.effort is not None:
            out["thinkingLevel"] = reasoning.effort.upper()
        return out
    most = _MOST_PRO if "pro" in conversation.model else _MOST
    if reasoning.budget is not None:
        out["thinkingBudget"] = min(reasoning.budget, most)
    elif reasoning.effort is not None:
        _effort(out, reasoning.effort, conversation.model, most)
    elif reasoning.adaptive and _LEVELED.search(conversation.model) is None:
        out["thinkingBudget"] = -1
    return out


def _effort(out: Values, effort: str, model: str, most: int) -> None:
    if _LEVELED.search(model) is not None:
        level = _LEVELS.get(effort, effort.upper())
        # Pro models have no MINIMAL, and none can be told not to think (same page).
        out["thinkingLevel"] = "LOW" if level == "MINIMAL" and "pro" in model else level
        return
    budget = budget_of(effort)
    if budget is not None:
        out["thinkingBudget"] = min(budget, most)
