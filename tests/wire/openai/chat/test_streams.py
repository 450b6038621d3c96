"""Streams of the many providers that speak chat, and what they come to."""

import json
from typing import Any

import pytest

from chatvault.core.usage import Usage
from chatvault.wire.hub.conversation import Conversation
from chatvault.wire.hub.events import (
    AnyEvent,
    Begun,
    Ended,
    Failed,
    Finished,
    PartBegun,
    Pinged,
    TextDelta,
    UsageTold,
)
from chatvault.wire.hub.parts import Media, Thought, Unknown
from chatvault.wire.openai.chat.dialect import ChatDialect
from tests.wire.openai.recordings import Gist, gist, pieces

CHAT = ChatDialect()


def sse(*chunks: object, done: bool = True) -> bytes:
    lines = [chunk if isinstance(chunk, str) else f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return ("".join(lines) + ("data: [DONE]\n\n" if done else "")).encode()


def delta(said: object, finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"id": "x", "choices": [{"index": 0, "delta": said, "finish_reason": finish, **more}]}


def read(stream: bytes, sizes: tuple[int, ...] = (1 << 20,)) -> list[AnyEvent]:
    reader = CHAT.stream_reader()
    return [event for piece in pieces(stream, sizes) for event in reader.feed(piece)] + reader.end()


def came_to(*chunks: object) -> Gist:
    return gist(read(sse(*chunks)))


def test_every_event_comes_with_its_bytes() -> None:
    reader = CHAT.stream_reader()
    assert [
        type(event) for event in reader.feed(sse(delta({"role": "assistant", "content": ""}), done=False))
    ] == [Begun]
    told = reader.feed(sse(delta({"content": "Hel"}), done=False))
    assert [type(event) for event in told] == [PartBegun, TextDelta]
    assert reader.feed(b'data: {"choices":[{"index":0,"delta":{"content":"lo"}}]}\n') == []
    assert [event.text for event in reader.feed(b"\n") if isinstance(event, TextDelta)] == ["lo"]
    assert reader.feed(b": keep-alive\n\n") == [Pinged()]


def test_usage_that_comes_after_the_finish_reason_is_told_before_it() -> None:
    events = read(
        sse(
            delta({"content": "a"}),
            delta({}, "length"),
            {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}},
        )
    )
    assert [type(event).__name__ for event in events[-4:]] == ["PartEnded", "UsageTold", "Finished", "Ended"]
    assert gist(events).usage == Usage(input=3, output=1)


def test_a_cut_stream_has_no_end_and_keeps_its_usage() -> None:
    events = read(
        sse({**delta({"content": "a"}), "usage": {"prompt_tokens": 3, "completion_tokens": 1}}, done=False)
    )
    assert not any(isinstance(event, Ended | Finished) for event in events)
    assert gist(events).usage == Usage(input=3, output=1)


def test_a_stream_without_done_is_whole_if_every_choice_gave_a_reason() -> None:
    assert gist(read(sse(delta({"content": "a"}, "stop"), done=False))).whole
    two = {
        "choices": [
            {"index": 0, "delta": {}, "finish_reason": "stop"},
            {"index": 1, "delta": {"content": "b"}},
        ]
    }
    assert not gist(read(sse(two, done=False))).whole


def test_a_last_event_without_its_blank_line_counts() -> None:
    stream = sse(delta({"content": "a"}), delta({}, "stop"), done=False).rstrip(b"\n")
    assert gist(read(stream)).whole


@pytest.mark.parametrize(
    "said",
    [
        {"reasoning_content": "Hm."},
        {"reasoning": "Hm."},
        {"reasoning": "Hm.", "reasoning_content": "Hm."},
        {"reasoning": "Hm.", "reasoning_details": [{"type": "reasoning.text", "text": "Hm.", "index": 0}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]},
        {"content": [{"type": "thinking", "thinking": "Hm."}]},
    ],
)
def test_thoughts_in_every_shape(said: object) -> None:
    found = came_to(delta(said), delta({"content": "Yes.", "reasoning_content": None}), delta({}, "stop"))
    assert (found.choices[0].thoughts, found.choices[0].text) == ("Hm.", "Yes.")


