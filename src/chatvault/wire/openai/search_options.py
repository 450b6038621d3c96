"""How to search the web, as OpenAI's dialects say it
(https://platform.openai.com/docs/guides/tools-web-search, seen 2026-11)."""

from typing import Final

from chatvault.wire.hub.dropped import Dropped
from chatvault.wire.hub.search import PLACE, WebSearch
from chatvault.wire.json_value import Values, name_of, object_of, put

_LABELS: Final = frozenset(("type", "name"))
_KNOWN: Final = frozenset(("search_context_size", "user_location", "filters"))
_NAMES: Final = {
    "place": "user_location",
    "context_size": "search_context_size",
    "allowed_domains": "filters.allowed_domains",
    "blocked_domains": "filters.blocked_domains",
}
_DEFAULTS: Final[tuple[object, ...]] = (None, {}, [], "")


def read_search(said: Values) -> WebSearch:
    """Of the tool of `openai.responses`, and of the `web_search_options` of `openai.chat`."""
    filters, location = object_of(said.get("filters")), object_of(said.get("user_location"))
    location = object_of(location.get("approximate")) or location
    other = [name for name, value in said.items() if name not in _LABELS | _KNOWN and value not in _DEFAULTS]
    other += [f"filters.{name}" for name in filters if not name.endswith("ed_domains")]
    other += [f"user_location.{name}" for name in location if name not in (*PLACE, "type")]
    return WebSearch(
        context_size=name_of(said.get("search_context_size")),
        allowed_domains=_names(filters.get("allowed_domains")),
        blocked_domains=_names(filters.get("blocked_domains")),
        place=place_of(location),
        names=_NAMES,
        other=tuple(other),
    )


def place_of(location: Values) -> dict[str, str]:
    return {name: value for name in PLACE if (value := name_of(location.get(name)))}


def _names(value: object) -> tuple[str, ...]:
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()


def write_tool(search: WebSearch | None, path: str, dropped: Dropped) -> Values:
    """The tool of `openai.responses`, for a search that another dialect asked for."""
    out: Values = {"type": "web_search"}
    if search is None:
        return out
    put(out, search_context_size=search.context_size)
    if search.place:
        out["user_location"] = {"type": "approximate", **search.place}
    if search.allowed_domains:
        out["filters"] = {"allowed_domains": list(search.allowed_domains)}
    search.drop(path, dropped, "blocked_domains")
    return out


def write_options(search: WebSearch | None, path: str, dropped: Dropped) -> Values:
    """`web_search_options` of `openai.chat`, for a search that another dialect asked for."""
    out: Values = {}
    if search is None:
        return out
    put(out, search_context_size=search.context_size)
    if search.place:
        out["user_location"] = {"type": "approximate", "approximate": search.place}
    search.drop(path, dropped, "allowed_domains", "blocked_domains", "max_uses")
    return out
