"""Answers and streams of this dialect, read and written: one mapping each way, however the bytes are cut."""

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.core.usage import Usage
from chatvault.wire.anthropic.carrier import unpack
from chatvault.wire.anthropic.dialect import MESSAGES
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
from chatvault.wire.hub.parts import AnyPart, Media, Refusal, Text, Thought, ToolCall, Unknown
from chatvault.wire.openai.chat.citations import citations_in
from tests.wire.anthropic.told import told

ME = "anthropic.messages"
USAGE = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 7,
    "cache_read_input_tokens": 5,
    "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4},
    "output_tokens": 20,
    "output_tokens_details": {"thinking_tokens": 6},
    "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
    "service_tier": "standard",
}
COUNTED = Usage(input=22, cached=5, cache_write=3, cache_write_1h=4, output=20, reasoning=6, searches=2)
CITED = {"type": "char_location", "cited_text": "w", "document_index": 0}
WHOLE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [
        {"type": "thinking", "thinking": "Hm. So.", "signature": "sig"},
        {"type": "redacted_thinking", "data": "sealed"},
        {"type": "text", "text": "Hello there", "citations": [CITED]},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        {"type": "compaction", "content": "summary", "encrypted_content": "e"},
        {
            "type": "tool_use",
            "id": "toolu_1",
            "name": "f",
            "input": {"a": [1, "ü"]},
            "caller": {"type": "direct"},
        },
        {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": USAGE,
}


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(
        b"event: %s\ndata: %s\n\n" % (str(each["type"]).encode(), json.dumps(each).encode())
        for each in events
    )


def start(index: int, block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


BEGIN = {
    "type": "message_start",
    "message": WHOLE | {"content": [], "stop_reason": None, "usage": USAGE | {"output_tokens": 1}},
}
FINISH = (
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"output_tokens": 20, "input_tokens": None},
    },
    {"type": "message_stop"},
)
STREAM = sse(
    BEGIN,
    start(0, {"type": "thinking", "thinking": "", "signature": ""}),
    {"type": "ping"},
    delta(0, "thinking_delta", thinking="Hm. "),
    delta(0, "thinking_delta", thinking="So."),
    delta(0, "signature_delta", signature="sig"),
    delta(0, "from_the_future", x=1),
    stop(0),
    start(1, {"type": "redacted_thinking", "data": "sealed"}),
    stop(1),
    {"type": "from_the_future", "usage": {"input_tokens": 99}},
    start(2, {"type": "text", "text": "Hel", "citations": []}),
    delta(2, "text_delta", text="lo"),
    delta(2, "citations_delta", citation=CITED),
    delta(2, "text_delta", text=" there"),
    stop(2),
    start(3, {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}),
    delta(3, "input_json_delta", partial_json='{"query":'),
    delta(3, "input_json_delta", partial_json=' "q"}'),
    stop(3),
    start(4, {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}),
    stop(4),
    start(5, {"type": "compaction", "content": None}),
    delta(5, "compaction_delta", content="summary", encrypted_content="e"),
    stop(5),
    start(6, {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}, "caller": {"type": "direct"}}),
    delta(6, "input_json_delta", partial_json=""),
    delta(6, "input_json_delta", partial_json='{"a": [1, "'),
    delta(6, "input_json_delta", partial_json='ü"]}'),
    stop(6),
    start(7, {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}}),
    *FINISH,
    {"type": "ping"},
)  # fmt: skip


def streamed(*packets: bytes) -> list[AnyEvent]:
    reader = MESSAGES.stream_reader()
    return [event for packet in packets for event in reader.feed(packet)] + reader.end()


def rewritten(events: Iterable[AnyEvent]) -> tuple[dict[str, Any], bytes]:
    events = list(events)
    asked = MESSAGES.read_request(b'{"model":"m","messages":[]}')
    writer = MESSAGES.stream_writer(asked, model="asked")
    stream = b"".join(writer.feed([event]) for event in events)
    return json.loads(MESSAGES.write_reply(events, model="asked")), stream


def names(stream: bytes) -> list[str]:
    return [line[7:].decode() for line in stream.split(b"\n") if line.startswith(b"event: ")]


