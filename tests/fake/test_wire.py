"""Every fault, seen over a bare socket."""

import asyncio
import json
from collections.abc import Callable

import pytest
from openai import AsyncOpenAI

from chatvault.fake import FakeProvider
from chatvault.fake.faults import FAULTS
from tests.fake.raw import Heard, ask, chat, converse, written

Check = Callable[[Heard], None]
QUIET = 0.15


class Seen:
    """The checks: each is given what was heard and asserts what the fault promises."""

    @staticmethod
    def status(status: int, **headers: str) -> Check:
        def check(heard: Heard) -> None:
            assert heard.status == status
            assert "error" in heard.json
            assert headers.items() <= heard.headers.items()

        return check

    @staticmethod
    def ends(how: str, events: int) -> Check:
        def check(heard: Heard) -> None:
            assert heard.ended == how
            assert len(heard.events) == events
            assert b"\r\n0\r\n" not in heard.data

        return check

    @staticmethod
    def nothing(how: str) -> Check:
        def check(heard: Heard) -> None:
            assert (heard.ended, heard.data) == (how, b"")

        return check

    @staticmethod
    def holds(needle: bytes) -> Check:
        def check(heard: Heard) -> None:
            assert heard.status == 200
            assert needle in heard.data

        return check


def html(heard: Heard) -> None:
    assert heard.status == 502
    assert heard.headers["content-type"].startswith("text/html")
    assert heard.body.startswith(b"<!DOCTYPE html>")


def garbage(heard: Heard) -> None:
    assert heard.status == 200
    with pytest.raises(ValueError):
        json.loads(heard.body)


def empty(heard: Heard) -> None:
    assert (heard.status, heard.headers["content-length"], heard.body) == (200, "0", b"")


def redirect(heard: Heard) -> None:
    assert (heard.status, heard.headers["location"]) == (307, "/elsewhere")


def not_http(heard: Heard) -> None:
    assert heard.ended == "eof"
    assert not heard.data.startswith(b"HTTP")


def truncated_whole(heard: Heard) -> None:
    assert len(heard.body) == int(heard.headers["content-length"])
    with pytest.raises(ValueError):
        json.loads(heard.body)


def truncated_stream(heard: Heard) -> None:
    assert heard.whole()
    with pytest.raises(ValueError):
        json.loads(heard.events[-1])


def slow_first_byte(heard: Heard) -> None:
    assert heard.packets[0][0] >= 0.095


def slow_body(heard: Heard) -> None:
    assert heard.packets[0][1].endswith(b"\r\n\r\n")
    assert heard.packets[1][0] - heard.packets[0][0] >= 0.08


def paced(heard: Heard) -> None:
    assert len(heard.packets) == 7  # the opening, five deltas, the end
    assert heard.packets[-1][0] >= 0.115


def stalls_whole(heard: Heard) -> None:
    assert (heard.ended, len(heard.raw_body)) == ("open", 10)
    assert int(heard.headers["content-length"]) > 10


def error_in_stream(heard: Heard) -> None:
    assert [("error" in chunk) for chunk in heard.chunks] == [False, False, True]
    assert heard.whole()


def error_in_whole(heard: Heard) -> None:
    assert heard.status == 200
    assert "error" in heard.json


def garbage_after(heard: Heard) -> None:
    json.loads(heard.events[1])
    with pytest.raises(ValueError):
        json.loads(heard.events[2])
    assert heard.events[-1] == "[DONE]"


def no_done(heard: Heard) -> None:
    assert heard.whole()
    assert "[DONE]" not in heard.events


def no_finish(heard: Heard) -> None:
    assert b'finish_reason":"' not in heard.body
    assert heard.events[-1] == "[DONE]"


def five_events(heard: Heard) -> None:
    deltas = [
        c
        for c in heard.chunks
        if '"content":"' in json.dumps(c, separators=(",", ":")) and "role" not in str(c)
    ]
    assert len(deltas) == 5
    usage = heard.chunks[-1]["usage"]
    assert isinstance(usage, dict)
    assert usage["completion_tokens"] == 5


def large_events(heard: Heard) -> None:
    assert [len(event) > 2048 for event in heard.events] == [False, True, True, False, False]


