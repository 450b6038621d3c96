"""What a gateway must know of an OpenAI request, and the few bytes it may change. All else passes as it
came.
"""

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from chatvault.core.errors import ClientError
from chatvault.wire.json_fields import Body, Fields, Raw, scan

DECIDED: Final = frozenset(
    (
        "model",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "n",
        "best_of",
    )
)
"""The top-level keys that decide where a call goes, how it is relayed, and what it may cost."""

_BOUNDS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_CHOICES: Final = ("n", "best_of")
_ABOUT: Final = ("metadata", "user", "safety_identifier")
"""What a client says about itself."""
T = TypeVar("T")
_text: Callable[[Raw], str] = msgspec.json.Decoder(str).decode
_truth: Callable[[Raw], bool | None] = msgspec.json.Decoder(bool | None).decode
_count: Callable[[Raw], int | float | None] = msgspec.json.Decoder(int | float | None).decode


class JsonRequest(msgspec.Struct, gc=False):
    """A JSON request: its fields by name, and what a gateway decides on."""

    fields: Fields
    model: str | None
    stream: bool

    def max_output(self) -> int | None:
        """The most tokens the answer may hold, over all its choices; None if the request sets no bound (a
        negative one is none either: llama.cpp and others read it so).
        """
        values, most = self.fields.values, -1
        for name in _BOUNDS:
            if name in values:
                bound = _whole(values[name], name)
                if bound is not None and bound > most:
                    most = bound
        return most * self.choices() if most >= 0 else None

    def choices(self) -> int:
        """How many answers the request asks for."""
        values, choices = self.fields.values, 1
        for name in _CHOICES:
            if name in values:
                choices = max(choices, _whole(values[name], name) or 1)
        return choices

    def asks_usage(self) -> bool:
        """Whether the client asked for the usage event itself."""
        raw = self.fields.values.get("stream_options")
        options = _object(raw, "stream_options") if raw is not None else None
        return (
            options is not None
            and options.values.get("include_usage") is not None
            and bytes(options.values["include_usage"]) == b"true"
        )

    def with_usage(self) -> bytes:
        """The value `stream_options` must have so that the provider reports usage: the client's own, with
        that one member set.
        """
        raw = self.fields.values.get("stream_options")
        options = _object(raw, "stream_options") if raw is not None else None
        if options is None:
            return b'{"include_usage":true}'
        patched = options.patched({"include_usage": b"true"})
        return patched if isinstance(patched, bytes) else b"".join(patched)

    def metadata(self) -> dict[str, object]:
        """What the client said about itself: `metadata`, `user`, `safety_identifier`. Empty if it said
        nothing.
        """
        values, found = self.fields.values, dict[str, object]()
        if not ("metadata" in values or "user" in values or "safety_identifier" in values):
            return found
        for name in _ABOUT:
            if name in values:
                try:
                    found[name] = msgspec.json.decode(values[name])
                except msgspec.DecodeError:
                    continue
        return {name: value for name, value in found.items() if value}


def read(body: Body) -> JsonRequest:
    """Raises ClientError (400) for a body that cannot be understood in one way only."""
    fields = scan(body, DECIDED)
    values = fields.values
    model = _decoded(_text, values["model"], "model", "a string") if "model" in values else None
    stream = "stream" in values and _decoded(_truth, values["stream"], "stream", "true or false") is True
    return JsonRequest(fields, model, stream)


def _decoded(decode: Callable[[Raw], T], raw: Raw, name: str, kind: str) -> T:
    try:
        return decode(raw)
    except msgspec.DecodeError:
        raise ClientError(f"The field '{name}' must be {kind}.", code="invalid_field", param=name) from None


def _whole(raw: Raw, name: str) -> int | None:
    """A whole number, which may be written as a float."""
    value = _decoded(_count, raw, name, "a whole number")
    if type(value) is int:
        return value
    if value is not None and value != int(value):
        raise ClientError(f"The field '{name}' must be a whole number.", code="invalid_field", param=name)
    return int(value) if value is not None else None


def _object(raw: Raw, name: str) -> Fields | None:
    text = bytes(raw)
    if text == b"null":
        return None
    if not text.startswith(b"{"):
        raise ClientError(f"The field '{name}' must be an object.", code="invalid_field", param=name)
    return scan(text, frozenset(("include_usage",)))
