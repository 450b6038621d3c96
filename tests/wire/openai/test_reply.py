"""Whole answers: what the record learns of them, whatever their shape."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.core.usage import Usage
from chatvault.wire.openai.reply import Facts, read


def learnt(body: bytes | object) -> Facts:
    facts = Facts()
    facts.learn(read(body if isinstance(body, bytes) else json.dumps(body).encode()))
    return facts


CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
}


def test_a_chat_completion() -> None:
    facts = learnt(CHAT)
    assert (facts.model, facts.finish, facts.error) == ("gpt-4o-mini-2024-07-18", "stop", None)
    assert facts.usage == Usage(input=9, output=2)


@pytest.mark.parametrize("status", ["completed", "failed", "incomplete", "cancelled"])
def test_a_response(status: str) -> None:
    facts = learnt(
        {
            "object": "response",
            "status": status,
            "model": "m",
            "error": None,
            "usage": {"input_tokens": 3, "output_tokens": 1},
        }
    )
    assert (facts.finish, facts.error, facts.usage) == (status, None, Usage(input=3, output=1))


def test_searches_of_a_response_are_counted_once() -> None:
    """To open a page costs no fee; what cannot be read of one item does not hide the others."""
    output: list[object] = [
        {"type": "web_search_call", "action": {"type": "search"}},
        {"type": "web_search_call", "action": {"type": "open_page"}},
        {"type": "web_search_call"},
        {"type": "message"},
    ]
    told = {"status": "completed", "usage": {"input_tokens": 1, "output_tokens": 1}}
    assert learnt({**told, "output": output}).usage == Usage(input=1, output=1, searches=2)
    assert learnt({"response": {**told, "output": output}}).usage == Usage(input=1, output=1, searches=2)
    odd = [*output, {"type": 7}]
    assert learnt({**told, "output": odd}).usage == Usage(input=1, output=1, searches=2)
    assert learnt({**told, "output": "none"}).usage == Usage(input=1, output=1)


def test_perplexity_counts_its_searches() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "num_search_queries": 3}
    assert learnt({"usage": usage}).usage == Usage(input=1, output=1, searches=3)


def test_a_response_that_goes_on_is_not_finished() -> None:
    assert learnt({"object": "response", "status": "in_progress", "usage": None}).finish is None


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"error": {"message": "m", "code": 429}}, '{"message": "m", "code": 429}'),
        ({"error": "m"}, '"m"'),
        ({"status": "failed", "error": {"code": "server_error"}}, '{"code": "server_error"}'),
        ({"response": {"status": "failed", "error": {"code": "x"}}}, '{"code": "x"}'),
        ({"x_groq": {"error": "m"}}, '"m"'),
        ({"error": None}, None),
        ({"error": {}}, None),
        ({"error": ""}, None),
        ({"error": []}, None),
        ({"error": False}, None),
        ({"choices": [], "model": "m"}, None),
    ],
)
def test_errors_within(body: object, error: str | None) -> None:
    assert learnt(body).error == error


@pytest.mark.parametrize(
    "change",
    [
        {"usage": {"prompt_tokens": "9", "completion_tokens": "2"}},
        {"choices": [None, {"finish_reason": "stop"}]},
        {"choices": [{"finish_reason": 7}, {"finish_reason": "stop"}]},
        {"status": 200},
        {"object": None},
        {"type": ["x"]},
        {"response": "text"},
        {"response": [{}]},
        {"x_groq": "x"},
        {"error": None, "status": {}},
    ],
)
def test_a_field_of_an_unheard_of_shape_hides_no_other(change: dict[str, object]) -> None:
    facts = learnt({**CHAT, **change})
    assert facts.usage == Usage(input=9, output=2)
    assert (facts.model, facts.finish) == ("gpt-4o-mini-2024-07-18", "stop")


@pytest.mark.parametrize("change", [{"choices": "x"}, {"choices": {}}, {"model": 5}])
def test_a_field_that_cannot_be_read_is_passed_over(change: dict[str, object]) -> None:
    assert learnt({**CHAT, **change}).usage == Usage(input=9, output=2)


def test_odd_shapes_within_what_is_nested() -> None:
    facts = learnt(
        {"status": 1, "response": {"usage": {"input_tokens": "4"}, "model": "m"}, "x_groq": {"usage": {}}}
    )
    assert (facts.usage, facts.model) == (Usage(input=4), "m")
    facts = learnt({"status": 1, "x_groq": {"usage": {"prompt_tokens": "4"}, "error": "e"}})
    assert (facts.usage, facts.error) == (Usage(input=4), '"e"')


def test_half_an_emoji_hides_nothing() -> None:
    body = json.dumps(CHAT).encode().replace(b'"hi"', b'"\\ud83d"')
    assert learnt(body).usage == Usage(input=9, output=2)
    with pytest.raises(ValueError):
        read(b'{"a":"\\ud83d"')


@pytest.mark.parametrize(
    "body", [b"", b"x", b"[]", b"null", b'"x"', b"5", b'{"usage":', b"\xef\xbb\xbf{}", b"<html>"]
)
def test_what_is_not_one_json_object(body: bytes) -> None:
    with pytest.raises(ValueError):
        read(body)


@pytest.mark.parametrize("body", [b'{"a":' + b"[" * 100_000, b'{"status":5,"a":' + b"[" * 100_000])
def test_what_is_nested_too_deep(body: bytes) -> None:
    with pytest.raises(ValueError):
        read(body)


NAMES = st.sampled_from(
    [
        "usage",
        "model",
        "choices",
        "status",
        "type",
        "object",
        "error",
        "response",
        "x_groq",
        "finish_reason",
        "prompt_tokens",
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_no_object_raises(value: dict[str, object]) -> None:
    facts = learnt(value)
    assert facts.error is None or isinstance(json.loads(facts.error), object)
