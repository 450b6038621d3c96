"""Streams of `openai.responses`: what comes of them, and that the official library puts ours together."""

import json
from typing import Any

import pydantic
import pytest
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent

from chatvault.core.errors import UpstreamError
from chatvault.core.usage import Usage
from chatvault.wire.hub.conversation import Conversation
from chatvault.wire.hub.events import (
    AnyEvent,
    ArgumentsDelta,
    Begun,
    CitationTold,
    Ended,
    Failed,
    Finished,
    FinishReason,
    PartBegun,
    PartEnded,
    Pinged,
    SignatureTold,
    TextDelta,
    UsageTold,
)
from chatvault.wire.hub.parts import AnyPart, Media, Refusal, Text, Thought, ToolCall, ToolResult, Unknown
from chatvault.wire.json_value import raw
from chatvault.wire.openai.responses.dialect import ResponsesDialect
from tests.wire.openai.recordings import gist, pieces

RESPONSES = ResponsesDialect()
EVENTS: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(ResponseStreamEvent)


def sse(*events: dict[str, Any]) -> bytes:
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()


def read(stream: bytes, sizes: tuple[int, ...] = (1 << 20,)) -> list[AnyEvent]:
    reader = RESPONSES.stream_reader()
    return [event for piece in pieces(stream, sizes) for event in reader.feed(piece)] + reader.end()


def part(index: int, begun: AnyPart, *more: AnyEvent) -> list[AnyEvent]:
    return [PartBegun(index=index, part=begun), *more, PartEnded(index=index)]


def answer(*parts: list[AnyEvent], reason: FinishReason = "stop") -> list[AnyEvent]:
    return [
        Begun(id="resp_1", model="m", created=7),
        *(event for each in parts for event in each),
        UsageTold(usage=Usage(input=9, cached=4, output=3, reasoning=1)),
        Finished(reason=reason),
        Ended(),
    ]


def written(events: list[AnyEvent], conversation: Conversation | None = None) -> list[dict[str, Any]]:
    asked = conversation or Conversation(model="m", messages=(), origin="openai.responses")
    writer = RESPONSES.stream_writer(asked, model="public")
    out = b"".join(writer.feed([event]) for event in events)
    return [json.loads(line[6:]) for line in out.decode().splitlines() if line.startswith("data: ")]


CITED = raw({"type": "url_citation", "start_index": 0, "end_index": 2, "title": "T", "url": "u"})
FULL = answer(
    part(0, Thought(id="rs_1", summary=True, origin="openai.responses"), TextDelta(index=0, text="First")),
    part(
        1,
        Thought(id="rs_1", summary=True, origin="openai.responses"),
        TextDelta(index=1, text="Second"),
        SignatureTold(index=1, sealed="c2VhbGVk"),
    ),
    part(
        2,
        Text(text=""),
        TextDelta(index=2, text="He"),
        TextDelta(index=2, text="llo"),
        CitationTold(index=2, raw=CITED, origin="openai.responses"),
    ),
    part(3, Refusal(text=""), TextDelta(index=3, text="No.")),
    [
        PartBegun(index=4, part=ToolCall(id="call_1", name="f", arguments="")),
        PartBegun(index=5, part=ToolCall(id="call_2", name="g", arguments="", custom=True)),
        ArgumentsDelta(index=4, text='{"x"'),
        ArgumentsDelta(index=5, text="free"),
        ArgumentsDelta(index=4, text=":1}"),
        PartEnded(index=4),
        PartEnded(index=5),
    ],
    part(6, ToolCall(id="call_3", name="h", arguments="")),
    part(7, Media(kind="image", mime="image/png", data="aGk=")),
    reason="tool_calls",
)


