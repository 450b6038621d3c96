"""Embeddings: `POST /v1/embeddings`, Gemini's `:embedContent` and `:batchEmbedContents`, and Ollama's `/api/embed`
and `/api/embeddings`."""

import base64
import hashlib
import math
import struct
from array import array
from typing import Literal

import msgspec

from chatvault.fake.answer import Answer, json_answer
from chatvault.fake.errors import Refusal
from chatvault.fake.gemini import Content, model_of
from chatvault.fake.request import Request
from chatvault.fake.text import count_prompt

DIMENSIONS = 1536
MOST_AT_ONCE = 100
"""Texts that Gemini embeds in one call."""


class EmbeddingsRequest(msgspec.Struct):
    model: str
    input: str | list[str | int | list[int]]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None


class ContentToEmbed(msgspec.Struct, rename="camel"):
    content: Content
    output_dimensionality: int | None = None


class ContentsToEmbed(msgspec.Struct, rename="camel"):
    requests: list[ContentToEmbed]


class TextsToEmbed(msgspec.Struct):
    model: str
    input: str | list[str]
    dimensions: int | None = None


class PromptToEmbed(msgspec.Struct):
    model: str
    prompt: str


def embeddings(request: Request) -> Answer:
    """One unit vector for each input, which depends on the model and the input alone; of the first inputs only, where
    the plan says how many. Raises Refusal."""
    wish = request.decode(EmbeddingsRequest)
    size = _size(wish.dimensions)
    inputs = _inputs(wish.input)
    data = [
        {
            "object": "embedding",
            "index": i,
            "embedding": _encode(vector(wish.model, text, size), wish.encoding_format),
        }
        for i, (text, _) in enumerate(inputs[: request.plan.events])
    ]
    tokens = _total(inputs)
    usage = {"usage": {"prompt_tokens": tokens, "total_tokens": tokens}}
    if request.plan.usage in ("none", "null"):
        usage = {}
    return json_answer({"object": "list", "data": data, "model": wish.model, **usage})


def embed_content(request: Request) -> Answer:
    """Raises Refusal."""
    made, usage = _contents(request, [request.decode(ContentToEmbed)])
    return json_answer({**({"embedding": made[0]} if made else {}), **usage})


def batch_embed_contents(request: Request) -> Answer:
    """Raises Refusal."""
    wishes = request.decode(ContentsToEmbed).requests
    if len(wishes) > MOST_AT_ONCE:
        raise Refusal(400, f"At most {MOST_AT_ONCE} requests can be in one batch.", param="requests")
    made, usage = _contents(request, wishes)
    return json_answer({"embeddings": made, **usage})


def embed(request: Request) -> Answer:
    """Raises Refusal."""
    wish = request.decode(TextsToEmbed)
    inputs = _inputs([wish.input] if isinstance(wish.input, str) else [*wish.input])
    size = _size(wish.dimensions)
    counted = {} if request.plan.usage in ("none", "null") else {"prompt_eval_count": _total(inputs)}
    made = [_floats(wish.model, text, size) for text, _ in inputs[: request.plan.events]]
    return json_answer({"model": wish.model, "embeddings": made, **counted})


def embed_prompt(request: Request) -> Answer:
    """Raises Refusal."""
    wish = request.decode(PromptToEmbed)
    return json_answer({"embedding": _floats(wish.model, wish.prompt, DIMENSIONS)})


def _contents(
    request: Request, wishes: list[ContentToEmbed]
) -> tuple[list[dict[str, object]], dict[str, object]]:
    """A vector for each content, and the usage."""
    model = model_of(request.path)
    inputs = _inputs(["\n".join(part.text or "" for part in wish.content.parts or ()) for wish in wishes])
    made: list[dict[str, object]] = [
        {"values": _floats(model, text, _size(wish.output_dimensionality))}
        for (text, _), wish in zip(inputs, wishes, strict=True)
    ]
    del made[request.plan.events if request.plan.events is not None else len(made) :]
    if request.plan.usage in ("none", "null"):
        return made, {}
    tokens = _total(inputs)
    return made, {"usageMetadata": {"promptTokenCount": tokens, "totalTokenCount": tokens}}


def _size(dimensions: int | None) -> int:
    size = DIMENSIONS if dimensions is None else dimensions
    if not 1 <= size <= 8192:
        raise Refusal(400, "There may be 1 to 8192 dimensions.", param="dimensions")
    return size


def _total(inputs: list[tuple[str, int]]) -> int:
    return sum(tokens for _, tokens in inputs)


def vector(model: str, text: str, size: int) -> list[float]:
    """`size` numbers whose squares sum up to one."""
    raw = array("h", hashlib.shake_128(f"{model}\n{text}".encode()).digest(2 * size))
    norm = math.sqrt(sum(number * number for number in raw)) or 1.0
    return [number / norm for number in raw]


def _encode(numbers: list[float], form: str) -> list[float] | str:
    if form == "float":
        return _rounded(numbers)
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def _floats(model: str, text: str, size: int) -> list[float]:
    return _rounded(vector(model, text, size))


def _rounded(numbers: list[float]) -> list[float]:
    return [round(number, 8) for number in numbers]


def _inputs(given: str | list[str | int | list[int]]) -> list[tuple[str, int]]:
    """Each input's text and tokens; a list of numbers is one input of so many tokens."""
    if isinstance(given, str):
        given = [given]
    if not given or "" in given:
        raise Refusal(400, "There must be an input, and none may be empty.", param="input")
    numbers = [part for part in given if isinstance(part, int)]
    if numbers:
        return [(repr(numbers), len(numbers))]
    return [
        (part, count_prompt(len(part.encode()), 0)) if isinstance(part, str) else (repr(part), len(part))
        for part in given
        if not isinstance(part, int)
    ]
