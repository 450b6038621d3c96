"""A whole answer that is one text, read straight into its shape."""

from typing import Final, Literal

import msgspec

from chatvault.wire.anthropic.finish import reason_of
from chatvault.wire.anthropic.usage import normalise
from chatvault.wire.hub.events import Begun, Finished
from chatvault.wire.hub.plain_answer import PlainAnswer
from chatvault.wire.json_value import Values, name_of

_TIERS: Final = {"standard": "default"}
"""Anthropic's word for the tier a call got, where OpenAI's differs."""


def tier_of(usage: Values) -> str | None:
    """The tier a call got, in the hub's words; Anthropic tells it beside the usage."""
    tier = name_of(usage.get("service_tier"))
    return _TIERS.get(tier, tier) if tier is not None else None


class _PlainBlock(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: Literal["text"]
    text: str
    citations: None = None


class _PlainMessage(msgspec.Struct, gc=False):
    """A message of one text. What is of another shape is no plain one."""

    type: Literal["message"]
    content: list[_PlainBlock]
    usage: Values
    stop_reason: str
    id: str = ""
    model: str = ""
    stop_sequence: None = None
    stop_details: None = None


_decode: Final = msgspec.json.Decoder(_PlainMessage).decode


def read_plain(body: bytes) -> PlainAnswer | None:
    """A whole answer that is one text, as nearly all are; None for any other. The same as the long way reads."""
    try:
        message = _decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    if len(message.content) != 1 or not message.content[0].text or not message.stop_reason:
        return None
    begun = Begun(id=message.id or None, model=message.model or None, service_tier=tier_of(message.usage))
    finished = Finished(reason=reason_of(message.stop_reason), said=message.stop_reason)
    return PlainAnswer(begun, message.content[0].text, normalise(message.usage), finished)
