"""A stand-in provider that is never the bottleneck: OpenAI's chat and Anthropic's messages, whole and streamed, as
bytes made ahead.

`python -m chatvault.bench.upstream EVENTS GAP_MS`: a stream has so many content events, so far apart, each a write
of its own. It prints its port, and ends when its standard input does.
"""

import asyncio
import json
import sys
from typing import Final, cast

import httptools
import msgspec
import uvloop

from chatvault.bench.lifeline import listening

_TEXT: Final = "The capital of France is Paris. It has been that, on and off, for about a thousand years."
_HEAD: Final = {
    "id": "chatcmpl-bench",
    "created": 1_750_000_000,
    "model": "stand-in",
    "system_fingerprint": "fp_bench",
}
_STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
_STREAMED: Final = (b'"stream":true', b'"stream": true')


class Answers:
    """The bytes of every answer of a dialect."""

    def __init__(self, events: int, gap_ms: float, shape: "Shape") -> None:
        self.events = events
        self.gap = gap_ms / 1000
        whole = shape.whole
        self.whole = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
            len(whole),
            whole,
        )
        self.first = _STREAM_HEAD + b"".join(map(_chunk, shape.first))
        self.next = _chunk(shape.next)
        self.last = b"".join(map(_chunk, shape.last)) + b"0\r\n\r\n"


class Shape(msgspec.Struct, frozen=True):
    """A whole answer; and of a stream what comes before its text, a piece of the text, and what ends it."""

    whole: bytes
    first: tuple[bytes, ...]
    next: bytes
    last: tuple[bytes, ...]


def chat(tokens: int) -> Shape:
    usage = {
        "prompt_tokens": 19,
        "completion_tokens": tokens,
        "total_tokens": 19 + tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
    message = {"role": "assistant", "content": _TEXT, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return Shape(
        _json({**_HEAD, "object": "chat.completion", "choices": [choice], "usage": usage}),
        (_event({"role": "assistant", "content": "", "refusal": None}),),
        _event({"content": " hello"}),
        (_event({}, finish="stop"), _event(None, usage=usage), b"data: [DONE]\n\n"),
    )


def messages(tokens: int) -> Shape:
    usage = {
        "input_tokens": 19,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": tokens,
        "service_tier": "standard",
    }
    message = {"id": "msg_bench", "type": "message", "role": "assistant", "model": "stand-in"}
    content = [{"type": "text", "text": _TEXT}]
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    opened = {"index": 0, "content_block": {"type": "text", "text": ""}}
    began: dict[str, object] = {
        **message,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    return Shape(
        _json({**message, "content": content, **ended, "usage": usage}),
        (_named("message_start", message=began), _named("content_block_start", **opened)),
        _named("content_block_delta", index=0, delta={"type": "text_delta", "text": " hello"}),
        (
            _named("content_block_stop", index=0),
            _named("message_delta", delta=ended, usage={"output_tokens": tokens}),
            _named("message_stop"),
        ),
    )


class Upstream(asyncio.Protocol):
    """A connection. Requests come one after the other, as from a client that does not pipeline."""

    def __init__(self, openai: Answers, anthropic: Answers) -> None:
        self._openai = openai
        self._anthropic = anthropic
        self._answers = openai
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._body = bytearray()
        self._left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._body = bytearray()

    def on_url(self, url: bytes) -> None:
        self._answers = self._anthropic if url.endswith(b"/messages") else self._openai

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if not any(mark in self._body for mark in _STREAMED):
            self._transport.write(self._answers.whole)
            return
        self._left = self._answers.events
        self._transport.write(self._answers.first)
        self._loop.call_later(self._answers.gap, self._more)

    def _more(self) -> None:
        if self._transport.is_closing():
            return
        if not self._left:
            self._transport.write(self._answers.last)
            return
        self._left -= 1
        self._transport.write(self._answers.next)
        self._loop.call_later(self._answers.gap, self._more)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _event(delta: dict[str, object] | None, *, finish: str | None = None, usage: object = None) -> bytes:
    choices = (
        [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    )
    return (
        b"data: "
        + _json({**_HEAD, "object": "chat.completion.chunk", "choices": choices, "usage": usage})
        + b"\n\n"
    )


def _named(kind: str, **fields: object) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), _json({"type": kind, **fields}))


def _chunk(part: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(part), part)


async def serve(events: int, gap_ms: float) -> None:
    openai = Answers(events, gap_ms, chat(events))
    anthropic = Answers(events, gap_ms, messages(events))
    loop = asyncio.get_running_loop()
    async with await loop.create_server(
        lambda: Upstream(openai, anthropic), "127.0.0.1", 0, backlog=8192
    ) as server:
        await listening(server.sockets[0].getsockname()[1])


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), float(sys.argv[2])))
