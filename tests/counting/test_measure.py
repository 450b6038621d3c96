"""Sizes of what was asked and answered, in every dialect, whole and in samples."""

import base64
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.core.sizes import Letters, Sizes
from chatvault.counting.letters import ENGLISH, KINDS, letters, scaled, total
from chatvault.counting.measure import KEEP, asked, keep, measured, said, said_in_events

TOOL = {"name": "look", "description": "Looks it up.", "schema": {"type": "object"}}
PICTURE = base64.b64encode(random.Random(1).randbytes(3_000)).decode()
SAME: dict[str, dict[str, object]] = {
    "chat": {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "Hello, wörld!"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}", "detail": "low"}},
            ]},
        ],
        "tools": [TOOL],
    },
    "responses": {
        "instructions": "Be brief.",
        "input": [{"role": "user", "content": [
            {"type": "input_text", "text": "Hello, wörld!"}, {"type": "input_image", "image_url": PICTURE}]}],
        "tools": [TOOL],
    },
    "messages": {
        "system": "Be brief.",
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": "Hello, wörld!"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}}]}],
        "tools": [TOOL],
    },
    "gemini": {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [{"role": "user", "parts": [
            {"text": "Hello, wörld!"}, {"inlineData": {"mimeType": "image/png", "data": PICTURE}}]}],
        "tools": [TOOL],
    },
    "ollama": {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello, wörld!", "images": [PICTURE]},
        ],
        "tools": [TOOL],
    },
}  # fmt: skip


@pytest.mark.parametrize("dialect", SAME)
def test_the_same_request_has_the_same_sizes_in_every_dialect(dialect: str) -> None:
    sizes = measured(
        msgspec.json.encode(SAME[dialect] | {"model": "a-model-with-a-long-name", "stream": True})
    )
    assert sizes.text == letters("Be brief.\nHello, wörld!".encode())
    assert sizes.schema == letters(msgspec.json.encode([TOOL]))
    assert (sizes.messages, sizes.tools, sizes.media, sizes.sampled) == (2, 1, 1, False)


def test_schemas_of_answers_count_wherever_they_stand() -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    for body in (
        {"response_format": schema}, {"format": schema}, {"output_config": schema}, {"text": {"format": schema}},
        {"generationConfig": {"responseSchema": schema}},
    ):  # fmt: skip
        assert measured(msgspec.json.encode(body | {"prompt": "x"})).schema == letters(
            msgspec.json.encode(schema)
        )


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b"plain words", b'{"a":' * 9_000, b"\xff\xfe"])
def test_what_is_no_request_is_text(body: bytes) -> None:
    assert measured(body) == Sizes(text=letters(body))


def test_tools_that_spoke_and_were_heard() -> None:
    body = {"messages": [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "sky"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "blue"}]},
    ]}  # fmt: skip
    assert measured(msgspec.json.encode(body)).text == letters(b'look\n{"at":"sky"}\nblue')


@given(st.text(max_size=300))
def test_each_character_has_one_kind(text: str) -> None:
    raw = text.encode(errors="ignore")
    counted = total(letters(raw))
    shown = [each for each in raw.decode() if (each >= " " and each != "\x7f") or each in "\n\r\t"]
    assert counted == sum(1 for each in shown if not "\x7f" < each < "\x80")


def test_kinds() -> None:
    assert letters("aB3 \n!éжא".encode()) == Letters(1, 1, 1, 1, 1, 1, 1, 1, 1, words=2)
    assert letters("नก—…漢かア한글😀".encode()) == Letters(indic=2, sign=2, cjk=3, hangul=2, emoji=1, words=1)
    assert (*KINDS, "words") == Letters.__struct_fields__


def test_parts() -> None:
    one = Letters(lower=3, cjk=2)
    assert scaled(one, 3, 2) == Letters(lower=5, cjk=3)
    assert scaled(one, 3, 0) == one


def body_of(words: int, seed: int = 1) -> bytes:
    rng = random.Random(seed)
    messages = [
        {
            "role": "user",
            "content": " ".join(rng.choice(("alpha", "Beta", "γάμμα", "42", "漢字;")) for _ in range(40)),
        }
        for _ in range(words // 40)
    ]
    return msgspec.json.encode({"model": "m", "messages": messages})


def test_a_small_request_is_kept_as_it_is() -> None:
    body = body_of(400)
    assert len(body) < KEEP
    assert asked(keep(body)) == measured(body)
    assert asked(keep([body[:9], memoryview(body)[9:50], body[50:]])) == measured(body)


def test_a_large_one_in_samples_that_come_near() -> None:
    body = body_of(60_000)
    kept = keep([b'{"model":"m"', memoryview(body)])
    assert len(kept.data) <= KEEP
    near, exact = asked(kept), measured(body)
    assert near.sampled
    assert not exact.sampled
    assert total(near.text) == pytest.approx(total(exact.text), rel=0.3)  # the frames of messages are in it
    assert near.text.cjk == pytest.approx(exact.text.cjk, rel=0.2)
    assert near.messages == pytest.approx(exact.messages, rel=0.3)


def test_images_in_a_large_one_are_not_text() -> None:
    words = "some words, " * 3_000
    picture = base64.b64encode(random.Random(2).randbytes(2_000_000)).decode()
    body = msgspec.json.encode({"messages": [{"role": "user", "content": words}, {"images": [picture]}]})
    assert total(asked(keep(body)).text) < 8 * len(words)
    assert asked(keep(msgspec.json.encode([picture]))).text == Letters()


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": [{"message": {"role": "assistant", "content": "Grüße, you"}}]},
        {
            "output": [
                {"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": "Grüße, you"}]}
            ]
        },
        {"content": [{"type": "text", "text": "Grüße, you"}], "stop_reason": "end_turn"},
        {"candidates": [{"content": {"parts": [{"text": "Grüße, you"}], "role": "model"}}]},
        {"message": {"role": "assistant", "content": "Grüße, you"}, "done": True},
    ],
)
def test_answers_of_every_dialect(answer: object) -> None:
    assert said(msgspec.json.encode(answer)) == letters("Grüße, you".encode())


def test_an_answer_that_calls() -> None:
    call = {"content": [{"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "sky"}}]}
    assert said(msgspec.json.encode(call)) == letters(b'{"at":"sky"}')
    assert said(b"no JSON") == Letters()


def test_events_by_the_latest_of_them() -> None:
    event = b'data: {"choices":[{"delta":{"content":"%s"}}]}\n\n'
    events = [event % text for text in (b"four", b"more", b"mo\\u00df", b"five")]
    size = sum(map(len, events))
    found = said_in_events(4, size, events[1])
    assert total(found) == 20  # the escape counts as it is written: nobody has looked into that event
    assert said_in_events(4, size, events[2]).latin > 0
    assert said_in_events(1, 1_000, b"").lower == pytest.approx(1_000 * ENGLISH.lower // 1_000)
    assert said_in_events(3, 10, event % b"x") == Letters()
    told = event % ("Wörter, die man zählen kann; und Zahlen: 17".encode())
    assert said_in_events(10, 10 * len(told), told).digit == 20
