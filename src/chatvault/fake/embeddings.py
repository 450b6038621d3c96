"""`POST /v1/embeddings`."""

import base64
import hashlib
import math
import struct
from array import array
from typing import Literal

import msgspec

from chatvault.fake.answer import Answer, json_answer
from chatvault.fake.errors import Refusal
from chatvault.fake.request import Request
from chatvault.fake.text import count_prompt

DIMENSIONS = 1536


class EmbeddingsRequest(msgspec.Struct):
    model: str
    input: str | list[str | int | list[int]]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None


def embeddings(request: Request) -> Answer:
    """One unit vector for each input, which depends on the model and the input alone. Raises Refusal."""
    wish = request.decode(EmbeddingsRequest)
    size = DIMENSIONS if wish.dimensions is None else wish.dimensions
    if not 1 <= size <= 8192:
        raise Refusal(400, "There may be 1 to 8192 dimensions.", param="dimensions")
    inputs = _inputs(wish.input)
    data = [
        {
            "object": "embedding",
            "index": i,
            "embedding": _encode(vector(wish.model, text, size), wish.encoding_format),
        }
        for i, (text, _) in enumerate(inputs)
    ]
    tokens = sum(tokens for _, tokens in inputs)
    usage = {"usage": {"prompt_tokens": tokens, "total_tokens": tokens}}
    if request.plan.usage in ("none", "null"):
        usage = {}
    return json_answer({"object": "list", "data": data, "model": wish.model, **usage})


def vector(model: str, text: str, size: int) -> list[float]:
    """`size` numbers whose squares sum up to one."""
    raw = array("h", hashlib.shake_128(f"{model}\n{text}".encode()).digest(2 * size))
    norm = math.sqrt(sum(number * number for number in raw)) or 1.0
    return [number / norm for number in raw]


def _encode(numbers: list[float], form: str) -> list[float] | str:
    if form == "float":
        return [round(number, 8) for number in numbers]
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


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
