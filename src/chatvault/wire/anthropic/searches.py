"""Searches of the web and what was cited of them, in Anthropic's words
(https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/web-search-tool, seen 2026-11).

What another provider searched is told the same way, without what only Anthropic could have sealed.
"""

from typing import Final

from chatvault.wire.hub.search import Citation, Search, Source
from chatvault.wire.json_value import Values, name_of, object_of, objects_of, text_of

_PREFIX: Final = "srvtoolu_"
_FOREIGN: Final = "srvtoolu_ws_"
_CALLS: Final = "server_tool_use"
_RESULTS: Final = "web_search_tool_result"


def search_in(block: Values) -> Search | None:
    """None for a block that tells of no search of the web."""
    match block.get("type"):
        case "server_tool_use" if block.get("name") == "web_search":
            query = name_of(object_of(block.get("input")).get("query"))
            queries, other = (query,) if query else (), _others(block, ("type", "id", "name", "input"))
            return Search(id=_own_id(block.get("id")), queries=queries, asks=True, other=other)
        case "web_search_tool_result":
            content = block.get("content")
            failed = name_of(object_of(content).get("error_code")) if isinstance(content, dict) else None
            sources = tuple(
                Source(url=url, title=name_of(each.get("title")), age=name_of(each.get("page_age")))
                for each in (objects_of(content) if isinstance(content, list) else ())
                if (url := name_of(each.get("url")))
            )
            sealed = any(each.get("encrypted_content") for each in objects_of(content))
            return Search(
                id=_own_id(block.get("tool_use_id")),
                sources=sources,
                found=True,
                failed=failed,
                other=_others(block, ("type", "tool_use_id", "" if sealed else "content")),
            )
    return None


def _others(block: Values, known: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name, value in block.items() if name not in known and value is not None)


def _own_id(value: object) -> str:
    """As its provider had it, if this is what `search_blocks` made of it."""
    id = text_of(value)
    return id.removeprefix(_PREFIX) if id.startswith(_FOREIGN) else id


def search_blocks(search: Search) -> list[Values]:
    """The blocks that tell of a search: what was asked, what was found, or both."""
    id = search.id if search.id.startswith(_PREFIX) else _PREFIX + search.id
    blocks: list[Values] = []
    if search.asks:
        given = {"query": "\n".join(search.queries)} if search.queries else {}
        blocks.append({"type": _CALLS, "id": id, "name": "web_search", "input": given})
    if search.found:
        content: object = [_result(source) for source in search.sources]
        if search.failed is not None:
            content = {"type": "web_search_tool_result_error", "error_code": "unavailable"}
        blocks.append({"type": _RESULTS, "tool_use_id": id, "content": content})
    return blocks


def _result(source: Source) -> Values:
    return {
        "type": "web_search_result",
        "url": source.url,
        "title": source.title or "",
        "encrypted_content": "",
        "page_age": source.age,
    }


def citations_in(citation: Values) -> tuple[Citation, ...]:
    url = name_of(citation.get("url")) or name_of(citation.get("source"))
    if not url:
        return ()  # a place in a document of the client's own
    text = name_of(citation.get("cited_text"))
    return (Citation(url=url, title=name_of(citation.get("title")), text=text),)


def written_citation(cited: Citation) -> Values:
    return {
        "type": "web_search_result_location",
        "url": cited.url,
        "title": cited.title,
        "cited_text": cited.text or "",
        "encrypted_index": "",
    }
