"""JSON of strangers: each helper gives what it asks for, or nothing."""

import msgspec
import pytest

from chatvault.core.errors import ClientError
from chatvault.wire import json_value


def test_numbers_of_protocol_buffers() -> None:
    for said, whole in (
        (3, 3),
        (3.0, 3),
        ("3", 3),
        (3.5, None),
        ("x", None),
        (True, None),
        ("inf", None),
        (1e300, None),
    ):
        assert json_value.integer(said) == whole
    assert json_value.number("nan") is None
    assert json_value.number([]) is None
    assert json_value.count(-3) == 0
    assert json_value.count("x") == 0


def test_kinds() -> None:
    assert json_value.text(1) is None
    assert json_value.truth(1) is None
    assert json_value.obj([]) is None
    assert json_value.objects_of([1, {"a": 1}]) == [{"a": 1}]
    assert json_value.objects_of({}) == []
    assert json_value.strings(["a", 1]) is None
    assert json_value.raws({}) is None


def test_halves_of_emojis_are_read() -> None:
    for half in (
        b'{"a": "\\ud83d", "b": "\\ud83d\\ude00"}',
        msgspec.Raw(b'{"a": "\\ud83d", "b": "\\ud83d\\ude00"}'),
    ):
        assert json_value.decode(half) == {"a": "\ufffd", "b": "\U0001f600"}
    for body in (b"oops", b'{"\\ud83d": oops}', b"[" * 100_000, b"[" * 100_000 + b'"\\ud83d"'):
        with pytest.raises(ValueError):
            json_value.decode(body)
    with pytest.raises(ValueError):
        json_value.decode_object(b"[]")
    with pytest.raises(ClientError):
        json_value.decode_request(b"[]")