def test_whole_and_streamed_say_the_same() -> None:
    whole, cut = told(MESSAGES.read_reply(json.dumps(WHOLE).encode())), told(streamed(STREAM))
    assert cut == whole
    assert (whole.id, whole.model, whole.usage, whole.ended) == ("msg_1", "claude", COUNTED, True)
    assert whole.finish == Finished(reason="tool_calls", said="tool_use")
    assert [part["part"] for part in whole.parts] == [
        "thought",
        "thought",
        "text",
        *["unknown"] * 3,
        *["tool_call"] * 2,
    ]
    assert whole.parts[7]["arguments"] == {}


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_a_stream_may_be_cut_anywhere(cuts: list[int]) -> None:
    at = [0, *sorted(cuts), len(STREAM)]
    packets = [STREAM[one:two] for one, two in pairwise(at)]
    assert told(streamed(*packets)) == told(streamed(STREAM))


def test_byte_by_byte_and_with_other_line_ends() -> None:
    assert told(streamed(*(STREAM[at : at + 1] for at in range(len(STREAM))))) == told(streamed(STREAM))
    assert told(streamed(STREAM.replace(b"\n", b"\r\n"))) == told(streamed(STREAM))


def test_text_comes_as_soon_as_its_bytes_do() -> None:
    reader = MESSAGES.stream_reader()
    reader.feed(sse(BEGIN, start(0, {"type": "text", "text": ""})))
    assert reader.feed(sse(delta(0, "text_delta", text="x"))) == [TextDelta(index=0, text="x")]
    assert reader.feed(sse({"type": "ping"})) == [Pinged()]


def test_a_cut_stream_has_no_end() -> None:
    cut = told(streamed(STREAM[: STREAM.index(b'{"type": "message_stop"')]))
    assert (cut.ended, cut.usage) == (False, COUNTED)
    assert not told(streamed(STREAM[: STREAM.index(b"event: message_delta")])).ended
    assert told(streamed(STREAM[: STREAM.index(b"message_stop") + 50].rstrip())).ended
    assert streamed() == []


def test_odd_streams_are_read_as_far_as_they_can_be() -> None:
    found = told(
        streamed(
            b": a comment\n\n",
            sse(
                stop(0),
                BEGIN,
                BEGIN,
                delta(0, "text_delta", text="no start"),
                delta(1, "input_json_delta", partial_json="{"),
                delta(2, "signature_delta", signature="s"),
                delta(3, "thinking_delta", thinking="t"),
                start(4, {"type": "tool_use", "name": "f", "input": {"a": 1}}),
                start(4, {"type": "text"}),
                {"type": "content_block_delta", "index": [4], "delta": 5},
                {"type": "content_block_delta", "index": 4, "delta": {"type": "text_delta", "text": 5}},
                delta(4, "signature_delta", signature=5),
                start(5, {"type": "server_tool_use", "input": {}}),
                delta(5, "input_json_delta", partial_json="{"),
                delta(5, "citations_delta", citation=1),
                {"type": "message_delta", "delta": {"stop_reason": "unheard_of"}, "usage": "many"},
                {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
            ),
            b"data: [DONE]\n\n",
            sse({"type": "message_stop"}),
        )
    )
    assert [part["part"] for part in found.parts] == ["text", "thought", "tool_call", "text", "unknown"]
    assert found.parts[2] | {"part": "tool_call"} == {
        "part": "tool_call",
        "id": "toolu_2",
        "name": "f",
        "arguments": {"a": 1},
    }
    assert found.parts[4]["raw"] == {
        "type": "server_tool_use",
        "input": {"INVALID_JSON": "{"},
        "citations": [1],
    }
    assert found.finish == Finished(reason="stop", said="unheard_of")
    assert found.ended


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b"{}", b'{"content":1}', b"<html>", b"[" * 100_000])
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        MESSAGES.read_reply(body)


