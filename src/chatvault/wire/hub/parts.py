"""The parts a message is made of. Each dialect's reader makes them, each dialect's writer takes them."""

from typing import Literal

import msgspec

from chatvault.wire.hub.search import Citation, Search


class Part(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="part", kw_only=True, gc=False):
    """`cache` marks the end of a prompt prefix to cache; its value is the lifetime (`5m`, `1h`), or
    `default`.

    `extra` holds what only the dialect `origin` understands, by field name, as it came: put back when the
    same dialect is written, reported as dropped by every other.
    """

    cache: str | None = None
    origin: str | None = None
    extra: dict[str, msgspec.Raw] | None = None
    path: str | None = None
    """Where it stands in the client's request (`messages[3].content[1]`), for reports of what was dropped;
    None where its place among the hub's messages says it."""


class Text(Part, frozen=True, tag="text", kw_only=True, gc=False):
    text: str
    citations: tuple[msgspec.Raw, ...] = ()
    """In the shape of `origin`."""
    cited: tuple[Citation, ...] = ()
    """The same in nobody's shape, as far as they point to pages of the web."""


class Media(Part, frozen=True, tag="media", kw_only=True, gc=False):
    """An image, a document, audio or video. Exactly one of `data` (base64 text), `url`, `file` (a provider's
    file id) and `text` (a plain-text document) is set."""

    kind: Literal["image", "document", "audio", "video"]
    mime: str | None = None
    data: str | None = None
    url: str | None = None
    file: str | None = None
    text: str | None = None
    name: str | None = None
    """File name or title."""
    detail: str | None = None


class ToolCall(Part, frozen=True, tag="tool_call", kw_only=True, gc=False):
    """`arguments` is JSON text as the model wrote it, or free text for a custom tool. `signature` is an
    opaque proof of thinking that some providers attach to calls and want back."""

    id: str
    name: str
    arguments: str
    custom: bool = False
    signature: str | None = None


class ToolResult(Part, frozen=True, tag="tool_result", kw_only=True, gc=False):
    """`name` is known where the dialect says it; else the writer that needs it looks for the call with this
    id."""

    call: str
    parts: tuple["Text | Media | Unknown", ...] = ()
    name: str | None = None
    failed: bool = False


class Thought(Part, frozen=True, tag="thought", kw_only=True, gc=False):
    """Reasoning. `text` may be seen; `signature` proves it to the provider it came from; `sealed` is
    reasoning that only that provider can read (redacted or encrypted). `id` and `summary` are those of
    `openai.responses` (`summary`: the text is one)."""

    text: str = ""
    signature: str | None = None
    sealed: str | None = None
    id: str | None = None
    summary: bool = False


class Refusal(Part, frozen=True, tag="refusal", kw_only=True, gc=False):
    text: str


class Unknown(Part, frozen=True, tag="unknown", kw_only=True, gc=False):
    """A content part nobody but `origin` understands, or a server-side tool's call or result: whole, as it
    came."""

    kind: str
    """Its `type` there."""
    raw: msgspec.Raw
    search: Search | None = None
    """Set where it tells of a search of the web, which others have their own words for."""


AnyPart = Text | Media | ToolCall | ToolResult | Thought | Refusal | Unknown
