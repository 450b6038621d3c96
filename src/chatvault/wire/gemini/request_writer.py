"""A conversation as a request in Gemini's words."""

from typing import Final
from urllib.parse import quote

from chatvault.wire.gemini.content_writer import ContentWriter
from chatvault.wire.gemini.generation_writer import write_generation
from chatvault.wire.gemini.names import DIALECT
from chatvault.wire.gemini.tool_writer import write_choice, write_tools
from chatvault.wire.hub.conversation import Conversation
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.paths import field_path
from chatvault.wire.json_value import Values, decode, encode

_TIERS: Final = frozenset(("flex", "priority", "standard", "unspecified"))
"""https://ai.google.dev/gemini-api/docs/flex-inference, seen 2026-11."""
_NO_TIER: Final = frozenset(("auto", "default"))


def write_request(conversation: Conversation, dropped: Dropped) -> bytes:
    writer = ContentWriter(conversation, dropped)
    writer.write()
    out: Values = {"contents": writer.contents}
    if writer.system or writer.system_fields:
        out["systemInstruction"] = {"parts": writer.system, **writer.system_fields}
    tools = write_tools(conversation, dropped)
    if tools:
        out["tools"] = tools
    choice = write_choice(conversation, dropped)
    if choice is not None:
        out["toolConfig"] = {"functionCallingConfig": choice}
    generation = write_generation(conversation, dropped)
    if generation:
        out["generationConfig"] = generation
    _account(out, conversation, dropped)
    for path, value in conversation.extra.items():
        if conversation.origin == DIALECT:
            _put(out, path, decode(value))
        else:
            dropped.add(path)
    return encode(out)


def _account(out: Values, conversation: Conversation, dropped: Dropped) -> None:
    tier, origin = conversation.service_tier, conversation.origin
    if tier is not None and (tier in _TIERS or origin == DIALECT):
        out["serviceTier"] = tier
    elif tier is not None and tier not in _NO_TIER:
        dropped.add(field_path(origin, "service_tier"))
    if conversation.metadata is not None:
        # Labels are Vertex AI's alone; the Gemini API refuses them.
        if origin == DIALECT:
            out["labels"] = conversation.metadata
        else:
            dropped.add(field_path(origin, "metadata"))


def _put(out: Values, path: str, value: object) -> None:
    """Puts a value where it was: `path` has the names of the objects around it, joined by dots."""
    *around, name = path.split(".")
    if not around or around[0] not in _NESTED:
        out[path] = value
        return
    place = out
    for each in around:
        inner = place.setdefault(each, {})
        assert isinstance(inner, dict)  # it was one in the request
        place = inner
    place[name] = value


_NESTED: Final = frozenset(("generationConfig", "toolConfig"))
"""Objects whose members are kept one by one."""


def request_path(conversation: Conversation) -> bytes:
    """Below the base URL, which ends with the version (`.../v1beta`) or with Vertex AI's publisher
    (`.../publishers/google`).
    """
    collection, slash, name = conversation.model.rpartition("/")
    if collection not in _COLLECTIONS:
        collection, slash, name = "models", "/", conversation.model
    method = "streamGenerateContent?alt=sse" if conversation.stream else "generateContent"
    return f"/{collection}{slash}{quote(name, safe='')}:{method}".encode()


_COLLECTIONS: Final = frozenset(("models", "tunedModels", "endpoints"))
