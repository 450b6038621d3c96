"""The tap beside a stream: what it learns at any cut, what it takes out, and that it changes nothing else."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.core.usage import Usage
from chatvault.wire.openai.stream import StreamTap
from chatvault.wire.sse import EventSplitter, events


def chunk(**fields: object) -> bytes:
    return (
        b"data: " + json.dumps({"id": "c", "model": "m", **fields}, separators=(",", ":")).encode() + b"\n\n"
    )


def content(text: str, **fields: object) -> bytes:
    return chunk(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": None}], **fields)


STOP = chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
USAGE = chunk(choices=[], usage={"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10})
DONE = b"data: [DONE]\n\n"
STREAM = [
    content("a"),
    content('"usage"'),
    content('\\"usage\\":{'),
    content("b", usage=None),
    STOP,
    USAGE,
    DONE,
]


def run(stream: bytes, cuts: list[int], *, hide: bool) -> tuple[StreamTap, bytes]:
    """What a client is shown, by the splitter and the tap as a relay joins them."""
    tap, splitter, shown = StreamTap(hide=hide), EventSplitter(), b""
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for a, b in pairwise(places):
        whole = splitter.feed(stream[a:b])
        if whole:
            shown += tap.scan(whole)
    if splitter.partial:
        shown += tap.scan(bytes(splitter.partial) + b"\n\n")[:-2]
    return tap, shown


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("hide", [True, False])
@given(cuts=st.lists(st.integers(0, 800), max_size=8))
def test_at_any_cut_the_usage_is_found_and_its_event_alone_is_hidden(
    end: bytes, hide: bool, cuts: list[int]
) -> None:
    stream = b"".join(STREAM).replace(b"\n", end)
    expected = b"".join(event for event in STREAM if not hide or event is not USAGE).replace(b"\n", end)
    for where in (cuts, list(range(len(stream)))):
        tap, shown = run(stream, where, hide=hide)
        assert tap.facts.usage == Usage(input=7, output=3)
        assert (tap.facts.finish, tap.facts.model, tap.facts.error) == ("stop", "m", None)
        assert (tap.done, tap.ended) == (True, True)
        if end == b"\n":
            assert shown == expected
            assert tap.events == len(STREAM)
        else:  # a border may be found before its last LF, which then stands in front of the next event
            assert shown.replace(b"\r\n", b"\n").split() == expected.replace(b"\r\n", b"\n").split()


def test_what_was_not_asked_for_by_the_gateway_is_never_hidden() -> None:
    for event in (
        chunk(choices=[], usage=None),
        chunk(choices=[], prompt_filter_results=[]),
        chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}], usage={"prompt_tokens": 1}),
        chunk(usage={"prompt_tokens": 1}),
        chunk(choices=None, usage={"prompt_tokens": 1}),
        b": ping\n\n",
        b"event: usage\n\n",
        b"data: not json\n\n",
        b'data: "usage"\n\n',
        b'data: ["usage"]\n\n',
        b"\n\n",
    ):
        tap = StreamTap(hide=True)
        assert tap.scan(event) == event
        assert tap.scan(content("a") + event) == content("a") + event


def test_a_packet_that_says_nothing_new_is_passed_on_as_it_is() -> None:
    tap = StreamTap(hide=True)
    tap.scan(content("a"))
    packet = content("b") + content("c", usage=None)
    assert tap.scan(packet) is packet
    assert tap.last is packet
    assert tap.events == 3


def test_usage_in_every_event_is_the_last_one() -> None:
    tap = StreamTap(hide=False)
    for count in (1, 2, 3):
        tap.scan(content("a", usage={"prompt_tokens": 5, "completion_tokens": count}))
    assert tap.facts.usage == Usage(input=5, output=3)


def test_usage_written_with_blanks_or_where_groq_has_it() -> None:
    for event in (
        b'data: {"choices": [], "usage" : {"prompt_tokens": 5}}\n\n',
        b'data: {"choices":[],"x_groq":{"id":"r","usage":{"prompt_tokens":5}}}\n\n',
        b'data: {"choices":[{"delta":{"content":"\\ud83d"}}],"usage":{"prompt_tokens":5}}\n\n',
    ):
        tap = StreamTap(hide=True)
        tap.scan(content("a"))
        tap.scan(event)
        assert tap.facts.usage == Usage(input=5)


@pytest.mark.parametrize(
    "end",
    [
        b"data: [DONE]\n\n",
        b"data:[DONE]\n\n",
        b"data: [DONE] \n\n",
        b"data: [DONE]\r\n\r\n",
        b"id: 1\ndata: [DONE]\n\n",
    ],
)
def test_ends(end: bytes) -> None:
    tap = StreamTap(hide=True)
    assert tap.scan(content("a") + end) == content("a") + end
    assert tap.done
    assert not tap.ended  # no finish reason was there


def test_what_only_looks_like_an_end() -> None:
    tap = StreamTap(hide=True)
    tap.scan(content("[DONE]"))
    tap.scan(b": [DONE]\n\n")
    assert not tap.done


def typed(kind: str, **fields: object) -> bytes:
    body = json.dumps({"type": kind, "sequence_number": 1, **fields}, separators=(",", ":"))
    return f"event: {kind}\ndata: {body}\n\n".encode()


@pytest.mark.parametrize("status", ["completed", "failed", "incomplete"])
def test_responses(status: str) -> None:
    tap = StreamTap(hide=False)
    begun = {"status": "in_progress", "model": "m", "usage": None, "error": None}
    ended = {
        "status": status,
        "model": "m-1",
        "usage": {"input_tokens": 4, "output_tokens": 2},
        "error": {"code": "server_error"} if status == "failed" else None,
    }
    stream = typed("response.created", response=begun) + typed("response.output_text.delta", delta="x")
    assert tap.scan(stream) == stream
    assert (tap.done, tap.ended, tap.facts.model) == (False, False, "m")
    last = typed(f"response.{status}", response=ended)
    assert tap.scan(last) == last
    assert (tap.done, tap.ended, tap.facts.finish, tap.facts.model) == (True, True, status, "m-1")
    assert tap.facts.usage == Usage(input=4, output=2)
    assert tap.facts.error == ('{"code":"server_error"}' if status == "failed" else None)


@pytest.mark.parametrize(
    "kind",
    ["transcript.text.done", "speech.audio.done", "image_generation.completed", "image_edit.completed"],
)
def test_streams_that_end_with_an_event_of_their_own(kind: str) -> None:
    tap = StreamTap(hide=False)
    tap.scan(typed("first"))
    tap.scan(typed(kind, usage={"input_tokens": 4, "output_tokens": 2}))
    assert tap.done
    assert tap.facts.usage == Usage(input=4, output=2)


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (b'data: {"error":{"message":"m"}}\n\n', '{"message":"m"}'),
        (b'data: {"error": "m"}\n\n', '"m"'),
        (b'event: error\ndata: {"error":{"message":"m"}}\n\n', '{"message":"m"}'),
        (b'event: error\ndata: {"message":"m"}\n\n', '{"message":"m"}'),
        (b'event:error\ndata: {"message":"m"}\n\n', '{"message":"m"}'),
        (b"event: error\ndata: overloaded\n\n", "overloaded"),
        (b'data: {"type":"error","code":"x","message":"m"}\n\n', '{"type":"error","code":"x","message":"m"}'),
        (b'data: {"object":"error","message":"m"}\n\n', '{"object":"error","message":"m"}'),
        (b'data: {"choices":[],"error":null}\n\n', None),
        (b'data: {"choices":[{"delta":{"content":"\\"error\\""}}]}\n\n', None),
        (b"event: errors\ndata: {}\n\n", None),
        (b"event: message\ndata: event: error\n\n", None),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_errors_within_a_stream(event: bytes, error: str | None, first: bool) -> None:
    tap = StreamTap(hide=True)
    if not first:
        tap.scan(content("a"))
    assert tap.scan(event) == event
    assert tap.facts.error == error


def test_what_may_be_the_event_to_hide() -> None:
    tap = StreamTap(hide=True)
    assert tap.may_hide(b'data: {"id":"c","cho')
    assert tap.may_hide(USAGE[:-1])
    assert not tap.may_hide(content("a")[:-1])
    assert not StreamTap(hide=False).may_hide(b"data: ")
    for event in STREAM:
        for at in range(len(event)):
            if not tap.may_hide(event[:at]):
                assert event is not USAGE


@given(
    st.lists(
        st.sampled_from([*STREAM, b": ping\n\n", b"data: {\n\n", b"data\n\n", b"\n", b"event: error\n"]),
        max_size=8,
    )
)
def test_nothing_is_lost_or_added(parts: list[bytes]) -> None:
    stream = b"".join(parts)
    shown = StreamTap(hide=True).scan(stream)
    expected = [event for event in events(stream) if USAGE.strip() not in event]
    assert events(shown) == expected