def test_proofs_of_thoughts_keep_their_origin() -> None:
    details = [
        {"type": "reasoning.text", "text": "Hm", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.text", "signature": "sig", "format": "anthropic-claude-v1", "index": 0},
    ]
    sealed = {
        "type": "reasoning.encrypted",
        "data": "abc",
        "format": "openai-responses-v1",
        "id": "rs",
        "index": 1,
    }
    events = read(
        sse(
            delta({"reasoning": "Hm", "reasoning_details": details[:1]}),
            delta({"reasoning_details": details[1:]}),
            delta({"reasoning_details": [sealed]}),
            delta({}, "stop"),
        )
    )
    thoughts = [event.part for event in events if isinstance(event, PartBegun)]
    assert thoughts == [Thought(origin="anthropic.messages"), Thought(id="rs", origin="openai.responses")]
    assert gist(events).choices[0].proofs == ["sig", "abc"]


def call(index: int | None, id: str | None, name: str | None, arguments: object) -> dict[str, Any]:
    said: dict[str, Any] = {"type": "function", "function": {"name": name, "arguments": arguments}, "id": id}
    return delta({"tool_calls": [said if index is None else {**said, "index": index}]})


END = delta({}, "tool_calls")


@pytest.mark.parametrize(
    ("chunks", "calls"),
    [
        pytest.param(
            [
                call(0, "a", "f", ""),
                call(0, None, None, '{"x"'),
                call(0, None, None, ":1}"),
                call(1, "b", "g", "{}"),
            ],
            [("a", "f", '{"x":1}'), ("b", "g", "{}")],
            id="as OpenAI does",
        ),
        pytest.param(
            [
                call(0, "a", "f", "{"),
                call(1, "b", "g", "{"),
                call(0, None, None, "}"),
                call(1, None, None, "}"),
            ],
            [("a", "f", "{}"), ("b", "g", "{}")],
            id="interleaved",
        ),
        pytest.param(
            [call(None, "a", "f", '{"x":1}'), call(None, "b", "f", '{"x":2}')],
            [("a", "f", '{"x":1}'), ("b", "f", '{"x":2}')],
            id="no index",
        ),
        pytest.param(
            [call(0, "a", "f", "{}"), call(0, "b", "g", "{}")],
            [("a", "f", "{}"), ("b", "g", "{}")],
            id="one index for all",
        ),
        pytest.param(
            [call(0, "a", "f", '{"x"'), call(0, "a", "f", ":1}")],
            [("a", "f", '{"x":1}')],
            id="name and id again",
        ),
        pytest.param(
            [call(None, None, "f", '{"x":1}'), call(None, None, "g", "{}")],
            [("call_0_0_f", "f", '{"x":1}'), ("call_0_1_g", "g", "{}")],
            id="no ids",
        ),
        pytest.param([call(0, "a", "f", {"x": 1})], [("a", "f", '{"x":1}')], id="arguments as an object"),
        pytest.param([call(0, "a", "f", None)], [("a", "f", "")], id="no arguments"),
        pytest.param(
            [call(0, "a", None, "{"), call(0, None, "f", "}")],
            [("a", "f", "{}")],
            id="arguments before the name",
        ),
    ],
)
def test_tool_calls_whatever_is_left_out(chunks: list[object], calls: list[tuple[str, str, str]]) -> None:
    found = came_to(*chunks, END)
    assert found.choices[0].calls == calls
    assert found.choices[0].finish == "tool_calls"


def test_the_old_kind_of_call() -> None:
    found = came_to(
        delta({"function_call": {"name": "f", "arguments": ""}}),
        delta({"function_call": {"arguments": "{}"}}),
        delta({}, "function_call"),
    )
    assert found.choices[0].calls == [("function_call_0", "f", "{}")]
    assert found.choices[0].finish == "tool_calls"


@pytest.mark.parametrize(
    ("word", "more", "reason"),
    [
        ("stop", {}, "stop"),
        ("stop", {"stop_reason": "END"}, "stop_sequence"),
        ("stop", {"matched_stop": 151645}, "stop"),
        ("eos", {}, "stop"),
        ("length", {}, "length"),
        ("content_filter", {}, "content_filter"),
        ("insufficient_system_resource", {}, "error"),
        ("something_new", {}, "stop"),
    ],
)
def test_finish_reasons(word: str, more: dict[str, Any], reason: str) -> None:
    events = read(sse(delta({"content": "a"}), delta({}, word, **more)))
    finished = next(event for event in events if isinstance(event, Finished))
    assert (finished.reason, finished.said) == (reason, word)


def test_a_refusal_is_one_even_if_the_provider_says_stop() -> None:
    found = came_to(delta({"refusal": "I can"}), delta({"refusal": "not."}), delta({}, "stop"))
    assert (found.choices[0].refusal, found.choices[0].finish) == ("I cannot.", "refusal")


@pytest.mark.parametrize(
    ("chunk", "failed"),
    [
        (
            {"error": {"message": "Busy", "type": "overloaded", "code": 529}},
            Failed(message="Busy", kind="overloaded", code="529", status=529),
        ),
        (
            {"id": "x", "choices": [], "error": {"message": "m", "code": 400}},
            Failed(message="m", code="400", status=400),
        ),
        (
            {"object": "error", "message": "m", "type": "t", "code": 503},
            Failed(message="m", kind="t", code="503", status=503),
        ),
        ({"error": "plain"}, Failed(message="plain")),
        ({"detail": {"message": "m", "code": None}}, Failed(message="m")),
        ('event: error\ndata: {"message": "m"}\n\n', Failed(message="m")),
        ("event: error\ndata: gone\n\n", Failed(message="gone")),
        (
            {"choices": [{"index": 0, "delta": {}, "error": {"message": "m", "code": 502}}]},
            Failed(message="m", code="502", status=502),
        ),
    ],
)
def test_errors_inside_a_stream(chunk: object, failed: Failed) -> None:
    events = read(sse(delta({"content": "a"}), chunk, delta({"content": "b"}), delta({}, "stop")))
    assert events[-1] == failed
    assert gist(events).choices[0].text == "a"


def test_choices_interleaved() -> None:
    found = came_to(
        {"choices": [{"index": 1, "delta": {"content": "b"}}, {"index": 0, "delta": {"content": "a"}}]},
        {"choices": [{"index": 0, "delta": {"content": "A"}, "finish_reason": "stop"}]},
        {"choices": [{"index": 1, "delta": {"content": "B"}, "finish_reason": "length"}]},
    )
    assert [(said.text, said.finish) for _, said in sorted(found.choices.items())] == [
        ("aA", "stop"),
        ("bB", "length"),
    ]


def test_images_audio_annotations_and_unknown_parts() -> None:
    found = came_to(
        delta({"audio": {"id": "au", "data": "AAAA", "transcript": "Hi"}}),
        delta({"audio": {"data": "BBBB", "expires_at": 9}}),
        delta({"images": [{"type": "image_url", "image_url": {"url": "data:image/webp;base64,aGk="}}]}),
        delta({"annotations": [{"type": "url_citation", "url_citation": {"url": "u"}}]}),
        delta({"content": [{"type": "reference", "reference_ids": [1]}]}),
        delta({"content": "Text."}, "stop"),
    )
    said = found.choices[0]
    image, unknown, audio = said.others
    assert isinstance(image, Media)
    assert (image.mime, image.data) == ("image/webp", "aGk=")
    assert isinstance(unknown, Unknown)
    assert unknown.kind == "reference"
    assert isinstance(audio, Media)
    assert (audio.data, audio.name) == ("AAAABBBB", "au")
    assert said.citations == 1


def test_citations_of_perplexity_are_told_once() -> None:
    found = came_to(
        *({**delta({"content": "a"}, finish), "citations": ["u", "v"]} for finish in (None, "stop"))
    )
    assert found.choices[0].citations == 2


def test_log_probabilities_travel_with_their_text() -> None:
    tokens = {"content": [{"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}]}
    events = read(sse(delta({"content": "a"}, logprobs=tokens), delta({}, "stop")))
    raw = next(event.logprobs for event in events if isinstance(event, TextDelta))
    assert raw is not None
    assert json.loads(bytes(raw)) == tokens
    written = json.loads(CHAT.write_reply(events, model="m"))
    assert written["choices"][0]["logprobs"] == tokens


def test_half_an_emoji_does_not_end_the_stream() -> None:
    stream = b'data: {"choices":[{"index":0,"delta":{"content":"a\\ud83d"}}]}\n\n' + sse(
        delta({"content": "b"}, "stop")
    )
    assert gist(read(stream)).choices[0].text == "a\ufffdb"


@pytest.mark.parametrize(
    "odd",
    [{"choices": None}, {"choices": [None, 3]}, {"choices": [{"delta": 5, "index": "x"}]}, {"usage": []}],
)
def test_odd_shapes_raise_nothing(odd: object) -> None:
    assert came_to(odd, delta({"content": ["a", 3, {"type": "text", "text": None}]}), delta({}, "stop")).whole


def written(events: list[AnyEvent], **asked: Any) -> list[Any]:
    conversation = Conversation(model="m", messages=(), origin="openai.chat", **asked)
    writer = CHAT.stream_writer(conversation, model="public")
    out = b"".join(writer.feed([event]) for event in events)
    return [line[6:] for line in out.decode().splitlines() if line.startswith("data: ")]


def test_a_stream_is_written_as_openai_does() -> None:
    events = read(
        sse(
            delta({"content": "a"}),
            delta({}, "stop"),
            {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
        )
    )
    *chunks, done = written(events, stream_usage=True)
    assert done == "[DONE]"
    role, text, finish, usage = (json.loads(chunk) for chunk in chunks)
    assert role["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert text["choices"][0]["delta"] == {"content": "a"}
    assert (text["id"], text["model"], text["object"], text["usage"]) == (
        "x",
        "public",
        "chat.completion.chunk",
        None,
    )
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert (usage["choices"], usage["usage"]["total_tokens"]) == ([], 3)


def test_usage_is_written_only_if_it_was_asked_for() -> None:
    events = read(
        sse(
            delta({"content": "a"}),
            delta({}, "stop"),
            {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
        )
    )
    assert not any("usage" in chunk for chunk in written(events))


def test_an_error_ends_a_written_stream_without_done() -> None:
    chunks = written([Begun(id="x"), Failed(message="Busy", status=429)])
    assert json.loads(chunks[-1])["error"] == {
        "message": "Busy",
        "type": "rate_limit_error",
        "param": None,
        "code": None,
    }


def test_a_client_of_functions_is_answered_in_the_old_way() -> None:
    request = {"model": "m", "messages": [], "functions": [{"name": "f"}]}
    asked = CHAT.read_request(json.dumps(request).encode())
    events = read(sse(call(0, "a", "f", "{}"), END))
    message = json.loads(CHAT.write_reply(events, model="m", conversation=asked))["choices"][0]
    assert message["message"]["function_call"] == {"name": "f", "arguments": "{}"}
    assert message["finish_reason"] == "function_call"
    assert b'"function_call":{"name":"f"' in CHAT.stream_writer(asked, model="m").feed(events)


def test_whole_answers_that_are_none() -> None:
    for body in (b"null", b"[]", b"{}", b'{"choices": 3}', b"<html>", b"[" * 100_000):
        with pytest.raises(ValueError, match=r"."):
            CHAT.read_reply(body)
    assert CHAT.read_reply(b'{"error": {"message": "m"}}') == [Failed(message="m")]


def test_the_usage_of_an_answer_that_broke_off_within_a_choice_is_told() -> None:
    body = (
        b'{"id":"a","choices":[{"index":0,"message":{"content":"Can"},"finish_reason":null,'
        b'"error":{"code":502,"message":"filtered"}}],"usage":{"prompt_tokens":15,"completion_tokens":28}}'
    )
    events = ChatDialect().read_reply(body)
    usage = next(event.usage for event in events if isinstance(event, UsageTold))
    assert (usage.input, usage.output) == (15, 28)
    failed = events[-1]
    assert isinstance(failed, Failed)
    assert failed.message == "filtered"
