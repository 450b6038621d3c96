"""What a request may hold for which model, where models differ, by the name alone with whatever region or resource
stands before it.

From https://docs.aws.amazon.com/bedrock/latest/userguide/ (prompt-caching.html, structured-output.html,
model-parameters.html, conversation-inference-supported-models-features.html) and
https://docs.aws.amazon.com/nova/latest/nova2-userguide/request-response-schema.html, seen 2026-11.
"""

import re
from typing import Final, Literal

import msgspec

Caching = Literal["none", "nova", "full"]
Thinking = Literal["none", "nova", "effort", "reasoning"]
Fields = dict[str, tuple[str, ...]]


class ModelFacts(msgspec.Struct, frozen=True, gc=False):
    """`caching`: which cache points it takes (Nova: none among tools, and no lifetime). `structured`: it knows
    schemas of answers and strict tools; `forced`: it can be told which tool to call. `thinking`: how it is asked for.
    `extra`: fields of its own for what the API has no field for, by the hub's name."""

    caching: Caching = "none"
    structured: bool = False
    forced: bool = False
    thinking: Thinking = "none"
    extra: Fields = {}
    plain: bool = False
    """Of a tool's schema it knows `type`, `properties` and `required` at the top, and may pass over a tool that has
    more there (https://docs.aws.amazon.com/nova/latest/userguide/prompting-tool-troubleshooting.html, 2026-11)."""


_TOP_K: Final[Fields] = {"top_k": ("top_k",)}
_PENALTIES: Final[Fields] = {
    "presence_penalty": ("presence_penalty",),
    "frequency_penalty": ("frequency_penalty",),
}
_COHERE: Final[Fields] = {"top_k": ("k",), "seed": ("seed",), **_PENALTIES}
_NOVA: Final[Fields] = {"top_k": ("inferenceConfig", "topK")}
_FACTS: Final = (
    ("anthropic.", ModelFacts("full", True, True, "none", _TOP_K)),
    ("amazon.nova-2", ModelFacts("nova", False, True, "nova", _NOVA, True)),
    ("amazon.nova", ModelFacts("nova", False, True, "none", _NOVA, True)),
    ("openai.gpt-oss", ModelFacts("none", True, False, "effort", {})),
    ("openai.", ModelFacts("none", True, False, "reasoning", {})),
    ("mistral.mistral-7b", ModelFacts(extra=_TOP_K)),
    ("mistral.mixtral", ModelFacts(extra=_TOP_K)),
    ("mistral.mistral-large-24", ModelFacts()),
    ("mistral.mistral-small-24", ModelFacts()),
    ("mistral.pixtral", ModelFacts()),
    ("mistral.", ModelFacts(structured=True)),
    ("cohere.", ModelFacts(extra=_COHERE)),
    ("ai21.", ModelFacts(extra=_PENALTIES)),
    ("deepseek.r1", ModelFacts()),
    ("deepseek.", ModelFacts(structured=True)),
    ("qwen.", ModelFacts(structured=True)),
    ("google.", ModelFacts(structured=True)),
    ("nvidia.", ModelFacts(structured=True)),
    ("minimax.", ModelFacts(structured=True)),
    ("moonshot", ModelFacts(structured=True)),
    ("zai.", ModelFacts(structured=True)),
)
_VENDORED: Final = ModelFacts()
_STRANGER: Final = ModelFacts("full", True, True)
"""A resource of the account, whose name says nothing of the model behind it: what is asked for is passed on."""
_REGION: Final = re.compile(r"(?:[a-z]{2}|apac|global|us-gov)\.")
"""What stands before a model in an inference profile's name; no vendor's name is that short."""


def model_facts(model: str) -> ModelFacts:
    name = model.rpartition("/")[2] if model.startswith("arn:") else model
    region = _REGION.match(name)
    if region is not None:
        name = name[region.end() :]
    found = next((facts for beginning, facts in _FACTS if name.startswith(beginning)), None)
    if found is not None:
        return found
    return _VENDORED if "." in name else _STRANGER
