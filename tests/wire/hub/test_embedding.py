"""Embeddings between OpenAI's, Gemini's and Ollama's dialects."""

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from chatvault.core.errors import ClientError
from chatvault.core.usage import Usage
from chatvault.wire.gemini.embeddings import GEMINI_EMBED
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.embedding import EmbeddingDialect, EmbeddingReply, EmbeddingRequest
from chatvault.wire.ollama.embeddings import OLLAMA_EMBED, OLLAMA_EMBEDDINGS
from chatvault.wire.openai.embeddings import OPENAI_EMBEDDINGS
from tests.wire.openai.recordings import Exchange, exchanges

DIALECTS = (OPENAI_EMBEDDINGS, GEMINI_EMBED, OLLAMA_EMBED)


def ask(dialect: EmbeddingDialect, body: object) -> EmbeddingRequest:
    return dialect.read_request(json.dumps(body).encode(), model="m" if dialect is GEMINI_EMBED else None)


def written(dialect: EmbeddingDialect, asked: EmbeddingRequest) -> tuple[Any, tuple[str, ...]]:
    dropped = Dropped()
    return json.loads(dialect.write_request(asked, dropped)), dropped.paths


SAME: list[tuple[EmbeddingDialect, dict[str, Any]]] = [
    (
        OPENAI_EMBEDDINGS,
        {"model": "m", "input": "a", "dimensions": 8, "encoding_format": "base64", "user": "u"},
    ),
    (OPENAI_EMBEDDINGS, {"model": "m", "input": ["a", "b"], "encoding_format": "float", "priority": "high"}),
    (OPENAI_EMBEDDINGS, {"model": "m", "input": [1, 2]}),
    (OPENAI_EMBEDDINGS, {"model": "m", "input": [[1], [2, 3]]}),
    (
        GEMINI_EMBED,
        {
            "model": "models/m",
            "content": {"parts": [{"text": "a"}]},
            "taskType": "RETRIEVAL_DOCUMENT",
            "title": "t",
            "outputDimensionality": 8,
            "autoTruncate": True,
        },
    ),
    (
        GEMINI_EMBED,
        {
            "requests": [
                {"model": "models/m", "content": {"parts": [{"text": "a"}]}, "taskType": "A"},
                {"model": "models/m", "content": {"parts": [{"text": "b"}]}, "taskType": "B"},
            ]
        },
    ),
    (OLLAMA_EMBED, {"model": "m", "input": ["a"], "truncate": False, "dimensions": 8, "keep_alive": "5m"}),
    (OLLAMA_EMBED, {"model": "m", "input": "a", "options": {"num_ctx": 9}}),
]


@pytest.mark.parametrize(("dialect", "body"), SAME)
def test_requests_come_back_as_they_were(dialect: EmbeddingDialect, body: dict[str, Any]) -> None:
    assert written(dialect, ask(dialect, body)) == (body, ())


def test_requests_across_dialects() -> None:
    asked = ask(OPENAI_EMBEDDINGS, SAME[0][1])
    assert written(GEMINI_EMBED, asked) == (
        {"model": "models/m", "content": {"parts": [{"text": "a"}]}, "outputDimensionality": 8},
        ("user",),
    )
    assert GEMINI_EMBED.request_path(asked) == b"/models/m:embedContent"
    assert written(OLLAMA_EMBED, asked) == ({"model": "m", "input": "a", "dimensions": 8}, ("user",))
    assert OLLAMA_EMBED.request_path(asked) == b"/api/embed"
    several = ask(OPENAI_EMBEDDINGS, SAME[1][1])
    assert written(GEMINI_EMBED, several)[1] == ("priority",)
    assert GEMINI_EMBED.request_path(several) == b"/models/m:batchEmbedContents"
    single = ask(GEMINI_EMBED, SAME[4][1])
    assert written(OPENAI_EMBEDDINGS, single) == (
        {"model": "m", "input": "a", "dimensions": 8},
        ("taskType", "title", "autoTruncate"),
    )
    assert OPENAI_EMBEDDINGS.request_path(single) == b"/embeddings"
    batch = ask(GEMINI_EMBED, SAME[5][1])
    assert written(OLLAMA_EMBED, batch) == (
        {"model": "m", "input": ["a", "b"]},
        ("taskType", "requests[1].taskType"),
    )
    cut = ask(OLLAMA_EMBED, SAME[6][1])
    assert written(OPENAI_EMBEDDINGS, cut)[1] == ("truncate", "keep_alive")
    assert written(GEMINI_EMBED, cut)[1] == ("truncate", "keep_alive")


