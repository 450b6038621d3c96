"""The tap beside a relay, and what a record learns of a whole answer."""

import json
from typing import Any

import pytest

from chatvault.wire.anthropic.reply import read_facts
from chatvault.wire.anthropic.tap import MessagesTap
from tests.wire.anthropic.test_replies import BEGIN, COUNTED, FINISH, STREAM, WHOLE, delta, sse, start


def scanned(*packets: bytes) -> MessagesTap:
    tap = MessagesTap()
    for packet in packets:
        assert tap.scan(packet) is packet
    return tap


def test_a_whole_stream() -> None:
    tap = scanned(STREAM)
    assert (tap.facts.usage, tap.facts.model, tap.facts.finish) == (COUNTED, "claude", "tool_use")
    assert (tap.done, tap.ended, tap.facts.error, tap.facts.cost) == (True, True, None, None)
    assert tap.events == STREAM.count(b"data:")
    assert tap.plain == STREAM.count(b"event: content_block_delta")
    assert not tap.may_hide(b"data: {")


def test_deltas_pass_unread() -> None:
    text = sse(delta(0, "text_delta", text="x"), delta(0, "text_delta", text="y"))
    tap = scanned(sse(BEGIN, start(0, {"type": "text", "text": ""})), text)
    assert (tap.plain, tap.plain_size, tap.last, tap.events) == (2, len(text), text, 4)
    assert (tap.done, tap.ended) == (False, False)
    assert tap.facts.usage is not None
    assert tap.facts.usage.output == 1
    tap.scan(sse(FINISH[0]))
    assert (tap.done, tap.ended) == (False, True)
    tap.scan(sse(FINISH[1]))
    assert tap.done


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (
            b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"x"}}\n\n',
            '"api_error"',
        ),
        (b'data: {"error":{"message":"x"}}\n\n', '{"message":"x"}'),
        (b"event: error\ndata: plain words\n\n", "plain words"),
        (b'event:error\ndata: {"odd":1}\n\n', '{"odd":1}'),
        (b"event: error\ndata:\n\n", "error"),
    ],
)
def test_errors_inside_a_stream(event: bytes, error: str) -> None:
    tap = scanned(sse(BEGIN), event, event)
    assert error in str(tap.facts.error)


def test_a_tap_never_fails() -> None:
    text = 'say "message_stop", "error" and event: error'
    tap = scanned(
        b": comment\n\n", b'data: [1]\n\ndata: "message_\n\n', sse(BEGIN, delta(0, "text_delta", text=text))
    )
    assert (tap.facts.error, tap.done) == (None, False)


def test_whole_answers() -> None:
    facts = read_facts(json.dumps(WHOLE).encode())
    assert (facts.usage, facts.model, facts.finish, facts.error) == (COUNTED, "claude", "tool_use", None)
    failed = read_facts(b'{"type":"error","error":{"message":"x"}}')
    assert (failed.error, failed.usage) == ('{"message":"x"}', None)
    assert read_facts(b'{"input_tokens":5}').usage is None
    for body in (b"[]", b"{", b""):
        with pytest.raises(ValueError, match=r"."):
            read_facts(body)


@pytest.mark.parametrize(("cost", "pico"), [(0.25, 250_000_000_000), ("x", None), (None, None), ([], None)])
def test_a_cost_that_was_told(cost: Any, pico: int | None) -> None:
    assert read_facts(json.dumps(WHOLE | {"usage": {"input_tokens": 1, "cost": cost}}).encode()).cost == pico
