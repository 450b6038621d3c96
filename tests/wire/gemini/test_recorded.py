"""Every recorded exchange of this dialect: read, cut anywhere, written again, and judged by Google's own library where it is there."""

import importlib.util
import json
from collections import Counter
from typing import Any

import pytest

from chatvault.core.errors import ClientError
from chatvault.wire.gemini.array import ArraySplitter
from chatvault.wire.gemini.dialect import GEMINI, GEMINI_ARRAY
from chatvault.wire.gemini.facts import read_facts
from chatvault.wire.gemini.request import read
from chatvault.wire.gemini.tap import StreamTap
from chatvault.wire.gemini.usage import normalise
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.events import AnyEvent
from chatvault.wire.sse import EventSplitter, data_of, events
from tests.wire.gemini.plain import plain_request
from tests.wire.openai.recordings import Exchange, Gist, exchanges, gist, pieces

pytestmark = pytest.mark.recorded
LIBRARY = (
    importlib.util.find_spec("google") is not None and importlib.util.find_spec("google.genai") is not None
)


def answers() -> list[Exchange]:
    found = [*exchanges("gemini.generate"), *exchanges("gemini.stream")]
    return [each for each in found if each.response_body and "predictions" not in each.response_body]


def documents(each: Exchange) -> list[dict[str, Any]]:
    """The answer's chunks, read by other means than ours."""
    if each.body.lstrip().startswith(b"data:"):
        found = [data_of(event) for event in events(each.body.replace(b"\r\n", b"\n"))]
        return [json.loads(data) for data in found if data]
    value = json.loads(each.body)
    return value if isinstance(value, list) else [value]


def streamed(body: bytes, *sizes: int) -> list[AnyEvent]:
    reader = GEMINI.stream_reader()
    found = [event for piece in pieces(body, sizes) for event in reader.feed(piece)]
    return found + reader.end()


def test_requests_come_back_as_they_were() -> None:
    count = Counter[str]()
    for each in [*exchanges("gemini.generate"), *exchanges("gemini.stream")]:
        if not isinstance(each.request_body, dict):
            continue
        body = json.dumps(each.request_body).encode()
        read(body).max_output()
        try:
            conversation = GEMINI.read_request(body, model="m", stream=each.streaming)
        except ClientError as error:
            count[f"refused for {error.param}, by the provider with {each.status}"] += 1
            continue
        dropped = Dropped()
        written = json.loads(GEMINI.write_request(conversation, dropped))
        assert not dropped.paths, each.id
        assert plain_request(written) == plain_request(each.request_body), each.id
        if LIBRARY:
            from google.genai import types

            for content in written["contents"]:
                types.Content.model_validate(content)
            for tool in written.get("tools", ()):
                types.Tool.model_validate(tool)
            config = written.get("generationConfig", {})
            if "responseJsonSchema" not in config:
                types.GenerationConfig.model_validate(config)
        count["came back"] += 1
    print(dict(count))
    assert count.pop("came back") > 500
    assert set(count) <= {"refused for contents[0].role, by the provider with 400"}


def test_answers_are_read_however_they_are_cut() -> None:
    count = Counter[str]()
    for each in answers():
        if each.status != 200:
            failed = GEMINI.read_error(each.status, each.body)
            error = json.loads(each.body)["error"]
            assert (failed.status, failed.message, failed.kind) == (
                error["code"],
                error["message"],
                error["status"],
            )
            told = json.loads(GEMINI.write_error(failed, each.status))["error"]
            assert (told["code"], told["message"], told["status"]) == (
                error["code"],
                error["message"],
                error["status"],
            )
            count["errors"] += 1
            continue
        found = streamed(each.body, len(each.body)) if each.streaming else GEMINI.read_reply(each.body)
        said = gist(found)
        assert said.whole, each.id
        if each.streaming:
            assert streamed(each.body, 1, 7, 400) == found, each.id
        check_content(said, documents(each), each.id)
        check_facts(said, each)
        count["streams" if each.streaming else "whole"] += 1
    print(dict(count))
    assert count["streams"] > 180
    assert count["whole"] > 350