def test_the_official_library_puts_a_stream_together() -> None:
    state: ResponseStreamState[None] = ResponseStreamState(input_tools=omit, text_format=omit)
    final: Any = None
    for number, event in enumerate(written(FULL)):
        assert event["sequence_number"] == number
        for handled in state.handle_event(EVENTS.validate_python(event)):
            final = handled
    response = final.response
    assert final.type == "response.completed"
    assert response.output_text == "Hello"
    assert [item.type for item in response.output] == [
        "reasoning",
        "message",
        "function_call",
        "custom_tool_call",
        "function_call",
        "image_generation_call",
    ]
    thought, message, call, custom, empty, image = response.output
    assert [each.text for each in thought.summary] == ["First", "Second"]
    assert thought.encrypted_content == "c2VhbGVk"
    assert [content.type for content in message.content] == ["output_text", "refusal"]
    assert message.content[0].annotations[0].url == "u"
    assert (call.call_id, call.arguments, custom.input, empty.arguments) == (
        "call_1",
        '{"x":1}',
        "free",
        "{}",
    )
    assert image.result == "aGk="
    assert response.usage.input_tokens_details.cached_tokens == 4
    assert response.usage.total_tokens == 12


def test_whole_and_streamed_come_to_the_same() -> None:
    whole = json.loads(RESPONSES.write_reply(FULL, model="public"))
    Response.model_validate(whole)
    last = written(FULL)[-1]["response"]
    assert {**whole, "completed_at": 0} == {**last, "completed_at": 0}
    read_again = gist(RESPONSES.read_reply(json.dumps(whole).encode()))
    said = read_again.choices[0]
    assert (said.text, said.refusal, said.thoughts, said.proofs) == (
        "Hello",
        "No.",
        "FirstSecond",
        ["c2VhbGVk"],
    )
    assert said.calls == [("call_1", "f", '{"x":1}'), ("call_2", "g", "free"), ("call_3", "h", "{}")]
    assert said.finish == "tool_calls"
    assert read_again == gist(read(sse(*written(FULL)), (1,)))


def test_events_are_announced_before_they_grow_and_told_at_once() -> None:
    writer = RESPONSES.stream_writer(Conversation(model="m", messages=(), origin="x"), model="m")
    assert b"response.created" in writer.feed([Begun()])
    assert b"response.content_part.added" in writer.feed([PartBegun(index=0, part=Text(text=""))])
    assert b'"delta":"a"' in writer.feed([TextDelta(index=0, text="a")])
    assert writer.feed([Pinged()]) == b": ping\n\n"
    assert b"response.output_text.done" in writer.feed([PartEnded(index=0)])


def test_other_choices_than_the_first_are_not_told() -> None:
    events = [
        *part(0, Text(text="a")),
        PartBegun(index=0, part=Text(text="b"), choice=1),
        Finished(reason="length", choice=1),
    ]
    last = written([Begun(), *events, Finished(reason="stop"), Ended()])[-1]
    assert last["type"] == "response.completed"
    assert len(last["response"]["output"]) == 1


