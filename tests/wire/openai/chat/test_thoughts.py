"""Thoughts in chat messages: told with their proofs, and read again as they were."""

import json
from typing import Any

import pytest

from chatvault.wire.hub.conversation import Conversation
from chatvault.wire.hub.events import (
    AnyEvent,
    Begun,
    CitationTold,
    Ended,
    Finished,
    PartBegun,
    PartEnded,
    SignatureTold,
    TextDelta,
)
from chatvault.wire.hub.parts import Media, Text, Thought, ToolCall
from chatvault.wire.hub.search import Citation
from chatvault.wire.json_value import raw
from chatvault.wire.openai.chat.citations import annotation, flat_citation
from chatvault.wire.openai.chat.dialect import ChatDialect
from chatvault.wire.openai.chat.thoughts import thoughts_of
from tests.wire.openai.recordings import gist

CHAT = ChatDialect()
CLAUDE = "anthropic.messages"
OPENAI = "openai.responses"
ANSWER: list[AnyEvent] = [
    Begun(id="x"),
    PartBegun(index=0, part=Thought(origin=CLAUDE)),
    TextDelta(index=0, text="First "),
    TextDelta(index=0, text="thought."),
    SignatureTold(index=0, signature="sig-1"),
    PartEnded(index=0),
    PartBegun(index=1, part=Thought(sealed="hidden", origin=CLAUDE)),
    PartEnded(index=1),
    PartBegun(index=2, part=Thought(id="rs_1", summary=True, text="Sum.", sealed="blob", origin=OPENAI)),
    PartEnded(index=2),
    PartBegun(index=3, part=Thought(origin="openai.chat")),
    TextDelta(index=3, text="Plain."),
    PartEnded(index=3),
    PartBegun(index=4, part=Text(text="Answer")),
    CitationTold(
        index=4,
        raw=raw({"type": "web_search_result_location", "url": "u", "title": "T"}),
        origin=CLAUDE,
        cited=(Citation(url="u", title="T"),),
    ),
    CitationTold(index=4, raw=raw({"type": "char_location"}), origin=CLAUDE),
    PartEnded(index=4),
    PartBegun(index=5, part=ToolCall(id="c", name="f", arguments="{}")),
    SignatureTold(index=5, signature="sig-2"),
    PartEnded(index=5),
    PartBegun(index=6, part=ToolCall(id="d", name="g", arguments="free", custom=True)),
    PartEnded(index=6),
    PartBegun(index=7, part=Media(kind="image", mime="image/png", data="aGk=")),
    PartEnded(index=7),
    PartBegun(index=8, part=Media(kind="audio", name="au", data="AAAA", extra={"transcript": raw("Hi")})),
    PartEnded(index=8),
    Finished(reason="tool_calls"),
    Ended(),
]


def whole() -> Any:
    return json.loads(CHAT.write_reply(ANSWER, model="m"))["choices"][0]["message"]


