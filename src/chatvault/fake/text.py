"""The simulated model's words: the same for the same question."""

import hashlib
import re

WORDS = tuple(
    word
    for line in (
        "a river runs under the old bridge and carries small boats past green fields to the sea where wind",
        "lifts sand over quiet towns whose people count stars write letters mend nets bake bread tell",
        "stories keep bees plant trees watch birds learn songs build walls paint doors ring bells and wait",
    )
    for word in line.split()
)
PIECE = re.compile(r"\s*(?:\w+|[^\w\s]+)|\s+")
MOST_ECHOED = 8192
"""Characters of the question that `echo` gives back."""


def pieces(text: str) -> tuple[str, ...]:
    """`text` cut into the simulated tokens: a word or a run of signs each, with the space before it."""
    return tuple(PIECE.findall(text))


def count_prompt(text_bytes: int, messages: int = 1) -> int:
    """The prompt's tokens: four for each message, and one for every four bytes of text begun."""
    return 4 * messages + (text_bytes + 3) // 4


def sentence(seed: str) -> str:
    """A sentence of 12 to 27 words that depends on `seed` alone."""
    digest = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).digest()
    words = [WORDS[byte % len(WORDS)] for byte in digest[: 12 + digest[31] % 16]]
    return " ".join(words).capitalize() + "."
