"""A call whose usage was estimated, counted by a tokenizer, where both bodies are there and all of them is text."""

from typing import Final, Protocol

from chatvault.audit.lines import Closed
from chatvault.core.usage import Usage
from chatvault.counting.families import Family, family_of
from chatvault.counting.measure import said_texts, texts_of

_REDACTED: Final = "[redacted]"


class Counts(Protocol):
    """What `counting.tokenizers.Tokenizers` offers."""

    def name(self, vocabulary: str) -> str: ...

    def count(self, vocabulary: str, texts: list[str]) -> int: ...


def recount(
    line: Closed, request: dict[str, object], answer: dict[str, object], tokenizers: Counts
) -> tuple[Usage, str] | None:
    """The usage, and what counted it. None where it cannot be counted: there is no tokenizer for the model, a body is
    not whole, something was redacted, or there are images or files in it."""
    family = family_of(line.target)
    asked, said = request.get("request"), answer.get("response", "")
    if family.vocabulary is None or not isinstance(asked, str) or not isinstance(said, str):
        return None
    raw = asked.encode(errors="replace")
    answered = said.encode(errors="replace")
    if len(raw) != request.get("request_size") or _REDACTED in asked or _REDACTED in said:
        return None
    if len(answered) != line.bytes_out:
        return None
    tokens = _asked(raw, family, tokenizers)
    if tokens is None:
        return None
    output = tokenizers.count(family.vocabulary, said_texts(answered)) if answered else 0
    return Usage(input=tokens, output=output), tokenizers.name(family.vocabulary)


def _asked(raw: bytes, family: Family, tokenizers: Counts) -> int | None:
    """The texts by the tokenizer, and what the provider puts around them as it is known of the family."""
    found = texts_of(raw)
    if found is None or found.media or family.vocabulary is None:
        return None
    texts = tokenizers.count(family.vocabulary, found.texts)
    schemas = tokenizers.count(family.vocabulary, found.schemas) * family.schema // 100
    around = (
        family.base + (family.tools if found.tools else 0) + (found.messages * family.message + 50) // 100
    )
    return texts + schemas + around