def test_the_older_endpoint_of_ollama() -> None:
    asked = ask(OLLAMA_EMBEDDINGS, {"model": "m", "prompt": "a", "options": {}, "keep_alive": None})
    assert written(OLLAMA_EMBED, asked) == ({"model": "m", "input": "a"}, ())
    reply = EmbeddingReply(vectors=(msgspec.Raw(b"[1.0]"),))
    assert OLLAMA_EMBEDDINGS.write_reply(reply, asked, model="m") == b'{"embedding":[1.0]}'
    with pytest.raises(ClientError):
        ask(OLLAMA_EMBEDDINGS, {"model": "m", "prompt": ["a"]})


def test_token_ids_are_of_no_use_to_others() -> None:
    asked = ask(OPENAI_EMBEDDINGS, {"model": "m", "input": [1, 2]})
    for dialect in (GEMINI_EMBED, OLLAMA_EMBED):
        with pytest.raises(ClientError) as caught:
            written(dialect, asked)
        assert caught.value.param == "input"


@pytest.mark.parametrize(
    ("dialect", "body", "param"),
    [
        (OPENAI_EMBEDDINGS, {"input": "a"}, "model"),
        (OPENAI_EMBEDDINGS, {"model": "m"}, "input"),
        (OPENAI_EMBEDDINGS, {"model": "m", "input": [1, "a"]}, "input"),
        (OPENAI_EMBEDDINGS, {"model": "m", "input": "a", "encoding_format": "hex"}, "encoding_format"),
        (OPENAI_EMBEDDINGS, {"model": "m", "input": "a", "dimensions": "many"}, "dimensions"),
        (GEMINI_EMBED, {"requests": []}, "requests"),
        (GEMINI_EMBED, {"requests": [1]}, "requests"),
        (GEMINI_EMBED, {"content": {}}, "content.parts"),
        (
            GEMINI_EMBED,
            {"requests": [{"content": {"parts": [{"inlineData": {}}]}}]},
            "requests[0].content.parts",
        ),
        (OLLAMA_EMBED, {"input": "a"}, "model"),
        (OLLAMA_EMBED, {"model": "m", "input": []}, "input"),
    ],
)
def test_refusals_name_the_place(dialect: EmbeddingDialect, body: object, param: str) -> None:
    with pytest.raises(ClientError) as caught:
        ask(dialect, body)
    assert caught.value.param == param


def test_gemini_needs_a_model_from_somewhere() -> None:
    body = b'{"content": {"parts": {"text": "a"}}}'
    with pytest.raises(ClientError):
        GEMINI_EMBED.read_request(body)
    assert GEMINI_EMBED.read_request(b'{"model": "models/x", "content": "a"}').model == "x"


REPLIES: list[tuple[EmbeddingDialect, object]] = [
    (
        OPENAI_EMBEDDINGS,
        {
            "object": "list",
            "model": "x",
            "data": [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0, -0.5]}],
            "usage": {"prompt_tokens": 4, "total_tokens": 4},
        },
    ),
    (
        OPENAI_EMBEDDINGS,
        {
            "data": [
                {"embedding": base64.b64encode(struct.pack("<2f", 1, -0.5)).decode()},
                {"embedding": base64.b64encode(struct.pack("<f", 2)).decode()},
            ],
            "usage": {"total_tokens": 4},
        },
    ),
    (
        GEMINI_EMBED,
        {
            "embeddings": [{"values": [1.0, -0.5]}, {"values": [2.0]}],
            "usageMetadata": {"promptTokenCount": 4},
        },
    ),
    (
        GEMINI_EMBED,
        {
            "predictions": [
                {"embeddings": {"values": [1.0, -0.5], "statistics": {"token_count": 3}}},
                {"embeddings": {"values": [2.0], "statistics": {"token_count": 1}}},
            ]
        },
    ),
    (OLLAMA_EMBED, {"model": "x", "embeddings": [[1.0, -0.5], [2.0]], "prompt_eval_count": 4}),
]


