"""Recorded embeddings told in the other dialects of embeddings: what the official library hears must be the vectors
that were said, and a request the same texts, but for what was reported as dropped."""

import json
import struct
from base64 import b64decode
from typing import Any, Final

import msgspec
import ollama
import openai
import pydantic
from google.genai import errors, types
from openai.types import EmbeddingCreateParams

from chatvault.core.errors import ClientError
from chatvault.wire.gemini.embeddings import GEMINI_EMBED
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.embedding import EmbeddingDialect, EmbeddingRequest
from chatvault.wire.ollama.embeddings import OLLAMA_EMBED, OLLAMA_EMBEDDINGS
from chatvault.wire.openai.embeddings import OPENAI_EMBEDDINGS
from tests.recorded.clients import Refused, consume
from tests.recorded.exchanges import Exchange
from tests.recorded.gemini_generate import google_client
from tests.recorded.openai_chat import openai_client, refused
from tests.recorded.requests import shape
from tests.recorded.tally import Pair, Tally
from tests.recorded.transport import Canned

EMBEDDINGS: Final[dict[str, EmbeddingDialect]] = {
    "openai.embeddings": OPENAI_EMBEDDINGS,
    "gemini.embed": GEMINI_EMBED,
    "ollama.embed": OLLAMA_EMBED,
}
_FIELDS: Final = ("inputs", "dimensions", "user", "task", "title", "truncate")
_NAMES: Final = {"task": "taskType"}
Vectors = list[list[float]]


class Library:
    """The official library of a dialect: what it hears of an answer, and whether it knows a request."""

    def __init__(self) -> None:
        self.canned = Canned()
        self.openai = openai_client(self.canned)
        self.google = google_client(self.canned)
        self.ollama = ollama.Client(host="http://test", transport=self.canned.old)
        self.params = pydantic.TypeAdapter[Any](EmbeddingCreateParams)

    def hear(self, dialect: str, body: bytes, status: int = 200) -> Vectors:
        """Raises Refused for an error, and what the library raises for what is not its dialect."""
        self.canned.answers(body, status=status)
        try:
            match dialect:
                case "openai.embeddings":
                    made = self.openai.embeddings.create(model="m", input="x")
                    return [each.embedding for each in sorted(made.data, key=lambda each: each.index)]
                case "gemini.embed":
                    found = self.google.models.embed_content(model="m", contents="x")
                    return [each.values or [] for each in found.embeddings or ()]
                case _:
                    return [[*each] for each in self.ollama.embed(model="m", input="x").embeddings]
        except openai.APIStatusError as error:
            raise refused(error) from error
        except errors.APIError as error:
            raise Refused(error.code, str(error.message), error.status, None) from error
        except ollama.ResponseError as error:
            raise Refused(error.status_code, error.error, None, None) from error

    def check(self, dialect: str, request: dict[str, Any]) -> None:
        """Raises ValidationError."""
        match dialect:
            case "openai.embeddings":
                consume(self.params.validate_python(request))
            case "gemini.embed":
                for each in request.get("requests", [request]):
                    types.Content.model_validate(each["content"])
                    own = {name: value for name, value in each.items() if name not in ("model", "content")}
                    types.EmbedContentConfig.model_validate(own)
            case _:
                ollama._types.EmbedRequest.model_validate(request)


def add(tally: Tally, source: str, exchange: Exchange, library: Library) -> None:
    """One exchange told in every other dialect of embeddings."""
    tally.exchanges[source] += 1
    targets = [target for target in EMBEDDINGS if target != source]
    asked = _asked(source, exchange)
    for target in targets:
        pair = tally.pair(source, target)
        if exchange.status >= 400:
            pair.count("errors", exchange, _judge_error(source, exchange, target, library))
        if asked is not None:
            _count_request(pair, asked, exchange, target, library)
    if exchange.status >= 400:
        return
    try:
        said = spoken(json.loads(exchange.body))
        EMBEDDINGS[source].read_reply(exchange.body)
    except (ValueError, KeyError, TypeError):
        tally.unread[source] += 1
        return
    for target in targets:
        wrong = _judge_answer(source, exchange, asked, target, said, library)
        tally.pair(source, target).count("answers", exchange, wrong)


