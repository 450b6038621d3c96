"""What a request asks to be billed for beyond the bytes it holds: plain searches in them, since bodies may be large."""

from typing import Final

from chatvault.wire.json_fields import Body
from chatvault.wire.tap import AskedFields

_POINTING: Final[dict[str, tuple[bytes, ...]]] = {
    "openai": (b"image_url", b"file_"),
    "anthropic": (b'"source"',),
    "gemini": (b"nlineData", b"nline_data", b"ileUri", b"ile_uri"),
    "ollama": (b'"images"',),
}
"""By family: words of parts whose tokens their bytes do not bound (images and documents), or that point elsewhere; few,
since each is one search of the whole."""
_CACHED: Final = frozenset(("cachedContent", "cached_content"))
_KEPT: Final[dict[str, frozenset[str]]] = {
    "openai.responses": frozenset(("previous_response_id", "conversation", "prompt")),
    "gemini.generate": _CACHED,
    "gemini.array": _CACHED,
}
"""By dialect: top-level fields that add what the provider keeps."""
_TOOLS: Final = (
    b"web_search",
    b"web_fetch_",
    b"file_search",
    b"tool_search",
    b"code_interpreter",
    b"code_execution",
    b"image_generation",
    b'"mcp',
    b"oogleSearch",
    b"oogle_search",
    b"oogleMaps",
    b"oogle_maps",
    b"rlContext",
    b"rl_context",
    b"ileSearch",
    b"odeExecution",
)
"""Tools that providers run, in every dialect's words. Each of their rounds bills the input again, and some a fee."""
_RUN: Final = frozenset(("web_search_options", "mcp_servers"))
"""Top-level fields that stand for such tools."""


def points_elsewhere(dialect: str, request: AskedFields, body: Body) -> bool:
    """Whether the input may be more tokens than the body has bytes."""
    kept = _KEPT.get(dialect)
    if kept is not None and not kept.isdisjoint(request.fields.values):
        return True
    for word in _POINTING[dialect.partition(".")[0]]:  # noqa: SIM110 - a generator would cost more than the searches
        if word in body:
            return True
    return False


def runs_tools(request: AskedFields) -> bool:
    """Whether the provider may run tools by itself, so often that what it bills has no bound."""
    values = request.fields.values
    if "tools" in values:
        tools = bytes(values["tools"])
        if any(word in tools for word in _TOOLS):
            return True
    return not _RUN.isdisjoint(values)
