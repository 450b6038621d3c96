"""What a record must know of a Gemini answer, whole or a chunk of a stream: one mapping for both, without
reading what was said.
"""

from typing import Final

import msgspec
from msgspec.structs import replace

from chatvault.core.usage import Usage
from chatvault.wire.gemini import finish
from chatvault.wire.gemini.names import camel
from chatvault.wire.gemini.usage import billed_searches, normalise
from chatvault.wire.json_value import Values, decode, encode, obj, objects_of
from chatvault.wire.openai.reply import Facts

_NONE: Final = msgspec.Raw(b"null")


class _Grounding(msgspec.Struct, gc=False):
    webSearchQueries: list[object] | None = None


class _Candidate(msgspec.Struct, gc=False):
    finishReason: str | int | None = None
    groundingMetadata: _Grounding | None = None


class _Feedback(msgspec.Struct, gc=False):
    blockReason: str | int | None = None


class Chunk(msgspec.Struct, gc=False):
    """The fields of a chunk that matter."""

    candidates: list[_Candidate] | None = None
    promptFeedback: _Feedback | None = None
    usageMetadata: dict[str, object] | None = None
    modelVersion: str | None = None
    error: msgspec.Raw = _NONE


_decode = msgspec.json.Decoder(Chunk).decode


def read_chunk(body: bytes) -> Chunk:
    """Raises ValueError for what is not one JSON object. A field of an unheard-of shape is passed over."""
    try:
        return _decode(body)
    except (msgspec.DecodeError, RecursionError):
        return chunk_of(decode(body))


def chunk_of(value: object) -> Chunk:
    """The same from a value. Raises ValueError."""
    found = obj(value)
    if found is None:
        raise ValueError("not a JSON object")
    fields = camel(found)
    version, error = fields.get("modelVersion"), fields.get("error")
    feedback = camel(obj(fields.get("promptFeedback")) or {})
    return Chunk(
        candidates=[_candidate(camel(each)) for each in objects_of(fields.get("candidates"))],
        promptFeedback=_Feedback(_word(feedback.get("blockReason"))),
        usageMetadata=obj(fields.get("usageMetadata")),
        modelVersion=version if isinstance(version, str) else None,
        error=msgspec.Raw(encode(error)) if error is not None else _NONE,
    )


def _candidate(fields: Values) -> _Candidate:
    queries = camel(obj(fields.get("groundingMetadata")) or {}).get("webSearchQueries")
    return _Candidate(
        _word(fields.get("finishReason")), _Grounding(queries if isinstance(queries, list) else None)
    )


def _word(value: object) -> str | int | None:
    return value if isinstance(value, str | int) and not isinstance(value, bool) else None


def learn(facts: Facts, chunk: Chunk) -> None:
    """Later words of the provider replace earlier ones; searches add up."""
    searches = facts.usage.searches if facts.usage is not None else 0
    usage = normalise(chunk.usageMetadata) or facts.usage
    for candidate in chunk.candidates or ():
        facts.finish = finish.said(candidate.finishReason) or facts.finish
        if candidate.groundingMetadata is not None:
            searches += len(candidate.groundingMetadata.webSearchQueries or ())
    searches = billed_searches(chunk.modelVersion or facts.model, searches)
    if usage is not None or searches:
        usage = usage or Usage()
        facts.usage = replace(usage, searches=searches) if searches else usage
    if chunk.promptFeedback is not None and not chunk.candidates:
        facts.finish = finish.said(chunk.promptFeedback.blockReason) or facts.finish
    facts.model = chunk.modelVersion or facts.model
    if bytes(chunk.error) not in (b"null", b"{}"):
        facts.error = bytes(chunk.error).decode(errors="replace")


def read_facts(body: bytes) -> Facts:
    """Of a whole answer. Raises ValueError for what is no JSON object, nor a list of them."""
    facts = Facts()
    if body.lstrip()[:1] == b"[":
        value = decode(body)
        if not isinstance(value, list) or not value:
            raise ValueError("not a list of JSON objects")
        for each in value:
            learn(facts, chunk_of(each))
    else:
        learn(facts, read_chunk(body))
    return facts