def spoken(value: Any) -> Vectors:
    """The vectors of an answer in any dialect, by other means than ours."""
    if "data" in value:
        ordered = sorted(value["data"], key=lambda each: each["index"])
        return [_unpacked(each["embedding"]) for each in ordered]
    if "embedding" in value:
        return [value["embedding"]]
    return [each["values"] if isinstance(each, dict) else each for each in value["embeddings"]]


def _unpacked(vector: Any) -> list[float]:
    if not isinstance(vector, str):
        return list(vector)
    packed = b64decode(vector)
    return list(struct.unpack(f"<{len(packed) // 4}f", packed))


def _asked(source: str, exchange: Exchange) -> EmbeddingRequest | None:
    """None for one that is of something else, as its provider may have found, too."""
    body, reader = exchange.request, EMBEDDINGS[source]
    if body is None:
        return None
    if source == "ollama.embed" and "prompt" in json.loads(body):
        reader = OLLAMA_EMBEDDINGS
    try:
        return reader.read_request(body, model="m")
    except ClientError:
        return None


def _count_request(
    pair: Pair, asked: EmbeddingRequest, exchange: Exchange, target: str, library: Library
) -> None:
    dropped, writer = Dropped(), EMBEDDINGS[target]
    try:
        body = writer.write_request(asked, dropped)
    except ClientError:
        pair.requests.refused += 1
        return
    wrong: list[str] = []
    try:
        library.check(target, json.loads(body))
    except Exception as error:  # whatever a library raises is a failure
        wrong.append(f"invalid: {type(error).__name__}: {str(error)[:400]}")
    back = writer.read_request(body, model=asked.model)
    wrong += [
        f"{name}: {getattr(back, name)!r:.100} for {getattr(asked, name)!r:.100}"
        for name in _FIELDS
        if getattr(back, name) != getattr(asked, name) and _NAMES.get(name, name) not in dropped.paths
    ]
    lost = asked.extra.keys() - set(dropped.paths)
    pair.count("requests", exchange, wrong + [f"{name}: lost" for name in lost])
    pair.dropped.update({shape(path) for path in dropped.paths})


def _judge_answer(
    source: str,
    exchange: Exchange,
    asked: EmbeddingRequest | None,
    target: str,
    said: Vectors,
    library: Library,
) -> list[str]:
    """Floats with every digit, and packed as 32-bit floats where the dialect can."""
    reply = EMBEDDINGS[source].read_reply(exchange.body)
    texts = asked.inputs if asked is not None else ("x",) * len(said)
    wrong = [] if len(reply.vectors) == len(texts) else [f"{len(reply.vectors)} vectors for {len(texts)}"]
    packings = ("float", "base64") if target == "openai.embeddings" else ("float",)
    for packing in packings:
        wanted = EmbeddingRequest(
            model="m", inputs=texts, encoding=msgspec.convert(packing, Any), origin=target
        )
        try:
            heard = library.hear(target, EMBEDDINGS[target].write_reply(reply, wanted, model="m"))
        except Exception as error:  # whatever a library raises is a failure
            wrong.append(f"{packing}: {type(error).__name__}: {str(error)[:200]}")
            continue
        if not _same(heard, said, exactly=packing == "float" and not _packed(exchange)):
            wrong.append(f"{packing}: other vectors")
    return wrong


def _packed(exchange: Exchange) -> bool:
    """Whether the provider said 32-bit floats."""
    data = json.loads(exchange.body).get("data", ())
    return any(isinstance(each["embedding"], str) for each in data)


def _same(heard: Vectors, said: Vectors, *, exactly: bool) -> bool:
    if exactly:
        return heard == said
    return [_rounded(each) for each in heard] == [_rounded(each) for each in said]


def _rounded(vector: list[float]) -> bytes:
    return struct.pack(f"<{len(vector)}f", *vector)


def _judge_error(source: str, exchange: Exchange, target: str, library: Library) -> list[str]:
    failed = EMBEDDINGS[source].read_error(exchange.status, exchange.body)
    try:
        library.hear(target, EMBEDDINGS[target].write_error(failed, exchange.status), exchange.status)
    except Refused as error:
        same = (error.status, error.message) == (exchange.status, failed.message)
        return [] if same else [f"{error.status} {error.message[:80]!r} for {failed.message[:80]!r}"]
    except Exception as error:  # whatever a library raises is a failure
        return [f"{type(error).__name__}: {str(error)[:200]}"]
    return ["it was taken for an answer"]
