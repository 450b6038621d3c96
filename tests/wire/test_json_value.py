"""JSON of strangers: each helper gives what it asks for, or nothing."""

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
    assert json_value.objects([1, {"a": 1}]) == [{"a": 1}]
    assert json_value.objects({}) == []
    assert json_value.strings(["a", 1]) is None
    assert json_value.raws({}) is None


def test_halves_of_emojis_are_read() -> None:
    found = json_value.loads(b'{"a": "\\ud83d"}')
    assert isinstance(found, dict)
    assert len(found["a"]) == 1
    for body in (b"oops", b'{"\\ud83d": oops}', b"[" * 100_000, b"[" * 100_000 + b'"\\ud83d"'):
        with pytest.raises(ValueError):
            json_value.loads(body)
    with pytest.raises(ValueError):
        json_value.load_object(b"[]")
    with pytest.raises(ClientError):
        json_value.request_object(b"[]")


@pytest.mark.parametrize(("said", "standard"), [("-_8", "+/8="), ("AAAA", "AAAA"), ("AA", "AA==")])
def test_base64_in_one_alphabet(said: str, standard: str) -> None:
    assert json_value.standard_base64(said) == standard
    assert json_value.is_base64(said)


def test_what_is_no_base64() -> None:
    for said in ("", "a b", "A", "é"):
        assert not json_value.is_base64(said)