def large_text(heard: Heard) -> None:
    message = heard.json["choices"][0]["message"]  # type: ignore[index]
    assert len(message["content"]) == 3072


def pings(heard: Heard) -> None:
    assert heard.body.count(b": ping\n\n") == len(heard.events)


def crlf(heard: Heard) -> None:
    assert heard.body.endswith(b"data: [DONE]\r\n\r\n")
    assert b"\n" not in heard.body.replace(b"\r\n", b"")


def cr(heard: Heard) -> None:
    assert heard.body.endswith(b"data: [DONE]\r\r")
    assert b"\n" not in heard.body


def no_space(heard: Heard) -> None:
    assert b"data:{" in heard.body
    assert b"data: " not in heard.body


def many_lines(heard: Heard) -> None:
    first = heard.body.decode().split("\n\n")[0].split("\n")
    assert len(first) > 5
    assert "id" in json.loads("\n".join(line.removeprefix("data: ") for line in first))


def no_usage(heard: Heard) -> None:
    assert "usage" not in heard.json


def usage_null(heard: Heard) -> None:
    assert {repr(chunk["usage"]) for chunk in heard.chunks} == {"None"}


def usage_unasked(heard: Heard) -> None:
    assert heard.chunks[-1]["choices"] == []
    assert heard.chunks[-1]["usage"]
    assert all("usage" not in chunk for chunk in heard.chunks[:-1])


def usage_last(heard: Heard) -> None:
    assert heard.chunks[-1]["usage"]
    assert heard.chunks[-1]["choices"][0]["finish_reason"] == "stop"  # type: ignore[index]


def usage_every(heard: Heard) -> None:
    counts = [chunk["usage"]["completion_tokens"] for chunk in heard.chunks]  # type: ignore[index]
    assert counts == [0, 1, 2, 2]


def cached(heard: Heard) -> None:
    usage = heard.json["usage"]
    assert isinstance(usage, dict)
    assert usage["prompt_tokens_details"]["cached_tokens"] == 3


def reasoning(heard: Heard) -> None:
    usage = heard.json["usage"]
    assert isinstance(usage, dict)
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 9
    assert usage["completion_tokens"] == 11


def short_length(heard: Heard) -> None:
    assert len(heard.raw_body) > int(heard.headers["content-length"])


def long_length(heard: Heard) -> None:
    assert heard.ended == "eof"
    assert len(heard.raw_body) == int(heard.headers["content-length"]) - 100


def eof_body(heard: Heard) -> None:
    assert heard.ended == "eof"
    assert "content-length" not in heard.headers
    assert "transfer-encoding" not in heard.headers
    assert heard.events[-1] == "[DONE]"


def old_http(heard: Heard) -> None:
    assert heard.head.startswith(b"HTTP/1.0 200")
    eof_body(heard)


def says_close(heard: Heard) -> None:
    assert heard.ended == "eof"
    assert heard.headers["connection"] == "close"
    assert heard.json["object"] == "chat.completion"


def zipped(kind: str) -> Check:
    def check(heard: Heard) -> None:
        assert heard.headers["content-encoding"] == kind
        assert heard.unzipped.endswith(b"data: [DONE]\n\n")

    return check


def badly_zipped(heard: Heard) -> None:
    assert heard.headers["content-encoding"] == "gzip"
    with pytest.raises(Exception, match="decompressing"):
        _ = heard.unzipped


def bomb(heard: Heard) -> None:
    assert len(heard.body) < 10_000
    assert heard.unzipped == b" " * (2 << 20)


def small_chunks(heard: Heard) -> None:
    assert heard.raw_body.startswith(b"5\r\n")
    assert heard.json["object"] == "chat.completion"


def bad_chunk(heard: Heard) -> None:
    assert heard.ended == "eof"
    assert heard.data.endswith(b"xyz\r\nno size\r\n")


def byte_by_byte(heard: Heard) -> None:
    assert len(heard.packets) > 20
    assert heard.json["object"] == "chat.completion"


def early_hints(heard: Heard) -> None:
    first, _, rest = heard.data.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 103 ")
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")


def surplus(heard: Heard) -> None:
    assert heard.data.count(b"HTTP/1.1 200 OK") == 2


