"""`openai.embeddings` as a dialect of the hub (https://platform.openai.com/docs/api-reference/embeddings,
seen 2026-11).
"""

from typing import Final

import msgspec

from chatvault.core.errors import ChatVaultError, ClientError
from chatvault.core.usage import Usage
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.embedding import (
    EmbeddingDialect,
    EmbeddingReply,
    EmbeddingRequest,
    from_base64,
    to_base64,
    vector_of,
    whole_number,
    words,
)
from chatvault.wire.hub.events import Failed
from chatvault.wire.json_value import Values, decode, decode_request, encode, raw, text
from chatvault.wire.openai.reply import read
from chatvault.wire.openai.retold import error_value, failure_in

DIALECT: Final = "openai.embeddings"
_READ: Final = frozenset(("model", "input", "dimensions", "encoding_format", "user"))


class _Item(msgspec.Struct, gc=False):
    embedding: msgspec.Raw
    index: int | None = None


class _List(msgspec.Struct, gc=False):
    data: list[_Item]
    model: str | None = None


_decode = msgspec.json.Decoder(_List).decode


class OpenAIEmbeddings:
    name = DIALECT

    def read_request(self, body: bytes, *, model: str | None = None) -> EmbeddingRequest:
        fields = decode_request(body)
        named = model or text(fields.get("model"))
        if not named:
            raise ClientError("The request names no model.", code="model_missing", param="model")
        inputs, single = _inputs(fields.get("input"))
        encoding = fields.get("encoding_format")
        if encoding not in (None, "float", "base64"):
            raise _invalid("encoding_format", '"float" or "base64"')
        extra = {name: raw(each) for name, each in fields.items() if name not in _READ and each is not None}
        return EmbeddingRequest(
            model=named,
            inputs=inputs,
            single=single,
            dimensions=whole_number(fields, "dimensions"),
            encoding="base64" if encoding == "base64" else "float" if encoding else None,
            user=words(fields, "user"),
            origin=DIALECT,
            extra=extra,
        )

    def write_request(self, request: EmbeddingRequest, dropped: Dropped) -> bytes:
        own = request.origin == DIALECT
        inputs = [each if isinstance(each, str) else list(each) for each in request.inputs]
        out: Values = {"model": request.model, "input": inputs[0] if request.single and inputs else inputs}
        for name, value in (("dimensions", request.dimensions), ("user", request.user)):
            if value is not None:
                out[name] = value
        if request.encoding is not None and own:
            out["encoding_format"] = request.encoding
        for path, said in (
            ("taskType", request.task),
            ("title", request.title),
            ("truncate", request.truncate),
        ):
            if said is not None:
                dropped.add(path)
        for path, each in request.extra.items():
            if own:
                out[path] = decode(each)
            else:
                dropped.add(path)
        return encode(out)

    def request_path(self, request: EmbeddingRequest) -> bytes:
        return b"/embeddings"

    def read_reply(self, body: bytes) -> EmbeddingReply:
        found = _decode(body)
        placed = {item.index if item.index is not None else at: item for at, item in enumerate(found.data)}
        if placed.keys() != set(range(len(found.data))):
            raise ValueError("the places of the vectors are not one after the other")
        usage_shape = read(body).usage
        return EmbeddingReply(
            model=found.model,
            vectors=tuple(_vector(placed[at].embedding) for at in range(len(placed))),
            usage=_usage(usage_shape.prompt_tokens, usage_shape.total_tokens)
            if usage_shape is not None
            else None,
        )

    def write_reply(self, reply: EmbeddingReply, request: EmbeddingRequest, *, model: str) -> bytes:
        packed = request.encoding == "base64"
        usage = reply.usage
        return encode(
            {
                "object": "list",
                "data": [
                    {"object": "embedding", "index": at, "embedding": to_base64(each) if packed else each}
                    for at, each in enumerate(reply.vectors)
                ],
                "model": reply.model or model,
                "usage": {"prompt_tokens": usage.input, "total_tokens": usage.input}
                if usage is not None
                else None,
            }
        )

    def read_error(self, status: int, body: bytes) -> Failed:
        return failure_in(body, status)

    def write_error(self, error: ChatVaultError | Failed, status: int) -> bytes:
        return encode({"error": error_value(error, status)})


def _usage(prompt: float | None, total: float | None) -> Usage | None:
    count = prompt if prompt is not None else total
    return Usage(input=max(int(count), 0)) if count is not None else None


def _vector(said: msgspec.Raw) -> msgspec.Raw:
    if bytes(said).startswith(b'"'):
        return from_base64(msgspec.json.decode(said, type=str))
    return vector_of(said)


def _inputs(value: object) -> tuple[tuple[str | tuple[int, ...], ...], bool]:
    """The inputs, and whether one stood alone."""
    if isinstance(value, str):
        return (value,), True
    if isinstance(value, list) and value:
        if all(isinstance(each, int) for each in value):
            return (tuple(value),), True
        if all(isinstance(each, str) for each in value):
            return tuple(value), False
        if all(isinstance(each, list) and all(isinstance(one, int) for one in each) for each in value):
            return tuple(tuple(each) for each in value), False
    raise _invalid("input", "a string, a list of strings, or token ids")


def _invalid(path: str, what: str) -> ClientError:
    return ClientError(f"The field '{path}' must be {what}.", code="invalid_field", param=path)


OPENAI_EMBEDDINGS: Final[EmbeddingDialect] = OpenAIEmbeddings()
