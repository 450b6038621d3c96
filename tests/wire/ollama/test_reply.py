"""Answers, whole and streamed: what is read of them, what is written, and the tap beside them."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.core.errors import UpstreamError
from chatvault.core.usage import Usage
from chatvault.wire.hub.events import (
    AnyEvent,
    ArgumentsDelta,
    Begun,
    Ended,
    Failed,
    Finished,
    PartBegun,
    PartEnded,
    Pinged,
    TextDelta,
    UsageTold,
)
from chatvault.wire.hub.parts import Media, Refusal, Text, Thought, ToolCall, Unknown
from chatvault.wire.ollama.dialect import OLLAMA, OLLAMA_GENERATE
from chatvault.wire.ollama.facts import read_facts
from chatvault.wire.ollama.lines import LineSplitter, lines
from chatvault.wire.ollama.tap import StreamTap
from tests.wire.openai.recordings import gist, pieces

AT = "2026-05-04T22:49:02.551515123Z"
LAST = {"done": True, "done_reason": "stop", "prompt_eval_count": 5, "eval_count": 3, "total_duration": 9}
ASKED = OLLAMA.read_request(b'{"model": "m", "messages": []}')


def line(message: object = None, **fields: object) -> dict[str, object]:
    said = {"message": message} if message is not None else {}
    return {"model": "llama", "created_at": AT, **said, "done": False, **fields}


def ndjson(*values: object) -> bytes:
    return b"".join(json.dumps(each, separators=(",", ":")).encode() + b"\n" for each in values)


def streamed(body: bytes, *sizes: int) -> list[AnyEvent]:
    reader = OLLAMA.stream_reader()
    found = [event for piece in pieces(body, sizes or (len(body),)) for event in reader.feed(piece)]
    return found + reader.end()


def test_whole_and_streamed_come_to_the_same() -> None:
    call = {"function": {"name": "f", "arguments": {"a": 1}}}
    body = ndjson(
        line({"role": "assistant", "content": "", "thinking": "h"}),
        line({"content": "", "thinking": "m"}),
        line({"content": "Hel"}, logprobs=[{"token": "Hel", "logprob": -1, "bytes": [1]}]),
        line({"content": "lo"}),
        line({"content": "", "images": ["iVBORw0KGgo=", 1], "tool_calls": [call, {"id": "own", **call}]}),
        line({"content": ""}, **LAST),
    )
    found = streamed(body)
    assert streamed(body, 1, 9) == found
    assert streamed(body.rstrip(b"\n")) == found
    assert isinstance(found[0], Begun)
    assert found[0].created == 1777934942
    said = gist(found)
    assert (said.choices[0].text, said.choices[0].thoughts) == ("Hello", "hm")
    assert [call[0] for call in said.choices[0].calls][1] == "own"
    assert len(said.choices[0].others) == 1
    assert said.choices[0].finish == "tool_calls"
    assert said.usage == Usage(input=5, output=3)
    whole = OLLAMA.read_reply(
        json.dumps(
            line(
                {
                    "content": "Hello",
                    "thinking": "hm",
                    "images": ["iVBORw0KGgo="],
                    "tool_calls": [call, {"id": "own", **call}],
                },
                **LAST,
            )
        ).encode()
    )
    assert gist(whole) == said


def test_generate_says_it_at_the_top() -> None:
    body = ndjson(line(response="Hi", thinking="t"), line(response="", context=[1], **LAST))
    said = gist(streamed(body))
    assert (said.choices[0].text, said.choices[0].thoughts, said.whole) == ("Hi", "t", True)


def test_a_cut_stream_never_ends() -> None:
    body = ndjson(line({"content": "x"}), line({"content": ""}, **LAST))
    assert gist(streamed(body)).whole
    assert not gist(streamed(body[:-10])).whole
    assert not gist(streamed(ndjson(line({"content": "x"})))).whole


def test_errors_inside_a_stream() -> None:
    found = streamed(ndjson(line({"content": "x"}), {"error": "out of memory"}))
    assert found[-1] == Failed(message="out of memory")
    assert not gist(found).whole


@pytest.mark.parametrize("body", [b"{}\n", b"oops\n", b"[]\n", b'{"choices": []}\n'])
def test_what_is_no_stream_of_ollama(body: bytes) -> None:
    with pytest.raises(ValueError):
        streamed(body)
    with pytest.raises(ValueError):
        OLLAMA.read_reply(body)


def test_odd_types_are_passed_over() -> None:
    found = OLLAMA.read_reply(
        b'{"model": 1, "created_at": "soon", "message": {"content": 1, "images": "x", "tool_calls": [1, {}]}, "done": true}'
    )
    said = gist(found)
    assert said.usage is None
    assert [call[1:] for call in said.choices[0].calls] == [("", "{}")]
    assert said.whole


@pytest.mark.parametrize(
    ("said", "reason", "again"),
    [
        ("length", "length", "length"),
        ("load", "stop", "load"),
        ("melted", "error", "error"),
        (None, "stop", "stop"),
    ],
)
def test_why_it_ended(said: str | None, reason: str, again: str) -> None:
    found = OLLAMA.read_reply(json.dumps(line({"content": "x"}, done=True, done_reason=said)).encode())
    (finished,) = (event for event in found if isinstance(event, Finished))
    assert finished.reason == reason
    assert json.loads(OLLAMA.write_reply(found, model="m"))["done_reason"] == again


EVENTS: list[AnyEvent] = [
    Begun(id="r", model="claude", created=5),
    PartBegun(index=0, part=Thought(text="", signature="s")),
    TextDelta(index=0, text="hm"),
    PartEnded(index=0),
    PartBegun(index=1, part=Text(text="")),
    TextDelta(index=1, text="Hi", logprobs=msgspec.Raw(b'{"content":[{"token":"Hi","logprob":-1.5}]}')),
    PartEnded(index=1),
    Pinged(),
    PartBegun(index=2, part=ToolCall(id="toolu_1", name="f", arguments="")),
    ArgumentsDelta(index=2, text='{"a":'),
    ArgumentsDelta(index=2, text="1}"),
    PartEnded(index=2),
    PartBegun(index=3, part=ToolCall(id="toolu_2", name="g", arguments="oh no")),
    PartEnded(index=3),
    PartBegun(index=4, part=ToolCall(id="toolu_3", name="h", arguments="")),
    PartEnded(index=4),
    PartBegun(index=5, part=Media(kind="image", mime="image/png", data="AAAA")),
    PartEnded(index=5),
    PartBegun(index=6, part=Unknown(kind="k", raw=msgspec.Raw(b"{}"))),
    PartEnded(index=6),
    PartBegun(index=0, choice=1, part=Refusal(text="")),
    TextDelta(index=0, choice=1, text="Another."),
    PartEnded(index=0, choice=1),
    UsageTold(usage=Usage(input=9, cached=4, output=6)),
    Finished(reason="tool_calls", said="tool_use"),
    Finished(reason="length", choice=1),
    Ended(),
]
TOLD = {
    "model": "claude",
    "created_at": "1970-01-01T00:00:05.000000Z",
    "message": {
        "role": "assistant",
        "content": "Hi",
        "thinking": "hm",
        "media": [{"type": "image", "mime_type": "image/png", "data": "AAAA"}],
        "tool_calls": [
            {"id": "toolu_1", "function": {"index": 0, "name": "f", "arguments": {"a": 1}}},
            {"id": "toolu_2", "function": {"index": 1, "name": "g", "arguments": {"arguments": "oh no"}}},
            {"id": "toolu_3", "function": {"index": 2, "name": "h", "arguments": {}}},
        ],
    },
    "done": True,
    "done_reason": "stop",
    "logprobs": [{"token": "Hi", "logprob": -1.5}],
    "prompt_eval_count": 9,
    "eval_count": 6,
}


def written(*batches: list[AnyEvent]) -> bytes:
    writer = OLLAMA.stream_writer(ASKED, model="m")
    return b"".join(map(writer.feed, batches))


def test_answers_of_others_are_told_in_ollamas_words() -> None:
    assert json.loads(OLLAMA.write_reply(EVENTS, model="m")) == TOLD
    generated = json.loads(OLLAMA_GENERATE.write_reply(EVENTS, model="m"))
    assert (generated["response"], generated["thinking"]) == ("Hi", "hm")
    assert "message" not in generated


def test_each_event_is_told_as_it_comes() -> None:
    stream = written(*([event] for event in EVENTS))
    assert gist(streamed(stream)) == gist(OLLAMA.read_reply(json.dumps(TOLD).encode()))
    assert [bool(json.loads(each)["done"]) for each in stream.splitlines()] == [False] * 6 + [True]


def test_nothing_follows_an_error() -> None:
    begun: list[AnyEvent] = [PartBegun(index=0, part=Text(text="a"))]
    failed: list[AnyEvent] = [Failed(message="gone", kind="overloaded_error", code="c")]
    told = b'{"error":"gone","type":"overloaded_error","code":"c"}\n'
    stream = written(begun, failed, begun)
    assert stream.splitlines(keepends=True)[1:] == [told]
    assert streamed(stream)[-1] == failed[0]
    assert OLLAMA.write_error_event(failed[0]) == told  # type: ignore[arg-type]
    assert OLLAMA.write_reply(failed, model="m") + b"\n" == told
    error = UpstreamError("Cut.", code="upstream_cut", param="p")
    assert json.loads(OLLAMA.write_error(error, 502)) == {
        "error": "Cut.",
        "type": "upstream_error",
        "code": "upstream_cut",
        "param": "p",
    }


def test_an_answer_without_a_word_is_none() -> None:
    with pytest.raises(ValueError):
        OLLAMA.write_reply([], model="m")
    assert written([Pinged()]) == b""
    assert json.loads(OLLAMA.write_reply([Ended()], model="m"))["done_reason"] == "stop"


@pytest.mark.parametrize(
    ("body", "failed"),
    [
        (b"<html>", Failed(message="<html>", status=500)),
        (b"", Failed(message="status 500", status=500)),
        (b'{"message": "m"}', Failed(message="m", status=500)),
        (
            b'{"error": {"message": "m", "type": "t", "code": "c"}}',
            Failed(message="m", kind="t", code="c", status=500),
        ),
        (b'{"error": 1}', Failed(message="The provider reported an error.", status=500)),
    ],
)
def test_errors_of_any_shape(body: bytes, failed: Failed) -> None:
    assert OLLAMA.read_error(500, body) == failed
    assert streamed(b'{"error": "m", "status": 503}\n') == [Failed(message="m", status=503)]


def test_usage_in_both_directions() -> None:
    assert OLLAMA.read_usage(b'{"eval_count": 3}') == Usage(output=3)
    assert OLLAMA.read_usage(b'{"done": true}') is None
    assert OLLAMA.read_usage(b"oops") is None
    assert OLLAMA.read_usage(OLLAMA.write_usage(Usage(input=4, output=2))) == Usage(input=4, output=2)


@given(
    st.lists(st.binary(max_size=6).map(lambda each: each.replace(b"\n", b""))),
    st.lists(st.integers(1, 7), min_size=1),
)
def test_lines_are_split_wherever_they_are_cut(said: list[bytes], sizes: list[int]) -> None:
    body = b"".join(each + b"\n" for each in said) + b"rest"
    splitter, out = LineSplitter(), b""
    for piece in pieces(body, tuple(sizes)):
        whole = splitter.feed(piece)
        assert not whole or whole.endswith(b"\n")
        out += whole
    assert out + splitter.partial == body
    assert bytes(splitter.partial) == b"rest"
    assert lines(out) == [each for each in said if each.strip()]


def test_a_line_that_is_too_long_is_let_go() -> None:
    splitter = LineSplitter(max_event=4)
    assert splitter.feed(b"12345") == b""
    assert (splitter.overflowed,) == (True,)
    splitter.partial.clear()
    assert splitter.feed(b"67\n8") == b"67\n"
    assert (splitter.overflowed,) == (False,)
    reader = OLLAMA.stream_reader()
    with pytest.raises(ValueError):
        reader.feed(b"x" * (9 << 20))


def test_the_tap_beside_a_stream() -> None:
    tap = StreamTap(hide=True)
    packets = [
        ndjson(line({"content": "a"})),
        ndjson(line({"content": '"done":true'}), line({"content": "b"})),
    ]
    for packet in (*packets, b"oops\n", ndjson(line({"content": ""}, **LAST))):
        assert tap.scan(packet) is packet
    assert (tap.events, tap.plain, tap.done, tap.ended) == (4, 2, True, True)
    assert tap.last == packets[1]
    assert tap.plain_size == len(packets[1]) + len(b"oops\n")
    assert (tap.facts.usage, tap.facts.finish, tap.facts.model) == (Usage(input=5, output=3), "stop", "llama")
    assert not tap.may_hide(b"{")


def test_the_tap_hears_errors() -> None:
    tap = StreamTap()
    tap.scan(ndjson(line({"content": "a"})))
    tap.scan(ndjson({"error": "gone"}))
    assert tap.facts.error == '"gone"'
    assert not tap.done


def test_facts_of_whole_answers() -> None:
    facts = read_facts(json.dumps(line({"content": "x"}, **LAST)).encode())
    assert (facts.usage, facts.finish, facts.model, facts.error) == (
        Usage(input=5, output=3),
        "stop",
        "llama",
        None,
    )
    odd = read_facts(b'{"model": 1, "done": true, "eval_count": "4", "error": {"a": 1}}')
    assert (odd.usage, odd.finish, odd.model, odd.error) == (Usage(output=4), "stop", None, '{"a":1}')
    assert read_facts(b'{"error": null, "done": 1}').error is None
    with pytest.raises(ValueError):
        read_facts(b"<html>")
