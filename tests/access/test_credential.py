"""The form of tokens: known at a glance, a slip told from a guess, kept by a keyed digest alone."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvault.access.credential import LENGTH, digest, new_token, well_formed


def test_the_form_of_a_token() -> None:
    for _ in range(200):
        token = new_token()
        assert re.fullmatch(r"cv-[0-9A-Za-z]{38}", token)
        assert len(token) == LENGTH
        assert well_formed(token.encode())
    assert len({new_token() for _ in range(1000)}) == 1000


@given(st.integers(0, LENGTH - 1), st.integers(33, 126))
def test_a_slip_of_one_character_is_noticed(place: int, other: int) -> None:
    token = bytearray(new_token().encode())
    if token[place] != other:
        token[place] = other
        assert not well_formed(bytes(token))


@given(st.integers(3, LENGTH - 2))
def test_two_characters_exchanged_are_noticed(place: int) -> None:
    token = bytearray(new_token().encode())
    if token[place] != token[place + 1]:
        token[place], token[place + 1] = token[place + 1], token[place]
        assert not well_formed(bytes(token))


@pytest.mark.parametrize("shorter", [1, 6, 38])
def test_a_token_that_was_cut_off_is_noticed(shorter: int) -> None:
    token = new_token().encode()
    assert not well_formed(token[:-shorter])
    assert not well_formed(token[shorter:])
    assert not well_formed(token + b"x" * shorter)


@given(st.binary(max_size=60))
def test_what_is_no_token(data: bytes) -> None:
    assert not well_formed(data)
    assert not well_formed(b"cv-" + data)
    assert not well_formed((b"cv-" + data).ljust(LENGTH, b"\xff")[:LENGTH])


def test_the_digest_needs_its_key() -> None:
    token = new_token().encode()
    assert digest(b"pepper", token) == digest(b"pepper", token)
    assert len(digest(b"pepper", token)) == 32
    assert digest(b"pepper", token) != digest(b"salt", token)
    assert digest(b"pepper", token) != digest(b"pepper", new_token().encode())