def untyped(heard: Heard) -> None:
    assert "content-type" not in heard.headers


def big_header(heard: Heard) -> None:
    assert len(heard.headers["x-simulated-filler"]) == 2048


def cookie(heard: Heard) -> None:
    assert heard.headers["set-cookie"].startswith("simulated=")


def two_lengths(heard: Heard) -> None:
    assert heard.head.count(b"content-length: ") == 2


# form -> model, whether streamed, whether to wait for silence, what is seen
CASES: dict[str, tuple[str, bool, bool, Check]] = {
    "fail-N": ("fail-503", True, False, Seen.status(503)),
    "fail-status-N": ("fail-status-500", False, False, Seen.status(500)),
    "fail-N-retry-after-S": (
        "fail-429-retry-after-2",
        False,
        False,
        Seen.status(429, **{"retry-after": "2"}),
    ),
    "fail-first-N": ("fail-first-1", False, False, Seen.status(503)),
    "html": ("html", False, False, html),
    "garbage": ("garbage", True, False, garbage),
    "empty": ("empty", False, False, empty),
    "redirect": ("redirect", False, False, redirect),
    "not-http": ("not-http", False, True, not_http),
    "truncated-json": ("truncated-json", False, False, truncated_whole),
    "slow-first-byte-Nms": ("slow-first-byte-100ms", False, False, slow_first_byte),
    "slow-body-Nms": ("slow-body-100ms", False, False, slow_body),
    "pace-Nms": ("pace-20ms+events-5", True, False, paced),
    "hang": ("hang", True, True, Seen.nothing("open")),
    "stall-after-N": ("stall-after-3", True, True, Seen.ends("open", 3)),
    "cut-after-N": ("cut-after-3", True, True, Seen.ends("eof", 3)),
    "reset-after-N": ("pace-20ms+reset-after-3", True, True, Seen.ends("reset", 3)),
    "reset": ("reset", False, True, Seen.nothing("reset")),
    "close": ("close", False, True, Seen.nothing("eof")),
    "close-reused": ("close-reused", False, False, Seen.holds(b"chat.completion")),
    "reset-reused": ("reset-reused", False, False, Seen.holds(b"chat.completion")),
    "error-in-stream-after-N": ("error-in-stream-after-2", True, False, error_in_stream),
    "garbage-after-N": ("garbage-after-2", True, False, garbage_after),
    "no-done": ("no-done", True, False, no_done),
    "no-finish": ("no-finish", True, False, no_finish),
    "events-N": ("events-5+usage-unasked", True, False, five_events),
    "event-size-Nk": ("echo+event-size-2k", True, False, large_events),
    "size-Nk": ("size-3k", False, False, large_text),
    "lone-surrogate": ("lone-surrogate", True, False, Seen.holds(b'\\ud800"')),
    "bare-comment-pings": ("bare-comment-pings", True, False, pings),
    "crlf": ("crlf", True, False, crlf),
    "cr": ("cr", True, False, cr),
    "no-space": ("no-space", True, False, no_space),
    "bom": ("bom", True, False, Seen.holds(b"\xef\xbb\xbf\r\n")),
    "many-lines": ("many-lines", True, False, many_lines),
    "no-usage": ("no-usage", False, False, no_usage),
    "usage-null": ("usage-null", False, False, Seen.holds(b'"usage":null')),
    "usage-unasked": ("usage-unasked", True, False, usage_unasked),
    "usage-in-last-chunk": ("usage-in-last-chunk", True, False, usage_last),
    "usage-in-every-chunk": ("echo+usage-in-every-chunk", True, False, usage_every),
    "cached-N": ("cached-3", False, False, cached),
    "reasoning-N": ("echo+reasoning-9", False, False, reasoning),
    "short-length": ("short-length", False, True, short_length),
    "long-length": ("long-length", True, False, long_length),
    "two-lengths": ("two-lengths", False, True, two_lengths),
    "eof-body": ("eof-body", True, False, eof_body),
    "old-http": ("old-http", True, False, old_http),
    "connection-close": ("connection-close", False, True, says_close),
    "gzip": ("gzip", True, False, zipped("gzip")),
    "deflate": ("deflate", True, False, zipped("deflate")),
    "gzip-corrupt": ("gzip-corrupt", False, False, badly_zipped),
    "gzip-bomb-Nm": ("gzip-bomb-2m", False, False, bomb),
    "chunk-N": ("chunk-5", False, False, small_chunks),
    "bad-chunk": ("bad-chunk", True, True, bad_chunk),
    "trailers": ("trailers", True, False, Seen.holds(b"0\r\nx-simulated-trailer: yes\r\n\r\n")),
    "split-N": ("split-7", False, False, byte_by_byte),
    "early-hints": ("early-hints", False, True, early_hints),
    "surplus": ("surplus", False, True, surplus),
    "no-content-type": ("no-content-type", False, False, untyped),
    "big-header-Nk": ("big-header-2k", False, False, big_header),
    "set-cookie": ("set-cookie", False, False, cookie),
}


