"""Searches of the web, told by one dialect and heard in another: the definition of the tool, what was asked and found,
what the text rests on, and the turn when the client sends it back."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from chatvault.wire.anthropic.dialect import MESSAGES
from chatvault.wire.gemini.dialect import GEMINI
from chatvault.wire.hub.dialect import ConversationDialect
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.events import AnyEvent
from chatvault.wire.ollama.dialect import OLLAMA
from chatvault.wire.openai.chat.dialect import ChatDialect
from chatvault.wire.openai.responses.dialect import ResponsesDialect
from tests.recorded.anthropic_messages import Messages
from tests.recorded.clients import Client
from tests.recorded.gemini_generate import Generate
from tests.recorded.ollama_chat import OllamaChat
from tests.recorded.openai_chat import Chat
from tests.recorded.openai_responses import Responses

CHAT, RESPONSES = ChatDialect(), ResponsesDialect()
DIALECTS: dict[str, ConversationDialect] = {
    each.name: each for each in (CHAT, RESPONSES, MESSAGES, GEMINI, OLLAMA)
}
LIBRARIES: dict[str, Callable[[], Client]] = {
    "openai.chat": Chat,
    "openai.responses": Responses,
    "anthropic.messages": Messages,
    "gemini.generate": Generate,
    "ollama.chat": OllamaChat,
}
HELLO = [{"role": "user", "content": "hi"}]
SAID = "Ålesund is wet. It rains."
RAIN = (16, 25)
"""Where "It rains." stands, in characters; one byte further in UTF-8."""
PLACE: dict[str, Any] = {"city": "Oslo", "country": "NO"}

ANSWERS: dict[str, dict[str, Any]] = {
    "openai.responses": {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "m",
        "status": "completed",
        "output": [
            {
                "type": "web_search_call",
                "id": "ws_1",
                "status": "completed",
                "action": {
                    "type": "search",
                    "query": "rain",
                    "queries": ["rain", "wet"],
                    "sources": [{"type": "url", "url": "https://a"}],
                },
            },
            {
                "type": "message",
                "id": "msg_1",
                "status": "completed",
                "role": "assistant",
                "content": [
                    {
                        "type": "output_text",
                        "text": SAID,
                        "annotations": [
                            {
                                "type": "url_citation",
                                "url": "https://a",
                                "title": "A",
                                "start_index": RAIN[0],
                                "end_index": RAIN[1],
                            }
                        ],
                    }
                ],
            },
        ],
        "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
    },
    "anthropic.messages": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "stop_reason": "end_turn",
        "content": [
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "rain"}},
            {
                "type": "web_search_tool_result",
                "tool_use_id": "srvtoolu_1",
                "content": [
                    {
                        "type": "web_search_result",
                        "url": "https://a",
                        "title": "A",
                        "encrypted_content": "x",
                        "page_age": "1 day",
                    }
                ],
            },
            {"type": "text", "text": SAID[: RAIN[0]]},
            {
                "type": "text",
                "text": SAID[RAIN[0] :],
                "citations": [
                    {
                        "type": "web_search_result_location",
                        "url": "https://a",
                        "title": "A",
                        "cited_text": "Rain falls.",
                        "encrypted_index": "y",
                    }
                ],
            },
        ],
        "usage": {"input_tokens": 1, "output_tokens": 2, "server_tool_use": {"web_search_requests": 1}},
    },
    "gemini.generate": {
        "responseId": "1",
        "modelVersion": "m",
        "candidates": [
            {
                "content": {"role": "model", "parts": [{"text": SAID}]},
                "finishReason": "STOP",
                "groundingMetadata": {
                    "webSearchQueries": ["rain"],
                    "groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}],
                    "groundingSupports": [
                        {
                            "segment": {
                                "startIndex": RAIN[0] + 1,
                                "endIndex": RAIN[1] + 1,
                                "text": "It rains.",
                            },
                            "groundingChunkIndices": [0],
                        }
                    ],
                },
            }
        ],
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3},
    },
    "openai.chat": {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {
                    "role": "assistant",
                    "content": SAID,
                    "annotations": [
                        {
                            "type": "url_citation",
                            "url_citation": {
                                "url": "https://a",
                                "title": "A",
                                "start_index": RAIN[0],
                                "end_index": RAIN[1],
                            },
                        }
                    ],
                },
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    },
}
SEARCHED = frozenset(ANSWERS) - {"openai.chat"}
"""Dialects that tell of the search itself, and not of what was found alone."""


def read(dialect: str) -> list[AnyEvent]:
    return DIALECTS[dialect].read_reply(json.dumps(ANSWERS[dialect]).encode())


def whole(asked: str, events: list[AnyEvent]) -> Any:
    body = DIALECTS[asked].write_reply(events, model="m")
    assert LIBRARIES[asked]().whole(body).choice().text == SAID
    return json.loads(body)


def streamed(asked: str, events: list[AnyEvent]) -> list[Any]:
    """The data of each event of a stream."""
    conversation = DIALECTS["openai.chat"].read_request(
        json.dumps({"model": "m", "messages": HELLO}).encode()
    )
    body = DIALECTS[asked].stream_writer(conversation, model="m").feed(events)
    assert LIBRARIES[asked]().stream(body).choice().text == SAID
    lines = body.decode().splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


others = pytest.mark.parametrize("answering", ANSWERS)


@others
def test_a_client_of_responses_sees_its_calls_and_annotations(answering: str) -> None:
    events = read(answering)
    output = whole("openai.responses", events)["output"]
    calls = [item for item in output if item["type"] == "web_search_call"]
    assert len(calls) == (answering in SEARCHED)
    for call in calls:
        assert call["id"].startswith("ws_")
        assert (call["status"], call["action"]["type"]) == ("completed", "search")
        assert call["action"]["queries"][0] == "rain"
        assert call["action"]["sources"] == [{"type": "url", "url": "https://a"}]
    contents = [part for item in output if item["type"] == "message" for part in item["content"]]
    (cited,) = [(part, each) for part in contents for each in part["annotations"]]
    part, citation = cited
    assert (citation["type"], citation["url"], citation["title"]) == ("url_citation", "https://a", "A")
    assert part["text"][citation["start_index"] : citation["end_index"]] == "It rains."
    told = streamed("openai.responses", events)
    assert told[-1]["response"]["output"] == output
    kinds = [each["type"] for each in told]
    assert kinds.count("response.output_text.annotation.added") == 1
    assert (kinds.count("response.web_search_call.completed") == 1) is (
        answering in SEARCHED - {"openai.responses"}
    )


@others
def test_a_client_of_chat_sees_annotations(answering: str) -> None:
    events = read(answering)
    message = whole("openai.chat", events)["choices"][0]["message"]
    (citation,) = message["annotations"]
    page = citation["url_citation"]
    assert (page["url"], page["title"]) == ("https://a", "A")
    assert message["content"][page["start_index"] : page["end_index"]] == "It rains."
    deltas = [each["choices"][0]["delta"] for each in streamed("openai.chat", events) if each["choices"]]
    (told,) = [each for delta in deltas for each in delta.get("annotations", ())]
    assert told == {"index": 0, **citation}


@others
def test_a_client_of_anthropic_sees_blocks_and_citations(answering: str) -> None:
    content = whole("anthropic.messages", read(answering))["content"]
    kinds = [block["type"] for block in content]
    if answering in SEARCHED:
        call = content[kinds.index("server_tool_use")]
        result = content[kinds.index("web_search_tool_result")]
        assert (call["name"], call["input"]["query"].split("\n")[0]) == ("web_search", "rain")
        assert call["id"].startswith("srvtoolu_")
        assert result["tool_use_id"] == call["id"]
        assert [each["url"] for each in result["content"]] == ["https://a"]
    else:
        assert "server_tool_use" not in kinds
    cited = [each for block in content for each in block.get("citations") or ()]
    assert [(each["type"], each["url"], each["title"]) for each in cited] == [
        ("web_search_result_location", "https://a", "A")
    ]
    told = streamed("anthropic.messages", read(answering))
    assert sum(each.get("delta", {}).get("type") == "citations_delta" for each in told) == 1


@others
def test_a_client_of_gemini_sees_what_the_answer_rests_on(answering: str) -> None:
    for candidate in (
        whole("gemini.generate", read(answering))["candidates"][0],
        streamed("gemini.generate", read(answering))[-1]["candidates"][0],
    ):
        grounding = candidate["groundingMetadata"]
        assert grounding.get("webSearchQueries", [None])[0] == ("rain" if answering in SEARCHED else None)
        assert grounding["groundingChunks"] == [{"web": {"uri": "https://a", "title": "A"}}]
        (support,) = grounding["groundingSupports"]
        assert support["groundingChunkIndices"] == [0]
        segment = support["segment"]
        assert SAID.encode()[segment["startIndex"] : segment["endIndex"]] == b"It rains."
        assert segment["text"] == "It rains."


@others
def test_a_client_of_ollama_sees_the_text_alone(answering: str) -> None:
    assert set(whole("ollama.chat", read(answering))["message"]) == {"role", "content"}


def test_a_page_that_the_client_named_is_cited_and_was_no_search() -> None:
    """Gemini tells of what it fetched in the same place."""
    candidate = ANSWERS["gemini.generate"]["candidates"][0]
    grounding = {**candidate["groundingMetadata"], "webSearchQueries": []}
    answer = {**ANSWERS["gemini.generate"], "candidates": [{**candidate, "groundingMetadata": grounding}]}
    events = GEMINI.read_reply(json.dumps(answer).encode())
    output = whole("openai.responses", events)["output"]
    assert [item["type"] for item in output] == ["message"]
    assert output[0]["content"][0]["annotations"][0]["url"] == "https://a"
    content = whole("anthropic.messages", events)["content"]
    assert [block["type"] for block in content] == ["text"]


def test_a_turn_that_is_sent_back_tells_of_the_search_again() -> None:
    """Anthropic's search, as a client of Anthropic's sends it, to a provider of responses; and the other way round."""
    blocks = ANSWERS["anthropic.messages"]["content"]
    asked = MESSAGES.read_request(
        json.dumps(
            {
                "model": "m",
                "max_tokens": 9,
                "messages": [*HELLO, {"role": "assistant", "content": blocks}, *HELLO],
            }
        ).encode()
    )
    dropped = Dropped()
    items = json.loads(RESPONSES.write_request(asked, dropped))["input"]
    (call,) = [item for item in items if item.get("type") == "web_search_call"]
    assert call == {
        "type": "web_search_call",
        "id": "ws_srvtoolu_1",
        "status": "completed",
        "action": {
            "type": "search",
            "query": "rain",
            "queries": ["rain"],
            "sources": [{"type": "url", "url": "https://a"}],
        },
    }
    texts = [part for item in items if item.get("role") == "assistant" for part in item["content"]]
    assert texts[-1]["annotations"][0]["url"] == "https://a"
    assert dropped.paths == ("messages[1].content[1].content",)  # sealed, and with titles

    told = whole("anthropic.messages", read("openai.responses"))["content"]
    again = MESSAGES.read_request(
        json.dumps(
            {
                "model": "m",
                "max_tokens": 9,
                "messages": [*HELLO, {"role": "assistant", "content": told}, *HELLO],
            }
        ).encode()
    )
    items = json.loads(RESPONSES.write_request(again, Dropped()))["input"]
    assert [item["id"] for item in items if item.get("type") == "web_search_call"] == ["ws_1"]


def test_what_others_found_is_not_sent_to_anthropic() -> None:
    """It would refuse results that it has not sealed itself."""
    asked = RESPONSES.read_request(
        json.dumps({"model": "m", "input": [*HELLO, *ANSWERS["openai.responses"]["output"], *HELLO]}).encode()
    )
    dropped = Dropped()
    written = json.loads(MESSAGES.write_request(asked, dropped))
    assert written["messages"][1] == {"role": "assistant", "content": SAID}
    assert "input[1]" in dropped.paths


def test_a_search_that_failed_says_so() -> None:
    answer = ANSWERS["anthropic.messages"]
    failed = {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}
    content = [answer["content"][0], {**answer["content"][1], "content": failed}]
    events = MESSAGES.read_reply(json.dumps({**answer, "content": content}).encode())
    output = json.loads(RESPONSES.write_reply(events, model="m"))["output"]
    assert [(item["type"], item["status"]) for item in output] == [("web_search_call", "failed")]
    back = RESPONSES.read_reply(RESPONSES.write_reply(events, model="m"))
    blocks = json.loads(MESSAGES.write_reply(back, model="m"))["content"]
    assert blocks[1]["content"]["type"] == "web_search_tool_result_error"


def test_a_search_whose_end_is_not_told_is_incomplete() -> None:
    answer = ANSWERS["anthropic.messages"]
    paused = {**answer, "content": answer["content"][:1], "stop_reason": "pause_turn"}
    events = MESSAGES.read_reply(json.dumps(paused).encode())
    output = json.loads(RESPONSES.write_reply(events, model="m"))["output"]
    assert [(item["type"], item["status"]) for item in output] == [("web_search_call", "incomplete")]


DEFINITIONS: dict[str, dict[str, Any]] = {
    "openai.responses": {
        "model": "m",
        "input": "hi",
        "tools": [
            {
                "type": "web_search",
                "search_context_size": "low",
                "user_location": {"type": "approximate", **PLACE},
                "filters": {"allowed_domains": ["a.com"]},
                "external_web_access": False,
            }
        ],
    },
    "openai.chat": {
        "model": "m",
        "messages": HELLO,
        "web_search_options": {
            "search_context_size": "low",
            "user_location": {"type": "approximate", "approximate": PLACE},
        },
    },
    "anthropic.messages": {
        "model": "m",
        "max_tokens": 9,
        "messages": HELLO,
        "tools": [
            {
                "type": "web_search_20260209",
                "name": "web_search",
                "max_uses": 3,
                "blocked_domains": ["b.com"],
                "user_location": {"type": "approximate", **PLACE},
            }
        ],
    },
    "gemini.generate": {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "tools": [{"googleSearch": {"excludeDomains": ["b.com"], "timeRangeFilter": {"startTime": "x"}}}],
    },
}
LOST: dict[tuple[str, str], set[str]] = {
    ("openai.responses", "openai.chat"): {
        "tools[0].filters.allowed_domains",
        "tools[0].external_web_access",
    },
    ("openai.responses", "anthropic.messages"): {
        "tools[0].search_context_size",
        "tools[0].external_web_access",
    },
    ("openai.responses", "gemini.generate"): {
        "tools[0].search_context_size",
        "tools[0].external_web_access",
        "tools[0].filters.allowed_domains",
        "tools[0].user_location",
    },
    ("openai.chat", "openai.responses"): set(),
    ("openai.chat", "anthropic.messages"): {"web_search_options.search_context_size"},
    ("openai.chat", "gemini.generate"): {
        "web_search_options.search_context_size",
        "web_search_options.user_location",
    },
    ("anthropic.messages", "openai.responses"): {"tools[0].blocked_domains"},
    ("anthropic.messages", "openai.chat"): {"tools[0].blocked_domains", "tools[0].max_uses"},
    ("anthropic.messages", "gemini.generate"): {
        "tools[0].blocked_domains",
        "tools[0].max_uses",
        "tools[0].user_location",
    },
    ("gemini.generate", "openai.responses"): {
        "tools[0].googleSearch.excludeDomains",
        "tools[0].googleSearch.timeRangeFilter",
    },
    ("gemini.generate", "openai.chat"): {
        "tools[0].googleSearch.excludeDomains",
        "tools[0].googleSearch.timeRangeFilter",
    },
    ("gemini.generate", "anthropic.messages"): {"tools[0].googleSearch.timeRangeFilter"},
}


@pytest.mark.parametrize(("asked", "answering"), LOST)
def test_definitions_go_over_and_what_does_not_is_named(asked: str, answering: str) -> None:
    conversation = DIALECTS[asked].read_request(
        json.dumps(DEFINITIONS[asked]).encode(), model="m", stream=False
    )
    dropped = Dropped()
    body = json.loads(DIALECTS[answering].write_request(conversation, dropped))
    assert set(dropped.paths) == LOST[asked, answering]
    LIBRARIES[answering]().check(body)
    place = PLACE if asked != "gemini.generate" else None
    match answering:
        case "openai.chat":
            located = body["web_search_options"].get("user_location")
            assert located == (place and {"type": "approximate", "approximate": place})
        case "gemini.generate":
            assert body["tools"] == [{"googleSearch": {}}]
        case _:
            (tool,) = body["tools"]
            assert tool["type"].startswith("web_search")
            assert tool.get("user_location") == (place and {"type": "approximate", **place})
    if (asked, answering) == ("anthropic.messages", "openai.responses"):
        assert body["max_tool_calls"] == 3
    if (asked, answering) == ("openai.responses", "anthropic.messages"):
        assert body["tools"][0]["allowed_domains"] == ["a.com"]
    if (asked, answering) == ("gemini.generate", "anthropic.messages"):
        assert body["tools"][0]["blocked_domains"] == ["b.com"]
