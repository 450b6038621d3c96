"""Answers, whole and streamed: what is read of them, and what is written."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.core.errors import UpstreamError
from chatvault.core.usage import Usage
from chatvault.wire.gemini.array import ArraySplitter, elements
from chatvault.wire.gemini.dialect import GEMINI, GEMINI_ARRAY
from chatvault.wire.gemini.partial_args import PartialArguments
from chatvault.wire.hub.events import (
    AnyEvent,
    ArgumentsDelta,
    Begun,
    CitationTold,
    Ended,
    Failed,
    Finished,
    PartBegun,
    PartEnded,
    Pinged,
    SignatureTold,
    TextDelta,
    UsageTold,
)
from chatvault.wire.hub.parts import Media, Refusal, Text, Thought, ToolCall, Unknown
from tests.wire.openai.recordings import Gist, gist, pieces

ASKED = GEMINI.read_request(b'{"contents": []}', model="m", stream=True)
USAGE = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}


def chunk(*parts: object, **fields: Any) -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": list(parts)}}
    for name in ("finishReason", "index", "groundingMetadata", "logprobsResult", "finishMessage"):
        if name in fields:
            candidate[name] = fields.pop(name)
    return {"candidates": [candidate], "modelVersion": "gemini-x", "responseId": "r", **fields}


def sse(*chunks: object) -> bytes:
    return b"".join(b"data: " + json.dumps(each).encode() + b"\r\n\r\n" for each in chunks)


def streamed(body: bytes, *sizes: int) -> list[AnyEvent]:
    reader = GEMINI.stream_reader()
    found = [event for piece in pieces(body, sizes or (len(body),)) for event in reader.feed(piece)]
    return found + reader.end()


def read(*chunks: object) -> Gist:
    """The chunks as a stream of events and as an array, cut anyhow, are the same."""
    found = streamed(sse(*chunks))
    assert streamed(sse(*chunks), 1, 5) == found
    listed = json.dumps(chunks).encode()
    assert streamed(listed, 3, 1) == found
    assert GEMINI.read_reply(listed) == found
    return gist(found)


def test_whole_and_streamed_come_to_the_same() -> None:
    grounding = {"webSearchQueries": ["a", "b"], "groundingChunks": []}
    parts = [
        {"text": "thin", "thought": True},
        {"text": "k", "thought": True, "thoughtSignature": "c2ln"},
        {"text": "Hel"},
        {"executableCode": {"code": "1", "language": "PYTHON"}},
        {"text": "lo", "thoughtSignature": "dGV4dA=="},
    ]
    whole = GEMINI.read_reply(
        json.dumps(
            chunk(*parts, finishReason="STOP", groundingMetadata=grounding, usageMetadata=USAGE)
        ).encode()
    )
    stream = read(
        *(chunk(part, usageMetadata={"trafficType": "ON_DEMAND"}) for part in parts[:-1]),
        chunk({"text": "l"}),
        chunk({"text": "o"}),
        chunk(
            {"text": "", "thoughtSignature": "dGV4dA=="},
            finishReason="STOP",
            groundingMetadata=grounding,
            usageMetadata=USAGE,
        ),
    )
    assert gist(whole) == stream
    choice = stream.choices[0]
    assert (choice.text, choice.thoughts, choice.proofs) == ("Hello", "think", ["c2ln", "dGV4dA=="])
    assert choice.citations == 1
    assert choice.finish == "stop"
    assert stream.usage == Usage(input=3, output=2, searches=2)


def test_calls_have_ids_and_end_with_tool_calls() -> None:
    found = read(
        chunk(
            {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
            {"functionCall": {"name": "f", "args": {"a": 1}}},
            {"functionCall": {"name": "g", "id": "own"}},
            finishReason="STOP",
        )
    )
    calls = found.choices[0].calls
    assert len({call[0] for call in calls}) == 3
    assert calls[2] == ("own", "g", "{}")
    assert found.choices[0].proofs == ["c2ln"]
    assert found.choices[0].finish == "tool_calls"


def test_arguments_that_come_in_steps() -> None:
    found = read(
        chunk({"functionCall": {"name": "f", "willContinue": True}, "thoughtSignature": "c2ln"}),
        chunk(
            {
                "functionCall": {
                    "partialArgs": [{"jsonPath": "$.city", "stringValue": "Pa", "willContinue": True}],
                    "willContinue": True,
                }
            }
        ),
        chunk(
            {
                "functionCall": {
                    "partialArgs": [{"jsonPath": "$.city", "stringValue": "ris"}],
                    "willContinue": True,
                }
            }
        ),
        chunk(
            {
                "functionCall": {
                    "partialArgs": [
                        {"jsonPath": "$.days[0].n", "numberValue": 1},
                        {"jsonPath": "$.days[1].ok", "boolValue": True},
                        {"jsonPath": "$.none", "nullValue": "NULL_VALUE"},
                        {"jsonPath": "$.city", "stringValue": "too late"},
                    ],
                    "willContinue": True,
                }
            }
        ),
        chunk({"functionCall": {}}),
        chunk({"functionCall": {"name": "g", "willContinue": True}}),
        chunk({"text": "done"}, finishReason="STOP"),
    )
    first, second = found.choices[0].calls
    assert json.loads(first[2]) == {"city": "Paris", "days": [{"n": 1}, {"ok": True}], "none": None}
    assert second[1:] == ("g", "{}")
    assert found.choices[0].text == "done"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(st.text("abc", min_size=1), inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)


def assignments(value: object, path: str) -> list[dict[str, object]]:
    """As Vertex AI would tell the value."""
    if isinstance(value, dict):
        return [step for name, each in value.items() for step in assignments(each, f"{path}.{name}")]
    if isinstance(value, list):
        return [step for at, each in enumerate(value) for step in assignments(each, f"{path}[{at}]")]
    if isinstance(value, str):
        half = len(value) // 2
        return [
            {"jsonPath": path, "stringValue": value[:half], "willContinue": True},
            {"jsonPath": path, "stringValue": value[half:]},
        ]
    name = "nullValue" if value is None else "boolValue" if isinstance(value, bool) else "numberValue"
    return [{"jsonPath": path, name: value}]


@given(st.dictionaries(st.text("xyz", min_size=1), VALUES, max_size=4))
def test_any_arguments_in_steps(value: dict[str, object]) -> None:
    partial = PartialArguments()
    told = "".join(partial.feed(step) for step in assignments(value, "$"))
    assert json.loads(told + partial.end()) == value


def test_steps_that_make_no_sense_break_nothing() -> None:
    partial = PartialArguments()
    steps: list[dict[str, object]] = [
        {"jsonPath": "$.a.b", "numberValue": 1},
        {"jsonPath": "$.c['d e']", "stringValue": "x", "willContinue": True},
        {"jsonPath": "$.a.f", "numberValue": 2},
        {"jsonPath": "$", "numberValue": 3},
        {"jsonPath": "$[0]", "stringValue": "no"},
        {"jsonPath": '$["g"]', "nullValue": 0},
    ]
    told = "".join(map(partial.feed, steps)) + partial.end()
    assert json.loads(told) == {"a": {"b": 1}, "c": {"d e": "x"}, "g": None}
    assert PartialArguments().end() == "{}"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "error"),
        ("NEVER_HEARD_OF", "error"),
        (1, "stop"),
        (2, "length"),
    ],
)
def test_why_it_ended(said: object, reason: str) -> None:
    found = streamed(sse(chunk({"text": "x"}, finishReason=said, finishMessage="because")))
    (finished,) = (event for event in found if isinstance(event, Finished))
    assert finished.reason == reason
    assert finished.detail == (None if reason == "stop" else "because")
    again = json.loads(GEMINI.write_reply(found, model="m"))
    known = {"NEVER_HEARD_OF": "OTHER", 1: "STOP", 2: "MAX_TOKENS"}
    assert again["candidates"][0]["finishReason"] == known.get(said, said)


def test_a_refused_prompt_is_a_filtered_answer() -> None:
    reply = {
        "promptFeedback": {"blockReason": "SAFETY"},
        "usageMetadata": {"promptTokenCount": 4, "totalTokenCount": 4},
    }
    found = read(reply)
    assert found.whole
    assert found.choices[0].finish == "content_filter"
    assert found.usage == Usage(input=4)
    again = json.loads(GEMINI.write_reply(GEMINI.read_reply(json.dumps(reply).encode()), model="m"))
    assert again["promptFeedback"] == {"blockReason": "SAFETY"}
    assert "candidates" not in again


def test_a_cut_stream_never_ends() -> None:
    body = sse(chunk({"text": "x"}))
    assert not gist(streamed(body)).whole
    whole = sse(chunk({"text": "x"}, finishReason="STOP"))
    assert gist(streamed(whole)).whole
    assert gist(streamed(whole.rstrip())).whole
    assert not gist(streamed(whole[:-20])).whole
    listed = json.dumps([chunk({"text": "x"}, finishReason="STOP")]).encode()
    assert gist(streamed(listed)).whole
    assert not gist(streamed(listed[:-1])).whole
    assert GEMINI.stream_reader().end() == []
    assert gist(streamed(b"\r\n")).whole is False
    two = sse(
        {
            "candidates": [
                {"index": 0, "finishReason": "STOP"},
                {"index": 1, "content": {"parts": [{"text": "b"}]}},
            ]
        }
    )
    assert not gist(streamed(two)).whole


def test_errors_inside_a_stream() -> None:
    error = {"code": 503, "message": "Overloaded.", "status": "UNAVAILABLE"}
    found = read(chunk({"text": "x"}, usageMetadata=USAGE), {"error": error})
    assert found.failure == Failed(message="Overloaded.", kind="UNAVAILABLE", status=503)
    assert not found.whole
    assert found.usage == Usage(input=3, output=2)


@pytest.mark.parametrize("body", [b"data: {}\n\n", b"data: oops\n\n", b"data: [1]\n\n", b"[1]", b"{]"])
def test_what_is_no_stream_of_gemini(body: bytes) -> None:
    with pytest.raises(ValueError):
        streamed(body)


def test_what_is_no_reply_of_gemini() -> None:
    for body in (b"{}", b"<html>", b'"x"', b'{"choices": []}'):
        with pytest.raises(ValueError):
            GEMINI.read_reply(body)


def test_odd_types_are_passed_over() -> None:
    found = read(
        {
            "candidates": [
                {"index": "0", "content": None, "groundingMetadata": [1], "finishReason": None},
                7,
            ],
            "usageMetadata": "none",
            "modelVersion": 3,
            "createTime": "yesterday",
            "promptFeedback": None,
        },
        chunk(
            {"text": 1}, {"functionCall": "f"}, "part", {}, {"inlineData": {"data": 1}}, finishReason="STOP"
        ),
    )
    assert found.whole
    assert [part.kind for part in found.choices[0].others if isinstance(part, Unknown)] == [
        "text",
        "functionCall",
        "inlineData",
    ]


def test_log_probabilities_both_ways() -> None:
    result = {
        "chosenCandidates": [{"token": "a", "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "a", "logProbability": -0.5}]}],
    }
    found = streamed(sse(chunk({"text": "a"}, finishReason="STOP", logprobsResult=result)))
    (delta,) = (event for event in found if isinstance(event, TextDelta))
    assert delta.logprobs is not None
    entry = {"token": "a", "logprob": -0.5, "bytes": [97]}
    assert json.loads(bytes(delta.logprobs)) == {
        "content": [{**entry, "top_logprobs": [entry]}],
        "refusal": None,
    }
    again = json.loads(GEMINI.write_reply(found, model="m"))
    assert again["candidates"][0]["logprobsResult"] == result
    late = streamed(
        sse(chunk({"text": "a"}), chunk({"text": ""}, finishReason="STOP", logprobsResult=result))
    )
    assert [event.text for event in late if isinstance(event, TextDelta)] == ["a", ""]


def test_late_citations_have_a_text_of_their_own() -> None:
    found = read(
        chunk({"text": "x"}),
        chunk({"functionCall": {"name": "f", "args": {}}}),
        chunk(finishReason="STOP", groundingMetadata={"groundingChunks": [1]}),
    )
    assert found.choices[0].citations == 1
    assert found.choices[0].text == "x"


EVENTS: list[AnyEvent] = [
    Begun(id="r", model="claude", created=5),
    PartBegun(index=0, part=Thought(origin="anthropic.messages")),
    TextDelta(index=0, text="hm"),
    SignatureTold(index=0, signature="anthropic-signature"),
    PartEnded(index=0),
    PartBegun(index=1, part=Thought(sealed="s", id="rs_1", summary=True, origin="openai.responses")),
    PartEnded(index=1),
    PartBegun(index=2, part=Text(text="")),
    TextDelta(index=2, text="Hi"),
    CitationTold(index=2, raw=msgspec.Raw(b"{}"), origin="anthropic.messages"),
    PartEnded(index=2),
    Pinged(),
    PartBegun(index=3, part=ToolCall(id="toolu_1", name="f", arguments="")),
    ArgumentsDelta(index=3, text='{"a":'),
    ArgumentsDelta(index=3, text="1}"),
    SignatureTold(index=3, signature="c2ln"),
    PartEnded(index=3),
    PartBegun(index=4, part=Unknown(kind="web_search_tool_result", raw=msgspec.Raw(b"{}"), origin="x")),
    PartEnded(index=4),
    PartBegun(index=5, part=Media(kind="image", mime="image/png", data="AAAA")),
    PartEnded(index=5),
    PartBegun(index=0, choice=1, part=Refusal(text="")),
    TextDelta(index=0, choice=1, text="No."),
    PartEnded(index=0, choice=1),
    UsageTold(usage=Usage(input=9, cached=4, output=6, reasoning=2, input_audio=1, output_image=3)),
    Finished(reason="tool_calls", said="tool_use"),
    Finished(reason="refusal", choice=1, detail="I may not."),
    Ended(),
]


def written(*batches: list[AnyEvent], array: bool = False) -> bytes:
    writer = (GEMINI_ARRAY if array else GEMINI).stream_writer(ASKED, model="m")
    return b"".join(map(writer.feed, batches))


def test_answers_of_others_are_told_in_geminis_words() -> None:
    whole = json.loads(GEMINI.write_reply(EVENTS, model="m"))
    first, second = whole["candidates"]
    assert (whole["modelVersion"], whole["responseId"]) == ("claude", "r")
    assert first["finishReason"] == "STOP"
    assert second == {
        "content": {"parts": [{"text": "No."}], "role": "model"},
        "finishReason": "SAFETY",
        "finishMessage": "I may not.",
        "index": 1,
    }
    assert [set(part) for part in first["content"]["parts"]] == [
        {"text", "thought", "thoughtSignature"},
        {"text", "thoughtSignature"},
        {"text"},
        {"functionCall", "thoughtSignature"},
        {"inlineData"},
    ]
    assert whole["usageMetadata"] == {
        "promptTokenCount": 9,
        "candidatesTokenCount": 4,
        "totalTokenCount": 15,
        "thoughtsTokenCount": 2,
        "cachedContentTokenCount": 4,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 8},
            {"modality": "AUDIO", "tokenCount": 1},
        ],
        "candidatesTokensDetails": [
            {"modality": "TEXT", "tokenCount": 1},
            {"modality": "IMAGE", "tokenCount": 3},
        ],
    }


def test_a_client_that_returns_thoughts_returns_all_of_them() -> None:
    content = json.loads(GEMINI.write_reply(EVENTS, model="m"))["candidates"][0]["content"]
    asked = GEMINI.read_request(json.dumps({"contents": [content]}).encode(), model="m")
    assert asked.messages[0].parts[:2] == (
        Thought(text="hm", signature="anthropic-signature", origin="anthropic.messages"),
        Thought(sealed="s", id="rs_1", summary=True, origin="openai.responses"),
    )
    call = asked.messages[0].parts[3]
    assert isinstance(call, ToolCall)
    assert (call.id, call.signature, call.arguments) == ("toolu_1", "c2ln", '{"a":1}')


def test_each_event_is_told_as_it_comes() -> None:
    stream = written(*([event] for event in EVENTS))
    assert gist(streamed(stream)) == gist(streamed(written(EVENTS)))
    assert gist(streamed(stream)) == gist(GEMINI.read_reply(GEMINI.write_reply(EVENTS, model="m")))
    listed = written(*([event] for event in EVENTS), array=True)
    assert gist(streamed(listed)) == gist(streamed(stream))
    assert len(json.loads(listed)) == stream.count(b"data: ")
    texts = [
        each
        for each in json.loads(listed)
        if each["candidates"][0].get("content", {}).get("parts") == [{"text": "Hi"}]
    ]
    assert len(texts) == 1


def test_nothing_follows_an_error() -> None:
    begun: list[AnyEvent] = [PartBegun(index=0, part=Text(text="a"))]
    failed: list[AnyEvent] = [Failed(message="gone", kind="overloaded_error", code="c", status=529)]
    told = {
        "error": {
            "code": 529,
            "message": "gone",
            "status": "RESOURCE_EXHAUSTED",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "c",
                    "metadata": {"type": "overloaded_error"},
                }
            ],
        }
    }
    stream = written(begun, failed, begun)
    assert streamed(stream)[-1] == Failed(message="gone", kind="overloaded_error", code="c", status=529)
    assert json.loads(written(begun, failed, begun, array=True))[1] == told
    assert GEMINI.write_error_event(failed[0]) == b"data: " + msgspec.json.encode(told) + b"\r\n\r\n"  # type: ignore[arg-type]
    listed = written(begun, array=True) + GEMINI_ARRAY.write_error_event(failed[0])  # type: ignore[arg-type]
    assert json.loads(listed)[1] == told
    error = UpstreamError("Cut.", code="upstream_cut", param="x")
    assert json.loads(GEMINI.write_error(error, 502))["error"]["details"][0]["metadata"] == {
        "type": "upstream_error",
        "param": "x",
    }
    assert json.loads(GEMINI.write_error_event(error).partition(b" ")[2])["error"]["code"] == 502
    assert b'"error"' in GEMINI.write_reply(failed, model="m")


def test_an_answer_without_a_word_is_none() -> None:
    with pytest.raises(ValueError):
        GEMINI.write_reply([], model="m")
    assert written([Pinged()]) == b""


@pytest.mark.parametrize(
    ("body", "failed"),
    [
        (b"<html>", Failed(message="<html>", status=500)),
        (b"", Failed(message="status 500", status=500)),
        (b'[{"error": {"message": "m", "code": 400}}]', Failed(message="m", status=500)),
        (b'{"message": "m"}', Failed(message="m", status=500)),
        (b'{"error": "m"}', Failed(message="m", status=500)),
        (b"{}", Failed(message="The provider reported an error.", status=500)),
    ],
)
def test_errors_of_any_shape(body: bytes, failed: Failed) -> None:
    assert GEMINI.read_error(500, body) == failed


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('a"\\[]{},\n', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('a"\\[]{}', max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.lists(st.dictionaries(st.text('a"\\[]', max_size=3), JSON, max_size=3), max_size=4),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
)
def test_arrays_are_split_wherever_they_are_cut(values: list[object], sizes: list[int]) -> None:
    body = b"[" + b"\n,\r\n".join(json.dumps(each, indent=1).encode() for each in values) + b"\n]\n"
    splitter, out, found = ArraySplitter(), b"", list[object]()
    for piece in pieces(body, tuple(sizes)):
        whole = splitter.feed(piece)
        out += whole
        found += elements(whole)
    assert found == values
    assert out + splitter.partial == body
    assert splitter.ended


def test_an_element_that_is_too_long_is_let_go() -> None:
    splitter = ArraySplitter(max_event=10)
    assert splitter.feed(b'[{"a": "') == b""
    assert splitter.feed(b"0123456789\\") == b""
    assert (splitter.overflowed, splitter.ended) == (True, False)
    splitter.partial.clear()
    assert splitter.feed(b'"]}"}') == b'"]}"}'
    assert (splitter.overflowed, splitter.ended) == (False, False)
    assert splitter.feed(b',{"b":1}]') == b',{"b":1}]'
    assert splitter.ended


def test_usage_in_both_directions() -> None:
    assert GEMINI.read_usage(
        b'{"promptTokenCount": 5, "toolUsePromptTokenCount": 2, "candidatesTokenCount": 3}'
    ) == Usage(input=7, output=3)
    assert GEMINI.read_usage(
        b'{"candidatesTokenCount": 1, "thoughtsTokenCount": 2, "totalTokenCount": 10}'
    ) == Usage(input=7, output=3, reasoning=2)
    assert GEMINI.read_usage(
        b'{"candidatesTokenCount": 1, "promptTokensDetails": [{"modality": 4, "tokenCount": 8}, {"modality": "TEXT", "tokenCount": 1}]}'
    ) == Usage(input=9, input_audio=8, output=1)
    assert GEMINI.read_usage(b'{"promptTokenCount": 4, "totalTokenCount": 9}') == Usage(input=4, output=5)
    assert GEMINI.read_usage(b'{"trafficType": "ON_DEMAND"}') is None
    assert GEMINI.read_usage(b"[]") is None
    assert GEMINI.read_usage(b"oops") is None
    usage = Usage(input=9, cached=3, output=5, reasoning=2, input_image=4)
    assert GEMINI.read_usage(GEMINI.write_usage(usage)) == usage
