"""Every recorded exchange of this dialect: read, cut anywhere, written again, and judged by Ollama's own library where it is there."""

import importlib.util
import json
from collections import Counter
from typing import Any

import pytest

from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.events import AnyEvent
from chatvault.wire.ollama.dialect import OLLAMA, OLLAMA_GENERATE
from chatvault.wire.ollama.facts import read_facts
from chatvault.wire.ollama.lines import LineSplitter
from chatvault.wire.ollama.request import read
from chatvault.wire.ollama.tap import StreamTap
from tests.wire.openai.recordings import Exchange, Gist, exchanges, gist, pieces

pytestmark = pytest.mark.recorded
LIBRARY = importlib.util.find_spec("ollama") is not None
DIALECTS = {"ollama.chat": OLLAMA, "ollama.generate": OLLAMA_GENERATE}
EMPTY: tuple[Any, ...] = (None, "", [], {}, False)


def streamed(body: bytes, *sizes: int) -> list[AnyEvent]:
    reader = OLLAMA.stream_reader()
    found = [event for piece in pieces(body, sizes) for event in reader.feed(piece)]
    return found + reader.end()


def read_answer(each: Exchange) -> list[AnyEvent]:
    return streamed(each.body, len(each.body)) if each.streaming else OLLAMA.read_reply(each.body)


def test_requests_come_back_as_they_were() -> None:
    for each in exchanges("ollama.chat"):
        assert isinstance(each.request_body, dict)
        body = json.dumps(each.request_body).encode()
        assert read(body).stream is bool(each.request_body["stream"])
        dropped = Dropped()
        conversation = OLLAMA.read_request(body)
        written = json.loads(OLLAMA.write_request(conversation, dropped))
        assert not dropped.paths, each.id
        assert plain(written) == plain(each.request_body), each.id
        if LIBRARY:
            import ollama

            ollama._types.ChatRequest.model_validate(written)


def plain(request: dict[str, Any]) -> object:
    """What says nothing left out: an answer in no format, no tools, no options."""
    out = {
        name: value for name, value in request.items() if value not in EMPTY or name in ("stream", "think")
    }
    out["messages"] = [
        {name: value for name, value in message.items() if value not in EMPTY}
        for message in request["messages"]
    ]
    return out


def test_prompts_become_conversations() -> None:
    for each in exchanges("ollama.generate"):
        assert isinstance(each.request_body, dict)
        conversation = OLLAMA_GENERATE.read_request(json.dumps(each.request_body).encode())
        dropped = Dropped()
        written = json.loads(OLLAMA.write_request(conversation, dropped))
        assert written["messages"][-1]["content"] == each.request_body["prompt"]
        assert set(dropped.paths) == {
            name for name in ("template", "raw") if each.request_body.get(name) not in EMPTY
        }


def test_answers_are_read_however_they_are_cut() -> None:
    count = Counter[str]()
    for name in DIALECTS:
        for each in exchanges(name):
            if each.status != 200:
                failed = OLLAMA.read_error(each.status, each.body)
                assert (failed.status, failed.message) == (each.status, json.loads(each.body)["error"])
                assert json.loads(OLLAMA.write_error(failed, each.status))["error"] == failed.message
                count["errors"] += 1
                continue
            found = read_answer(each)
            said = gist(found)
            check(said, each)
            if each.streaming:
                assert streamed(each.body, 1, 17, 900) == found
                check_tap(said, each)
            else:
                assert read_facts(each.body).usage == said.usage
            count[f"{name} {'streams' if each.streaming else 'whole'}"] += 1
    print(dict(count))
    assert sum(count.values()) == 149


def check(said: Gist, each: Exchange) -> None:
    lines = [json.loads(line) for line in each.body.splitlines() if line.strip()]
    messages = [line.get("message", {"content": line.get("response")}) for line in lines]
    choice = said.choices[0]
    assert said.whole
    assert choice.text == "".join(message.get("content", "") for message in messages)
    assert choice.thoughts == "".join(message.get("thinking", "") for message in messages)
    calls = [call for message in messages for call in message.get("tool_calls", ())]
    assert [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in calls] == [
        (id, name, json.loads(arguments)) for id, name, arguments in choice.calls
    ]
    assert choice.finish == ("tool_calls" if calls else lines[-1]["done_reason"])
    assert said.usage is not None
    assert said.usage.input == lines[-1].get("prompt_eval_count", 0)
    assert said.usage.output == lines[-1]["eval_count"]


def check_tap(said: Gist, each: Exchange) -> None:
    for sizes in ((len(each.body),), (13, 700)):
        splitter, tap, out = LineSplitter(), StreamTap(), b""
        for piece in pieces(each.body, sizes):
            whole = splitter.feed(piece)
            out += tap.scan(whole) if whole else b""
        assert out == each.body
        assert tap.done
        assert tap.ended
        assert tap.events == each.body.count(b"\n")
        assert tap.facts.usage == said.usage


def test_what_is_written_says_the_same() -> None:
    for name, dialect in DIALECTS.items():
        conversation = OLLAMA.read_request(b'{"model": "m", "messages": []}')
        for each in exchanges(name):
            if each.status != 200:
                continue
            found = read_answer(each)
            said = gist(found)
            whole = dialect.write_reply(found, model="m")
            writer = dialect.stream_writer(conversation, model="m")
            stream = b"".join(writer.feed([event]) for event in found)
            assert gist(OLLAMA.read_reply(whole)).usage == said.usage
            for again in (OLLAMA.read_reply(whole), streamed(stream, 11)):
                assert gist(again) == said, each.id
            if LIBRARY:
                import ollama

                shape = ollama.ChatResponse if name == "ollama.chat" else ollama.GenerateResponse
                for line in (whole, *stream.splitlines()):
                    shape.model_validate_json(line)
