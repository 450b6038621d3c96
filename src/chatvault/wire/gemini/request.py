"""What a gateway must know of a Gemini request before it goes on. All else passes as it came."""

from collections.abc import Callable
from typing import Final

import msgspec

from chatvault.core.errors import ClientError
from chatvault.wire.gemini.names import camel
from chatvault.wire.json_fields import Body, Fields, scan
from chatvault.wire.json_value import Values, decode, integer, obj, text

_CONFIG: Final = ("generationConfig", "generation_config")
DECIDED: Final = frozenset(("model", "labels", *_CONFIG, "generationconfig"))
"""The top-level keys that decide where a call goes and what it may cost, as they are and in lower case."""
_text: Callable[[msgspec.Raw], str] = msgspec.json.Decoder(str).decode


class GeminiRequest:
    """A request: its fields by name, and what a gateway decides on. Its model and whether it streams are in
    its path: here `model` is what
    the body says, and `stream` is false.
    """

    __slots__ = ("fields", "model", "stream")

    def __init__(self, fields: Fields, model: str | None) -> None:
        self.fields = fields
        self.model = model
        self.stream = False

    def max_output(self) -> int | None:
        """The most tokens the answer may hold, over all its candidates; None if the request sets no bound."""
        most = _whole(self._config(), "maxOutputTokens")
        return most * self.choices() if most is not None and most >= 0 else None

    def choices(self) -> int:
        """How many answers the request asks for."""
        return max(_whole(self._config(), "candidateCount") or 1, 1)

    def asks_usage(self) -> bool:
        """Usage always comes."""
        return True

    def metadata(self) -> dict[str, object]:
        """What the client said about itself: `labels`. Empty if it said nothing."""
        raw = self.fields.values.get("labels")
        try:
            labels = obj(decode(raw)) if raw is not None else None
        except ValueError:
            return {}
        return {"labels": labels} if labels else {}

    def _config(self) -> Values:
        raw = next((self.fields.values[name] for name in _CONFIG if name in self.fields.values), None)
        try:
            value = decode(raw) if raw is not None else None
        except ValueError:
            value = ()
        if value is None:
            return {}
        found = obj(value)
        if found is None:
            raise _invalid("generationConfig", "an object")
        return camel(found)


def _whole(config: Values, name: str) -> int | None:
    value = config.get(name)
    found = integer(value)
    if found is None and value is not None:
        raise _invalid(f"generationConfig.{name}", "a whole number")
    return found


def _invalid(path: str, what: str) -> ClientError:
    return ClientError(f"The field '{path}' must be {what}.", code="invalid_field", param=path)


def read(body: Body) -> GeminiRequest:
    """Raises ClientError (400) for a body that cannot be understood in one way only."""
    fields = scan(body, DECIDED)
    if all(name in fields.values for name in _CONFIG):
        raise ClientError(
            "The request has 'generationConfig' and 'generation_config'. Send one of them.",
            code="duplicate_field",
            param="generationConfig",
        )
    model = None
    if "model" in fields.values:
        try:
            model = text(_text(fields.values["model"]))
        except msgspec.DecodeError:
            raise _invalid("model", "a string") from None
    return GeminiRequest(fields, model.removeprefix("models/") if model else None)
