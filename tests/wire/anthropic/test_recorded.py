"""Every recorded exchange of this dialect: read, cut anywhere, written again, and judged by Anthropic's own
library where it is there.
"""

import gzip
import importlib.util
import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatvault.core.errors import ClientError
from chatvault.core.usage import Usage
from chatvault.wire.anthropic.dialect import MESSAGES
from chatvault.wire.anthropic.finish import READ
from chatvault.wire.anthropic.reply import read_facts
from chatvault.wire.anthropic.request import read
from chatvault.wire.anthropic.tap import MessagesTap
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.events import AnyEvent
from chatvault.wire.sse import EventSplitter
from tests.wire.anthropic.plain import plain_request
from tests.wire.anthropic.told import Told, told

FOLDER = os.environ.get("CHATVAULT_RECORDED")
pytestmark = [
    pytest.mark.recorded,
    pytest.mark.skipif(FOLDER is None, reason="CHATVAULT_RECORDED names no folder"),
]
LIBRARY = importlib.util.find_spec("anthropic") is not None


def exchanges(*files: str) -> Iterator[dict[str, Any]]:
    """Some recordings hold several streams one behind the other; the first of them is an answer."""
    for file in files:
        with gzip.open(Path(str(FOLDER)) / f"{file}.jsonl.gz", "rt") as lines:
            for line in lines:
                each = json.loads(line)
                body = each["response_body"]
                if each["streaming"] and body.count('"type":"message_stop"') > 1:
                    each["response_body"] = (
                        body[: body.index('"type":"message_stop"')] + '"type":"message_stop"}\n\n'
                    )
                yield each


def test_requests_come_back_as_they_were() -> None:
    count = Counter[str]()
    for each in exchanges("anthropic.messages", "anthropic.count_tokens"):
        request = each["request_body"]
        if not isinstance(request, dict):
            continue
        body = json.dumps(request).encode()
        try:
            conversation = MESSAGES.read_request(body)
        except ClientError as error:
            count[f"refused, as the provider did: {each['status']} at {error.param}"] += 1
            continue
        dropped = Dropped()
        written = json.loads(MESSAGES.write_request(conversation, dropped))
        if "max_tokens" not in request:
            del written["max_tokens"]
        assert plain_request(written) == plain_request(request), each["id"]
        assert dropped.paths == ()
        asked = read(body)
        assert (asked.model, asked.stream) == (request["model"], request.get("stream") is True)
        assert asked.max_output() == request.get("max_tokens")
        count["passed"] += 1
    print("\nanthropic.messages requests:", dict(count))
    assert count["passed"] >= 520
    assert all("400" in each for each in count if each != "passed")


def usage_of(body: str, streaming: bool) -> Usage | None:
    """The provider's own, added up by the letter of its documentation."""
    said: dict[str, Any] = {}
    for values in events_of(body) if streaming else [json.loads(body)]:
        inner = values["message"] if values.get("type") == "message_start" else values
        if values.get("type") in ("message_start", "message_delta", "message"):
            said |= {name: value for name, value in inner.get("usage", {}).items() if value is not None}
    if not said:
        return None
    total = Usage()
    entries = [said, *(each for each in said.get("iterations") or () if each["type"] == "compaction")]
    for each in entries:
        written = each.get("cache_creation_input_tokens", 0)
        long = (each.get("cache_creation") or {}).get("ephemeral_1h_input_tokens", 0)
        total = Usage(
            input=total.input + each["input_tokens"] + written + each.get("cache_read_input_tokens", 0),
            cached=total.cached + each.get("cache_read_input_tokens", 0),
            cache_write=total.cache_write + written - long,
            cache_write_1h=total.cache_write_1h + long,
            output=total.output + each["output_tokens"],
            reasoning=total.reasoning + (each.get("output_tokens_details") or {}).get("thinking_tokens", 0),
            searches=total.searches + (each.get("server_tool_use") or {}).get("web_search_requests", 0),
        )
    return total


def events_of(body: str) -> Iterator[dict[str, Any]]:
    for event in body.replace("\r\n", "\n").split("\n\n"):
        data = "\n".join(line[5:] for line in event.split("\n") if line.startswith("data:"))
        if data:
            yield json.loads(data)


def streamed(body: bytes, sizes: Iterator[int]) -> list[AnyEvent]:
    reader, at, found = MESSAGES.stream_reader(), 0, list[AnyEvent]()
    while at < len(body):
        size = next(sizes)
        found += reader.feed(body[at : at + size])
        at += size
    return found + reader.end()


def sizes(most: int) -> Iterator[int]:
    chance = random.Random(most)
    while True:
        yield chance.randint(1, most)


