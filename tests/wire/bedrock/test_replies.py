"""Answers, whole and streamed, through one mapping."""

import base64
import json
from typing import Any

import pytest

from chatvault.core.usage import Usage
from chatvault.fake.frames import event, exception, frame
from chatvault.wire.bedrock.dialect import CONVERSE
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
    SignatureTold,
    TextDelta,
    UsageTold,
)
from chatvault.wire.hub.parts import Media, Text, Thought, ToolCall, Unknown
from tests.wire.openai.recordings import gist

USAGE = {"inputTokens": 5, "outputTokens": 7, "totalTokens": 12}
CITATION = {"title": "t", "source": "s"}
PNG = base64.b64encode(b"\x89PNG").decode()


def whole(*content: Any, stop: str = "end_turn", **fields: Any) -> list[AnyEvent]:
    said = {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop,
        "usage": USAGE,
    }
    return CONVERSE.read_reply(json.dumps(said | fields).encode())


def packets(*events: tuple[str, Any]) -> bytes:
    return b"".join(event(name, json.dumps(payload).encode()) for name, payload in events)


def streamed(*events: tuple[str, Any]) -> list[AnyEvent]:
    """Byte by byte."""
    data, reader = packets(*events), CONVERSE.stream_reader()
    found = [each for at in range(len(data)) for each in reader.feed(data[at : at + 1])]
    return found + reader.end()


def start(at: int, what: Any) -> tuple[str, Any]:
    return "contentBlockStart", {"contentBlockIndex": at, "start": what}


def delta(at: int, what: Any) -> tuple[str, Any]:
    return "contentBlockDelta", {"contentBlockIndex": at, "delta": what}


def stop(at: int) -> tuple[str, Any]:
    return "contentBlockStop", {"contentBlockIndex": at}


BEGIN = ("messageStart", {"role": "assistant"})
END = ("messageStop", {"stopReason": "tool_use"})
COUNTED = ("metadata", {"usage": USAGE, "metrics": {"latencyMs": 1}})


