"""Ollama's counts, which stand in the answer itself (https://docs.ollama.com/api/usage, seen 2026-11)."""

from typing import Final

from chatvault.core.usage import Usage
from chatvault.wire.json_value import Values, count

_MOST: Final = 1 << 48
"""More tokens than any call has."""


def normalise(reply: Values) -> Usage | None:
    """None if nothing is counted. A count of zero is left out, as of a prompt that was wholly in the
    cache.
    """
    if reply.get("prompt_eval_count") is None and reply.get("eval_count") is None:
        return None
    return Usage(
        input=min(count(reply.get("prompt_eval_count")), _MOST),
        output=min(count(reply.get("eval_count")), _MOST),
    )


def retell(usage: Usage) -> Values:
    return {"prompt_eval_count": usage.input, "eval_count": usage.output}
