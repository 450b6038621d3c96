"""`gemini.embed`: embedContent and batchEmbedContents (https://ai.google.dev/api/embeddings, seen
2026-11).
"""

from typing import Final
from urllib.parse import quote

import msgspec

from chatvault.core.errors import ChatVaultError, ClientError
from chatvault.core.usage import Usage
from chatvault.wire.gemini import errors
from chatvault.wire.gemini.names import camel
from chatvault.wire.gemini.usage import normalise
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.embedding import (
    EmbeddingDialect,
    EmbeddingReply,
    EmbeddingRequest,
    texts_of,
    whole_number,
    words,
)
from chatvault.wire.hub.events import Failed
from chatvault.wire.json_value import (
    Values,
    count,
    decode,
    decode_object,
    decode_request,
    encode,
    obj,
    objects_of,
    raw,
    text,
)

DIALECT: Final = "gemini.embed"
_COMMON: Final = ("taskType", "title", "outputDimensionality")
"""What the hub knows once for all texts."""
_READ: Final = frozenset(("model", "content", *_COMMON))
_MOST: Final = 100
"""Texts in one batch (https://github.com/langchain-ai/langchainjs/issues/4491, seen 2026-11)."""


class GeminiEmbed:
    """One text is asked for alone, more of them as a batch; a reply is read in both shapes, and written as
    it was asked.
    """

    name = DIALECT

    def read_request(self, body: bytes, *, model: str | None = None) -> EmbeddingRequest:
        fields = camel(decode_request(body))
        single = "requests" not in fields
        items = [("", fields)] if single else _items(fields["requests"])
        named = model or next((name for _, item in items if (name := text(item.get("model")))), None)
        if not named:
            raise ClientError("The path names no model.", code="model_missing", param="model")
        place, first = items[0]
        return EmbeddingRequest(
            model=named.removeprefix("models/"),
            inputs=tuple(_said(item.get("content"), f"{path}content") for path, item in items),
            single=single,
            dimensions=whole_number(first, "outputDimensionality", place),
            task=words(first, "taskType", place),
            title=words(first, "title", place),
            origin=DIALECT,
            extra=_extra(items),
        )

    def write_request(self, request: EmbeddingRequest, dropped: Dropped) -> bytes:
        """Raises ClientError for token ids, which only their own provider can read, and for more texts than
        Gemini takes at once."""
        if len(request.inputs) > _MOST and request.origin != DIALECT:
            raise ClientError(
                f"Gemini embeds at most {_MOST} texts in one call, and these are {len(request.inputs)}. Send them "
                "in several calls.",
                code="cannot_carry",
                param="input",
            )
        common: Values = {}
        for name, value in (
            ("taskType", request.task),
            ("title", request.title),
            ("outputDimensionality", request.dimensions),
        ):
            if value is not None:
                common[name] = value
        for path, said in (("user", request.user), ("truncate", request.truncate)):
            if said is not None:
                dropped.add(path)
        items: list[Values] = [
            {"model": f"models/{request.model}", "content": {"parts": [{"text": each}]}, **common}
            for each in texts_of(request)
        ]
        out: Values = items[0] if request.single else {"requests": items}
        for path, each in request.extra.items():
            if request.origin != DIALECT:
                dropped.add(path)
            elif request.single:
                out[path] = decode(each)
            else:
                at, _, name = path.removeprefix("requests[").partition("].")
                items[int(at)][name] = decode(each)
        return encode(out)

    def request_path(self, request: EmbeddingRequest) -> bytes:
        method = "embedContent" if request.single else "batchEmbedContents"
        return f"/models/{quote(request.model, safe='')}:{method}".encode()

    def read_reply(self, body: bytes) -> EmbeddingReply:
        """Vertex AI's `predictions` are read, too."""
        found = camel(decode_object(body))
        alone = obj(found.get("embedding"))
        predictions = objects_of(found.get("predictions"))
        items = [alone] if alone is not None else objects_of(found.get("embeddings"))
        if predictions:
            items = [obj(each.get("embeddings")) or {} for each in predictions]
        vectors = [each.get("values") for each in items]
        if not vectors or not all(isinstance(each, list) for each in vectors):
            raise ValueError("no vectors of a Gemini answer")
        return EmbeddingReply(vectors=tuple(map(raw, vectors)), usage=_usage(found, items))

    def write_reply(self, reply: EmbeddingReply, request: EmbeddingRequest, *, model: str) -> bytes:
        values: list[Values] = [{"values": each} for each in reply.vectors]
        out: Values = (
            {"embedding": values[0]} if request.single and len(values) == 1 else {"embeddings": values}
        )
        if reply.usage is not None:
            out["usageMetadata"] = {
                "promptTokenCount": reply.usage.input,
                "totalTokenCount": reply.usage.input,
            }
        return encode(out)

    def read_error(self, status: int, body: bytes) -> Failed:
        return errors.read_error(status, body)

    def write_error(self, error: ChatVaultError | Failed, status: int) -> bytes:
        return errors.write_error(error, status)


def _extra(items: list[tuple[str, Values]]) -> dict[str, msgspec.Raw]:
    """What the hub does not know: fields of Gemini's own, and what one text is asked for otherwise than the
    first."""
    first, extra = items[0][1], dict[str, msgspec.Raw]()
    for path, item in items:
        own = {name: value for name, value in item.items() if name not in _READ and value is not None}
        other = {name: item.get(name) for name in _COMMON if item.get(name) != first.get(name)}
        extra |= {f"{path}{name}": raw(value) for name, value in (own | other).items()}
    return extra


def _usage(found: Values, items: list[Values]) -> Usage | None:
    told = normalise(found.get("usageMetadata"))
    if told is not None:
        return Usage(input=told.input)
    counted = [camel(obj(each.get("statistics")) or {}).get("tokenCount") for each in items]
    known = [count(each) for each in counted if each is not None]
    return Usage(input=sum(known)) if len(known) == len(items) else None


def _items(value: object) -> list[tuple[str, Values]]:
    """Each request of a batch, and its path."""
    found = [obj(each) for each in value] if isinstance(value, list) else []
    items = [(f"requests[{at}].", camel(each)) for at, each in enumerate(found) if each is not None]
    if not items or len(items) != len(found):
        raise ClientError(
            "The field 'requests' must be a list of objects.", code="invalid_field", param="requests"
        )
    return items


def _said(value: object, path: str) -> str:
    """The texts of one content make one vector."""
    if isinstance(value, str):
        return value
    content = camel(obj(value) or {})
    parts = content.get("parts")
    said = [text(each.get("text")) for each in objects_of([parts] if isinstance(parts, dict) else parts)]
    found = [each for each in said if each is not None]
    if not found or len(found) != len(said):
        raise ClientError(
            f"The field '{path}' must have parts of text.", code="invalid_field", param=f"{path}.parts"
        )
    return "\n".join(found)


GEMINI_EMBED: Final[EmbeddingDialect] = GeminiEmbed()