def test_whole_and_streamed_say_the_same() -> None:
    one = whole(
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
        {"reasoningContent": {"redactedContent": "c2VhbGVk"}},
        {"text": "hello"},
        {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": 1}}},
        {"citationsContent": {"content": [{"text": "cited"}], "citations": [CITATION]}},
        {"image": {"format": "jpeg", "source": {"bytes": PNG}}},
        stop="tool_use",
    )
    two = streamed(
        BEGIN,
        delta(0, {"reasoningContent": {"text": "hm"}}),
        delta(0, {"reasoningContent": {"signature": "sig"}}),
        stop(0),
        delta(1, {"reasoningContent": {"redactedContent": "c2VhbGVk"}}),
        stop(1),
        start(2, {}),
        delta(2, {"text": ""}),
        delta(2, {"text": "hello"}),
        stop(2),
        start(3, {"toolUse": {"toolUseId": "t1", "name": "f"}}),
        delta(3, {"toolUse": {"input": '{"a":1}'}}),
        stop(3),
        delta(4, {"text": "cited"}),
        delta(4, {"citation": CITATION}),
        stop(4),
        start(5, {"image": {"format": "jpeg"}}),
        delta(5, {"image": {"source": {"bytes": PNG}}}),
        stop(5),
        END,
        COUNTED,
    )
    assert one == two
    assert gist(one).whole
    assert one == [
        Begun(),
        PartBegun(index=0, part=Thought(origin="bedrock.converse")),
        TextDelta(index=0, text="hm"),
        SignatureTold(index=0, signature="sig"),
        PartEnded(index=0),
        PartBegun(index=1, part=Thought(sealed="c2VhbGVk", origin="bedrock.converse")),
        PartEnded(index=1),
        PartBegun(index=2, part=Text(text="")),
        TextDelta(index=2, text="hello"),
        PartEnded(index=2),
        PartBegun(index=3, part=ToolCall(id="t1", name="f", arguments="")),
        ArgumentsDelta(index=3, text='{"a":1}'),
        PartEnded(index=3),
        PartBegun(index=4, part=Text(text="")),
        TextDelta(index=4, text="cited"),
        one[15],
        PartEnded(index=4),
        PartBegun(index=5, part=Media(kind="image", mime="image/jpeg", data=PNG)),
        PartEnded(index=5),
        UsageTold(usage=Usage(input=5, output=7)),
        Finished(reason="tool_calls", said="tool_use"),
        Ended(),
    ]
    assert isinstance(one[15], CitationTold)
    assert json.loads(bytes(one[15].raw)) == CITATION


def test_what_bedrocks_own_tools_did_is_told_whole() -> None:
    call = {"toolUse": {"toolUseId": "s1", "name": "nova_grounding", "type": "server_tool_use", "input": "q"}}
    found = {"toolResult": {"toolUseId": "s1", "content": [{"text": "x"}]}}
    one = whole(call, found)
    two = streamed(
        BEGIN,
        start(0, {"toolUse": {"toolUseId": "s1", "name": "nova_grounding", "type": "server_tool_use"}}),
        delta(0, {"toolUse": {"input": "q"}}),
        stop(0),
        start(1, {"toolResult": {"toolUseId": "s1"}}),
        delta(1, {"toolResult": [{"text": "x"}]}),
        stop(1),
        ("messageStop", {"stopReason": "end_turn"}),
        COUNTED,
    )
    for events in (one, two):
        parts = [each.part for each in events if isinstance(each, PartBegun)]
        assert [(part.kind, json.loads(bytes(part.raw))) for part in parts if isinstance(part, Unknown)] == [
            ("toolUse", call),
            ("toolResult", found),
        ]


def test_a_call_without_input_has_an_empty_one() -> None:
    events = streamed(BEGIN, start(0, {"toolUse": {"toolUseId": "t", "name": "f"}}), stop(0), END, COUNTED)
    assert ArgumentsDelta(index=0, text="{}") in events
    assert ArgumentsDelta(index=0, text="{}") in whole({"toolUse": {"toolUseId": "t", "name": "f"}})


def test_an_answer_that_was_a_tools_input_is_text() -> None:
    name = {"toolUseId": "t", "name": "chatvault_wrapped_answer"}
    one = whole({"toolUse": {**name, "input": {"answer": [1]}}}, stop="tool_use")
    two = streamed(BEGIN, start(0, {"toolUse": name}), delta(0, {"toolUse": {"input": '{"answer":['}}),
                   delta(0, {"toolUse": {"input": "1]}"}}), stop(0), END, COUNTED)  # fmt: skip
    for events in (one, two):
        assert "".join(each.text for each in events if isinstance(each, TextDelta)) == "[1]"
        assert Finished(reason="stop", said="end_turn") in events


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("stop_sequence", "stop_sequence"),
        ("tool_use", "tool_calls"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("malformed_tool_use", "error"),
        ("model_context_window_exceeded", "context_full"),
        ("unheard_of", "stop"),
    ],
)
def test_why_it_ended(said: str, reason: str) -> None:
    (finished,) = [each for each in whole({"text": "a"}, stop=said) if isinstance(each, Finished)]
    assert (finished.reason, finished.said) == (reason, said)


def test_a_guardrail_says_why() -> None:
    trace = {"guardrail": {"actionReason": "blocked"}}
    for events in (
        whole({"text": "no"}, stop="guardrail_intervened", trace=trace),
        streamed(
            BEGIN, ("messageStop", {"stopReason": "guardrail_intervened"}), ("metadata", {"trace": trace})
        ),
    ):
        assert Finished(reason="content_filter", said="guardrail_intervened", detail="blocked") in events


def test_the_sequence_that_ended_it_and_the_tier_are_told() -> None:
    events = whole(
        {"text": "a"},
        stop="stop_sequence",
        additionalModelResponseFields={"stop_sequence": "END"},
        serviceTier={"type": "flex"},
    )
    assert events[0] == Begun(service_tier="flex")
    assert Finished(reason="stop_sequence", said="stop_sequence", sequence="END") in events


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        (USAGE, Usage(input=5, output=7)),
        (
            {"inputTokens": 11, "outputTokens": 2, "cacheReadInputTokens": 100, "cacheWriteInputTokens": 1028,
             "cacheDetails": [{"ttl": "1h", "inputTokens": 28}, {"ttl": "5m", "inputTokens": 1000}]},
            Usage(input=1139, cached=100, cache_write=1000, cache_write_1h=28, output=2),
        ),
        ({"inputTokens": -3, "outputTokens": 1 << 60}, Usage(input=0, output=1 << 48)),
    ],
)  # fmt: skip
def test_usage_counts_all_input_once(said: dict[str, Any], usage: Usage) -> None:
    assert UsageTold(usage=usage) in whole({"text": "a"}, usage=said)


