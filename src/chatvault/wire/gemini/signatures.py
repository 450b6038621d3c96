"""Thought signatures: Gemini's own pass as they are; what other providers want back travels in their place.

Gemini's field holds base64 (https://ai.google.dev/gemini-api/docs/thought-signatures, seen 2026-11). A
thought that has more than a
signature (sealed text, an id) is packed into it, so that a client that returns the field returns all of it.
"""

import base64
from typing import Final

import msgspec

from chatvault.wire.base64_text import is_base64
from chatvault.wire.gemini.names import DIALECT
from chatvault.wire.hub.parts import Thought

STAND_IN: Final = "skip_thought_signature_validator"
"""What Gemini accepts in place of a signature for calls that another model made (same page, under FAQ)."""
STAND_INS: Final = frozenset(
    (
        STAND_IN,
        base64.b64encode(STAND_IN.encode()).decode(),
        "context_engineering_is_the_way_to_go",
        base64.b64encode(b"context_engineering_is_the_way_to_go").decode(),
    )
)
_MARK: Final = b'{"chatvault":1'
_PREFIX: Final = base64.b64encode(_MARK[:12]).decode()


class _Packed(msgspec.Struct, omit_defaults=True):
    chatvault: int
    origin: str | None = None
    signature: str | None = None
    sealed: str | None = None
    id: str | None = None
    summary: bool = False


def pack(thought: Thought) -> str | None:
    """The value of `thoughtSignature`; None if the thought has nothing to prove it."""
    if thought.sealed is None and thought.id is None:
        return pack_signature(thought.signature, thought.origin)
    packed = _Packed(1, thought.origin, thought.signature, thought.sealed, thought.id, thought.summary)
    # `chatvault` has no default and so is always written, in front.
    return base64.b64encode(msgspec.json.encode(packed)).decode()


def pack_signature(signature: str | None, origin: str | None) -> str | None:
    if signature is None or (origin in (None, DIALECT) and is_base64(signature)):
        return signature
    return base64.b64encode(msgspec.json.encode(_Packed(1, origin, signature))).decode()


def unpack(text: str, signature: str) -> Thought:
    """A thought with `text`, and all that its `thoughtSignature` holds."""
    found = _packed(signature)
    if found is None:
        return Thought(text=text, signature=signature, origin=DIALECT)
    return Thought(
        text=text,
        signature=found.signature,
        sealed=found.sealed,
        id=found.id,
        summary=found.summary,
        origin=found.origin,
    )


def unpack_signature(signature: str) -> tuple[str | None, str | None]:
    """The signature of a call, and the dialect it comes from."""
    found = _packed(signature)
    return (signature, DIALECT) if found is None else (found.signature, found.origin)


def _packed(signature: str) -> _Packed | None:
    if not signature.startswith(_PREFIX):
        return None
    try:
        return msgspec.json.decode(base64.b64decode(signature, validate=True), type=_Packed)
    except (ValueError, msgspec.DecodeError):
        return None
