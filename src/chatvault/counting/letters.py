"""Letters of texts by their kinds, counted over bytes of UTF-8 without decoding them: the first byte of a character
tells its kind, and `bytes.translate` counts at about a nanosecond a byte and kind."""

from typing import Final

from chatvault.core.sizes import Letters


def _span(first: int, last: int) -> bytes:
    return bytes(range(first, last + 1))


_LOWER: Final = _span(0x61, 0x7A)
_UPPER: Final = _span(0x41, 0x5A)
_DIGIT: Final = _span(0x30, 0x39)
KINDS: Final = {
    "lower": _LOWER,
    "upper": _UPPER,
    "digit": _DIGIT,
    "space": b" ",
    "line": b"\n\r\t",
    "punct": _span(0x21, 0x7E).translate(None, _LOWER + _UPPER + _DIGIT),
    "latin": _span(0xC2, 0xC9),
    "greek": _span(0xCA, 0xD4),
    "semitic": _span(0xD5, 0xDF),
    "indic": b"\xe0",
    "sign": b"\xe1\xe2",
    "cjk": _span(0xE3, 0xE9),
    "hangul": _span(0xEA, 0xEF),
    "emoji": _span(0xF0, 0xF4),
}
"""The first bytes of a kind's characters."""

ENGLISH: Final = Letters(lower=780, upper=20, space=170, line=5, punct=25, words=175)
"""A thousand characters of English prose: what is taken for a text of which the size alone is known."""
_ASCII: Final = 6


def letters(text: bytes) -> Letters:
    """Of a text in UTF-8."""
    size = len(text)
    kinds = list(KINDS.values())[:_ASCII] if text.isascii() else KINDS.values()
    counts = [size - len(text.translate(None, kind)) for kind in kinds]
    counts += [0] * (len(KINDS) - len(counts)) + [len(text.split())]
    return Letters(*counts)


def total(counts: Letters) -> int:
    """Characters."""
    return sum(_values(counts)) - counts.words


def scaled(counts: Letters, part: int, whole: int) -> Letters:
    """`part / whole` of each, rounded."""
    if not whole:
        return counts
    return Letters(*((value * part + whole // 2) // whole for value in _values(counts)))


def _values(counts: Letters) -> tuple[int, ...]:
    return tuple(getattr(counts, field) for field in Letters.__struct_fields__)