def test_no_usage_is_not_zero() -> None:
    assert not any(isinstance(each, UsageTold) for each in whole({"text": "a"}, usage={}))


@pytest.mark.parametrize(
    "body",
    [b"[]", b"{}", b"no", b'{"output":{}}', b'{"message":"x"}', b'{"output":{"message":{"content":"a"}}}'],
)
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        CONVERSE.read_reply(body)


def test_a_stream_is_whole_with_its_reason_and_its_usage() -> None:
    said = (BEGIN, delta(0, {"text": "a"}), stop(0))
    assert streamed(*said, END, COUNTED)[-1] == Ended()
    assert streamed(*said, COUNTED, END)[-1] == Ended()  # whichever comes last
    assert streamed(*said, END)[-1] == Ended()  # without usage
    assert Ended() not in streamed(*said, COUNTED)
    assert streamed(*said, COUNTED)[-1] == UsageTold(
        usage=Usage(input=5, output=7)
    )  # what was counted is known
    assert Ended() not in streamed(*said)


def test_a_stream_that_breaks_within_a_message_was_cut() -> None:
    data = packets(BEGIN, delta(0, {"text": "a"}), stop(0), END, COUNTED)
    for at in range(len(data)):
        reader = CONVERSE.stream_reader()
        events = reader.feed(data[:at]) + reader.end()
        boundary = at == len(data) - len(packets(COUNTED))
        assert (Ended() in events) is boundary, at


def test_nothing_follows_the_end() -> None:
    reader = CONVERSE.stream_reader()
    data = packets(BEGIN, END, COUNTED)
    assert reader.feed(data)[-1] == Ended()
    assert reader.feed(packets(delta(0, {"text": "more"}))) == reader.end() == []


def test_an_exception_ends_the_stream() -> None:
    data = packets(BEGIN, delta(0, {"text": "a"})) + exception("throttlingException", b'{"message":"slow"}')
    reader = CONVERSE.stream_reader()
    assert reader.feed(data + packets(END, COUNTED))[-1] == Failed(
        message="slow", kind="ThrottlingException", status=429
    )
    assert reader.end() == []


def test_an_unmodelled_error_ends_it_too() -> None:
    reader = CONVERSE.stream_reader()
    data = frame({":message-type": "error", ":error-code": "ServiceUnavailableException"}, b"")
    assert reader.feed(data) == [
        Failed(message="ServiceUnavailableException", kind="ServiceUnavailableException", status=503)
    ]


def test_what_is_no_event_stream_is_refused() -> None:
    for data in (b"data: {}\n\n" * 3, packets(BEGIN)[:-1] + b"\0", event("messageStart", b"[]")):
        with pytest.raises(ValueError, match=r".+"):
            CONVERSE.stream_reader().feed(data)


def test_blocks_that_nobody_closed_are_closed_at_the_end() -> None:
    events = streamed(BEGIN, delta(0, {"text": "a"}), delta(1, {"text": "b"}), END, COUNTED)
    assert [each.index for each in events if isinstance(each, PartEnded)] == [0, 1]


@pytest.mark.parametrize(
    ("status", "body", "failed"),
    [
        (400, b'{"message":"no"}', Failed(message="no", kind="ValidationException", status=400)),
        (403, b'{"Message":"no"}', Failed(message="no", kind="AccessDeniedException", status=403)),
        (
            400,
            b'{"__type":"com.amazon.coral.service#ThrottlingException:http://x","message":"m"}',
            Failed(message="m", kind="ThrottlingException", status=400),
        ),
        (404, b"{}", Failed(message="status 404", kind="ResourceNotFoundException", status=404)),
        (502, b"<html>", Failed(message="<html>", kind="InternalServerException", status=502)),
        (418, b"", Failed(message="status 418", kind="ValidationException", status=418)),
    ],
)
def test_error_answers(status: int, body: bytes, failed: Failed) -> None:
    assert CONVERSE.read_error(status, body) == failed