@pytest.mark.parametrize(
    "data", [b"data: <html>\n\n", b"event: x\ndata: [1]\n\n", b"data: " + b"x" * (9 << 20)]
)
def test_what_is_no_event(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        MESSAGES.stream_reader().feed(data)


def test_events_without_data_say_nothing() -> None:
    assert streamed(b"event: ping\ndata: \n\n", b"event: ping\ndata:\n\n", b": x\n\n") == []


def test_odd_answers_are_read_as_far_as_they_can_be() -> None:
    found = told(MESSAGES.read_reply(b'{"content":"text","usage":7,"id":5,"stop_reason":["x"]}'))
    assert (found.parts[0]["text"], found.usage, found.id, found.finish) == ("text", None, None, None)
    found = told(MESSAGES.read_reply(b'{"content":[5,{"type":"text","text":null},{"type":7}]}'))
    assert [part["part"] for part in found.parts] == ["unknown", "text", "unknown"]
    assert MESSAGES.read_reply(rb'{"content":"\ud83d"}')[2] == TextDelta(index=0, text="\ufffd")


def test_an_error_instead_of_an_answer() -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}'
    failed = Failed(message="busy", kind="overloaded_error", status=529)
    assert MESSAGES.read_reply(body) == [failed]
    assert streamed(b"event: error\ndata: " + body + b"\n\n" + STREAM) == [failed]
    assert streamed(b'data: {"error":{"message":"odd"}}\n\n') == [Failed(message="odd")]
    whole, stream = rewritten([Begun(), PartBegun(index=0, part=Text(text="")), failed, Ended()])
    assert (whole["type"], whole["error"]) == ("error", {"type": "overloaded_error", "message": "busy"})
    assert names(stream) == ["message_start", "content_block_start", "error"]


def test_an_answer_that_ended_with_an_error_is_one() -> None:
    events: list[AnyEvent] = [Begun(), Finished(reason="error", said="error"), Ended()]
    whole, stream = rewritten(events)
    assert whole["type"] == "error"
    assert names(stream) == ["error"]


def test_answers_written_again_say_the_same() -> None:
    events = streamed(STREAM)
    whole, stream = rewritten(events)
    assert whole == WHOLE
    assert told(streamed(stream)) == told(events)
    assert names(stream)[-2:] == ["message_delta", "message_stop"]
    assert names(stream).count("ping") == 1


def parts(*given: AnyPart, reason: Any = "stop", said: str | None = None) -> list[AnyEvent]:
    events: list[AnyEvent] = [Begun(id="x", model="gpt", service_tier="default")]
    for index, part in enumerate(given):
        events += [PartBegun(index=index, part=part), PartEnded(index=index)]
    return [*events, UsageTold(usage=COUNTED), Finished(reason=reason, said=said), Ended()]


def test_parts_of_other_dialects() -> None:
    whole, stream = rewritten(
        parts(
            Text(text="whole"),
            Refusal(text="no"),
            Media(kind="image", mime="image/png", data="iVBOR"),
            Media(kind="image", url="https://x"),
            Media(kind="audio", file="file_1"),
            Unknown(kind="x", raw=msgspec.Raw(b"{}"), origin="openai.responses"),
            Thought(text="t"),
            Thought(text="t", signature="s", origin=ME),
            ToolCall(id="c", name="f", arguments='{"a":1}'),
        )
    )
    assert whole["content"] == [
        {"type": "text", "text": "whole"},
        {"type": "text", "text": "no"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBOR"}},
        {"type": "image", "source": {"type": "url", "url": "https://x"}},
        {"type": "thinking", "thinking": "t", "signature": ""},
        {"type": "thinking", "thinking": "t", "signature": "s"},
        {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}},
    ]
    assert (whole["stop_reason"], whole["usage"]["service_tier"]) == ("tool_use", "standard")
    assert (whole["id"], whole["model"]) == ("x", "gpt")
    indexes = [
        json.loads(line[6:])["index"]
        for line in stream.split(b"\n")
        if b"content_block_start" in line[:40] and line[:1] == b"d"
    ]
    assert indexes == list(range(7))


def test_proofs_of_others_travel_with_the_client() -> None:
    events: list[AnyEvent] = [
        Begun(),
        PartBegun(index=0, part=Thought(id="rs_1", summary=True, origin="openai.responses")),
        TextDelta(index=0, text="sum"),
        SignatureTold(index=0, sealed="z"),
        PartEnded(index=0),
        PartBegun(
            index=1, part=ToolCall(id="c1", name="f", arguments="", signature="g1", origin="gemini.generate")
        ),
        ArgumentsDelta(index=1, text="{}"),
        PartEnded(index=1),
        PartBegun(index=2, part=ToolCall(id="c2", name="f", arguments="", origin="gemini.generate")),
        SignatureTold(index=2, signature="g2"),
        PartEnded(index=2),
        Finished(reason="tool_calls"),
        Ended(),
    ]
    whole, stream = rewritten(events)
    kinds = [block["type"] for block in whole["content"]]
    assert kinds == ["thinking", "redacted_thinking", "tool_use", "tool_use", "redacted_thinking"]
    proof = unpack(whole["content"][0]["signature"])
    assert proof is not None
    assert (proof.origin, proof.id, proof.sealed) == ("openai.responses", "rs_1", "z")
    again = {"model": "m", "messages": [{"role": "assistant", "content": whole["content"]}]}
    thought, one, two = MESSAGES.read_request(json.dumps(again).encode()).messages[0].parts
    assert thought == Thought(text="sum", id="rs_1", summary=True, sealed="z", origin="openai.responses")
    assert (one.path, two.path) == ("messages[0].content[2]", "messages[0].content[3]")
    assert isinstance(one, ToolCall)
    assert isinstance(two, ToolCall)
    assert (one.signature, two.signature, two.origin) == ("g1", "g2", "gemini.generate")
    assert told(streamed(stream)).ended


