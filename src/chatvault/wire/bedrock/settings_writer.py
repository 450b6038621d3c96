"""What is asked beside the conversation: `inferenceConfig`, what goes to the model as it is, and the rest."""

import re
from typing import Final

from chatvault.wire.anthropic.output import AnswerTool, answer_tool
from chatvault.wire.bedrock.models import ModelFacts
from chatvault.wire.hub.conversation import Conversation, Reasoning
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.effort import effort_of
from chatvault.wire.hub.paths import field_path
from chatvault.wire.json_value import Values

_NOT_HERE: Final = ("logprobs", "top_logprobs", "user", "verbosity")
_TIERS: Final = frozenset(("priority", "flex", "reserved"))
_NO_TIER: Final = frozenset(("auto", "default", "standard"))
_EFFORTS: Final = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}
_BEYOND: Final = frozenset(("xhigh", "max"))
"""Efforts that there are none of here: the highest there is stands in, and that is told."""
_METADATA: Final = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}")
"""Of keys and values; https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html, 2026-11."""
_MOST_METADATA: Final = 16


class SettingsWriter:
    """Writes into `out`, a request's body."""

    __slots__ = ("_asked", "_dropped", "_facts", "_out")

    def __init__(self, conversation: Conversation, facts: ModelFacts, dropped: Dropped, out: Values) -> None:
        self._asked = conversation
        self._facts = facts
        self._dropped = dropped
        self._out = out

    def write(self) -> AnswerTool | None:
        """The tool that stands in for the form of the answer, where one does."""
        asked = self._asked
        config: Values = {}
        temperature = asked.temperature
        if temperature is not None and temperature > 1:
            self._drop("temperature")
            temperature = 1
        stop = [each for each in asked.stop if each]
        for name, value in (
            ("maxTokens", asked.max_output),
            ("temperature", temperature),
            ("topP", asked.top_p),
        ):
            if value is not None:
                config[name] = value
        if stop:
            config["stopSequences"] = stop
        more: Values = {}
        self._model_fields(more)
        if asked.reasoning is not None:
            self._reasoning(asked.reasoning, config, more)
        if config:
            self._out["inferenceConfig"] = config
        if more:
            self._out["additionalModelRequestFields"] = more
        self._account()
        for path in asked.extra:
            self._dropped.add(path)
        return self._form()

    def _drop(self, name: str) -> None:
        self._dropped.add(field_path(self._asked.origin, name))

    def _model_fields(self, more: Values) -> None:
        """What the API has no field for, where the model has one."""
        for name in ("top_k", "seed", "presence_penalty", "frequency_penalty"):
            value = getattr(self._asked, name)
            if value is None:
                continue
            where = self._facts.extra.get(name)
            if where is None:
                if value or name in ("top_k", "seed"):
                    self._drop(name)
            elif len(where) == 1:
                more[where[0]] = value
            else:
                more[where[0]] = {where[1]: value}

    def _reasoning(self, asked: Reasoning, config: Values, more: Values) -> None:
        effort = asked.effort or (effort_of(asked.budget) if asked.budget is not None else "medium")
        if effort == "none":
            return
        if self._facts.thinking == "reasoning":
            more["reasoning"] = {"effort": effort}  # in OpenAI's words, which are the hub's
            return
        level = _EFFORTS.get(effort)
        if effort in _BEYOND:
            self._drop("reasoning")
        if level is None or self._facts.thinking == "none":
            self._drop("reasoning")
        elif self._facts.thinking == "effort":
            more["reasoning_effort"] = level
        else:
            self._nova(level, config, more)

    def _nova(self, level: str, config: Values, more: Values) -> None:
        """The highest effort goes with no bound of the answer, and with the sampling that is its own
        (https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html, 2026-11). A bound is never
        given up, since it is one of what the call may cost."""
        if level == "high" and "maxTokens" in config:
            self._drop("reasoning")
            level = "medium"
        if level == "high":
            for ours, name in (("temperature", "temperature"), ("topP", "top_p")):
                if config.pop(ours, None) is not None:
                    self._drop(name)
            if more.pop("inferenceConfig", None) is not None:
                self._drop("top_k")
        more["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": level}

    def _account(self) -> None:
        asked = self._asked
        for name in _NOT_HERE:
            if getattr(asked, name) not in (None, False):
                self._drop(name)
        if asked.choices is not None and asked.choices > 1:
            self._drop("choices")
        if any(each != "text" for each in asked.modalities):
            self._drop("modalities")
        if asked.service_tier in _TIERS:
            self._out["serviceTier"] = {"type": asked.service_tier}
        elif asked.service_tier is not None and asked.service_tier not in _NO_TIER:
            self._drop("service_tier")
        if asked.metadata:
            pairs = asked.metadata.items()
            fit = len(pairs) <= _MOST_METADATA and all(
                _METADATA.fullmatch(each) for pair in pairs for each in pair
            )
            if fit:
                self._out["requestMetadata"] = asked.metadata
            else:
                self._drop("metadata")

    def _form(self) -> AnswerTool | None:
        output = self._asked.output
        if output is None or output.kind == "text":
            return None
        if output.kind == "json_schema" and output.schema is not None and self._facts.structured:
            schema: Values = {"schema": bytes(output.schema).decode()}
            for name, value in (("name", output.name), ("description", output.description)):
                if value:
                    schema[name] = value
            form = {"type": "json_schema", "structure": {"jsonSchema": schema}}
            self._out["outputConfig"] = {"textFormat": form}
            return None
        if not self._facts.forced:
            self._drop("output")
            return None
        if output.strict:
            self._dropped.add(f"{field_path(self._asked.origin, 'output')}.strict")
        return answer_tool(output)
