"""What a gateway must know of a request to Ollama before it goes on. All else passes as it came."""

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from chatvault.core.errors import ClientError
from chatvault.wire.json_fields import Body, Fields, scan
from chatvault.wire.json_value import decode, integer, obj

DECIDED: Final = frozenset(("model", "name", "stream", "options"))
"""The top-level keys that decide where a call goes, how it is relayed, and what it may cost."""
T = TypeVar("T")
_text: Callable[[msgspec.Raw], str] = msgspec.json.Decoder(str).decode
_truth: Callable[[msgspec.Raw], bool | None] = msgspec.json.Decoder(bool | None).decode


class OllamaRequest:
    """A request: its fields by name, and what a gateway decides on. `stream` is true unless the request says
    otherwise.
    """

    __slots__ = ("fields", "model", "stream")

    def __init__(self, fields: Fields, model: str | None, stream: bool) -> None:
        self.fields = fields
        self.model = model
        self.stream = stream

    def max_output(self) -> int | None:
        """`options.num_predict`; None if the request sets no bound (a negative one is none)."""
        raw = self.fields.values.get("options")
        if raw is None:
            return None
        try:
            value = decode(raw)
        except ValueError:
            value = ()
        options = obj(value)
        if options is None:
            if value is None:
                return None
            raise _invalid("options", "an object")
        said = options.get("num_predict")
        most = integer(said)
        if most is None and said is not None:
            raise _invalid("options.num_predict", "a whole number")
        return most if most is not None and most >= 0 else None

    def choices(self) -> int:
        """A request of this dialect asks for one answer."""
        return 1

    def asks_usage(self) -> bool:
        """Usage always comes."""
        return True

    def metadata(self) -> dict[str, object]:
        """Ollama's clients say nothing about themselves."""
        return {}


def read(body: Body) -> OllamaRequest:
    """Raises ClientError (400) for a body that cannot be understood in one way only."""
    fields = scan(body, DECIDED)
    values = fields.values
    # `name` is the older word for it (https://github.com/ollama/ollama/blob/main/api/types.go, seen 2026-11).
    named = "model" if "model" in values else "name"
    model = _decoded(_text, values[named], named, "a string") if named in values else None
    said = _decoded(_truth, values["stream"], "stream", "true or false") if "stream" in values else None
    return OllamaRequest(fields, model, said is not False)


def read_embedding(body: Body) -> OllamaRequest:
    """The same for what never streams."""
    request = read(body)
    request.stream = False
    return request


def _decoded(decode: Callable[[msgspec.Raw], T], raw: msgspec.Raw, name: str, kind: str) -> T:
    try:
        return decode(raw)
    except msgspec.DecodeError:
        raise _invalid(name, kind) from None


def _invalid(path: str, what: str) -> ClientError:
    return ClientError(f"The field '{path}' must be {what}.", code="invalid_field", param=path)
