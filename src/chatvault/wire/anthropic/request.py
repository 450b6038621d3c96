"""What a gateway must know of a request in this dialect, and the few bytes it may change. All else passes as
it came.
"""

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from chatvault.core.errors import ClientError
from chatvault.wire.json_fields import Body, Fields, Raw, scan

DECIDED: Final = frozenset(("model", "stream", "max_tokens"))
"""The top-level keys that decide where a call goes, how it is relayed, and what it may cost."""

T = TypeVar("T")
_text: Callable[[Raw], str] = msgspec.json.Decoder(str).decode
_truth: Callable[[Raw], bool | None] = msgspec.json.Decoder(bool | None).decode
_count: Callable[[Raw], int | None] = msgspec.json.Decoder(int | None).decode


class MessagesRequest:
    """A request's fields by name, and what a gateway decides on. It has the interface of
    `wire.openai.request.JsonRequest`.
    """

    __slots__ = ("fields", "model", "stream")

    def __init__(self, fields: Fields, model: str | None, stream: bool) -> None:
        self.fields = fields
        self.model = model
        self.stream = stream

    def max_output(self) -> int | None:
        """The most tokens the answer may hold, thinking included; None if the request sets no bound."""
        raw = self.fields.values.get("max_tokens")
        bound = _decoded(_count, raw, "max_tokens", "a whole number") if raw is not None else None
        return bound if bound is not None and bound >= 0 else None

    def choices(self) -> int:
        """A request of this dialect asks for one answer."""
        return 1

    def asks_usage(self) -> bool:
        """Streams of this dialect always tell it."""
        return True

    def metadata(self) -> dict[str, object]:
        """What the client said about itself. Empty if it said nothing."""
        raw = self.fields.values.get("metadata")
        if raw is None:
            return {}
        try:
            value = msgspec.json.decode(raw)
        except msgspec.DecodeError:
            return {}
        return {"metadata": value} if value else {}


def read(body: Body) -> MessagesRequest:
    """Raises ClientError (400) for a body that cannot be understood in one way only."""
    fields = scan(body, DECIDED)
    values = fields.values
    model = _decoded(_text, values["model"], "model", "a string") if "model" in values else None
    stream = "stream" in values and _decoded(_truth, values["stream"], "stream", "true or false") is True
    return MessagesRequest(fields, model, stream)


def _decoded(decode: Callable[[Raw], T], raw: Raw, name: str, kind: str) -> T:
    try:
        return decode(raw)
    except msgspec.DecodeError:
        raise ClientError(f"The field '{name}' must be {kind}.", code="invalid_field", param=name) from None
