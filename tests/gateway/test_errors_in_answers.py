"""Errors that come with status 200: what the client sees, in every dialect, and what is on record."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fake.raw import chat
from tests.gateway.upstream import before, event, sized
from tests.net.peers import answering

ONLY = {
    "with a code": ({"error": {"message": "no", "code": 429}}, 429),
    "with a status": ({"error": {"message": "no", "code": "busy", "status": 503}}, 503),
    "of a kind": ({"error": {"message": "no", "type": "server_error", "code": "x"}}, 502),
    "as a text": ({"error": "no"}, 502),
    "Anthropic's": ({"type": "error", "error": {"type": "overloaded_error", "message": "no"}}, 502),
    "beside nothing": ({"error": {"message": "no", "code": 400}, "choices": [], "user_id": "u"}, 400),
}
ANSWERS: dict[str, tuple[dict[str, Any], str]] = {
    "a failed response": ({"object": "response", "status": "failed", "error": {"code": "x"}, "output": []}, "error_in_band"),
    "beside an answer": (
        {"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}], "error": {"code": 500}},
        "error_in_band",
    ),
    "a choice that broke off": (
        {"choices": [{"message": {"content": "a"}, "finish_reason": None, "error": {"code": 502}}]},
        "error_in_band",
    ),
    "no error": ({"choices": [], "error": None}, "completed"),
}  # fmt: skip


@pytest.mark.parametrize("way", ONLY)
async def test_an_answer_that_is_an_error_and_nothing_else_has_an_errors_status(
    tmp_path: Path, way: str
) -> None:
    value, status = ONLY[way]
    body = json.dumps(value).encode()
    async with before(tmp_path, answering(sized(body))) as (gate, _):
        heard = await gate.send(gate.post(chat("raw/m")))
        assert (heard.status, heard.body) == (status, body)
    record = (await gate.records()).only()
    assert (record.state, record.status, record.upstream_status) == ("error_in_band", status, 200)
    assert record.code == "upstream_error_in_answer"


@pytest.mark.parametrize("way", ANSWERS)
async def test_an_answer_with_an_error_in_it_stays_an_answer(tmp_path: Path, way: str) -> None:
    value, state = ANSWERS[way]
    body = json.dumps(value).encode()
    async with before(tmp_path, answering(sized(body))) as (gate, _):
        heard = await gate.send(gate.post(chat("raw/m")))
        assert (heard.status, heard.body) == (200, body)
    assert (await gate.records()).only().state == state


async def test_a_choice_that_broke_off_within_a_stream_is_on_record(tmp_path: Path) -> None:
    broke = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"error","error":{"code":502}}]}\n\n'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    body = event("a") + broke + b"data: [DONE]\n\n"
    async with before(tmp_path, answering(head + body)) as (gate, there):
        there.left.clear()
        heard = await gate.send(gate.post(chat("raw/m", stream=True)), quiet=0.5)
        assert heard.body == body
    assert (await gate.records()).only().state == "error_in_band"


async def test_what_is_not_json_is_on_record_by_its_first_bytes_redacted(tmp_path: Path) -> None:
    page = b"<h1>Portal</h1> key sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"
    async with before(tmp_path, answering(sized(page, b"text/html"))) as (gate, _):
        heard = await gate.send(gate.post(chat("raw/m")))
        assert heard.status == 502
    records = await gate.records()
    record = records.only()
    assert (record.state, record.code) == ("upstream_error", "upstream_not_json")
    private = records.private(record, record.private)
    assert private is not None
    assert "<h1>Portal</h1>" in str(private["error"])
    assert "sk-proj-abc" not in str(private)
