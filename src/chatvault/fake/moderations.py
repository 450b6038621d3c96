"""`POST /v1/moderations`."""

import hashlib

import msgspec

from chatvault.fake.answer import Answer, json_answer
from chatvault.fake.request import Request

CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)


class Part(msgspec.Struct):
    type: str
    text: str | None = None


class ModerationRequest(msgspec.Struct):
    input: str | list[str | Part]
    model: str = "simulated-moderation"


def moderations(request: Request) -> Answer:
    """One result an input: a text is flagged under each category whose first word it holds."""
    wish = request.decode(ModerationRequest)
    given = [wish.input] if isinstance(wish.input, str) else wish.input
    texts = [part.text or "" if isinstance(part, Part) else part for part in given]
    identity = "modr-" + request.digest()[:29]
    return json_answer({"id": identity, "model": wish.model, "results": [_result(text) for text in texts]})


def _result(text: str) -> dict[str, object]:
    words = text.lower()
    noise = hashlib.sha256(words.encode()).digest()
    flags = {name: name.partition("/")[0] in words for name in CATEGORIES}
    scores = {
        n: (0.9 if flags[n] else 0.0) + byte / 10_000 for n, byte in zip(CATEGORIES, noise, strict=False)
    }
    applied = {name: ["text"] for name in CATEGORIES}
    return {
        "flagged": any(flags.values()),
        "categories": flags,
        "category_scores": scores,
        "category_applied_input_types": applied,
    }