def test_answers_are_read_whole_and_cut_anywhere() -> None:
    count = Counter[str]()
    for each in exchanges("anthropic.messages", "vertex.anthropic"):
        body = each["response_body"]
        if each["status"] != 200:
            continue
        raw = body.encode()
        if not each["streaming"]:
            found = told(MESSAGES.read_reply(raw))
            assert found.usage == read_facts(raw).usage == usage_of(body, False), each["id"]
            assert found.ended
            count["whole"] += 1
            continue
        found = told(streamed(raw, sizes(1 << 20)))
        for most in (7, 300) if len(raw) > 6_000 else (1, 50):
            assert told(streamed(raw, sizes(most))) == found, each["id"]
        assert found.usage == usage_of(body, True), each["id"]
        assert found.ended is ("message_stop" in body), each["id"]
        tap = tapped(raw)
        assert tap.facts.usage == found.usage
        assert tap.facts.model == found.model
        assert tap.facts.finish == (found.finish.said if found.finish else None)
        assert (tap.done, tap.facts.error) == (found.ended, None)
        count["streamed"] += 1
    print("\nanthropic answers:", dict(count))
    assert count["whole"] >= 340
    assert count["streamed"] >= 230


def tapped(raw: bytes) -> MessagesTap:
    tap, splitter = MessagesTap(), EventSplitter()
    for at in range(0, len(raw), 700):
        if whole := splitter.feed(raw[at : at + 700]):
            assert tap.scan(whole) == whole
    tap.scan(bytes(splitter.partial) + b"\n\n")
    return tap


def test_refusals_keep_what_they_say() -> None:
    count = 0
    for each in exchanges("anthropic.messages"):
        if each["status"] == 200:
            continue
        said = json.loads(each["response_body"])["error"]
        error = MESSAGES.read_error(each["status"], each["response_body"].encode())
        assert (error.status, error.kind, error.message) == (each["status"], said["type"], said["message"])
        written = json.loads(MESSAGES.write_error(error, each["status"]))
        assert written["error"] == said
        count += 1
    assert count >= 20


def written_again(events: list[AnyEvent]) -> tuple[dict[str, Any], bytes]:
    conversation = MESSAGES.read_request(b'{"model":"m","messages":[]}')
    writer = MESSAGES.stream_writer(conversation, model="m")
    stream = b"".join(writer.feed([event]) for event in events)
    return json.loads(MESSAGES.write_reply(events, model="m")), stream


def test_answers_written_again_say_the_same() -> None:
    count = Counter[str]()
    for each in exchanges("anthropic.messages"):
        if each["status"] != 200:
            continue
        raw = each["response_body"].encode()
        events = streamed(raw, sizes(1 << 20)) if each["streaming"] else MESSAGES.read_reply(raw)
        original = told(events)
        whole, stream = written_again(events)
        assert same(told(MESSAGES.read_reply(json.dumps(whole).encode())), original), each["id"]
        assert same(told(streamed(stream, sizes(999))), original), each["id"]
        if LIBRARY:
            judged(whole, stream, original)
        count["passed"] += 1
    print("\nanthropic answers written again:", dict(count), "judged by the library:", LIBRARY)
    assert count["passed"] >= 570


def same(one: Told, two: Told) -> bool:
    """But for compaction, which is told in the sum."""
    assert one.parts == two.parts
    assert one.usage == two.usage
    assert (one.finish, one.ended, one.model, one.id) == (two.finish, two.ended, two.model, two.id)
    return True


def judged(whole: dict[str, Any], stream: bytes, original: Told) -> None:
    import anthropic  # type: ignore[import-not-found,unused-ignore]
    import httpx2

    def answer(request: httpx2.Request) -> httpx2.Response:
        if json.loads(request.content).get("stream"):
            return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=stream)
        return httpx2.Response(200, json=whole)

    client = anthropic.Anthropic(
        api_key="k",
        base_url="http://test",
        http_client=anthropic.DefaultHttpxClient(transport=httpx2.MockTransport(answer)),
    )
    ask: Any = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    message = client.messages.create(**ask)
    answers = [message]
    if not any(isinstance(part.get("arguments"), str) for part in original.parts):
        # The library refuses arguments that are broken, from Anthropic too.
        with client.messages.stream(**ask) as parsed:
            answers.append(parsed.get_final_message())
    for got in answers:
        texts = [block.text for block in got.content if block.type == "text"]
        assert texts == [part["text"] for part in original.parts if part["part"] == "text"]
        calls = [(block.id, block.name, block.input) for block in got.content if block.type == "tool_use"]
        expected = [
            (part["id"], part["name"], part["arguments"])
            for part in original.parts
            if part["part"] == "tool_call"
        ]
        assert [call[:2] for call in calls] == [call[:2] for call in expected]
        for call, wanted in zip(calls, expected, strict=True):
            assert call[2] == wanted[2] or isinstance(wanted[2], str)
        assert original.finish is not None
        assert READ[str(got.stop_reason)] == original.finish.reason
        assert original.usage is not None
        assert got.usage.output_tokens == original.usage.output
