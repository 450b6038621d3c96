"""Embeddings in nobody's dialect: texts in, vectors out."""

import base64
import math
from array import array
from typing import Literal, Protocol, TypeVar

import msgspec

from chatvault.core.errors import ChatVaultError, ClientError
from chatvault.core.usage import Usage
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.events import Failed
from chatvault.wire.json_value import Values, integer, text, truth

T = TypeVar("T")
_decode = msgspec.json.Decoder(list[float]).decode


class EmbeddingRequest(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """`inputs` are texts, or token ids where the client counted them itself. `single`: it asked for one
    vector, not for a list of one.
    `extra` is what only `origin` understands, by its path.
    """

    model: str
    inputs: tuple[str | tuple[int, ...], ...]
    single: bool = False
    dimensions: int | None = None
    encoding: Literal["float", "base64"] | None = None
    user: str | None = None
    task: str | None = None
    """What the vectors are for, in Gemini's words (`RETRIEVAL_QUERY`, ...)."""
    title: str | None = None
    truncate: bool | None = None
    """Whether a text that is too long may be cut."""
    origin: str
    extra: dict[str, msgspec.Raw] = {}


class EmbeddingReply(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """`vectors` are JSON arrays as they came, so that no digit changes. `usage` is None where the provider
    tells none.
    """

    model: str | None = None
    vectors: tuple[msgspec.Raw, ...]
    usage: Usage | None = None


class EmbeddingDialect(Protocol):
    """Raises ClientError (400) for a request it cannot understand, ValueError for an answer that is not its
    dialect.
    """

    name: str

    def read_request(self, body: bytes, *, model: str | None = None) -> EmbeddingRequest: ...

    def write_request(self, request: EmbeddingRequest, dropped: Dropped) -> bytes: ...

    def request_path(self, request: EmbeddingRequest) -> bytes:
        """Below the provider's base URL."""

    def read_reply(self, body: bytes) -> EmbeddingReply: ...

    def write_reply(self, reply: EmbeddingReply, request: EmbeddingRequest, *, model: str) -> bytes:
        """Raises ValueError for a vector that cannot be told in this dialect."""

    def read_error(self, status: int, body: bytes) -> Failed: ...

    def write_error(self, error: ChatVaultError | Failed, status: int) -> bytes: ...


def texts_of(request: EmbeddingRequest) -> list[str]:
    """Raises ClientError for token ids, which only their own provider can read."""
    found = [each for each in request.inputs if isinstance(each, str)]
    if len(found) != len(request.inputs):
        raise ClientError(
            "The model that was asked for takes texts, not token ids. Send 'input' as text.",
            code="invalid_field",
            param="input",
        )
    return found


def vector_of(said: msgspec.Raw) -> msgspec.Raw:
    """A vector as it came. Raises ValueError for what is no array."""
    if not bytes(said).startswith(b"["):
        raise ValueError("a vector is no array of numbers")
    return msgspec.Raw(bytes(said))


def whole_number(fields: Values, name: str, place: str = "") -> int | None:
    """None where it is not said. Raises ClientError for anything else than a whole number; `place` stands
    before its name there."""
    return _checked(fields, name, integer(fields.get(name)), "a whole number", place)


def words(fields: Values, name: str, place: str = "") -> str | None:
    return _checked(fields, name, text(fields.get(name)), "a string", place)


def yes_or_no(fields: Values, name: str) -> bool | None:
    return _checked(fields, name, truth(fields.get(name)), "true or false", "")


def _checked(fields: Values, name: str, found: T | None, what: str, place: str) -> T | None:
    if found is None and fields.get(name) is not None:
        path = place + name
        raise ClientError(f"The field '{path}' must be {what}.", code="invalid_field", param=path)
    return found


def to_base64(vector: msgspec.Raw) -> str:
    """Little-endian 32-bit floats, as OpenAI packs them. Raises ValueError."""
    return base64.b64encode(_little(array("f", _decode(vector))).tobytes()).decode()


def from_base64(packed: str) -> msgspec.Raw:
    """Raises ValueError."""
    floats = array("f")
    floats.frombytes(base64.b64decode(packed, validate=True))
    found = _little(floats)
    if not all(map(math.isfinite, found)):
        raise ValueError("a vector holds what is no number")
    # The shortest text that is the same 32-bit float.
    return msgspec.Raw(msgspec.json.encode([float(f"{each:.9g}") for each in found]))


def _little(floats: "array[float]") -> "array[float]":
    if _BIG:
        floats.byteswap()
    return floats


_BIG = array("H", [1]).tobytes() == b"\0\1"
