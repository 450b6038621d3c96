"""Reasoning in a chat message: a text (`reasoning_content`, `reasoning`), or details that prove it.

`reasoning_details` is OpenRouter's (https://openrouter.ai/docs/use-cases/reasoning-tokens, seen 2026-11):
entries of type `reasoning.text` (with a signature), `reasoning.summary` and `reasoning.encrypted`, and a
`format` that names whose they are. We tell thoughts the same way, so that a client that sends a message
back sends the proofs with it.
"""

from typing import Final

from chatvault.wire.hub.parts import Thought
from chatvault.wire.json_value import Values, name_of, objects_of, text_of

FORMATS: Final = {
    "anthropic.messages": "anthropic-claude-v1",
    "gemini.generate": "google-gemini-v1",
    "openai.responses": "openai-responses-v1",
}
_ORIGINS: Final = {format: origin for origin, format in FORMATS.items()}


def origin_of(detail: Values) -> str | None:
    """Whose the detail is; None where its format tells nothing."""
    said = text_of(detail.get("format"))
    # A client that joins texts of a stream by name may have joined this one with itself.
    return next((origin for format, origin in _ORIGINS.items() if said.startswith(format)), None)


def detail_text(detail: Values) -> str:
    return text_of(detail.get("text")) or text_of(detail.get("summary"))


def thoughts_of(message: Values, path: str) -> list[Thought]:
    """The thoughts of a whole message; `path` is the message's."""
    text = text_of(message.get("reasoning_content")) or text_of(message.get("reasoning"))
    details = objects_of(message.get("reasoning_details"))
    found: list[Thought] = []
    last: Values = {}
    for at, detail in enumerate(details):
        thought = _thought(detail, f"{path}.reasoning_details[{at}]")
        near = detail.get("index") == last.get("index") or (thought.id and thought.id == last.get("id"))
        if found and near and (joined := _joined(found[-1], thought)) is not None:
            found[-1] = joined
        else:
            found.append(thought)
        last = detail
    if not text or any(thought.text for thought in found):
        return found
    if found and not found[0].sealed:
        # The text was told beside its proof.
        first = found[0]
        found[0] = Thought(
            text=text, signature=first.signature, id=first.id, origin=first.origin, path=first.path
        )
        return found
    return [Thought(text=text, origin="openai.chat", path=f"{path}.reasoning_content"), *found]


def _thought(detail: Values, path: str) -> Thought:
    return Thought(
        text=detail_text(detail),
        signature=name_of(detail.get("signature")),
        sealed=name_of(detail.get("data")),
        id=name_of(detail.get("id")),
        summary=detail.get("type") == "reasoning.summary",
        origin=origin_of(detail) or "openai.chat",
        path=path,
    )


def _joined(one: Thought, two: Thought) -> Thought | None:
    """Two details of one thought: the pieces of a stream, or a text and the sealed form with the same id."""
    same = one.origin == two.origin and (one.id == two.id or one.id is None or two.id is None)
    if not same or (one.signature and (two.text or two.signature)) or one.sealed:
        return None
    if two.sealed and (one.id is None or one.id != two.id):
        return None
    return Thought(
        text=one.text + two.text,
        signature=two.signature,
        sealed=two.sealed,
        id=one.id or two.id,
        summary=one.summary or two.summary,
        origin=one.origin,
        path=one.path,
    )


def details_of(thought: Thought, index: int) -> list[Values]:
    """The details that tell a thought; none where its text says all."""
    if not (thought.signature or thought.sealed or thought.id):
        return []
    common: Values = {"format": FORMATS.get(thought.origin or "", "unknown"), "index": index}
    if thought.id:
        common["id"] = thought.id
    found: list[Values] = []
    if thought.summary and thought.text:
        found.append({"type": "reasoning.summary", "summary": thought.text, **common})
    elif thought.text or thought.signature:
        told: Values = {"type": "reasoning.text", "text": thought.text, **common}
        if thought.signature:
            told["signature"] = thought.signature
        found.append(told)
    if thought.sealed:
        found.append({"type": "reasoning.encrypted", "data": thought.sealed, **common})
    return found
