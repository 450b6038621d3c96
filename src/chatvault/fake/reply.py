"""What the simulated model says: text in pieces or one tool call, before any API gives it a shape."""

from itertools import cycle, islice
from typing import Any

import msgspec

from chatvault.fake.ask import Ask, Tool
from chatvault.fake.plan import Plan
from chatvault.fake.sample import sample
from chatvault.fake.steps import SCRIPTED, next_step
from chatvault.fake.text import MOST_ECHOED, pieces, sentence
from chatvault.fake.usage import Counts

SURROGATE = "\ufffe"
"""Stands for a lone surrogate until the JSON is written; no text may hold one before."""
REASONING = 64
"""Reasoning tokens of a model whose name holds `reasoner`."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One answer: its pieces (of the text, or of the tool's input), and why it ended."""

    pieces: tuple[str, ...]
    tool: Tool | None
    finish: str
    reasoning: int
    stopped_at: str | None = None
    """The stop sequence that cut it short."""

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def arguments(self) -> dict[str, Any]:
        """What the tool is called with; nothing if the JSON was cut short."""
        try:
            return msgspec.json.decode(self.text, type=dict[str, Any])
        except msgspec.DecodeError:
            return {}

    @property
    def output(self) -> int:
        """Its tokens: one a piece, and the reasoning."""
        return len(self.pieces) + self.reasoning


def compose(ask: Ask, plan: Plan, index: int = 0) -> Reply:
    """The answer with the number `index`; the same for the same question."""
    tool, text = _answer(ask, plan, index)
    stopped_at = None
    for stop in ask.stop if tool is None else ():
        if stop and stop in text:
            text, stopped_at = text.partition(stop)[0], stop
    parts = _reshape(pieces(text), plan)
    reasoning = _reasoning(plan)
    finish = "stop" if tool is None else "tool_calls"
    if ask.limit is not None and reasoning + len(parts) > ask.limit:
        reasoning = min(reasoning, ask.limit)
        parts = parts[: ask.limit - reasoning]
        finish, stopped_at = "length", None
    return Reply(pieces=parts, tool=tool, finish=finish, reasoning=reasoning, stopped_at=stopped_at)


def _answer(ask: Ask, plan: Plan, index: int) -> tuple[Tool | None, str]:
    """The tool that is called with what it is given, or None and the text."""
    tool = ask.tool
    if plan.name == SCRIPTED:
        return next_step(ask)
    if tool is not None:
        return tool, f"sample input for {tool.name}" if tool.custom else _json(sample(tool.parameters))
    if ask.schema is not None:
        return None, _json(sample(ask.schema))
    if plan.name == "echo":
        return None, ask.last[:MOST_ECHOED]
    return None, sentence(f"{plan.name}\n{index}\n{ask.text}")


def count(ask: Ask, plan: Plan, replies: list[Reply]) -> Counts:
    """The usage of these answers. Half of a prompt over 1024 tokens was cached, in steps of 128."""
    cached = ask.prompt // 256 * 128 if ask.prompt > 1024 else 0
    if plan.cached is not None:
        cached = min(plan.cached, ask.prompt)
    return Counts(
        prompt=ask.prompt,
        output=sum(reply.output for reply in replies),
        cached=cached,
        reasoning=sum(reply.reasoning for reply in replies),
    )


def _reasoning(plan: Plan) -> int:
    if plan.reasoning is not None:
        return plan.reasoning
    return REASONING if "reasoner" in plan.name else 0


def _reshape(parts: tuple[str, ...], plan: Plan) -> tuple[str, ...]:
    if plan.size_kib:
        parts = tuple("0123456789abcdef" * 4 for _ in range(plan.size_kib * 16))
    if plan.events is not None:
        parts = tuple(islice(cycle(parts or (" more",)), plan.events))
    if plan.event_kib:
        parts = tuple(part + "x" * (1024 * plan.event_kib) for part in parts)
    if plan.surrogate:
        parts = (*parts[:-1], parts[-1] + SURROGATE) if parts else ()
    return parts


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