def test_a_message_tells_thoughts_with_their_proofs() -> None:
    message = whole()
    assert message["reasoning_content"] == "First thought.\n\nSum.\n\nPlain."
    assert message["reasoning_details"] == [
        {
            "type": "reasoning.text",
            "text": "First thought.",
            "format": "anthropic-claude-v1",
            "index": 0,
            "signature": "sig-1",
        },
        {"type": "reasoning.encrypted", "data": "hidden", "format": "anthropic-claude-v1", "index": 1},
        {
            "type": "reasoning.summary",
            "summary": "Sum.",
            "format": "openai-responses-v1",
            "id": "rs_1",
            "index": 2,
        },
        {
            "type": "reasoning.encrypted",
            "data": "blob",
            "format": "openai-responses-v1",
            "id": "rs_1",
            "index": 3,
        },
        {"type": "reasoning.text", "text": "Plain.", "format": "unknown", "index": 4},
    ]
    assert message["annotations"] == [
        {"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 6, "title": "T", "url": "u"}}
    ]
    call, custom = message["tool_calls"]
    assert call["extra_content"] == {"google": {"thought_signature": "sig-2"}}
    assert custom == {"id": "d", "type": "custom", "custom": {"name": "g", "input": "free"}}
    assert message["images"][0]["image_url"]["url"] == "data:image/png;base64,aGk="
    assert message["audio"] == {"id": "au", "data": "AAAA", "transcript": "Hi"}


def test_a_client_sends_them_back_as_they_were() -> None:
    message = whole()
    del message["reasoning_content"], message["images"], message["audio"]
    asked = CHAT.read_request(json.dumps({"model": "m", "messages": [message]}).encode())
    thoughts = [part for part in asked.messages[0].parts if isinstance(part, Thought)]
    first, second, third, _, fifth = (f"messages[0].reasoning_details[{at}]" for at in range(5))
    assert thoughts == [
        Thought(text="First thought.", signature="sig-1", origin=CLAUDE, path=first),
        Thought(sealed="hidden", origin=CLAUDE, path=second),
        Thought(text="Sum.", id="rs_1", summary=True, sealed="blob", origin=OPENAI, path=third),
        Thought(text="Plain.", origin="openai.chat", path=fifth),
    ]
    calls = [part for part in asked.messages[0].parts if isinstance(part, ToolCall)]
    assert [call.signature for call in calls] == ["sig-2", None]


def test_a_stream_tells_the_same() -> None:
    asked = Conversation(model="m", messages=(), origin="openai.chat")
    writer = CHAT.stream_writer(asked, model="m")
    body = b"".join(writer.feed([event]) for event in ANSWER)
    reader = CHAT.stream_reader()
    said = gist(reader.feed(body) + reader.end()).choices[0]
    assert said.proofs == ["sig-1", "hidden", "blob"]
    assert said.thoughts == "First thought.Sum.Plain."
    assert said.text == "Answer"
    assert said.calls == [("c", "f", "{}"), ("d", "g", "free")]
    assert said.citations == 1


@pytest.mark.parametrize(
    ("message", "thoughts"),
    [
        ({"reasoning": "a"}, [("a", None)]),
        ({"reasoning_content": "a", "reasoning_details": [{"signature": "s", "index": 0}]}, [("a", "s")]),
        (
            {"reasoning_content": "a", "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]},
            [("a", None), ("", None)],
        ),
        (
            {
                "reasoning": "ab",
                "reasoning_details": [
                    {"type": "reasoning.text", "text": "a", "index": 0},
                    {"type": "reasoning.text", "text": "b", "index": 0},
                    {"type": "reasoning.text", "signature": "s", "index": 0},
                    {"type": "reasoning.text", "text": "c", "index": 0},
                ],
            },
            [("ab", "s"), ("c", None)],
        ),
        ({"reasoning_details": [None, 5]}, []),
    ],
)
def test_details_are_put_together(message: Any, thoughts: list[tuple[str, str | None]]) -> None:
    assert [(each.text, each.signature) for each in thoughts_of(message, "m")] == thoughts


@pytest.mark.parametrize(
    ("said", "flat"),
    [
        (
            {"web": {"uri": "u", "title": "T"}, "startIndex": 1, "endIndex": 3},
            {"type": "url_citation", "start_index": 1, "end_index": 3, "title": "T", "url": "u"},
        ),
        (
            {"type": "file_citation", "file_citation": {"file_id": "f"}},
            {"type": "file_citation", "file_id": "f"},
        ),
        ({"type": "page_location"}, None),
        ([], None),
    ],
)
def test_citations_of_other_dialects(said: object, flat: object) -> None:
    assert flat_citation(raw(said), 9) == flat


def test_our_own_annotations_stay_as_they_are() -> None:
    assert annotation(raw({"type": "x", "y": 1}), "openai.chat", 0) == {"type": "x", "y": 1}


def test_a_signature_alone_is_told_too() -> None:
    events: list[AnyEvent] = [
        PartBegun(index=0, part=Thought(signature="s", origin=CLAUDE)),
        PartEnded(index=0),
        PartBegun(index=1, part=Thought(origin="openai.chat")),
        SignatureTold(index=1, sealed="x"),
        PartEnded(index=1),
        Finished(reason="refusal"),
        Ended(),
    ]
    reply = json.loads(CHAT.write_reply(events, model="m"))["choices"][0]
    assert [detail["type"] for detail in reply["message"]["reasoning_details"]] == [
        "reasoning.text",
        "reasoning.encrypted",
    ]
    assert reply["finish_reason"] == "content_filter"
