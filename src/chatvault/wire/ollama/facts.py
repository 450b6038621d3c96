"""What a record must know of an answer of Ollama, whole or a line of a stream: one mapping for both, without
reading what was said.
"""

from typing import Final

import msgspec

from chatvault.wire.json_value import decode_object, encode, text
from chatvault.wire.ollama.usage import normalise
from chatvault.wire.openai.reply import Facts

_NONE: Final = msgspec.Raw(b"null")


class Line(msgspec.Struct, gc=False):
    """The fields of a line that matter."""

    model: str | None = None
    done: bool | None = None
    done_reason: str | None = None
    prompt_eval_count: int | float | None = None
    eval_count: int | float | None = None
    error: msgspec.Raw = _NONE


_decode = msgspec.json.Decoder(Line).decode


def read_line(body: bytes) -> Line:
    """Raises ValueError for what is not one JSON object. A field of an unheard-of shape is passed over."""
    try:
        return _decode(body)
    except (msgspec.DecodeError, RecursionError):
        found = decode_object(body)
    usage, error = normalise(found), found.get("error")
    return Line(
        model=text(found.get("model")),
        done=found.get("done") is True,
        done_reason=text(found.get("done_reason")),
        prompt_eval_count=usage.input if usage is not None else None,
        eval_count=usage.output if usage is not None else None,
        error=msgspec.Raw(encode(error)) if error is not None else _NONE,
    )


def learn(facts: Facts, line: Line) -> None:
    """Later words of the provider replace earlier ones."""
    counts: dict[str, object] = {"prompt_eval_count": line.prompt_eval_count, "eval_count": line.eval_count}
    facts.usage = normalise(counts) or facts.usage
    facts.model = line.model or facts.model
    if line.done:
        facts.finish = line.done_reason or "stop"
    if bytes(line.error) not in (b"null", b'""', b"{}"):
        facts.error = bytes(line.error).decode(errors="replace")


def read_facts(body: bytes) -> Facts:
    """Of a whole answer. Raises ValueError for what is not one JSON object."""
    facts = Facts()
    learn(facts, read_line(body))
    return facts
