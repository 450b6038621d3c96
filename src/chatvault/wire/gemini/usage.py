"""Gemini's `usageMetadata`, normalised and re-told.

`promptTokenCount` includes cached tokens; `thoughtsTokenCount` lies outside `candidatesTokenCount`,
`toolUsePromptTokenCount` outside the
prompt; the total is the sum of all four (https://ai.google.dev/api/generate-content#UsageMetadata, seen
2026-11, and recorded answers).
"""

import re
from typing import Final

from chatvault.core.usage import Usage
from chatvault.wire.gemini.names import camel
from chatvault.wire.json_value import Values, count, obj, objects_of

_COUNTS: Final = (
    "promptTokenCount",
    "candidatesTokenCount",
    "totalTokenCount",
    "thoughtsTokenCount",
    "toolUsePromptTokenCount",
    "cachedContentTokenCount",
)
_MOST: Final = 1 << 48
"""More tokens than any call has."""
_NUMBERED: Final = {1: "TEXT", 2: "IMAGE", 3: "VIDEO", 4: "AUDIO", 5: "DOCUMENT"}
"""Modalities as Vertex AI numbers them for clients that ask for numbers (`enum-encoding=int`,
https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/GenerateContentResponse, seen
2026-11).
"""

_EARLIER: Final = re.compile(r"(?:models/)?gemini-[12](?:\D|$)")


def normalise(value: object) -> Usage | None:
    """None if nothing is counted (the first chunks of Vertex AI hold a `trafficType` alone)."""
    found = obj(value)
    if found is None:
        return None
    shape = camel(found)
    if not any(shape.get(name) is not None for name in _COUNTS):
        return None
    prompt, answer, total, thoughts, tools, cached = (min(count(shape.get(name)), _MOST) for name in _COUNTS)
    inside, used = _modalities(shape, "promptTokensDetails"), _modalities(shape, "toolUsePromptTokensDetails")
    outside = _modalities(shape, "candidatesTokensDetails")
    if "promptTokenCount" not in shape:
        # Left out by some models for prompts of audio and video, while the total counts them (seen in
        # recorded answers, 2026-11).
        prompt = max(total - answer - thoughts - tools, 0) if total else min(sum(inside.values()), _MOST)
    elif "candidatesTokenCount" not in shape:
        answer = max(total - prompt - thoughts - tools, 0)
    taken, given = prompt + tools, answer + thoughts
    return Usage(
        input=taken,
        cached=min(cached, prompt),
        input_audio=min(inside.get("AUDIO", 0) + used.get("AUDIO", 0), taken),
        input_image=min(inside.get("IMAGE", 0) + used.get("IMAGE", 0), taken),
        output=given,
        reasoning=thoughts,
        output_audio=min(outside.get("AUDIO", 0), answer),
        output_image=min(outside.get("IMAGE", 0), answer),
    )


def _modalities(shape: Values, name: str) -> dict[str, int]:
    sums: dict[str, int] = {}
    for each in map(camel, objects_of(shape.get(name))):
        said = each.get("modality")
        modality = _NUMBERED.get(said, "") if isinstance(said, int) else str(said).upper()
        sums[modality] = sums.get(modality, 0) + min(count(each.get("tokenCount")), _MOST)
    return sums


def retell(usage: Usage) -> Values:
    """`usageMetadata` for what was used."""
    answer = usage.output - usage.reasoning
    told: Values = {
        "promptTokenCount": usage.input,
        "candidatesTokenCount": answer,
        "totalTokenCount": usage.input + usage.output,
    }
    if usage.reasoning:
        told["thoughtsTokenCount"] = usage.reasoning
    if usage.cached:
        told["cachedContentTokenCount"] = usage.cached
    inside = _details(usage.input, usage.input_audio, usage.input_image)
    if inside:
        told["promptTokensDetails"] = inside
    outside = _details(answer, usage.output_audio, usage.output_image)
    if outside:
        told["candidatesTokensDetails"] = outside
    return told


def _details(whole: int, audio: int, image: int) -> list[Values]:
    parts = (("TEXT", max(whole - audio - image, 0)), ("IMAGE", image), ("AUDIO", audio))
    return [{"modality": name, "tokenCount": tokens} for name, tokens in parts if tokens]


def billed_searches(model: str | None, queries: int) -> int:
    """Models before Gemini 3 charge for a prompt that was searched for, however often; later ones for each query
    (https://ai.google.dev/gemini-api/docs/google-search#pricing, seen 2026-11).
    """
    return min(queries, 1) if model is not None and _EARLIER.match(model) else queries
