"""Completions: a prompt is a user message, and an answer its continuation."""

import json
from typing import Any

import pytest
from openai.types import Completion

from chatvault.core.errors import ClientError, UpstreamError
from chatvault.core.usage import Usage
from chatvault.wire.hub.conversation import Conversation, Message, Tool
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.events import (
    AnyEvent,
    Begun,
    Ended,
    Failed,
    Finished,
    PartBegun,
    PartEnded,
    Pinged,
    TextDelta,
)
from chatvault.wire.hub.parts import Media, Text, Thought
from chatvault.wire.openai.chat.dialect import ChatDialect
from chatvault.wire.openai.completions.dialect import CompletionsDialect
from tests.wire.openai.recordings import gist

COMPLETIONS = CompletionsDialect()


def read(**fields: Any) -> Conversation:
    return COMPLETIONS.read_request(json.dumps({"model": "m", **fields}).encode())


def write(conversation: Conversation) -> tuple[Any, tuple[str, ...]]:
    dropped = Dropped()
    return json.loads(COMPLETIONS.write_request(conversation, dropped)), dropped.paths


REQUEST = {
    "model": "m",
    "prompt": "Once",
    "max_tokens": 5,
    "temperature": 0.5,
    "n": 2,
    "logprobs": 1,
    "stop": ["."],
    "seed": 3,
    "suffix": "end",
    "echo": True,
    "logit_bias": {"5": 1},
    "user": "u",
    "metadata": {"a": "b"},
}


def test_a_request_comes_back() -> None:
    assert write(read(**REQUEST)) == (REQUEST, ())
    assert write(read(prompt=["Once"]))[0]["prompt"] == ["Once"]
    streamed, _ = write(read(prompt="a", stream=True, stream_options={"x": 1}))
    assert streamed["stream_options"] == {"x": 1, "include_usage": True}


def test_a_request_for_a_provider_of_chat() -> None:
    dropped = Dropped()
    written = json.loads(ChatDialect().write_request(read(**REQUEST), dropped))
    assert written["messages"] == [{"role": "user", "content": "Once"}]
    assert (written["max_tokens"], written["logprobs"], written["top_logprobs"]) == (5, True, 1)
    assert written["logit_bias"] == {"5": 1}
    assert dropped.paths == ("suffix", "echo")


@pytest.mark.parametrize("prompt", [None, ["a", "b"], [1, 2], [[1]], 5])
def test_prompts_that_are_no_text(prompt: object) -> None:
    with pytest.raises(ClientError) as caught:
        read(prompt=prompt)
    assert caught.value.param == "prompt"


def test_a_conversation_becomes_a_transcript() -> None:
    asked = Conversation(
        model="m",
        messages=(
            Message(role="system", parts=(Text(text="Be brief."),)),
            Message(role="user", name="kim", parts=(Text(text="Hi"), Media(kind="image", url="u"))),
        ),
        tools=(Tool(name="f"),),
        top_k=3,
        extra={},
        origin="anthropic.messages",
    )
    written, dropped = write(asked)
    assert written["prompt"] == "System: Be brief.\n\nUser: Hi\n\nAssistant:"
    assert dropped == ("messages[0].content[1]", "messages[0].name", "tools[0]", "top_k")


LOGPROBS = {
    "tokens": ["a", "bc"],
    "token_logprobs": [-1.0, -2.0],
    "top_logprobs": [{"a": -1.0}, {"x": -3.0}],
    "text_offset": [0, 1],
}
REPLY = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 7,
    "model": "m",
    "choices": [
        {"text": "abc", "index": 0, "logprobs": LOGPROBS, "finish_reason": "length"},
        {"text": "", "index": 1, "logprobs": None, "finish_reason": "stop"},
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


def test_an_answer_comes_back() -> None:
    events = COMPLETIONS.read_reply(json.dumps(REPLY).encode())
    found = gist(events)
    assert [(said.text, said.finish) for said in found.choices.values()] == [("abc", "length"), ("", "stop")]
    assert found.usage == Usage(input=1, output=2)
    written = json.loads(COMPLETIONS.write_reply(events, model="x"))
    Completion.model_validate(written)
    assert written["choices"] == REPLY["choices"]
    assert (written["id"], written["model"]) == ("cmpl-1", "m")


def test_a_stream_is_written_as_completions_are() -> None:
    events: list[AnyEvent] = [
        Begun(id="c"),
        PartBegun(index=0, part=Thought(text="hidden")),
        TextDelta(index=0, text="more"),
        PartEnded(index=0),
        PartBegun(index=1, part=Text(text="O")),
        TextDelta(index=1, text="nce"),
        PartEnded(index=1),
        Pinged(),
        Finished(reason="stop"),
        *COMPLETIONS.read_reply(json.dumps({**REPLY, "choices": []}).encode())[1:],
    ]
    writer = COMPLETIONS.stream_writer(
        read(prompt="a", stream_options={"include_usage": True}), model="public"
    )
    out = b"".join(writer.feed([event]) for event in events)
    lines = [line[6:] for line in out.decode().splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    chunks = [
        Completion.model_validate_json(line) for line in lines[:-1] if '"finish_reason":null' not in line
    ]
    texts = [choice["text"] for line in lines[:-1] for choice in json.loads(line)["choices"]]
    assert "".join(texts) == "Once"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 3
    reader = COMPLETIONS.stream_reader()
    again = gist(reader.feed(out) + reader.end())
    assert (again.choices[0].text, again.usage, again.whole) == ("Once", Usage(input=1, output=2), True)


def test_failures() -> None:
    failed = COMPLETIONS.read_error(503, b"down")
    assert failed == Failed(message="down", status=503)
    assert json.loads(COMPLETIONS.write_error(failed, 503))["error"]["message"] == "down"
    writer = COMPLETIONS.stream_writer(read(prompt="a"), model="m")
    assert b"[DONE]" not in writer.feed([Begun(), failed])
    assert json.loads(COMPLETIONS.write_reply([failed, Ended()], model="m"))["error"]["type"] == "api_error"
    assert b"Cut." in COMPLETIONS.write_error_event(UpstreamError("Cut.", code="upstream_cut"))
    assert COMPLETIONS.read_usage(COMPLETIONS.write_usage(Usage(input=4, output=2))) == Usage(
        input=4, output=2
    )
    assert COMPLETIONS.read_usage(b"{") is None
    assert COMPLETIONS.request_path(read(prompt="a")) == b"/completions"
    assert (COMPLETIONS.name, COMPLETIONS.stream_type) == ("openai.completions", b"text/event-stream")
