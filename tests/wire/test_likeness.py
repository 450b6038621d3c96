"""What is called like the latest plain event tells nothing that it did not, by a tap that reads it in full."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatvault.wire.anthropic.tap import MessagesTap
from chatvault.wire.likeness import Likeness
from chatvault.wire.openai.stream import StreamTap

END = b"\n\n"


def chunk(text: str, **more: object) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return b"data: " + json.dumps({"id": "c", "choices": [choice], "usage": None} | more).encode() + END


def learned(packet: bytes) -> Likeness:
    likeness = Likeness(END)
    likeness.learn(packet)
    return likeness


def test_another_text_is_like_the_last() -> None:
    likeness = learned(chunk("Hello"))
    for text in ("", " you", "[DONE]", "error", "x" * 10_000):
        assert likeness.like(chunk(text)), text


@pytest.mark.parametrize(
    "packet",
    [
        chunk("a\nb"),  # an escape may hide a quote
        chunk('say "x"'),
        chunk("a", usage={"total_tokens": 1}),
        chunk("a").replace(b'"finish_reason": null', b'"finish_reason": "stop"'),
        chunk("a") + chunk("b"),
        chunk("a")[:-1],
        chunk("a").removesuffix(END) + b"\r\n\r\n",
        chunk("a\n\ndata: [DONE]\n\nb").replace(b"\\n", b"\n"),
        chunk("a\rb").replace(b"\\r", b"\r"),
        b": ping\n\n",
        b"data: [DONE]\n\n",
        b"",
    ],
)
def test_what_may_tell_more_is_not(packet: bytes) -> None:
    assert not learned(chunk("Hello")).like(packet)


def test_an_event_that_is_shorter_than_its_frame_is_not() -> None:
    packet = b'data: {"content":"xyxy"}\n\n'
    likeness = learned(packet)
    for end in range(len(packet)):
        assert not likeness.like(packet[:end])
        assert not likeness.like(packet[end:]) or end == 0


def test_two_events_and_streams_without_a_fixed_end_are_not_learned() -> None:
    assert not learned(chunk("a") + chunk("b")).like(chunk("c"))
    nothing = Likeness(b"")
    nothing.learn(chunk("a"))
    assert not nothing.like(chunk("a"))


def test_it_gives_up_on_streams_in_which_no_event_is_like_the_last() -> None:
    likeness = Likeness(END)
    for number in range(20):
        likeness.learn(chunk("a", obfuscation=str(number)))
    assert not likeness.like(chunk("b", obfuscation="19"))


EDITS = st.sampled_from(
    [
        b"",
        b'"',
        b"\\",
        b"\n",
        b"\r",
        b"\n\n",
        b"data: [DONE]",
        b'"error":{"x":1}',
        b'"usage":{}',
        b"}",
        b"stop",
        b"x",
    ]
)


@given(st.lists(st.tuples(st.integers(0, 130), st.integers(0, 12), EDITS), min_size=1, max_size=3))
@example([(60, 0, b"\n\ndata: [DONE]\n\n")])
def test_whatever_is_like_it_leaves_a_tap_as_it_was(edits: list[tuple[int, int, bytes]]) -> None:
    first = chunk("Hello")
    packet = bytearray(first)
    for at, cut, put in edits:
        packet[at : at + cut] = put
    likeness = learned(first)
    if not likeness.like(bytes(packet)):
        return
    for tap in (StreamTap(hide=True), MessagesTap()):
        tap.scan(first)
        known, before = repr(tap.facts), (tap.done, tap.ended, tap.events)
        assert tap.scan(bytes(packet)) == packet
        assert (repr(tap.facts), tap.done, tap.ended, tap.events) == (known, *before[:2], before[2] + 1)
