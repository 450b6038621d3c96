import pytest

from chatvault.audit.frame import frame
from chatvault.audit.lines import ChainStarted, Closed, Line
from chatvault.recorder.check import Damage, begins, check, time_of
from tests.recorder.journals import START, closed, opened


def framed(line: Line, seq: int, prev: str) -> bytes:
    line.seq, line.prev = seq, prev
    return frame(line)[0][:-1]


def resigned(text: bytes, old: bytes, new: bytes) -> bytes:
    """A line changed by somebody who also puts the digest right."""
    from hashlib import sha256

    from chatvault.audit.frame import TAIL

    body = text[:-TAIL].replace(old, new)
    return body + b',"digest":"%b"}' % sha256(body + b"}").hexdigest().encode()


PREV = "ab" * 32


def test_a_line_that_follows_gives_its_value_and_digest() -> None:
    text = framed(closed(1, "c1"), 7, PREV)
    digest, line = check(text, 7, PREV.encode())
    assert isinstance(line, Closed)
    assert (line.id, line.seq, digest) == ("c1", 7, text[-66:-2])


def test_lines_that_make_nothing_are_checked_and_not_decoded() -> None:
    text = framed(opened(1, "c1"), 7, PREV)
    assert check(text, 7, PREV.encode()) == (text[-66:-2], None)


def test_a_kind_of_a_newer_version_makes_nothing() -> None:
    text = resigned(framed(closed(1, "c1"), 7, PREV), b'"type":"closed"', b'"type":"novel"')
    assert check(text, 7, PREV.encode())[1] is None


def test_a_line_that_is_spaced_otherwise_is_read_all_the_same() -> None:
    text = resigned(framed(closed(1, "c1"), 7, PREV), b'"seq":7,', b'"seq": 7, ')
    assert isinstance(check(text, 7, PREV.encode())[1], Closed)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b'"seq":7', b'"seq":8', "has number 8 where 7 is due"),
        (PREV.encode(), b"cd" * 32, "line 7 does not follow"),
        (b'"status":200', b'"status":"x"', "cannot be read"),
        (b'"type":"closed"', b'"type":3', "cannot be read"),
        (b'{"type"', b'{"type', "cannot be read"),
    ],
)
def test_a_line_that_does_not_fit_is_damage_though_its_digest_fits(old: bytes, new: bytes, why: str) -> None:
    with pytest.raises(Damage, match=why):
        check(resigned(framed(closed(1, "c1"), 7, PREV), old, new), 7, PREV.encode())


def test_every_changed_byte_is_noticed() -> None:
    text = framed(closed(1, "c1"), 7, PREV)
    for at in range(len(text)):
        changed = text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :]
        with pytest.raises(Damage):
            check(changed, 7, PREV.encode())
    for short in (b"", b"{}", text[:40], text[-60:]):
        with pytest.raises(Damage):
            check(short, 7, PREV.encode())


def test_a_chain_begins_with_its_own_name_in_a_format_that_is_known() -> None:
    line = ChainStarted(seq=1, at=1, chain="w1", writer="w")
    begins(line, "w1")
    with pytest.raises(Damage, match="another chain"):
        begins(line, "w2")
    with pytest.raises(Damage, match="newer version"):
        begins(ChainStarted(seq=1, at=1, chain="w1", writer="w", format=9), "w1")


def test_the_time_of_a_line() -> None:
    assert time_of(framed(opened(0, "c"), 1, "")) == START
    assert time_of(b"{}") is None