def test_parts_that_overlap_wait_for_each_other() -> None:
    def call(index: int) -> PartBegun:
        return PartBegun(index=index, part=ToolCall(id=f"c{index}", name="f", arguments=""))

    events: list[AnyEvent] = [
        Begun(),
        call(0),
        call(1),
        call(2),
        ArgumentsDelta(index=1, text='{"b":'),
        ArgumentsDelta(index=0, text="{}"),
        PartEnded(index=2),
        PartEnded(index=0),
        ArgumentsDelta(index=1, text="1}"),
        ArgumentsDelta(index=9, text="nobody's"),
        Finished(reason="stop"),
        Ended(),
    ]
    whole, stream = rewritten(events)
    assert [(block["id"], block["input"]) for block in whole["content"]] == [
        ("c0", {}),
        ("c1", {"b": 1}),
        ("c2", {}),
    ]
    assert whole["stop_reason"] == "tool_use"
    assert names(stream)[1:-2] == [
        *("content_block_start", "content_block_delta", "content_block_stop"),
        *("content_block_start", "content_block_delta", "content_block_delta", "content_block_stop"),
        *("content_block_start", "content_block_stop"),
    ]


def test_free_text_for_a_custom_tool_becomes_an_object() -> None:
    events: list[AnyEvent] = [
        Begun(),
        PartBegun(index=0, part=ToolCall(id="c", name="sql", arguments="", custom=True)),
        ArgumentsDelta(index=0, text='SELECT "a"'),
        ArgumentsDelta(index=0, text="\n;"),
        PartEnded(index=0),
        Finished(reason="tool_calls"),
        Ended(),
    ]
    whole, stream = rewritten(events)
    assert whole["content"][0]["input"] == {"input": 'SELECT "a"\n;'}
    assert told(streamed(stream)).parts[0]["arguments"] == {"input": 'SELECT "a"\n;'}


def test_other_alternatives_are_left_out_and_names_are_made() -> None:
    events: list[AnyEvent] = [
        UsageTold(usage=COUNTED),
        PartBegun(index=0, part=Text(text="")),
        PartBegun(index=0, part=Text(text=""), choice=1),
        TextDelta(index=0, text="one"),
        TextDelta(index=0, text="two", choice=1),
        Finished(reason="length"),
        Finished(reason="stop", choice=1),
        Ended(),
        Ended(),
    ]
    whole, stream = rewritten(events)
    assert whole["content"] == [{"type": "text", "text": "one"}]
    assert (whole["model"], whole["stop_reason"], whole["id"][:4]) == ("asked", "max_tokens", "msg_")
    assert names(stream).count("message_stop") == 1
    begun = json.loads(stream.split(b"\n")[1][6:])["message"]["usage"]
    assert (begun["input_tokens"], begun["cache_read_input_tokens"]) == (10, 5)


@pytest.mark.parametrize(
    ("raw", "origin", "expected"),
    [
        (CITED, ME, CITED),
        ({"type": "url_citation", "url_citation": {"url": "u", "title": "t"}}, "openai.chat", ("u", "t")),
        ({"type": "url_citation", "url": "u"}, "openai.responses", ("u", None)),
        ({"type": "file_citation", "file_id": "f"}, "openai.responses", None),
    ],
)
def test_citations(raw: Any, origin: str, expected: Any) -> None:
    events: list[AnyEvent] = [
        Begun(),
        PartBegun(index=0, part=Text(text="")),
        CitationTold(
            index=0, raw=msgspec.Raw(msgspec.json.encode(raw)), origin=origin, cited=citations_in(raw)
        ),
        PartEnded(index=0),
        Ended(),
    ]
    citations = rewritten(events)[0]["content"][0].get("citations")
    if isinstance(expected, tuple):
        assert [(each["url"], each["title"]) for each in citations] == [expected]
    else:
        assert citations == ([expected] if expected else None)