@pytest.mark.parametrize(("dialect", "body"), REPLIES)
@pytest.mark.parametrize("asked_in", DIALECTS)
def test_replies_across_dialects(dialect: EmbeddingDialect, body: object, asked_in: EmbeddingDialect) -> None:
    reply = dialect.read_reply(json.dumps(body).encode())
    assert reply.usage == Usage(input=4)
    asked = ask(OPENAI_EMBEDDINGS, {"model": "m", "input": ["a", "b"]})
    again = asked_in.read_reply(asked_in.write_reply(reply, asked, model="m"))
    assert [json.loads(bytes(each)) for each in again.vectors] == [[1.0, -0.5], [2.0]]
    assert again.usage == reply.usage


def test_vectors_in_base64() -> None:
    asked = ask(OPENAI_EMBEDDINGS, {"model": "m", "input": "a", "encoding_format": "base64"})
    reply = EmbeddingReply(vectors=(msgspec.Raw(b"[0.1,-2]"),))
    told = json.loads(OPENAI_EMBEDDINGS.write_reply(reply, asked, model="m"))
    packed = told["data"][0]["embedding"]
    assert struct.unpack("<2f", base64.b64decode(packed)) == struct.unpack("<2f", struct.pack("<2f", 0.1, -2))
    assert told["usage"] is None
    assert told["model"] == "m"
    back = OPENAI_EMBEDDINGS.read_reply(json.dumps(told).encode())
    assert bytes(back.vectors[0]) == b"[0.100000001,-2.0]"


def test_one_vector_is_told_as_one() -> None:
    asked = ask(GEMINI_EMBED, {"content": {"parts": [{"text": "a"}, {"text": "b"}]}})
    assert asked.inputs == ("a\nb",)
    reply = EmbeddingReply(vectors=(msgspec.Raw(b"[1.5]"),))
    told = GEMINI_EMBED.write_reply(reply, asked, model="m")
    assert told == b'{"embedding":{"values":[1.5]}}'
    assert GEMINI_EMBED.read_reply(told) == reply


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "body", [b"{}", b"<html>", b'{"data": 1}', b'{"embeddings": [{"values": 1}]}', b"[]"]
)
def test_what_is_no_answer(dialect: EmbeddingDialect, body: bytes) -> None:
    if dialect is OLLAMA_EMBED and b"values" in body:
        return
    with pytest.raises(ValueError):
        dialect.read_reply(body)


def recorded() -> Iterator[tuple[EmbeddingDialect, EmbeddingDialect, Exchange]]:
    for file, asked_in, dialect in (
        ("openai.embeddings", OPENAI_EMBEDDINGS, OPENAI_EMBEDDINGS),
        ("gemini.embed", GEMINI_EMBED, GEMINI_EMBED),
        ("ollama.embed", OLLAMA_EMBEDDINGS, OLLAMA_EMBED),
    ):
        for each in exchanges(file):
            if each.status == 200 and b'"embedding' in each.body and each.body.rstrip().endswith(b"}"):
                yield asked_in, dialect, each  # a few recordings were cut, or are of something else


@pytest.mark.recorded
def test_every_recorded_exchange() -> None:
    seen = 0
    for asked_in, dialect, each in recorded():
        reply = dialect.read_reply(each.body)
        told = json.loads(each.body)
        if isinstance(each.request_body, dict):
            asked = asked_in.read_request(json.dumps(each.request_body).encode())
            assert not written(dialect, asked)[1]
            assert len(reply.vectors) == len(asked.inputs)
        else:
            asked = ask(OPENAI_EMBEDDINGS, {"model": "m", "input": "a"})
        usage = told.get("usage")
        if usage is not None:
            assert reply.usage == Usage(input=usage.get("prompt_tokens", usage.get("total_tokens")))
        for other in DIALECTS:
            again = other.read_reply(other.write_reply(reply, asked, model="m"))
            assert len(again.vectors) == len(reply.vectors)
            assert again.usage == reply.usage
        seen += 1
    print(f"{seen} embedding exchanges")
    assert seen > 100
