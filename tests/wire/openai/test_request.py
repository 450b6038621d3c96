"""What is read of a request, and the few bytes that change."""

import json

import pytest

from chatvault.core.errors import ClientError
from chatvault.wire.openai.request import DECIDED, read


def test_a_request() -> None:
    request = read(
        b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}],"unheard":{"of":1}}'
    )
    assert (request.model, request.stream) == ("m", True)
    assert set(request.fields.values) == {"model", "stream", "messages", "unheard"}
    assert request.max_output() is None
    assert not request.asks_usage()


@pytest.mark.parametrize(
    ("body", "model", "stream"),
    [
        ({}, None, False),
        ({"model": "a/b:c"}, "a/b:c", False),
        ({"model": ""}, "", False),
        ({"model": "\u00fc\u2603"}, "\u00fc\u2603", False),
        ({"stream": None}, None, False),
        ({"stream": False}, None, False),
    ],
)
def test_models_and_streams(body: dict[str, object], model: str | None, stream: bool) -> None:
    request = read(json.dumps(body).encode())
    assert (request.model, request.stream) == (model, stream)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"model":null}', "model"),
        (b'{"model":5}', "model"),
        (b'{"model":["a"]}', "model"),
        (b'{"model":"\\ud800"}', "model"),
        (b'{"stream":"true"}', "stream"),
        (b'{"stream":1}', "stream"),
    ],
)
def test_fields_of_another_kind_are_named(body: bytes, param: str) -> None:
    with pytest.raises(ClientError) as caught:
        read(body)
    assert (caught.value.http_status, caught.value.code, caught.value.param) == (400, "invalid_field", param)


@pytest.mark.parametrize("name", sorted(DECIDED))
def test_every_key_that_decides_is_guarded_against_its_doubles(name: str) -> None:
    for twin, code in ((name, "duplicate_field"), (name.upper(), "ambiguous_field")):
        with pytest.raises(ClientError) as caught:
            read(f'{{"{name}":null,"{twin}":null}}'.encode())
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("body", "most"),
    [
        ({"max_tokens": 10}, 10),
        ({"max_completion_tokens": 10}, 10),
        ({"max_output_tokens": 10}, 10),
        ({"max_tokens": 10, "max_completion_tokens": 20}, 20),
        ({"max_tokens": 10, "n": 3}, 30),
        ({"max_tokens": 10, "n": 3, "best_of": 5}, 50),
        ({"max_tokens": 10, "n": None}, 10),
        ({"max_tokens": 10, "n": -3}, 10),
        ({"max_tokens": None}, None),
        ({"max_tokens": 0}, 0),
        ({"max_tokens": -1}, None),  # as llama.cpp has it: no bound
        ({"max_tokens": -1, "max_completion_tokens": 7}, 7),
        ({"max_tokens": 10.0}, 10),
        ({"n": 3}, None),
    ],
)
def test_the_most_an_answer_may_hold(body: dict[str, object], most: int | None) -> None:
    assert read(json.dumps(body).encode()).max_output() == most


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "n"])
@pytest.mark.parametrize("value", [b'"10"', b"1.5", b"[]", b"true"])
def test_bounds_that_are_no_numbers_are_named(name: str, value: bytes) -> None:
    request = read(b'{"max_output_tokens":1,"%s":%s}' % (name.encode(), value))
    with pytest.raises(ClientError) as caught:
        request.max_output()
    assert (caught.value.code, caught.value.param) == ("invalid_field", name)


@pytest.mark.parametrize(
    ("options", "asks", "value"),
    [
        (None, False, b'{"include_usage":true}'),
        (b"null", False, b'{"include_usage":true}'),
        (b"{}", False, b'{"include_usage":true}'),
        (b"{ }", False, b'{"include_usage":true }'),
        (b'{"include_usage":true}', True, b'{"include_usage":true}'),
        (b'{"include_usage": false}', False, b'{"include_usage": true}'),
        (b'{"include_usage":null}', False, b'{"include_usage":true}'),
        (b'{"include_usage":"true"}', False, b'{"include_usage":true}'),
        (
            b'{ "include_obfuscation" : false }',
            False,
            b'{"include_usage":true, "include_obfuscation" : false }',
        ),
    ],
)
def test_the_option_that_asks_for_usage(options: bytes | None, asks: bool, value: bytes) -> None:
    body = b'{"model":"m","stream":true%s}' % (
        b',"stream_options":' + options if options is not None else b""
    )
    request = read(body)
    assert request.asks_usage() is asks
    assert request.with_usage() == value


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (b"[]", "invalid_field"),
        (b'"x"', "invalid_field"),
        (b'{"include_usage":true,"include_usage":false}', "duplicate_field"),
        (b'{"Include_Usage":true}', "ambiguous_field"),
    ],
)
def test_options_that_cannot_be_changed_safely(options: bytes, code: str) -> None:
    request = read(b'{"stream_options":%s}' % options)
    for act in (request.asks_usage, request.with_usage):
        with pytest.raises(ClientError) as caught:
            act()
        assert caught.value.code == code


def test_what_a_client_says_about_itself() -> None:
    body = b'{"metadata":{"team":"a"},"user":"u","safety_identifier":"s","model":"m"}'
    assert read(body).metadata() == {"metadata": {"team": "a"}, "user": "u", "safety_identifier": "s"}
    assert read(b'{"metadata":{},"user":null,"safety_identifier":""}').metadata() == {}
    assert read(b'{"metadata":{"a":"\\ud800"},"user":"u"}').metadata() == {"user": "u"}
    deep = b"[" * 900 + b"]" * 900
    assert "metadata" in read(b'{"metadata":' + deep + b"}").metadata()
