"""Proofs of thinking from other dialects, carried in `encrypted_content`, the one place that a client of
this dialect sends back.

`chatvault:ORIGIN:KIND:VALUE`, where KIND says what VALUE is: the `signature` of the thought, its `sealed`
form, or the signature of the `call` that follows.
"""

from typing import Final, Literal

import msgspec

ORIGIN: Final = "openai.responses"
_MARK: Final = "chatvault"

Kind = Literal["signature", "sealed", "call"]


class Proof(msgspec.Struct, frozen=True, gc=False):
    origin: str
    kind: Kind
    value: str


def carried(origin: str | None, kind: Kind, value: str) -> str:
    if kind == "sealed" and origin in (ORIGIN, None):
        return value
    return f"{_MARK}:{origin or ''}:{kind}:{value}"


def proof_in(text: str) -> Proof:
    mark, _, rest = text.partition(":")
    origin, _, rest = rest.partition(":")
    kind, _, value = rest.partition(":")
    if mark == _MARK:
        if kind == "signature":
            return Proof(origin, "signature", value)
        if kind == "call":
            return Proof(origin, "call", value)
        if kind == "sealed":
            return Proof(origin, "sealed", value)
    return Proof(ORIGIN, "sealed", text)
