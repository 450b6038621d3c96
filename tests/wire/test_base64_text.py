"""Base64 in any alphabet."""

import pytest

from chatvault.wire import base64_text


@pytest.mark.parametrize(("said", "standard"), [("-_8", "+/8="), ("AAAA", "AAAA"), ("AA", "AA==")])
def test_base64_in_one_alphabet(said: str, standard: str) -> None:
    assert base64_text.standard_base64(said) == standard
    assert base64_text.is_base64(said)


def test_what_is_no_base64() -> None:
    for said in ("", "a b", "A", "é"):
        assert not base64_text.is_base64(said)
