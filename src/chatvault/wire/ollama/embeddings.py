"""`ollama.embed`: `/api/embed`, and the older `/api/embeddings` (https://docs.ollama.com/api/embed, seen
2026-11).
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
    texts_of,
    vector_of,
    whole_number,
    yes_or_no,
)
from chatvault.wire.hub.events import Failed
from chatvault.wire.json_value import Values, count, decode, decode_request, encode, raw, strings, text
from chatvault.wire.ollama import errors
from chatvault.wire.ollama.messages_reader import invalid

DIALECT: Final = "ollama.embed"
_READ: Final = frozenset(("model", "input", "prompt", "dimensions", "truncate"))


class _Vectors(msgspec.Struct, gc=False):
    embeddings: list[msgspec.Raw] | None = None
    embedding: msgspec.Raw = msgspec.Raw(b"")
    model: str | None = None
    prompt_eval_count: int | None = None


_decode = msgspec.json.Decoder(_Vectors).decode


class OllamaEmbed:
    """`older`: the client speaks `/api/embeddings`, one prompt and one vector; a provider is asked by
    `/api/embed` all the same.
    """

    name = DIALECT

    def __init__(self, *, older: bool = False) -> None:
        self._older = older

    def read_request(self, body: bytes, *, model: str | None = None) -> EmbeddingRequest:
        fields = decode_request(body)
        named = model or text(fields.get("model"))
        if not named:
            raise ClientError("The request names no model.", code="model_missing", param="model")
        field = "prompt" if self._older else "input"
        said = fields.get(field)
        inputs = (said,) if isinstance(said, str) else None if self._older else strings(said)
        if not inputs:
            raise invalid(field, "a string" if self._older else "a string or a list of strings")
        extra = {
            name: raw(each)
            for name, each in fields.items()
            if name not in _READ and each is not None and each != {}
        }
        return EmbeddingRequest(
            model=named,
            inputs=inputs,
            single=isinstance(said, str),
            dimensions=whole_number(fields, "dimensions"),
            truncate=yes_or_no(fields, "truncate"),
            origin=DIALECT,
            extra=extra,
        )

    def write_request(self, request: EmbeddingRequest, dropped: Dropped) -> bytes:
        """Raises ClientError for token ids, which only their own provider can read."""
        inputs = texts_of(request)
        out: Values = {
            "model": request.model,
            "input": inputs[0] if request.single else inputs,
        }
        for name, value in (("dimensions", request.dimensions), ("truncate", request.truncate)):
            if value is not None:
                out[name] = value
        for path, said in (("user", request.user), ("taskType", request.task), ("title", request.title)):
            if said is not None:
                dropped.add(path)
        for path, each in request.extra.items():
            if request.origin == DIALECT:
                out[path] = decode(each)
            else:
                dropped.add(path)
        return encode(out)

    def request_path(self, request: EmbeddingRequest) -> bytes:
        return b"/api/embed"

    def read_reply(self, body: bytes) -> EmbeddingReply:
        """Of both endpoints."""
        found = _decode(body)
        vectors = (
            found.embeddings if found.embeddings is not None else [found.embedding] if found.embedding else []
        )
        if not vectors:
            raise ValueError("no vectors of an answer of Ollama")
        counted = found.prompt_eval_count
        return EmbeddingReply(
            model=found.model,
            vectors=tuple(map(vector_of, vectors)),
            usage=Usage(input=count(counted)) if counted is not None else None,
        )

    def write_reply(self, reply: EmbeddingReply, request: EmbeddingRequest, *, model: str) -> bytes:
        if self._older:
            return encode({"embedding": reply.vectors[0]})
        out: Values = {"model": reply.model or model, "embeddings": reply.vectors}
        if reply.usage is not None:
            out["prompt_eval_count"] = reply.usage.input
        return encode(out)

    def read_error(self, status: int, body: bytes) -> Failed:
        return errors.read_error(status, body)

    def write_error(self, error: ChatVaultError | Failed, status: int) -> bytes:
        return errors.write_error(error)


OLLAMA_EMBED: Final[EmbeddingDialect] = OllamaEmbed()
OLLAMA_EMBEDDINGS: Final[EmbeddingDialect] = OllamaEmbed(older=True)
