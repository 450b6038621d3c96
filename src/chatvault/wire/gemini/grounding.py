"""What an answer of Gemini's rests on: `groundingMetadata`, read and written
(https://ai.google.dev/gemini-api/docs/google-search, seen 2026-11).

Places in the answer's text are counted in bytes of UTF-8 here, in characters everywhere else.
"""

from collections.abc import Iterable
from typing import Final

from chatvault.wire.gemini.names import camel
from chatvault.wire.hub.search import Citation, Search, Source
from chatvault.wire.json_value import Values, integer, obj, objects_of, strings, text

GROUNDING: Final = "groundingMetadata"
_KINDS: Final = ("web", "retrievedContext", "maps")


def read_search(grounding: Values, id: str) -> Search | None:
    """None where the web was not searched: pages that the client named, and its files, are cited too."""
    fields = camel(grounding)
    queries = strings(fields.get("webSearchQueries")) or ()
    found = [_source(each) for each in _chunks(fields)]
    sources = tuple(each for each in found if each is not None)
    if not queries:
        return None
    return Search(id=id, queries=queries, sources=sources, asks=True, found=True)


def read_citations(grounding: Values, said: str) -> tuple[Citation, ...]:
    """`said` is the text that the places lie in."""
    fields, cited = camel(grounding), list[Citation]()
    sources = [_source(each) for each in _chunks(fields)]
    whole = said.encode(errors="replace")
    for support in map(camel, objects_of(fields.get("groundingSupports"))):
        segment = camel(obj(support.get("segment")) or {})
        start, end = _place(segment, whole)
        indices = support.get("groundingChunkIndices")
        for index in indices if isinstance(indices, list) else ():
            source = sources[index] if isinstance(index, int) and 0 <= index < len(sources) else None
            if source is not None:
                cited.append(Citation(url=source.url, title=source.title, start=start, end=end))
    return tuple(cited)


def _chunks(fields: Values) -> list[Values]:
    return [camel(each) for each in objects_of(fields.get("groundingChunks"))]


def _source(chunk: Values) -> Source | None:
    for kind in _KINDS:
        found = obj(chunk.get(kind))
        url = text(found.get("uri")) if found is not None else None
        if found is not None and url:
            return Source(url=url, title=text(found.get("title")))
    return None


def _place(segment: Values, whole: bytes) -> tuple[int | None, int | None]:
    end = integer(segment.get("endIndex"))
    start = integer(segment.get("startIndex")) or 0
    if end is None or not 0 <= start <= end <= len(whole):
        return None, None
    before = whole[:start].decode(errors="replace")
    return len(before), len(before) + len(whole[start:end].decode(errors="replace"))


def write(searches: Iterable[Search], cited: Iterable[Citation], said: str) -> Values:
    """The value of `groundingMetadata`. The places of `cited` are counted from the beginning of `said`."""
    places = dict[str, int]()
    chunks: list[Values] = []
    out: Values = {}
    for url, title in _pages(searches, cited):
        if url not in places:
            places[url] = len(chunks)
            chunks.append({"web": {"uri": url, **({"title": title} if title else {})}})
    queries = [query for search in searches for query in search.queries]
    if queries:
        out["webSearchQueries"] = queries
    if chunks:
        out["groundingChunks"] = chunks
    supports = [_support(each, places[each.url], said) for each in cited]
    if supports:
        out["groundingSupports"] = supports
    return out


def _pages(searches: Iterable[Search], cited: Iterable[Citation]) -> list[tuple[str, str | None]]:
    """Those that were cited first, since they have titles more often."""
    pages = [(each.url, each.title) for each in cited]
    return pages + [(each.url, each.title) for search in searches for each in search.sources]


def _support(cited: Citation, index: int, said: str) -> Values:
    start, end = cited.start or 0, cited.end if cited.end is not None else len(said)
    before, inside = said[:start].encode(errors="replace"), said[start:end]
    segment: Values = {
        "startIndex": len(before),
        "endIndex": len(before) + len(inside.encode(errors="replace")),
        "text": inside,
    }
    return {"segment": segment, "groundingChunkIndices": [index]}
