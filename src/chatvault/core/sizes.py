"""How large texts are by kinds of letters: what tokens can be estimated of, when nobody has counted them.

A line of the journal holds such figures where it holds an estimate, so that a better one can be made of the
same line later. They tell nothing of what was said but how much of it.
"""

import msgspec


class Letters(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """How many characters of each kind, and words. What lies between has no meaning but its bytes in UTF-8."""

    lower: int = 0
    upper: int = 0
    digit: int = 0
    space: int = 0
    line: int = 0
    """Line ends and tabs."""
    punct: int = 0
    latin: int = 0
    """With accents: U+0080 to U+027F."""
    greek: int = 0
    """And Cyrillic: U+0280 to U+053F."""
    semitic: int = 0
    """Hebrew, Arabic, and what else lies below U+0800."""
    indic: int = 0
    """And Thai: U+0800 to U+0FFF."""
    sign: int = 0
    """Typographic and other signs: U+1000 to U+2FFF."""
    cjk: int = 0
    """Chinese characters and kana: U+3000 to U+9FFF."""
    hangul: int = 0
    """And the rest below U+10000."""
    emoji: int = 0
    """All beyond."""
    words: int = 0
    """Runs of anything between spaces and line ends."""


class Sizes(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Of a call. `sampled`: the request was too large to be kept, and its text was measured in samples."""

    text: Letters = Letters()
    """What was asked: instructions, messages, results of tools."""
    schema: Letters = Letters()
    """Definitions of tools, and the schema of the answer, as JSON."""
    messages: int = 0
    tools: int = 0
    media: int = 0
    """Images, sounds and files, whose tokens nobody knows here."""
    said: Letters = Letters()
    """What was answered, as far as it came."""
    events: int = 0
    """Events of the answer that carried some of it: a token each at least."""
    sampled: bool = False
