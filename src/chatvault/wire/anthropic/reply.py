"""What a record must know of an answer in this dialect, whole or an event of a stream: one mapping for both.

The facts are those of `wire.openai.reply`, so that a record is made of either alike.
"""

from decimal import Decimal
from typing import Final

import msgspec

from chatvault.wire.anthropic.usage import merged, normalise
from chatvault.wire.json_value import Values, decode, encode, name_of, object_of
from chatvault.wire.openai.reply import Facts
from chatvault.wire.openai.usage import UsageShape, reported_cost


class Learner:
    """`facts` grow with each value that is learned. `done`: the stream told its end; `ended`: a reason to
    stop was there.
    """

    __slots__ = ("_usage", "done", "ended", "facts")

    def __init__(self) -> None:
        self.facts = Facts()
        self.done = False
        self.ended = False
        self._usage: Values = {}

    def learn(self, values: Values) -> None:
        """A whole answer, or an event."""
        kind = values.get("type")
        if kind == "error" or (values.get("error") and kind in (None, "message")):
            error = values.get("error") or values
            self.facts.error = self.facts.error or encode(error).decode()
            return
        if kind == "message_stop":
            self.done = True
        message = object_of(values.get("message")) if kind == "message_start" else values
        if kind not in ("message_start", "message_delta", "message", None):
            return
        facts = self.facts
        facts.model = name_of(message.get("model")) or facts.model
        said = object_of(values.get("delta")) if kind == "message_delta" else message
        facts.finish = name_of(said.get("stop_reason")) or facts.finish
        self.ended = facts.finish is not None
        usage = object_of(message.get("usage"))
        if usage:
            self._usage = merged(self._usage, usage)
            facts.usage = normalise(self._usage) or facts.usage
            cost = _cost(usage)
            facts.cost = cost if cost is not None else facts.cost


def _cost(usage: Values) -> int | None:
    """What OpenRouter says it charged, in this dialect too
    (https://openrouter.ai/docs/use-cases/usage-accounting, seen 2026-11).
    """
    if usage.get("cost") is None:
        return None
    try:
        return reported_cost(UsageShape(cost=msgspec.convert(usage["cost"], Decimal, strict=False)))
    except msgspec.ValidationError:
        return None


_NO_OBJECT: Final = "The answer is JSON, but not an object."


def read_facts(body: bytes) -> Facts:
    """Of a whole answer. Raises ValueError for what is not one JSON object."""
    values = decode(body)
    if not isinstance(values, dict):
        raise ValueError(_NO_OBJECT)
    learner = Learner()
    learner.learn(values)
    return learner.facts