@pytest.mark.parametrize(
    ("reason", "kind", "cause"),
    [
        ("stop", "response.completed", None),
        ("length", "response.incomplete", {"reason": "max_output_tokens"}),
        ("context_full", "response.incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "response.incomplete", {"reason": "content_filter"}),
    ],
)
def test_how_an_answer_ends(reason: FinishReason, kind: str, cause: object) -> None:
    last = written(answer(part(0, Text(text="a")), reason=reason))[-1]
    assert (last["type"], last["response"]["incomplete_details"]) == (kind, cause)


def test_a_failure_is_told_twice_and_never_looks_complete() -> None:
    *_, error, failed = written([Begun(id="resp_1"), Failed(message="Busy", kind="overloaded", status=529)])
    assert (error["type"], error["message"]) == ("error", "Busy")
    assert failed["type"] == "response.failed"
    assert failed["response"]["error"] == {"code": "overloaded", "message": "Busy"}
    EVENTS.validate_python(error)
    assert json.loads(RESPONSES.write_reply([Failed(message="m")], model="m"))["error"]["message"] == "m"


@pytest.mark.parametrize(
    ("proved", "kept"),
    [
        (
            [
                PartBegun(index=0, part=Thought(text="Hm.", signature="sig", origin="anthropic.messages")),
                PartEnded(index=0),
            ],
            Thought(text="Hm.", signature="sig", origin="anthropic.messages", path="input[0]"),
        ),
        (
            [PartBegun(index=0, part=Thought(sealed="x:y", origin="anthropic.messages")), PartEnded(index=0)],
            Thought(sealed="x:y", origin="anthropic.messages", path="input[0]"),
        ),
    ],
)
def test_proofs_of_other_dialects_come_back_with_the_conversation(
    proved: list[AnyEvent], kept: Thought
) -> None:
    reply = json.loads(RESPONSES.write_reply([Begun(), *proved, Finished(reason="stop"), Ended()], model="m"))
    asked = RESPONSES.read_request(json.dumps({"model": "m", "input": reply["output"]}).encode())
    assert asked.messages[0].parts == (kept,)


def test_the_proof_of_a_call_comes_back_with_it() -> None:
    call = ToolCall(id="c", name="f", arguments="{}", signature="sig", origin="gemini.generate")
    reply = json.loads(RESPONSES.write_reply(answer(part(0, call)), model="m"))
    assert [item["type"] for item in reply["output"]] == ["reasoning", "function_call"]
    items = [*reply["output"], {"type": "function_call_output", "call_id": "c", "output": "1"}]
    asked = RESPONSES.read_request(json.dumps({"model": "m", "input": items}).encode())
    (back,), (result,) = (message.parts for message in asked.messages)
    assert isinstance(back, ToolCall)
    assert (back.id, back.signature) == ("c", "sig")
    assert isinstance(result, ToolResult)


def test_an_answer_repeats_what_was_asked() -> None:
    asked = RESPONSES.read_request(
        json.dumps(
            {
                "model": "m",
                "instructions": "Be brief.",
                "input": "hi",
                "tools": [{"type": "function", "name": "f", "parameters": {}}],
                "tool_choice": "required",
                "reasoning": {"effort": "low"},
                "text": {"verbosity": "low"},
                "temperature": 0.5,
                "prompt_cache_key": "k",
            }
        ).encode()
    )
    reply = json.loads(RESPONSES.write_reply(answer(part(0, Text(text="a"))), model="m", conversation=asked))
    assert (reply["instructions"], reply["tool_choice"], reply["temperature"]) == (
        "Be brief.",
        "required",
        0.5,
    )
    assert reply["reasoning"] == {"effort": "low", "summary": None}
    assert reply["text"] == {"format": {"type": "text"}, "verbosity": "low"}
    assert (reply["tools"][0]["name"], reply["prompt_cache_key"]) == ("f", "k")
    Response.model_validate(reply)


ITEM = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}


def completed(*output: dict[str, Any], **more: Any) -> dict[str, Any]:
    response = {"id": "r", "model": "m", "status": "completed", "output": list(output), **more}
    return {"type": "response.completed", "response": response}


def test_an_item_told_in_full_in_part_or_not_at_all_comes_to_the_same() -> None:
    content = [{"type": "output_text", "text": "Hello", "annotations": [json.loads(bytes(CITED))]}]
    added = {"type": "response.output_item.added", "output_index": 0, "item": {**ITEM, "content": []}}
    delta = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hel"}
    rest = {**delta, "delta": "lo"}
    cited = {"type": "response.output_text.annotation.added", "output_index": 0, "content_index": 0}
    done = {"type": "response.output_item.done", "output_index": 0, "item": {**ITEM, "content": content}}
    end = completed({**ITEM, "content": content})
    streams = [
        [added, delta, rest, {**cited, "annotation": json.loads(bytes(CITED))}, done, end],
        [delta, done, end],
        [added, delta, end],
        [end],
    ]
    gists = [gist(read(sse(*stream))) for stream in streams]
    assert gists[0].choices[0].text == "Hello"
    assert gists[0].choices[0].citations == 1
    assert all(each == gists[0] for each in gists)
    whole = json.dumps(end["response"]).encode()
    assert gist(RESPONSES.read_reply(whole)) == gists[0]


