"""Another provider's proof of its thinking, inside a field that clients of this dialect send back as it came.

A thought of OpenAI's or Gemini's has an id, a signature or a sealed form that its provider wants back.
Anthropic's clients keep the `signature` of `thinking` and the `data` of `redacted_thinking` without looking
into them, so the proof travels there, and is unpacked when the client replays the conversation. Nothing is
secret in it, and nothing is believed: a proof is judged by its provider.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

import msgspec

_PREFIX: Final = "chatvault.1."


class Proof(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """Of a thought, or (`call` is its id) of a tool call."""

    origin: str
    signature: str | None = None
    sealed: str | None = None
    id: str | None = None
    summary: bool = False
    call: str | None = None


_decode: Final = msgspec.json.Decoder(Proof).decode


def pack(proof: Proof) -> str:
    return _PREFIX + urlsafe_b64encode(msgspec.json.encode(proof)).decode().rstrip("=")


def unpack(text: str) -> Proof | None:
    """None for what is no proof of ours."""
    if not text.startswith(_PREFIX):
        return None
    packed = text[len(_PREFIX) :]
    try:
        return _decode(urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
    except ValueError:
        return None
