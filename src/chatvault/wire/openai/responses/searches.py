"""Searches of the web as items of an answer (https://platform.openai.com/docs/guides/tools-web-search, seen
2026-11)."""

from typing import Final

from chatvault.wire.hub.search import Search, Source
from chatvault.wire.json_value import Values, list_of, name_of, object_of, objects_of, text_of

CALL: Final = "web_search_call"
_PREFIX: Final = "ws_"


def search_in(item: Values) -> Search | None:
    """None for an item that is no search, but looks at a page that was found."""
    action = object_of(item.get("action"))
    if item.get("type") != CALL or action.get("type", "search") != "search":
        return None
    queries = [each for each in list_of(action.get("queries")) if isinstance(each, str) and each]
    query = name_of(action.get("query"))
    sources = (name_of(each.get("url")) for each in objects_of(action.get("sources")))
    return Search(
        id=text_of(item.get("id")),
        queries=tuple(queries) or ((query,) if query else ()),
        sources=tuple(Source(url=url) for url in sources if url),
        asks=True,
        found=True,
        failed="failed" if item.get("status") == "failed" else None,
    )


def search_item(search: Search) -> Values:
    return {
        "type": CALL,
        "id": _PREFIX + search.id.removeprefix(_PREFIX),
        "status": "completed" if search.failed is None else "failed",
        "action": search_action(search),
    }


def search_action(search: Search) -> Values:
    action: Values = {"type": "search", "query": "\n".join(search.queries)}
    if search.queries:
        action["queries"] = list(search.queries)
    if search.sources:
        action["sources"] = [{"type": "url", "url": source.url} for source in search.sources]
    return action