def test_calls_grow_and_unknown_items_come_whole() -> None:
    call = {"id": "fc_1", "type": "function_call", "call_id": "c", "name": "f", "arguments": ""}
    events = read(
        sse(
            {"type": "response.created", "response": {"id": "r", "model": "m", "created_at": 5}},
            {"type": "response.output_item.added", "output_index": 0, "item": call},
            {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "{"},
            {"type": "response.output_item.done", "output_index": 0, "item": {**call, "arguments": "{}"}},
            {"type": "response.web_search_call.searching", "output_index": 1, "item_id": "ws"},
            {
                "type": "response.output_item.done",
                "output_index": 1,
                "item": {"type": "web_search_call", "id": "ws"},
            },
            completed(usage={"input_tokens": 1, "output_tokens": 2}),
        )
    )
    found = gist(events)
    assert found.choices[0].calls == [("c", "f", "{}")]
    assert found.choices[0].finish == "tool_calls"
    (unknown,) = found.choices[0].others
    assert isinstance(unknown, Unknown)
    assert json.loads(bytes(unknown.raw)) == {"type": "web_search_call", "id": "ws"}
    assert events[0] == Begun(id="r", model="m", created=5)


@pytest.mark.parametrize(
    ("end", "reason", "said"),
    [
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            "length",
            "max_output_tokens",
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            "content_filter",
            "content_filter",
        ),
        ({"status": "incomplete"}, "length", "incomplete"),
        ({"status": "cancelled"}, "error", "cancelled"),
        ({"status": "queued"}, "pause", "queued"),
        ({"output": [{**ITEM, "content": [{"type": "refusal", "refusal": "No."}]}]}, "refusal", "completed"),
    ],
)
def test_why_an_answer_ended(end: dict[str, Any], reason: str, said: str) -> None:
    events = RESPONSES.read_reply(
        json.dumps(
            completed(**end)["response"] if "output" not in end else {**completed()["response"], **end}
        ).encode()
    )
    finished = next(event for event in events if isinstance(event, Finished))
    assert (finished.reason, finished.said) == (reason, said)


@pytest.mark.parametrize(
    ("event", "failed"),
    [
        (
            {"type": "error", "error": {"type": "t", "code": "c", "message": "m"}},
            Failed(message="m", kind="t", code="c"),
        ),
        ({"type": "error", "code": "c", "message": "m", "param": None}, Failed(message="m", code="c")),
        (
            {
                "type": "response.failed",
                "response": {"status": "failed", "error": {"code": "c", "message": "m"}},
            },
            Failed(message="m", code="c"),
        ),
        (
            {"type": "response.failed", "response": {"status": "failed"}},
            Failed(message="The response failed."),
        ),
    ],
)
def test_failures_inside_a_stream(event: dict[str, Any], failed: Failed) -> None:
    assert read(sse(event, completed()))[-1] == failed


def test_a_cut_stream_has_no_end() -> None:
    stream = sse(
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hel"}
    )
    assert not any(isinstance(event, Ended | Finished) for event in read(stream + b"data: {"))
    assert read(b": hello\n\ndata: [DONE]\n\n") == [Pinged()]
    with pytest.raises(ValueError, match="not a JSON object"):
        read(b": hello\n\ndata: nonsense\n\n")
    assert read(b"event: error\ndata: gone\n\n") == [Failed(message="gone")]


def test_whole_answers_that_are_none() -> None:
    for body in (b"null", b"[]", b"{}", b"<html>"):
        with pytest.raises(ValueError, match=r"."):
            RESPONSES.read_reply(body)


def test_errors_usage_and_paths() -> None:
    assert RESPONSES.request_path(Conversation(model="m", messages=(), origin="x")) == b"/responses"
    failed = RESPONSES.read_error(429, b'{"error": {"message": "Slow", "type": "t", "code": "c"}}')
    assert failed == Failed(message="Slow", kind="t", code="c", status=429)
    assert json.loads(RESPONSES.write_error(failed, 429))["error"]["message"] == "Slow"
    told = RESPONSES.write_error_event(UpstreamError("Cut.", code="upstream_cut"))
    assert json.loads(told.split(b"data: ")[1])["message"] == "Cut."
    usage = Usage(input=9, cached=4, cache_write=2, output=3, reasoning=1)
    assert RESPONSES.read_usage(RESPONSES.write_usage(usage)) == usage
    assert RESPONSES.read_usage(b"nonsense") is None