@pytest.mark.parametrize("form", CASES)
async def test_the_fault_is_seen(fake: FakeProvider, form: str) -> None:
    model, stream, silence, check = CASES[form]
    check(await ask(fake, written(chat(model, stream=stream)), quiet=QUIET if silence else None))


def test_every_fault_is_seen() -> None:
    assert set(CASES) == {fault.form for fault in FAULTS}


@pytest.mark.parametrize(
    ("model", "stream", "check"),
    [
        ("truncated-json", True, truncated_stream),
        ("error-in-stream-after-2", False, error_in_whole),
        ("garbage-after-7", False, garbage),
    ],
)
async def test_a_fault_has_its_meaning_for_the_other_kind_of_answer(
    fake: FakeProvider, model: str, stream: bool, check: Check
) -> None:
    check(await ask(fake, written(chat(model, stream=stream))))


@pytest.mark.parametrize(("model", "ended"), [("stall-after-10", "open"), ("cut-after-10", "eof")])
async def test_a_whole_body_ends_after_so_many_bytes(fake: FakeProvider, model: str, ended: str) -> None:
    heard = await ask(fake, written(chat(model)), quiet=QUIET)
    assert (heard.ended, len(heard.raw_body)) == (ended, 10)
    assert int(heard.headers["content-length"]) > 10


async def test_usage_null_in_a_stream(fake: FakeProvider) -> None:
    body = chat("usage-null", stream=True, stream_options={"include_usage": True})
    usage_null(await ask(fake, written(body)))


@pytest.mark.parametrize(("model", "ended"), [("close-reused", "eof"), ("reset-reused", "reset")])
async def test_only_a_reused_connection_dies(fake: FakeProvider, model: str, ended: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
    first = await converse(reader, writer, written(chat(model)))
    second = await converse(reader, writer, written(chat(model)), quiet=1)
    writer.close()
    assert (first.status, first.ended) == (200, "open")
    assert (second.data, second.ended) == (b"", ended)


async def test_only_the_first_tries_fail(fake: FakeProvider) -> None:
    seen = [(await ask(fake, written(chat("fail-first-2")))).status for _ in range(4)]
    assert seen == [503, 503, 200, 200]


async def test_a_header_asks_for_faults_too(fake: FakeProvider) -> None:
    heard = await ask(fake, written(chat("echo"), x_fake_fault="fail-418"))
    assert heard.status == 418
    heard = await ask(fake, b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx-fake-fault: fail-502\r\n\r\n")
    assert heard.status == 502


async def test_an_unknown_fault_says_which_there_are(fake: FakeProvider) -> None:
    heard = await ask(fake, written(chat("echo+nonsense")))
    assert heard.status == 400
    assert all(fault.form in heard.body.decode() for fault in FAULTS)


async def test_a_stream_that_fails_inside_raises_in_the_library(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="error-in-stream-after-2", messages=[{"role": "user", "content": "hi"}], stream=True
    )
    with pytest.raises(Exception, match="broke off"):
        async for _ in stream:
            pass


async def test_a_response_fails_with_its_own_events(fake: FakeProvider) -> None:
    body = {"model": "error-in-stream-after-5", "input": "hi", "stream": True}
    heard = await ask(fake, written(body, "/v1/responses"))
    assert [chunk["type"] for chunk in heard.chunks][-3:] == [
        "response.output_text.delta",
        "error",
        "response.failed",
    ]
