"""Parts of the hub, written as content blocks. What Bedrock has no block for goes on the list, by the client's own
path.
"""

import re
from hashlib import blake2b
from typing import Final

from chatvault.wire.anthropic.tool_input import CUSTOM_INPUT, input_of
from chatvault.wire.bedrock.media import media_block
from chatvault.wire.bedrock.models import ModelFacts
from chatvault.wire.bedrock.names import DIALECT
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.parts import AnyPart, Media, Refusal, Text, Thought, ToolCall, ToolResult, Unknown
from chatvault.wire.json_value import Values

_ID: Final = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")


class BlockWriter:
    __slots__ = ("_dropped", "_facts", "_names")

    def __init__(self, facts: ModelFacts, dropped: Dropped) -> None:
        self._facts = facts
        self._dropped = dropped
        self._names: set[str] = set()

    def blocks(self, part: AnyPart, path: str, role: str) -> list[Values]:
        """The block, and the cache point behind it; empty where there is nothing to write."""
        block = self._block(part, path, role)
        if block is None:
            return []
        for name in part.extra or ():
            self._dropped.add(f"{path}.{name}")
        point = cache_point(part.cache, f"{path}.cache_control", self._facts, self._dropped)
        return [block] if point is None else [block, point]

    def _block(self, part: AnyPart, path: str, role: str) -> Values | None:
        match part:
            case Text():
                return self._text(part, path)
            case ToolCall():
                given = {CUSTOM_INPUT: part.arguments} if part.custom else input_of(part.arguments)
                call = {"toolUseId": call_id(part.id, part.name), "name": part.name, "input": given}
                return {"toolUse": call}
            case ToolResult():
                return self._result(part, path)
            case Media():
                return self._media(part, path, role)
            case Thought():
                return self._thought(part, path)
            case Refusal():
                return {"text": part.text} if part.text.strip() else None
            case Unknown():
                self._dropped.add(path)
                return None

    def _text(self, part: Text, path: str) -> Values | None:
        if part.citations:
            self._dropped.add(f"{path}.citations")
        return {"text": part.text} if part.text.strip() else None  # blanks alone are refused, and say nothing

    def _result(self, part: ToolResult, path: str) -> Values:
        content: list[Values] = []
        for at, each in enumerate(part.parts):
            block = self._block(each, each.path or f"{path}.content[{at}]", "user")
            if block is not None:
                content.append(block)
        result: Values = {"toolUseId": call_id(part.call, part.name or ""), "content": content}
        if part.failed:
            result["status"] = "error"
        return {"toolResult": result}

    def _media(self, part: Media, path: str, role: str) -> Values | None:
        block = media_block(part, self._names) if role == "user" else None
        if block is None:
            self._dropped.add(path)
        elif part.detail not in (None, "auto"):
            self._dropped.add(f"{path}.detail")
        return block

    def _thought(self, part: Thought, path: str) -> Values | None:
        """One that Bedrock can prove; what others thought is nothing to its models."""
        if part.origin == DIALECT and part.sealed is not None:
            return {"reasoningContent": {"redactedContent": part.sealed}}
        if part.origin == DIALECT and part.signature is not None:
            return {"reasoningContent": {"reasoningText": {"text": part.text, "signature": part.signature}}}
        self._dropped.add(path)
        return None


def cache_point(lifetime: str | None, path: str, facts: ModelFacts, dropped: Dropped) -> Values | None:
    """The end of a prefix to cache, where the model takes one."""
    if lifetime is None:
        return None
    if facts.caching == "none":
        dropped.add(path)
        return None
    point: Values = {"type": "default"}
    if lifetime in ("5m", "1h"):
        if facts.caching == "full":
            point["ttl"] = lifetime
        elif lifetime == "1h":
            dropped.add(f"{path}.ttl")
    return {"cachePoint": point}


def call_id(id: str, name: str) -> str:
    """An id of another provider's in the letters that Bedrock allows, the same for the call and for its result."""
    if _ID.fullmatch(id) is not None:
        return id
    digest = blake2b(f"{id}\n{name if not id else ''}".encode(errors="replace"), digest_size=8).hexdigest()
    return f"tooluse_{digest}"
