"""What is answered: the events of a reply in nobody's dialect.

A whole reply is read into the same events as a streamed one, and written from them: there is one mapping a
dialect, not two. The order is

    Begun (PartBegun (deltas) PartEnded)* UsageTold? Finished* Ended        or, at any point, Failed

`choice` is the index of the alternative (for `n` > 1), `index` counts the parts of a choice from 0. Parts of
one choice do not overlap (tool calls whose arguments arrive interleaved are given an index each, and may).

Where it matters how long it takes, kinds are told apart by `type(event) is ...`, which costs a quarter of what
`isinstance` does for a struct that is of another kind.
"""

from typing import Final, Literal, TypeGuard

import msgspec

from chatvault.core.usage import Usage
from chatvault.wire.hub.parts import AnyPart
from chatvault.wire.hub.search import Citation


class Event(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    pass


class Begun(Event, frozen=True, kw_only=True, gc=False):
    """`created` is in seconds since the epoch."""

    id: str | None = None
    model: str | None = None
    created: int | None = None
    service_tier: str | None = None


class PartBegun(Event, frozen=True, kw_only=True, gc=False):
    """`part` is the part as far as it is known: its kind, a tool call's id and name, with empty text. A part
    that comes in one piece (`Unknown`, `Media`, a sealed thought) is whole here."""

    index: int
    part: AnyPart
    choice: int = 0


class TextDelta(Event, frozen=True, kw_only=True, gc=False):
    """More text of a `Text`, a `Refusal` or a `Thought`."""

    index: int
    text: str
    choice: int = 0
    logprobs: msgspec.Raw | None = None
    """OpenAI's shape, where it was given."""


class ArgumentsDelta(Event, frozen=True, kw_only=True, gc=False):
    index: int
    text: str
    choice: int = 0


class SignatureTold(Event, frozen=True, kw_only=True, gc=False):
    """The signature, or the sealed form, of the thought or the tool call at `index`."""

    index: int
    signature: str | None = None
    sealed: str | None = None
    choice: int = 0


class CitationTold(Event, frozen=True, kw_only=True, gc=False):
    """A citation of the text at `index`, in the shape of `origin`; `cited` are the same in nobody's shape, as far as
    they point to pages of the web."""

    index: int
    raw: msgspec.Raw
    origin: str
    choice: int = 0
    cited: tuple[Citation, ...] = ()


class PartEnded(Event, frozen=True, kw_only=True, gc=False):
    index: int
    choice: int = 0


FinishReason = Literal[
    "stop",
    "length",
    "tool_calls",
    "content_filter",
    "refusal",
    "stop_sequence",
    "pause",
    "context_full",
    "error",
]


class Finished(Event, frozen=True, kw_only=True, gc=False):
    """Why a choice ended; `said` is the provider's own word."""

    reason: FinishReason
    said: str | None = None
    sequence: str | None = None
    choice: int = 0
    detail: str | None = None
    """Why, in the provider's words: what it explains a refusal with."""


class UsageTold(Event, frozen=True, kw_only=True, gc=False):
    """Usage so far; a later one replaces it."""

    usage: Usage


class Pinged(Event, frozen=True, kw_only=True, gc=False):
    """A sign of life."""


class Ended(Event, frozen=True, kw_only=True, gc=False):
    """The reply is whole."""


class Failed(Event, frozen=True, kw_only=True, gc=False):
    """The provider reported an error inside its answer."""

    message: str
    kind: str | None = None
    code: str | None = None
    status: int | None = None
    """An HTTP status, where the error says or implies one."""


AnyEvent = (
    Begun
    | PartBegun
    | TextDelta
    | ArgumentsDelta
    | SignatureTold
    | CitationTold
    | PartEnded
    | Finished
    | UsageTold
    | Pinged
    | Ended
    | Failed
)
PartEvent = PartBegun | TextDelta | ArgumentsDelta | SignatureTold | CitationTold | PartEnded
"""What is told of a part of a choice."""
_OF_PART: Final = frozenset((PartBegun, TextDelta, ArgumentsDelta, SignatureTold, CitationTold, PartEnded))


def of_part(event: AnyEvent) -> TypeGuard[PartEvent]:
    return type(event) in _OF_PART