def check_content(said: Gist, chunks: list[dict[str, Any]], name: str) -> None:
    parts = [
        part
        for chunk in chunks
        for candidate in chunk.get("candidates", ())
        for part in candidate.get("content", {}).get("parts", ())
        if candidate.get("index", 0) == 0
    ]
    choice = said.choices[0]
    assert choice.text == "".join(part.get("text", "") for part in parts if not part.get("thought")), name
    assert choice.thoughts == "".join(part.get("text", "") for part in parts if part.get("thought")), name
    assert choice.proofs == [part["thoughtSignature"] for part in parts if "thoughtSignature" in part], name
    calls = [part["functionCall"] for part in parts if part.get("functionCall", {}).get("name")]
    assert [call["name"] for call in calls] == [call[1] for call in choice.calls], name
    for call, told in zip(calls, choice.calls, strict=True):
        arguments = json.loads(told[2])
        if "willContinue" not in call:
            assert arguments == call.get("args", {}), name
        assert call.get("id", told[0]) == told[0]
    assert len({call[0] for call in choice.calls}) == len(choice.calls), name
    usages = [usage for chunk in chunks if (usage := normalise(chunk.get("usageMetadata"))) is not None]
    assert said.usage is not None, name
    assert (said.usage.input, said.usage.output) == (usages[-1].input, usages[-1].output), name
    meta = chunks[-1]["usageMetadata"]
    if meta.get("totalTokenCount"):
        assert said.usage.input + said.usage.output == meta["totalTokenCount"], name


def check_facts(said: Gist, each: Exchange) -> None:
    if not each.streaming:
        assert read_facts(each.body).usage == said.usage
        return
    for sizes in ((len(each.body),), (13, 700)):
        array = each.body.lstrip().startswith(b"[")
        splitter, tap, out = ArraySplitter() if array else EventSplitter(), StreamTap(), b""
        for piece in pieces(each.body, sizes):
            whole = splitter.feed(piece)
            out += tap.scan(whole) if whole else b""
        assert out + splitter.partial == each.body
        assert tap.ended
        assert tap.facts.usage == said.usage
        assert tap.facts.error is None


def test_what_is_written_says_the_same() -> None:
    conversation = GEMINI.read_request(b'{"contents": []}', model="m")
    for each in answers():
        if each.status != 200:
            continue
        found = streamed(each.body, len(each.body)) if each.streaming else GEMINI.read_reply(each.body)
        said = gist(found)
        whole = GEMINI.write_reply(found, model="m")
        writer, array = (
            GEMINI.stream_writer(conversation, model="m"),
            GEMINI_ARRAY.stream_writer(conversation, model="m"),
        )
        stream = b"".join(writer.feed([event]) for event in found)
        listed = b"".join(array.feed([event]) for event in found)
        for again in (
            GEMINI.read_reply(whole),
            streamed(stream, 11),
            streamed(listed, 11),
            GEMINI.read_reply(listed),
        ):
            assert alike(gist(again)) == alike(said), each.id
        if LIBRARY:
            from google.genai import types

            types.GenerateContentResponse.model_validate(json.loads(whole))
            for chunk in json.loads(listed):
                types.GenerateContentResponse.model_validate(chunk)


def alike(said: Gist) -> object:
    """All but ids that are made of an answer's own id and place, and the searches that stand in citations."""
    usage = said.usage
    counts = (usage.input, usage.output, usage.reasoning, usage.cached) if usage is not None else None
    return (
        counts,
        said.whole,
        {
            index: (
                choice.text,
                choice.thoughts,
                choice.proofs,
                [(name, json.loads(arguments)) for _, name, arguments in choice.calls],
                choice.others,
                choice.finish,
                bool(choice.citations),
            )
            for index, choice in said.choices.items()
        },
    )
