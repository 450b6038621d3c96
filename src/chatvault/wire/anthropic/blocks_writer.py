"""Parts of the hub, written as content blocks. What this dialect has no block for goes on the list, by the
client's own path.
"""

import re
from base64 import b64decode
from typing import Final

import msgspec

from chatvault.wire.anthropic.names import ME
from chatvault.wire.anthropic.thinking import is_proven
from chatvault.wire.anthropic.tool_input import CUSTOM_INPUT, input_of
from chatvault.wire.anthropic.tools import cache_control, tool_id
from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.parts import AnyPart, Media, Refusal, Text, Thought, ToolCall, ToolResult, Unknown
from chatvault.wire.json_value import Values, put

Block = Values | msgspec.Raw
_BEGINNINGS: Final = {
    "/9j/": "image/jpeg",
    "iVBOR": "image/png",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
    "JVBERi": "application/pdf",
}
"""How base64 of a file of that type begins, for those that come without their type."""
_FETCHED: Final = re.compile(r"https?://", re.IGNORECASE)
_IMAGES: Final = frozenset(("image/jpeg", "image/png", "image/gif", "image/webp"))


class BlockWriter:
    """`own`: the conversation came in this dialect, and goes back as it was."""

    __slots__ = ("_dropped", "_own")

    def __init__(self, dropped: Dropped, *, own: bool) -> None:
        self._dropped = dropped
        self._own = own

    def block(self, part: AnyPart, path: str) -> Block | None:
        """None where there is nothing to write. `path` is the part's in the client's request."""
        out: Block | None
        match part:
            case Text():
                out = self._text(part, path)
            case ToolCall():
                out = self._call(part)
            case ToolResult():
                out = self._result(part, path)
            case Media():
                out = self._media(part, path)
            case Thought():
                out = self._thought(part, path)
            case Refusal():
                out = {"type": "text", "text": part.text} if part.text else None
            case Unknown():
                return self._unknown(part, path)
        if isinstance(out, dict):
            self._common(part, out, path)
        return out

    def _common(self, part: AnyPart, out: Values, path: str) -> None:
        if part.cache is not None:
            if isinstance(part, Thought):
                self._dropped.add(f"{path}.cache_control")
            else:
                out["cache_control"] = cache_control(part.cache)
        if part.extra:
            if part.origin == ME:
                out |= part.extra
            else:
                for name in part.extra:
                    self._dropped.add(f"{path}.{name}")

    def _text(self, part: Text, path: str) -> Block | None:
        if part.origin == ME and part.extra and "search_result" in part.extra:
            return part.extra["search_result"]
        if not part.text and not self._own:
            return None  # an empty text is refused here, and says nothing
        out: Values = {"type": "text", "text": part.text}
        if part.citations:
            if part.origin == ME:
                out["citations"] = list(part.citations)
            else:
                self._dropped.add(f"{path}.annotations")
        return out

    def _call(self, part: ToolCall) -> Values:
        id = part.id if self._own else tool_id(part.id, part.name)
        given = {CUSTOM_INPUT: part.arguments} if part.custom else input_of(part.arguments)
        return {"type": "tool_use", "id": id, "name": part.name, "input": given}

    def _result(self, part: ToolResult, path: str) -> Values:
        call = part.call if self._own else tool_id(part.call, part.name or "")
        out: Values = {"type": "tool_result", "tool_use_id": call}
        content: list[Block] = []
        for index, inner in enumerate(part.parts):
            block = self.block(inner, inner.path or f"{path}.content[{index}]")
            if block is not None:
                content.append(block)
        if content:
            out["content"] = shortened(content)
        put(out, is_error=True if part.failed else None)
        return out

    def _thought(self, part: Thought, path: str) -> Values | None:
        own = self._own and part.origin == ME
        if not own and not is_proven(part):
            self._dropped.add(path)
            return None
        if part.sealed is not None and not part.text and part.signature is None:
            return {"type": "redacted_thinking", "data": part.sealed}
        out: Values = {"type": "thinking", "thinking": part.text}
        put(out, signature=part.signature)
        return out

    def _unknown(self, part: Unknown, path: str) -> Block | None:
        if part.origin == ME:
            return part.raw
        self._dropped.add(path)
        return None

    def _media(self, part: Media, path: str) -> Values | None:
        source = _own_source(part) if self._own else _source(part)
        if source is None or part.kind not in ("image", "document"):
            self._dropped.add(path)
            return None
        if part.detail is not None and part.detail != "auto":
            self._dropped.add(f"{path}.detail")
        kind = part.kind
        if not self._own and str(source.get("media_type")).startswith("image/"):
            kind = "image"
        out: Values = {"type": kind, "source": source}
        if kind == "document":
            put(out, title=part.name if self._own else part.name or None)
        return out


def plain_block(part: AnyPart) -> Block | None:
    """The block of a text that says nothing but itself, as nearly all parts do; None for any other part. The
    same as `BlockWriter.block` gives."""
    if (
        type(part) is Text
        and part.text
        and part.cache is None
        and not part.extra
        and not part.citations
        and not part.cited
    ):
        return {"type": "text", "text": part.text}
    return None


def _own_source(part: Media) -> Values:
    """As it came."""
    out: Values = {}
    for form, name, value in (
        ("file", "file_id", part.file),
        ("url", "url", part.url),
        ("text", "data", part.text),
        ("base64", "data", part.data),
    ):
        if value is not None:
            out |= {"type": form, name: value}
    put(out, media_type=part.mime)
    return out


def _source(part: Media) -> Values | None:
    """None for what Anthropic cannot get at, or does not take."""
    if part.file is not None:
        # Another provider's file is not on this one's shelf.
        return {"type": "file", "file_id": part.file} if part.origin == ME else None
    if part.url is not None:
        return {"type": "url", "url": part.url} if _FETCHED.match(part.url) else None
    if part.text is not None:
        return {"type": "text", "media_type": "text/plain", "data": part.text}
    data = part.data
    if data is None:
        return None
    mime = part.mime or next((mime for begins, mime in _BEGINNINGS.items() if data.startswith(begins)), None)
    if mime is None:
        return None
    if mime == "application/pdf" or mime in _IMAGES or part.kind == "image":
        return {"type": "base64", "media_type": mime, "data": data}
    return _text_source(part) if mime.startswith(("text/", "application/json")) else None


def _text_source(part: Media) -> Values | None:
    """A text that came as base64: plain text is all that Anthropic takes of it, and all that is in it."""
    try:
        text = b64decode(part.data or "").decode()
    except ValueError:
        return None
    return {"type": "text", "media_type": "text/plain", "data": text}


def shortened(content: list[Block]) -> object:
    """One plain text is written as a string, which says the same."""
    if len(content) != 1:
        return content
    only = content[0]
    if isinstance(only, dict) and len(only) == 2 and "text" in only and only.get("type") == "text":
        return only["text"]
    return content