@pytest.mark.parametrize(
    ("said", "reason", "written"),
    [
        ("end_turn", "stop", "end_turn"),
        ("max_tokens", "length", "max_tokens"),
        ("stop_sequence", "stop_sequence", "stop_sequence"),
        ("tool_use", "tool_calls", "tool_use"),
        ("pause_turn", "pause", "pause_turn"),
        ("compaction", "pause", "compaction"),
        ("refusal", "refusal", "refusal"),
        ("model_context_window_exceeded", "context_full", "model_context_window_exceeded"),
        ("unheard_of", "stop", "end_turn"),
    ],
)
def test_reasons(said: str, reason: str, written: str) -> None:
    body = json.dumps(WHOLE | {"content": [], "stop_reason": said, "stop_sequence": "END"}).encode()
    finish = told(MESSAGES.read_reply(body)).finish
    assert finish is not None
    assert (finish.reason, finish.said, finish.sequence) == (reason, said, "END")
    again = rewritten(MESSAGES.read_reply(body))[0]
    assert (again["stop_reason"], again["stop_sequence"]) == (written, "END")


def test_reasons_of_others() -> None:
    assert rewritten(parts(reason="content_filter", said="content_filter"))[0]["stop_reason"] == "refusal"
    assert rewritten(parts(Refusal(text="no"), said="stop"))[0]["stop_reason"] == "refusal"
    assert rewritten(parts(reason="length", said="length"))[0]["stop_reason"] == "max_tokens"
    assert (
        rewritten(parts(ToolCall(id="c", name="f", arguments=""), said="end_turn"))[0]["stop_reason"]
        == "end_turn"
    )


def test_why_an_answer_was_refused_is_told() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "because"}
    body = json.dumps(WHOLE | {"content": [], "stop_reason": "refusal", "stop_details": details}).encode()
    again = rewritten(MESSAGES.read_reply(body))[0]
    assert again["stop_details"]["explanation"] == "because"


def answer(name: str, *pieces: str) -> list[AnyEvent]:
    return streamed(
        sse(
            BEGIN,
            start(0, {"type": "tool_use", "id": "t", "name": name, "input": {}}),
            *(delta(0, "input_json_delta", partial_json=piece) for piece in pieces),
            stop(0),
            *FINISH,
        )
    )


def test_a_structured_answer_is_text_again() -> None:
    events = answer("chatvault_answer", '{"a":', " 1}")
    assert TextDelta(index=0, text='{"a":') in events
    found = told(events)
    assert found.parts == [{"part": "text", "text": '{"a": 1}'}]
    assert found.finish == Finished(reason="stop")
    content = [{"type": "tool_use", "id": "t", "name": "chatvault_answer", "input": {"a": 1}}]
    whole = told(MESSAGES.read_reply(json.dumps(WHOLE | {"content": content}).encode()))
    assert whole.parts == [{"part": "text", "text": '{"a":1}'}]
    assert whole.finish == Finished(reason="stop")


@pytest.mark.parametrize("value", ['[1, {"a": "}"}]', '"}"', "7", '{"answer": {}}', "[]"])
@pytest.mark.parametrize("size", [1, 3, 99])
def test_a_wrapped_answer_loses_its_wrapping(value: str, size: int) -> None:
    text = f'{{ "answer" : {value} }}'
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    found = told(answer("chatvault_wrapped_answer", *pieces))
    assert json.loads(found.parts[0]["text"]) == json.loads(value)
    broken = told(answer("chatvault_wrapped_answer", '{"other'))
    assert broken.parts[0]["text"] == '{"other'


def test_a_structured_answer_beside_a_call() -> None:
    content = [
        {"type": "tool_use", "id": "t", "name": "chatvault_wrapped_answer", "input": {"answer": [1]}},
        {"type": "tool_use", "id": "u", "name": "f", "input": {}},
    ]
    found = told(MESSAGES.read_reply(json.dumps(WHOLE | {"content": content}).encode()))
    assert (found.parts[0]["text"], found.finish) == ("[1]", Finished(reason="tool_calls", said="tool_use"))


def test_the_stream_type() -> None:
    assert MESSAGES.stream_type.startswith(b"text/event-stream")
    assert MESSAGES.name == ME
